//! Unfinished downloads as people see them: one for each file, by its name.

use std::fs;

use rustix::process::Signal;

use crate::harness::cache::{CacheTree, abandon};
use crate::harness::hub::{Content, Fault, Hub, Repo, sha1_hex};
use crate::harness::partial::{all_below, kept};
use crate::harness::tree::tree_of;
use crate::harness::{Running, TestEnv};

#[test]
fn an_unfinished_download_is_one_and_has_the_name_of_its_file() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("o/m");
    let commit = repo.main([("config.json", "{}")]);
    repo.listing(&commit, [("sub/big.bin", 100)]);
    let etag = sha1_hex(&[b"sub/big.bin"]);
    let nameless = "c".repeat(40);
    for stem in [&etag, &nameless] {
        repo.abandoned(&format!("{stem}.hf-sparse"), "0123456789");
        repo.abandoned(&format!("{stem}.hf-journal"), "noted");
    }
    let listed = env.run(["cache", "ls"]).ok();
    let hint = listed.stderr();
    assert!(hint.contains("2 unfinished downloads of "), "{listed}");
    assert!(hint.contains("model/o/m sub/big.bin ("), "{listed}");
    let (resume, remove) = (hint.find("`hf download`"), hint.find("`hf cache prune`"));
    assert!(resume.is_some() && resume < remove, "{listed}");
    assert!(hint.contains(" of 100.0)"), "{listed}");
    assert!(hint.contains(&format!("blobs/{nameless}")), "{listed}");

    let output = env.run(["cache", "prune", "--dry-run"]).ok();
    assert_eq!(output.said().matches("(unfinished)").count(), 2, "{output}");
    assert!(
        output.said().contains("model/o/m sub/big.bin (unfinished)"),
        "{output}"
    );
    let output = env.run(["cache", "prune", "--dry-run", "--json"]).ok();
    assert_eq!(output.json()["incomplete"], 2, "{output}");

    let output = env.run(["cache", "doctor", "--json"]).ok();
    let rows = output.json();
    let rows = rows.as_array().expect("rows").iter();
    let details: Vec<&serde_json::Value> = rows
        .filter(|row| row["problem"] == "unfinished")
        .map(|row| &row["detail"])
        .collect();
    assert_eq!(details.len(), 2, "{output}");
    assert!(
        details.contains(&&"of sub/big.bin, 100 bytes in all".into()),
        "{output}"
    );
    // Findings of one kind have one heading, whatever is to be done about each.
    repo.abandoned("d.0123abcd.incomplete", "0123");
    let output = env.run(["cache", "doctor"]).ok();
    assert_eq!(
        output.stdout().matches("unfinished: ").count(),
        1,
        "{output}"
    );
    assert_eq!(output.stdout().matches("costs: ").count(), 1, "{output}");
    for text in [
        "  --fix: removes it\n",
        "  to do: `hf download` continues it",
    ] {
        assert!(output.stdout().contains(text), "{output}");
    }
    fs::remove_file(repo.blob("d.0123abcd.incomplete")).unwrap();

    let output = env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(output.json()["incomplete_deleted"], 2, "{output}");
    let left = fs::read_dir(repo.root().join("blobs")).unwrap().count();
    assert_eq!(left, 1, "the blob of config.json");
}

/// Version 0.1 knows no journal, so it fetches the whole file, and what a newer version began stays beside it.
#[test]
fn what_version_0_1_finished_leaves_a_partial_that_goes() {
    let (prune, fix) = (["cache", "prune", "-y"], ["cache", "doctor", "--fix", "-y"]);
    for command in [&prune[..], &fix[..]] {
        let env = TestEnv::new();
        let repo = CacheTree::at(env.cache()).model("o/m");
        let commit = repo.main([("big.bin", "the whole file")]);
        let link = fs::read_link(repo.file(&commit, "big.bin")).unwrap();
        let etag = link.file_name().unwrap().to_str().unwrap().to_owned();
        // Both versions lock a download by this file, so nothing has to be a day old.
        let locks = env.cache().join(".locks/models--o--m");
        fs::create_dir_all(&locks).unwrap();
        fs::write(locks.join(format!("{etag}.lock")), "").unwrap();
        fs::write(repo.blob(&format!("{etag}.hf-sparse")), "the wh").unwrap();
        fs::write(repo.blob(&format!("{etag}.hf-journal")), "noted").unwrap();
        let output = env.run(command).ok();
        let left = fs::read_dir(repo.root().join("blobs")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [etag.as_str()], "{output}");
        assert!(repo.file(&commit, "big.bin").exists(), "{output}");
    }
}

