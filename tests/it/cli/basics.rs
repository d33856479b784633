//! The frame around the commands: help, version, mistakes, closed pipes.

use std::process::{Command, Stdio};

use crate::harness::TestEnv;
use crate::harness::oracle::installed;

#[test]
fn help_and_version() {
    let env = TestEnv::new();
    let bare = env.hf([""; 0]).run().fails(2);
    assert_eq!(bare.stdout(), "");
    assert!(bare.stderr().contains("Usage: hf"), "{bare}");
    for group in ["auth", "cache"] {
        let output = env.run([group]).fails(2);
        assert!(
            output.stderr().contains(&format!("Usage: hf {group}")),
            "{output}"
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    for arguments in [&["--version"][..], &["-v"], &["version", "-q"]] {
        assert_eq!(env.run(arguments).ok().stdout(), format!("{version}\n"));
    }
    assert_eq!(
        env.run(["version"]).ok().stdout(),
        format!("✓ hf version\n  version: {version}\n")
    );
    let help = env.run(["download", "--help"]).ok();
    assert!(help.stdout().contains("Examples:"), "{help}");
}

#[test]
fn mistakes_are_usage_errors() {
    let env = TestEnv::new();
    for (arguments, expected) in [
        (&["dowload", "o/n"][..], "did you mean `hf download`?"),
        (&["download"], "`hf download` needs REPO_ID."),
        (
            &["download", "o/n", "--max-workers", "0"],
            "takes a whole number from 1 to 256, not 0",
        ),
        (
            &["download", "o/n", "--repo-type", "modle"],
            "takes model, dataset, space or kernel, not modle",
        ),
        (&["version", "--json", "-q"], "Only one of"),
        (&["-q"], "No command was given"),
    ] {
        let output = env.run(arguments).fails(2);
        assert_eq!(output.stdout(), "");
        assert!(output.stderr().contains(expected), "{output}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let Some(()) = installed(["bash"]) else {
        return;
    };
    let env = TestEnv::new();
    let script = "\"$HF\" env | head -n 1; \"$HF\" --help | head -n 1";
    let output = env
        .program("bash", ["-o", "pipefail", "-c", script])
        .var("HF", env!("CARGO_BIN_EXE_hf"))
        .run()
        .ok();
    assert_eq!(
        output
            .stderr()
            .lines()
            .filter(|line| line.contains("roken pipe"))
            .count(),
        0,
        "{output}"
    );
}

#[test]
fn closed_streams_do_no_harm() {
    let env = TestEnv::new();
    for script in [
        "\"$HF\" version <&-",
        "\"$HF\" version 2>&-",
        "\"$HF\" version >/dev/null </dev/null",
    ] {
        env.program("sh", ["-c", script])
            .var("HF", env!("CARGO_BIN_EXE_hf"))
            .run()
            .ok();
    }
    let full = Command::new("sh")
        .args(["-c", "\"$HF\" version >/dev/full"])
        .env("HF", env!("CARGO_BIN_EXE_hf"))
        .env("HF_HOME", env.hf_home())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(
        full.status.code(),
        Some(1),
        "a result that cannot be written is a failure"
    );
}
