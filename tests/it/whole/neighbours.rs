//! Other programs in the same cache: each uses what the other brought, nothing that one is writing is taken by the other,
//! and a program that is killed leaves a cache that works for the other.
//!
//! The programs are the real ones ([`Neighbour`]); only transformers 4 is imitated by what it does to the cache.
//! Part of the endurance run, since they have to be installed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::harness::cache::abandon;
use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::neighbours::Neighbour;
use crate::harness::partial::is_any_left;
use crate::harness::tree::{NodeKind, tree_of};
use crate::harness::{Output, Running, TestEnv, eventually};

const MODEL: &str = "model.safetensors";
const FILES: [&str; 2] = ["config.json", MODEL];
/// The Python clients write ten megabytes at a time: less would be on disk only when it is whole.
const SIZE: u64 = 16 << 20;
/// Commands that delete unfinished downloads that no program continues.
const SWEEPS: [&[&str]; 2] = [
    &["cache", "prune", "-y"],
    &["cache", "doctor", "--fix", "-y"],
];

/// A Hub, a cache, and the other program.
struct Street {
    hub: Hub,
    env: TestEnv,
    neighbour: Neighbour,
}

impl Street {
    fn with(neighbour: Neighbour) -> Option<Self> {
        let neighbour = neighbour.installed()?;
        let hub = Hub::start();
        let model = Content::synthetic(SIZE, 7);
        hub.add(
            Repo::model("org/name")
                .file(FILES[0], "{\"a\": 1}")
                .lfs(MODEL, model),
        );
        let env = TestEnv::for_hub(&hub);
        Some(Self {
            hub,
            env,
            neighbour,
        })
    }

    /// The path that the neighbour gives for a file.
    fn theirs(&self, file: &str) -> PathBuf {
        last_line(&self.neighbour.get(&self.env, file).run().ok())
    }

    /// The path that we give for a file.
    fn ours(&self, file: &str) -> PathBuf {
        last_line(&self.env.run(["download", "org/name", file]).ok())
    }

    /// Answers so far whose body was file content of some size; some clients ask for the first byte to learn the rest.
    fn fetched(&self) -> usize {
        let requests = self.hub.requests().into_iter();
        requests
            .filter(|r| r.content && r.method == "GET" && r.body_bytes_sent > 1)
            .count()
    }

    /// File content comes slowly from now on, so that a download is still running when we look.
    fn slow(&self) {
        let trickle = Fault::Trickle {
            bytes_per_second: 6 << 20,
        };
        self.hub.fault(trickle.on(MODEL));
    }

    /// The neighbour in the middle of a download, and its unfinished file with some content.
    fn their_download(&self) -> (Running, PathBuf) {
        self.slow();
        let mut running = self.neighbour.get(&self.env, MODEL).spawn();
        running.wait_until("their unfinished download", |_| {
            partials(&self.env).iter().any(|path| has_content(path))
        });
        let partial = partials(&self.env);
        assert_eq!(partial.len(), 1, "{partial:?}");
        (running, partial[0].clone())
    }

    /// The cache is right: both files have their content, and `doctor` finds nothing.
    #[track_caller]
    fn is_right(&self, when: &str) {
        let repo = self.hub.repo("models/org/name");
        let snapshot = (self.env.cache()).join("models--org--name/snapshots");
        for file in FILES {
            let place = snapshot.join(repo.commit("main")).join(file);
            let found = fs::read(&place).unwrap_or_else(|e| panic!("{when}: {file}: {e}"));
            assert!(
                found == repo.entry(file).content.to_bytes(),
                "{when}: {file}"
            );
        }
        let verified = self.env.run(["cache", "verify", "org/name"]);
        assert_eq!(verified.code, Some(0), "{when}: {verified}");
    }

    /// Both sides give the same path for each file, and nothing is fetched for it.
    #[track_caller]
    fn both_have_all(&self, when: &str) {
        let fetched = self.fetched();
        for file in FILES {
            assert_eq!(self.ours(file), self.theirs(file), "{when}");
        }
        let log = self.hub.log_text();
        assert_eq!(self.fetched(), fetched, "{when}: fetched again\n{log}");
        self.is_right(when);
    }
}

