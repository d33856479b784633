//! Several processes, ours and Python's, download the same repository at the same time, with locks and
//! without.

use std::collections::BTreeMap;
use std::fs;

use crate::harness::TestEnv;
use crate::harness::cache::abandon;
use crate::harness::hub::{Content, Hub, Origin, Repo, Settings};
use crate::harness::oracle::Oracle;
use crate::harness::partial::is_any_left;
use crate::harness::shim::shim;
use crate::harness::tree::{listing, tree_of};

fn hub() -> (Hub, Vec<String>) {
    let hub = Hub::with(Settings {
        // Slow enough that they overlap.
        bandwidth: Some(1_500_000),
        ..Settings::default()
    });
    let mut repo = Repo::model("org/name");
    let mut paths = Vec::new();
    for n in 0..30u64 {
        let path = format!("d{}/small-{n}.txt", n % 3);
        // Every third content is in the repository twice.
        repo = repo.file(&path, format!("text {}", n - n % 3 / 2));
        paths.push(path);
    }
    for n in 0..4 {
        let path = format!("large-{n}.bin");
        repo = repo.lfs(&path, Content::synthetic(1_500_000 + n, n));
        paths.push(path);
    }
    hub.add(repo);
    (hub, paths)
}

/// Every file is there and right, and there is one blob for each content and nothing else.
#[track_caller]
fn arrived(env: &TestEnv, hub: &Hub, paths: &[String]) {
    let repo = hub.repo("models/org/name");
    let folder = env.cache().join("models--org--name");
    let snapshot = folder.join("snapshots").join(repo.commit("main"));
    let mut etags = BTreeMap::new();
    for path in paths {
        let entry = repo.entry(path);
        assert!(
            fs::read(snapshot.join(path)).unwrap() == entry.content.to_bytes(),
            "{path}"
        );
        etags.insert(entry.etag(), ());
    }
    let blobs = tree_of(folder.join("blobs"));
    let names: Vec<&String> = blobs.iter().map(|node| &node.path).collect();
    assert_eq!(names, etags.keys().collect::<Vec<_>>());
}

#[test]
fn four_of_ours_and_two_python_clients_fetch_each_content_once() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let (hub, paths) = hub();
    let env = TestEnv::for_hub(&hub);
    let command = ["download", "org/name"];
    // Python takes a while to start; ours begin meanwhile, two of them late.
    let mut crowd = vec![
        modern.hf(&env, command).spawn(),
        modern.hf(&env, command).spawn(),
    ];
    crowd.extend([env.hf(command).spawn(), env.hf(command).spawn()]);
    crowd[2].wait_until("the first content", |_| hub.content_bytes_sent() > 0);
    crowd.extend([env.hf(command).spawn(), env.hf(command).spawn()]);
    let outputs: Vec<_> = crowd
        .into_iter()
        .map(|running| running.wait().ok())
        .collect();
    for output in &outputs {
        assert!(!output.stderr().contains("Error"), "{output}");
        assert!(!output.stderr().contains("Traceback"), "{output}");
    }
    arrived(&env, &hub, &paths);
    // The lock of a content is held while it is fetched, and the next process that gets it checks whether
    // the content exists. Python checks before and after its wait. So no content is fetched twice.
    let mut fetched: BTreeMap<String, usize> = BTreeMap::new();
    for request in hub.requests() {
        let is_part = request.range.is_some();
        if request.content && request.method == "GET" && request.status == 200 && !is_part {
            let name = match request.origin {
                Origin::Cdn => request.path.clone(),
                Origin::Hub => {
                    let path = request.path.rsplit_once("/resolve/").unwrap_or_default().1;
                    let path = path.split_once('/').unwrap_or_default().1;
                    hub.repo("models/org/name").entry(path).etag()
                }
            };
            *fetched.entry(name).or_default() += 1;
        }
    }
    assert!(
        fetched.values().all(|&times| times == 1),
        "{fetched:?}\n{}",
        hub.log_text()
    );
    let ours = env.run(["cache", "verify", "org/name", "--fail-on-extra-files"]);
    drop(ours.ok());
}

