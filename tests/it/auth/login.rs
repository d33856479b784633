//! `hf auth login`, logout, switch, list, token and whoami against the local Hub.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::harness::hub::{Fault, Hub};
use crate::harness::{Output, TestEnv};

pub const LAPTOP: &str = "hf_laptoplaptoplaptoplaptoplaptoplapt";
pub const SERVER: &str = "hf_serverserverserverserverserverserv";

/// A Hub on which alice has two tokens.
pub fn hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice")
        .token(LAPTOP, "write", "my laptop")
        .token(SERVER, "read", "server % 1")
        .orgs(["acme", "bees"]);
    hub
}

pub fn read(env: &TestEnv, name: &str) -> String {
    fs::read_to_string(env.hf_home().join(name)).unwrap_or_default()
}

pub fn login(env: &TestEnv, token: &str) -> Output {
    env.run(["auth", "login", "--token", token]).ok()
}

#[test]
fn a_token_is_verified_named_and_saved() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let output = login(&env, LAPTOP);
    assert_eq!(output.stdout(), "");
    assert!(output.stderr().contains("Logged in as alice."), "{output}");
    assert!(output.stderr().contains("permission: write"), "{output}");
    assert_eq!(read(&env, "token"), LAPTOP);
    login(&env, SERVER);
    let endpoint = format!("endpoint = {}\n\n", hub.endpoint());
    assert_eq!(
        read(&env, "stored_tokens"),
        format!(
            "[my laptop]\nhf_token = {LAPTOP}\n{endpoint}[server % 1]\nhf_token = {SERVER}\n{endpoint}"
        )
    );
    for name in ["token", "stored_tokens"] {
        let mode = fs::metadata(env.hf_home().join(name))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_shared_home_stays_shared_and_a_new_one_is_private() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let shared = env.hf_home();
    fs::create_dir(shared.join("hub")).unwrap();
    for folder in [shared.clone(), shared.join("hub")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o2775)).unwrap();
    }
    login(&env, LAPTOP);
    env.run(["auth", "switch", "--token-name", "my laptop"])
        .ok();
    assert_eq!(mode(&shared), 0o2775);
    assert_eq!(mode(&shared.join("hub")), 0o2775);
    assert_eq!(mode(&shared.join("token")), 0o600);
    assert_eq!(mode(&shared.join("stored_tokens")), 0o600);
    let new = env.path("work/new");
    env.set("HF_HOME", &new);
    login(&env, LAPTOP);
    assert_eq!(mode(&new), 0o700);
}

#[test]
fn sending_a_token_over_plain_http_is_warned_of() {
    let env = TestEnv::new();
    // The warning comes before any request, so this test sends no token.
    let output = env
        .hf(["auth", "login", "--token", LAPTOP])
        .var("HF_ENDPOINT", "http://hub.invalid")
        .var("HF_HUB_OFFLINE", "1")
        .run()
        .fails(1);
    let warning = output.stderr().find("anyone on the network path can read");
    assert!(
        warning.is_some() && warning < output.stderr().find("Error:"),
        "{output}"
    );
}

#[test]
fn every_format_of_every_command() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["auth", "login", "--token", LAPTOP, "--json"]).ok();
    assert_eq!(output.json()["token_name"], "my laptop");
    let run = |args: &[&str]| env.run(args).ok().stdout().to_owned();
    let endpoint = hub.endpoint();
    assert_eq!(
        run(&["auth", "whoami"]),
        format!("  user: alice\n  orgs: acme,bees\n  endpoint: {endpoint}\n")
    );
    assert_eq!(
        run(&["auth", "whoami", "--format", "agent"]),
        format!("user=alice orgs=acme,bees endpoint={endpoint}\n")
    );
    assert_eq!(run(&["-q", "whoami"]), "alice\n");
    let json = env.run(["auth", "whoami", "--json"]).ok().json();
    assert_eq!(json["orgs"], "acme,bees");
    assert_eq!(json["role"], "write");
    assert_eq!(run(&["auth", "token"]), format!("{LAPTOP}\n"));
    assert_eq!(run(&["auth", "token", "-q"]), format!("{LAPTOP}\n"));
    assert_eq!(
        env.run(["auth", "token", "--json"]).ok().json(),
        json!({"token": LAPTOP})
    );
    assert_eq!(run(&["auth", "ls", "-q"]), "my laptop\n");
    assert_eq!(
        env.run(["auth", "switch", "--token-name", "my laptop", "--json"])
            .ok()
            .json()["token_name"],
        "my laptop"
    );
    assert_eq!(
        env.run(["auth", "logout", "--json"]).ok().json()["removed"],
        true
    );
    assert_eq!(run(&["auth", "list", "--json"]), "[]\n");
}

