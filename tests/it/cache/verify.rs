//! `hf cache verify`: right and wrong files, with and without the Hub, compared with the modern client.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::oracle::Oracle;
use crate::harness::tree::tree_of;

/// A repository on a Hub, downloaded; answers its snapshot too.
fn downloaded() -> (Hub, TestEnv, PathBuf) {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .file("sub/copy.json", "{}")
            .file("empty", "")
            .lfs("model.safetensors", Content::synthetic(300_000, 1)),
    );
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name", "-q"]).ok();
    let snapshot = PathBuf::from(output.stdout().trim());
    (hub, env, snapshot)
}

/// Downloads into the folder `here`; returns a small file there.
fn in_a_folder(env: &TestEnv) -> PathBuf {
    let here = ["download", "org/name", "--local-dir", "here"];
    env.run(here).ok();
    env.work().join("here/sub/copy.json")
}

/// The command that checks that folder.
const VERIFY_FOLDER: [&str; 5] = ["cache", "verify", "org/name", "--local-dir", "here"];

/// Changes a byte of a cached file, not its size.
fn damage(file: &std::path::Path) {
    let blob = fs::canonicalize(file).unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    fs::write(blob, bytes).unwrap();
}

#[test]
fn ours_and_theirs_agree_on_right_wrong_missing_and_extra_files() {
    let (_hub, env, snapshot) = downloaded();
    let modern = Oracle::modern();
    let check = |args: &[&str], code: i32| {
        let args = [&["cache", "verify", "org/name", "--json"], args].concat();
        let ours = env.run(&args).fails(code);
        if let Some(modern) = &modern {
            let theirs = modern.hf(&env, &args).run().fails(code);
            assert_eq!(ours.stdout(), theirs.stdout(), "{args:?}\n{ours}");
        }
        ours
    };
    let output = check(&[], 0);
    assert_eq!(output.json()["checked"], 4);
    fs::remove_file(snapshot.join("empty")).unwrap();
    fs::write(snapshot.join("mine.txt"), "x").unwrap();
    let output = check(&[], 0);
    assert!(
        output.stderr().contains("1 file is missing here"),
        "{output}"
    );
    assert!(
        output.stderr().contains("1 file is not in the repository"),
        "{output}"
    );
    let output = check(&["--fail-on-missing-files"], 1);
    assert!(output.stderr().contains("empty is missing"), "{output}");
    let output = check(&["--fail-on-extra-files", "--revision", "main"], 1);
    assert!(output.stderr().contains("mine.txt is not in"), "{output}");
    damage(&snapshot.join("model.safetensors"));
    damage(&snapshot.join("config.json"));
    let output = check(&[], 1);
    for file in ["model.safetensors", "config.json", "sub/copy.json"] {
        assert!(
            output.stderr().contains(&format!("{file} is damaged")),
            "{output}"
        );
    }
}

#[test]
fn a_local_folder_is_checked_against_the_hub() {
    let (_hub, env, _) = downloaded();
    let modern = Oracle::modern();
    let small = in_a_folder(&env);
    for (code, change) in [(0, false), (1, true)] {
        if change {
            fs::write(&small, "[]").unwrap();
        }
        let args = VERIFY_FOLDER.iter().chain(&["--json"]);
        let ours = env.run(args.clone()).fails(code);
        if let Some(modern) = &modern {
            let theirs = modern.hf(&env, args).run().fails(code);
            assert_eq!(ours.stdout(), theirs.stdout());
        }
    }
}