fn last_line(output: &Output) -> PathBuf {
    let line = output.stdout().lines().next_back();
    PathBuf::from(line.unwrap_or_else(|| panic!("no path\n{output}")))
}

fn has_content(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() > 0)
}

/// Unfinished downloads of other programs, by what the sources of those programs call them.
fn partials(env: &TestEnv) -> Vec<PathBuf> {
    let in_folder = |folder: PathBuf| {
        let names = fs::read_dir(folder).into_iter().flatten();
        names.map(|entry| entry.expect("entry").path())
    };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let in_root = in_folder(env.cache())
        .filter(|path| name(path).starts_with("tmp") && name(path).len() == 11);
    let blobs = in_folder(env.cache().join("models--org--name/blobs"))
        .filter(|path| name(path).ends_with(".incomplete") || name(path).ends_with(".part"));
    in_root.chain(blobs).collect()
}

/// Stops a program. The signal alone has not stopped it: a thread goes on until the call it is in returns.
fn stop(running: &Running) {
    running.signal(Signal::STOP);
    let tasks = format!("/proc/{}/task", running.id());
    eventually("all threads stopped", || {
        fs::read_dir(&tasks).expect("threads").all(|task| {
            let path = task.expect("thread").path().join("stat");
            fs::read_to_string(path).is_ok_and(|stat| stat.contains(") T "))
        })
    });
}

/// Our own unfinished downloads.
fn our_partials(env: &TestEnv) -> Vec<PathBuf> {
    let blobs = env.cache().join("models--org--name/blobs");
    let names = fs::read_dir(blobs).into_iter().flatten();
    let paths = names.map(|entry| entry.expect("entry").path());
    paths
        .filter(|path| is_any_left(&path.to_string_lossy()))
        .collect()
}

fn they_read_ours(neighbour: Neighbour) {
    let Some(street) = Street::with(neighbour) else {
        return;
    };
    let output = street.env.run(["download", "org/name"]).ok();
    let fetched = street.fetched();
    for file in FILES {
        assert_eq!(street.theirs(file), last_line(&output).join(file));
    }
    assert_eq!(street.fetched(), fetched, "{}", street.hub.log_text());
    street.both_have_all("after ours");
}

fn we_read_theirs(neighbour: Neighbour) {
    let Some(street) = Street::with(neighbour) else {
        return;
    };
    let theirs = FILES.map(|file| street.theirs(file));
    let fetched = street.fetched();
    assert_eq!(FILES.map(|file| street.ours(file)), theirs);
    let output = street.env.run(["download", "org/name"]).ok();
    assert_eq!(last_line(&output).join(FILES[0]), theirs[0]);
    assert_eq!(street.fetched(), fetched, "{}", street.hub.log_text());
    street.both_have_all("after theirs");
    let listed = street.env.run(["cache", "ls"]).ok();
    assert!(!listed.stderr().contains("Warning"), "{listed}");
    let doctor = street.env.run(["cache", "doctor", "--json"]).ok();
    assert_eq!(doctor.json(), serde_json::json!([]), "{doctor}");
    if neighbour == Neighbour::Transformers4 {
        assert!(street.env.cache().join("version.txt").is_file());
    }
}

