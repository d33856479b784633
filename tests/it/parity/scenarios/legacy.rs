//! The older name, `huggingface-cli`: its grammar and its output.

use crate::harness::cache::CacheTree;
use crate::harness::hub::Fault;
use crate::parity::scenario::{Scenario, each, huggingface_cli as cli};
use crate::parity::world::{
    damaged_cache, fault, full_cache, hub_down, logged_in, name_cached, offline, three_tokens,
};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    [tokens(), caches(), download(), general()].concat()
}

fn tokens() -> Vec<Scenario> {
    vec![
        cli("whoami"),
        cli("whoami").given("logged in", logged_in),
        cli("whoami")
            .var("HF_TOKEN", "{bob}")
            .given("logged in", logged_in),
        cli("whoami").var("HUGGING_FACE_HUB_TOKEN", "{laptop}"),
        cli("whoami").var("HF_TOKEN", "{wrong}"),
        cli("whoami")
            .given("logged in", logged_in)
            .given("the Hub is down", hub_down),
        cli("login --token {laptop}"),
        cli("login --token {server}").given("three tokens", three_tokens),
        cli("login --token {wrong}"),
        cli("login --token api_org_abc"),
        cli("logout"),
        cli("logout").given("three tokens", three_tokens),
        cli("logout --token-name bob").given("three tokens", three_tokens),
        cli("auth list"),
        cli("auth list").given("three tokens", three_tokens),
        cli("auth switch --token-name server").given("three tokens", three_tokens),
        cli("auth switch --token-name nobody").given("three tokens", three_tokens),
    ]
}

fn caches() -> Vec<Scenario> {
    let full = |line: &str| cli(line).given("a full cache", full_cache);
    vec![
        cli("scan-cache"),
        cli("scan-cache").given("an empty cache", |world| {
            CacheTree::at(world.env.cache());
        }),
        full("scan-cache"),
        full("scan-cache -v"),
        full("scan-cache --dir {root}/hf/hub"),
        cli("scan-cache").given("a damaged cache", damaged_cache),
        cli("scan-cache -vvv").given("a damaged cache", damaged_cache),
        cli("scan-cache --dir {root}/nowhere"),
        full("delete-cache --disable-tui").stdin("n\n"),
        full("delete-cache --disable-tui --sort size").stdin("n\n"),
        full("delete-cache --disable-tui --sort colour"),
    ]
}

fn download() -> Vec<Scenario> {
    let mut all = each(
        |end| cli(&format!("download org/name {end}")),
        [
            "",
            "--quiet",
            "config.json",
            "config.json empty.txt",
            "--include",
            "--include *.json",
            "--include *.json *.txt",
            "--include *.json --exclude copy/*",
            "--exclude *.safetensors *.txt",
            "--revision v1",
            "--rev refs/pr/1",
            "--revision nowhere",
            "--cache-dir {root}/work/cache",
            "--local-dir {root}/work/there",
            "--local-dir {root}/work/there --local-dir-use-symlinks False",
            "--resume-download",
            "--max-workers 2",
            "--token {laptop}",
            "nothing.txt",
            "--repo-type dataset",
            "--repo-type kernel",
            "--frobnicate",
        ],
    );
    let name = || cli("download org/name --quiet");
    all.extend([
        cli("download org/data --repo-type dataset"),
        cli("download alice/secret").given("logged in", logged_in),
        cli("download alice/secret"),
        cli("download org/gated"),
        cli("download org/unknown"),
        cli("download"),
        name().given("cached", name_cached),
        cli("download org/name --force-download --quiet").given("cached", name_cached),
        name()
            .given("cached", name_cached)
            .given("offline", offline),
        name().given("offline", offline),
        name().given("the Hub is down", hub_down),
        name().given(
            "500 once for the commit",
            fault(
                Fault::status(500)
                    .on("/api/models/org/name/revision")
                    .times(1),
            ),
        ),
    ]);
    all
}

fn general() -> Vec<Scenario> {
    each(
        cli,
        [
            "",
            "--help",
            "version",
            "env",
            "frobnicate",
            "whoami surplus",
            "upload",
            "repo",
            "--version",
        ],
    )
}