#[test]
fn offline_the_cache_proves_itself() {
    let (hub, env, snapshot) = downloaded();
    let asked = hub.requests().len();
    for trees in [true, false] {
        if !trees {
            fs::remove_dir_all(env.cache().join("models--org--name/trees")).unwrap();
        }
        for args in [
            &["cache", "verify", "org/name", "--offline"][..],
            &["cache", "verify", "--all"],
        ] {
            let output = env.hf([args, &["--json"]].concat()).run().ok();
            assert_eq!(output.json()["checked"], 4, "{args:?}");
        }
    }
    let offline = env
        .hf(["cache", "verify", "org/name"])
        .var("HF_HUB_OFFLINE", "1");
    assert!(offline.run().ok().stdout().contains("4 checked files"));
    damage(&snapshot.join("model.safetensors"));
    let before = tree_of(env.cache());
    for args in [
        &["cache", "verify", "org/name", "--offline"][..],
        &["cache", "verify", "--all"],
    ] {
        let output = env.run(args).fails(1);
        assert_eq!(output.stdout(), "");
        assert!(
            output.stderr().contains("model.safetensors is damaged"),
            "{output}"
        );
    }
    assert_eq!(tree_of(env.cache()), before, "verify changes nothing");
    assert_eq!(hub.requests().len(), asked, "no request was made");
}

