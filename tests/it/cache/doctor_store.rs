//! `hf cache doctor --fix` and contents that are elsewhere in the cache: in another repository, or in the
//! shared store.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cache::doctor::findings;
use crate::cache::doctor_relink::{fix, links};
use crate::harness::TestEnv;
use crate::harness::cache::{CacheTree, CachedRepo, blob_name};
use crate::harness::tree::tree_of;

/// The hash by which the store names the shared blob of these tests.
fn hash() -> String {
    "ab".repeat(32)
}

/// The row of a listing for a file whose content is that shared blob.
fn in_store(etag: &str, text: &str) -> Value {
    json!({"size": text.len(), "blob_id": "0".repeat(40), "lfs_sha256": etag,
        "lfs_size": text.len(), "xet_hash": hash()})
}

/// Writes the listing of a commit.
fn list(repo: &CachedRepo, commit: &str, files: &Value) {
    let listing = json!({"format_version": 1, "files": files});
    let trees = repo.root().join("trees");
    fs::create_dir_all(&trees).unwrap();
    fs::write(trees.join(format!("{commit}.json")), listing.to_string()).unwrap();
}

/// A link to a shared blob that is gone: huggingface_hub up to 1.0.1 deletes it with the first repository
/// that used it, although others still do. Returns the path of the shared blob.
fn store_link(env: &TestEnv, repo: &CachedRepo, etag: &str) -> PathBuf {
    let tree = CacheTree::at(env.cache());
    tree.stray_file("blobs/.huggingface-shared-blobs", "1\n");
    let hash = hash();
    let manifest = format!("blobs/ab/{hash}.refs");
    tree.stray_file(&manifest, &format!("models--org--name/blobs/{etag}\n"));
    fs::remove_file(repo.blob(etag)).unwrap_or_default();
    symlink(format!("../../blobs/ab/{hash}"), repo.blob(etag)).unwrap();
    env.cache().join("blobs/ab").join(hash)
}

#[test]
fn a_blob_that_another_repository_has_is_taken_from_there() {
    let text = "the same weights";
    let etag = blob_name("model.bin", text);
    for is_damaged in [false, true] {
        let env = TestEnv::new();
        let tree = CacheTree::at(env.cache());
        let other = tree.dataset("org/other");
        let there = other.main([("same.bin", text)]);
        if is_damaged {
            other.damage_blob(&there, "same.bin");
        }
        let repo = tree.model("org/name");
        let commit = repo.main([("config.json", "{}"), ("model.bin", text)]);
        let right = tree_of(repo.root().join("snapshots"));
        store_link(&env, &repo, &etag);
        let found = env.run(["cache", "doctor", "--json"]).fails(1).json();
        let row = &found[0];
        assert_eq!(
            (&row["problem"], &row["fixable"]),
            (&json!("lost-blob"), &json!(true))
        );
        let detail = row["detail"].as_str().unwrap();
        assert!(detail.contains("huggingface_hub up to 1.0.1"), "{detail}");
        let output = env.run(["cache", "doctor", "--fix", "-y"]);
        let file = repo.file(&commit, "model.bin");
        if is_damaged {
            let output = output.fails(1);
            assert!(output.stderr().contains("is damaged too"), "{output}");
            assert!(!file.exists() && file.is_symlink());
            continue;
        }
        output.ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(tree_of(repo.root().join("snapshots")), right);
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(
            inode(file),
            inode(other.file(&there, "same.bin")),
            "no disk space is needed"
        );
        assert_eq!(fs::read_dir(repo.root().join("blobs")).unwrap().count(), 2);
        env.run(["cache", "rm", "dataset/org/other", "-y"]).ok();
        assert_eq!(
            fs::read_to_string(repo.file(&commit, "model.bin")).unwrap(),
            text
        );
    }
}

