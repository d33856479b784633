//! Deletion during downloads: what a process writes stays, whichever program it is and whatever the
//! file system answers about its locks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::harness::cache::{CacheTree, CachedRepo, abandon};
use crate::harness::process::Invocation;
use crate::harness::shim::shim;
use crate::harness::tree::tree_of;
use crate::harness::{Held, Output, TestEnv};

/// All commands that delete, so that they remove everything that is not in use.
const COMMANDS: [&[&str]; 5] = [
    &["cache", "prune", "-y"],
    &["cache", "prune", "--max-size", "0k", "-y"],
    &["cache", "prune", "--older-than", "0d", "-y"],
    &["cache", "rm", "model/org/name", "-y"],
    &["cache", "doctor", "--fix", "-y"],
];

/// A sound repository, and the folder of its locks.
fn repo(env: &TestEnv) -> (CachedRepo, PathBuf) {
    let repo = CacheTree::at(env.cache()).model("org/name");
    repo.main([("f", "x")]);
    let locks = env.cache().join(".locks/models--org--name");
    fs::create_dir_all(&locks).unwrap();
    (repo, locks)
}

fn locked(path: &Path) -> Held {
    Held::at(path)
}

/// A file system that the shim simulates.
#[derive(Clone, Copy, Debug)]
enum Locks {
    /// The real one.
    Here,
    /// An exclusive lock needs a descriptor open for writing: NFSv4, CIFS.
    ForWriters,
    /// Every lock fails.
    Fail(Errno),
    /// Every process gets every lock.
    Meaningless,
}

fn on<'a>(locks: Locks, shim: &Path, run: Invocation<'a>) -> Invocation<'a> {
    let run = run.var("LD_PRELOAD", shim);
    match locks {
        Locks::Here => run,
        Locks::ForWriters => run.var("HF_SHIM_FLOCK", "writers"),
        Locks::Fail(errno) => run.var("HF_SHIM_FLOCK", errno.raw_os_error().to_string()),
        Locks::Meaningless => run.var("HF_SHIM_FLOCK", "0"),
    }
}

/// Running downloads of this program and of the Python client, on file systems with odd locks.
#[test]
fn a_running_download_stays_whatever_the_locks_say() {
    let Some(shim) = shim() else { return };
    for locks in [
        Locks::Here,
        Locks::ForWriters,
        Locks::Fail(Errno::NOLCK),
        Locks::Fail(Errno::NOSYS),
        Locks::Fail(Errno::BADF),
        Locks::Fail(Errno::ACCESS),
        Locks::Meaningless,
    ] {
        for command in COMMANDS {
            let env = TestEnv::new();
            let (repo, folder) = repo(&env);
            let etag = "d".repeat(64);
            let _lock = locked(&folder.join(format!("{etag}.lock")));
            let live = [
                ".hf-sparse",
                ".hf-journal",
                ".hf-part-3",
                ".0123abcd.incomplete",
                "",
            ]
            .map(|ending| repo.blob(&format!("{etag}{ending}")));
            for path in &live {
                fs::write(path, "123").unwrap();
            }
            let before = tree_of(env.cache());
            let output = on(locks, &shim, env.hf(command)).run();
            for path in &live {
                assert!(path.exists(), "{locks:?} {command:?} {path:?}\n{output}");
            }
            let after = tree_of(env.cache());
            let gone: Vec<_> = before.iter().filter(|node| !after.contains(node)).collect();
            assert!(gone.is_empty(), "{locks:?} {command:?} {gone:?}\n{output}");
        }
    }
}

/// Where locks cannot tell, the age decides, and the output names what is kept.
#[test]
fn without_locks_what_is_old_is_removed_and_what_is_young_is_named() {
    let Some(shim) = shim() else { return };
    for locks in [Locks::Fail(Errno::NOLCK), Locks::Meaningless] {
        let env = TestEnv::new();
        let (repo, folder) = repo(&env);
        for etag in ["a".repeat(40), "b".repeat(40)] {
            fs::write(folder.join(format!("{etag}.lock")), "").unwrap();
        }
        let (old, young) = ("a".repeat(40), "b".repeat(40));
        repo.abandoned(&format!("{old}.hf-sparse"), "123");
        fs::write(repo.blob(&format!("{young}.hf-sparse")), "12").unwrap();
        let prune = ["cache", "prune", "-y", "--json"];
        let output = on(locks, &shim, env.hf(prune)).run().ok();
        assert_eq!(output.json()["incomplete_deleted"], 1, "{output}");
        assert_eq!(output.json()["freed_bytes"], 3, "{output}");
        assert!(output.stderr().contains(&young), "{output}");
        assert!(output.stderr().contains("within 24 hours"), "{output}");
        let rm = ["cache", "rm", "model/org/name", "-y"];
        let output = on(locks, &shim, env.hf(rm)).run().fails(1);
        assert!(output.stderr().contains("does not say"), "{output}");
        assert!(output.stderr().contains(&young), "{output}");
        abandon(&repo.blob(&format!("{young}.hf-sparse")));
        on(locks, &shim, env.hf(rm)).run().ok();
        assert!(!repo.root().exists());
    }
}

