//! What an earlier attempt left, and what becomes of it: used to the last byte, or not at all.

use std::fs;
use std::path::PathBuf;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Origin, Repo, Settings};
use crate::harness::partial::{is_any_left, kept, plant};
use crate::harness::tree::listing;

const SIZE: u64 = 3_000_000;

/// A Hub with one large file of this size.
fn hub(size: u64) -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("a.txt", "a");
    hub.add(repo.lfs("big.bin", Content::synthetic(size, 3)));
    hub
}

/// The large file's unfinished download in the cache.
fn partial(env: &TestEnv, hub: &Hub) -> PathBuf {
    let etag = hub.repo("models/org/name").entry("big.bin").etag();
    let blobs = env.cache().join("models--org--name/blobs");
    blobs.join(format!("{etag}.hf-sparse"))
}

/// Leaves the first bytes of the large file as an earlier attempt would have.
fn begin(env: &TestEnv, hub: &Hub, length: u64) {
    let entry = hub.repo("models/org/name").entry("big.bin");
    let bytes = entry.content.to_bytes();
    let blobs = env.cache().join("models--org--name/blobs");
    let size = Some(bytes.len() as u64);
    plant(&blobs, &entry.etag(), size, &bytes[..length as usize]);
}

/// The large file is there, whole and right, and nothing of an attempt is.
#[track_caller]
fn arrived(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let snapshot = env
        .cache()
        .join("models--org--name/snapshots")
        .join(repo.commit("main"));
    let expected = repo.entry("big.bin").content.to_bytes();
    assert!(fs::read(snapshot.join("big.bin")).unwrap() == expected);
    let left = listing(env.cache());
    assert!(!is_any_left(&left), "{left}");
}

#[test]
fn forcing_uses_no_byte_of_an_earlier_attempt() {
    let hub = hub(SIZE);
    let env = TestEnv::for_hub(&hub);
    begin(&env, &hub, SIZE / 2);
    env.run(["download", "org/name", "big.bin", "--force-download"])
        .ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), SIZE, "{}", hub.log_text());
    assert_eq!(hub.count(|r| r.range.is_some()), 0);
}

#[test]
fn an_earlier_attempt_is_used_to_its_last_byte() {
    let hub = hub(SIZE);
    let env = TestEnv::for_hub(&hub);
    begin(&env, &hub, SIZE - 1);
    env.run(["download", "org/name", "big.bin"]).ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), 1, "{}", hub.log_text());
}

#[test]
fn every_answer_that_brings_something_starts_the_count_of_failures_again() {
    let hub = hub(SIZE);
    // More often than a request that brings nothing is repeated.
    let breaks = Fault::CloseEarly {
        after_bytes: SIZE / 10,
    };
    let strikes = hub.fault(breaks.on("big.bin").times(8));
    let env = TestEnv::for_hub(&hub).fast_clock();
    env.run(["download", "org/name", "big.bin"]).ok();
    arrived(&env, &hub);
    assert_eq!(strikes.count(), 8);
    assert_eq!(hub.content_bytes_sent(), SIZE, "{}", hub.log_text());
}

#[test]
fn an_answer_shorter_than_asked_for_is_gone_on_from() {
    let hub = hub(SIZE);
    let most = SIZE / 4;
    let strikes = hub.fault(Fault::ShortRange { most }.on("big.bin"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    begin(&env, &hub, 10);
    env.run(["download", "org/name", "big.bin"]).ok();
    arrived(&env, &hub);
    assert_eq!(strikes.count(), 4);
    assert_eq!(hub.content_bytes_sent(), SIZE - 10, "{}", hub.log_text());
}

#[test]
fn ranges_refused_after_an_earlier_attempt_start_over_on_one_connection() {
    let size = 34 << 20;
    let hub = hub(size);
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(40_000_000));
    let strikes = hub.fault(Fault::IgnoreRange.on("big.bin"));
    let env = TestEnv::for_hub(&hub);
    begin(&env, &hub, size / 2);
    env.run(["download", "org/name", "big.bin"]).ok();
    arrived(&env, &hub);
    // The rest is asked for, perhaps by two connections; then no part is asked for again.
    assert!(strikes.count() <= 2, "{}", hub.log_text());
    let whole = hub.count(|r| r.origin == Origin::Cdn && r.body_bytes_sent == size);
    assert_eq!(whole, 1, "{}", hub.log_text());
}

#[test]
fn a_failed_download_keeps_the_bytes_that_came() {
    let hub = hub(SIZE);
    let breaks = Fault::CloseEarly {
        after_bytes: SIZE / 3,
    };
    hub.fault(breaks.on("big.bin").times(1));
    // The link runs out, so the Hub is asked again, and refuses.
    hub.fault(Fault::ExpiredLink.on("big.bin").after(1));
    hub.fault(
        Fault::status(403)
            .on("/resolve/")
            .at(Origin::Hub)
            .method("GET")
            .after(1),
    );
    let env = TestEnv::for_hub(&hub).fast_clock();
    env.run(["download", "org/name", "--include", "big.bin"])
        .fails(1);
    assert_eq!(kept(&partial(&env, &hub)), SIZE / 3);
    hub.clear_faults();
    env.run(["download", "org/name", "big.bin"]).ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), SIZE, "{}", hub.log_text());
}

#[test]
fn a_failed_download_leaves_alone_what_another_one_has_just_begun() {
    let hub = hub(SIZE);
    hub.fault(Fault::NeverAnswer.on("big.bin").at(Origin::Cdn));
    hub.fault(Fault::status(403).on("a.txt").method("GET"));
    let env = TestEnv::for_hub(&hub);
    let mut first = env.hf(["download", "org/name", "big.bin"]).spawn();
    let begun = partial(&env, &hub);
    first.wait_until("it asks for the content", |_| {
        hub.count(|r| r.origin == Origin::Cdn) > 0
    });
    assert_eq!(fs::metadata(&begun).unwrap().len(), 0);
    env.run(["download", "org/name"]).fails(1);
    assert!(begun.exists(), "{}", listing(env.cache()));
    let _ = first.kill();
}
