//! Files in Xet storage: fetched from there, checked, and over HTTP when Xet does not bring them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::harness::cas::Cas;
use crate::harness::faulty_cas::{Fate, FaultyCas, Kind};
use crate::harness::hub::{Content, Fault, Hub, Repo, Request, XET_TOKEN};
use crate::harness::oracle::{Oracle, mounts};
use crate::harness::partial::{all_below, is_any_left, kept, plant};
use crate::harness::process::Output;
use crate::harness::shim::shim;
use crate::harness::stall::{Relay, falling_silent};
use crate::harness::tree::{listing, tree_of};

use crate::download::errors::in_namespace;
use crate::harness::{Running, TestEnv, nobody};

pub const SIZE: usize = 2_000_000;

/// Bytes without repetition: Xet stores nothing twice.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(size)
        .collect()
}

/// A storage server with two files and a Hub that lists them, beside one that is not there.
pub fn storage() -> (Cas, Hub) {
    // Filled once: an upload takes longer than most of the tests.
    static FILLED: LazyLock<(Cas, Repo)> = LazyLock::new(|| {
        let cas = Cas::start();
        let mut repo = Repo::model("org/name").file("config.json", "{}");
        for (path, seed) in [("big.bin", 1), ("d/other.bin", 2)] {
            let bytes = noise(seed, SIZE);
            let hash = cas.store(&bytes);
            repo = repo.xet(path, Content::memory(bytes), &hash);
        }
        (cas, repo)
    });
    let (cas, hub) = (FILLED.0.twin(), Hub::start());
    hub.add(FILLED.1.clone());
    hub.xet(Some(cas.endpoint()));
    (cas, hub)
}

/// All files are there, whole and right, and no unfinished download is.
#[track_caller]
pub fn arrived(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let folder = env.cache().join("models--org--name/snapshots");
    for path in ["config.json", "big.bin", "d/other.bin"] {
        let file = folder.join(repo.commit("main")).join(path);
        let bytes = fs::read(&file).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(bytes == repo.entry(path).content.to_bytes(), "{path}");
    }
    let left = listing(env.cache());
    assert!(!is_any_left(&left), "{left}");
}

/// Bytes of the large files that came over HTTP.
pub fn over_http(hub: &Hub) -> u64 {
    let requests = hub.requests().into_iter();
    let large = requests.filter(|r| r.content && !r.path.ends_with(".json"));
    large.map(|r| r.body_bytes_sent).sum()
}

pub fn asked_for_tokens(hub: &Hub) -> usize {
    hub.count(|r| r.path.contains("/xet-read-token/"))
}

/// Exactly one warning, with these words; and never the token.
#[track_caller]
pub fn warned_once(output: &Output, words: &str) {
    let warnings = output.stderr().matches("over HTTP instead").count();
    assert_eq!(warnings, 1, "{output}");
    assert!(output.stderr().contains(words), "{output}");
    assert!(!output.to_string().contains(XET_TOKEN), "{output}");
}

#[test]
fn files_come_from_the_storage_with_one_token() {
    let (cas, hub) = storage();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_DEBUG", "1").set("RUST_LOG", "trace");
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
    assert_eq!(asked_for_tokens(&hub), 1, "{}", hub.log_text());
    assert_eq!(cas.telemetry(), 0);
    assert!(!output.to_string().contains(XET_TOKEN), "{output}");
    let lines = output.stderr().lines();
    let foreign: Vec<_> = lines.filter(|line| !line.starts_with("[debug] ")).collect();
    assert!(foreign.is_empty(), "{output}");
    assert!(
        !env.hf_home().join("xet").exists(),
        "{}",
        listing(env.hf_home())
    );
}

#[test]
fn one_named_file_and_a_local_folder() {
    let (_cas, hub) = storage();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_XET_HIGH_PERFORMANCE", "1");
    let output = env.run(["download", "org/name", "big.bin"]).ok();
    let content = hub.repo("models/org/name").entry("big.bin").content;
    let path = output.stdout().trim_end();
    assert!(fs::read(path).unwrap() == content.to_bytes());
    env.run(["download", "org/name", "d/other.bin", "--local-dir", "out"])
        .ok();
    let content = hub.repo("models/org/name").entry("d/other.bin").content;
    assert!(fs::read(env.work().join("out/d/other.bin")).unwrap() == content.to_bytes());
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
}

/// By kind of request, the values of the header by which the Hub counts downloads.
fn download_marks(requests: &[Request]) -> BTreeMap<String, BTreeSet<Option<String>>> {
    let mut marks: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for request in requests {
        let route = ["xet-read-token", "tree", "revision", "resolve"];
        let route = route.iter().find(|name| request.path.contains(**name));
        let route = route.copied().unwrap_or("other");
        let kind = format!("{:?} {} {route}", request.origin, request.method);
        let mark = request.header("x-hf-download-counter").map(str::to_owned);
        marks.entry(kind).or_default().insert(mark);
    }
    marks
}

