//! `download`: what is fetched, where it lands, what is asked and printed.

use super::FORMATS;
use crate::parity::scenario::{Scenario, each, hf};
use crate::parity::world::{
    full_cache, hub_down, logged_in, name_cached, name_half_cached, name_spoiled, offline,
};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    [
        whole(),
        files(),
        patterns(),
        revisions(),
        kinds(),
        access(),
        cached(),
        dry(),
        local(),
    ]
    .concat()
}

fn whole() -> Vec<Scenario> {
    let mut all = each(|end| hf(&format!("download org/name {end}")), FORMATS);
    all.extend([
        hf("download org/name -q --max-workers 1"),
        hf("download org/name -q --no-force-download"),
        hf("download org/name -q --cache-dir {root}/work/cache"),
        hf("download org/name -q").var("HF_HUB_CACHE", "{root}/work/cache"),
        hf("download org/name -q").var("HF_HUB_DISABLE_SYMLINKS", "1"),
        hf("download org/name -q --cache-dir ~/cache"),
        hf("download org/name config.json -q").var("HF_HOME", ""),
        hf("download org/name -q --cache-dir a --local-dir b"),
        hf("download org/name -q --max-workers many"),
    ]);
    all
}

fn files() -> Vec<Scenario> {
    let mut all = each(
        |end| hf(&format!("download org/name config.json {end}")),
        FORMATS,
    );
    all.extend(each(
        |end| hf(&format!("download org/name -q {end}")),
        [
            "model.safetensors",
            "copy/config.json",
            "empty.txt",
            "config.json empty.txt",
            "copy/",
            "copy/ empty.txt",
            "nothing.txt",
            "config.json nothing.txt",
            "nowhere/",
            "config.json --revision refs/pr/1",
            "config.json --include *.txt",
            "copy/ --include *.txt",
            "copy/ --exclude *.txt",
            "config.json --cache-dir {root}/work/cache",
            "../config.json",
        ],
    ));
    all
}

fn patterns() -> Vec<Scenario> {
    each(
        |end| hf(&format!("download org/name -q {end}")),
        [
            "--include *.json",
            "--include *.json --include *.txt",
            "--include *.json *.txt",
            "--exclude *.json *.txt",
            "--exclude *.safetensors",
            "--include *.json --exclude copy/*",
            "--include copy/",
            "--include *.nothing",
            "--exclude *",
            "--include [ce]*",
            "--include [!c]*.txt",
            "--include CONFIG.json",
            "--include ?onfig.json",
            "--include {braces}",
        ],
    )
}

fn revisions() -> Vec<Scenario> {
    each(
        |end| hf(&format!("download {end} -q")),
        [
            "org/name --revision main",
            "org/name --revision v1",
            "org/name --revision refs/pr/1",
            "org/name --revision {main}",
            "org/name --revision {short}",
            "org/name --revision nowhere",
            "org/name config.json --revision nowhere",
            "org/name config.json --revision {main}",
            "hf://org/name@v1",
            "hf://org/name@refs/pr/1/config.json",
            "hf://org/name@main/copy/",
            "hf://org/name --revision v1",
            "hf://org/name@v1 --type model",
            "hf://org/name/config.json empty.txt",
            "hf://gpt2",
            "hf://model/org/name",
            "hf://buckets/org/name",
        ],
    )
}

fn kinds() -> Vec<Scenario> {
    each(
        |end| hf(&format!("download {end} -q")),
        [
            "gpt2",
            "org/data --repo-type dataset",
            "org/data --type dataset",
            "datasets/org/data",
            "datasets/org/data data/",
            "hf://datasets/org/data/data/train.csv",
            "spaces/org/demo",
            "org/demo --repo-type space",
            "kernels/org/kern",
            "models/org/name config.json",
            "datasets/org/data --type dataset",
            "datasets/org/data --type model",
            "org/data",
            "org/name --repo-type widget",
            "org/unknown",
            "org/unknown config.json",
            "org/na--me",
            "org/name/more",
            "''",
            "org/name.git",
        ],
    )
}

