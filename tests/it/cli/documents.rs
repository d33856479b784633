//! `--json`: one document a run, also when something is wrong.

use std::collections::{BTreeMap, BTreeSet};
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

/// The table of the reference: of each command the keys that it names.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = include_str!("../../../docs/reference.md");
    let section = text.split("### JSON documents").nth(1).expect("a section");
    let section = section.split("\n### ").next().unwrap_or_default();
    let mut table = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let words: Vec<&str> = row.split('|').map(str::trim).collect();
        let ticked = |text: &str| -> Vec<String> {
            let parts = text.split('`').skip(1).step_by(2);
            parts.map(str::to_owned).collect()
        };
        let keys: BTreeSet<String> = ticked(words[2]).into_iter().collect();
        for command in ticked(words[1]) {
            table.insert(command, keys.clone());
        }
    }
    table
}

/// The keys of an object, or of the objects in a list.
fn keys(document: &Value) -> BTreeSet<String> {
    let all = match document {
        Value::Array(rows) => rows.as_slice(),
        one => std::slice::from_ref(one),
    };
    let all = all.iter().filter_map(Value::as_object);
    all.flat_map(|object| object.keys().cloned()).collect()
}

/// A script looks at the reference for the keys, so each is there.
#[test]
fn the_reference_names_every_key() {
    let hub = Hub::start();
    hub.user("alice")
        .orgs(["team"])
        .token("hf_alice_0123456789", "read", "laptop");
    hub.add(
        Repo::model("o/m")
            .file("config.json", "{}")
            .lfs("w.bin", "weights")
            .tag("v1"),
    );
    let mut env = TestEnv::for_hub(&hub);
    let path = env.path("bin").display().to_string();
    env.set("PATH", format!("{path}:/usr/bin:/bin"));
    let documented = documented();
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    for (row, line) in [
        ("auth login", "auth login --token hf_alice_0123456789"),
        ("auth whoami", "auth whoami"),
        ("auth token", "auth token"),
        ("auth status", "auth status"),
        ("auth list", "auth list"),
        ("auth switch", "auth switch --token-name laptop"),
        ("auth logout", "auth logout"),
        ("alias add", "alias add --dir ../bin"),
        ("alias ls", "alias ls"),
        ("alias remove", "alias remove --dir ../bin"),
        ("download --dry-run", "download o/m --dry-run"),
        ("download", "download o/m"),
        ("cache ls", "cache ls"),
        ("cache ls --revisions", "cache ls --revisions"),
        ("cache scan", "cache scan"),
        ("cache scan", "cache scan -v"),
        ("cache verify", "cache verify o/m"),
        ("cache verify --all", "cache verify --all"),
        ("cache pin", "cache pin o/m"),
        ("unpin", "cache unpin o/m"),
        ("cache rm", "cache rm o/m --dry-run"),
        ("cache rm", "cache rm o/m -y"),
        ("completions", "completions bash"),
        ("man", "man --out pages"),
        ("version", "version"),
        ("update", "update"),
    ] {
        let printed = keys(&env.run(line.split(' ').chain(["--json"])).ok().json());
        assert!(!printed.is_empty(), "{line}");
        match documented.get(row) {
            Some(named) => {
                missing.extend(printed.difference(named).map(|key| format!("{row}: {key}")))
            }
            None => missing.push(format!("{row}: {printed:?}")),
        }
        seen.insert(row);
    }
    assert_eq!(missing, Vec::<String>::new());
    // The others print lists of things that are wrong, or of several runs; tests of their own look at them.
    let unseen: Vec<_> = documented
        .keys()
        .filter(|row| !seen.contains(row.as_str()))
        .collect();
    assert_eq!(
        unseen,
        [
            "cache doctor",
            "cache prune",
            "download --from-file",
            "env",
            "ls"
        ]
    );
}
