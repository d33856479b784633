//! The errors of downloads that fail, and that they lose nothing and leave nothing behind.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Origin, Repo};
use crate::harness::oracle::mounts;
use crate::harness::tree::listing;

/// A Hub with repositories of every access, alice (who has access) and bob (who has not).
fn guarded_hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice")
        .token("hf_alice_token_0000", "read", "laptop");
    hub.user("bob")
        .token("hf_bob_token_0000", "read", "bob-read");
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .lfs("model.bin", "large"),
    );
    hub.add(
        Repo::model("corp/gated")
            .gated()
            .allow("alice")
            .file("f", "f"),
    );
    hub.add(
        Repo::model("alice/secret")
            .private()
            .allow("alice")
            .file("f", "f"),
    );
    hub.add(Repo::model("corp/off").disabled().file("f", "f"));
    hub
}

/// Runs a download that fails, with a token in the environment, and returns stderr. The
/// token is nowhere in it and nothing came into the cache.
#[track_caller]
fn refused(hub: &Hub, token: Option<&str>, arguments: &[&str]) -> String {
    let mut env = TestEnv::for_hub(hub);
    if let Some(token) = token {
        env.set("HF_TOKEN", token);
    }
    let output = env.run(["download"].iter().chain(arguments)).fails(1);
    assert_eq!(output.stdout(), "");
    assert!(
        !listing(env.cache()).contains("snapshots/"),
        "{}",
        listing(env.cache())
    );
    if let Some(token) = token {
        assert!(!output.stderr().contains(token), "{output}");
    }
    output.stderr().replace(&hub.endpoint(), "[HUB]")
}

#[test]
fn what_does_not_exist() {
    let hub = guarded_hub();
    insta::assert_snapshot!(refused(&hub, None, &["org/nope"]), @"
    Error: There is no model org/nope, or a request without a token may not see it.
    Hint: check the spelling and the --repo-type; for a private repository run `hf auth login` first
    ");
    insta::assert_snapshot!(refused(&hub, Some("hf_bob_token_0000"), &["alice/secret"]), @"
    Error: There is no model alice/secret, or the account bob (token from the environment variable HF_TOKEN) may not see it.
    Hint: check the spelling, the --repo-type, and that this account is a member
    ");
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "--revision", "nope"]), @"
    Error: The model org/name has no revision nope.
    Hint: its branches and tags are main
    ");
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "nope.txt"]), @"
    Error: The model org/name has no file nope.txt at revision main.
    Hint: see what there is at [HUB]/org/name/tree/main
    ");
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "*.json"]), @r#"
    Error: The model org/name has no file *.json at revision main.
    Hint: for a pattern use --include "*.json"
    "#);
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "config.json", "nope.txt"]), @"
    Error: The model org/name has no such file at revision main: nope.txt.
    Hint: see what there is at [HUB]/org/name/tree/main
    ");
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "--include", "*.gguf"]), @"
    Error: No file of the model org/name matches the patterns.
    Hint: patterns match the whole path: `*.json` finds `a/b.json`, `a/*` everything below a/
    ");
    assert_eq!(
        hub.content_bytes_sent(),
        0,
        "nothing was fetched before the error"
    );
}

