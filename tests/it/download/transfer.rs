//! The transfer itself: slow connections, a limit on the rate, progress in a log, no network at all.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::hub::{Content, Fault, Hub, Origin, Repo};
use crate::harness::partial::is_any_left;
use crate::harness::shim::shim;
use crate::harness::tree::listing;
use crate::harness::{Output, TestEnv};

const SIZE: u64 = 3_000_000;

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("a.txt", "a");
    hub.add(repo.lfs("big.bin", Content::synthetic(SIZE, 3)));
    hub
}

#[track_caller]
fn arrived(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let snapshot = env.cache().join("models--org--name/snapshots");
    let file = snapshot.join(repo.commit("main")).join("big.bin");
    assert!(fs::read(file).unwrap() == repo.entry("big.bin").content.to_bytes());
    assert!(!is_any_left(&listing(env.cache())));
}

/// Bytes of the large file that were sent.
fn sent(hub: &Hub) -> u64 {
    let requests = hub.requests().into_iter();
    let content = requests.filter(|r| r.origin == Origin::Cdn && r.content);
    content.map(|r| r.body_bytes_sent).sum()
}

#[test]
fn a_trickle_is_dropped_and_continued_at_the_offset() {
    let hub = hub();
    // Never silent for long: only its rate shows the fault.
    let trickle = Fault::Trickle {
        bytes_per_second: 40,
    };
    let strikes = hub.fault(trickle.on("big.bin").times(1));
    let env = TestEnv::for_hub(&hub);
    let output = env
        .run(["download", "org/name", "--stall-timeout", "1"])
        .ok();
    arrived(&env, &hub);
    assert_eq!(strikes.count(), 1);
    assert!(sent(&hub) < SIZE + 1000, "{}", hub.log_text());
    let ranges = hub.count(|r| r.origin == Origin::Cdn && r.range.is_some());
    assert_eq!(ranges, 1, "{}", hub.log_text());
    assert!(output.stderr().contains("bytes in 1 s"), "{output}");
}

#[test]
fn a_body_that_stalls_once_is_continued() {
    let hub = hub();
    let stall = Fault::Stall {
        after_bytes: 1_000_000,
    };
    hub.fault(stall.on("big.bin").times(1));
    let env = TestEnv::for_hub(&hub);
    let output = env
        .run(["download", "org/name", "--stall-timeout", "1"])
        .ok();
    arrived(&env, &hub);
    assert!(sent(&hub) < SIZE + SIZE / 10, "{}", hub.log_text());
    assert!(output.stderr().contains("sent nothing for 1 s"), "{output}");
}

