//! `--json`: one document a run, also when something is wrong.

use std::fs;

use serde_json::{Deserializer, Value};

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Repo};

/// A Hub, and a cache with one repository of it and a second revision.
fn world() -> (Hub, TestEnv) {
    let hub = Hub::start();
    let repo = Repo::model("o/m")
        .file("config.json", "{}")
        .lfs("w.bin", "weights");
    hub.add(repo.tag("v1"));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "o/m"]).ok();
    (hub, env)
}

fn documents(text: &str) -> Vec<Value> {
    let all = Deserializer::from_str(text).into_iter::<Value>();
    all.map(|one| one.expect("JSON")).collect()
}

#[test]
fn one_document_a_run() {
    let (_hub, env) = world();
    // Commands with their exit code and the number of documents on stdout.
    for (line, code, count) in [
        ("version", 0, 1),
        ("env", 0, 1),
        ("auth list", 0, 1),
        ("auth status", 1, 1),
        ("auth whoami", 1, 0),
        ("download o/m", 0, 1),
        ("download o/m config.json --dry-run", 0, 1),
        ("download o/nope", 1, 0),
        ("ls o/m", 0, 1),
        ("cache ls", 0, 1),
        ("cache ls --revisions", 0, 1),
        ("cache ls o/m none", 1, 1),
        ("cache scan", 0, 1),
        ("cache pin o/m", 0, 1),
        ("cache pin", 0, 1),
        ("cache unpin o/m", 0, 1),
        ("cache verify o/m", 0, 1),
        ("cache verify --all", 0, 1),
        ("cache doctor", 0, 1),
        ("cache prune --dry-run", 0, 0),
        ("cache rm o/m --dry-run", 0, 1),
        ("cache rm o/m -y", 0, 1),
        ("cache rm o/m -y", 0, 0),
    ] {
        let output = env.run(line.split(' ').chain(["--json"]));
        let found = documents(output.stdout());
        assert_eq!(
            (output.code, found.len()),
            (Some(code), count),
            "{line}\n{output}"
        );
    }
}

#[test]
fn verify_all_lists_what_is_wrong() {
    let (_hub, env) = world();
    let sound = env.run(["cache", "verify", "--all", "--json"]).ok().json();
    assert_eq!(sound["problems"], Value::Array(Vec::new()));
    let id = "models--o--m";
    let snapshots = env.cache().join(id).join("snapshots");
    let snapshot = fs::read_dir(&snapshots)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let commit = snapshot.file_name().unwrap().to_str().unwrap();
    fs::write(
        fs::canonicalize(snapshot.join("config.json")).unwrap(),
        "[]",
    )
    .unwrap();
    fs::remove_file(snapshot.join("w.bin")).unwrap();
    fs::write(env.cache().join("models--broken"), "no folder").unwrap();
    let output = env.run(["cache", "verify", "--all", "--json"]).fails(1);
    let found = output.json();
    let of = |what: &str| {
        let mut all = found["problems"].as_array().expect("a list").iter();
        all.find(|one| one["what"] == what)
            .unwrap_or_else(|| panic!("{what}\n{output}"))
    };
    for (what, file) in [("wrong_file", "config.json"), ("missing_file", "w.bin")] {
        let one = of(what);
        assert_eq!(one["where"], format!("model/o/m {commit} {file}"));
        assert_eq!(
            (&one["id"], &one["revision"], &one["file"]),
            (&"model/o/m".into(), &commit.into(), &file.into())
        );
    }
    assert!(
        of("wrong_file")["why"]
            .as_str()
            .unwrap()
            .contains("should be"),
        "{output}"
    );
    assert_eq!(of("damaged_entry")["where"], "models--broken");
    let last = output.stderr().lines().last().expect("an error");
    let error: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(error["kind"], "corrupt");
}