/// A lock that is another kind of file, or of another user, cannot tell either.
#[test]
fn a_lock_that_is_no_file_cannot_tell() {
    for make in [
        (|path| std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap()) as fn(&Path),
        |path| fs::create_dir(path.with_extension("other")).unwrap(),
    ] {
        let env = TestEnv::new();
        let (repo, folder) = repo(&env);
        let etag = "e".repeat(40);
        make(&folder.join(format!("{etag}.lock")));
        fs::write(repo.blob(&format!("{etag}.hf-part")), "12").unwrap();
        let before = tree_of(env.cache());
        for command in COMMANDS {
            let _ = env.run(command);
            assert_eq!(tree_of(env.cache()), before, "{command:?}");
        }
    }
}

/// A new blob may be about to be linked.
#[test]
fn a_blob_that_may_be_about_to_be_linked_stays() {
    let Some(shim) = shim() else { return };
    for command in COMMANDS {
        let env = TestEnv::new();
        let (repo, folder) = repo(&env);
        let (fresh, old) = ("e".repeat(40), "f".repeat(40));
        fs::write(folder.join(format!("{fresh}.lock")), "").unwrap();
        fs::write(repo.blob(&fresh), "12").unwrap();
        let run = || on(Locks::Fail(Errno::NOLCK), &shim, env.hf(command)).run();
        let output = run();
        assert!(repo.blob(&fresh).exists(), "{command:?}\n{output}");
        abandon(&repo.blob(&fresh));
        repo.abandoned(&old, "123");
        let output = run();
        let is_left = repo.blob(&fresh).exists() && repo.blob(&old).exists();
        // Policies of age and size remove repositories; `doctor` removes orphans.
        assert!(!is_left || command[1] == "prune", "{command:?}\n{output}");
    }
}

/// hf-hub takes its lock before it has written anything.
#[test]
fn a_lock_beside_the_blobs_is_a_running_download() {
    for command in [
        &["cache", "rm", "model/org/name", "-y"][..],
        &["cache", "prune", "--max-size", "0k", "-y"],
    ] {
        let env = TestEnv::new();
        let (repo, _) = repo(&env);
        let _lock = locked(&repo.blob(&format!("{}.lock", "c".repeat(64))));
        let before = tree_of(env.cache());
        let output = env.run(command);
        assert_eq!(tree_of(env.cache()), before, "{command:?}\n{output}");
    }
}

/// A program's unfinished download: its name, and whether it holds `blobs/<etag>.lock`.
const OF_OTHERS: [(&str, bool); 6] = [
    ("E.incomplete", false),
    ("E.part", true),
    ("E.part", false),
    ("E.sync.part", true),
    ("E.downloadInProgress", false),
    ("model.gguf.downloadInProgress", false),
];

#[test]
fn downloads_of_other_programs_are_alive_while_young_or_locked() {
    for (name, has_lock) in OF_OTHERS {
        let etag = "c".repeat(64);
        let name = name.replace('E', &etag);
        for (is_young, is_held) in [(true, false), (true, true), (false, true), (false, false)] {
            if is_held && !has_lock {
                continue;
            }
            for command in COMMANDS {
                let env = TestEnv::new();
                let (repo, _) = repo(&env);
                repo.abandoned(&name, "1234");
                let lock = repo.blob(&format!("{etag}.lock"));
                let _lock = is_held.then(|| locked(&lock));
                if has_lock && !is_held {
                    File::create(&lock).unwrap();
                }
                if is_young {
                    fs::write(repo.blob(&name), "12345").unwrap();
                }
                let output = env.run(command);
                let is_there = repo.blob(&name).exists();
                let what = format!("{name} young {is_young} held {is_held} {command:?}");
                if is_young || is_held {
                    assert!(is_there, "{what}\n{output}");
                    assert!(!has_lock || lock.exists(), "{what}\n{output}");
                } else if command[1] != "doctor" {
                    assert!(!is_there, "{what}\n{output}");
                }
            }
        }
    }
}

