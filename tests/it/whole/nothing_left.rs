//! A command that fails before its first byte, or has nothing to do, leaves the disk as it was.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Repo};
use crate::harness::tree::listing;

/// Command lines that fail or have nothing to do in a home without anything. `{out}` is a folder that is
/// not there.
const IN_AN_EMPTY_HOME: [&str; 60] = [
    "",
    "--help",
    "auth",
    "auth login",
    "auth login --token hf_wrong",
    "auth login --token hf_wrong --add-to-git-credential",
    "auth logout",
    "auth logout --token-name absent",
    "auth switch",
    "auth switch --token-name absent",
    "auth list",
    "auth token",
    "auth status",
    "auth whoami",
    "login",
    "logout",
    "whoami",
    "download",
    "download org/absent",
    "download org/absent --local-dir {out}",
    "download org/absent config.json --local-dir {out}",
    "download org/name absent.txt --local-dir {out}",
    "download org/name a.txt b.txt --local-dir {out}",
    "download org/name --include *.absent",
    "download org/name --include *.absent --local-dir {out}",
    "download org/name --dry-run",
    "download org/name --dry-run --local-dir {out}",
    "download org/name --revision absent",
    "download corp/gated",
    "download corp/gated big.bin",
    "download corp/gated --local-dir {out}",
    "download corp/gated --local-dir {out} --max-workers 1",
    "download corp/gated sub/config.json --local-dir {out}",
    "download corp/gated --cache-dir {out}",
    "download org/name --offline",
    "download org/name --offline --local-dir {out}",
    "download org/name --local-dir {out} --cache-dir {out}",
    "download --from-file {out}",
    "ls org/absent",
    "ls org/name",
    "cache",
    "cache ls",
    "cache ls --cache-dir {out}",
    "cache scan",
    "cache scan --dir {out}",
    "cache delete --disable-tui",
    "cache rm model/org/absent --yes",
    "cache prune --yes",
    "cache verify org/name",
    "cache verify org/name --local-dir {out}",
    "cache doctor",
    "cache doctor --fix --yes",
    "cache pin org/absent",
    "cache unpin org/absent",
    "env",
    "alias list",
    "version",
    "completions bash",
    "update",
    "man",
];

/// Command lines that fail or have nothing to do where `org/name` is cached and a token is saved.
const IN_A_FULL_HOME: [&str; 17] = [
    "download org/name",
    "download org/name config.json",
    "download org/name --offline",
    "download org/name --dry-run --force-download",
    "download corp/gated --local-dir {out}",
    "auth logout --token-name absent",
    "auth switch --token-name absent",
    "auth list",
    "auth whoami",
    "cache ls --revisions",
    "cache scan -v",
    "cache rm model/org/absent --yes",
    "cache rm model/org/name --dry-run",
    "cache prune --yes",
    "cache verify org/name",
    "cache doctor --fix --yes",
    "cache unpin org/name",
];

fn hub() -> Hub {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .file("sub/x.txt", "text"),
    );
    hub.add(
        Repo::model("corp/gated")
            .gated()
            .file("config.json", "{}")
            .file("sub/config.json", "{}")
            .lfs("big.bin", "weights"),
    );
    hub.user("alice").token("hf_alice_token", "read", "laptop");
    hub
}

fn words(env: &TestEnv, line: &str) -> Vec<String> {
    let out = env.path("out/deep").display().to_string();
    line.split_whitespace()
        .map(|word| word.replace("{out}", &out))
        .collect()
}

/// What is on disk, save the locks and marks inside of a cache that the Python client leaves as well.
fn disk(env: &TestEnv) -> Vec<String> {
    let text = listing(env.root());
    let lines = text.lines();
    lines
        .filter(|line| !line.contains("/hub/.locks/") && !line.contains("/.no_exist/"))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn leaves_nothing(env: &TestEnv, line: &str) {
    let before = disk(env);
    let output = env.hf(words(env, line)).run();
    assert_eq!(disk(env), before, "hf {line}\n{output}");
}

#[test]
fn in_an_empty_home() {
    let hub = hub();
    // A login in the browser waits for a person.
    let mut env = TestEnv::for_hub(&hub).fast_clock();
    fs::remove_dir(env.hf_home()).unwrap();
    let home = env.path("absent/hf");
    env.set("HF_HOME", home);
    for line in IN_AN_EMPTY_HOME {
        leaves_nothing(&env, line);
    }
    for (name, line) in [
        ("HF_TOKEN", "hf_wrong"),
        ("HF_ENDPOINT", "http://127.0.0.1:1"),
    ] {
        env.set(name, line);
        for line in [
            "download corp/gated --local-dir {out}",
            "auth whoami",
            "auth logout",
        ] {
            leaves_nothing(&env, line);
        }
    }
}

#[test]
fn in_a_full_home() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    env.run(["auth", "login", "--token", "hf_alice_token"]).ok();
    env.run(["download", "org/name"]).ok();
    for line in IN_A_FULL_HOME {
        leaves_nothing(&env, line);
    }
}

#[test]
fn the_legacy_name() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    fs::remove_dir(env.hf_home()).unwrap();
    // Makes the link.
    let _ = env.huggingface_cli(["version"]).run();
    for line in [
        "logout",
        "whoami",
        "scan-cache",
        "delete-cache --disable-tui",
        "login --token hf_wrong",
        "download corp/gated --local-dir {out}",
        "download corp/gated",
        "env",
        "auth list",
        "auth switch --token-name absent",
    ] {
        let before = disk(&env);
        let output = env.huggingface_cli(words(&env, line)).run();
        assert_eq!(disk(&env), before, "huggingface-cli {line}\n{output}");
    }
}

#[test]
fn files_of_the_user_in_a_refused_local_folder_stay() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let out = env.path("out/deep");
    fs::create_dir_all(out.join("sub")).unwrap();
    fs::write(out.join("sub/mine.txt"), "mine").unwrap();
    let line = "download corp/gated --local-dir {out}";
    env.hf(words(&env, line)).run().fails(1);
    let left = listing(&out);
    assert!(left.contains("sub/mine.txt"), "{left}");
    assert!(!left.contains(".hf-sparse"), "{left}");
}

#[test]
fn every_command_is_in_the_table() {
    fn collect(command: &clap::Command, path: &str, all: &mut BTreeSet<String>) {
        all.insert(path.trim_start().to_owned());
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            if one.get_name() != "help" {
                collect(one, &format!("{path} {}", one.get_name()), all);
            }
        }
    }
    let mut all = BTreeSet::new();
    collect(&hf_cli::testing::grammar(), "", &mut all);
    let lines = [&IN_AN_EMPTY_HOME[..], &IN_A_FULL_HOME[..]].concat();
    // These do something by their nature.
    all.retain(|path| !["alias", "alias add", "alias remove"].contains(&path.as_str()));
    for path in all {
        let is_there = lines
            .iter()
            .any(|line| format!("{line} ").starts_with(&format!("{path} ")) || path.is_empty());
        assert!(is_there, "{path}");
    }
}