#[test]
fn what_is_nowhere_else_is_explained_and_its_link_removed() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    let commit = repo.main([("config.json", "{}"), ("model.bin", "weights")]);
    store_link(&env, &repo, &blob_name("model.bin", "weights"));
    let shown = env.run(["cache", "doctor"]).fails(1);
    assert!(
        shown.stdout().contains("huggingface_hub up to 1.0.1"),
        "{shown}"
    );
    fix(&env);
    assert!(!repo.file(&commit, "model.bin").is_symlink());
    assert!(repo.file(&commit, "config.json").exists());
    assert_eq!(findings(&env, 0), Vec::<Value>::new());
}

/// A copy without links has lost the links from a repository into the store as well. The shared blob has
/// no user then, and it must not be removed.
#[test]
fn links_into_the_shared_store_are_made_again() {
    let text = "weights in the store";
    let etag = blob_name("model.bin", text);
    for is_left_out in [true, false] {
        let env = TestEnv::new();
        let repo = CacheTree::at(env.cache()).model("org/name");
        let commit = repo.main([("config.json", "{}"), ("model.bin", text)]);
        let shared_blob = store_link(&env, &repo, &etag);
        fs::write(&shared_blob, text).unwrap();
        let hash = shared_blob.file_name().unwrap().to_str().unwrap();
        let listing = json!({
            "config.json": {"size": 2, "blob_id": blob_name("config.json", "{}")},
            "model.bin": in_store(&etag, text),
        });
        list(&repo, &commit, &listing);
        let right = tree_of(env.cache());
        if is_left_out {
            for link in links(&repo) {
                fs::remove_file(link).unwrap();
            }
            fs::remove_file(repo.blob(&etag)).unwrap();
        } else {
            // Moved, with absolute links.
            fs::remove_file(repo.blob(&etag)).unwrap();
            let old = Path::new("/old/hub/blobs/ab").join(hash);
            symlink(old, repo.blob(&etag)).unwrap();
        }
        assert_eq!(fix(&env)["freed_bytes"], 0);
        let shown = |nodes: Vec<crate::harness::tree::Node>| -> Vec<String> {
            let nodes = nodes.iter().filter(|node| !node.path.ends_with(".lock"));
            // The manifest may name the link twice; the store sets its own modes.
            nodes
                .filter(|node| !node.path.ends_with(".refs"))
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            shown(tree_of(env.cache())),
            shown(right),
            "left out: {is_left_out}"
        );
        assert!(
            !findings(&env, 0)
                .iter()
                .any(|row| row[0] == "unused-shared-blob")
        );
        env.run(["cache", "prune", "-y"]).ok();
        assert_eq!(
            fs::read_to_string(repo.file(&commit, "model.bin")).unwrap(),
            text
        );
    }
}