#[test]
fn an_old_unfinished_download_of_another_program_is_listed_and_pruned() {
    let env = TestEnv::new();
    let (repo, _) = repo(&env);
    for (name, text) in [
        ("E.incomplete", "1"),
        ("F.sync.part", "12"),
        ("G.part", "123"),
        ("H.downloadInProgress", "1234"),
    ] {
        repo.abandoned(name, text);
    }
    let root = env.cache().join("tmpab12_cd9");
    fs::write(&root, "12345").unwrap();
    let listed = env.run(["cache", "ls"]).ok();
    assert!(
        listed.stderr().contains("5 unfinished downloads"),
        "{listed}"
    );
    // The one in the root is young.
    let output = env.run(["cache", "prune", "--dry-run", "--json"]).ok();
    assert_eq!(output.json()["incomplete"], 4, "{output}");
    assert!(output.stderr().contains("tmpab12_cd9"), "{output}");
    abandon(&root);
    let rows = env.run(["cache", "doctor", "--json"]).ok().json();
    let found: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!(row["problem"], "unfinished", "{row}");
            assert_eq!(row["fixable"], false, "{row}");
            row["path"].as_str().unwrap().rsplit('/').next().unwrap()
        })
        .collect();
    assert_eq!(
        found,
        [
            "E.incomplete",
            "F.sync.part",
            "G.part",
            "H.downloadInProgress",
            "tmpab12_cd9"
        ]
    );
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.json()["incomplete_deleted"], 5, "{output}");
    assert_eq!(output.json()["freed_bytes"], 15, "{output}");
    assert!(!root.exists());
}

#[test]
fn an_unknown_file_among_the_blobs_is_no_orphan() {
    let env = TestEnv::new();
    let (repo, _) = repo(&env);
    let orphan = "0".repeat(40);
    repo.abandoned("notes.txt", "mine").abandoned(&orphan, "12");
    fs::create_dir(repo.blob("folder")).unwrap();
    fs::write(repo.blob("folder/file"), "mine").unwrap();
    let output = env.run(["cache", "doctor", "--json"]).ok();
    let rows: Vec<(String, bool)> = output
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let path = row["path"].as_str().unwrap();
            let name = path.rsplit('/').next().unwrap().to_owned();
            (name, row["fixable"] == true)
        })
        .collect();
    let expected = [
        (orphan.as_str(), true),
        ("folder", false),
        ("notes.txt", false),
    ];
    assert_eq!(
        rows,
        expected.map(|(name, fixable)| (name.to_owned(), fixable))
    );
    let deleted: Output = env.run(["cache", "doctor", "--fix", "-y"]).ok();
    assert!(!repo.blob(&orphan).exists(), "{deleted}");
    env.run(["cache", "prune", "-y"]).ok();
    assert!(repo.blob("notes.txt").exists() && repo.blob("folder/file").exists());
    // The folder is young: a process may be using it.
    let output = env.run(["cache", "rm", "model/org/name", "-y"]).fails(1);
    assert!(output.stderr().contains("blobs/folder"), "{output}");
    assert!(repo.blob("notes.txt").exists());
    abandon(&repo.blob("folder"));
    env.run(["cache", "rm", "model/org/name", "-y"]).ok();
    assert!(!repo.root().exists());
}

/// Names that differ in case alone are different things.
#[test]
fn the_exact_spelling_wins() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    for id in ["o/m", "O/M", "p/Only"] {
        tree.model(id).main([("f", "lower"), ("F", "upper")]);
    }
    let ids = || -> Vec<String> {
        let listed = env.run(["cache", "ls", "-q"]).ok();
        listed.stdout().lines().map(str::to_owned).collect()
    };
    let output = env.run(["cache", "rm", "model/O/m", "-y"]).fails(1);
    assert!(
        output.stderr().contains("model/O/M or model/o/m"),
        "{output}"
    );
    let output = env.run(["cache", "pin", "model/O/m"]).fails(1);
    assert!(
        output.stderr().contains("model/O/M or model/o/m"),
        "{output}"
    );
    env.run(["cache", "pin", "model/O/M"]).ok();
    let pinned = env.run(["cache", "pin", "-q"]).ok();
    assert_eq!(pinned.stdout(), "model/O/M\n");
    env.run(["cache", "unpin", "model/O/M"]).ok();
    env.run(["cache", "rm", "hf://o/m/f", "-y"]).ok();
    let files = |id: &str| -> Vec<String> {
        let folder = tree.model(id).root().join("snapshots");
        let nodes = tree_of(folder).into_iter();
        let names = nodes.filter_map(|node| Some(node.path.split_once('/')?.1.to_owned()));
        names.collect()
    };
    assert_eq!(files("o/m"), ["F"]);
    assert_eq!(files("O/M"), ["F", "f"]);
    let offline = |id: &str| env.run(["cache", "verify", id, "--offline", "-q"]);
    assert_eq!(offline("O/M").ok().stdout(), "O/M\n");
    assert_eq!(offline("P/only").ok().stdout(), "p/Only\n");
    let output = offline("O/m").fails(1);
    assert!(
        output.stderr().contains("model/O/M or model/o/m"),
        "{output}"
    );
    env.run(["cache", "rm", "model/o/m", "-y"]).ok();
    assert_eq!(ids(), ["model/O/M", "model/p/Only"]);
    env.run(["cache", "rm", "MODEL/P/ONLY", "model/o/m", "-y"])
        .ok();
    assert_eq!(ids(), Vec::<String>::new());
}
