//! Hundreds of downloads that are killed at a random moment (SIGKILL), with Python clients in between,
//! until the repository is there: byte for byte the right one, and with hardly a byte sent twice.
//!
//! # What is counted
//!
//! Bytes of file content that the Hub handed to the connections of *our* client (told by its
//! `user-agent`). What a killed round brought lies on disk, but for what still sat in a buffer of the
//! Hub, of the kernel or of the process; the last run, which is left alone, must fetch what is not on
//! disk and hardly a byte more. The Python client starts a file from its beginning after a kill, by
//! design; what it fetches is not counted, but a file that it completed is one that we need not fetch.
//!
//! The Hub sends to each connection at a fixed rate, in pieces of a twentieth of a second, so that
//! buffers are as full as behind a real line and not as on a loopback device.
//!
//! The moments are drawn from a seed that a failure prints; `HF_TORTURE_SEED` replays the draws
//! (though not the scheduler).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::endurance::in_two_sizes;
use crate::harness::hub::{Content, Entry, Hub, Repo, Request, Settings};
use crate::harness::oracle::Oracle;
use crate::harness::partial::{is_any_left, kept};
use crate::harness::tree::{NodeKind, listing, tree_of};
use crate::harness::{Running, TestEnv};

/// Bytes per second of one connection. With eight to sixteen of them a round of some hundred
/// milliseconds brings about its share of the repository.
const RATE: u64 = 150_000;

/// A repository of every kind of file: large ones that several connections fetch, LFS behind a
/// redirect to the CDN, many small ones in folders, empty and doubled ones.
fn repository(large: &[u64]) -> (Hub, BTreeMap<String, Entry>) {
    let hub = Hub::with(Settings {
        bandwidth: Some(RATE),
        page_size: 50,
        resolve_cache: true,
        ..Settings::default()
    });
    let mut repo = Repo::model("org/name").file("empty.txt", "");
    let mut paths = vec!["empty.txt".to_owned()];
    for (n, size) in large.iter().enumerate() {
        let path = format!("weights/large-{n}.safetensors");
        repo = repo.lfs(&path, Content::synthetic(*size, 100 + n as u64));
        paths.push(path);
    }
    for n in 0..6 {
        let path = format!("medium-{n}.bin");
        repo = repo.lfs(&path, Content::synthetic(400_000 + n * 150_000, 200 + n));
        paths.push(path);
    }
    for n in 0..120 {
        let path = format!("data/{}/small {n}.json", n % 7);
        // Every tenth has the content of another one.
        let seed = if n % 10 == 9 { n - 9 } else { n };
        let text = Content::synthetic(500 + seed * 61, seed).to_bytes();
        repo = repo.file(&path, text);
        paths.push(path);
    }
    hub.add(repo);
    let published = hub.repo("models/org/name");
    let entries = paths
        .into_iter()
        .map(|path| (path.clone(), published.entry(&path)))
        .collect();
    (hub, entries)
}

fn is_ours(request: &Request) -> bool {
    let agent = request.user_agent.as_deref().unwrap_or_default();
    agent.starts_with("hf-cli/")
}

fn ours(hub: &Hub) -> u64 {
    hub.content_bytes_sent_for(is_ours)
}

/// Prints the seed when the test fails.
struct Seed(u64);

impl Seed {
    fn draw() -> Self {
        let given = std::env::var("HF_TORTURE_SEED").ok();
        Seed(given.map_or_else(
            || fastrand::u64(..),
            |seed| seed.parse().expect("HF_TORTURE_SEED is a number"),
        ))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to draw the same moments again: HF_TORTURE_SEED={}", self.0);
        }
    }
}

/// One torture: where files go, how long, and who else takes part.
struct Torture<'a> {
    hub: &'a Hub,
    env: TestEnv,
    place: &'a [&'a str],
    random: fastrand::Rng,
    /// Bytes that a round brings, about, to spread the kills over the whole download.
    share: u64,
    oracle: Option<Oracle>,
    /// A Python client at work, and when it is to be killed (`None`: when it is done).
    python: Vec<(Running, Option<Instant>)>,
    /// Kills that hit a Python client.
    python_kills: usize,
    /// Bytes sent to us in killed rounds.
    killed: u64,
    /// Bytes of them, and of what Python completed, that are on disk after these rounds.
    kept: u64,
}

