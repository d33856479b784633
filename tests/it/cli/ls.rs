//! `hf ls`: what a repository has, and what of it is cached.

use serde_json::json;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo, closed};
use crate::harness::partial::plant;

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name")
        .file("config.json", "{}")
        .then()
        .tag("v1");
    let repo = repo.file("sub/a.json", "[1]").file("sub/b.txt", "bb");
    hub.add(repo.lfs("model.bin", Content::synthetic(2_000_000, 1)));
    hub.add(Repo::dataset("org/data").file("x.csv", "1,2"));
    hub
}

#[test]
fn files_sizes_and_what_is_cached() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["ls", "org/name"]).ok();
    let commit = hub.repo("models/org/name").commit("main");
    assert_eq!(
        output.stdout(),
        "PATH        SIZE\n----------- ----\nconfig.json 2.0 \nmodel.bin   2.0M\nsub/a.json  3.0 \nsub/b.txt   2.0 \n"
    );
    let total = format!("4 files of 2.0M at {commit}; 0 in the cache, 0.0.");
    assert!(output.stderr().contains(&total), "{output}");
    assert!(!env.cache().exists(), "nothing is left behind");
    // One file whole, another one in part.
    env.run(["download", "org/name", "config.json"]).ok();
    let entry = hub.repo("models/org/name").entry("model.bin");
    let blobs = env.cache().join("models--org--name/blobs");
    let start = &entry.content.to_bytes()[..1_000_000];
    plant(&blobs, &entry.etag(), Some(2_000_000), start);
    let output = env.run(["ls", "org/name"]).ok();
    assert!(output.stdout().contains("config.json 2.0  ✔"), "{output}");
    assert!(output.stdout().contains("model.bin   2.0M 50%"), "{output}");
    let rows = env.run(["ls", "org/name", "--json"]).ok().json();
    let sha256 = entry.etag();
    assert_eq!(
        rows[1],
        json!({"path": "model.bin", "size": 2_000_000, "cached": false,
            "lfs": {"size": 2_000_000, "sha256": sha256}, "cached_bytes": 1_000_000})
    );
    assert_eq!(rows[0]["cached"], true);
    assert_eq!(
        rows[0]["blob_id"],
        hub.repo("models/org/name").entry("config.json").etag()
    );
    let quiet = env.run(["ls", "org/name", "-q"]).ok();
    assert_eq!(
        quiet.stdout(),
        "config.json\nmodel.bin\nsub/a.json\nsub/b.txt\n"
    );
    assert_eq!(quiet.said(), "");
}

#[test]
fn patterns_revisions_and_names() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for (arguments, expected) in [
        (&["org/name", "*.json"][..], "config.json\nsub/a.json\n"),
        (&["org/name", "sub/"], "sub/a.json\nsub/b.txt\n"),
        (&["org/name", "model.bin"], "model.bin\n"),
        (
            &["org/name", "model.bin", "sub/*.txt"],
            "model.bin\nsub/b.txt\n",
        ),
        (&["org/name", "--revision", "v1"], "config.json\n"),
        (&["hf://org/name@v1"], "config.json\n"),
        (&["datasets/org/data"], "x.csv\n"),
        (&["org/data", "--repo-type", "dataset"], "x.csv\n"),
        (&["hf://org/name/sub/a.json"], "sub/a.json\n"),
    ] {
        let output = env.run([&["ls", "-q"], arguments].concat()).ok();
        assert_eq!(output.stdout(), expected, "{arguments:?}");
    }
    for (arguments, expected) in [
        (&["org/name", "*.nope"][..], "has no such file"),
        (&["org/none"], "There is no model org/none"),
        (&["org/name", "--revision", "nope"], "no revision nope"),
    ] {
        let output = env.run([&["ls"], arguments].concat()).fails(1);
        assert!(output.stderr().contains(expected), "{output}");
    }
    env.run(["ls"]).fails(2);
}

#[test]
fn without_the_hub_the_listing_of_an_earlier_download_serves() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.run(["ls", "org/name", "--offline"]).fails(1);
    env.run(["download", "org/name", "--include", "*.json"])
        .ok();
    hub.clear_requests();
    let output = env.run(["ls", "org/name", "--offline"]).ok();
    assert!(output.stdout().contains("model.bin   2.0M"), "{output}");
    assert!(!output.stderr().contains("Warning"), "{output}");
    assert_eq!(hub.count(|_| true), 0);
    env.set("HF_ENDPOINT", format!("http://{}", closed()));
    let env = env.fast_clock();
    let output = env.run(["ls", "org/name"]).ok();
    assert_eq!(output.stdout().lines().count(), 6, "{output}");
    assert!(output.stderr().contains("Warning: "), "{output}");
}

#[test]
fn a_terminal_shows_names_as_text() {
    let hub = Hub::start();
    let name = "x\u{202e}y/\u{200b}.txt";
    hub.add(
        Repo::model("org/name")
            .file(name, "x")
            .file("plain.txt", "y"),
    );
    let env = TestEnv::for_hub(&hub);
    for arguments in [&["ls", "org/name"][..], &["ls", "org/name", "-q"]] {
        let mut terminal = env.hf(arguments).terminal(24, 80);
        let code = terminal.exit_code();
        let shown = terminal.transcript();
        assert!(
            code == 0 && !shown.contains('\u{202e}'),
            "{arguments:?}: {shown}"
        );
    }
}