/// A Hub where a large file stays half sent.
fn stalled_hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("o/m").file("config.json", "{}");
    hub.add(repo.lfs("big.bin", Content::synthetic(3_000_000, 9)));
    let stall = Fault::Stall {
        after_bytes: 1_500_000,
    };
    hub.fault(stall.on("big.bin").optional());
    hub
}

/// A first download that has finished the small file, and half of the large one.
fn halfway(hub: &Hub, env: &TestEnv) -> Running {
    let mut running = env.hf(["download", "o/m"]).spawn();
    let (repo, folder) = (hub.repo("models/o/m"), env.cache().join("models--o--m"));
    let small = folder
        .join("snapshots")
        .join(repo.commit("main"))
        .join("config.json");
    let large = folder.join(format!("blobs/{}.hf-sparse", repo.entry("big.bin").etag()));
    running.wait_until("the small file and a journal", |_| {
        small.exists() && large.exists() && kept(&large) > 0
    });
    running
}

/// The ref is written last, so after Ctrl-C or a kill no ref names what has come.
#[test]
fn what_an_interrupted_download_has_finished_is_not_garbage() {
    for signal in [Signal::INT, Signal::KILL] {
        let hub = stalled_hub();
        let env = TestEnv::for_hub(&hub);
        let running = halfway(&hub, &env);
        let during = env.run(["cache", "prune", "-y"]).ok();
        assert!(during.stderr().contains("another process"), "{during}");
        assert!(
            during.stderr().contains("Nothing else to prune."),
            "{during}"
        );
        assert!(!during.stderr().contains("is complete"), "{during}");
        running.signal(signal);
        let _ = running.wait();
        let before = tree_of(env.cache());
        for policy in [&[][..], &["--keep-last", "1"]] {
            let output = env.run([&["cache", "prune", "-y"], policy].concat()).ok();
            assert_eq!(tree_of(env.cache()), before, "{signal:?}\n{output}");
            for text in [
                "model/o/m was not downloaded to the end",
                "`hf download` continues it, `hf cache rm model/o/m` removes it.",
                "Nothing else to prune.",
            ] {
                assert!(output.stderr().contains(text), "{text}\n{output}");
            }
        }
        let sent = hub.content_bytes_sent();
        hub.clear_faults();
        env.run(["download", "o/m"]).ok();
        assert!(hub.content_bytes_sent() - sent < 3_000_000, "{signal:?}");
    }
}

/// Only what is demonstrably of such a download is kept, and for a day.
#[test]
fn a_revision_without_a_ref_goes_where_no_download_of_it_was_interrupted() {
    let hub = stalled_hub();
    let env = TestEnv::for_hub(&hub);
    let running = halfway(&hub, &env);
    let _ = running.kill();
    let repo = CacheTree::at(env.cache()).model("o/m");
    // A revision that has all that its listing names.
    let other = repo.commit([("other", "text")]);
    repo.listing(&other, []);
    let dry = || {
        let output = env.run(["cache", "prune", "--dry-run", "--json"]).ok();
        let json = output.json();
        (json["revisions"].as_u64(), json["incomplete"].as_u64())
    };
    assert_eq!(dry(), (Some(1), Some(0)));
    let output = env.run([
        "cache",
        "prune",
        "--older-than",
        "0s",
        "--dry-run",
        "--json",
    ]);
    assert_eq!(output.json()["revisions"], 2, "{output}");
    let commit = hub.repo("models/o/m").commit("main");
    let output = env.run(["cache", "prune", "--dry-run"]).ok();
    let rm = format!("`hf cache rm {}`", &commit[..12]);
    assert!(output.stderr().contains(&rm), "{output}");

    for partial in all_below(env.cache()) {
        abandon(&partial);
        abandon(&partial.with_extension("hf-journal"));
    }
    assert_eq!(dry(), (Some(2), Some(1)), "a day later");
    for partial in all_below(env.cache()) {
        fs::write(partial.with_extension("0123abcd.incomplete"), "123").unwrap();
        fs::remove_file(&partial).unwrap();
        fs::remove_file(partial.with_extension("hf-journal")).unwrap();
    }
    assert_eq!(dry(), (Some(2), Some(1)), "of another program");
    let output = env.run(["cache", "prune", "-y"]).ok();
    assert!(!repo.root().exists(), "{output}");
}
