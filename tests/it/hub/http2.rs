//! HTTP/2 where the Hub speaks it: many small requests on one connection, large files on connections of their own.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Repo, Settings};

const SMALL: usize = 60;

fn hub(http2: bool) -> Hub {
    let hub = Hub::with(Settings {
        tls: true,
        http2,
        resolve_cache: true,
        ..Settings::default()
    });
    let files = (0..SMALL).fold(Repo::model("org/name"), |repo, number| {
        repo.file(&format!("{number}.txt"), format!("{number}"))
    });
    hub.add(files.lfs("big.bin", Content::synthetic(5_000_000, 3)));
    hub
}

fn env(hub: &Hub) -> TestEnv {
    let mut env = TestEnv::for_hub(hub);
    let pem = env.path("ca.pem");
    fs::write(&pem, hub.ca_pem()).expect("certificate");
    env.set("SSL_CERT_FILE", &pem);
    env
}

#[track_caller]
fn arrived(hub: &Hub, env: &TestEnv) {
    let repo = hub.repo("models/org/name");
    let snapshots = env.cache().join("models--org--name/snapshots");
    for file in ["0.txt", "59.txt"] {
        let path = snapshots.join(repo.commit("main")).join(file);
        let content = repo.entry(file).content.to_bytes();
        assert!(fs::read(path).expect("file") == content, "{file}");
    }
}

#[test]
fn small_files_share_a_connection() {
    let hub = hub(true);
    let env = env(&hub);
    env.run(["download", "org/name", "--include", "*.txt"]).ok();
    arrived(&hub, &env);
    assert!(hub.requests().iter().all(|request| request.shared));
    assert!(hub.count(|_| true) > 2 * SMALL, "{}", hub.log_text());
    assert_eq!(hub.connections(), 1);
}

#[test]
fn a_large_file_has_connections_of_its_own() {
    let hub = hub(true);
    let env = env(&hub);
    env.run(["download", "org/name", "big.bin"]).ok();
    let carried = |shared| hub.count(|r| r.content && r.method == "GET" && r.shared == shared);
    assert_eq!(carried(true), 0, "{}", hub.log_text());
    assert!(carried(false) > 0, "{}", hub.log_text());
    assert!(hub.requests()[0].shared, "{}", hub.log_text());
}

#[test]
fn a_server_without_http2_gets_http1() {
    let hub = hub(false);
    let env = env(&hub);
    env.run(["download", "org/name", "--include", "*.txt"]).ok();
    arrived(&hub, &env);
    assert!(hub.requests().iter().all(|request| !request.shared));
}

#[test]
fn after_a_failure_no_connection_is_shared() {
    let hub = hub(true);
    let env = env(&hub).fast_clock();
    let fault = Fault::CloseEarly { after_bytes: 1 };
    let strikes = hub.fault(fault.on("17.txt").times(1));
    env.run(["download", "org/name", "--include", "*.txt"]).ok();
    arrived(&hub, &env);
    assert_eq!(strikes.count(), 1);
    let again: Vec<bool> = hub
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("17.txt"))
        .map(|request| request.shared)
        .collect();
    assert_eq!(again.first(), Some(&true), "{}", hub.log_text());
    assert_eq!(again.last(), Some(&false), "{}", hub.log_text());
}
