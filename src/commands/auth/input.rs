//! Reading a token from a person or a pipe, and cleaning it.

use std::io::Read;

use zeroize::Zeroizing;

use super::unanswered;
use crate::auth::AuthError;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::Console;
use crate::types::token::Token;

/// The question for a token. Scripts that drive `huggingface-cli login` wait for the text of 0.36.2.
fn token_question(console: &Console) -> &'static str {
    match (console.is_legacy(), console.is_interactive()) {
        (true, _) => "Enter your token (input will not be visible): ",
        (false, true) => "Token (not shown while you type): ",
        (false, false) => "Token: ",
    }
}

/// Cleans a token that was typed or pasted, and tells what had to be removed.
pub(super) fn cleaned(console: &Console, text: &str, source: &str) -> Result<Token, CliError> {
    match Token::from_paste(text) {
        Ok(Some((token, removed))) => {
            if !removed.is_empty() {
                console.say(&format!("Removed from the token: {}.", removed.join(", ")));
            }
            Ok(token)
        }
        Ok(None) => Err(CliError::usage(format!("There is no token in {source}."))),
        Err(reason) => Err(CliError::new(
            ErrorKind::Unauthorized,
            format!("The value from {source} cannot be a token: {reason}."),
        )
        .hint("copy it again, from hf_ to its last character")),
    }
}

pub(super) fn from_stdin(context: &Context) -> Result<Token, CliError> {
    let console = &context.console;
    if console.is_interactive() {
        return paste(context);
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .take(64 * 1024)
        .read_to_string(&mut text)
        .map_err(|error| {
            CliError::new(ErrorKind::Other, "Cannot read a token from standard input.")
                .caused_by(error)
        })?;
    cleaned(console, &text, "standard input")
}

/// The token as the first line of what is piped in; what follows may answer further questions.
pub(super) fn first_line(context: &Context) -> Result<Token, CliError> {
    let line = context
        .console
        .ask_line(token_question(&context.console))
        .map_err(unanswered)?
        .map(Zeroizing::new);
    match line {
        Some(line) => cleaned(&context.console, &line, "standard input"),
        None => Err(CliError::new(
            ErrorKind::Other,
            "There is no terminal to ask for a token on, and standard input is empty.",
        )
        .hint("pass the token with --token, or pipe it into this command")),
    }
}

pub(super) fn paste(context: &Context) -> Result<Token, CliError> {
    let console = &context.console;
    console.say(&format!(
        "Make a token at {} and paste it here.",
        context.settings.endpoint.tokens_page()
    ));
    loop {
        let text = console
            .ask_secret(token_question(console))
            .map_err(unanswered)?;
        match cleaned(console, &text, "this input") {
            Ok(token) if token.is_organization() => return Err(AuthError::OrganizationToken.into()),
            Ok(token) => return Ok(token),
            Err(error) => console.say(&format!("{} Try again, or press Ctrl-C.", error.message)),
        }
    }
}
