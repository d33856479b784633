//! The keyring, with a real Secret Service: GNOME Keyring on a session bus of its own, unlocked with a test password.

use std::fs;

use crate::auth::login::{LAPTOP, SERVER, hub, login, read};
use crate::harness::oracle::installed;
use crate::harness::tree::{NodeKind, tree_of};
use crate::harness::{Output, TestEnv};

/// Runs a shell script in which `hf` is the program under test, beside an unlocked keyring. `None` where the
/// programs are missing.
fn with_keyring(env: &mut TestEnv, script: &str) -> Option<Output> {
    installed(["dbus-run-session", "gnome-keyring-daemon"])?;
    env.set("XDG_RUNTIME_DIR", env.path("tmp"));
    let script = format!(
        "printf test-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n\
         hf() {{ {} \"$@\"; }}\n{script}",
        env!("CARGO_BIN_EXE_hf")
    );
    Some(
        env.program("dbus-run-session", ["--", "sh", "-c", &script])
            .run(),
    )
}

/// Whether any file of the environment holds a token as plain text.
fn on_disk(env: &TestEnv, token: &str) -> bool {
    tree_of(env.root()).iter().any(|node| {
        // Sockets and broken links cannot be read.
        let bytes = fs::read(env.root().join(&node.path)).unwrap_or_default();
        let mut parts = bytes.windows(token.len());
        matches!(node.kind, NodeKind::File { .. }) && parts.any(|part| part == token.as_bytes())
    })
}

#[test]
fn a_token_lives_in_the_keyring_and_nowhere_else() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    // The same token moves from the files to the keyring.
    let script = format!(
        "hf auth login --token {LAPTOP} --storage keyring --json || exit 9
         test -e {home}/token && exit 8
         hf auth whoami --json; hf auth token -q; hf auth list --json; hf auth status --json; hf auth list",
        home = env.hf_home().display()
    );
    let Some(output) = with_keyring(&mut env, &script) else {
        return;
    };
    let output = output.ok();
    let lines: Vec<&str> = output.stdout().lines().collect();
    let json = |line: usize| serde_json::from_str::<serde_json::Value>(lines[line]).unwrap();
    assert_eq!(json(0)["storage"], "keyring");
    assert_eq!(json(1)["source"], "the keyring (named my laptop)");
    assert_eq!(lines[2], LAPTOP);
    assert_eq!(json(3)[0]["active"], true);
    assert_eq!(json(3)[0]["storage"], "keyring");
    assert_eq!(json(4)["source"], "the keyring (named my laptop)");
    assert_eq!(json(4)["user"], "alice");
    assert!(
        output.stdout().contains("* my laptop hf_****lapt keyring"),
        "{output}"
    );
    assert!(!on_disk(&env, LAPTOP), "a token in the clear on disk");
    assert!(!env.hf_home().join("stored_tokens").exists());
}

#[test]
fn files_and_keyring_side_by_side() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let script = format!(
        "export HF_TOKEN_STORAGE=keyring
         hf auth login --token {LAPTOP} || exit 1
         unset HF_TOKEN_STORAGE
         hf auth login --token {SERVER} || exit 2
         test $(hf auth token) = {SERVER} || exit 3
         hf auth switch --token-name 'my laptop' || exit 4
         test $(hf auth token) = {LAPTOP} || exit 5
         HF_TOKEN={SERVER} hf auth whoami --json
         hf auth switch --token-name 'server % 1' || exit 6
         test $(hf auth token) = {SERVER} || exit 7
         hf auth list -q
         hf auth logout --token-name 'my laptop' || exit 8
         test -e {home}/keyring_tokens && exit 9
         hf auth switch --token-name 'my laptop' && exit 10
         hf auth login --token {LAPTOP} --storage keyring || exit 11
         hf auth logout || exit 12
         hf auth token && exit 13
         hf auth list --json",
        home = env.hf_home().display()
    );
    let Some(output) = with_keyring(&mut env, &script) else {
        return;
    };
    let output = output.ok();
    let lines: Vec<&str> = output.stdout().lines().collect();
    assert!(
        lines[0].contains("the environment variable HF_TOKEN"),
        "{output}"
    );
    assert_eq!(lines[1..], ["server % 1", "my laptop", "[]"], "{output}");
}

