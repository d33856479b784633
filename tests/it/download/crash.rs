//! Death at every single step: whatever call to the file system is the last one, what is on disk is
//! valid then, and the next download completes it.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::partial::is_any_left;
use crate::harness::shim::shim;
use crate::harness::tree::{NodeKind, listing, tree_of};

const FILES: [&str; 4] = ["a.txt", "sub/b.txt", "sub/same as a.txt", "model.bin"];

fn hub() -> Hub {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file(FILES[0], "first")
            .file(FILES[1], "second")
            .file(FILES[2], "first")
            .lfs(FILES[3], Content::synthetic(60_000, 5)),
    );
    hub
}

/// What must hold at any moment: a blob is complete, a pointer leads to one, a ref names a commit
/// whose files are all there, and nothing lies where scanners would stumble over it.
#[track_caller]
fn is_valid(hub: &Hub, env: &TestEnv, step: usize) {
    let repo = hub.repo("models/org/name");
    let folder = env.cache().join("models--org--name");
    for node in tree_of(&folder) {
        let file = folder.join(&node.path);
        if let (Some(name), NodeKind::File { .. }) = (node.path.strip_prefix("blobs/"), &node.kind)
        {
            let entry = FILES.map(|path| repo.entry(path));
            let entry = entry.iter().find(|entry| entry.etag() == name);
            let is_whole =
                || entry.is_some_and(|e| fs::read(&file).unwrap() == e.content.to_bytes());
            assert!(name.contains(".hf-") || is_whole(), "step {step}: {name}");
        }
        if node.path.starts_with("snapshots/") && !matches!(node.kind, NodeKind::Folder) {
            assert!(file.is_file(), "step {step}: {} leads nowhere", node.path);
        }
        if node.path == "refs/main" {
            let commit = fs::read_to_string(&file).unwrap();
            assert_eq!(commit, repo.commit("main"), "step {step}");
            are_there(hub, &folder.join("snapshots").join(commit));
        } else {
            assert!(
                !node.path.starts_with("refs/") || matches!(node.kind, NodeKind::Folder),
                "step {step}: {}",
                node.path
            );
        }
    }
    // Scanners count a repository without this folder as damaged.
    assert!(
        !folder.exists() || folder.join("snapshots").is_dir(),
        "step {step}"
    );
    for entry in fs::read_dir(env.cache()).into_iter().flatten() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = ["CACHEDIR.TAG", ".locks", "models--org--name"].contains(&name.as_str());
        assert!(known, "step {step}: {name} in the root");
    }
}

#[track_caller]
fn are_there(hub: &Hub, folder: &Path) {
    let repo = hub.repo("models/org/name");
    for path in FILES {
        let content = fs::read(folder.join(path)).unwrap();
        assert!(content == repo.entry(path).content.to_bytes(), "{path}");
    }
}

/// Dies at step 1, then, in a new home, at step 2, and so on, until there is no such step; answers
/// the number of steps. `check` looks at what a death left.
fn die_at_every_step(hub: &Hub, place: &[&str], check: impl Fn(&TestEnv, usize)) -> usize {
    let Some(shim) = shim() else {
        return usize::MAX;
    };
    let arguments = ["download", "org/name", "--max-workers", "2"];
    for step in 1.. {
        let env = TestEnv::for_hub(hub);
        let run = || env.hf(arguments.iter().chain(place));
        let preloaded = run().var("LD_PRELOAD", &shim);
        let output = preloaded.var("HF_SHIM_KILL_AT", step.to_string()).run();
        if output.code == Some(0) {
            return step - 1;
        }
        assert_eq!(output.signal, Some(Signal::KILL.as_raw()), "{output}");
        check(&env, step);
        let output = run().run().ok();
        are_there(hub, Path::new(output.stdout().trim_end()));
        check(&env, step);
        let left = listing(env.root());
        assert!(!is_any_left(&left), "step {step}: {left}");
    }
    unreachable!("some step is the last")
}

#[test]
fn the_cache_is_valid_after_death_at_any_step() {
    let hub = hub();
    let steps = die_at_every_step(&hub, &[], |env, step| is_valid(&hub, env, step));
    assert!(steps > 25, "only {steps} steps were seen");
}

#[test]
fn a_local_folder_is_valid_after_death_at_any_step() {
    let hub = hub();
    let repo = hub.repo("models/org/name");
    let steps = die_at_every_step(&hub, &["--local-dir", "out"], |env, step| {
        let folder = env.work().join("out");
        for path in FILES.iter().filter(|path| folder.join(path).exists()) {
            let content = fs::read(folder.join(path)).unwrap();
            assert!(
                content == repo.entry(path).content.to_bytes(),
                "step {step}: {path}"
            );
        }
        let names = tree_of(&folder).into_iter().map(|node| node.path);
        let stray: Vec<String> = names
            .filter(|path| !path.starts_with(".cache") && !folder.join(path).is_dir())
            .filter(|path| !FILES.contains(&path.as_str()))
            .collect();
        assert!(stray.is_empty(), "step {step}: {stray:?}");
    });
    assert!(steps > 25, "only {steps} steps were seen");
}
