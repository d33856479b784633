//! Failures during a download: each named fault of the local Hub, kill -9, Ctrl-C, several processes at
//! the same time. In each case only the right file arrives in its place.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::hub::{Content, Fault, Hub, Origin, Repo, Rule, Settings};
use crate::harness::partial::{is_any_left, kept_below};
use crate::harness::tree::{listing, tree_of};
use crate::harness::{Output, TestEnv};

const SIZE: u64 = 4_000_000;

/// A Hub with one large file and some small ones.
fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name")
        .file("a.txt", "a")
        .file("b.txt", "b");
    hub.add(repo.lfs("big.bin", Content::synthetic(SIZE, 7)));
    hub
}

/// The large file is complete and right, and there is no unfinished download.
#[track_caller]
fn arrived(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let snapshot = env
        .cache()
        .join("models--org--name/snapshots")
        .join(repo.commit("main"));
    for path in ["a.txt", "b.txt", "big.bin"] {
        assert!(
            fs::read(snapshot.join(path)).unwrap() == repo.entry(path).content.to_bytes(),
            "{path}"
        );
    }
    let left = listing(env.cache());
    assert!(!is_any_left(&left) && !left.contains(".tmp"), "{left}");
}

/// A download of everything that succeeds in spite of `faults`; returns the bytes of content sent.
#[track_caller]
fn gets_through(faults: impl IntoIterator<Item = Rule>) -> u64 {
    let hub = hub();
    let strikes: Vec<_> = faults.into_iter().map(|fault| hub.fault(fault)).collect();
    let env = TestEnv::for_hub(&hub).fast_clock();
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert!(
        strikes.iter().all(|strikes| strikes.count() > 0),
        "the fault struck: {}",
        hub.log_text()
    );
    hub.content_bytes_sent()
}

