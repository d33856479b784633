//! `hf cache doctor --fix` while the cache changes between the question and the answer: nothing that
//! has become right in the meantime is removed.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::cache::{CacheTree, CachedRepo, blob_name};
use crate::harness::hub::sha1_hex;
use crate::harness::tree::tree_of;
use crate::harness::{Held, TestEnv};

/// A change of the cache, made while the question waits. Its result is kept until the end.
type Change = fn(&TestEnv, &CachedRepo, &str) -> Option<Held>;

/// Asks `--fix`, changes the cache while the question waits, answers yes. Nothing may differ from
/// what the change left; answers what the terminal showed.
#[track_caller]
fn changed_before_the_answer(what: &str, prepare: Change, meanwhile: Change) -> String {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    let commit = repo.main([("f", "x"), ("sub/g", "yy")]);
    prepare(&env, &repo, &commit);
    let mut terminal = env.hf(["cache", "doctor", "--fix"]).terminal(50, 160);
    terminal.expect("Do this?");
    let held = meanwhile(&env, &repo, &commit);
    let before = tree_of(env.cache());
    terminal.send_line("y");
    terminal.exit_code();
    drop(held);
    assert_eq!(tree_of(env.cache()), before, "{what}");
    terminal.screen()
}

#[test]
fn a_ref_whose_snapshot_arrives_stays() {
    changed_before_the_answer(
        "ref",
        |_, repo, _| {
            repo.refer("next", &"1".repeat(40));
            None
        },
        |_, repo, _| {
            fs::create_dir(repo.root().join("snapshots").join("1".repeat(40))).unwrap();
            None
        },
    );
}

#[test]
fn a_ref_that_moves_keeps_its_new_commit() {
    changed_before_the_answer(
        "a ref with a newline",
        |_, repo, commit| {
            repo.refer("untidy", &format!("{commit}\n"));
            None
        },
        |_, repo, _| {
            let other = repo.commit([("f", "newer")]);
            repo.refer("untidy", &other);
            None
        },
    );
}

#[test]
fn a_link_whose_blob_arrives_stays() {
    changed_before_the_answer(
        "link",
        |_, repo, commit| {
            symlink("../../blobs/late", repo.file(commit, "late")).unwrap();
            None
        },
        |_, repo, _| {
            fs::write(repo.blob("late"), "here").unwrap();
            None
        },
    );
}

#[test]
fn a_blob_that_is_linked_meanwhile_stays() {
    changed_before_the_answer(
        "blob",
        |_, repo, _| {
            fs::write(repo.blob(&"a".repeat(40)), "1234").unwrap();
            None
        },
        |_, repo, commit| {
            let target = format!("../../blobs/{}", "a".repeat(40));
            symlink(target, repo.file(commit, "new")).unwrap();
            None
        },
    );
}

#[test]
fn a_repository_that_a_download_has_begun_in_is_left_alone() {
    let shown = changed_before_the_answer(
        "busy",
        |env, repo, _| {
            fs::write(repo.blob(&"a".repeat(40)), "1234").unwrap();
            repo.refer("gone", &"1".repeat(40));
            fs::create_dir_all(env.cache().join(".locks/models--org--name")).unwrap();
            None
        },
        |env, _, _| {
            let lock = env.cache().join(".locks/models--org--name/x.lock");
            Some(Held::at(lock))
        },
    );
    assert!(shown.contains("is being downloaded into"), "{shown}");
}

#[test]
fn what_is_no_longer_in_the_way_stays() {
    changed_before_the_answer(
        "a folder where a file was",
        |_, repo, _| {
            repo.stray_snapshot("stray");
            None
        },
        |_, repo, _| {
            let place = repo.root().join("snapshots/stray");
            fs::remove_file(&place).unwrap();
            fs::create_dir(&place).unwrap();
            None
        },
    );
}

/// Removes the link of `f`, which a listing names.
fn lose_the_link(_: &TestEnv, repo: &CachedRepo, commit: &str) -> Option<Held> {
    repo.listing(commit, []);
    fs::remove_file(repo.file(commit, "f")).unwrap();
    None
}

#[test]
fn what_was_made_in_place_of_a_link_stays() {
    changed_before_the_answer("a file", lose_the_link, |_, repo, commit| {
        fs::write(repo.file(commit, "f"), "by hand").unwrap();
        None
    });
}

#[test]
fn no_link_is_made_to_a_blob_that_has_gone() {
    changed_before_the_answer("no blob", lose_the_link, |_, repo, _| {
        fs::remove_file(repo.blob(&blob_name("f", "x"))).unwrap();
        None
    });
}

#[test]
fn a_blob_that_a_new_listing_names_stays() {
    changed_before_the_answer(
        "a listed blob",
        |_, repo, _| {
            fs::write(repo.blob(&sha1_hex(&[b"new"])), "1234").unwrap();
            None
        },
        |_, repo, commit| {
            repo.listing(commit, [("new", 4)]);
            None
        },
    );
}
