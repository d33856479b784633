//! `hf cache rm`: what is removed, what stays, what is printed, compared with the modern client.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::cache::made_up::{Health, make_up};
use crate::harness::cache::{CacheTree, abandon};
use crate::harness::oracle::Oracle;
use crate::harness::tree::tree_of;
use crate::harness::{Held, Output, TestEnv};

/// The rows of `cache ls --revisions` without what depends on the place of the cache.
pub fn rows(env: &TestEnv) -> Vec<Value> {
    let rows = env
        .run(["cache", "ls", "--revisions", "--json"])
        .ok()
        .json();
    let strip = |row: &Value| json!([row["id"], row["revision"], row["size_bytes"], row["refs"]]);
    rows.as_array().expect("a list").iter().map(strip).collect()
}

/// No problem, no broken link: every deletion has to leave the cache so.
#[track_caller]
pub fn assert_sound(env: &TestEnv) {
    let output = env.run(["cache", "ls", "--show-warnings"]).ok();
    assert!(!output.stderr().contains("Warning"), "{output}");
}

fn apparent_size(path: &Path) -> u64 {
    let size = |node: crate::harness::tree::Node| match node.kind {
        crate::harness::tree::NodeKind::File { size, .. } => size,
        _ => 0,
    };
    tree_of(path).into_iter().map(size).sum()
}

/// Our values under their keys are the same.
#[track_caller]
fn assert_same_answer(ours: &Output, theirs: &Output, what: &str) {
    if theirs.stdout().is_empty() {
        assert_eq!(ours.stdout(), "", "{what}\n{theirs}\n{ours}");
        return;
    }
    for (key, value) in theirs.json().as_object().expect("an object") {
        assert_eq!(&ours.json()[key], value, "{what}: {key}\n{theirs}\n{ours}");
    }
}

#[test]
fn rm_and_prune_do_what_the_modern_client_does() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    for seed in 200..206 {
        let (mine, yours) = (TestEnv::new(), TestEnv::new());
        for env in [&mine, &yours] {
            make_up(&env.cache(), seed, Health::Sound);
        }
        // Pruned first: we count unfinished downloads that are removed with a repository, they do not.
        for flag in ["--dry-run", "-y"] {
            let command = ["cache", "prune", flag, "--json"];
            let (ours, theirs) = (
                mine.run(command).ok(),
                modern.hf(&yours, command).run().ok(),
            );
            assert_same_answer(&ours, &theirs, &format!("seed {seed} {command:?}"));
        }
        let listed = mine
            .run(["cache", "ls", "--revisions", "--json"])
            .ok()
            .json();
        let Some(first) = listed.get(0) else { continue };
        let last = listed
            .as_array()
            .and_then(|rows| rows.last())
            .expect("rows");
        let (commit, id) = (
            first["revision"].as_str().unwrap(),
            last["id"].as_str().unwrap(),
        );
        let commands: [&[&str]; 3] = [
            &["cache", "rm", commit, "--dry-run", "--json"],
            &["cache", "rm", commit, "model/not-there", "-y", "--json"],
            &["cache", "rm", id, "-y", "--json"],
        ];
        for command in commands {
            let theirs = modern.hf(&yours, command).run().ok();
            let ours = mine.run(command).ok();
            assert_same_answer(&ours, &theirs, &format!("seed {seed} {command:?}"));
            assert_eq!(rows(&mine), rows(&yours), "seed {seed} {command:?}");
        }
        assert_sound(&mine);
    }
}

/// A model with two revisions that share a file, and a dataset.
pub fn cache(env: &TestEnv) -> [String; 3] {
    let tree = CacheTree::at(env.cache());
    let model = tree.model("Org/name");
    let old = model.commit([("shared", "12345"), ("old.bin", "1234567")]);
    let new = model.main([("shared", "12345"), ("sub/new.bin", "123")]);
    model.refer("refs/pr/1", &old).listing(&old, []);
    let data = tree.dataset("org/data").main([("d", "1234")]);
    [old, new, data]
}

#[test]
fn a_revision_takes_its_refs_listing_and_loose_blobs_with_it() {
    let env = TestEnv::new();
    let [old, new, _] = cache(&env);
    let output = env.run(["cache", "rm", &old[..6], "--yes"]).ok();
    assert_eq!(
        output.stdout(),
        "✓ Deleted 1 revision; 7.0 freed.\n  repos_deleted: 0\n  revisions_deleted: 1\n  freed: 7.0\n"
    );
    assert!(
        output.stderr().contains(&format!("{old} (refs/pr/1)")),
        "{output}"
    );
    let left: Vec<String> = tree_of(env.cache().join("models--Org--name"))
        .into_iter()
        .map(|node| node.path)
        .filter(|path| !path.starts_with("blobs/"))
        .collect();
    let snapshot = format!("snapshots/{new}");
    assert_eq!(
        left,
        [
            "blobs",
            "refs",
            "refs/main",
            "snapshots",
            &snapshot,
            &format!("{snapshot}/shared"),
            &format!("{snapshot}/sub"),
            &format!("{snapshot}/sub/new.bin"),
            "trees"
        ]
    );
    assert_eq!(
        apparent_size(&env.cache().join("models--Org--name/blobs")),
        8
    );
    assert_sound(&env);
}

