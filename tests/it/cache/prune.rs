//! `hf cache prune` by a policy, and what counts as used.

use std::fs;

use serde_json::{Value, json};

use crate::cache::rm::{assert_sound, cache, rows};
use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::oracle::mounts;

#[test]
fn a_policy_removes_the_least_used_and_keeps_pins() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let model = CacheTree::at(env.cache()).model("Org/name");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400 * 90);
    for (commit, file) in [(&old, "shared"), (&old, "old.bin")] {
        model.times(commit, file, long_ago, long_ago);
    }
    let dry = |args: &[&str]| -> Value {
        let args = [&["cache", "prune", "--dry-run", "--json"], args].concat();
        let output = env.run(args).ok();
        if output.stdout().is_empty() {
            json!(0)
        } else {
            output.json()["revisions"].clone()
        }
    };
    for (args, revisions) in [
        (&[][..], 0),
        (&["--older-than", "60d"], 0),
        (&["--keep-last", "1"], 1),
        (&["--max-size", "1k"], 0),
        (&["--max-size", "0k", "--pin", "model/*"], 1),
        (&["--older-than", "0s", "--pin", "*/Org/name"], 1),
    ] {
        assert_eq!(dry(args), revisions, "{args:?}");
    }
    for (args, end) in [
        (&[][..], "every download is complete."),
        (&["--older-than", "60d"], "falls under the limits given."),
    ] {
        let output = env.run([&["cache", "prune"], args].concat()).ok();
        assert!(output.stderr().trim_end().ends_with(end), "{output}");
    }
    for wrong in [
        ["--older-than", "60"],
        ["--older-than", "soon"],
        ["--max-size", "200"],
        ["--max-size", "1.5GB"],
        ["--keep-last", "-1"],
    ] {
        let output = env
            .run([&["cache", "prune", "-y"][..], &wrong].concat())
            .fails(2);
        assert_eq!(output.stdout(), "", "{wrong:?}");
    }
    let output = env.run(["cache", "prune", "--keep-last", "1", "-y"]).ok();
    assert!(
        output.stdout().contains("Deleted 1 revision; 7.0 freed."),
        "{output}"
    );
    assert_sound(&env);
    let output = env
        .run(["cache", "prune", "--max-size", "0k", "-y", "--json"])
        .ok();
    assert_eq!(output.json()["revisions_deleted"], 2);
    assert_eq!(rows(&env), Vec::<Value>::new());
}

#[test]
fn a_damaged_repository_counts_for_the_size_and_stays() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let days =
        |days: u64| std::time::SystemTime::now() - std::time::Duration::from_secs(86_400 * days);
    let (damaged, old, new) = (
        tree.model("o/damaged"),
        tree.model("o/old"),
        tree.model("o/new"),
    );
    for (repo, length, age) in [(&damaged, 800, 90), (&old, 400, 60), (&new, 150, 2)] {
        let text = "x".repeat(length);
        let commit = repo.main([("f", text.as_str()), ("g", "lost")]);
        repo.times(&commit, "f", days(age), days(age));
        repo.times(&commit, "g", days(age), days(age));
        if repo.root() == damaged.root() {
            repo.lose_blob(&commit, "g");
        }
    }
    let before = crate::harness::tree::tree_of(damaged.root());
    let output = env.run(["cache", "prune", "--max-size", "2k", "-y"]).ok();
    assert!(!output.stderr().contains("o/damaged"), "it fits: {output}");
    // Healthy repositories alone have 558 bytes.
    let output = env.run(["cache", "prune", "--max-size", "1k", "-y"]).ok();
    let stderr = output.stderr();
    assert!(
        stderr.contains("model/o/damaged is damaged and has 800"),
        "{output}"
    );
    assert!(!stderr.contains("more than --max-size allows"), "{output}");
    assert!(!old.root().exists() && new.root().exists(), "{output}");
    let output = env.run(["cache", "prune", "--max-size", "0k", "-y"]).ok();
    let words = "What is pinned or damaged has 800.0, more than --max-size allows.";
    assert!(output.stderr().contains(words), "{output}");
    assert!(!new.root().exists());
    assert_eq!(crate::harness::tree::tree_of(damaged.root()), before);
}

/// On a disk mounted with `noatime` reads do not change the access time: a download that finds all files
/// in place has to record the use itself.
#[test]
fn what_a_download_finds_in_place_counts_as_used() {
    let hub = crate::harness::hub::Hub::start();
    hub.add(crate::harness::hub::Repo::model("o/used").file("f", "x"));
    let env = TestEnv::for_hub(&hub);
    // Mounting needs a namespace, which not every system allows. Without one the times are as old, but
    // a read may renew them.
    let mount = "mount -t tmpfs -o noatime none \"$HF_HOME/hub\"";
    let (mount, program, flags) = match mounts() {
        Some(()) => (mount, "unshare", &["-rm", "sh", "-c"][..]),
        None => ("true", "sh", &["-c"][..]),
    };
    let script = format!(
        "set -e; mkdir -p \"$HF_HOME/hub\"; {mount}
        \"$HF\" download o/used -q
        touch -a -d '-90 days' \"$HF_HOME\"/hub/models--*/blobs/*
        touch -m -d '-90 days' \"$HF_HOME\"/hub/models--*/blobs/*
        \"$HF\" cache prune --older-than 60d --dry-run --json
        \"$HF\" download o/used --dry-run -q >/dev/null
        \"$HF\" cache prune --older-than 60d --dry-run -q
        $AGAIN
        \"$HF\" cache prune --older-than 60d --dry-run --json"
    );
    for again in [
        "\"$HF\" download o/used -q",
        "HF_HUB_OFFLINE=1 \"$HF\" download o/used -q",
    ] {
        let _ = fs::remove_dir_all(env.cache());
        let script = script.replace("$AGAIN", again);
        let output = env
            .program(program, [flags, &[script.as_str()]].concat())
            .var("HF", env!("CARGO_BIN_EXE_hf"))
            .run()
            .ok();
        let lines: Vec<&str> = output.stdout().lines().collect();
        let [_, before, dry, _] = lines.as_slice() else {
            panic!("{output}");
        };
        assert!(before.contains("\"revisions\": 1"), "{output}");
        assert_eq!(*dry, "True", "a dry run uses nothing: {output}");
        assert!(output.stderr().contains("Nothing to prune"), "{output}");
    }
}
