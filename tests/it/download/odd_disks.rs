//! Odd file systems: locks that exclude no process, no symbolic links, parts of the cache on other disks,
//! files that cannot be replaced.

use std::fs;
use std::path::Path;

use rustix::io::Errno;

use crate::download::errors::in_namespace;
use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo, Settings};
use crate::harness::oracle::mounts;
use crate::harness::partial::is_any_left;
use crate::harness::shim::shim;
use crate::harness::tree::listing;

const LARGE: u64 = 2_500_000;

fn hub() -> Hub {
    let hub = Hub::start();
    let mut repo = Repo::model("org/name").lfs("big.bin", Content::synthetic(LARGE, 21));
    for number in 0..12 {
        repo = repo.file(&format!("sub/{number}.txt"), format!("text {}", number / 2));
    }
    hub.add(repo);
    hub
}

/// All files are in the folder and right.
#[track_caller]
fn arrived(folder: &Path, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let mut paths: Vec<String> = (0..12).map(|n| format!("sub/{n}.txt")).collect();
    paths.push("big.bin".to_owned());
    for path in paths {
        let expected = repo.entry(&path).content.to_bytes();
        assert!(fs::read(folder.join(&path)).unwrap() == expected, "{path}");
    }
}

fn snapshot(env: &TestEnv, hub: &Hub) -> std::path::PathBuf {
    let commit = hub.repo("models/org/name").commit("main");
    env.cache().join("models--org--name/snapshots").join(commit)
}

#[test]
fn ranks_whose_locks_exclude_no_process() {
    let Some(shim) = shim() else { return };
    let hub = hub();
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(4_000_000));
    for place in [&[][..], &["--local-dir", "here"]] {
        let env = TestEnv::for_hub(&hub);
        let start = || {
            env.hf(["download", "org/name"].iter().chain(place))
                .var("LD_PRELOAD", &shim)
                .var("HF_SHIM_FLOCK", "0")
                .spawn()
        };
        let ranks: Vec<_> = (0..5).map(|_| start()).collect();
        for rank in ranks {
            let output = rank.wait().ok();
            assert!(!output.stderr().contains("Error"), "{output}");
            let told = output.stderr().matches("cannot be relied on").count();
            assert!(told <= 1, "{output}");
        }
        match place.is_empty() {
            true => arrived(&snapshot(&env, &hub), &hub),
            false => arrived(&env.work().join("here"), &hub),
        }
        let left = listing(env.root());
        assert!(!is_any_left(&left) && !left.contains(".tmp"), "{left}");
    }
}

#[test]
fn an_interrupted_rank_leaves_no_partial_of_its_own() {
    let Some(shim) = shim() else { return };
    let hub = hub();
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(1_000_000));
    let env = TestEnv::for_hub(&hub);
    let mut running = env
        .hf(["download", "org/name", "big.bin"])
        .var("LD_PRELOAD", &shim)
        .var("HF_SHIM_FLOCK", "0")
        .spawn();
    running.wait_until("something arrived", |_| hub.content_bytes_sent() > 300_000);
    running.signal(rustix::process::Signal::INT);
    let output = running.wait().fails(130);
    assert!(output.stderr().contains("Nothing is kept"), "{output}");
    assert!(!is_any_left(&listing(env.cache())));
}

#[test]
fn with_every_error_of_symlink_files_are_made() {
    let Some(shim) = shim() else { return };
    let hub = hub();
    // 524 is ENOTSUPP inside the kernel, which some network file systems return.
    for error in [
        Errno::PERM.raw_os_error(),
        Errno::OPNOTSUPP.raw_os_error(),
        Errno::INVAL.raw_os_error(),
        Errno::IO.raw_os_error(),
        Errno::NOSYS.raw_os_error(),
        524,
    ] {
        let env = TestEnv::for_hub(&hub);
        let run = || {
            let command = env.hf(["download", "org/name"]);
            let command = command.var("LD_PRELOAD", &shim);
            command.var("HF_SHIM_SYMLINK", error.to_string()).run().ok()
        };
        run();
        let folder = snapshot(&env, &hub);
        arrived(&folder, &hub);
        assert!(!listing(&folder).contains("->"), "{error}");
        let (sent, before) = (hub.content_bytes_sent(), listing(env.cache()));
        assert_eq!(run().said(), "");
        assert_eq!(
            hub.content_bytes_sent(),
            sent,
            "{error}: nothing is fetched again"
        );
        assert_eq!(listing(env.cache()), before);
    }
}

