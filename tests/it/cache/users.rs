//! The cache of a user without all permissions: unreadable and unwritable folders, shared
//! caches whose folders hand on their group.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::harness::cache::CacheTree;
use crate::harness::hub::{Hub, Repo};
use crate::harness::oracle::root;
use crate::harness::{Output, TestEnv};

/// A user without rights, by number: Debian's `nobody`.
pub const STRANGER: u32 = 65534;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `hf` as a user to whom modes apply. They do not apply to root, who becomes another user first:
/// one that owns the whole folder of the test.
pub fn as_stranger(env: &TestEnv, arguments: &[&str]) -> Output {
    if !is_root() {
        return env.hf(arguments).run();
    }
    give(env.root(), STRANGER);
    become_stranger(env, arguments)
}

/// Runs `hf` as another user, who owns nothing. Only for root.
pub fn become_stranger(env: &TestEnv, arguments: &[&str]) -> Output {
    // The program itself may be where only root can read.
    let program = env.path("program");
    if !program.exists() {
        env.install("program");
    }
    env.program(program, arguments).user(STRANGER).run()
}

/// Makes a user, by number, the owner of everything below a path.
pub fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("owner");
    let is_folder = fs::symlink_metadata(path).expect("entry").is_dir();
    for entry in is_folder
        .then(|| fs::read_dir(path).expect("folder"))
        .into_iter()
        .flatten()
    {
        give(&entry.expect("entry").path(), user);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_skipped() {
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    cache.model("o/open").main([("f", "x")]);
    let closed = cache.model("o/closed");
    closed.main([("f", "y")]);
    chmod(closed.root(), 0o000);
    for command in [
        &["cache", "ls", "-q"][..],
        &["cache", "ls", "--revisions"],
        &["cache", "scan"],
    ] {
        let output = as_stranger(&env, command).fails(1);
        assert!(output.stdout().lines().count() >= 1, "{output}");
        assert!(!output.stdout().contains("closed"), "{output}");
        assert!(output.stderr().contains("models--o--closed"), "{output}");
    }
    chmod(closed.root(), 0o755);
    let output = as_stranger(&env, &["cache", "ls", "-q"]).ok();
    assert_eq!(output.stdout(), "model/o/closed\nmodel/o/open\n");
}

#[test]
fn what_cannot_be_deleted_is_named_and_the_cache_stays_whole() {
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    let repo = cache.model("o/name");
    repo.main([("f", "x")]);
    for folder in ["refs", "snapshots", "blobs", ""] {
        chmod(&repo.root().join(folder), 0o555);
    }
    let output = as_stranger(&env, &["cache", "rm", "model/o/name", "--yes"]).fails(1);
    assert!(output.stderr().contains("permission denied"), "{output}");
    let listed = as_stranger(&env, &["cache", "ls", "-q"]).ok();
    assert_eq!(listed.stdout(), "model/o/name\n");
}

#[test]
fn a_read_only_folder_is_an_error_that_says_so() {
    let hub = Hub::start();
    hub.add(Repo::model("o/name").file("f", "x"));
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.cache()).unwrap();
    chmod(&env.cache(), 0o555);
    let output = as_stranger(&env, &["download", "o/name"]).fails(1);
    assert!(output.stderr().contains("permission denied"), "{output}");
    assert!(output.stderr().contains("Hint: check who owns"), "{output}");
    assert_eq!(fs::read_dir(env.cache()).unwrap().count(), 0);
}

