//! The command line itself: versions, help, mistakes, `env`.

use super::FORMATS;
use crate::parity::scenario::{Scenario, each, hf};
use crate::parity::world::{full_cache, hub_down, logged_in};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = each(|end| hf(&format!("version {end}")), FORMATS);
    all.extend(each(|end| hf(&format!("env {end}")), FORMATS));
    all.push(
        hf("env")
            .given("logged in", logged_in)
            .given("the Hub is down", hub_down),
    );
    all.extend(each(hf, ["--version", "-v"]));
    all.extend(each(
        hf,
        [
            "",
            "--help",
            "auth",
            "auth --help",
            "auth login --help",
            "cache",
            "cache --help",
            "cache ls --help",
            "download --help",
            "download",
            "cache rm",
            "frobnicate",
            "auth frobnicate",
            "cache frobnicate",
            "cache ls --frobnicate",
            "cache ls surplus",
            "auth whoami surplus",
            "cache ls --format yaml",
            "cache ls --json -q",
            "cache ls --format json --quiet",
            "--json cache ls",
            "cache --json ls",
            "auth login --token",
            "version --json --no-truncate",
            "upload",
            "jobs",
            "repos",
        ],
    ));
    all.push(hf("cache ls --quiet --no-truncate").given("a full cache", full_cache));
    all.push(hf("cache ls --format=json").given("a full cache", full_cache));
    all
}