#[test]
fn logins_that_fail() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for (args, code, words) in [
        (
            &["--token", "hf_nobody"][..],
            1,
            "a token has 37 characters, and this one has 9",
        ),
        (&["--token", "sk-abcdef"], 1, "begins with hf_"),
        (&["--token", "api_org_abc"], 1, "organization token"),
        (&["--token", ""], 2, "no token"),
        (&["--token", "hf_a b"], 1, "blanks in the middle"),
        (&["--json"], 2, "--token-stdin"),
        (&["-q"], 2, "do not prompt for a token"),
        (&["--token", "x", "--token-stdin"], 2, "cannot be used with"),
    ] {
        let output = env.run([&["auth", "login"], args].concat()).fails(code);
        assert!(output.stderr().contains(words), "{output}");
        assert!(!output.stderr().contains("hf_nobody"), "{output}");
    }
    assert_eq!(read(&env, "token") + &read(&env, "stored_tokens"), "");
    assert_eq!(
        hub.count(|request| request.authorization.as_deref() == Some("api_org_abc")),
        0
    );
}

#[test]
fn a_token_from_standard_input_is_cleaned() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for text in [
        LAPTOP.to_owned(),
        format!("  \"Bearer {LAPTOP}\" \r\n"),
        format!(
            "\u{feff}export HF_TOKEN='{}\n  {}'\n",
            &LAPTOP[..9],
            &LAPTOP[9..]
        ),
    ] {
        let output = env
            .hf(["auth", "login", "--token-stdin"])
            .stdin(text)
            .run()
            .ok();
        assert!(!output.stderr().contains(&LAPTOP[3..]), "{output}");
        assert_eq!(read(&env, "token"), LAPTOP);
        env.run(["auth", "logout"]).ok();
    }
    let output = env
        .hf(["auth", "login", "--token-stdin"])
        .stdin("\n")
        .run()
        .fails(2);
    assert!(
        output
            .stderr()
            .contains("There is no token in standard input"),
        "{output}"
    );
}

#[test]
fn logging_in_twice() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let output = env.run(["auth", "login"]).ok();
    assert!(
        output.stderr().contains("already logged in as alice"),
        "{output}"
    );
    assert!(output.stderr().contains("--force"), "{output}");
    // The variable wins over the file, and a login says so.
    let output = env
        .hf(["auth", "login", "--token", LAPTOP])
        .var("HF_TOKEN", SERVER)
        .run()
        .ok();
    assert!(
        output.stderr().contains("HF_TOKEN is used instead"),
        "{output}"
    );
    // With a refused token the user is not logged in: the browser login starts, and is denied.
    hub.revoke(LAPTOP);
    hub.device_login("alice", &["access_denied"], 0);
    let output = env.run(["auth", "login"]).fails(1);
    assert!(
        output.stderr().contains("does not accept the token"),
        "{output}"
    );
    assert!(
        output.stderr().contains("denied in the browser"),
        "{output}"
    );
}