/// A download with a permanent fault: exit 1, nothing wrong published.
#[track_caller]
fn gives_up(fault: Fault) -> String {
    let hub = hub();
    let strikes = hub.fault(fault.on("big.bin"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name", "big.bin"]).fails(1);
    assert!(strikes.count() > 0);
    let blobs = env
        .cache()
        .join("models--org--name/blobs")
        .join(hub.repo("models/org/name").entry("big.bin").etag());
    assert!(!blobs.exists(), "no wrong blob");
    assert_eq!(output.stdout(), "");
    hub.clear_faults();
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    output.stderr().to_owned()
}

#[test]
fn broken_connections_continue_at_the_offset() {
    let reset = Fault::ResetMidBody {
        after_bytes: 1_000_000,
    }
    .on("big.bin")
    .times(2);
    let sent = gets_through([reset]);
    assert!(sent <= SIZE + SIZE / 10, "hardly a byte twice: {sent}");
    let closed = Fault::CloseEarly {
        after_bytes: 1_500_000,
    }
    .on("big.bin")
    .times(2);
    let sent = gets_through([closed]);
    assert!(sent <= SIZE + SIZE / 10, "hardly a byte twice: {sent}");
}

#[test]
fn a_silent_connection_is_replaced() {
    let hub = hub();
    hub.fault(
        Fault::Stall {
            after_bytes: 2_000_000,
        }
        .on("big.bin")
        .times(1),
    );
    hub.fault(Fault::NeverAnswer.on("a.txt").times(1));
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert!(hub.content_bytes_sent() <= SIZE + SIZE / 10);
}

#[test]
fn requests_that_fail_are_sent_again() {
    gets_through([
        Fault::status(500)
            .on("/api/models/org/name/revision")
            .times(1),
        Fault::TreePageFails {
            page: 1,
            status: 502,
        }
        .times(1),
        Fault::status(503).on("a.txt").times(1),
        Fault::status(408).on("b.txt").times(1),
        Fault::status(504).on("big.bin").at(Origin::Cdn).times(1),
    ]);
}

#[test]
fn all_requests_wait_for_a_rate_limit_and_one_message_says_so() {
    let hub = hub();
    // All three files are refused at the same time; the wait is long enough for the last refusal to arrive during it.
    let limited = Fault::status_with(429, &[("Retry-After", "39")]).on("/resolve/");
    let strikes = hub.fault(limited.times(3).together(3));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(strikes.count(), 3);
    let said = |output: &Output, words: &str| output.stderr().matches(words).count();
    assert_eq!(said(&output, "waiting 40 s"), 1, "{output}");
    assert_eq!(said(&output, "waiting "), 1, "{output}");
    let hub = self::hub();
    let strikes = hub.fault(Fault::rate_limited(4).on("/api/").times(1));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(strikes.count(), 1);
    assert_eq!(said(&output, "waiting 5 s"), 1, "{output}");
}

#[test]
fn an_expired_link_is_resolved_again() {
    gets_through([Fault::ExpiredLink.on("big.bin").times(1)]);
    let hub = hub();
    // The link expires during the transfer: the bytes before are kept.
    hub.fault(
        Fault::CloseEarly {
            after_bytes: 1_000_000,
        }
        .on("big.bin")
        .times(1),
    );
    hub.fault(Fault::ExpiredLink.on("big.bin").after(1).times(1));
    let env = TestEnv::for_hub(&hub).fast_clock();
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let sent = gets_through([
        Fault::CloseEarly {
            after_bytes: 1_000_000,
        }
        .on("big.bin")
        .times(1),
        Fault::IgnoreRange.on("big.bin"),
    ]);
    assert!(sent >= SIZE + 1_000_000);
}

#[test]
fn wrong_bytes_are_fetched_again_and_then_refused() {
    let sent = gets_through([Fault::WrongBytes.on("big.bin").times(1)]);
    assert!(sent >= 2 * SIZE);
    let error = gives_up(Fault::WrongBytes);
    assert!(
        error.contains("Error: The Hub sent wrong bytes for big.bin twice"),
        "{error}"
    );
}

#[test]
fn an_answer_of_another_length_is_refused() {
    let error = gives_up(Fault::WrongContentLength { off_by: 5 });
    assert!(error.contains("announced"), "{error}");
}

#[test]
fn a_killed_download_resumes() {
    let hub = hub();
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(2_000_000));
    for place in [&[][..], &["--local-dir", "here"]] {
        /// What a Hub with two million bytes per second sends at once.
        const PIECE: u64 = 2_000_000 / 20;
        hub.clear_requests();
        let env = TestEnv::for_hub(&hub);
        let arguments = || {
            ["download", "org/name", "big.bin"]
                .iter()
                .chain(place)
                .copied()
        };
        let mut first = env.hf(arguments()).spawn();
        first.wait_until("a megabyte was noted", |_| {
            kept_below(env.root()) > 1_000_000
        });
        let killed = first.kill();
        assert_eq!(killed.signal, Some(Signal::KILL.as_raw()));
        let kept = kept_below(env.root());
        let before = hub.content_bytes_sent();
        hub.configure(|settings: &mut Settings| settings.bandwidth = None);
        env.run(arguments()).ok();
        let resumed = hub
            .requests()
            .into_iter()
            .filter(|r| r.range.is_some())
            .count();
        assert!(resumed > 0, "{}", hub.log_text());
        // The Hub may notice the kill one piece later.
        let again = hub.content_bytes_sent() - before;
        assert!(again <= SIZE - kept + PIECE, "{again} {kept}");
        hub.configure(|settings: &mut Settings| settings.bandwidth = Some(2_000_000));
    }
}

#[test]
fn ctrl_c_stops_at_once_and_keeps_what_was_fetched() {
    let hub = hub();
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(1_000_000));
    let env = TestEnv::for_hub(&hub);
    let mut running = env.hf(["download", "org/name", "big.bin"]).spawn();
    running.wait_until("something was noted", |_| kept_below(env.cache()) > 100_000);
    running.signal(Signal::INT);
    let output = running.wait().fails(130);
    assert_eq!(output.stdout(), "");
    let kept = output.stderr().strip_prefix("Stopped. ").unwrap();
    assert!(
        kept.ends_with(" of 4.0M are kept; the same command continues from here.\n"),
        "{output}"
    );
    assert!(kept.starts_with(['1', '2', '3', '4', '5', '6', '7', '8', '9']));
    let partial = tree_of(env.cache())
        .into_iter()
        .find(|node| node.path.ends_with(".hf-sparse"));
    assert!(partial.is_some(), "{}", listing(env.cache()));
    // The number is true: so many bytes are not fetched again.
    let (number, unit) = kept.split(' ').next().unwrap().split_at(3);
    let unit = if unit == "M" { 1_000_000.0 } else { 1_000.0 };
    let kept = number.parse::<f64>().unwrap() * unit;
    let before = hub.content_bytes_sent();
    hub.configure(|settings: &mut Settings| settings.bandwidth = None);
    env.run(["download", "org/name", "big.bin"]).ok();
    let again = u32::try_from(hub.content_bytes_sent() - before).unwrap();
    let whole = u32::try_from(SIZE).unwrap();
    // It is rounded to a tenth of a megabyte.
    assert!(
        f64::from(again) < f64::from(whole) - kept + 60_000.0,
        "{kept} {again}"
    );
    let sent = hub.content_bytes_sent();
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), sent + 2, "the two small files");
}

#[test]
fn ctrl_c_promises_only_what_is_kept() {
    let hub = hub();
    hub.fault(Fault::NeverAnswer.on("big.bin").at(Origin::Cdn));
    for place in [&[][..], &["--local-dir", "here"]] {
        let env = TestEnv::for_hub(&hub);
        hub.clear_requests();
        let command = ["download", "org/name", "big.bin"];
        let mut running = env.hf(command.iter().chain(place)).spawn();
        running.wait_until("it asks for the content", |_| {
            hub.count(|r| r.origin == Origin::Cdn) > 0
        });
        running.signal(Signal::INT);
        let output = running.wait().fails(130);
        assert_eq!(
            output.said(),
            "Stopped. Nothing is kept: the same command starts again.\n"
        );
    }
}

