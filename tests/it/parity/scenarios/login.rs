//! Changing logins: `auth login`, `auth logout`, `auth switch`.

use super::FORMATS;
use crate::harness::hub::Fault;
use crate::parity::scenario::{Scenario, each, hf};
use crate::parity::world::{
    World, fault, hub_down, logged_in, offline, three_tokens, write_secret,
};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    [login(), browser(), logout(), switch()].concat()
}

/// A credential helper that keeps what it is told in a file of the home folder.
pub fn git_helper(world: &mut World) {
    let config = format!(
        "[credential]\n\thelper = store --file {}/credentials\n",
        world.env.home().display()
    );
    std::fs::write(world.env.home().join(".gitconfig"), config).expect("git configuration");
}

fn login() -> Vec<Scenario> {
    let with_token = |end: &str| hf(&format!("auth login --token {{laptop}} {end}"));
    let mut all = each(with_token, FORMATS);
    all.extend([
        with_token("").given("logged in", logged_in),
        with_token("--force").given("three tokens", three_tokens),
        with_token("").var("HF_TOKEN", "{bob}"),
        with_token("").var("HF_TOKEN_PATH", "{root}/work/deep/my-token"),
        with_token("--add-to-git-credential"),
        with_token("--add-to-git-credential").given("a git helper", git_helper),
        with_token("--no-add-to-git-credential").given("a git helper", git_helper),
        with_token("").given("a wide-open token file", |world| {
            std::fs::write(world.env.hf_home().join("token"), "old").expect("file");
        }),
        with_token("")
            .var("HF_TOKEN_PATH", "{root}/work/shared/token")
            .given("a shared folder", |world| {
                use std::os::unix::fs::PermissionsExt;
                let folder = world.env.work().join("shared");
                std::fs::create_dir(&folder).expect("folder");
                let mode = std::fs::Permissions::from_mode(0o2775);
                std::fs::set_permissions(folder, mode).expect("mode");
            }),
        with_token("").given("a damaged stored_tokens", |world| {
            write_secret(
                world,
                "stored_tokens",
                "[a]\nhf_token = x\n[a]\nhf_token = y\n",
            );
        }),
        with_token("").given("the Hub is down", hub_down),
        with_token("").given("offline", offline),
        with_token("").given("503 once", fault(Fault::status(503).on("whoami").times(1))),
        hf("auth login --token {server}").given("three tokens", three_tokens),
        hf("auth login --token {wrong}"),
        hf("auth login --token {wrong} --json"),
        hf("auth login --token api_org_abc"),
        hf("auth login --token ''"),
        hf("auth login --json"),
        hf("auth login -q"),
        hf("auth login").given("logged in", logged_in),
        hf("auth login --format agent").given("logged in", logged_in),
        hf("auth login").var("HF_TOKEN", "{laptop}"),
    ]);
    all
}

/// Through the browser, confirmed somewhere else.
fn browser() -> Vec<Scenario> {
    let confirmed = |world: &mut World| world.hub.device_login("carol", &[], 0);
    vec![
        hf("auth login").given("confirmed at once", confirmed),
        hf("auth login --format agent").given("confirmed at once", confirmed),
        hf("auth login --force")
            .given("confirmed at once", confirmed)
            .given("logged in", logged_in),
        hf("auth login").given("a token that can be renewed", |world| {
            world.hub.device_login("carol", &[], 864_000);
        }),
        hf("auth login").given("denied", |world| {
            world.hub.device_login("carol", &["access_denied"], 0);
        }),
        hf("auth login").given("expired", |world| {
            world.hub.device_login("carol", &["expired_token"], 0);
        }),
    ]
}

fn logout() -> Vec<Scenario> {
    let three = |line: &str| hf(line).given("three tokens", three_tokens);
    let mut all = each(|end| three(&format!("auth logout {end}")), FORMATS);
    all.extend([
        hf("auth logout"),
        three("auth logout --token-name laptop"),
        three("auth logout --token-name bob"),
        three("auth logout --token-name nobody"),
        three("auth logout").given("a git helper", git_helper),
        three("auth logout").var("HF_TOKEN", "{bob}"),
        three("auth logout --token-name server").var("HF_TOKEN", "{bob}"),
        hf("auth logout").var("HF_TOKEN", "{bob}"),
        three("auth logout").given("the Hub is down", hub_down),
    ]);
    all
}

fn switch() -> Vec<Scenario> {
    let three = |line: &str| hf(line).given("three tokens", three_tokens);
    let mut all = each(
        |end| three(&format!("auth switch --token-name server {end}")),
        FORMATS,
    );
    all.extend([
        three("auth switch --token-name laptop"),
        three("auth switch --token-name nobody"),
        three("auth switch --token-name server").var("HF_TOKEN", "{bob}"),
        three("auth switch --token-name server --add-to-git-credential")
            .given("a git helper", git_helper),
        three("auth switch --json"),
        three("auth switch --format agent"),
        three("auth switch").given("the Hub is down", hub_down),
        hf("auth switch"),
        hf("auth switch --token-name server"),
    ]);
    all
}
