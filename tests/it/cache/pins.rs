//! `hf cache pin` and `unpin`: what they keep from which command, and that the Python client ignores them.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::oracle::Oracle;
use crate::harness::tree::tree_of;

/// Three repositories that were not used for a year; returns a commit of the first.
fn cache(env: &TestEnv) -> String {
    let tree = CacheTree::at(env.cache());
    let long_ago = SystemTime::now() - Duration::from_secs(86_400 * 365);
    let mut first = String::new();
    for id in ["Org/a", "org/b", "other/c"] {
        let repo = tree.model(id);
        let commit = repo.main([("f", id)]);
        repo.times(&commit, "f", long_ago, long_ago);
        if first.is_empty() {
            first = commit;
        }
    }
    first
}

fn pinned(env: &TestEnv) -> Vec<String> {
    let output = env.run(["cache", "pin", "-q"]).ok();
    output.stdout().lines().map(str::to_owned).collect()
}

#[test]
fn pins_are_stored_listed_and_removed() {
    let env = TestEnv::new();
    cache(&env);
    assert_eq!(pinned(&env), Vec::<String>::new());
    // The exact spelling is used where it matches anything.
    let output = env.run(["cache", "pin", "model/org/*", "--json"]).ok();
    assert_eq!(output.json(), json!({"pinned": 1, "ids": ["model/org/b"]}));
    let output = env.run(["cache", "pin", "model/ORG/*", "--json"]).ok();
    assert_eq!(output.json(), json!({"pinned": 1, "ids": ["model/Org/a"]}));
    env.run(["cache", "pin", "hf://other/c"]).ok();
    assert_eq!(
        pinned(&env),
        ["model/Org/a", "model/org/b", "model/other/c"]
    );
    let again = env.run(["cache", "pin", "MODEL/other/c"]).ok();
    assert!(again.stderr().contains("was pinned already"), "{again}");
    let rows = env.run(["cache", "ls", "--json"]).ok().json();
    assert!(
        rows.as_array()
            .expect("rows")
            .iter()
            .all(|row| row["pinned"] == true)
    );
    env.run(["cache", "unpin", "model/[Oo]rg/*"]).ok();
    assert_eq!(pinned(&env), ["model/other/c"]);
    for wrong in [
        &["model/none/x"][..],
        &["c"],
        &["hf://other/c/f"],
        &["model/other/c", "x"],
    ] {
        let args = [&["cache", "pin"], wrong].concat();
        let output = env.run(args).fails(1);
        assert_eq!(output.stdout(), "", "{output}");
    }
    env.run(["cache", "unpin"]).fails(2);
}

#[test]
fn what_is_pinned_stays() {
    let env = TestEnv::new();
    let commit = cache(&env);
    env.run(["cache", "pin", "model/Org/a"]).ok();
    let left = |args: &[&str]| -> Value {
        let args = [&["cache", "prune", "--dry-run", "--json"], args].concat();
        env.run(args).ok().json()["revisions"].clone()
    };
    assert_eq!(left(&["--older-than", "60d"]), 2);
    assert_eq!(left(&["--older-than", "60d", "--pin", "*/b"]), 1);
    assert_eq!(left(&["--older-than", "60d", "--unpin", "*"]), 3);
    assert_eq!(
        left(&["--max-size", "0k", "--unpin", "*", "--pin", "*/c"]),
        2
    );
    // Reads the files, so that they count as used from now on.
    let before = tree_of(env.cache());
    for target in ["model/org/a", &commit, "hf://Org/a/f"] {
        let output = env.run(["cache", "rm", target, "-y"]).fails(1);
        assert!(
            output.stderr().contains("model/Org/a is pinned"),
            "{output}"
        );
        assert_eq!(output.stderr().matches("pinned").count(), 1, "{output}");
        assert!(!output.stderr().contains("Nothing to delete"), "{output}");
        assert!(output.stderr().contains("hf cache unpin"), "{output}");
        assert_eq!(tree_of(env.cache()), before, "{target}");
    }
    let output = env
        .run(["cache", "rm", "model/Org/a", "model/org/b", "-y"])
        .fails(1);
    assert!(output.stdout().contains("Deleted 1 repo"), "{output}");
    env.run(["cache", "prune", "--max-size", "0k", "-y"]).ok();
    assert_eq!(
        env.run(["cache", "ls", "-q"]).ok().stdout(),
        "model/Org/a\n"
    );
    env.run(["cache", "unpin", "model/Org/a"]).ok();
    env.run(["cache", "rm", "model/Org/a", "-y"]).ok();
}

#[test]
fn a_pattern_that_no_repository_matches_is_reported() {
    let env = TestEnv::new();
    cache(&env);
    for (flag, pattern, example) in [
        ("--pin", "org/c", "model/Org/a"),
        ("--unpin", "org/typo", "model/Org/a"),
    ] {
        let args = ["cache", "prune", "--dry-run", flag, pattern];
        let output = env.run(args).ok();
        let expected = format!("{flag} {pattern} matches no repository; ids look like {example}.");
        assert!(output.stderr().contains(&expected), "{output}");
        let args = ["cache", "prune", "--dry-run", flag, "model/org/*"];
        let output = env.run(args).ok();
        assert!(!output.stderr().contains("matches no"), "{output}");
    }
}

#[test]
fn a_person_sees_the_pin() {
    let env = TestEnv::new();
    cache(&env);
    env.run(["cache", "pin", "model/Org/a"]).ok();
    let mut terminal = env.hf(["cache", "ls"]).terminal(24, 120);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    assert!(
        screen.contains("PINNED") && screen.contains('✔'),
        "{screen}"
    );
    let mut terminal = env.hf(["cache", "delete"]).terminal(24, 120);
    terminal.expect("pinned)");
    terminal.send(" \r");
    terminal.expect("model/Org/a is pinned");
    assert_eq!(terminal.exit_code(), 0);
    assert!(env.cache().join("models--Org--a").exists());
}

#[test]
fn the_python_clients_ignore_pins() {
    let env = TestEnv::new();
    cache(&env);
    let piped = env.run(["cache", "ls"]).ok().stdout().to_owned();
    env.run(["cache", "pin", "*"]).ok();
    assert_eq!(
        env.run(["cache", "ls"]).ok().stdout(),
        piped,
        "a pipe is the drop-in's"
    );
    env.run(["cache", "doctor"]).ok();
    // The legacy client warns of CACHEDIR.TAG, which it does not know.
    for (oracle, warnings) in [(Oracle::modern(), 0), (Oracle::legacy(), 1)] {
        let Some(oracle) = oracle else { continue };
        let code = "from huggingface_hub import scan_cache_dir as s; c=s(); \
            print(len(c.warnings), len(c.repos), c.size_on_disk)";
        let theirs = oracle.python(&env, code).run().ok();
        assert_eq!(theirs.stdout(), format!("{warnings} 3 17\n"), "{theirs}");
    }
    if let Some(modern) = Oracle::modern() {
        modern
            .hf(&env, ["cache", "rm", "model/Org/a", "-y"])
            .run()
            .ok();
        assert!(
            !env.cache().join("models--Org--a").exists(),
            "the pin goes with it"
        );
    }
}