#[test]
fn requests_are_marked_as_a_download_where_the_python_client_marks_them() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let ((_cas, hub), (_their_cas, their_hub)) = (storage(), storage());
    let (ours, theirs) = (TestEnv::for_hub(&hub), TestEnv::for_hub(&their_hub));
    let one_file = ["download", "org/name", "config.json"];
    let all = ["download", "org/name"];
    let again = ["download", "org/name", "--force-download"];
    let verify = ["cache", "verify", "org/name"];
    let runs: [(&[&str], &str); 4] = [(&one_file, "0"), (&all, "0"), (&again, "1"), (&verify, "1")];
    for (command, without_xet) in runs {
        let (before, theirs_before) = (hub.requests().len(), their_hub.requests().len());
        let run = ours.hf(command);
        run.var("HF_HUB_DISABLE_XET", without_xet).run().ok();
        let run = modern.hf(&theirs, command);
        run.var("HF_HUB_DISABLE_XET", without_xet).run().ok();
        let found = download_marks(&hub.requests()[before..]);
        let expected = download_marks(&their_hub.requests()[theirs_before..]);
        let mut compared = 0;
        for (kind, marks) in &found {
            if let Some(expected) = expected.get(kind) {
                assert_eq!(marks, expected, "{command:?}: {kind}");
                compared += 1;
            }
        }
        assert!(compared > 0, "{command:?}: {found:?} {expected:?}");
        let mark = (command[0] == "download").then(|| "1".to_owned());
        for (kind, marks) in found {
            assert_eq!(marks, BTreeSet::from([mark.clone()]), "{command:?}: {kind}");
        }
    }
    let seen = download_marks(&hub.requests());
    for kind in [
        "Hub GET revision",
        "Hub GET tree",
        "Hub HEAD resolve",
        "Hub GET resolve",
        "Hub GET xet-read-token",
        "Cdn GET other",
    ] {
        assert!(seen.contains_key(kind), "{kind}: {seen:?}");
    }
}

