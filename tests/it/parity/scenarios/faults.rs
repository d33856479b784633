//! `download` from a Hub that fails in ways that have names.

use crate::harness::hub::{Fault, Origin};
use crate::parity::scenario::{Scenario, hf};
use crate::parity::world::{fault, hub_down, logged_in, name_cached};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    let all = || hf("download org/name -q");
    let one = || hf("download org/name config.json -q");
    let weights = |fault: Fault| fault.on("model.safetensors");
    vec![
        all().given("the Hub is down", hub_down),
        one().given("the Hub is down", hub_down),
        all().given(
            "503 once for the listing",
            fault(Fault::status(503).on("/tree/").times(1)),
        ),
        all().given(
            "500 once for the commit",
            fault(
                Fault::status(500)
                    .on("/api/models/org/name/revision")
                    .times(1),
            ),
        ),
        all().given(
            "503 once for a file",
            fault(Fault::status(503).on("sub/deep").method("GET").times(1)),
        ),
        one().given(
            "503 once for a HEAD",
            fault(Fault::status(503).on("config.json").method("HEAD").times(1)),
        ),
        all().given(
            "429 once",
            fault(Fault::rate_limited(1).on("/api/models").times(1)),
        ),
        all().given(
            "a reset in mid-body",
            fault(
                weights(Fault::ResetMidBody {
                    after_bytes: 20_000,
                })
                .times(1),
            ),
        ),
        all().given(
            "an early close",
            fault(
                weights(Fault::CloseEarly {
                    after_bytes: 20_000,
                })
                .times(1),
            ),
        ),
        all().given(
            "an expired link",
            fault(weights(Fault::ExpiredLink).times(1)),
        ),
        all().given("wrong bytes", fault(weights(Fault::WrongBytes).times(1))),
        all()
            .given(
                "an early close",
                fault(
                    weights(Fault::CloseEarly {
                        after_bytes: 20_000,
                    })
                    .times(1),
                ),
            )
            .given("ranges are ignored", fault(Fault::IgnoreRange)),
        all().given(
            "a listing cut off",
            fault(Fault::MalformedJson.on("/tree/")),
        ),
        all().given(
            "a listing of other types",
            fault(Fault::WrongTypes.on("/tree/")),
        ),
        all().given(
            "a commit of another type",
            fault(Fault::WrongTypes.on("/revision/")),
        ),
        all().given(
            "a redirect loop",
            fault(Fault::RedirectLoop.on("config.json")),
        ),
        all()
            .given("a foreign redirect once", |world| {
                let elsewhere = format!("{}/elsewhere", world.hub.cdn_origin());
                let _strikes = world.hub.fault(
                    Fault::ForeignRedirect(elsewhere)
                        .on("sub/deep")
                        .at(Origin::Hub)
                        .times(1),
                );
            })
            .given("logged in", logged_in),
        all().given("404 for everything", fault(Fault::status(404))),
        all().given("403 for everything", fault(Fault::status(403))),
        all()
            .given("cached", name_cached)
            .given("404 for everything", fault(Fault::status(404))),
        all()
            .given("cached", name_cached)
            .given("403 for everything", fault(Fault::status(403))),
        all()
            .given("cached", name_cached)
            .var("HF_TOKEN", "{wrong}"),
        hf("download org/partly -q")
            .given(
                "a slow file",
                fault(
                    Fault::Trickle {
                        bytes_per_second: 1_500,
                    }
                    .on("a.txt"),
                ),
            )
            .given(
                "the other fails while it comes",
                fault(
                    Fault::Waits {
                        part: "a.txt",
                        bytes: 1_500,
                    }
                    .on("missing.txt"),
                ),
            ),
        hf("download org/hostile -q"),
        hf("download org/huge -q"),
        hf("download org/name -q").given("the cache is a file", |world| {
            std::fs::write(world.env.cache(), "").expect("file");
        }),
        all().given("the Hub warns", |world| {
            world.hub.warning("topic; be careful")
        }),
    ]
}
