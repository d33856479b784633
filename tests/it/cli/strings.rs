//! Words that public programs search for, one test for each (docs/reference.md#strings-that-programs-read). Those of the
//! dry run, of the scan and of the login's prompts are tested with these commands.

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Repo};

const ALICE: &str = "hf_alice_token_of_strings";

fn hub() -> Hub {
    let hub = Hub::start();
    hub.user("alice").token(ALICE, "write", "laptop");
    hub.add(Repo::model("org/name").file("config.json", "{}"));
    hub
}

/// Read by set-up scripts that take the name of the account from a report.
#[test]
fn env_names_whose_token_it_is_only_where_the_hub_says_so() {
    let hub = hub();
    for (token, name) in [
        (Some(ALICE), Some("alice")),
        (Some("hf_wrong"), None),
        (None, None),
    ] {
        let mut env = TestEnv::for_hub(&hub);
        if let Some(token) = token {
            env.set("HF_TOKEN", token);
        }
        let output = env.run(["env"]).ok();
        let found = output
            .stdout()
            .lines()
            .find_map(|line| line.strip_prefix("- Who am I ?: "));
        assert_eq!(found, name, "{output}");
        let offline = env.run(["env", "--offline"]).ok();
        assert!(!offline.stdout().contains("Who am I ?"), "{offline}");
    }
}

/// Read by expect scripts, which go on after it.
#[test]
fn a_login_says_that_it_was_successful() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["auth", "login", "--token", ALICE]).ok();
    assert!(output.stderr().contains("Login successful"), "{output}");
    let output = env.huggingface_cli(["login", "--token", ALICE]).run().ok();
    assert!(output.stderr().contains("Login successful"), "{output}");
}

/// Read by `head -n 1` and `awk 'NR==1 {print $2}'`.
#[test]
fn the_first_line_of_whoami_has_the_name() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", ALICE);
    let output = env.run(["auth", "whoami"]).ok();
    assert_eq!(output.stdout().lines().next(), Some("  user: alice"));
    assert_eq!(output.stderr(), "✓ Logged in\n");
    let output = env.huggingface_cli(["whoami"]).run().ok();
    assert_eq!(output.stdout().lines().next(), Some("alice"));
    let mut terminal = env.hf(["auth", "whoami"]).terminal(24, 80);
    assert_eq!(terminal.exit_code(), 0);
    assert!(
        terminal.screen().contains("✓ Logged in"),
        "{}",
        terminal.screen()
    );
}

/// Read by programs that offer a login.
#[test]
fn who_has_no_token_is_not_logged_in() {
    let env = TestEnv::new();
    let output = env.run(["auth", "whoami"]).fails(1);
    assert!(output.stderr().contains("Not logged in"), "{output}");
    let output = env.huggingface_cli(["whoami"]).run().ok();
    assert_eq!(output.stdout(), "Not logged in\n");
    let output = env.run(["auth", "logout"]).ok();
    assert!(output.stderr().contains("Not logged in"), "{output}");
}

/// Read by scripts that compare versions.
#[test]
fn the_older_name_answers_with_its_version() {
    let env = TestEnv::new();
    let told = env.huggingface_cli(["version"]).run().ok();
    assert_eq!(env.huggingface_cli(["--version"]).run().ok(), told);
    assert!(
        told.stdout().starts_with("huggingface_hub version: "),
        "{told}"
    );
}
