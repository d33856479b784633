//! Completion in the shell.
//!
//! A shell that wants to know how a line could go on starts this program with `_HF_COMPLETE` set and
//! reads the answer from its output. Three generations of shell functions ask, each in its own form
//! (`request`): those that this program prints ([`crate::commands::completions`]), and those that Python clients have
//! left in people's files. What could follow is found in one way for all (`candidates`): commands
//! and flags in the grammar, names of repositories and tokens on the disk (`local_names`). Then it is
//! spelled in the form that the shell reads (`reply`).
//!
//! It runs while the user types, so it must not disturb: no network, no message on stderr, no waiting,
//! and no token in the answer.

mod candidates;
mod local_names;
mod reply;
mod request;
mod words;

use std::ffi::OsString;
use std::panic;

use crate::config::env::{self, Env};
use crate::config::program::Program;

/// What to print, and whether that is a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text, each line ended.
    pub text: String,
    /// Exit code 0 instead of 1.
    pub success: bool,
}

/// The answer when a shell asks for a completion, else `None`.
pub fn answer(env: &Env, args: &[OsString]) -> Option<Answer> {
    let asked = env.get(env::HF_COMPLETE)?;
    // A panic message would appear in the middle of the user's prompt.
    panic::set_hook(Box::new(|_| {}));
    let found = panic::catch_unwind(|| find(&asked, env, args))
        .ok()
        .flatten();
    Some(found.unwrap_or(Answer {
        text: String::new(),
        success: false,
    }))
}

fn find(asked: &str, env: &Env, args: &[OsString]) -> Option<Answer> {
    let request = request::parse(asked, env, args)?;
    match request {
        request::Request::Script(shell) => Some(Answer {
            text: shell.script(Program::of(args.first()).name()),
            success: true,
        }),
        request::Request::Complete { line, form } => {
            let found = candidates::find(&line.words, env);
            Some(reply::spell(&found, &line, &form))
        }
    }
}
