//! What a deletion announces as freed is what the disk gets back: hard links, shared blobs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::cache::rm::cache;
use crate::harness::TestEnv;
use crate::harness::cache::{CacheTree, abandon};
use crate::harness::tree::tree_of;

#[test]
fn what_is_freed_is_what_the_disk_gets_back() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let repo = env.cache().join("models--Org--name");
    let old_blob = fs::canonicalize(repo.join("snapshots").join(&old).join("old.bin")).unwrap();
    fs::hard_link(&old_blob, env.path("a-backup")).unwrap();
    fs::write(repo.join("blobs").join("0".repeat(40)), "1234567890").unwrap();
    let output = env.run(["cache", "rm", &old, "-y", "--json"]).ok();
    assert_eq!(
        output.json()["freed_bytes"],
        0,
        "the backup keeps the bytes"
    );
    let output = env
        .run(["cache", "rm", "model/org/name", "-y", "--json"])
        .ok();
    assert_eq!(output.json()["freed_bytes"], 18, "with the orphan");
}

#[test]
fn a_shared_blob_is_removed_with_its_last_user() {
    let env = TestEnv::new();
    let hash = "ab".repeat(32);
    let store = env.cache().join("blobs/ab");
    fs::create_dir_all(&store).unwrap();
    fs::write(env.cache().join("blobs/.huggingface-shared-blobs"), "1\n").unwrap();
    let (shared_blob, manifest) = (store.join(&hash), store.join(format!("{hash}.refs")));
    fs::write(&shared_blob, "12345").unwrap();
    for name in ["a", "b"] {
        let repo = env.cache().join(format!("models--{name}"));
        fs::create_dir_all(repo.join("snapshots/c")).unwrap();
        fs::create_dir_all(repo.join("blobs")).unwrap();
        symlink(format!("../../blobs/ab/{hash}"), repo.join("blobs/x")).unwrap();
        symlink("../../blobs/x", repo.join("snapshots/c/f")).unwrap();
    }
    fs::write(&manifest, "models--a/blobs/x\nmodels--b/blobs/x\n").unwrap();
    let output = env.run(["cache", "rm", "model/a", "-y", "--json"]).ok();
    assert_eq!(output.json()["freed_bytes"], 0);
    assert_eq!(
        fs::read_to_string(&manifest).unwrap(),
        "models--b/blobs/x\n"
    );
    let output = env.run(["cache", "rm", "model/b", "-y", "--json"]).ok();
    assert_eq!(output.json()["freed_bytes"], 5);
    assert!(!shared_blob.exists() && !manifest.exists());
    assert!(store.join(format!("{hash}.lock")).exists(), "locks stay");

    fs::write(&shared_blob, "123").unwrap();
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(
        output.stdout(),
        "",
        "without a manifest the users are unknown"
    );
    // Nor when the last visible user is removed: another cache may be mounted there.
    let repo = env.cache().join("models--c");
    fs::create_dir_all(repo.join("snapshots/c")).unwrap();
    fs::create_dir_all(repo.join("blobs")).unwrap();
    symlink(format!("../../blobs/ab/{hash}"), repo.join("blobs/x")).unwrap();
    symlink("../../blobs/x", repo.join("snapshots/c/f")).unwrap();
    let output = env.run(["cache", "rm", "model/c", "-y", "--json"]).ok();
    assert_eq!(output.json()["freed_bytes"], 0);
    assert_eq!(fs::read_to_string(&shared_blob).unwrap(), "123");
    assert!(!repo.exists());
    fs::write(&manifest, "models--b/blobs/x\n").unwrap();
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.json()["shared_blobs_deleted"], 1);
    assert!(!shared_blob.exists());
}

/// What `du` counts: blocks on the disk, a file with two names once.
fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut seen = std::collections::BTreeMap::new();
    for node in tree_of(path) {
        let meta = fs::symlink_metadata(path.join(node.path)).unwrap();
        if meta.is_file() {
            seen.insert((meta.dev(), meta.ino()), meta.blocks() * 512);
        }
    }
    seen.values().sum()
}

