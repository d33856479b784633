//! The git credential helper: the only subprocess of this tool.
//!
//! A token goes to git through its standard input, never as an argument, and the variables that may
//! hold one are taken out of git's environment. git hands it to whatever helper the user configured
//! (gitcredentials(7), git-credential(1)).

use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::resolve::TOKEN_VARIABLES;
use crate::types::Endpoint;
use crate::types::token::Token;

/// The user name under which tokens are stored; the Hub looks at the password only
/// (docs/reference.md#git-credentials).
const USERNAME: &str = "hf_user";

/// git could not do it. No variant carries a token.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no `git` to run.
    #[error("git is not installed")]
    Absent,
    /// git ran and failed.
    #[error("`git {command}` failed{}", detail(message))]
    Failed {
        /// What was run, without secrets.
        command: &'static str,
        /// git's own words; may be empty.
        message: String,
    },
    /// git could not be run or spoken to.
    #[error("cannot run git: {0}")]
    Io(#[from] io::Error),
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

/// The version of git, as it says it itself.
///
/// # Errors
/// [`GitError`].
pub fn version() -> Result<String, GitError> {
    let output = git().arg("--version").output().map_err(absent_or_io)?;
    if !output.status.success() {
        return Err(failed("--version", &output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.trim();
    Ok(text.strip_prefix("git version ").unwrap_or(text).to_owned())
}

/// Names of the configured credential helpers, in git's order: those for all hosts and those for
/// this endpoint. Empty when there is none: then nothing would be stored.
///
/// # Errors
/// [`GitError`].
pub fn helpers(endpoint: &Endpoint) -> Result<Vec<String>, GitError> {
    let url = endpoint.as_str();
    let everywhere = config(&["--get-all", "credential.helper"])?;
    let here = config(&["--get-urlmatch", "credential.helper", url])?;
    Ok(effective(&everywhere, &here))
}

/// The active helpers. An empty value clears those before it (gitcredentials(7)).
fn effective(everywhere: &str, here: &str) -> Vec<String> {
    let mut helpers: Vec<String> = Vec::new();
    for helper in everywhere.split_terminator('\0') {
        match helper.trim() {
            "" => helpers.clear(),
            helper if helpers.iter().any(|known| known == helper) => {}
            helper => helpers.push(helper.to_owned()),
        }
    }
    let here = here.trim_end_matches('\0').trim();
    if !here.is_empty() && !helpers.iter().any(|known| known == here) {
        helpers.push(here.to_owned());
    }
    helpers
}

/// Gives the token to the helpers, as the password for the endpoint.
///
/// # Errors
/// [`GitError`].
pub fn approve(endpoint: &Endpoint, token: &Token) -> Result<(), GitError> {
    credential("credential approve", endpoint, Some(token))
}

/// Tells the helpers to forget the token for the endpoint.
///
/// # Errors
/// [`GitError`].
pub fn reject(endpoint: &Endpoint) -> Result<(), GitError> {
    credential("credential reject", endpoint, None)
}

fn git() -> Command {
    let mut command = Command::new("git");
    for name in TOKEN_VARIABLES {
        command.env_remove(name);
    }
    // Neither git nor a helper may start to ask questions here.
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn absent_or_io(error: io::Error) -> GitError {
    if error.kind() == io::ErrorKind::NotFound {
        GitError::Absent
    } else {
        GitError::Io(error)
    }
}

fn config(query: &[&str]) -> Result<String, GitError> {
    let output = git()
        .args(["config", "-z"])
        .args(query)
        .stdin(Stdio::null())
        .output()
        .map_err(absent_or_io)?;
    // 1 means "no such key".
    if output.status.success() || output.status.code() == Some(1) {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed("config", &output.stderr))
    }
}

fn credential(
    command: &'static str,
    endpoint: &Endpoint,
    token: Option<&Token>,
) -> Result<(), GitError> {
    let mut child = git()
        .args(command.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(absent_or_io)?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let written = write_description(&mut stdin, endpoint, token);
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(failed(command, &output.stderr));
    }
    Ok(written?)
}

fn write_description(
    out: &mut impl Write,
    endpoint: &Endpoint,
    token: Option<&Token>,
) -> io::Result<()> {
    writeln!(out, "url={}", endpoint.as_str())?;
    writeln!(out, "username={USERNAME}")?;
    if let Some(token) = token {
        writeln!(out, "password={}", token.expose())?;
    }
    writeln!(out)
}

fn failed(command: &'static str, stderr: &[u8]) -> GitError {
    let text = String::from_utf8_lossy(stderr);
    GitError::Failed {
        command,
        message: text.lines().next().unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_in_force() {
        for (everywhere, here, expected) in [
            ("", "", &[][..]),
            ("store\0", "store\0", &["store"]),
            ("cache\0store\0cache\0", "", &["cache", "store"]),
            ("cache\0\0store\0", "", &["store"]),
            ("cache\0\0", "", &[]),
            ("", "!f() { cat; }; f\0", &["!f() { cat; }; f"]),
            (
                "cache\0",
                "store --file /x y\0",
                &["cache", "store --file /x y"],
            ),
        ] {
            assert_eq!(
                effective(everywhere, here),
                expected,
                "{everywhere:?} {here:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_configuration_names_helpers_once(
            everywhere in "(\\PC|\0|\n|store){0,60}",
            here in "(\\PC|\0|store){0,20}",
        ) {
            let helpers = effective(&everywhere, &here);
            let once: std::collections::BTreeSet<&String> = helpers.iter().collect();
            proptest::prop_assert_eq!(once.len(), helpers.len());
            proptest::prop_assert!(helpers.iter().all(|helper| !helper.trim().is_empty()));
        }
    }

    #[test]
    fn the_description_that_git_reads() {
        let endpoint = Endpoint::parse("https://hub.test/").unwrap();
        let token = Token::clean("hf_a%b").unwrap().unwrap();
        let mut out = Vec::new();
        write_description(&mut out, &endpoint, Some(&token)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "url=https://hub.test\nusername=hf_user\npassword=hf_a%b\n\n"
        );
    }
}