#[test]
fn progress_resets_the_retries_of_a_server_that_always_stalls() {
    let hub = hub();
    let stall = Fault::Stall {
        after_bytes: 400_000,
    };
    let strikes = hub.fault(stall.on("big.bin"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let patience = env.one_real_second();
    env.run(["download", "org/name", "--stall-timeout", &patience])
        .ok();
    arrived(&env, &hub);
    // A server that sends nothing gets a first attempt and five more.
    assert!(strikes.count() > 6, "{}", hub.log_text());
}

#[test]
fn a_server_that_sends_nothing_is_an_error() {
    let hub = hub();
    let strikes = hub.fault(Fault::Stall { after_bytes: 0 }.on("a.txt"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let patience = env.one_real_second();
    let arguments = [
        "download",
        "org/name",
        "a.txt",
        "--stall-timeout",
        &patience,
    ];
    let output = env.run(arguments).fails(1);
    assert_eq!(strikes.count(), 6, "the first attempt and five more");
    let said = format!("sent nothing for {patience} s.");
    assert!(output.stderr().contains(&said), "{output}");
    assert!(!listing(env.cache()).contains("snapshots/"));
}

#[test]
fn a_permanently_slow_connection_succeeds() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("slow.txt", "x".repeat(2500)));
    let trickle = Fault::Trickle {
        bytes_per_second: 400,
    };
    let strikes = hub.fault(trickle.on("slow.txt"));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", "slow.txt", "--stall-timeout", "1"])
        .ok();
    // 400 bytes in the first second are too few, and 800 in two; a kilobyte in four is enough.
    assert_eq!(strikes.count(), 3, "{}", hub.log_text());
    let bytes: u64 = hub.requests().iter().map(|r| r.body_bytes_sent).sum();
    assert!(bytes < 3500, "hardly a byte twice: {}", hub.log_text());
}

#[test]
fn a_listing_that_stalls_or_trickles_is_requested_again() {
    for fault in [
        Fault::Stall { after_bytes: 20 },
        Fault::Trickle {
            bytes_per_second: 30,
        },
    ] {
        for route in ["/tree/", "/revision/"] {
            let hub = hub();
            let strikes = hub.fault(fault.clone().on(route).times(1));
            let env = TestEnv::for_hub(&hub);
            env.run(["download", "org/name", "--stall-timeout", "1"])
                .ok();
            arrived(&env, &hub);
            assert_eq!(strikes.count(), 1, "{fault:?} {route}");
        }
    }
}

#[test]
fn an_endless_error_page_is_cut_off() {
    let hub = hub();
    hub.fault(Fault::StalledError { code: 404 }.on("/revision/"));
    let env = TestEnv::for_hub(&hub);
    let arguments = ["download", "org/name", "--stall-timeout", "1"];
    let output = env.run(arguments).fails(1);
    assert!(output.stderr().contains("404"), "{output}");
}

#[test]
fn the_rate_is_limited_over_all_connections() {
    let hub = Hub::start();
    let mut repo = Repo::model("org/name");
    for k in 0..6 {
        repo = repo.lfs(&format!("{k}.bin"), Content::synthetic(400_000, k));
    }
    hub.add(repo);
    let env = TestEnv::for_hub(&hub);
    let start = Instant::now();
    // With a stall timeout far shorter than each connection waits for its turn.
    let arguments = ["--limit-rate", "1M", "--stall-timeout", "1"];
    env.run(["download", "org/name"].iter().chain(&arguments))
        .ok();
    let took = start.elapsed();
    // Listings are counted too; after a pause at most a tenth of a second's bytes come at once.
    assert!(took >= Duration::from_millis(2200), "{took:?} for 2.4 MB");
    assert_eq!(hub.content_bytes_sent(), 2_400_000, "nothing was dropped");
}

#[test]
fn a_very_low_limit_is_no_stall() {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("a.txt", "x".repeat(1000))
            .file("b.txt", "y".repeat(1000)),
    );
    let env = TestEnv::for_hub(&hub);
    let arguments = ["--limit-rate", "500", "--stall-timeout", "1"];
    let output = env
        .run(["download", "org/name"].iter().chain(&arguments))
        .ok();
    assert_eq!(output.said(), "");
    assert_eq!(hub.count(|r| r.content), 2, "{}", hub.log_text());
}

#[test]
fn invalid_rates_and_times() {
    let env = TestEnv::new();
    for arguments in [
        ["--limit-rate", "fast"],
        ["--limit-rate", "0"],
        ["--stall-timeout", "0"],
        ["--stall-timeout", "x"],
        ["--progress", "loud"],
    ] {
        let output = env
            .run(["download", "org/name"].iter().chain(&arguments))
            .fails(2);
        assert!(output.stderr().contains(arguments[0]), "{output}");
    }
}

#[test]
fn offline_sends_no_request() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let refused = |arguments: &[&str]| -> Output {
        let output = env.run(arguments).fails(1);
        assert_eq!(hub.requests().len(), 0, "{}", hub.log_text());
        output
    };
    let output = refused(&["download", "org/name", "--offline"]);
    assert!(output.stderr().contains("--offline"), "{output}");
    refused(&["--offline", "auth", "whoami", "--env-file", "/dev/null"]);
    let online = env.run(["download", "org/name"]).ok();
    hub.clear_requests();
    let offline = env.run(["--offline", "download", "org/name"]).ok();
    assert_eq!(offline.stdout(), online.stdout());
    env.run(["cache", "verify", "org/name", "--offline"]).ok();
    assert_eq!(hub.requests().len(), 0);
}

#[test]
fn a_long_download_logs_lines_and_a_quick_one_none() {
    let hub = hub();
    for (style, format) in [
        ("auto", "human"),
        ("plain", "human"),
        ("bar", "json"),
        ("none", "human"),
    ] {
        let env = TestEnv::for_hub(&hub);
        let arguments = [
            "download",
            "org/name",
            "--progress",
            style,
            "--format",
            format,
        ];
        let start = Instant::now();
        let output = env.run(arguments).ok();
        // On a busy machine it may not be quick.
        if start.elapsed() < Duration::from_secs(10) {
            assert_eq!(output.stderr(), "", "{style}");
        }
    }
}

/// Takes longer than the time until the first line.
#[test]
fn a_long_download_logs_its_progress() {
    // Lines come every few seconds; only the fast clock makes the download that long.
    if shim().is_none() {
        return;
    }
    let hub = hub();
    hub.configure(|settings| settings.bandwidth = Some(1_500_000));
    let elsewhere = TestEnv::for_hub(&hub).fast_clock();
    let quiet = elsewhere
        .hf(["download", "org/name"])
        .var("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .spawn();
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name"]).ok();
    let lines: Vec<&str> = output.stderr().lines().collect();
    assert!(lines.len() >= 2, "{output}");
    assert!(
        lines[0].starts_with("Fetching 2 files:  50%|█████     | 1/2 [00:1"),
        "{output}"
    );
    assert!(
        lines[lines.len() - 1].starts_with("Fetching 2 files: 100%|██████████| 2/2 [")
            && output.stderr().ends_with(" 3.0M of 3.0M]\n"),
        "{output}"
    );
    assert_eq!(quiet.wait().ok().stderr(), "");
}

#[test]
fn plain_lines_on_a_terminal_instead_of_bars() {
    let hub = hub();
    hub.configure(|settings| settings.bandwidth = Some(2_000_000));
    let env = TestEnv::for_hub(&hub);
    for style in ["plain", "none"] {
        let arguments = [
            "download",
            "org/name",
            "--progress",
            style,
            "--force-download",
        ];
        let mut terminal = env.hf(arguments).terminal(24, 100);
        assert_eq!(terminal.exit_code(), 0);
        assert!(!terminal.transcript().contains('━'), "{style}");
    }
    let mut terminal = env
        .hf([
            "download",
            "org/name",
            "--progress",
            "bar",
            "--force-download",
        ])
        .var("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .terminal(24, 100);
    assert_eq!(terminal.exit_code(), 0);
    assert!(terminal.transcript().contains('━'));
}