#[test]
fn a_repository_goes_whole_and_ids_ignore_case() {
    let env = TestEnv::new();
    cache(&env);
    for target in ["MODEL/org/NAME", "hf://datasets/org/data"] {
        let output = env.run(["cache", "rm", target, "-y", "-q"]).ok();
        assert_eq!((output.stdout(), output.stderr()), ("1\n", ""));
    }
    let left: Vec<String> = tree_of(env.cache()).into_iter().map(|n| n.path).collect();
    assert_eq!(left, [".locks", "CACHEDIR.TAG"]);
}

#[test]
fn a_file_goes_from_every_revision() {
    let env = TestEnv::new();
    let [old, new, _] = cache(&env);
    let target = "hf://org/name/shared";
    let output = env.run(["cache", "rm", target, "--dry-run", "--json"]).ok();
    assert_eq!(
        output.stdout(),
        "{\"dry_run\": true, \"files\": 2, \"size\": \"5.0\", \"size_bytes\": 5}\n"
    );
    let output = env
        .run(["cache", "rm", target, "-y", "--format", "agent"])
        .ok();
    assert_eq!(output.stdout(), "files_deleted=2 freed=5.0\n");
    for commit in [old, new] {
        let snapshot = env.cache().join("models--Org--name/snapshots").join(commit);
        assert!(snapshot.is_dir() && !snapshot.join("shared").exists());
    }
    assert_sound(&env);
}

#[test]
fn nothing_is_deleted_without_a_yes() {
    let env = TestEnv::new();
    cache(&env);
    let before = tree_of(env.cache());
    for answer in ["", "n\n", "\n", "what?\n"] {
        let args = ["cache", "rm", "model/org/name"];
        let output = env.hf(args).stdin(answer).run().fails(1);
        assert_eq!(output.stdout(), "", "{answer:?}");
        assert!(output.stderr().contains("Aborted"), "{output}");
        // A "no" is an answer; the end of the input is not.
        let has_end = ["", "what?\n"].contains(&answer);
        assert_eq!(output.stderr().contains("--yes"), has_end, "{output}");
    }
    for format in ["json", "quiet", "agent"] {
        let output = env
            .run(["cache", "rm", "model/org/name", "--format", format])
            .fails(1);
        assert_eq!(output.stdout(), "", "{format}");
        assert!(output.stderr().contains("--yes"), "{output}");
    }
    let output = env
        .run(["cache", "rm", "model/org/name", "--dry-run", "-q"])
        .ok();
    assert_eq!(output.stdout(), "True\n");
    assert_eq!(tree_of(env.cache()), before);
    let args = ["cache", "rm", "model/org/name"];
    let output = env.hf(args).stdin("y\n").run().ok();
    assert!(output.stdout().starts_with("✓ Deleted 1 repo"), "{output}");
}

#[test]
fn an_id_without_its_type_is_recognized() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    tree.model("org/both").main([("f", "x")]);
    tree.dataset("Org/both").main([("f", "y")]);
    let before = tree_of(env.cache());
    for word in ["org/Both", "ORG/both"] {
        let output = env.run(["cache", "rm", word, "-y"]).fails(1);
        let hint = format!("{word} could be dataset/Org/both or model/org/both.");
        assert!(output.stderr().contains(&hint), "{output}");
    }
    let output = env.run(["cache", "rm", "org/none", "-y"]).ok();
    assert!(
        output.stderr().contains("The cache has no org/none"),
        "{output}"
    );
    assert_eq!(tree_of(env.cache()), before);
    env.run(["cache", "rm", "org/both", "-y"]).ok();
    assert_eq!(
        env.run(["cache", "ls", "-q"]).ok().stdout(),
        "dataset/Org/both\n"
    );
}

