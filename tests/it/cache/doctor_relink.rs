//! `hf cache doctor --fix` makes the links again that a copy or a move has lost or broken, as long as the
//! blobs are in the repository. No request is made: the Hub of these tests is a closed port.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::cache::doctor::findings;
use crate::harness::cache::{CacheTree, CachedRepo, blob_name};
use crate::harness::tree::{NodeKind, tree_of};
use crate::harness::{Held, TestEnv};

pub const FILES: [(&str, &str); 4] = [
    ("config.json", "{}"),
    ("model.safetensors", "weights and more weights"),
    ("onnx/decoder/model.bin", "other weights"),
    ("tokenizer/vocab.txt", "a b c"),
];

/// A repository of two revisions; the second one shares a file with the first.
pub fn repository(env: &TestEnv) -> (CachedRepo, String, String) {
    let repo = CacheTree::at(env.cache()).model("org/name");
    let first = repo.main(FILES);
    let second = repo.commit([
        ("config.json", "{\"v\": 2}"),
        ("model.safetensors", FILES[1].1),
    ]);
    repo.refer("refs/pr/1", &second);
    (repo, first, second)
}

pub fn links(repo: &CachedRepo) -> Vec<PathBuf> {
    let nodes = tree_of(repo.root().join("snapshots")).into_iter();
    let links = nodes.filter(|node| matches!(node.kind, NodeKind::Link { .. }));
    links
        .map(|node| repo.root().join("snapshots").join(node.path))
        .collect()
}

pub fn make_old(path: &Path) {
    let old = SystemTime::now() - Duration::from_secs(3 * 86_400);
    File::open(path).unwrap().set_modified(old).unwrap();
}

pub fn fix(env: &TestEnv) -> Value {
    env.run(["cache", "doctor", "--fix", "-y", "--json"])
        .ok()
        .json()
}

/// The kinds of problems found, each once.
pub fn kinds(env: &TestEnv, code: i32) -> Vec<String> {
    let found = findings(env, code).into_iter();
    let mut kinds: Vec<String> = found
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect();
    kinds.dedup();
    kinds
}

#[test]
fn a_cache_with_absolute_links_may_be_moved() {
    for has_listing in [true, false] {
        let env = TestEnv::new();
        let (repo, first, second) = repository(&env);
        let right = tree_of(env.cache());
        if has_listing {
            repo.listing(&first, []).listing(&second, []);
        }
        for link in links(&repo) {
            let target = Path::new("/mnt/disk of old/hub/models--org--name/blobs");
            let target = target.join(fs::canonicalize(&link).unwrap().file_name().unwrap());
            fs::remove_file(&link).unwrap();
            symlink(target, &link).unwrap();
        }
        assert_eq!(kinds(&env, 1), ["broken-link"]);
        assert_eq!(fix(&env)["freed_bytes"], 0);
        fs::remove_dir_all(repo.root().join("trees")).unwrap_or_default();
        assert_eq!(tree_of(env.cache()), right, "listing: {has_listing}");
        assert_eq!(findings(&env, 0), Vec::<Value>::new());
    }
}

#[test]
fn links_that_a_copy_has_left_out_are_made_again_by_the_listings() {
    // As `rsync` without links leaves it; as `zip` does, which keeps no empty folders; and without the
    // folder itself.
    for level in ["links", "folders", "snapshots"] {
        let env = TestEnv::new();
        let (repo, first, second) = repository(&env);
        repo.listing(&first, [("never-fetched.bin", 10)])
            .listing(&second, []);
        let right = tree_of(env.cache());
        for link in links(&repo) {
            fs::remove_file(link).unwrap();
        }
        let snapshots = repo.root().join("snapshots");
        if level != "links" {
            fs::remove_dir_all(&snapshots).unwrap();
        }
        if level == "folders" {
            fs::create_dir(&snapshots).unwrap();
        }
        let found = kinds(&env, 1);
        assert!(found.contains(&"lost-link".to_owned()), "{level} {found:?}");
        assert!(
            !found.contains(&"dangling-ref".to_owned()),
            "{level} {found:?}"
        );
        assert_eq!(fix(&env)["freed_bytes"], 0);
        assert_eq!(tree_of(env.cache()), right, "{level}");
        assert_eq!(findings(&env, 0), Vec::<Value>::new(), "{level}");
    }
}

