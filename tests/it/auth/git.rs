//! Git credentials, with the real git and its `store` helper.

use std::fs;

use crate::auth::login::{LAPTOP, SERVER, hub, login};
use crate::harness::TestEnv;
use crate::harness::oracle::installed;

/// An environment in which git is configured like this; `None` where git is missing.
pub fn with_git(env: &TestEnv, config: &str) -> Option<()> {
    installed(["git"])?;
    fs::write(env.home().join(".gitconfig"), config).unwrap();
    Some(())
}

fn stored(env: &TestEnv) -> String {
    fs::read_to_string(env.home().join(".git-credentials")).unwrap_or_default()
}

const ADD: [&str; 5] = [
    "auth",
    "login",
    "--add-to-git-credential",
    "--token",
    LAPTOP,
];

#[test]
fn the_token_is_stored_replaced_and_removed() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let Some(()) = with_git(&env, "[credential]\n\thelper = store\n") else {
        return;
    };
    let host = hub.endpoint().replace("http://", "");
    let output = env.run(ADD).ok();
    assert!(
        output.stderr().contains("credential helper (store)"),
        "{output}"
    );
    let line = |token: &str| format!("http://hf_user:{token}@{}\n", host.replace(':', "%3a"));
    assert_eq!(stored(&env), line(LAPTOP));
    login(&env, SERVER);
    assert_eq!(stored(&env), line(LAPTOP), "only when asked");
    env.run([
        "auth",
        "switch",
        "--token-name",
        "server % 1",
        "--add-to-git-credential",
    ])
    .ok();
    assert_eq!(stored(&env), line(SERVER));
    env.run(["auth", "logout"]).ok();
    assert_eq!(stored(&env), "");
}

#[test]
fn a_helper_for_this_endpoint_counts() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let config = format!("[credential \"{}\"]\n\thelper = store\n", hub.endpoint());
    let Some(()) = with_git(&env, &config) else {
        return;
    };
    env.run(ADD).ok();
    assert!(stored(&env).contains(LAPTOP));
}

#[test]
fn without_a_helper_or_git_the_login_stands_and_is_explained() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let Some(()) = with_git(&env, "") else { return };
    let output = env.run(ADD).ok();
    assert!(
        output
            .stderr()
            .contains("no credential helper is configured"),
        "{output}"
    );
    assert!(
        output
            .stderr()
            .contains("git config --global credential.helper store"),
        "{output}"
    );
    let output = env.hf(ADD).var("PATH", env.path("bin")).run().ok();
    assert!(output.stderr().contains("git is not installed"), "{output}");
    let output = env
        .hf(["auth", "logout"])
        .var("PATH", env.path("bin"))
        .run()
        .ok();
    assert!(!output.stderr().contains("git"), "{output}");
}

/// git tells what it was given: the token must come by standard input alone.
#[test]
fn git_sees_the_token_on_its_standard_input_only() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let log = env.path("git.log");
    let script = format!(
        "#!/bin/sh\necho \"args: $*\" >> {log}\nenv >> {log}\n\
         case $1 in config) printf 'fake\\0';; *) cat > {log}.stdin;; esac\n",
        log = log.display()
    );
    env.script("bin/git", &script);
    let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
    let output = env
        .hf(ADD)
        .var("PATH", &path)
        .var("HF_TOKEN", SERVER)
        .run()
        .ok();
    assert!(output.stderr().contains("(fake)"), "{output}");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("args: credential approve"), "{log}");
    assert!(!log.contains(LAPTOP) && !log.contains(SERVER), "{log}");
    let stdin = fs::read_to_string(env.path("git.log.stdin")).unwrap();
    assert_eq!(
        stdin,
        format!(
            "url={}\nusername=hf_user\npassword={LAPTOP}\n\n",
            hub.endpoint()
        )
    );
}

#[test]
fn a_helper_that_fails_is_a_warning() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let config = "[credential]\n\thelper = \"!exit 3\"\n[broken\n";
    let Some(()) = with_git(&env, config) else {
        return;
    };
    let output = env.run(ADD).ok();
    assert!(
        output
            .stderr()
            .contains("The token was not given to git: `git config` failed"),
        "{output}"
    );
}