#[test]
fn without_locks_each_process_fetches_all_and_the_result_is_right() {
    let Some(shim) = shim() else { return };
    let (hub, paths) = hub();
    for (name, number) in [
        ("ENOTSUP", rustix::io::Errno::NOTSUP),
        ("ENOLCK", rustix::io::Errno::NOLCK),
        ("ENOSYS", rustix::io::Errno::NOSYS),
    ] {
        for place in [&[][..], &["--local-dir", "out"]] {
            let env = TestEnv::for_hub(&hub);
            let start = || {
                env.hf(["download", "org/name"].iter().chain(place))
                    .var("LD_PRELOAD", &shim)
                    .var("HF_SHIM_FLOCK", number.raw_os_error().to_string())
                    .spawn()
            };
            let crowd = [start(), start()];
            for running in crowd {
                let output = running.wait().ok();
                let told = output.stderr().matches("has no locks").count();
                assert_eq!(told, 1, "{name}: said once\n{output}");
            }
            if place.is_empty() {
                arrived(&env, &hub, &paths);
            }
            let repo = hub.repo("models/org/name");
            for path in paths.iter().filter(|_| !place.is_empty()) {
                let file = fs::read(env.work().join("out").join(path)).unwrap();
                assert!(file == repo.entry(path).content.to_bytes(), "{path}");
            }
            let left = listing(env.root());
            assert!(!is_any_left(&left) && !left.contains(".tmp"), "{left}");
        }
    }
}

#[test]
fn without_locks_a_killed_download_leaves_nothing_that_is_used() {
    let Some(shim) = shim() else { return };
    let (hub, paths) = hub();
    let env = TestEnv::for_hub(&hub);
    let mut running = env
        .hf(["download", "org/name"])
        .var("LD_PRELOAD", &shim)
        .var(
            "HF_SHIM_FLOCK",
            rustix::io::Errno::NOLCK.raw_os_error().to_string(),
        )
        .spawn();
    running.wait_until("a megabyte", |_| hub.content_bytes_sent() > 1_000_000);
    let _ = running.kill();
    let left = listing(env.cache());
    assert!(is_any_left(&left), "killed midway: {left}");
    env.run(["download", "org/name"]).ok();
    // Without a lock it may be a running download until it is old.
    env.run(["cache", "prune", "--yes"]).ok();
    let blobs = env.cache().join("models--org--name/blobs");
    let left: Vec<_> = fs::read_dir(blobs).unwrap().flatten().collect();
    let partials = left.iter().map(fs::DirEntry::path);
    let partials = partials.filter(|path| is_any_left(&path.to_string_lossy()));
    let count = partials.map(|path| abandon(&path)).count();
    assert!(count > 0);
    env.run(["cache", "prune", "--yes"]).ok();
    arrived(&env, &hub, &paths);
}

#[test]
fn what_another_client_finished_needs_no_partial() {
    let (hub, paths) = hub();
    for place in [&[][..], &["--local-dir", "out"]] {
        let env = TestEnv::for_hub(&hub);
        let run = |more: &[&'static str]| {
            let arguments = ["download", "org/name"].iter().chain(place).chain(more);
            env.hf(arguments).run().ok()
        };
        let mut running = env
            .hf(["download", "org/name", "large-0.bin"].iter().chain(place))
            .spawn();
        running.wait_until("a part of it", |_| hub.content_bytes_sent() > 300_000);
        let _ = running.kill();
        let partial = tree_of(env.root())
            .into_iter()
            .find(|node| node.path.ends_with(".hf-sparse"))
            .expect("a partial");
        let (partial, kept) = (env.path(&partial.path), env.path("kept"));
        fs::rename(&partial, &kept).unwrap();
        run(&[]);
        // As if another client, which does not know our partials, had fetched the file.
        fs::rename(&kept, &partial).unwrap();
        run(&[]);
        assert!(!partial.exists(), "{place:?}: {}", listing(env.root()));
        if place.is_empty() {
            arrived(&env, &hub, &paths);
        }
        hub.clear_requests();
    }
}
