//! Why a command failed: the one place where errors become messages and exit codes.
//!
//! Lower modules have typed errors of their own; here they are given a kind that scripts can match,
//! a sentence and a hint (docs/reference.md#exit-codes-and-errors: `Error: …` then `Hint: …`, exit
//! 1 failed, 2 usage, 130 interrupted).

mod convert;
mod look;
mod near;
pub mod repo;

use std::fmt;
use std::process::ExitCode;

use serde_json::json;

use crate::console::{Console, Mode, json as python_json};
pub use crate::types::ErrorKind;

/// What to do when no more files and connections may be open.
pub const RAISE_LIMIT: &str =
    "raise the limit with `ulimit -n`, close other programs, or use fewer --max-workers";

/// What kind of failure it is. The names are part of the JSON output and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line is invalid.
    Usage,
    /// There is no token, and one is needed.
    NotLoggedIn,
    /// The user said no.
    Aborted,
    /// Ctrl-C.
    Interrupted,
    /// The engine failed.
    Engine(ErrorKind),
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        Kind::Engine(kind)
    }
}

impl PartialEq<ErrorKind> for Kind {
    fn eq(&self, other: &ErrorKind) -> bool {
        *self == Kind::Engine(*other)
    }
}

impl Kind {
    /// The name in JSON output.
    pub fn as_str(self) -> &'static str {
        let kind = match self {
            Kind::Usage => return "usage",
            Kind::NotLoggedIn => return "not_logged_in",
            Kind::Aborted => return "aborted",
            Kind::Interrupted => return "interrupted",
            Kind::Engine(kind) => kind,
        };
        match kind {
            ErrorKind::Unauthorized => "invalid_token",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::Gated => "gated",
            ErrorKind::RepoNotFound => "repo_not_found",
            ErrorKind::RevisionNotFound => "revision_not_found",
            ErrorKind::FileNotFound => "file_not_found",
            ErrorKind::Offline => "offline",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Server => "server",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::DiskFull => "disk_full",
            ErrorKind::Disk => "disk",
            ErrorKind::Config | ErrorKind::Name | ErrorKind::Other => "other",
        }
    }

    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::Interrupted => crate::console::interrupt::exit_code(),
            _ => 1,
        }
    }
}

/// A failed command: one sentence, a hint, and a kind.
#[derive(Debug)]
pub struct CliError {
    /// What kind of failure.
    pub kind: Kind,
    /// One sentence: what happened, and to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The cause in detail, shown with `HF_DEBUG`.
    pub source: Option<anyhow::Error>,
}

impl CliError {
    /// An error without a hint.
    pub fn new(kind: impl Into<Kind>, message: impl Into<String>) -> Self {
        CliError {
            kind: kind.into(),
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// A usage error: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        CliError::new(Kind::Usage, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// There is no token, and the command needs one.
    pub fn not_logged_in() -> Self {
        CliError::new(Kind::NotLoggedIn, "Not logged in.")
            .hint("run `hf auth login`, or set HF_TOKEN")
    }

    /// Says the error on stderr: as JSON in that format, in words else.
    pub fn report(&self, console: &Console, debug: bool) {
        if self.kind == Kind::Interrupted {
            // The user pressed Ctrl-C and knows; only the consequence is worth a line.
            if let (Some(hint), Mode::Human) = (&self.hint, console.mode()) {
                console.say(hint);
            }
            return;
        }
        if console.mode() == Mode::Json {
            let value = json!({
                "error": self.message,
                "kind": self.kind.as_str(),
                "hint": self.hint,
            });
            console.say(&python_json::to_python_json(&value));
            self.report_cause(console, debug);
            return;
        }
        console.error(&self.message);
        if let Some(hint) = &self.hint {
            console.hint(hint);
        }
        self.report_cause(console, debug);
    }

    fn report_cause(&self, console: &Console, debug: bool) {
        if let (true, Some(source)) = (debug, &self.source) {
            let cause = crate::console::text::escape(&format!("{source:#}"));
            console.debug(&format!("Cause: {cause}"));
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Upper case at the start, full stop at the end.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => return String::new(),
    };
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_errors_go_to_stderr() {
        let (mut console, capture) = Console::captured();
        console.configure(Some(crate::console::OutputFormat::Json), false, None);
        CliError::not_logged_in().report(&console, false);
        assert_eq!(capture.stdout(), "");
        let value: serde_json::Value = serde_json::from_str(&capture.stderr()).unwrap();
        assert_eq!(value["kind"], "not_logged_in");
    }
}