#[test]
fn without_links_and_listings_nothing_is_removed() {
    for level in ["links", "folders", "snapshots"] {
        let env = TestEnv::new();
        let (repo, ..) = repository(&env);
        let blobs = tree_of(repo.root().join("blobs"));
        for node in &blobs {
            make_old(&repo.blob(&node.path));
        }
        for link in links(&repo) {
            fs::remove_file(link).unwrap();
        }
        if level != "links" {
            fs::remove_dir_all(repo.root().join("snapshots")).unwrap();
        }
        if level == "folders" {
            fs::create_dir(repo.root().join("snapshots")).unwrap();
        }
        for _ in 0..3 {
            let _ = env.run(["cache", "doctor", "--fix", "-y"]);
            assert_eq!(tree_of(repo.root().join("blobs")), blobs, "{level}");
        }
    }
}

/// Links whose text names no blob: it is unknown which of the blobs they need.
#[test]
fn links_that_name_no_blob_keep_all_blobs() {
    let env = TestEnv::new();
    let (repo, first, _) = repository(&env);
    let blobs = tree_of(repo.root().join("blobs"));
    let link = repo.file(&first, "onnx/decoder/model.bin");
    fs::remove_file(&link).unwrap();
    symlink("/mnt/elsewhere/file", &link).unwrap();
    for _ in 0..2 {
        env.run(["cache", "doctor", "--fix", "-y"]).fails(1);
        assert_eq!(tree_of(repo.root().join("blobs")), blobs);
    }
    // The hash alone is enough.
    fs::remove_file(&link).unwrap();
    let etag = blob_name(FILES[2].0, FILES[2].1);
    symlink(Path::new("/mnt/elsewhere").join(&etag), &link).unwrap();
    fix(&env);
    assert_eq!(fs::read_to_string(&link).unwrap(), FILES[2].1);
}

/// A ref to a snapshot that is gone and that no listing describes: blobs without links may be its own.
/// The ref is moved to where no program reads it, and still keeps them.
#[test]
fn a_ref_keeps_blobs_that_may_be_of_its_snapshot() {
    let env = TestEnv::new();
    let (repo, first, _) = repository(&env);
    fs::remove_dir_all(repo.root().join("snapshots").join(&first)).unwrap();
    let blobs = tree_of(repo.root().join("blobs"));
    for _ in 0..3 {
        env.run(["cache", "doctor", "--fix", "-y"]).ok();
        assert_eq!(tree_of(repo.root().join("blobs")), blobs);
    }
    let kept = repo.root().join("set-aside/main");
    assert_eq!(fs::read_to_string(&kept).unwrap(), first);
    assert_eq!(
        env.run(["cache", "ls", "-q"]).ok().stdout(),
        "model/org/name\n"
    );
    // The next download brings the snapshot back: what is not in it is an orphan then.
    repo.commit(FILES);
    fs::write(repo.blob(&"7".repeat(40)), "an orphan").unwrap();
    fix(&env);
    assert_eq!(tree_of(repo.root().join("blobs")), blobs);
}

#[test]
fn what_was_not_asked_for_is_not_linked() {
    let env = TestEnv::new();
    let (repo, first, second) = repository(&env);
    repo.listing(&first, []).listing(&second, []);
    // Downloaded with a pattern: the blob is here for the other revision.
    fs::remove_file(repo.file(&second, "model.safetensors")).unwrap();
    assert_eq!(findings(&env, 0), Vec::<Value>::new());
}

#[test]
fn a_link_is_made_to_the_blob_that_the_listing_names() {
    let env = TestEnv::new();
    let (repo, first, second) = repository(&env);
    repo.listing(&first, []).listing(&second, []);
    let link = repo.file(&second, "config.json");
    let right = fs::read_link(&link).unwrap();
    fs::remove_file(&link).unwrap();
    // To the file of the same name of the other revision, from before the move.
    let wrong = fs::read_link(repo.file(&first, "config.json")).unwrap();
    let wrong = Path::new("/old/models--org--name/blobs").join(wrong.file_name().unwrap());
    symlink(wrong, &link).unwrap();
    fix(&env);
    assert_eq!(fs::read_link(&link).unwrap(), right);
}