#[test]
fn wrong_targets() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let before = tree_of(env.cache());
    for (code, args) in [
        (2, &["cache", "rm"][..]),
        (0, &["cache", "rm", "hf://org/name@none", "-y"]),
        (1, &["cache", "rm", "hf://org", "-y"]),
        (1, &["cache", "rm", "hf://org/name/shared", &old, "-y"]),
        (0, &["cache", "rm", "gpt2", "-y"]),
        (0, &["cache", "rm", "model/no-one/nothing", "-y", "--json"]),
        (0, &["cache", "rm", "hf://org/name/none", "-y"]),
        (0, &["cache", "rm", "../../etc", "-y"]),
        (0, &["cache", "rm", "", "-y"]),
    ] {
        let output = env.run(args).fails(code);
        assert_eq!(output.stdout(), "", "{args:?}");
    }
    assert_eq!(tree_of(env.cache()), before);
}

#[test]
fn links_that_lead_out_of_the_cache_are_removed_and_not_followed() {
    let env = TestEnv::new();
    let [old, new, _] = cache(&env);
    let outside = env.path("precious");
    fs::create_dir_all(outside.join("models--far--away/snapshots/c")).unwrap();
    fs::write(outside.join("file"), "keep me").unwrap();
    let repo = env.cache().join("models--Org--name");
    for commit in [&old, &new] {
        let snapshot = repo.join("snapshots").join(commit);
        symlink(&outside, snapshot.join("folder")).unwrap();
        symlink(outside.join("file"), snapshot.join("file")).unwrap();
    }
    symlink(
        outside.join("models--far--away"),
        env.cache().join("models--far--away"),
    )
    .unwrap();
    let before = tree_of(&outside);
    env.run(["cache", "rm", &old, "-y"]).ok();
    env.run(["cache", "rm", "model/org/name", "model/far/away", "-y"])
        .ok();
    assert_eq!(tree_of(&outside), before);
    assert!(!repo.exists() && !env.cache().join("models--far--away").exists());
}

#[test]
fn a_repository_whose_folders_are_links_is_not_cleaned_in_part() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let repo = env.cache().join("models--Org--name");
    let moved = env.path("moved-blobs");
    fs::rename(repo.join("blobs"), &moved).unwrap();
    symlink(&moved, repo.join("blobs")).unwrap();
    let before = (tree_of(env.cache()), tree_of(&moved));
    let output = env.run(["cache", "rm", &old, "-y"]).fails(1);
    assert!(
        output.stderr().contains("a link that leads elsewhere"),
        "{output}"
    );
    assert_eq!((tree_of(env.cache()), tree_of(&moved)), before);
    env.run(["cache", "rm", "model/org/name", "-y"]).ok();
    assert_eq!(tree_of(&moved), before.1);
}

#[test]
fn a_repository_being_downloaded_into_is_left_alone() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let repo = env.cache().join("models--Org--name");
    fs::write(repo.join("blobs/abc.hf-sparse"), "12").unwrap();
    fs::write(repo.join("blobs/def.1234abcd.incomplete"), "123").unwrap();
    abandon(&repo.join("blobs/def.1234abcd.incomplete"));
    fs::remove_file(repo.join("refs/main")).unwrap();
    let locks = env.cache().join(".locks/models--Org--name");
    fs::create_dir_all(&locks).unwrap();
    let lock = Held::at(locks.join("abc.lock"));
    let before = tree_of(&repo);
    for target in ["model/org/name", &old] {
        let output = env.run(["cache", "rm", target, "-y"]).fails(1);
        assert!(
            output
                .stderr()
                .contains("model/Org/name is being downloaded"),
            "{output}"
        );
        assert_eq!(tree_of(&repo), before);
    }
    let output = env
        .run(["cache", "rm", "model/org/name", "dataset/org/data", "-y"])
        .fails(1);
    assert!(output.stdout().contains("Deleted 1 repo"), "{output}");
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    let answer = output.json();
    assert_eq!(
        (&answer["revisions_deleted"], &answer["incomplete_deleted"]),
        (&json!(0), &json!(1))
    );
    assert!(
        repo.join("blobs/abc.hf-sparse").exists(),
        "a download is running"
    );
    drop(lock);
    abandon(&repo.join("blobs/abc.hf-sparse"));
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.json()["incomplete_deleted"], 1);
}

#[test]
fn a_damaged_repository_can_be_removed() {
    let env = TestEnv::new();
    let [_, new, _] = cache(&env);
    let tree = CacheTree::at(env.cache());
    tree.model("Org/name").lose_blob(&new, "shared");
    tree.dataset("org/data").without_snapshots();
    assert_eq!(env.run(["cache", "ls", "-q"]).ok().stdout(), "");
    let output = env
        .run([
            "cache",
            "rm",
            "model/org/name",
            "dataset/org/data",
            "-y",
            "--json",
        ])
        .ok();
    assert_eq!(output.json()["repos_deleted"], 2);
    assert_eq!(output.json()["freed_bytes"], 14);
    assert_sound(&env);
}
