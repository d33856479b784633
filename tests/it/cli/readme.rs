//! The README is true: its command lines are valid, and no variable is missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use hf_cli::testing::Cli;

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The shell blocks of a Markdown text.
fn shell_blocks(markdown: &str) -> Vec<&str> {
    let blocks = markdown.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap())
        .collect()
}

/// The arguments of each `hf` that a shell would start for this text; nothing is really run.
fn command_lines(script: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    // Every other program is a word that does nothing; `hf` writes down what it was given.
    let prelude = r#"
for name in cargo docker python pip ln sudo; do eval "$name() { :; }"; done
hf() { for word in hf "$@"; do printf '%s\0' "$word"; done >>"$SEEN"; printf '\n' >>"$SEEN"; }
: >token.txt
"#;
    let output = Command::new("sh")
        .args(["-euc", &format!("{prelude}{script}")])
        .env("SEEN", &seen)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}\n{output:?}");
    let seen = fs::read_to_string(seen).unwrap_or_default();
    seen.lines()
        .map(|line| line.split_terminator('\0').map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_line_is_understood() {
    let readme = text("README.md");
    let lines: Vec<Vec<String>> = shell_blocks(&readme)
        .into_iter()
        .flat_map(command_lines)
        .collect();
    assert!(lines.len() > 25, "only {}", lines.len());
    for line in lines {
        if let Err(error) = Cli::try_parse_from(&line) {
            panic!("{line:?}\n{error}");
        }
    }
}

#[test]
fn a_wrong_command_line_would_be_noticed() {
    let lines =
        command_lines("P=$(hf download a/b 'c d') # hf no comment\nhf cache lss <token.txt");
    assert_eq!(
        lines,
        [
            vec!["hf", "download", "a/b", "c d"],
            vec!["hf", "cache", "lss"]
        ]
    );
    assert!(Cli::try_parse_from(&lines[0]).is_ok());
    assert!(Cli::try_parse_from(&lines[1]).is_err());
}

#[test]
fn every_variable_is_in_the_table() {
    let readme = text("README.md");
    let names = hf_cli::testing::VARIABLES.iter().map(|(name, _)| *name);
    let ours: Vec<&str> = names
        .filter(|name| name.starts_with("HF_") || name.starts_with("HUGGING"))
        .collect();
    assert!(ours.len() > 15, "{ours:?}");
    for name in ours {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}
