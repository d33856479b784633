//! What the cache holds: `cache ls`, and the older `cache scan`.

use super::FORMATS;
use crate::harness::cache::CacheTree;
use crate::parity::scenario::{Scenario, each, hf, hf_0_36};
use crate::parity::world::{World, damaged_cache, full_cache, hub_down};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    [states(), filters(), order(), scan()].concat()
}

fn empty(world: &mut World) {
    CacheTree::at(world.env.cache());
}

fn states() -> Vec<Scenario> {
    let ls = |end: &str| hf(&format!("cache ls {end}"));
    let mut all = each(ls, FORMATS);
    all.extend(each(|end| ls(end).given("an empty cache", empty), FORMATS));
    all.extend(each(
        |end| ls(end).given("a full cache", full_cache),
        FORMATS,
    ));
    all.extend(each(
        |end| ls(&format!("--revisions {end}")).given("a full cache", full_cache),
        FORMATS,
    ));
    all.extend(each(
        |end| ls(end).given("a damaged cache", damaged_cache),
        FORMATS,
    ));
    all.extend([
        hf("cache list --json").given("a full cache", full_cache),
        ls("--show-warnings").given("a damaged cache", damaged_cache),
        ls("")
            .var("COLUMNS", "60")
            .given("a full cache", full_cache),
        ls("--no-truncate")
            .var("COLUMNS", "60")
            .given("a full cache", full_cache),
        ls("--revisions")
            .var("COLUMNS", "60")
            .given("a full cache", full_cache),
        ls("--cache-dir {root}/hf/hub --json")
            .var("HF_HUB_CACHE", "{root}/nowhere")
            .given("a full cache", full_cache),
        ls("--json")
            .var("HF_HUB_CACHE", "{root}/hf/hub")
            .var("HF_HOME", "{root}/home")
            .given("a full cache", full_cache),
        ls("-q")
            .var("HUGGINGFACE_HUB_CACHE", "{root}/hf/hub")
            .var("HF_HOME", "{root}/home")
            .given("a full cache", full_cache),
        ls("--cache-dir {root}/nowhere"),
        ls("--json")
            .given("a full cache", full_cache)
            .given("the Hub is down", hub_down),
        ls("").given("a file where the cache should be", |world| {
            std::fs::write(world.env.cache(), "").expect("file");
        }),
    ]);
    all
}

fn filters() -> Vec<Scenario> {
    let with = |end: &str| hf(&format!("cache ls {end}")).given("a full cache", full_cache);
    let json = [
        "type=model",
        "type=dataset",
        "type!=model",
        "size>1k",
        "size>=2000",
        "size<1kb",
        "accessed>1d",
        "accessed>2mo",
        "modified<1w",
        "modified>1y",
        "refs=main",
        "refs=refs/pr/1",
        "refs!=main",
    ];
    let mut all = each(|filter| with(&format!("--json --filter {filter}")), json);
    all.extend(each(
        |filter| with(&format!("--revisions -q -f {filter}")),
        ["size>1k", "refs=main", "modified>1mo", "type=model"],
    ));
    all.extend([
        with("--filter type=model --filter size<1k -q"),
        with("--filter type=model"),
        with("--filter type=space --format agent"),
        with("--filter type=kernel"),
        with("--revisions --filter type=model"),
    ]);
    all.extend(each(
        |filter| with(&format!("--filter {filter}")),
        [
            "nonsense",
            "size==5",
            "colour=red",
            "size>many",
            "accessed>1.5d",
            "type=bucket",
        ],
    ));
    all
}

fn order() -> Vec<Scenario> {
    let with = |end: &str| hf(&format!("cache ls -q {end}")).given("a full cache", full_cache);
    let mut all = each(
        |key| with(&format!("--sort {key}")),
        [
            "size",
            "size:asc",
            "accessed",
            "accessed:asc",
            "modified",
            "modified:desc",
            "name",
            "name:desc",
        ],
    );
    all.extend(each(
        with,
        [
            "--sort size --limit 2",
            "--limit 1",
            "--limit 0",
            "--limit 100",
            "--limit -1",
            "--limit many",
            "--sort colour",
            "--sort size:up",
            "--revisions --sort modified",
            "--revisions --sort size --limit 2",
        ],
    ));
    all.push(hf("cache ls --limit 2").given("a full cache", full_cache));
    all
}

/// The older table, which 2.4.0 has no more.
fn scan() -> Vec<Scenario> {
    let scan = |end: &str| hf_0_36(&format!("cache scan {end}"));
    vec![
        scan(""),
        scan("").given("an empty cache", empty),
        scan("").given("a full cache", full_cache),
        scan("-v").given("a full cache", full_cache),
        scan("").given("a damaged cache", damaged_cache),
        scan("-vvv").given("a damaged cache", damaged_cache),
        scan("--dir {root}/hf/hub").given("a full cache", full_cache),
        scan("--dir {root}/nowhere"),
    ]
}