/// In a cache of many repositories a number alone helps nobody.
#[test]
fn what_is_missing_or_not_checked_is_named_with_its_repository() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let one = tree.model("o/one");
    let first = one.main([("f", "x")]);
    one.listing(&first, [("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let other = tree.dataset("o/other");
    let second = other.main([("f", "x")]);
    other.listing(&second, [("sub/absent", 1)]);
    let unlisted = tree.model("o/unlisted");
    let third = unlisted.main([("f", "x")]);
    let file = unlisted.file(&third, "f");
    fs::remove_file(&file).unwrap();
    fs::write(file, "x").unwrap();
    let output = env.run(["cache", "verify", "--all"]).ok();
    for (id, commit, what) in [
        (
            "model/o/one",
            first,
            "4 files missing, though listed for the revision: a, b, c, 1 more.",
        ),
        (
            "dataset/o/other",
            second,
            "1 file missing, though listed for the revision: sub/absent.",
        ),
        (
            "model/o/unlisted",
            third,
            "1 file not checked, the hash being unknown: f.",
        ),
    ] {
        let line = format!("Warning: {id} {}: {what}", &commit[..12]);
        assert!(
            output.stderr().lines().any(|it| it == line),
            "{line}\n{output}"
        );
    }
}

#[test]
fn a_xet_hash_proves_a_file_unless_sha256_is_asked_for() {
    let (cas, hub) = (Cas::start(), Hub::start());
    let content = Content::synthetic(300_000, 1);
    let (hash, other) = (cas.store(&content.to_bytes()), "0".repeat(64));
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .xet("model.safetensors", content.clone(), &hash)
            // As if it were chunked in another way.
            .xet("other.safetensors", Content::synthetic(300_000, 2), &other),
    );
    let env = TestEnv::for_hub(&hub);
    let mut plain = TestEnv::for_hub(&hub);
    plain
        .set("HF_HOME", env.hf_home())
        .set("HF_HUB_DISABLE_XET", "1");
    let output = plain.run(["download", "org/name", "-q"]).ok();
    let snapshot = PathBuf::from(output.stdout().trim());
    for args in [&["org/name"][..], &["org/name", "--offline"], &["--all"]] {
        let proven = |more: &[&str]| {
            let args = [&["cache", "verify", "--json"], args, more].concat();
            let result = env.run(&args).ok().json();
            assert_eq!(result["checked"], 3, "{args:?}");
            result["proven_by_xet_hash"].as_u64()
        };
        assert_eq!(proven(&[]), Some(1), "{args:?}");
        assert_eq!(proven(&["--sha256"]), None, "{args:?}");
    }
    let output = env.run(["cache", "verify", "org/name"]).ok();
    assert!(
        output.stdout().contains("proven_by_xet_hash: 1"),
        "{output}"
    );
    damage(&snapshot.join("model.safetensors"));
    let output = env.run(["cache", "verify", "org/name"]).fails(1);
    let words = "model.safetensors is damaged: its sha256 is ";
    assert!(output.stderr().contains(words), "{output}");
    assert_eq!(output.stderr().matches("is damaged").count(), 1, "{output}");
}

#[test]
fn fix_fetches_wrong_files_and_no_others() {
    let (hub, env, snapshot) = downloaded();
    let before = tree_of(env.cache());
    damage(&snapshot.join("model.safetensors"));
    damage(&snapshot.join("config.json"));
    let asked = hub.requests().len();
    let output = env
        .run(["cache", "verify", "org/name", "--fix", "--json"])
        .ok();
    assert_eq!(output.json()["checked"], 4);
    let fetched: Vec<String> = hub
        .requests()
        .into_iter()
        .skip(asked)
        .map(|request| request.path)
        .filter(|path| path.contains("/resolve/"))
        .collect();
    assert!(!fetched.is_empty());
    assert!(
        !fetched.iter().any(|path| path.ends_with("/empty")),
        "{fetched:?}"
    );
    let strip = |nodes: Vec<crate::harness::tree::Node>| -> Vec<String> {
        let nodes = nodes
            .into_iter()
            .filter(|node| !node.path.starts_with(".locks"));
        nodes.map(|node| node.to_string()).collect()
    };
    assert_eq!(strip(tree_of(env.cache())), strip(before));

    let small = in_a_folder(&env);
    fs::write(&small, "[]").unwrap();
    let output = env.run(VERIFY_FOLDER.iter().chain(&["--fix"])).ok();
    assert!(
        output.stderr().contains("Fetched sub/copy.json again"),
        "{output}"
    );
    assert_eq!(fs::read_to_string(small).unwrap(), "{}");
}

#[test]
fn files_that_cannot_be_verified_are_named() {
    let (_hub, env, snapshot) = downloaded();
    fs::remove_dir_all(env.cache().join("models--org--name/trees")).unwrap();
    fs::write(snapshot.join("mine.txt"), "x").unwrap();
    symlink("/etc/hostname", snapshot.join("elsewhere")).unwrap();
    let output = env.run(["cache", "verify", "org/name", "--offline"]).ok();
    assert!(
        output
            .stderr()
            .contains("2 files cannot be checked offline"),
        "{output}"
    );
}

/// The target's name of a link to another place proves nothing about the content, even if it looks like
/// a hash.
#[test]
fn only_the_name_of_a_blob_is_a_hash() {
    let (_hub, env, snapshot) = downloaded();
    fs::remove_dir_all(env.cache().join("models--org--name/trees")).unwrap();
    for (number, folder) in ["notes", "blobs/inner", "snapshots"]
        .into_iter()
        .enumerate()
    {
        let folder = env.cache().join("models--org--name").join(folder);
        let name = number.to_string().repeat(40);
        let target = match folder.ends_with("snapshots") {
            // The hash as a folder: a link into another snapshot.
            true => folder.join(&name).join(&name),
            false => folder.join(&name),
        };
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, "anything").unwrap();
        symlink(&target, snapshot.join(format!("odd{number}"))).unwrap();
    }
    let output = env.run(["cache", "verify", "org/name", "--offline"]).ok();
    assert!(
        output
            .stderr()
            .contains("3 files cannot be checked offline"),
        "{output}"
    );
}

/// An unreadable file is not right: reading from this one fails for every user, root included.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_read_is_an_error() {
    let (_hub, env, snapshot) = downloaded();
    let blob = fs::canonicalize(snapshot.join("config.json")).unwrap();
    fs::remove_file(&blob).unwrap();
    symlink("/proc/self/mem", &blob).unwrap();
    for args in [
        &["cache", "verify", "org/name"][..],
        &["cache", "verify", "org/name", "--offline"],
        &["cache", "verify", "--all"],
    ] {
        let output = env.run(args).fails(1);
        assert_eq!(output.stdout(), "", "{args:?}");
        assert!(output.stderr().contains("Cannot read"), "{output}");
        assert!(!output.stderr().contains("is damaged"), "{output}");
    }
}