#[test]
fn what_is_not_allowed() {
    let hub = guarded_hub();
    insta::assert_snapshot!(refused(&hub, None, &["corp/gated"]), @"
    Error: The model corp/gated is gated, and a request without a token has no access to it.
    Hint: run `hf auth login`, then ask for access at [HUB]/corp/gated
    ");
    insta::assert_snapshot!(refused(&hub, Some("hf_bob_token_0000"), &["corp/gated"]), @"
    Error: The model corp/gated is gated, and the account bob (token from the environment variable HF_TOKEN) has no access to it.
    Hint: ask for access at [HUB]/corp/gated
    ");
    insta::assert_snapshot!(refused(&hub, Some("hf_unknown_token_0"), &["org/name"]), @"
    Error: The Hub refuses the token from the environment variable HF_TOKEN: it is not valid, or no longer.
    Hint: make a new one at [HUB]/settings/tokens and put it into HF_TOKEN, or unset HF_TOKEN
    ");
    insta::assert_snapshot!(refused(&hub, None, &["corp/off"]), @"
    Error: The Hub has disabled access to the model corp/off.
    Hint: see [HUB]/corp/off
    ");
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", "hf_alice_token_0000");
    env.run(["download", "corp/gated"]).ok();
    env.run(["download", "alice/secret"]).ok();
    assert!(hub.leaked_tokens().is_empty());
}

#[test]
fn a_refused_repository_of_many_files_leaves_nothing() {
    let hub = guarded_hub();
    let mut repo = Repo::model("corp/many").gated().allow("alice");
    for number in 0..40 {
        repo = repo.file(&format!("{number}.json"), format!("{number}"));
        repo = repo.lfs(
            &format!("{number}.bin"),
            Content::synthetic(300_000, number),
        );
    }
    hub.add(repo);
    for _ in 0..5 {
        refused(&hub, None, &["corp/many"]);
    }
}

#[test]
fn names_that_are_no_names() {
    let hub = guarded_hub();
    insta::assert_snapshot!(refused(&hub, None, &["a--b"]), @r#"
    Error: The repository id "a--b" may not contain '--' or '..'.
    Hint: a repository is named like `openai-community/gpt2` or `datasets/squad_org/squad`
    "#);
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "--revision", "../x"]), @r#"Error: The revision "../x" has an empty or dotted part."#);
    insta::assert_snapshot!(refused(&hub, None, &["org/name", "../../etc/passwd"]), @r#"Error: The file name "../../etc/passwd" tries to leave its folder."#);
    insta::assert_snapshot!(refused(&hub, Some("hf_a b"), &["org/name"]), @r#"
    Error: The token from the environment variable HF_TOKEN cannot be used: it contains blanks in the middle.
    Hint: copy the token again, without quotes or "Bearer", or remove the environment variable HF_TOKEN
    "#);
    assert!(hub.requests().is_empty());
}

#[test]
fn no_permission_names_the_token_page() {
    let hub = guarded_hub();
    hub.fault(Fault::status(403).on("/api/models/org/name"));
    insta::assert_snapshot!(refused(&hub, Some("hf_bob_token_0000"), &["org/name"]), @"
    Error: The account bob (token from the environment variable HF_TOKEN) has no permission to read the model org/name (the Hub says: A fault was asked for).
    Hint: change the permissions of the token at [HUB]/settings/tokens
    ");
}

#[test]
fn errors_in_json_are_json_on_stderr() {
    let hub = guarded_hub();
    let error: serde_json::Value =
        serde_json::from_str(&refused(&hub, None, &["org/nope", "--json"])).unwrap();
    assert_eq!(error["kind"], "repo_not_found");
    assert!(error["error"].as_str().unwrap().contains("org/nope"));
    assert!(error["hint"].is_string());
    let quiet = refused(&hub, None, &["org/nope", "-q"]);
    assert!(
        quiet.starts_with("Error: ") && !quiet.contains("Hint"),
        "{quiet}"
    );
}

#[test]
fn offline_uses_the_cache_or_says_so() {
    let hub = guarded_hub();
    let mut env = TestEnv::for_hub(&hub);
    let online = env.run(["download", "org/name"]).ok();
    env.run(["download", "org/name", "config.json"]).ok();
    let requests = hub.requests().len();
    env.set("HF_HUB_OFFLINE", "1");
    let offline = env.run(["download", "org/name"]).ok();
    assert_eq!(offline.stdout(), online.stdout());
    assert_eq!(offline.said(), "", "who asked for it need not be told");
    env.run(["download", "org/name", "config.json"]).ok();
    env.run(["download", "org/name", "--dry-run"]).fails(1);
    env.run(["download", "org/name", "--force-download"])
        .fails(1);
    let missing = env.run(["download", "org/other"]).fails(1);
    insta::assert_snapshot!(missing.stderr(), @"
    Error: The cache lacks requested files of the model org/other at revision main, and offline mode is on.
    Hint: to go online, leave out --offline and unset HF_HUB_OFFLINE; `hf cache ls --revisions` lists what is there
    ");
    assert_eq!(hub.requests().len(), requests, "not one request");
}

#[test]
fn an_incomplete_snapshot_is_not_used_as_a_complete_one() {
    let hub = guarded_hub();
    let mut env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    let snapshot = env
        .cache()
        .join("models--org--name/snapshots")
        .join(hub.repo("models/org/name").commit("main"));
    fs::remove_file(snapshot.join("model.bin")).unwrap();
    env.set("HF_HUB_OFFLINE", "1");
    let output = env.run(["download", "org/name"]).fails(1);
    insta::assert_snapshot!(output.stderr(), @"
    Error: The cached snapshot of the model org/name lacks 1 file (model.bin), and the Hub cannot be reached: offline mode is on.
    Hint: run the same command with network access to complete it
    ");
    env.run(["download", "org/name", "--include", "*.json"])
        .ok();
}

#[test]
fn a_hub_that_is_down() {
    let mut hub = guarded_hub();
    let env = TestEnv::for_hub(&hub).fast_clock();
    let before = env.run(["download", "org/name"]).ok();
    hub.stop();
    let cached = env.run(["download", "org/name"]).ok();
    assert_eq!(cached.stdout(), before.stdout());
    let tries = cached.stderr().matches("trying again").count();
    assert_eq!(tries, 1, "with a cached copy the wait is short: {cached}");
    let fresh = TestEnv::for_hub(&hub).fast_clock();
    let output = fresh.run(["download", "org/name"]).fails(1);
    assert!(
        output
            .stderr()
            .contains("Error: Cannot reach http://127.0.0.1"),
        "{output}"
    );
    assert!(
        output.stderr().contains("connection refused")
            || output.stderr().contains("Connection refused"),
        "{output}"
    );
}

#[test]
fn a_server_that_is_no_hub() {
    for fault in [Fault::MalformedJson, Fault::WrongTypes, Fault::RedirectLoop] {
        let hub = guarded_hub();
        hub.fault(fault.clone().on("/api/"));
        let error = refused(&hub, None, &["org/name"]);
        assert!(error.starts_with("Error: The server"), "{fault:?}: {error}");
        assert!(error.contains("HF_ENDPOINT"), "{fault:?}: {error}");
    }
}

#[test]
fn a_redirect_to_another_host_gets_no_token() {
    let hub = guarded_hub();
    let trap = Hub::start();
    let target = format!("{}/trap", trap.endpoint());
    hub.fault(Fault::ForeignRedirect(target).on("/resolve/"));
    let mut env = TestEnv::for_hub(&hub).fast_clock();
    env.set("HF_TOKEN", "hf_alice_token_0000");
    env.run(["download", "org/name"]).fails(1);
    let seen = trap.requests();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|request| request.authorization.is_none()));
    assert!(
        hub.requests()
            .iter()
            .any(|r| r.origin == Origin::Hub && r.authorization.is_some())
    );
}

#[test]
fn folders_that_cannot_be_written() {
    let hub = guarded_hub();
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.hf_home()).unwrap();
    fs::write(env.cache(), "a file where a folder should be").unwrap();
    let output = env.run(["download", "org/name"]).fails(1);
    assert!(
        output
            .stderr()
            .starts_with("Error: Cannot create the folder"),
        "{output}"
    );
    assert_eq!(
        fs::read_to_string(env.cache()).unwrap(),
        "a file where a folder should be"
    );
}

/// Runs `hf` in a mount namespace of its own, after `setup` (shell commands that may mount). Works
/// for root and, where user namespaces are allowed, for every user.
pub fn in_namespace(env: &TestEnv, setup: &str, arguments: &str) -> crate::harness::Output {
    let script = format!("{setup} && exec \"$HF\" {arguments}");
    env.program(
        "unshare",
        ["--map-root-user", "--mount", "sh", "-c", script.as_str()],
    )
    .var("HF", env!("CARGO_BIN_EXE_hf"))
    .var("CACHE", env.cache())
    .run()
}

#[test]
fn a_read_only_cache_serves_what_it_has() {
    let Some(()) = mounts() else {
        return;
    };
    let hub = guarded_hub();
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", "config.json"]).ok();
    let read_only = "mount --bind \"$CACHE\" \"$CACHE\" && mount -o remount,ro,bind \"$CACHE\"";
    in_namespace(&env, read_only, "download org/name config.json").ok();
    let output = in_namespace(&env, read_only, "download org/name").fails(1);
    insta::assert_snapshot!(output.stderr().replace(&env.cache().display().to_string(), "[CACHE]"), @"
    Error: Cannot open [CACHE]/.locks/models--org--name/d35c416a85b807e9b5384915d6ebb4a9f7352713efd89857b45a242f473728a9.lock: read-only file system.
    Hint: choose a writable folder with HF_HOME, HF_HUB_CACHE or --cache-dir
    ");
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_has() {
    let Some(()) = mounts() else {
        return;
    };
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("a.txt", "a")
            .lfs("big.bin", Content::synthetic(3_000_000, 1)),
    );
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.cache()).unwrap();
    let small = "mount -t tmpfs -o size=1m tmpfs \"$CACHE\"";
    let early = in_namespace(&env, small, "download org/name").fails(1);
    assert!(
        early.stderr().contains("3.0M are needed and 1.0M are free"),
        "{early}"
    );
    assert_eq!(hub.content_bytes_sent(), 0);
    let again = format!(
        "{small} && (\"$HF\" download org/name --no-space-check; ls -s \"$CACHE\"/models--org--name/blobs >&2) "
    );
    let late = in_namespace(&env, &again, "version").ok();
    assert!(
        late.stderr().contains("No space left on device")
            || late.stderr().contains("no space left"),
        "{late}"
    );
    assert!(late.stderr().contains("Hint: free some space"), "{late}");
    assert!(
        late.stderr().contains(".hf-sparse"),
        "the fetched part is kept: {late}"
    );
}