#[test]
fn a_partial_of_other_bytes_is_replaced() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let etag = hub.repo("models/org/name").entry("big.bin").etag();
    let blobs = env.cache().join("models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    for (name, length) in [
        ("hf-part", 1_000_000),
        ("incomplete", 1_000),
        ("hf-part", SIZE as usize + 1),
    ] {
        let partial = blobs.join(format!("{etag}.{name}"));
        fs::write(&partial, vec![b'x'; length]).unwrap();
        make_old(&partial);
        env.run(["download", "org/name"]).ok();
        arrived(&env, &hub);
        fs::remove_dir_all(env.cache().join("models--org--name/snapshots")).unwrap();
        fs::remove_file(blobs.join(&etag)).unwrap();
    }
}

#[test]
fn a_legacy_partial_is_a_head_start() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let entry = hub.repo("models/org/name").entry("big.bin");
    let blobs = env.cache().join("models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let half = &entry.content.to_bytes()[..SIZE as usize / 2];
    let partial = blobs.join(format!("{}.incomplete", entry.etag()));
    fs::write(&partial, half).unwrap();
    make_old(&partial);
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), SIZE / 2 + 2);
    assert!(!partial.exists());
}

/// Gives a file the age at which it counts as abandoned.
fn make_old(path: &std::path::Path) {
    let file = fs::File::open(path).unwrap();
    let day = Duration::from_secs(25 * 60 * 60);
    file.set_modified(std::time::SystemTime::now() - day)
        .unwrap();
}

#[test]
fn a_partial_that_another_program_writes_to_is_left_alone() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let entry = hub.repo("models/org/name").entry("big.bin");
    let blobs = env.cache().join("models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    // The JavaScript client holds no lock.
    let partial = blobs.join(format!("{}.incomplete", entry.etag()));
    fs::write(&partial, &entry.content.to_bytes()[..1000]).unwrap();
    for more in [&[][..], &["--force-download"]] {
        let command = ["download", "org/name"];
        env.run(command.iter().chain(more)).ok();
        assert_eq!(fs::metadata(&partial).unwrap().len(), 1000);
    }
    fs::remove_file(&partial).unwrap();
    arrived(&env, &hub);
}

#[test]
fn several_processes_fetch_a_file_once() {
    let hub = hub();
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(8_000_000));
    let env = TestEnv::for_hub(&hub);
    let running: Vec<_> = (0..4)
        .map(|_| env.hf(["download", "org/name"]).spawn())
        .collect();
    let outputs: Vec<_> = running
        .into_iter()
        .map(|process| process.wait().ok())
        .collect();
    assert!(
        outputs
            .iter()
            .all(|output| output.stdout() == outputs[0].stdout())
    );
    arrived(&env, &hub);
    assert_eq!(
        hub.content_bytes_sent(),
        SIZE + 2,
        "one copy over the network"
    );
    assert!(
        outputs
            .iter()
            .any(|output| output.stderr().contains("Another process is downloading")),
        "those who wait say so"
    );
}

#[test]
fn a_file_that_changes_during_the_download_is_not_mixed() {
    let hub = hub();
    hub.fault(Fault::ChangedAfterListing.on("big.bin"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    env.run(["download", "org/name"]).fails(1);
    assert!(
        !listing(env.cache()).contains("snapshots/")
            || !listing(env.cache()).contains("big.bin ->")
    );
}

#[test]
fn a_terminal_sees_progress_and_a_pipe_does_not() {
    let hub = hub();
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(2_000_000));
    let env = TestEnv::for_hub(&hub);
    let mut terminal = env.hf(["download", "org/name"]).terminal(24, 100);
    terminal.expect("/3 files");
    terminal.expect("/4.0 MB");
    terminal.expect("left");
    assert_eq!(terminal.exit_code(), 0);
    assert!(
        terminal.screen().contains("✓ 3 files"),
        "{}",
        terminal.screen()
    );
    assert!(
        !terminal.screen().contains("/3 files"),
        "the bars are gone: {}",
        terminal.screen()
    );
    for (value, shown) in [("1", false), ("0", true)] {
        let env = TestEnv::for_hub(&hub);
        let mut terminal = env
            .hf(["download", "org/name"])
            .var("HF_HUB_DISABLE_PROGRESS_BARS", value)
            .terminal(24, 100);
        assert_eq!(terminal.exit_code(), 0);
        assert_eq!(terminal.transcript().contains("/3 files"), shown, "{value}");
    }
    let env = TestEnv::for_hub(&hub);
    let output = env
        .hf(["download", "org/name"])
        .limit(Duration::from_secs(60))
        .run()
        .ok();
    assert_eq!(output.said(), "");
}