/// A disk that cannot flush takes downloads; one that fails to has lost bytes, and nothing is published.
#[test]
fn flushing_is_done_where_it_can_be() {
    let Some(shim) = shim() else { return };
    let hub = hub();
    for (errno, code) in [
        (Errno::INVAL, 0),
        (Errno::NOSYS, 0),
        (Errno::OPNOTSUPP, 0),
        (Errno::IO, 1),
    ] {
        for place in [&[][..], &["--local-dir", "here"]] {
            let env = TestEnv::for_hub(&hub);
            let run = env.hf(["download", "org/name"].iter().chain(place));
            let run = run.var("LD_PRELOAD", &shim);
            let run = run.var("HF_SHIM_FSYNC", errno.raw_os_error().to_string());
            let output = run.run().fails(code);
            let folder = match place.is_empty() {
                true => snapshot(&env, &hub),
                false => env.work().join("here"),
            };
            match code {
                0 => arrived(&folder, &hub),
                _ => assert!(!folder.join("big.bin").exists(), "{output}"),
            }
        }
    }
}

/// A temporary file system of its own at each of these places below the work folder.
fn on_other_disks(places: &[&str]) -> String {
    let mounts = places.iter().map(|place| {
        format!("mkdir -p \"{place}\" && mount -t tmpfs -o size=64m tmpfs \"{place}\"")
    });
    mounts.collect::<Vec<_>>().join(" && ")
}

#[test]
fn parts_of_a_local_folder_on_other_disks() {
    if mounts().is_none() {
        return;
    }
    let hub = hub();
    for places in [
        &["here/sub"][..],
        &["here/.cache"],
        &["here/.cache/huggingface/download", "here/sub"],
    ] {
        let env = TestEnv::for_hub(&hub);
        let copy = "\"$HF\" download org/name --local-dir here && cp -r here there && \
                    \"$HF\" download org/name --local-dir here --force-download && \
                    \"$HF\" download org/name --local-dir here -q --dry-run";
        let setup = format!("{} && {copy}", on_other_disks(places));
        in_namespace(&env, &setup, "version").ok();
        arrived(&env.work().join("there"), &hub);
        assert!(!is_any_left(&listing(env.work())), "{places:?}");
    }
}

#[test]
fn parts_of_the_cache_on_other_disks() {
    if mounts().is_none() {
        return;
    }
    let hub = hub();
    for place in ["blobs", "snapshots", "refs"] {
        let env = TestEnv::for_hub(&hub);
        let place = format!("{}/models--org--name/{place}", env.cache().display());
        let commands = "\"$HF\" download org/name && cp -rL \"$CACHE\"/models--org--name/snapshots/* there && \
                        \"$HF\" download org/name --force-download && \"$HF\" --offline download org/name";
        let setup = format!("{} && {commands}", on_other_disks(&[&place]));
        in_namespace(&env, &setup, "version").ok();
        arrived(&env.work().join("there"), &hub);
    }
}

#[test]
fn a_file_that_cannot_be_replaced_is_written_in_place() {
    if mounts().is_none() {
        return;
    }
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.work().join("here/sub")).unwrap();
    for name in ["config", "weights", "here/sub/3.txt", "here/big.bin"] {
        fs::write(env.work().join(name), "before").unwrap();
    }
    let setup = "mount --bind config here/sub/3.txt && mount --bind weights here/big.bin";
    let command = "download org/name --local-dir here";
    in_namespace(&env, setup, command).ok();
    let repo = hub.repo("models/org/name");
    for (file, path) in [("config", "sub/3.txt"), ("weights", "big.bin")] {
        let expected = repo.entry(path).content.to_bytes();
        assert!(
            fs::read(env.work().join(file)).unwrap() == expected,
            "{path}"
        );
    }
}

#[test]
fn a_folder_that_is_a_broken_link() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let link = env.work().join("disk");
    std::os::unix::fs::symlink("/nowhere/mounted", &link).unwrap();
    for arguments in [
        &["download", "org/name", "--local-dir", "disk"][..],
        &["download", "org/name", "--cache-dir", "disk"],
        &["download", "org/name", "--local-dir", "disk/models"],
    ] {
        let output = env.run(arguments).fails(1);
        assert!(
            output.stderr().contains("where there is nothing"),
            "{output}"
        );
        assert!(output.stderr().contains("not mounted"), "{output}");
    }
    env.set("HF_HUB_CACHE", &link);
    let output = env.run(["download", "org/name"]).fails(1);
    assert!(output.stderr().contains("not mounted"), "{output}");
    assert_eq!(hub.content_bytes_sent(), 0);
    assert!(!Path::new("/nowhere").exists());
}