#[test]
fn the_python_client_agrees_with_the_simulation() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let (_cas, hub) = storage();
    let (mut ours, theirs) = (TestEnv::for_hub(&hub), TestEnv::for_hub(&hub));
    // It makes a shared store unasked; here that is asked for.
    ours.set("HF_HUB_ENABLE_SHARED_BLOBS", "1");
    ours.run(["download", "org/name"]).ok();
    // One file after the other: where two of its threads make the shared store at once, one of them does without.
    let one_by_one = ["download", "org/name", "--max-workers", "1"];
    let command = modern.hf(&theirs, one_by_one);
    command.var("HF_HUB_DISABLE_XET", "0").run().ok();
    arrived(&theirs, &hub);
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
    let shape = |env: &TestEnv| {
        let nodes = tree_of(env.cache()).into_iter();
        nodes
            .map(|node| format!("{} {:?}", node.path, node.kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(&ours), shape(&theirs));
}

#[test]
fn switched_off_nobody_is_asked() {
    let (_cas, hub) = storage();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_HUB_DISABLE_XET", "1");
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(asked_for_tokens(&hub), 0, "{}", hub.log_text());
    assert_eq!(over_http(&hub), 2 * SIZE as u64);
    assert!(!env.hf_home().join("xet").exists());
}

#[test]
fn http_takes_over_with_one_warning() {
    let (_cas, hub) = storage();
    // The Hub knows no way in.
    hub.xet(None);
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    warned_once(&output, "Xet storage cannot be used");
    assert_eq!(asked_for_tokens(&hub), 1, "{}", hub.log_text());
    // No process listens there.
    hub.xet(Some(&nobody()));
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    warned_once(&output, "cannot be reached");
    assert_eq!(over_http(&hub), 4 * SIZE as u64, "{}", hub.log_text());
}

#[test]
fn a_token_that_ran_out_is_replaced() {
    let (cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    hub.xet_tokens(Some(cas.endpoint()), [-10, 3600]);
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(over_http(&hub), 0, "{output}\n{}", hub.log_text());
    assert_eq!(asked_for_tokens(&hub), 2, "{}", hub.log_text());
    // The Hub gives no other.
    hub.clear_requests();
    hub.xet_tokens(Some(cas.endpoint()), [-10]);
    hub.fault(Fault::status(403).on("/xet-read-token/").after(1));
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    warned_once(&output, "Xet storage cannot be used");
    assert_eq!(over_http(&hub), 2 * SIZE as u64, "{}", hub.log_text());
}

/// The clock that the end of a token is given by.
fn seconds_since_1970() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock after 1970").as_secs()
}

#[test]
fn a_token_that_runs_out_midway_is_replaced() {
    let (cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    // The token works for 31 seconds and is replaced half a minute before its end. Clocks count whole
    // seconds here, so after two more it is due: the first file takes as long.
    let slow = FaultyCas::before(cas.endpoint(), |asked, _| {
        if asked.kind == Kind::Range && asked.index == 0 {
            let start = seconds_since_1970();
            while seconds_since_1970() < start + 2 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Fate::Send
    });
    hub.xet_tokens(Some(slow.endpoint()), [31, 3600]);
    let output = env.run(["download", "org/name", "--max-workers", "1"]).ok();
    arrived(&env, &hub);
    assert_eq!(output.said(), "", "{output}");
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
    assert_eq!(asked_for_tokens(&hub), 2, "{}", hub.log_text());
}

#[test]
fn a_storage_server_that_never_answers_is_left() {
    let (cas, hub) = storage();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    let silent = falling_silent(cas.endpoint(), 0);
    hub.xet(Some(&silent.address()));
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    warned_once(&output, "Xet storage cannot be used");
    assert_eq!(over_http(&hub), 2 * SIZE as u64, "{}", hub.log_text());
}

#[test]
fn a_storage_server_that_stops_midway_is_asked_for_the_rest_and_then_left() {
    let (cas, hub) = storage();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    let silent = falling_silent(cas.endpoint(), 1_200_000);
    hub.xet(Some(&silent.address()));
    let output = env.run(["download", "org/name", "big.bin"]).ok();
    let content = hub.repo("models/org/name").entry("big.bin").content;
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content.to_bytes());
    let notice = |reason| format!("Xet storage broke off big.bin (its server {reason}); asking it");
    let reasons = ["sends nothing", "does not answer in time"].map(notice);
    let is_told = |notice: &String| output.stderr().contains(notice);
    assert!(reasons.iter().any(is_told), "{output}");
    assert!(
        output.stderr().matches("trying again").count() <= 3,
        "{output}"
    );
    warned_once(&output, "Xet storage cannot be used");
    let sent = over_http(&hub);
    assert!((1..SIZE as u64).contains(&sent), "only the rest: {sent}");
}

#[test]
fn ctrl_c_does_not_wait_for_a_silent_storage_server() {
    let (cas, hub) = storage();
    let mut env = TestEnv::for_hub(&hub);
    // Whoever waits for the server, or for HTTP after it, hangs.
    env.set("HF_HUB_DOWNLOAD_TIMEOUT", "600");
    let silent = falling_silent(cas.endpoint(), 0);
    hub.xet(Some(&silent.address()));
    let mut running = env.hf(["download", "org/name", "big.bin"]).spawn();
    running.wait_until("it asks the storage", |_| silent.connections() > 0);
    running.signal(Signal::INT);
    running.wait().fails(130);
}

#[test]
fn a_partial_of_other_bytes_does_no_harm() {
    let (_cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    let etag = hub.repo("models/org/name").entry("big.bin").etag();
    let blobs = env.cache().join("models--org--name/blobs");
    plant(&blobs, &etag, Some(SIZE as u64), &noise(9, 1_000_000));
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(output.said(), "", "{output}");
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
}

/// Bytes of unfinished downloads in the cache.
fn kept_below(env: &TestEnv) -> u64 {
    let partials = all_below(env.cache());
    partials.iter().map(|partial| kept(partial)).sum()
}

/// A download of `big.bin` from a slow storage server, ended by `end` once some of it is on disk; answers what is left
/// of it, which must be true.
fn interrupted(cas: &Cas, hub: &Hub, env: &TestEnv, end: impl FnOnce(Running)) -> u64 {
    let slow = cas.throttled(1_000_000);
    hub.xet(Some(slow.endpoint()));
    let mut running = env.hf(["download", "org/name", "big.bin"]).spawn();
    running.wait_until("something arrived", |_| kept_below(env) > 200_000);
    end(running);
    let partials = all_below(env.cache());
    let content = hub.repo("models/org/name").entry("big.bin").content;
    let (content, left) = (content.to_bytes(), fs::read(&partials[0]).unwrap());
    for range in hf_cli::testing::noted(&partials[0]) {
        let range = range.start as usize..range.end as usize;
        assert!(left[range.clone()] == content[range.clone()], "{range:?}");
    }
    let kept = kept_below(env);
    assert!((1..SIZE as u64).contains(&kept), "{kept}");
    kept
}

#[test]
fn kill_9_loses_nothing_that_was_written() {
    let (cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    let left = interrupted(&cas, &hub, &env, |running| {
        assert_eq!(running.kill().signal, Some(9));
    });
    // HTTP goes on where Xet stopped.
    let mut plain = TestEnv::for_hub(&hub);
    plain
        .set("HF_HOME", env.hf_home())
        .set("HF_HUB_DISABLE_XET", "1");
    plain.run(["download", "org/name", "big.bin"]).ok();
    assert_eq!(over_http(&hub), SIZE as u64 - left, "{}", hub.log_text());
    hub.xet(Some(cas.endpoint()));
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
}

#[test]
fn ctrl_c_stops_at_once() {
    let (cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    interrupted(&cas, &hub, &env, |running| {
        // A second would bring the rest: `interrupted` finds the file unfinished.
        running.signal(Signal::INT);
        let output = running.wait().fails(130);
        assert_eq!(output.stdout(), "");
    });
    // Xet goes on where it stopped.
    hub.xet(Some(cas.endpoint()));
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
}

#[test]
fn a_storage_server_that_dies_midway_is_left() {
    let (cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    let slow = cas.throttled(1_000_000);
    let relay = Relay::before(slow.endpoint());
    hub.xet(Some(&relay.address()));
    let mut running = env.hf(["download", "org/name", "big.bin"]).spawn();
    running.wait_until("something arrived", |_| kept_below(&env) > 200_000);
    drop(relay);
    let output = running.wait().ok();
    warned_once(&output, "Xet storage cannot be used");
    let content = hub.repo("models/org/name").entry("big.bin").content;
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content.to_bytes());
    let sent = over_http(&hub);
    assert!(
        (1..SIZE as u64 - 200_000).contains(&sent),
        "only the rest: {sent}"
    );
}

#[test]
fn progress_shows_what_is_on_the_wire() {
    let (cas, hub) = (Cas::start(), Hub::start());
    let bytes = noise(3, SIZE);
    let hash = cas.store_in(64 << 20, &bytes);
    let slow = cas.throttled(1_000_000);
    hub.add(Repo::model("org/name").xet("big.bin", Content::memory(bytes), &hash));
    hub.xet(Some(slow.endpoint()));
    let env = TestEnv::for_hub(&hub);
    let invocation = env.hf(["download", "org/name", "big.bin"]);
    let mut terminal = invocation.terminal(24, 100);
    // Nothing is published yet, and the bar moves.
    terminal.expect("/2.0 MB");
    assert!(
        !listing(env.cache()).contains("big.bin"),
        "{}",
        terminal.screen()
    );
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_full_disk_is_no_reason_to_try_http() {
    let Some(()) = mounts() else {
        return;
    };
    let (_cas, hub) = storage();
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.cache()).unwrap();
    let small = "mount -t tmpfs -o size=1m tmpfs \"$CACHE\"";
    let output = in_namespace(&env, small, "download org/name big.bin --no-space-check").fails(1);
    assert!(
        output.stderr().contains("Hint: free some space"),
        "{output}"
    );
    assert!(!output.stderr().contains("over HTTP"), "{output}");
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
}

#[test]
fn the_storage_sees_its_own_token_only() {
    let (_cas, hub) = storage();
    hub.user("alice").token("hf_alice", "read", "laptop");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    hub.xet(Some(&format!("http://{}", server.local_addr().unwrap())));
    let (tell, told) = mpsc::channel();
    // Ends with the test's process: no client connects any more.
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), vec![0; 8192]);
            let length = stream.read(&mut request).unwrap_or_default();
            let _ = tell.send(String::from_utf8_lossy(&request[..length]).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", "hf_alice");
    env.run(["download", "org/name", "big.bin"]).ok();
    let asked: Vec<String> = told.try_iter().collect();
    assert!(!asked.is_empty());
    for request in asked {
        assert!(
            request.contains(&format!("Bearer {XET_TOKEN}")),
            "{request}"
        );
        assert!(request.contains("hf-cli/"), "{request}");
        assert!(!request.contains("hf_alice"), "{request}");
    }
    let at_the_hub = hub.count(|r| r.authorization.as_deref() == Some("hf_alice"));
    assert!(at_the_hub > 0, "{}", hub.log_text());
}

/// Each fetch asks for a thread.
#[test]
fn threads_may_run_out_at_any_moment() {
    let Some(shim) = shim() else { return };
    let (_cas, hub) = storage();
    for from in 15..=45 {
        let env = TestEnv::for_hub(&hub).fast_clock();
        let output = env
            .hf(["download", "org/name"])
            .var("LD_PRELOAD", &shim)
            .var("HF_SHIM_THREADS_FROM", from.to_string())
            .limit(Duration::from_secs(60))
            .run();
        let what = format!("no thread from the {from}th on: {output}");
        assert!(!output.stderr().contains("panicked"), "{what}");
        output.ok();
        arrived(&env, &hub);
    }
}