/// In a copy without links the shared blob has no user left; the listing still names it.
#[test]
fn a_shared_blob_that_a_listing_names_is_kept() {
    let text = "weights in the store";
    let etag = blob_name("model.bin", text);
    let hash = hash();
    // Why the shared blob has no users: its links were lost, or the last other user was removed.
    for (command, has_other) in [
        (&["cache", "prune", "-y"][..], false),
        (&["cache", "rm", "dataset/o/other", "-y"], true),
    ] {
        let env = TestEnv::new();
        let tree = CacheTree::at(env.cache());
        let repo = tree.model("org/name");
        let commit = repo.main([("config.json", "{}"), ("model.bin", text)]);
        let shared_blob = store_link(&env, &repo, &etag);
        fs::write(&shared_blob, text).unwrap();
        let listing = json!({
            "config.json": {"size": 2, "blob_id": blob_name("config.json", "{}")},
            "model.bin": in_store(&etag, text),
        });
        list(&repo, &commit, &listing);
        for link in links(&repo) {
            fs::remove_file(link).unwrap();
        }
        fs::remove_file(repo.blob(&etag)).unwrap();
        let other = tree.dataset("o/other");
        if has_other {
            let there = other.main([("same.bin", text)]);
            assert!(other.file(&there, "same.bin").exists());
            fs::remove_file(other.blob(&etag)).unwrap();
            symlink(format!("../../blobs/ab/{hash}"), other.blob(&etag)).unwrap();
            let manifest = format!("datasets--o--other/blobs/{etag}\n");
            tree.stray_file(&format!("blobs/ab/{hash}.refs"), &manifest);
        } else {
            fs::remove_dir_all(other.root()).unwrap();
        }
        let output = env.run(command).ok();
        assert!(shared_blob.exists(), "{output}");
        assert!(!other.root().exists());
        let words = format!("blobs/ab/{hash} (20.0) is kept: model/org/name lists");
        assert!(output.stderr().contains(&words), "{output}");
        if has_other {
            assert!(output.stdout().contains("0.0 freed"), "{output}");
        }
        let shown = env.run(["cache", "ls"]).ok();
        assert!(!shown.stderr().contains("hf cache prune"), "{shown}");
        fix(&env);
        assert_eq!(
            fs::read_to_string(repo.file(&commit, "model.bin")).unwrap(),
            text
        );
        let output = env.run(["cache", "prune", "-y"]).ok();
        assert!(!output.stderr().contains("is kept"), "{output}");
        // With the repository goes what its own listing names.
        let output = env.run(["cache", "rm", "model/org/name", "-y"]).ok();
        assert!(!output.stderr().contains("is kept"), "{output}");
        assert!(!shared_blob.exists(), "{output}");
    }
}

/// A repository with a file of its own does not need the shared blob.
#[test]
fn a_shared_blob_that_the_listing_repository_has_itself_is_removed() {
    let text = "weights";
    let etag = blob_name("model.bin", text);
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let repo = tree.model("org/name");
    let commit = repo.main([("model.bin", text)]);
    let shared_blob = store_link(&env, &repo, &etag);
    fs::write(&shared_blob, text).unwrap();
    fs::remove_file(repo.blob(&etag)).unwrap();
    fs::write(repo.blob(&etag), text).unwrap();
    list(&repo, &commit, &json!({"model.bin": in_store(&etag, text)}));
    let output = env.run(["cache", "prune", "-y"]).ok();
    assert!(!shared_blob.exists(), "{output}");
    assert!(repo.file(&commit, "model.bin").exists());
}

/// The listing that would name the shared blob is damaged: it may name it, so it stays.
#[test]
fn an_unreadable_listing_keeps_shared_blobs_without_users() {
    let text = "weights in the store";
    let etag = blob_name("model.bin", text);
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let repo = tree.model("org/name");
    let commit = repo.main([("config.json", "{}")]);
    let shared_blob = store_link(&env, &repo, &etag);
    fs::write(&shared_blob, text).unwrap();
    fs::remove_file(repo.blob(&etag)).unwrap();
    let listing = repo.root().join("trees").join(format!("{commit}.json"));
    fs::create_dir(listing.parent().unwrap()).unwrap();
    fs::write(&listing, "{\"format_version\": 1, \"fil").unwrap();
    let shown = env.run(["cache", "ls"]).ok();
    assert!(!shown.stderr().contains("hf cache prune"), "{shown}");
    let output = env.run(["cache", "prune", "-y"]).ok();
    let words = "is kept: a listing of model/org/name cannot be read and may name it";
    assert!(output.stderr().contains(words), "{output}");
    let found = findings(&env, 0);
    let row = |kind: &str| found.iter().find(|row| row[0] == kind).cloned();
    assert!(row("unreadable-listing").is_some(), "{found:?}");
    assert!(row("unused-shared-blob").is_some(), "{found:?}");
    env.run(["cache", "doctor", "--fix", "-y"]).ok();
    assert!(shared_blob.exists());
    // Without the listing nothing can name it.
    fs::remove_file(&listing).unwrap();
    env.run(["cache", "prune", "-y"]).ok();
    assert!(!shared_blob.exists());
}
