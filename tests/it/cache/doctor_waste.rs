//! `hf cache doctor` and what wastes disk space: unfinished downloads, locks, the shared store; and how it
//! tells them from what a process uses.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::cache::doctor::findings;
use crate::harness::cache::CacheTree;
use crate::harness::tree::tree_of;
use crate::harness::{Held, TestEnv};

#[test]
fn downloads_are_told_apart() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    repo.main([("f", "x")]);
    for (name, text) in [
        ("ours.hf-sparse", "1"),
        ("ours.hf-journal", "12"),
        ("legacy.incomplete", "123"),
        ("modern.1234abcd.incomplete", "1234"),
        ("own.1234abcd.hf-sparse", "123"),
        ("done.hf-sparse", "12345"),
        ("live.hf-sparse", "123456"),
    ] {
        repo.abandoned(name, text);
    }
    fs::write(repo.blob("done"), "whole").unwrap();
    let commit = fs::read_to_string(repo.root().join("refs/main")).unwrap();
    symlink("../../blobs/done", repo.file(&commit, "done")).unwrap();
    let locks = env.cache().join(".locks/models--org--name");
    fs::create_dir_all(&locks).unwrap();
    let lock = Held::at(locks.join("live.lock"));
    let output = env.run(["cache", "doctor", "--json"]).ok();
    let rows = output.json();
    let told: Vec<(&str, bool)> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let path = row["path"].as_str().unwrap_or_default();
            assert!(
                row["age"].is_string() && row["modified_at"].is_string(),
                "{row}"
            );
            (
                path.rsplit('/').next().unwrap_or_default(),
                row["fixable"] == true,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("done.hf-sparse", true),
            ("legacy.incomplete", false),
            ("modern.1234abcd.incomplete", true),
            // With its journal one download.
            ("ours.hf-sparse", false),
            // A name of its own: no later download finds it.
            ("own.1234abcd.hf-sparse", true),
        ]
    );
    assert!(
        output.stderr().contains("Downloads of 1 file are running"),
        "{output}"
    );
    drop(lock);
    let output = env.run(["cache", "doctor", "--fix", "-y", "--json"]).ok();
    assert_eq!(output.json()["freed_bytes"], 12);
}

/// A huggingface_hub of 0.16 to 0.20 that was killed leaves its partial in the cache's root.
#[test]
fn an_unfinished_download_in_the_root_goes_by_its_own_name() {
    let env = TestEnv::new();
    CacheTree::at(env.cache())
        .model("org/name")
        .main([("f", "x")]);
    let path = env.cache().join("tmpabcd_123");
    fs::write(&path, "12345").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3 * 86_400);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(old)).unwrap();
    assert_eq!(findings(&env, 0), [json!(["unfinished", "tmpabcd_123", 5])]);
}

#[test]
fn locks_of_a_repository_that_is_gone_are_removed_when_no_process_holds_them() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    tree.model("org/here").main([("f", "x")]);
    let old = SystemTime::now() - Duration::from_secs(3 * 86_400);
    let lock = |repo: &str, time: SystemTime| {
        let path = env.cache().join(".locks").join(repo).join("a.lock");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        file
    };
    lock("models--org--here", old);
    lock("models--org--gone", old);
    lock("models--org--new", SystemTime::now());
    let _held = Held::of(lock("models--org--held", old));
    assert_eq!(
        findings(&env, 0),
        [json!(["stale-locks", "models--org--gone", 0])]
    );
    env.run(["cache", "doctor", "--fix", "-y"]).ok();
    let left: Vec<String> = tree_of(env.cache().join(".locks"))
        .into_iter()
        .map(|node| node.path)
        .filter(|path| !path.contains('/'))
        .collect();
    assert_eq!(
        left,
        ["models--org--held", "models--org--here", "models--org--new"]
    );
}

#[test]
fn the_shared_store_is_swept_by_its_rules() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    tree.stray_file("blobs/.huggingface-shared-blobs", "1\n");
    let (used, unused, unknown) = ("ab".repeat(32), "cd".repeat(32), "ef".repeat(32));
    for (hash, text) in [(&used, "1"), (&unused, "22"), (&unknown, "333")] {
        tree.stray_file(&format!("blobs/{}/{hash}", &hash[..2]), text);
    }
    tree.stray_file(
        &format!("blobs/ab/{used}.refs"),
        "models--org--name/blobs/x\nmodels--gone/blobs/x\n",
    )
    .stray_file(&format!("blobs/cd/{unused}.refs"), "models--gone/blobs/y\n");
    let repo = tree.model("org/name");
    let commit = repo.main([("f", "x")]);
    symlink(format!("../../blobs/ab/{used}"), repo.blob("x")).unwrap();
    symlink("../../blobs/x", repo.file(&commit, "shared")).unwrap();
    assert_eq!(
        findings(&env, 0),
        [
            json!(["unused-shared-blob", unused, 2]),
            json!(["unlisted-shared-blob", unknown, 3]),
            json!(["stale-manifest", format!("{used}.refs"), 0]),
        ]
    );
    let output = env.run(["cache", "doctor", "--fix", "-y", "--json"]).ok();
    assert_eq!(output.json()["freed_bytes"], 2);
    assert_eq!(
        findings(&env, 0),
        [json!(["unlisted-shared-blob", unknown, 3])]
    );
    let manifest = env.cache().join(format!("blobs/ab/{used}.refs"));
    assert_eq!(
        fs::read_to_string(manifest).unwrap(),
        "models--org--name/blobs/x\n"
    );
}

#[test]
fn a_running_download_is_not_disturbed() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    repo.main([("f", "x")]);
    let fresh = "0".repeat(64);
    fs::write(repo.blob(&fresh), "1234").unwrap();
    let locks = env.cache().join(".locks/models--org--name");
    fs::create_dir_all(&locks).unwrap();
    let lock = Held::at(locks.join(format!("{fresh}.lock")));
    let output = env.run(["cache", "doctor", "--fix", "-y"]).ok();
    assert!(
        output.stderr().contains("is being downloaded into"),
        "{output}"
    );
    assert!(repo.blob(&fresh).exists());
    drop(lock);
    env.run(["cache", "doctor", "--fix", "-y"]).ok();
    assert!(!repo.blob(&fresh).exists());
}
