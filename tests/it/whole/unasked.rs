//! No request leaves that the command was not given for: no telemetry, no look for a newer version, no other host.

use crate::auth::login::{LAPTOP, SERVER};
use crate::download::basic::example_hub;
use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Origin, Request};
use crate::harness::proxy::Proxy;

/// Who is asked for: the account of a token.
const ACCOUNT: &[&str] = &["GET Hub /api/whoami-v2"];
/// A listing of the repository, and the files.
const FILES: &[&str] = &[
    "GET Hub /api/models/org/name",
    "HEAD Hub /org/name/resolve/",
    "GET Hub /org/name/resolve/",
    "GET Cdn /",
];
const LISTING: &[&str] = &["GET Hub /api/models/org/name"];
const NOTHING: &[&str] = &[];

/// Every command and what it may ask the Hub, in an order in which each finds what it needs.
const COMMANDS: [(&[&str], &[&str]); 31] = [
    (&["version"], NOTHING),
    (&["version", "--json"], NOTHING),
    (&["--version"], NOTHING),
    (&["--help"], NOTHING),
    (&["update"], NOTHING),
    (&["env"], NOTHING),
    (&["man"], NOTHING),
    (&["completions", "bash"], NOTHING),
    (&["alias"], NOTHING),
    (&["auth", "login", "--token", LAPTOP], ACCOUNT),
    (&["auth", "login", "--token", SERVER], ACCOUNT),
    (&["auth", "switch", "--token-name", "my-laptop"], NOTHING),
    (&["auth", "whoami"], ACCOUNT),
    (&["auth", "list"], NOTHING),
    (&["auth", "token"], NOTHING),
    // It says whether the Hub accepts the token.
    (&["auth", "status"], ACCOUNT),
    (&["download", "org/name"], FILES),
    (&["download", "org/name", "config.json"], FILES),
    (&["download", "org/name", "--dry-run"], LISTING),
    (&["--offline", "download", "org/name"], NOTHING),
    (&["cache", "ls"], NOTHING),
    (&["cache", "scan"], NOTHING),
    (&["cache", "pin", "model/org/name"], NOTHING),
    (&["cache", "unpin", "model/org/name"], NOTHING),
    (&["cache", "verify", "org/name"], LISTING),
    (&["cache", "verify", "org/name", "--offline"], NOTHING),
    (&["cache", "doctor"], NOTHING),
    (&["cache", "doctor", "--fix"], NOTHING),
    (&["cache", "prune", "--yes"], NOTHING),
    (&["cache", "rm", "model/org/name", "--yes"], NOTHING),
    (&["auth", "logout"], NOTHING),
];

fn asked(request: &Request) -> String {
    let origin = match request.origin {
        Origin::Hub => "Hub",
        Origin::Cdn => "Cdn",
    };
    format!("{} {origin} {}", request.method, request.path)
}

fn hub() -> Hub {
    let hub = example_hub();
    hub.user("alice")
        .token(LAPTOP, "write", "my-laptop")
        .token(SERVER, "read", "server");
    hub
}

/// Every host but this machine is reached through a proxy that writes down what it is asked for.
fn watched(hub: &Hub, proxy: &Proxy) -> TestEnv {
    let mut env = TestEnv::for_hub(hub);
    let address = format!("http://{}", proxy.address());
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
    ] {
        env.set(name, &address);
    }
    env.set("NO_PROXY", "127.0.0.1,localhost");
    // What the Python client takes as leave to look for versions and to count users.
    env.unset("HF_HUB_DISABLE_TELEMETRY");
    env.unset("HF_HUB_DISABLE_UPDATE_CHECK");
    env
}

#[test]
fn no_command_asks_for_more_than_it_was_given_for() {
    let (hub, proxy) = (hub(), Proxy::http(None));
    let env = watched(&hub, &proxy);
    for (command, allowed) in COMMANDS {
        hub.clear_requests();
        let output = env.run(command).ok();
        for request in hub.requests() {
            let line = asked(&request);
            let fits = allowed.iter().any(|start| line.starts_with(start));
            assert!(fits, "{command:?} asked {line}\n{output}");
        }
        let silent = hub.requests().is_empty();
        assert!(
            silent <= allowed.is_empty(),
            "{command:?} asked nothing: the table is wrong"
        );
        assert_eq!(proxy.asked(), [""; 0], "{command:?} asked another host");
    }
}

#[test]
fn the_watch_sees_a_request_to_another_host() {
    let (hub, proxy) = (hub(), Proxy::http(Some("nobody")));
    let mut env = watched(&hub, &proxy);
    env.set("HF_ENDPOINT", "http://hub.example.invalid");
    let output = env.run(["download", "org/name"]);
    assert_ne!(output.code, Some(0), "{output}");
    assert!(
        proxy
            .asked()
            .iter()
            .any(|line| line.contains("hub.example.invalid")),
        "{:?}",
        proxy.asked()
    );
}