impl<'a> Torture<'a> {
    fn new(hub: &'a Hub, place: &'a [&'a str], seed: &Seed, share: u64) -> Self {
        Torture {
            hub,
            env: TestEnv::for_hub(hub),
            place,
            random: fastrand::Rng::with_seed(seed.0),
            share,
            oracle: Oracle::modern(),
            python: Vec::new(),
            python_kills: 0,
            killed: 0,
            kept: 0,
        }
    }

    fn arguments(&self) -> Vec<&'a str> {
        let mut arguments = vec!["download", "org/name"];
        arguments.extend(self.place);
        arguments
    }

    /// Starts a download and kills it: as a rule when it brought about its share, however long that takes on
    /// a busy machine, and sometimes at a moment, which may be before it has begun.
    fn round(&mut self, number: usize) {
        let by_the_clock = number % 4 == 3;
        let milliseconds = self.random.u64(5..1000);
        let limit = Duration::from_millis(if by_the_clock { milliseconds } else { 60_000 });
        let most = self.random.u64(self.share / 2..self.share * 3 / 2);
        let before = ours(self.hub);
        let start = Instant::now();
        let mut running = self.env.hf(self.arguments()).spawn();
        while start.elapsed() < limit && ours(self.hub) - before < most && !running.ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let ended = running.ended();
        let output = running.kill();
        // It may have died on the way, but never by itself.
        assert!(
            !ended || output.code == Some(0),
            "a round failed by itself\n{output}"
        );
    }

    /// Sometimes lets a Python client take part: of all files, to be killed, or of one, to its end.
    fn maybe_python(&mut self, every: usize) {
        let mut going = Vec::new();
        for (mut running, end) in self.python.drain(..) {
            match end {
                Some(end) if Instant::now() >= end || running.ended() => {
                    self.python_kills += 1;
                    drop(running.kill());
                }
                None if running.ended() => drop(running.wait().ok()),
                _ => going.push((running, end)),
            }
        }
        self.python = going;
        let Some(oracle) = &self.oracle else { return };
        if self.python.len() > 1 || self.random.usize(0..every) > 0 {
            return;
        }
        if self.random.bool() {
            let moment = Duration::from_millis(self.random.u64(600..4000));
            let running = oracle.hf(&self.env, self.arguments()).spawn();
            self.python.push((running, Some(Instant::now() + moment)));
        } else {
            let file = format!("medium-{}.bin", self.random.u8(0..6));
            let mut arguments: Vec<&str> = self.arguments();
            arguments.insert(2, &file);
            let running = oracle.hf(&self.env, arguments).spawn();
            self.python.push((running, None));
        }
    }

    /// All rounds, then one download that is left alone.
    fn run(&mut self, rounds: usize, python_every: usize) -> PathBuf {
        for number in 0..rounds {
            self.maybe_python(python_every);
            self.round(number);
        }
        for (running, end) in self.python.drain(..) {
            match end {
                Some(_) => drop(running.kill()),
                None => drop(running.wait().ok()),
            }
        }
        self.killed = ours(self.hub);
        self.kept = match self.place {
            [] => on_disk(&self.env.cache().join("models--org--name/blobs")),
            _ => on_disk(&self.env.work()),
        };
        // Faster, but still a line: an endless one fills megabytes of buffers that are not ours.
        self.hub
            .configure(|settings| settings.bandwidth = Some(20 * RATE));
        let output = self.env.run(self.arguments()).ok();
        PathBuf::from(output.stdout().trim_end())
    }
}

/// Every file is there with its very bytes, and nothing else is in the folder but `also`.
#[track_caller]
fn is_identical(folder: &Path, entries: &BTreeMap<String, Entry>, also: &str) {
    for (path, entry) in entries {
        assert!(
            fs::read(folder.join(path)).unwrap() == entry.content.to_bytes(),
            "{path}"
        );
    }
    let found: Vec<String> = tree_of(folder)
        .into_iter()
        .filter(|node| !folder.join(&node.path).is_dir() && !node.path.starts_with(also))
        .map(|node| node.path)
        .collect();
    let wanted: Vec<String> = entries.keys().cloned().collect();
    assert_eq!(found, wanted);
}

/// What reached the disk before the last run was not fetched again, and the kills struck while there was work. What a kill
/// loses that was sent and not yet written is the machine's business: the busier it is, the more lies in buffers. The last
/// run loses some as well, where one connection takes over from another.
#[track_caller]
fn is_thrifty(torture: &Torture, size: u64, rounds: usize) {
    let (killed, kept) = (torture.killed, torture.kept);
    let last = ours(torture.hub) - killed;
    let line = format!(
        "{rounds} kills: {killed} bytes sent to us in killed rounds, {kept} on disk after them, {last} in the last run, of {size}"
    );
    // Not eprintln!, which the test runner swallows when the test passes.
    drop(std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("{line}\n").as_bytes(),
    ));
    let in_buffers = size / 8;
    assert!(last <= size.saturating_sub(kept) + in_buffers, "{line}");
    assert!(killed > size / 8, "the kills hit too little: {line}");
    assert!(kept > killed / 4, "hardly a kill left anything: {line}");
}

