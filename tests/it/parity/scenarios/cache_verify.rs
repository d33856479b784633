//! Whether the cache is what the Hub has: `cache verify`.

use super::FORMATS;
use crate::harness::hub::Fault;
use crate::parity::scenario::{Scenario, each, hf};
use crate::parity::world::{
    fault, hub_down, logged_in, name_cached, name_half_cached, name_spoiled, name_with_extra,
    offline,
};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    let verify = |end: &str| hf(&format!("cache verify org/name {end}"));
    let cached = |end: &str| verify(end).given("cached", name_cached);
    let mut all = each(cached, FORMATS);
    all.extend(each(
        |end| verify(end).given("a byte changed", name_spoiled),
        FORMATS,
    ));
    all.extend(each(
        |end| verify(end).given("a file missing", name_half_cached),
        FORMATS,
    ));
    all.extend([
        verify("--fail-on-missing-files").given("a file missing", name_half_cached),
        verify("--fail-on-missing-files --json").given("a file missing", name_half_cached),
        verify("--json").given("an extra file", name_with_extra),
        verify("--fail-on-extra-files").given("an extra file", name_with_extra),
        verify("--fail-on-extra-files --json").given("an extra file", name_with_extra),
        verify("--fail-on-missing-files --fail-on-extra-files --json").given("cached", name_cached),
        verify("").given("nothing cached", |_| {}),
        cached("--revision main --json"),
        cached("--revision {main} --json"),
        cached("--revision v1 --json"),
        cached("--revision nowhere --json"),
        cached("--repo-type dataset"),
        cached("--repo-type model --json"),
        cached("--type model --json"),
        cached("--cache-dir {root}/hf/hub --json").var("HF_HUB_CACHE", "{root}/nowhere"),
        cached("--cache-dir {root}/nowhere --json"),
        cached("--token {laptop} --json"),
        cached("--json").given("logged in", logged_in),
        cached("--json")
            .given("logged in", logged_in)
            .var("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        cached("--json").given("offline", offline),
        cached("--json").given("the Hub is down", hub_down),
        cached("--json").given("500 once", fault(Fault::status(500).on("/tree/").times(1))),
        cached("--cache-dir a --local-dir b"),
        hf("cache verify org/name --local-dir {root}/work/there --json")
            .after("download org/name --local-dir {root}/work/there"),
        hf("cache verify org/name --local-dir {root}/nowhere --json"),
        hf("cache verify datasets/org/data --json").after("download datasets/org/data"),
        hf("cache verify models/org/name --json").given("cached", name_cached),
        hf("cache verify datasets/org/name --type model --json").given("cached", name_cached),
        hf("cache verify org/unknown --json"),
        hf("cache verify"),
    ]);
    all
}
