//! `hf auth switch`.

use clap::Args;
use serde_json::json;

use super::{GitArgs, environment_token, give_to_git, unanswered, warn_of_link};
use crate::auth::saved::{self, Saved};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::text::escape;

/// Arguments of `hf auth switch`.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// Name of the token to make active; without it you choose from a list.
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
    #[command(flatten)]
    git: GitArgs,
}

/// Makes another saved token the active one.
///
/// # Errors
/// There is no such token, no terminal to choose on, or the files cannot be read or written.
pub fn run(args: SwitchArgs, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let mut stored = saved::list(&context.settings)?;
    if stored.is_empty() && console.is_legacy() && args.token_name.is_some() {
        return Err(CliError::new(ErrorKind::Other, "No token is saved.")
            .hint("`huggingface-cli login` saves one"));
    }
    if stored.is_empty() {
        let nothing = "No token is saved, so there is none to switch to.";
        let hint = "`hf auth login` saves one";
        // As the Python client: an error only when a name was given.
        if args.token_name.is_some() {
            return Err(CliError::new(ErrorKind::Other, nothing).hint(hint));
        }
        console.say(nothing);
        console.hint(hint);
        return Ok(());
    }
    let name = match args.token_name {
        Some(name) => name,
        None => choose(context, &stored)?,
    };
    let Some(position) = stored.iter().position(|saved| saved.entry.name == name) else {
        return Err(unknown(&name, &stored));
    };
    let Saved {
        entry,
        storage,
        trouble,
    } = stored.swap_remove(position);
    if let Some(error) = trouble {
        return Err(error.into());
    }
    let Some(token) = &entry.token else {
        return Err(CliError::new(
            ErrorKind::Unauthorized,
            format!("The entry {} holds no usable token.", escape(&name)),
        )
        .hint("log in again with `hf auth login --force`"));
    };
    let done = saved::switch(&context.settings, &name, token, storage)?;
    warn_of_link(context, &done);
    if args.git.choice() == Some(true) {
        give_to_git(context, token);
    }
    console.done(
        &format!("The active token is now {}.", escape(&name)),
        vec![
            ("token_name", json!(name)),
            ("storage", json!(storage.as_str())),
        ],
    );
    if let Some(found) = environment_token(context)
        && found.token != *token
    {
        console.warn(&format!(
            "The token from {} is used instead, as long as that is set.",
            found.source
        ));
    }
    Ok(())
}

fn choose(context: &Context, stored: &[Saved]) -> Result<String, CliError> {
    let console = &context.console;
    let can_answer = console.is_interactive() || console.is_legacy();
    if !console.may_ask() || !can_answer {
        return Err(
            CliError::usage("There is no terminal to choose a token on.")
                .hint("name it with --token-name; `hf auth list` shows the names"),
        );
    }
    // Without it nothing is marked, and the first is offered.
    let active = saved::active(&context.settings, stored).unwrap_or_default();
    let shown = stored.iter().enumerate().map(|(index, saved)| {
        let name = &saved.entry.name;
        match active == Some(index) {
            true => format!("{name} (active)"),
            false => name.clone(),
        }
    });
    let shown: Vec<String> = shown.collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let question = "Which token should be active?";
    let index = console
        .ask_choice(question, &shown, active.unwrap_or_default())
        .map_err(unanswered)?;
    Ok(stored[index].entry.name.clone())
}

fn unknown(name: &str, stored: &[Saved]) -> CliError {
    let names: Vec<String> = stored
        .iter()
        .map(|saved| escape(&saved.entry.name))
        .collect();
    CliError::new(
        ErrorKind::Other,
        format!("There is no saved token named {}.", escape(name)),
    )
    .hint(format!("the names are: {}", names.join(", ")))
}
