//! What leaves the cache: `cache rm`, `cache prune`, and the older `cache delete`.

use super::FORMATS;
use crate::parity::scenario::{Scenario, each, hf};
use crate::parity::world::{World, damaged_cache, full_cache};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    [rm(), targets(), prune()].concat()
}

fn rm() -> Vec<Scenario> {
    let with = |end: &str| hf(&format!("cache rm {end}")).given("a full cache", full_cache);
    let mut all = each(|end| with(&format!("model/org/name -y {end}")), FORMATS);
    all.extend(each(
        |end| with(&format!("model/org/name --dry-run {end}")),
        FORMATS,
    ));
    all.extend(each(
        |end| with(&format!("model/org/nothing -y {end}")),
        FORMATS,
    ));
    all.extend([
        with("model/org/name").stdin("y\n"),
        with("model/org/name").stdin("yes\n"),
        with("model/org/name").stdin("n\n"),
        with("model/org/name").stdin("\n"),
        with("model/org/name"),
        with("model/org/name --json"),
        with("model/org/name -q"),
        with("model/org/name --format agent"),
        with("model/org/name --json").stdin("y\n"),
        with("-y"),
        with("model/org/name -y --cache-dir {root}/nowhere"),
        hf("cache rm model/org/name -y"),
        with("model/org/name -y --cache-dir {root}/hf/hub").var("HF_HUB_CACHE", "{root}/nowhere"),
    ]);
    all
}

/// What can be named.
fn targets() -> Vec<Scenario> {
    let json =
        |end: &str| hf(&format!("cache rm -y --json {end}")).given("a full cache", full_cache);
    let mut all = each(
        json,
        [
            "dataset/org/data",
            "model/gpt2",
            "gpt2",
            "org/name",
            "MODEL/org/name",
            "space/org/demo kernel/org/kern",
            "model/org/name dataset/org/data",
            "model/org/name model/org/nothing",
            "{old}",
            "{new}",
            "{new} {old}",
            "{new} {old} {cached_pr}",
            "{old} model/org/name",
            "{short}",
            "0000000000000000000000000000000000000000",
            "hf://models/org/name",
            "hf://org/name",
            "hf://datasets/org/data",
            "hf://org/name/config.json",
            "hf://datasets/org/data/train.csv",
            "hf://org/name/nothing.txt",
            "hf://org/name@main/config.json",
            "hf://org/name/config.json model/gpt2",
            "hf://spaces/org/demo hf://org/name",
        ],
    );
    all.extend(each(
        |format| {
            hf(&format!("cache rm hf://org/name/config.json -y {format}"))
                .given("a full cache", full_cache)
        },
        FORMATS,
    ));
    all.push(
        hf("cache rm hf://org/name/config.json --dry-run --json").given("a full cache", full_cache),
    );
    all.push(
        hf("cache rm model/org/twin --dry-run --json").given("ids differ in case alone", twins),
    );
    all.push(hf("cache rm model/org/sound -y").given("a damaged cache", damaged_cache));
    all.push(hf("cache rm model/org/broken-link -y").given("a damaged cache", damaged_cache));
    all
}

/// Unfinished downloads in a full cache.
fn with_partials(world: &mut World) {
    full_cache(world);
    let blobs = world.env.cache().join("datasets--org--data/blobs");
    let partial = blobs.join("0123abcd.01234567.incomplete");
    std::fs::write(&partial, "unfinished").expect("partial");
    crate::harness::cache::abandon(&partial);
}

/// An unfinished download that no lock is beside, and that may be under way.
fn just_now(world: &mut World) {
    full_cache(world);
    let blobs = world.env.cache().join("datasets--org--data/blobs");
    std::fs::write(blobs.join("0123abcd.incomplete"), "unfinished").expect("partial");
}

/// Two models of the same name but for its case.
fn twins(world: &mut World) {
    let tree = crate::harness::cache::CacheTree::at(world.env.cache());
    for id in ["org/twin", "org/Twin"] {
        tree.model(id).main([("f", "x")]);
    }
}

fn prune() -> Vec<Scenario> {
    let with = |end: &str| {
        hf(&format!("cache prune {end}")).given("partials and a detached revision", with_partials)
    };
    let mut all = each(|end| with(&format!("-y {end}")), FORMATS);
    all.extend(each(|end| with(&format!("--dry-run {end}")), FORMATS));
    all.extend(each(|end| hf(&format!("cache prune -y {end}")), FORMATS));
    all.extend([
        with("").stdin("y\n"),
        with("").stdin("n\n"),
        with(""),
        with("--json"),
        with("-y --json --cache-dir {root}/hf/hub"),
        hf("cache prune -y --json").given("one was written just now", just_now),
        hf("cache prune -y").given("a damaged cache", damaged_cache),
        hf("cache prune -y --json").given("nothing to prune", |world| {
            full_cache(world);
            world.env.run(["cache", "prune", "-y"]).ok();
        }),
        hf("cache prune -y --cache-dir {root}/nowhere"),
    ]);
    all
}