#[test]
fn a_group_shares_what_is_downloaded() {
    let hub = Hub::start();
    hub.add(Repo::model("o/name").file("d/f", "x").lfs("l", "large"));
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.cache()).unwrap();
    // A setgid folder hands its group on; only root may give it one that it is not in.
    let group = if is_root() {
        STRANGER
    } else {
        fs::metadata(env.cache()).unwrap().gid()
    };
    std::os::unix::fs::chown(env.cache(), None, Some(group)).unwrap();
    chmod(&env.cache(), 0o2775);
    let script = "umask 002 && exec \"$HF\" download o/name";
    env.program("sh", ["-c", script])
        .var("HF", env!("CARGO_BIN_EXE_hf"))
        .run()
        .ok();
    let mut looked_at = 0;
    for node in crate::harness::tree_of(env.cache()) {
        let metadata = fs::symlink_metadata(env.cache().join(&node.path)).unwrap();
        let mode = metadata.mode() & 0o7777;
        assert_eq!(metadata.gid(), group, "{node}");
        if metadata.is_dir() {
            assert_eq!(mode, 0o2775, "{node}");
        } else if metadata.is_file() {
            assert_eq!(mode, 0o664, "{node}");
        }
        looked_at += 1;
    }
    assert!(looked_at > 10);
}

#[test]
fn doctor_names_what_belongs_to_another_user() {
    let Some(()) = root("folders of another user") else {
        return;
    };
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    cache.model("o/mine").main([("f", "x")]);
    let theirs = cache.model("o/theirs");
    theirs.main([("f", "x")]);
    as_stranger(&env, &["cache", "doctor"]).ok();
    // As after `sudo hf download`: readable, and nothing more can be downloaded into it.
    std::os::unix::fs::chown(theirs.root(), Some(0), Some(0)).expect("owner");
    chmod(theirs.root(), 0o755);
    let output = become_stranger(&env, &["cache", "doctor", "--json"]).fails(1);
    let rows = output.json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{output}");
    assert_eq!(rows[0]["problem"], "no-access");
    assert_eq!(rows[0]["repo"], "model/o/theirs");
    assert_eq!(rows[0]["detail"], "belongs to user 0");
    // A folder that can be listed and not entered is as bad.
    chmod(theirs.root(), 0o777);
    give(&theirs.root().join("snapshots"), 0);
    chmod(&theirs.root().join("snapshots"), 0o776);
    let rows = become_stranger(&env, &["cache", "doctor", "--json"])
        .fails(1)
        .json();
    let barred = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(
        barred.iter().any(|row| row["problem"] == "no-access"),
        "{rows}"
    );
    chmod(&theirs.root().join("snapshots"), 0o777);
    // A cache that is only read needs no more permissions.
    chmod(theirs.root(), 0o755);
    chmod(&env.cache(), 0o555);
    become_stranger(&env, &["cache", "doctor"]).ok();
}

#[test]
fn doctor_says_what_only_other_users_can_open_for_the_group() {
    let Some(()) = root("folders of another user") else {
        return;
    };
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    let mine = cache.model("o/mine");
    mine.main([("f", "x")]);
    give(env.root(), STRANGER);
    let theirs = cache.model("o/theirs");
    theirs.main([("f", "x")]);
    let all = |change: &dyn Fn(&Path)| {
        for node in crate::harness::tree_of(env.cache()) {
            let path = env.cache().join(&node.path);
            if !path.is_symlink() {
                change(&path);
            }
        }
        change(&env.cache());
    };
    all(&|path| {
        let owner = if path.starts_with(theirs.root()) {
            0
        } else {
            STRANGER
        };
        std::os::unix::fs::chown(path, Some(owner), Some(STRANGER)).expect("owner");
        chmod(path, if path.is_dir() { 0o2775 } else { 0o664 });
    });
    become_stranger(&env, &["cache", "doctor"]).ok();
    // The group cannot write, and only the owner can change that.
    chmod(&theirs.root().join("refs"), 0o2755);
    let rows = become_stranger(&env, &["cache", "doctor", "--json"])
        .fails(1)
        .json();
    let said: Vec<_> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["problem"].as_str(), row["detail"].as_str()))
        .collect();
    let expected = [
        (Some("modes"), Some("files and folders of other users: 1")),
        (Some("no-access"), Some("belongs to user 0")),
    ];
    for one in expected {
        assert!(said.contains(&one), "{rows:#}");
    }
}