/// What is wrong elsewhere is listed all the same.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let (_hub, env, snapshot) = downloaded();
    let blob = fs::canonicalize(snapshot.join("config.json")).unwrap();
    fs::remove_file(&blob).unwrap();
    symlink("/proc/self/mem", &blob).unwrap();
    let all = ["cache", "verify", "--all", "--json"];
    let of = |output: &crate::harness::Output, what: &str| {
        let report = output.json();
        let problems = report["problems"].as_array().unwrap().clone();
        let files = problems
            .into_iter()
            .filter(|problem| problem["what"] == what);
        files.collect::<Vec<_>>()
    };
    // It alone, under its two names: the list, and its own error.
    let output = env.run(all).fails(1);
    let listed = of(&output, "unreadable_file");
    assert_eq!(listed.len(), 2, "{output}");
    assert_eq!(listed[0]["file"], "config.json");
    assert_eq!(listed[0]["id"], "model/org/name");
    let why = listed[0]["why"].as_str().unwrap();
    assert!(why.starts_with("it cannot be read: "), "{why}");
    assert!(output.stderr().contains("Cannot read"), "{output}");
    // And a wrong one beside it, which decides.
    damage(&snapshot.join("model.safetensors"));
    let output = env.run(all).fails(1);
    assert_eq!(of(&output, "wrong_file")[0]["file"], "model.safetensors");
    assert_eq!(of(&output, "unreadable_file").len(), 2, "{output}");
    for args in [&all[..3], &["cache", "verify", "org/name", "--offline"]] {
        let output = env.run(args).fails(1);
        assert_eq!(output.stdout(), "", "{args:?}");
        for said in ["Cannot read", "is damaged"] {
            assert!(output.stderr().contains(said), "{said}: {output}");
        }
    }
}

/// A check does not count as a use: `hf cache prune` removes the least used first.
#[test]
#[cfg(target_os = "linux")]
fn the_time_of_the_last_use_stays() {
    let (_hub, env, snapshot) = downloaded();
    let file = snapshot.join("model.safetensors");
    let now = std::time::SystemTime::now();
    let ago = |days: u32| now - std::time::Duration::from_secs(86_400 * u64::from(days));
    let times = fs::FileTimes::new()
        .set_accessed(ago(90))
        .set_modified(ago(80));
    fs::File::open(&file).unwrap().set_times(times).unwrap();
    for args in [
        &["cache", "verify", "org/name"][..],
        &["cache", "verify", "--all"],
        &["cache", "doctor"],
    ] {
        env.run(args).ok();
        let accessed = file.metadata().unwrap().accessed().unwrap();
        assert_eq!(accessed, ago(90), "{args:?}");
    }
}

#[test]
fn wrong_words() {
    let (hub, env, _) = downloaded();
    let output = env.run(["cache", "verify"]).fails(2);
    let words = "Name a repository, or pass --all.";
    assert!(output.stderr().contains(words), "{output}");
    for (code, args) in [
        (2, &["cache", "verify"][..]),
        (2, &["cache", "verify", "org/name", "--all"]),
        (
            2,
            &[
                "cache",
                "verify",
                "org/name",
                "--local-dir",
                "x",
                "--cache-dir",
                "y",
            ],
        ),
        (1, &["cache", "verify", "org/other"]),
        (1, &["cache", "verify", "org/name", "--revision", "v9"]),
        (
            1,
            &["cache", "verify", "org/name", "--local-dir", "nowhere"],
        ),
        (1, &["cache", "verify", "no such name"]),
    ] {
        let output = env.run(args).fails(code);
        assert_eq!(output.stdout(), "", "{args:?}");
    }
    drop(hub);
    let env = env.fast_clock();
    let output = env.hf(["cache", "verify", "org/name"]).run().fails(1);
    assert!(output.stderr().contains("reach"), "{output}");
}