#[test]
fn du_sees_what_was_announced() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    // Whole blocks, so that what is announced in bytes is what the disk counts in blocks.
    let text = |blocks: usize, letter: &str| letter.repeat(blocks * 65_536);
    let (shared, own, linked) = (text(1, "s"), text(2, "o"), text(3, "l"));
    let hash = "ab".repeat(32);
    tree.stray_file("blobs/.huggingface-shared-blobs", "1\n")
        .stray_file(&format!("blobs/ab/{hash}"), &shared)
        .stray_file(
            &format!("blobs/ab/{hash}.refs"),
            "models--org--a/blobs/x\nmodels--org--b/blobs/x\n",
        );
    for id in ["org/a", "org/b"] {
        let repo = tree.model(id);
        let commit = repo.main([("own", &own), ("linked", &linked)]);
        symlink(format!("../../blobs/ab/{hash}"), repo.blob("x")).unwrap();
        symlink("../../blobs/x", repo.file(&commit, "shared")).unwrap();
        // Hard links: one of them between two repositories, one to a place outside of the cache.
        let blob = fs::canonicalize(repo.file(&commit, "linked")).unwrap();
        if id == "org/a" {
            fs::hard_link(&blob, env.path("backup")).unwrap();
        } else {
            let own_blob = fs::canonicalize(repo.file(&commit, "own")).unwrap();
            let twin = tree
                .model("org/a")
                .blob(own_blob.file_name().unwrap().to_str().unwrap());
            fs::remove_file(&own_blob).unwrap();
            fs::hard_link(twin, &own_blob).unwrap();
        }
    }
    tree.model("org/b").abandoned("y.hf-sparse", &text(1, "p"));
    for args in [
        &["cache", "rm", "model/org/a", "-y", "--json"][..],
        &["cache", "prune", "-y", "--json"],
        &["cache", "rm", "model/org/b", "-y", "--json"],
    ] {
        let before = disk_usage(env.root());
        let announced = env.run(args).ok().json()["freed_bytes"].as_u64().unwrap();
        let freed = before - disk_usage(env.root());
        // Manifests, locks and refs take a block or two and are not content.
        assert!(
            freed.abs_diff(announced) < 65_536,
            "{args:?} {freed} {announced}"
        );
    }
}

/// A file with holes counts by its length, as `cache ls` shows it; an unfinished download, which has holes from the
/// start, by what the disk gains.
#[test]
fn a_file_with_holes_counts_by_its_length() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/holes");
    let commit = repo.main([("f", "12345")]);
    let file = fs::File::options();
    let file = file.clone().write(true).open(repo.file(&commit, "f"));
    file.unwrap().set_len(10_000_000).unwrap();
    for name in ["abc.incomplete", "def.hf-sparse"] {
        fs::write(repo.blob(name), [7; 100_000]).unwrap();
        let part = fs::File::options().write(true).open(repo.blob(name));
        part.unwrap().set_len(50_000_000).unwrap();
        abandon(&repo.blob(name));
    }
    assert!(disk_usage(&env.cache()) < 1_000_000, "no holes here");
    let listed = env.run(["cache", "ls", "--json"]).ok().json();
    assert_eq!(listed[0]["size_bytes"], 10_000_000);
    // Blocks of a disk are a power of two; 100,000 bytes take no more than 131,072.
    let two_partials = 200_000..=262_144;
    let freed = |args: &[&str], key: &str| env.run(args).ok().json()[key].as_u64().unwrap();
    let prune = ["cache", "prune", "--dry-run", "--json"];
    let announced = freed(&prune, "size_bytes");
    assert!(two_partials.contains(&announced), "{announced}");
    let rm = ["cache", "rm", "model/org/holes", "--dry-run", "--json"];
    let announced = freed(&rm, "size_bytes") - 10_000_000;
    assert!(two_partials.contains(&announced), "{announced}");
    let rows = env.run(["cache", "doctor", "--json"]).json();
    let rows = rows.as_array().expect("rows");
    let sizes = rows.iter().filter(|row| row["problem"] == "unfinished");
    let sizes: u64 = sizes.filter_map(|row| row["size_bytes"].as_u64()).sum();
    assert!(two_partials.contains(&sizes), "{rows:?}");
    let deleted = freed(&["cache", "prune", "-y", "--json"], "freed_bytes");
    assert!(two_partials.contains(&deleted), "{deleted}");
    let deleted = freed(
        &["cache", "rm", "model/org/holes", "-y", "--json"],
        "freed_bytes",
    );
    assert_eq!(deleted, 10_000_000);
}