/// Copied with absolute links: they lead to the original cache for as long as that exists.
#[test]
fn a_copy_does_not_need_its_original() {
    let env = TestEnv::new();
    let (repo, ..) = repository(&env);
    let original = env.path("original");
    for link in links(&repo) {
        let blob = fs::canonicalize(&link).unwrap();
        let place = original.join(blob.strip_prefix(env.cache()).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&blob, &place).unwrap();
        make_old(&blob);
        fs::remove_file(&link).unwrap();
        symlink(place, &link).unwrap();
    }
    let before = tree_of(repo.root().join("blobs"));
    let outside = tree_of(&original);
    assert_eq!(kinds(&env, 0), ["unlinked-blob"]);
    fix(&env);
    assert_eq!(tree_of(repo.root().join("blobs")), before);
    assert_eq!(tree_of(&original), outside);
    fs::remove_dir_all(&original).unwrap();
    assert_eq!(findings(&env, 0), Vec::<Value>::new());
}

#[test]
fn an_orphan_is_named_before_it_is_removed_alone() {
    let env = TestEnv::new();
    let (repo, first, second) = repository(&env);
    repo.listing(&first, []).listing(&second, []);
    let before = tree_of(env.cache());
    let orphans: Vec<String> = (10..40)
        .map(|number| format!("{number}").repeat(20))
        .collect();
    for name in &orphans {
        fs::write(repo.blob(name), "1234567").unwrap();
    }
    let output = env.run(["cache", "doctor", "--fix", "-y"]).ok();
    for name in &orphans {
        let line = format!("models--org--name/blobs/{name}  7.0");
        assert!(output.stderr().contains(&line), "{line}\n{output}");
    }
    assert_eq!(tree_of(env.cache()), before);
}

#[test]
fn a_blob_of_the_wrong_length_is_found_without_reading_it() {
    for (what, cut, has_listing, is_elsewhere) in [
        ("empty, by its name", 0, false, false),
        ("empty", 0, true, false),
        ("short", 5, true, false),
        ("short, and whole in another repository", 5, true, true),
    ] {
        let env = TestEnv::new();
        let tree = CacheTree::at(env.cache());
        let (repo, first, second) = repository(&env);
        if has_listing {
            repo.listing(&first, []).listing(&second, []);
        }
        if is_elsewhere {
            tree.model("org/other")
                .main([("x.safetensors", FILES[1].1)]);
        }
        assert_eq!(findings(&env, 0), Vec::<Value>::new(), "{what}");
        let right = tree_of(env.cache());
        let blob = repo.blob(&blob_name(FILES[1].0, FILES[1].1));
        let whole = fs::read(&blob).unwrap();
        fs::write(&blob, &whole[..cut]).unwrap();
        assert_eq!(kinds(&env, 1), ["wrong-size"], "{what}");
        fix(&env);
        if is_elsewhere {
            assert_eq!(tree_of(env.cache()), right, "{what}");
            continue;
        }
        assert!(!blob.exists(), "{what}");
        for commit in [&first, &second] {
            assert!(!repo.file(commit, FILES[1].0).is_symlink(), "{what}");
            assert!(repo.file(commit, "config.json").exists(), "{what}");
        }
        assert_eq!(findings(&env, 0), Vec::<Value>::new(), "{what}");
    }
}

/// A running download stops removals, but no link from being made.
#[test]
fn links_are_made_during_a_download() {
    let env = TestEnv::new();
    let (repo, first, second) = repository(&env);
    repo.listing(&first, []).listing(&second, []);
    let right = tree_of(env.cache());
    fs::remove_file(repo.file(&first, "tokenizer/vocab.txt")).unwrap();
    let lock = env.cache().join(".locks/models--org--name/x.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let held = Held::at(&lock);
    fix(&env);
    fs::remove_dir_all(env.cache().join(".locks")).unwrap();
    assert_eq!(tree_of(env.cache()), right);
    drop(held);
}

/// Every transformers 4 writes it into the root of the cache.
#[test]
fn the_version_that_transformers_writes_is_no_damage() {
    let env = TestEnv::new();
    repository(&env);
    CacheTree::at(env.cache()).stray_file("version.txt", "1");
    assert_eq!(findings(&env, 0), Vec::<Value>::new());
    for args in [
        &["cache", "ls", "--show-warnings"][..],
        &["cache", "verify", "--all"],
        &["cache", "scan", "-vvv"],
    ] {
        let output = env.run(args).ok();
        assert!(!output.stderr().contains("Warning"), "{output}");
    }
    // A folder of that name is not from transformers.
    fs::remove_file(env.cache().join("version.txt")).unwrap();
    fs::create_dir(env.cache().join("version.txt")).unwrap();
    assert_eq!(kinds(&env, 1), ["unknown-entry"]);
}
