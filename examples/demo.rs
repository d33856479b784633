//! The main job on one screen: log in, download, download again, audit the disk.
//!
//! `cargo run --release --example demo`
//!
//! Starts a Hub on the loopback interface with one small model, then runs the real commands in
//! processes of their own, in a temporary home. No network, no account, nothing left behind. Each
//! process is this example started again with `--as-hf`, which enters `hf_cli::testing::run` just as the
//! binary `hf` does: an example cannot rely on the binary being built.

#![allow(
    clippy::disallowed_methods,
    reason = "an example is a process of its own"
)]

#[path = "../tests/it/harness/hub/mod.rs"]
mod hub;

use std::path::Path;
use std::process::{Command, ExitCode};

use hub::{Content, Hub, Repo};

/// A token that exists on the demo's Hub only.
const TOKEN: &str = "hf_demo_token_of_the_local_hub";

/// What is shown, one command a line.
const COMMANDS: [&[&str]; 8] = [
    &["version"],
    &["auth", "login", "--token", TOKEN],
    &["auth", "whoami"],
    &["download", "demo/tiny-model"],
    &["download", "demo/tiny-model"],
    &["cache", "scan"],
    &["cache", "ls", "--json"],
    &["auth", "logout"],
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().expect("a program has a name");
    let mut arguments = arguments.peekable();
    if arguments.next_if(|first| first == "--as-hf").is_some() {
        let env = hf_cli::testing::Env::from_process();
        return hf_cli::testing::run(std::iter::once("hf".into()).chain(arguments), env);
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    let hub = example_hub();
    for command in COMMANDS {
        hub.clear_requests();
        if !run(&program, command, &hub, home.path()) {
            eprintln!("The command failed, and so does the demo.");
            return ExitCode::FAILURE;
        }
        let (requests, bytes) = (hub.requests().len(), hub.content_bytes_sent());
        println!("  ({requests} requests, {bytes} bytes of files)\n");
    }
    if !hub.leaked_tokens().is_empty() {
        eprintln!("A token went to another host than the Hub, and so the demo fails.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn example_hub() -> Hub {
    let hub = Hub::start();
    hub.user("demo")
        .token(TOKEN, "read", "demo-laptop")
        .orgs(["acme"]);
    hub.add(
        Repo::model("demo/tiny-model")
            .file("README.md", "# A tiny model\n")
            .file("config.json", "{\"model_type\": \"tiny\"}\n")
            .file("tokenizer/vocab.txt", "hello\nworld\n")
            .lfs("model.safetensors", Content::synthetic(24_000_000, 1)),
    );
    hub
}

/// Shows a command and runs it. Its output goes straight to this terminal, if there is one.
fn run(program: &std::ffi::OsStr, command: &[&str], hub: &Hub, home: &Path) -> bool {
    println!("$ hf {}", command.join(" "));
    let status = Command::new(program)
        .arg("--as-hf")
        .args(command)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "TERM" || name == "PATH"))
        .env("HOME", home)
        .env("HF_HOME", home.join("huggingface"))
        .env("HF_ENDPOINT", hub.endpoint())
        .status();
    status.expect("start a process").success()
}