#[test]
fn a_browser_login_in_the_keyring_is_renewed() {
    let hub = hub();
    hub.device_login("bob", &[], 600);
    let mut env = TestEnv::for_hub(&hub);
    let script = "hf auth login --storage keyring || exit 1
        hf auth token; hf auth token";
    let Some(output) = with_keyring(&mut env, script) else {
        return;
    };
    let output = output.ok();
    assert_eq!(
        output.stdout(),
        "hf_oauth_access00002\nhf_oauth_access00003\n"
    );
    assert_eq!(hub.refreshes(), (2, 0));
    assert!(!on_disk(&env, "hf_refresh_rotated"));
}

#[test]
fn a_login_in_the_keyring_is_renewed_by_its_own_hub_alone() {
    let (home, mirror) = (hub(), hub());
    home.device_login("bob", &[], 600);
    let due = "hf_oauth_access00001";
    mirror.user("bob").oauth_token(due);
    let mut env = TestEnv::for_hub(&home);
    let script = format!(
        "hf auth login --storage keyring || exit 1
         export HF_ENDPOINT={} HF_TRUSTED_ENDPOINTS={0}
         hf auth whoami || exit 2
         hf auth login --token {LAPTOP} --storage keyring --force || exit 3
         echo then >&2
         HF_ENDPOINT={1} HF_TRUSTED_ENDPOINTS={1} hf auth whoami || exit 4",
        mirror.endpoint(),
        home.endpoint(),
    );
    let Some(output) = with_keyring(&mut env, &script) else {
        return;
    };
    let output = output.ok();
    let told = format!(
        "only a command that talks to {} can renew it",
        home.endpoint()
    );
    let (while_due, later) = output.stderr().split_once("then\n").expect("both parts");
    assert_eq!(while_due.matches(&told).count(), 1, "{output}");
    assert_eq!(
        later, "✓ Logged in\n",
        "a token that never ends needs no answer: {output}"
    );
    assert_eq!(home.refreshes(), (0, 0));
    assert_eq!(mirror.count(|request| request.path.contains("oauth")), 0);
}

/// Its token stays where it cannot be deleted, and is used no more.
#[test]
fn a_logout_without_a_service_ends_the_use_of_that_token_alone() {
    let mut env = TestEnv::new();
    env.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let path = env.hf_home().join("keyring_tokens");
    let index = serde_json::json!({"active": "work", "names": ["home", "work"]});
    for (name, active) in [
        (Some("home"), Some("work")),
        (Some("work"), None),
        (None, None),
    ] {
        fs::create_dir_all(env.hf_home()).unwrap();
        fs::write(&path, index.to_string()).unwrap();
        let mut args = vec!["auth", "logout"];
        args.extend(name.into_iter().flat_map(|name| ["--token-name", name]));
        let output = env.run(args).fails(1);
        let words = "keyring cannot be used";
        assert!(output.stderr().contains(words), "{output}");
        let left: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(left["active"].as_str(), active, "{name:?}");
        assert_eq!(left["names"], index["names"], "{name:?}");
    }
}

#[test]
fn without_a_service_the_error_names_the_alternative() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let output = env
        .run(["auth", "login", "--token", LAPTOP, "--storage", "keyring"])
        .fails(1);
    assert!(
        output.stderr().contains("keyring cannot be used"),
        "{output}"
    );
    assert!(output.stderr().contains("--storage file"), "{output}");
    assert_eq!(read(&env, "token") + &read(&env, "stored_tokens"), "");
    // With a token stored, a command that needs it gives the same error; other commands work.
    let index = "{\"active\": \"my laptop\", \"names\": [\"my laptop\"]}";
    fs::write(env.hf_home().join("keyring_tokens"), index).unwrap();
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(output.stderr().contains("HF_TOKEN"), "{output}");
    env.hf(["auth", "whoami"])
        .var("HF_TOKEN", LAPTOP)
        .run()
        .ok();
    let output = env.hf(["auth", "list"]).var("HF_TOKEN", LAPTOP).run().ok();
    assert!(output.stdout().contains("my laptop <not set>"), "{output}");
    assert!(output.stderr().contains("cannot be shown"), "{output}");
    let output = env.hf(["auth", "status"]).run().fails(1);
    assert!(output.stdout().contains("keyring"), "{output}");
    login(&env, SERVER);
    env.run(["auth", "whoami"]).ok();
    let output = env
        .run(["auth", "login", "--token", LAPTOP, "--storage", "drawer"])
        .fails(2);
    assert!(output.stderr().contains("keyring"), "{output}");
    let output = env
        .hf(["auth", "login", "--token", LAPTOP])
        .var("HF_TOKEN_STORAGE", "drawer")
        .run()
        .fails(1);
    assert!(output.stderr().contains("HF_TOKEN_STORAGE"), "{output}");
}