/// The neighbour is stopped in the middle of a download, and we run while it waits.
fn what_they_write_stays(neighbour: Neighbour) {
    let Some(street) = Street::with(neighbour) else {
        return;
    };
    let (theirs, partial) = street.their_download();
    stop(&theirs);
    let file = |path: &Path| fs::metadata(path).map(|meta| (meta.ino(), meta.len())).ok();
    let before = (file(&partial), tree_of(street.env.cache()));
    for sweep in SWEEPS {
        let output = street.env.run(sweep);
        let after = tree_of(street.env.cache());
        let gone: Vec<_> = (before.1.iter())
            .filter(|node| !after.contains(node))
            .collect();
        assert!(gone.is_empty(), "{sweep:?} {gone:?}\n{output}");
        assert_eq!(file(&partial), before.0, "{sweep:?}\n{output}");
    }
    let mut ours = street.env.hf(["download", "org/name"]).spawn();
    match neighbour {
        // It holds no lock that we know of: we download the file as well.
        Neighbour::JavaScript | Neighbour::HfHubCrate => eventually("ours beside", || ours.ended()),
        // One download for both.
        _ => eventually("the small file", || {
            let nodes = tree_of(street.env.cache().join("models--org--name/snapshots"));
            nodes.iter().any(|node| node.path.ends_with(FILES[0])) || ours.ended()
        }),
    }
    assert_eq!(file(&partial), before.0, "taken by our download");
    theirs.signal(Signal::CONT);
    ours.wait().ok();
    theirs.wait().ok();
    street.both_have_all("after both at once");
    assert_eq!(partials(&street.env), [] as [PathBuf; 0]);
}

fn after_their_kill_both_go_on(neighbour: Neighbour) {
    let Some(street) = Street::with(neighbour) else {
        return;
    };
    let (theirs, _) = street.their_download();
    assert!(theirs.kill().signal.is_some());
    street.hub.clear_faults();
    street.env.run(["download", "org/name"]).ok();
    street.both_have_all("after their kill");
}

fn their_old_leftovers_are_listed_and_go(neighbour: Neighbour) {
    let Some(street) = Street::with(neighbour) else {
        return;
    };
    let (theirs, partial) = street.their_download();
    assert!(theirs.kill().signal.is_some());
    street.hub.clear_faults();
    abandon(&partial);
    let name = partial.file_name().unwrap().to_str().unwrap();
    let doctor = street.env.run(["cache", "doctor"]);
    assert!(doctor.stdout().contains(name), "{doctor}");
    let size = fs::metadata(&partial).unwrap().len();
    let prune = street.env.run(["cache", "prune", "-y", "--json"]).ok();
    assert_eq!(prune.json()["incomplete_deleted"], 1, "{prune}");
    assert_eq!(prune.json()["freed_bytes"], size, "{prune}");
    assert!(!partial.exists());
    for file in FILES {
        street.theirs(file);
    }
    street.both_have_all("after the leftovers went");
}

fn after_our_kill_both_go_on(neighbour: Neighbour) {
    let Some(street) = Street::with(neighbour) else {
        return;
    };
    street.slow();
    let mut ours = street.env.hf(["download", "org/name"]).spawn();
    // Our file has its full length from the start: the bytes that were sent show it.
    ours.wait_until("half of our download", |_| {
        street.hub.content_bytes_sent_for(|_| true) > SIZE / 2
    });
    assert!(ours.kill().signal.is_some());
    street.hub.clear_faults();
    assert!(!our_partials(&street.env).is_empty());
    for file in FILES {
        street.theirs(file);
    }
    street.both_have_all("after our kill");
    let blobs = tree_of(street.env.cache().join("models--org--name/blobs"));
    let whole = blobs
        .iter()
        .filter(|node| matches!(node.kind, NodeKind::File { size: SIZE, .. }));
    assert_eq!(whole.count(), 1, "{blobs:?}");
}

/// A module of tests for each neighbour.
macro_rules! beside {
    ($($module:ident: $neighbour:ident,)*) => {
        $(mod $module {
            use crate::harness::neighbours::Neighbour::$neighbour;
            beside!(@ $neighbour they_read_ours we_read_theirs what_they_write_stays after_their_kill_both_go_on
                their_old_leftovers_are_listed_and_go after_our_kill_both_go_on);
        })*
    };
    (@ $neighbour:ident $($test:ident)*) => {
        $(#[test]
        #[ignore = "endurance"]
        fn $test() {
            super::$test($neighbour);
        })*
    };
}

beside! {
    huggingface_hub_0_20: OldHub,
    transformers_4: Transformers4,
    huggingface_hub_2: ModernHub,
    javascript: JavaScript,
    hf_hub_crate: HfHubCrate,
    hf_hub_crate_1: HfHubCrate1,
}
