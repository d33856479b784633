//! `hf cache rm` and `hf cache prune`: what goes, what stays, what is said, and what a process that
//! dies half-way leaves.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::cache_made_up::{Health, make_up};
use crate::harness::cache::CacheTree;
use crate::harness::oracle::Oracle;
use crate::harness::tree::tree_of;
use crate::harness::{Output, TestEnv};

/// The rows of `cache ls --revisions` without what depends on the place of the cache.
fn rows(env: &TestEnv) -> Vec<Value> {
    let rows = env
        .run(["cache", "ls", "--revisions", "--json"])
        .ok()
        .json();
    let strip = |row: &Value| json!([row["id"], row["revision"], row["size_bytes"], row["refs"]]);
    rows.as_array().expect("a list").iter().map(strip).collect()
}

/// No problem, no broken link: what every deletion has to leave.
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

/// Everything that ours answers under keys of theirs is the same.
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
        // Pruned first: ours counts unfinished downloads that go with a repository, theirs does not.
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
fn cache(env: &TestEnv) -> [String; 3] {
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
fn wrong_targets() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let before = tree_of(env.cache());
    for (code, args) in [
        (2, &["cache", "rm"][..]),
        (1, &["cache", "rm", "hf://org/name@main", "-y"]),
        (1, &["cache", "rm", "hf://org", "-y"]),
        (1, &["cache", "rm", "hf://org/name/shared", &old, "-y"]),
        (0, &["cache", "rm", "gpt2", "-y"]),
        (0, &["cache", "rm", "model/nobody/nothing", "-y", "--json"]),
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
fn links_that_lead_out_of_the_cache_are_cut_and_not_followed() {
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
fn what_is_freed_is_what_the_disk_gets_back() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let repo = env.cache().join("models--Org--name");
    let old_blob = fs::canonicalize(repo.join("snapshots").join(&old).join("old.bin")).unwrap();
    fs::hard_link(&old_blob, env.path("a-backup")).unwrap();
    fs::write(repo.join("blobs/orphan"), "1234567890").unwrap();
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
fn a_shared_payload_goes_with_its_last_user() {
    let env = TestEnv::new();
    let hash = "ab".repeat(32);
    let store = env.cache().join("blobs/ab");
    fs::create_dir_all(&store).unwrap();
    fs::write(env.cache().join("blobs/.huggingface-shared-blobs"), "1\n").unwrap();
    let (payload, manifest) = (store.join(&hash), store.join(format!("{hash}.refs")));
    fs::write(&payload, "12345").unwrap();
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
    assert!(!payload.exists() && !manifest.exists());
    assert!(store.join(format!("{hash}.lock")).exists(), "locks stay");

    fs::write(&payload, "123").unwrap();
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.stdout(), "", "without a manifest nobody knows");
    fs::write(&manifest, "models--b/blobs/x\n").unwrap();
    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.json()["shared_blobs_deleted"], 1);
    assert!(!payload.exists());
}

#[test]
fn a_repository_being_downloaded_into_is_left_alone() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let repo = env.cache().join("models--Org--name");
    fs::write(repo.join("blobs/abc.hf-part"), "12").unwrap();
    fs::write(repo.join("blobs/def.1234abcd.incomplete"), "123").unwrap();
    fs::remove_file(repo.join("refs/main")).unwrap();
    let locks = env.cache().join(".locks/models--Org--name");
    fs::create_dir_all(&locks).unwrap();
    let lock = File::create(locks.join("abc.lock")).unwrap();
    lock.lock().unwrap();
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
        repo.join("blobs/abc.hf-part").exists(),
        "its download is under way"
    );
    drop(lock);
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
    assert_eq!(rows(&env), Vec::<Value>::new());
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