/// Bytes of content below a folder that our client need not fetch: of whole files and of its own partials.
fn on_disk(folder: &Path) -> u64 {
    let bytes = tree_of(folder).into_iter().map(|node| match node.kind {
        NodeKind::File { .. } if node.path.ends_with(".hf-sparse") => {
            kept(&folder.join(&node.path))
        }
        NodeKind::File { .. } if node.path.ends_with(".hf-journal") => 0,
        NodeKind::File { .. } if node.path.ends_with(".incomplete") => 0,
        NodeKind::File { size, .. } => size,
        _ => 0,
    });
    bytes.sum()
}

in_two_sizes!(kills_into_the_cache: (15, &[34_000_000]), (200, &[36_000_000, 34_500_000, 33_600_001]));

fn kills_into_the_cache((rounds, large): (usize, &[u64])) {
    let seed = Seed::draw();
    let (hub, entries) = repository(large);
    let mut contents = BTreeMap::new();
    for entry in entries.values() {
        contents.insert(entry.etag(), entry.content.len());
    }
    let size: u64 = contents.values().sum();
    let mut torture = Torture::new(&hub, &[], &seed, size / 2 / rounds as u64);
    let snapshot = torture.run(rounds, 12);
    is_identical(&snapshot, &entries, "-");
    is_thrifty(&torture, size, rounds);
    let env = torture.env;
    // One blob for each content, none of which is unfinished.
    let of_python = |path: &str| torture.python_kills > 0 && path.ends_with(".incomplete");
    // A link or a ref that was on its way when the process died: `cache doctor` knows it.
    let on_its_way = |path: &str| path.starts_with(".hf-") && path.ends_with(".tmp");
    let has_blobs_alone = |is_litter: &dyn Fn(&str) -> bool| {
        let blobs = tree_of(env.cache().join("models--org--name/blobs"));
        let names: Vec<&str> = blobs
            .iter()
            .map(|node| node.path.as_str())
            .filter(|path| !is_litter(path))
            .collect();
        let expected: Vec<_> = contents.keys().collect();
        assert_eq!(names, expected, "{}", listing(env.cache()));
    };
    has_blobs_alone(&|path| of_python(path) || on_its_way(path));
    env.run(["cache", "doctor", "--fix", "--yes"]).ok();
    has_blobs_alone(&of_python);
    env.run([
        "cache",
        "verify",
        "org/name",
        "--fail-on-missing-files",
        "--fail-on-extra-files",
    ])
    .ok();
    let ours = env.run(["cache", "ls", "--show-warnings"]).ok();
    assert!(!ours.stderr().to_lowercase().contains("warning"), "{ours}");
    let Some(oracle) = torture.oracle else { return };
    let code = "from huggingface_hub import scan_cache_dir\n\
                print([str(w) for w in scan_cache_dir().warnings])";
    let scan = oracle.python(&env, code).run().ok();
    assert_eq!(scan.stdout(), "[]\n");
    oracle
        .hf(
            &env,
            [
                "cache",
                "verify",
                "org/name",
                "--fail-on-missing-files",
                "--fail-on-extra-files",
            ],
        )
        .run()
        .ok();
}

in_two_sizes!(kills_into_a_local_folder: 10, 60);

fn kills_into_a_local_folder(rounds: usize) {
    let seed = Seed::draw();
    let (hub, entries) = repository(&[34_000_000]);
    let size: u64 = entries.values().map(|entry| entry.content.len()).sum();
    let mut torture = Torture::new(
        &hub,
        &["--local-dir", "out"],
        &seed,
        size / 2 / rounds as u64,
    );
    let folder = torture.run(rounds, 12);
    is_identical(&folder, &entries, ".cache/");
    is_thrifty(&torture, size, rounds);
    let state = listing(folder.join(".cache"));
    assert!(!is_any_left(&state) && !state.contains(".tmp"), "{state}");
    let env = torture.env;
    let Some(oracle) = torture.oracle else { return };
    let before = hub.content_bytes_sent();
    oracle
        .hf(&env, ["download", "org/name", "--local-dir", "out"])
        .run()
        .ok();
    assert_eq!(
        hub.content_bytes_sent(),
        before,
        "Python finds everything there"
    );
}
