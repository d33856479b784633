//! `hf cache rm` and `prune` while the cache changes between the question and the answer: the plan is
//! old by then, and what is in use since stays.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::cache::{CacheTree, CachedRepo};
use crate::harness::tree::tree_of;
use crate::harness::{Held, TestEnv};

const REPO: &str = "models--org--name";

/// A repository with two revisions; the second has a file of its own. Answers its commit.
fn two_revisions(env: &TestEnv) -> (CachedRepo, String) {
    let repo = CacheTree::at(env.cache()).model("org/name");
    repo.main([("f", "x")]);
    let commit = repo.commit([("f", "x"), ("own", "12345")]);
    repo.refer("next", &commit);
    (repo, commit)
}

/// Holds the lock of an etag, as a download does.
fn hold(env: &TestEnv, etag: &str) -> Held {
    let folder = env.cache().join(".locks").join(REPO);
    fs::create_dir_all(&folder).unwrap();
    Held::at(folder.join(format!("{etag}.lock")))
}

/// Asks, lets `meanwhile` change the cache while the question waits, answers yes. Answers what the
/// terminal showed.
fn answered_late<T>(env: &TestEnv, args: &[&str], meanwhile: impl FnOnce() -> T) -> String {
    let mut terminal = env.hf(args).terminal(50, 160);
    terminal.expect("Delete this?");
    let kept = meanwhile();
    terminal.send_line("y");
    terminal.exit_code();
    drop(kept);
    terminal.screen()
}

#[test]
fn a_repository_that_a_download_has_begun_in_stays() {
    let env = TestEnv::new();
    let (repo, commit) = two_revisions(&env);
    let before = tree_of(repo.root());
    for target in ["model/org/name", &commit] {
        let args = ["cache", "rm", target];
        let shown = answered_late(&env, &args, || hold(&env, &"a".repeat(40)));
        assert!(shown.contains("is being downloaded into"), "{shown}");
        assert_eq!(tree_of(repo.root()), before, "{target}");
    }
}

#[test]
fn an_unfinished_download_that_continues_stays() {
    let env = TestEnv::new();
    let (repo, _) = two_revisions(&env);
    for name in ["abc.hf-sparse", "def.0123abcd.incomplete", "ghi.incomplete"] {
        repo.abandoned(name, "12");
    }
    let args = ["cache", "prune"];
    // One process holds the lock of the first, another has just written to the third.
    answered_late(&env, &args, || {
        fs::write(repo.blob("ghi.incomplete"), "123").unwrap();
        hold(&env, "abc")
    });
    assert!(repo.blob("abc.hf-sparse").exists());
    assert!(!repo.blob("def.0123abcd.incomplete").exists());
    assert!(repo.blob("ghi.incomplete").exists());
}

#[test]
fn a_blob_that_another_revision_links_to_by_now_stays() {
    let env = TestEnv::new();
    let (repo, commit) = two_revisions(&env);
    let blob = fs::canonicalize(repo.file(&commit, "own")).unwrap();
    let target = fs::read_link(repo.file(&commit, "own")).unwrap();
    let new = repo.root().join("snapshots").join("c".repeat(40));
    answered_late(&env, &["cache", "rm", &commit], || {
        fs::create_dir(&new).unwrap();
        symlink(&target, new.join("own")).unwrap();
    });
    assert!(!repo.root().join("snapshots").join(&commit).exists());
    assert_eq!(fs::read_to_string(&blob).unwrap(), "12345");
    assert_eq!(fs::read_to_string(new.join("own")).unwrap(), "12345");
}

/// Without a question: a repository that has no blobs of its own and links to those of another.
#[test]
fn a_blob_that_another_repository_links_to_stays() {
    for is_absolute in [false, true] {
        let env = TestEnv::new();
        let (repo, commit) = two_revisions(&env);
        let blob = fs::canonicalize(repo.file(&commit, "own")).unwrap();
        let other = CacheTree::at(env.cache()).model("org/other");
        let theirs = other.main([("g", "y")]);
        let name = blob.file_name().unwrap().to_str().unwrap();
        let target = match is_absolute {
            true => blob.to_str().unwrap().to_owned(),
            false => format!("../../../{REPO}/blobs/{name}"),
        };
        symlink(target, other.file(&theirs, "borrowed")).unwrap();
        let output = env.run(["cache", "rm", &commit, "-y", "--json"]).ok();
        assert_eq!(output.json()["freed_bytes"], 0);
        let borrowed = fs::read_to_string(other.file(&theirs, "borrowed"));
        assert_eq!(borrowed.unwrap(), "12345", "absolute: {is_absolute}");
        // Nor when all of the repository goes.
        let args = ["cache", "rm", "model/org/name", "-y", "--json"];
        let output = env.run(args).ok();
        assert_eq!(output.json()["freed_bytes"], 1, "absolute: {is_absolute}");
        let borrowed = fs::read_to_string(other.file(&theirs, "borrowed"));
        assert_eq!(borrowed.unwrap(), "12345", "absolute: {is_absolute}");
        assert!(!repo.root().join("refs/main").exists());
    }
}