#[test]
fn a_policy_lets_the_least_used_go_and_pins_hold() {
    let env = TestEnv::new();
    let [old, ..] = cache(&env);
    let model = CacheTree::at(env.cache()).model("Org/name");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400 * 90);
    for (commit, file) in [(&old, "shared"), (&old, "old.bin")] {
        model.times(commit, file, long_ago, long_ago);
    }
    let dry = |args: &[&str]| -> Value {
        let args = [&["cache", "prune", "--dry-run", "--json"], args].concat();
        let output = env.run(args).ok();
        if output.stdout().is_empty() {
            json!(0)
        } else {
            output.json()["revisions"].clone()
        }
    };
    for (args, revisions) in [
        (&[][..], 0),
        (&["--older-than", "60d"], 0),
        (&["--keep-last", "1"], 1),
        (&["--max-size", "1k"], 0),
        (&["--max-size", "0k", "--pin", "model/*"], 1),
        (&["--older-than", "0s", "--pin", "*/Org/name"], 1),
    ] {
        assert_eq!(dry(args), revisions, "{args:?}");
    }
    for wrong in [
        ["--older-than", "60"],
        ["--older-than", "soon"],
        ["--max-size", "200"],
        ["--max-size", "1.5GB"],
        ["--keep-last", "-1"],
    ] {
        let output = env
            .run([&["cache", "prune", "-y"][..], &wrong].concat())
            .fails(2);
        assert_eq!(output.stdout(), "", "{wrong:?}");
    }
    let output = env.run(["cache", "prune", "--keep-last", "1", "-y"]).ok();
    assert!(
        output.stdout().contains("Deleted 1 revision; 7.0 freed."),
        "{output}"
    );
    assert_sound(&env);
    let output = env
        .run(["cache", "prune", "--max-size", "0k", "-y", "--json"])
        .ok();
    assert_eq!(output.json()["revisions_deleted"], 2);
    assert_eq!(rows(&env), Vec::<Value>::new());
}

/// On a disk mounted with `noatime` reads leave no trace: a download that finds all in place has to
/// say itself that it used the files.
#[test]
fn what_a_download_finds_in_place_counts_as_used() {
    let hub = crate::harness::hub::Hub::start();
    hub.add(crate::harness::hub::Repo::model("o/used").file("f", "x"));
    let env = TestEnv::for_hub(&hub);
    // Mounting needs a name space of one's own, which not every system grants; without it the times
    // are as old, and only nobody forbids the reads to renew them.
    let mount = "mount -t tmpfs -o noatime none \"$HF_HOME/hub\"";
    let try_it = format!("mkdir -p \"$HF_HOME/hub\" && {mount}");
    let can = env.program("unshare", ["-rm", "sh", "-c", &try_it]).run();
    let (mount, program, flags) = match can.code {
        Some(0) => (mount, "unshare", &["-rm", "sh", "-c"][..]),
        _ => ("true", "sh", &["-c"][..]),
    };
    let script = format!(
        "set -e; mkdir -p \"$HF_HOME/hub\"; {mount}
        \"$HF\" download o/used -q
        find \"$HF_HOME/hub\" -type f -path '*/blobs/*' -exec touch -a -d '-90 days' '{{}}' +
        find \"$HF_HOME/hub\" -type f -path '*/blobs/*' -exec touch -m -d '-90 days' '{{}}' +
        \"$HF\" cache prune --older-than 60d --dry-run --json
        \"$HF\" download o/used --dry-run -q >/dev/null
        \"$HF\" cache prune --older-than 60d --dry-run -q
        $AGAIN
        \"$HF\" cache prune --older-than 60d --dry-run --json"
    );
    for again in [
        "\"$HF\" download o/used -q",
        "HF_HUB_OFFLINE=1 \"$HF\" download o/used -q",
    ] {
        let _ = fs::remove_dir_all(env.cache());
        let script = script.replace("$AGAIN", again);
        let output = env
            .program(program, [flags, &[script.as_str()]].concat())
            .var("HF", env!("CARGO_BIN_EXE_hf"))
            .run()
            .ok();
        let lines: Vec<&str> = output.stdout().lines().collect();
        let [_, before, dry, _] = lines.as_slice() else {
            panic!("{output}");
        };
        assert!(before.contains("\"revisions\": 1"), "{output}");
        assert_eq!(*dry, "True", "a dry run uses nothing: {output}");
        assert!(output.stderr().contains("Nothing to prune"), "{output}");
    }
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
    fs::write(tree.model("org/b").blob("y.hf-part"), text(1, "p")).unwrap();
    for args in [
        &["cache", "rm", "model/org/a", "-y", "--json"][..],
        &["cache", "prune", "-y", "--json"],
        &["cache", "rm", "model/org/b", "-y", "--json"],
    ] {
        let before = disk_usage(env.root());
        let announced = env.run(args).ok().json()["freed_bytes"].as_u64().unwrap();
        let freed = before - disk_usage(env.root());
        // Manifests, locks and refs are a block or two, and not content.
        assert!(
            freed.abs_diff(announced) < 65_536,
            "{args:?} {freed} {announced}"
        );
    }
}