fn access() -> Vec<Scenario> {
    let secret = |end: &str| hf(&format!("download alice/secret -q {end}"));
    let gated = |end: &str| hf(&format!("download org/gated -q {end}"));
    vec![
        secret(""),
        secret("").given("logged in", logged_in),
        secret("config.json").given("logged in", logged_in),
        secret("--token {laptop}"),
        secret("--token {wrong}").given("logged in", logged_in),
        secret("").var("HF_TOKEN", "{laptop}"),
        secret("").var("HUGGING_FACE_HUB_TOKEN", "{laptop}"),
        secret("")
            .var("HF_TOKEN", "{bob}")
            .given("logged in", logged_in),
        secret("--token {laptop}").var("HF_TOKEN", "{bob}"),
        secret("")
            .given("logged in", logged_in)
            .var("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        secret("--token {laptop}").var("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        gated(""),
        gated("").var("HF_TOKEN", "{bob}"),
        gated("").given("logged in", logged_in),
        gated("config.json").var("HF_TOKEN", "{bob}"),
        gated("--json").var("HF_TOKEN", "{bob}"),
        hf("download org/gone -q"),
        hf("download org/name -q").var("HF_TOKEN", "{wrong}"),
        hf("download org/name model.safetensors -q").given("logged in", logged_in),
    ]
}

fn cached() -> Vec<Scenario> {
    let download = |end: &str| hf(&format!("download org/name -q {end}"));
    vec![
        download("").given("cached", name_cached),
        download("").given("a file missing", name_half_cached),
        download("--revision {main}").given("cached", name_cached),
        download("config.json").given("cached", name_cached),
        download("config.json --revision {main}").given("cached", name_cached),
        download("--force-download").given("cached", name_cached),
        download("config.json --force-download").given("cached", name_cached),
        download("").given("a byte changed", name_spoiled),
        download("")
            .given("cached", name_cached)
            .given("offline", offline),
        download("--include *.json")
            .given("cached", name_cached)
            .given("offline", offline),
        download("config.json")
            .given("cached", name_cached)
            .given("offline", offline),
        download("nothing.txt")
            .given("cached", name_cached)
            .given("offline", offline),
        download("")
            .given("a file missing", name_half_cached)
            .given("offline", offline),
        download("").given("offline", offline),
        download("config.json").given("offline", offline),
        download("")
            .var("TRANSFORMERS_OFFLINE", "1")
            .given("cached", name_cached),
        download("")
            .var("TRANSFORMERS_OFFLINE", "1")
            .var("HF_HUB_OFFLINE", "0")
            .given("cached", name_cached),
        download("")
            .given("cached", name_cached)
            .given("the Hub is down", hub_down),
        download("")
            .given("a file missing", name_half_cached)
            .given("the Hub is down", hub_down),
        download("").given("an older revision cached", full_cache),
        download("")
            .given("cached", name_cached)
            .given("main moved", |world| {
                let repo = world.hub.repo("models/org/name");
                repo.update(|tree| tree.file("config.json", "{\"a\": 3}"));
            }),
        download("").given("renamed", |world| {
            let _renamed = world.hub.repo("models/org/name").rename("org/new-name");
        }),
        download("").given("renamed, cached", |world| {
            name_cached(world);
            let _renamed = world.hub.repo("models/org/name").rename("org/new-name");
        }),
        download("").given("small files over the cache route", |world| {
            world
                .hub
                .configure(|settings| settings.resolve_cache = true);
        }),
        download("").given("weak ETags", |world| {
            world.hub.configure(|settings| settings.weak_etags = true);
        }),
        download("").given("a listing of several pages", |world| {
            world.hub.configure(|settings| settings.page_size = 2);
        }),
    ]
}

fn dry() -> Vec<Scenario> {
    let mut all = each(
        |end| hf(&format!("download org/name --dry-run {end}")),
        FORMATS,
    );
    all.extend(each(
        |end| {
            hf(&format!("download org/name --dry-run {end}"))
                .given("a file missing", name_half_cached)
        },
        FORMATS,
    ));
    all.extend([
        hf("download org/name config.json --dry-run"),
        hf("download org/name config.json --dry-run --json"),
        hf("download org/name config.json --dry-run --json").given("cached", name_cached),
        hf("download org/name --dry-run --include *.txt --json"),
        hf("download org/name --dry-run --json --local-dir {root}/work/there"),
        hf("download org/name --dry-run").given("the Hub is down", hub_down),
        hf("download org/name --dry-run --json")
            .given("cached", name_cached)
            .given("offline", offline),
        hf("download org/unknown --dry-run"),
    ]);
    all
}

fn local() -> Vec<Scenario> {
    let into = |end: &str| {
        hf(&format!(
            "download org/name -q --local-dir {{root}}/work/there {end}"
        ))
    };
    let again = "download org/name --local-dir {root}/work/there";
    let mut all = each(
        |end| hf(&format!("download org/name --local-dir there {end}")),
        ["--json", "-q"],
    );
    all.extend([
        into("config.json"),
        into("model.safetensors"),
        into("--include *.json"),
        into("--revision refs/pr/1"),
        into("copy/"),
        into("").after(again),
        into("config.json").after(again),
        into("--force-download").after(again),
        into("--revision {main}")
            .after("download org/name --local-dir {root}/work/there --revision {main}"),
        into("").given("cached", name_cached),
        into("").given("a file of the user's in the way", |world| {
            let there = world.env.work().join("there");
            std::fs::create_dir(&there).expect("folder");
            std::fs::write(there.join("config.json"), "mine").expect("file");
        }),
        into("").given("the right weights, but no metadata", |world| {
            let there = world.env.work().join("there");
            std::fs::create_dir(&there).expect("folder");
            let weights = world
                .hub
                .repo("models/org/name")
                .entry("model.safetensors")
                .content;
            std::fs::write(there.join("model.safetensors"), weights.to_bytes()).expect("file");
        }),
        into("").given("the Hub is down", hub_down),
        into("").given("offline", offline),
        hf("download datasets/org/data -q --local-dir ~/data"),
    ]);
    all
}
