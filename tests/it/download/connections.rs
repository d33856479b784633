//! Large files over several connections, which fetch parts of them side by side.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Origin, Repo, Settings};
use crate::harness::partial::is_any_left;
use crate::harness::tree::listing;

/// Large enough for several connections, slow enough to need them.
fn capped_hub(bytes_per_second: u64) -> Hub {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").lfs("big.bin", Content::synthetic(60_000_000, 9)));
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(bytes_per_second));
    hub
}

#[track_caller]
fn big_arrived(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let file = env
        .cache()
        .join("models--org--name/snapshots")
        .join(repo.commit("main"))
        .join("big.bin");
    assert!(fs::read(file).unwrap() == repo.entry("big.bin").content.to_bytes());
    let left = listing(env.cache());
    assert!(!is_any_left(&left), "{left}");
}

#[test]
fn a_capped_large_file_comes_over_several_connections() {
    let hub = capped_hub(8_000_000);
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    big_arrived(&env, &hub);
    let parts = hub.count(|r| r.origin == Origin::Cdn && r.range.is_some());
    assert!(
        parts >= 3,
        "every connection but the first asks for a part: {}",
        hub.log_text()
    );
    // Of a connection that gives its rest away comes twice what its buffers hold: a few megabytes on a
    // machine that is busy. Connections that fetch what is another one's bring far more.
    let sent = hub.content_bytes_sent();
    assert!(sent < 90_000_000, "{sent}: {}", hub.log_text());
}

#[test]
fn several_connections_survive_a_kill_and_every_fault() {
    let hub = capped_hub(8_000_000);
    let env = TestEnv::for_hub(&hub);
    let mut rounds = 0;
    for threshold in [12_000_000, 30_000_000, 48_000_000] {
        let mut running = env.hf(["download", "org/name"]).spawn();
        running.wait_until("more arrived", |_| hub.content_bytes_sent() > threshold);
        let _ = running.kill();
        rounds += 1;
    }
    hub.fault(
        Fault::ResetMidBody {
            after_bytes: 1_000_000,
        }
        .on("big.bin")
        .times(2),
    );
    hub.fault(Fault::ExpiredLink.on("big.bin").times(1));
    env.run(["download", "org/name"]).ok();
    big_arrived(&env, &hub);
    // Each kill loses what sits in the sockets: up to a few megabytes for each of a few connections.
    let sent = hub.content_bytes_sent();
    assert!(sent < 60_000_000 + rounds * 10_000_000, "{sent}");
}

#[test]
fn a_server_without_ranges_gets_one_connection() {
    let hub = capped_hub(20_000_000);
    let strikes = hub.fault(Fault::IgnoreRange.on("big.bin"));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    big_arrived(&env, &hub);
    // Helpers that begin before the first of them has its answer ask as well, each for its own range.
    let asked: Vec<Option<String>> = hub
        .requests()
        .into_iter()
        .filter(|request| request.origin == Origin::Cdn && request.range.is_some())
        .map(|request| request.range)
        .collect();
    let distinct: std::collections::BTreeSet<_> = asked.iter().collect();
    assert_eq!(strikes.count(), asked.len(), "{}", hub.log_text());
    assert_eq!(
        distinct.len(),
        asked.len(),
        "no range is asked for again: {}",
        hub.log_text()
    );
    let whole = hub.count(|r| r.origin == Origin::Cdn && r.range.is_none());
    assert_eq!(whole, 1, "{}", hub.log_text());
}

#[test]
fn wrong_bytes_in_a_part_are_found() {
    let hub = capped_hub(16_000_000);
    hub.fault(Fault::WrongBytes.on("big.bin").after(1).times(1));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    big_arrived(&env, &hub);
    assert!(
        hub.content_bytes_sent() > 100_000_000,
        "all was fetched again"
    );
}