#[test]
fn switching_and_logging_out() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    assert!(
        env.run(["auth", "switch"])
            .ok()
            .stderr()
            .contains("No token is saved")
    );
    assert!(
        env.run(["auth", "list"])
            .ok()
            .stderr()
            .contains("No token is saved")
    );
    login(&env, LAPTOP);
    login(&env, SERVER);
    let output = env.run(["auth", "list"]).ok();
    assert_eq!(
        output.stdout(),
        "  name       token      \n- ---------- -----------\n  my laptop  hf_****lapt\n* server % 1 hf_****serv\n"
    );
    env.run(["auth", "switch", "--token-name", "my laptop"])
        .ok();
    assert_eq!(read(&env, "token"), LAPTOP);
    let output = env.run(["auth", "switch", "--token-name", "none"]).fails(1);
    assert!(
        output.stderr().contains("my laptop, server % 1"),
        "{output}"
    );
    let output = env.run(["auth", "switch"]).fails(2);
    assert!(output.stderr().contains("--token-name"), "{output}");
    let output = env
        .hf(["auth", "switch", "--token-name", "server % 1"])
        .var("HF_TOKEN", LAPTOP)
        .run()
        .ok();
    assert!(
        output.stderr().contains("HF_TOKEN is used instead"),
        "{output}"
    );
    let output = env.run(["auth", "logout", "--token-name", "none"]).ok();
    assert!(output.stderr().contains("nothing was changed"), "{output}");
    assert!(
        output.stderr().contains("my laptop, server % 1"),
        "{output}"
    );
    let output = env.run(["auth", "logout", "--token-name", "servr 1"]).ok();
    assert!(output.stderr().starts_with("Warning:"), "{output}");
    assert!(
        output.stderr().contains("Did you mean server % 1?"),
        "{output}"
    );
    assert!(!output.to_string().contains('✓'), "{output}");
    let args = ["auth", "logout", "--token-name", "servr 1", "--json"];
    let output = env.run(args).ok();
    assert_eq!(output.json()["removed"], false);
    assert!(output.stderr().contains("nothing was changed"), "{output}");
    let output = env
        .run(["auth", "logout", "--token-name", "server % 1"])
        .ok();
    assert!(output.stderr().contains("`hf auth switch`"), "{output}");
    assert_eq!(read(&env, "token"), "");
    let output = env.run(["auth", "list"]).ok();
    assert!(
        output.stderr().contains("None of these tokens is active"),
        "{output}"
    );
    let output = env.hf(["logout"]).var("HF_TOKEN", SERVER).run().ok();
    assert!(
        output.stderr().contains("HF_TOKEN still logs you in"),
        "{output}"
    );
    env.run(["auth", "whoami"]).fails(1);
    env.run(["auth", "token"]).fails(1);
}

#[test]
fn a_damaged_list_is_reported_and_kept() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    let damaged = format!("[a]\nhf_token = {SERVER}\n[a]\n");
    fs::write(env.hf_home().join("stored_tokens"), &damaged).unwrap();
    for args in [
        &["auth", "login", "--token", SERVER][..],
        &["auth", "list"],
        &["auth", "switch", "--token-name", "a"],
        &["auth", "logout", "--token-name", "a"],
    ] {
        let output = env.run(args).fails(1);
        assert!(
            output.stderr().contains("stored_tokens is damaged: line 3"),
            "{output}"
        );
        assert!(!output.to_string().contains(SERVER), "{output}");
        assert_eq!(read(&env, "stored_tokens"), damaged);
    }
    // The active token does not depend on it.
    env.run(["auth", "whoami"]).ok();
}

#[test]
fn a_linked_token_file_stays_a_link() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let elsewhere = env.path("elsewhere");
    symlink(&elsewhere, env.hf_home().join("token")).unwrap();
    login(&env, LAPTOP);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), LAPTOP);
    let output = env.run(["auth", "logout"]).ok();
    assert!(output.stderr().contains("elsewhere"), "{output}");
    assert!(elsewhere.exists());
    assert!(!env.hf_home().join("token").is_symlink());
}

#[test]
fn negative_flags_and_old_names() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    env.run([
        "login",
        "--token",
        LAPTOP,
        "--add-to-git-credential",
        "--no-add-to-git-credential",
    ])
    .ok();
    let output = env.run(["login", "--force", "--no-force"]).ok();
    assert!(output.stderr().contains("already logged in"), "{output}");
    env.run(["auth"]).fails(2);
    env.run(["logout"]).ok();
}

#[test]
fn errors_say_what_to_do_next() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let page = format!("{}/settings/tokens", hub.endpoint());
    login(&env, LAPTOP);
    hub.revoke(LAPTOP);
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(output.stderr().contains(&page), "{output}");
    assert!(
        output.stderr().contains("hf auth login --force"),
        "{output}"
    );
    let output = env
        .hf(["auth", "whoami"])
        .var("HF_TOKEN", "hf_old")
        .run()
        .fails(1);
    assert!(
        output
            .stderr()
            .contains("put it into HF_TOKEN, or unset HF_TOKEN"),
        "{output}"
    );
    let json = env.hf(["auth", "whoami", "--json"]).run().fails(1);
    let error: serde_json::Value = serde_json::from_str(json.stderr()).unwrap();
    assert_eq!(error["kind"], "invalid_token");
    hub.fault(Fault::status(403).on("whoami").times(1));
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(output.stderr().contains("may not do this"), "{output}");
    assert!(output.stderr().contains(&page), "{output}");
    env.set("HF_HUB_OFFLINE", "1");
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(output.stderr().contains("HF_HUB_OFFLINE"), "{output}");
}
