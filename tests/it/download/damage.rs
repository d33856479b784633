//! What a power cut or a full disk leaves: files that are empty, short or have other bytes than the hash in
//! their name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::shim::shim;

const SMALL: &str = "config.json";
const LARGE: &str = "sub/weights.bin";

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file(SMALL, "{\"a\": 1}");
    hub.add(repo.lfs(LARGE, Content::synthetic(70_000, 5)));
    hub
}

fn blob(env: &TestEnv, hub: &Hub, path: &str) -> PathBuf {
    let etag = hub.repo("models/org/name").entry(path).etag();
    env.cache().join("models--org--name/blobs").join(etag)
}

/// The lengths that damage may leave of a file of this length, in bytes.
fn damages(length: u64) -> [u64; 3] {
    [0, length - 1, length + 1]
}

fn damage(file: &Path, length: u64) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(length).unwrap();
}

#[track_caller]
fn is_right(file: &Path, hub: &Hub, path: &str) {
    let expected = hub.repo("models/org/name").entry(path).content.to_bytes();
    assert!(fs::read(file).unwrap() == expected, "{}", file.display());
}

#[test]
fn a_damaged_blob_is_fetched_again() {
    let hub = hub();
    let commit = hub.repo("models/org/name").commit("main");
    for path in [SMALL, LARGE] {
        let length = hub.repo("models/org/name").entry(path).content.len();
        for arguments in [
            &["download", "org/name"][..],
            &["download", "org/name", path],
            &["download", "org/name", path, "--revision", &commit],
            &[
                "download",
                "org/name",
                "--include",
                path,
                "--revision",
                &commit,
            ],
        ] {
            for damaged in damages(length) {
                let env = TestEnv::for_hub(&hub);
                env.run(["download", "org/name"]).ok();
                let blob = blob(&env, &hub, path);
                damage(&blob, damaged);
                let dry = env.run(arguments.iter().chain(&["--dry-run"])).ok();
                assert!(dry.stdout().contains("Will download 1 files"), "{dry}");
                let output = env.run(arguments).ok();
                assert!(output.stderr().contains("another length"), "{output}");
                assert!(output.stderr().contains(path), "{output}");
                is_right(&blob, &hub, path);
                let again = env.run(arguments).ok();
                assert_eq!(again.said(), "");
            }
        }
    }
}

#[test]
fn a_single_file_without_a_listing_is_checked_as_well() {
    let hub = hub();
    for path in [SMALL, LARGE] {
        let length = hub.repo("models/org/name").entry(path).content.len();
        for damaged in damages(length) {
            let env = TestEnv::for_hub(&hub);
            env.run(["download", "org/name", path]).ok();
            let blob = blob(&env, &hub, path);
            damage(&blob, damaged);
            env.run(["download", "org/name", path]).ok();
            is_right(&blob, &hub, path);
        }
    }
}

#[test]
fn a_damaged_blob_is_not_copied_into_a_local_folder() {
    let hub = hub();
    for path in [SMALL, LARGE] {
        let length = hub.repo("models/org/name").entry(path).content.len();
        for damaged in damages(length) {
            for arguments in [
                &["download", "org/name"][..],
                &["download", "org/name", path],
            ] {
                let env = TestEnv::for_hub(&hub);
                env.run(["download", "org/name"]).ok();
                damage(&blob(&env, &hub, path), damaged);
                let here = ["--local-dir", "here"];
                env.run(arguments.iter().chain(&here)).ok();
                is_right(&env.work().join("here").join(path), &hub, path);
            }
        }
    }
}

#[test]
fn a_damaged_file_of_a_local_folder_is_fetched_again() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let here = ["download", "org/name", "--local-dir", "here"];
    env.run(here).ok();
    for path in [SMALL, LARGE] {
        let file = env.work().join("here").join(path);
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        damage(&file, 0);
        // A power cut leaves the time as it was.
        File::open(&file).unwrap().set_modified(before).unwrap();
        let output = env.run(here).ok();
        assert!(output.stderr().contains("another length"), "{output}");
        is_right(&file, &hub, path);
    }
    assert_eq!(env.run(here).ok().said(), "");
}

#[test]
fn a_damaged_file_is_not_used_offline() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    damage(&blob(&env, &hub, LARGE), 0);
    env.set("HF_HUB_OFFLINE", "1");
    let output = env.run(["download", "org/name"]).fails(1);
    assert!(output.stderr().contains(LARGE), "{output}");
    env.run(["download", "org/name", LARGE]).fails(1);
    env.run(["download", "org/name", SMALL]).ok();
    env.run(["download", "org/name", "--include", SMALL]).ok();
}

#[test]
fn a_power_cut_leaves_no_file_without_its_bytes() {
    let Some(shim) = shim() else { return };
    let hub = hub();
    for place in [&[][..], &["--local-dir", "here"]] {
        let env = TestEnv::for_hub(&hub);
        let command = ["download", "org/name"];
        env.hf(command.iter().chain(place))
            .var("LD_PRELOAD", &shim)
            .var("HF_SHIM_POWER_CUT", "1")
            .run()
            .ok();
        for path in [SMALL, LARGE] {
            let file = match place.is_empty() {
                true => blob(&env, &hub, path),
                false => env.work().join("here").join(path),
            };
            is_right(&file, &hub, path);
        }
    }
}

#[test]
fn an_empty_repository_is_no_damage() {
    let hub = Hub::start();
    hub.add(Repo::model("org/empty"));
    let mut env = TestEnv::for_hub(&hub);
    for place in [&[][..], &["--local-dir", "here"]] {
        let command = ["download", "org/empty"];
        let output = env.run(command.iter().chain(place)).ok();
        assert!(output.stderr().contains("has no files"), "{output}");
        assert!(Path::new(output.stdout().trim_end()).is_dir(), "{output}");
        env.run(["cache", "doctor"]).ok();
        let scan = env.run(["cache", "ls"]).ok();
        assert!(!scan.stderr().contains("Warning"), "{scan}");
    }
    env.set("HF_HUB_OFFLINE", "1");
    let output = env.run(["download", "org/empty", "x.txt"]).fails(1);
    assert_eq!(output.stdout(), "");
}
