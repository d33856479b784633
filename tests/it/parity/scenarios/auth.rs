//! Who one is: `auth whoami`, `auth token`, `auth list`, with a token from each source.

use super::FORMATS;
use crate::harness::hub::Fault;
use crate::parity::scenario::{Scenario, each, hf};
use crate::parity::world::{
    fault, hub_down, logged_in, no_registry, offline, three_tokens, write_secret,
};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    [states(), sources(), trouble()].concat()
}

/// Every question in every format, logged out and in.
fn states() -> Vec<Scenario> {
    let mut all = Vec::new();
    let asking = |command: &'static str| move |end: &str| hf(&format!("{command} {end}"));
    for command in ["auth whoami", "auth token"] {
        all.extend(each(asking(command), FORMATS));
        let logged_in = |end: &str| asking(command)(end).given("logged in", logged_in);
        all.extend(each(logged_in, FORMATS));
    }
    all.extend(each(asking("auth list"), FORMATS));
    let several = |end: &str| asking("auth list")(end).given("three tokens", three_tokens);
    all.extend(each(several, FORMATS));
    all.push(hf("auth ls").given("three tokens", three_tokens));
    all.push(hf("auth whoami").given("no registry of agents", no_registry));
    all.push(
        hf("auth whoami")
            .var("AI_AGENT", "robot")
            .given("logged in", logged_in),
    );
    all.push(
        hf("auth whoami")
            .var("ROBOT", "1")
            .given("logged in", logged_in),
    );
    all
}

/// A token from each source, alone and against others.
fn sources() -> Vec<Scenario> {
    let who = || hf("auth whoami -q");
    vec![
        who().var("HF_TOKEN", "{laptop}"),
        who().var("HUGGING_FACE_HUB_TOKEN", "{laptop}"),
        who().var("HUGGINGFACE_TOKEN", "{laptop}"),
        who().var("HF_TOKEN", "{bob}").given("logged in", logged_in),
        who().var("HUGGING_FACE_HUB_TOKEN", "{bob}").given("logged in", logged_in),
        who().var("HF_TOKEN", "{bob}").var("HUGGING_FACE_HUB_TOKEN", "{laptop}"),
        who().var("HF_TOKEN", "").given("logged in", logged_in),
        who().var("HF_TOKEN", " ").var("HUGGING_FACE_HUB_TOKEN", "{laptop}"),
        who().var("HF_TOKEN", " {laptop}\r\n"),
        who().var("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").given("logged in", logged_in),
        who().var("HF_TOKEN_PATH", "{root}/work/my-token").given("a token file elsewhere", |world| {
            let path = world.env.work().join("my-token");
            std::fs::write(path, &world.names["laptop"]).expect("file");
        }),
        who().given("an empty token file", |world| write_secret(world, "token", "\n")),
        hf("auth token -q").var("HF_TOKEN", "{bob}").given("logged in", logged_in),
        hf("auth token -q").var("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").given("logged in", logged_in),
        hf("auth list").var("HF_TOKEN", "{bob}"),
        hf("auth list").var("HF_TOKEN", "{bob}").given("three tokens", three_tokens),
        hf("auth list").given("a token with an expiry", |world| {
            write_secret(world, "stored_tokens", "[a]\nhf_token = hf_secret_a_0009\nexpires_at = 1000000000\n\n[b]\nhf_token = hf_secret_b_0009\n\n");
        }),
        hf("auth list").given("a damaged stored_tokens", |world| {
            logged_in(world);
            write_secret(world, "stored_tokens", "[a]\nhf_token = x\n[a]\nhf_token = y\n");
        }),
        hf("auth list").given("stored_tokens in another dialect", |world| {
            logged_in(world);
            write_secret(world, "stored_tokens", "# mine\n[laptop]\nHF_TOKEN: hf_secret_laptop_0001\n; end\n");
        }),
    ]
}

/// A Hub that is down, refuses, or is not to be asked.
fn trouble() -> Vec<Scenario> {
    let who = |end: &str| hf(&format!("auth whoami {end}")).given("logged in", logged_in);
    let mut all = vec![
        who("").given("offline", offline),
        who("--json").given("the Hub is down", hub_down),
        who("").given(
            "503 for a while",
            fault(Fault::status(503).on("whoami").times(1)),
        ),
        who("-q").given(
            "the answer is cut",
            fault(Fault::MalformedJson.on("whoami")),
        ),
        hf("auth token")
            .given("logged in", logged_in)
            .given("the Hub is down", hub_down),
        hf("auth list")
            .given("three tokens", three_tokens)
            .given("the Hub is down", hub_down),
    ];
    all.extend(each(
        |end| hf(&format!("auth whoami {end}")).var("HF_TOKEN", "{wrong}"),
        FORMATS,
    ));
    all
}
