//! `hf auth logout`.

use clap::Args;
use serde_json::json;

use super::{environment_token, take_from_git, warn_of_link};
use crate::auth::saved;
use crate::auth::store::LoggedOut;
use crate::console::text::escape;
use crate::context::Context;
use crate::error::CliError;

/// Arguments of `hf auth logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Forget this token only; without it, all.
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
}

/// Forgets saved tokens. A token in the environment cannot be forgotten: it is named.
///
/// # Errors
/// The files cannot be changed, or `stored_tokens` cannot be understood.
pub fn run(args: LogoutArgs, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let done = saved::logout(&context.settings, args.token_name.as_deref())?;
    if done.found {
        take_from_git(context);
    }
    console.done(
        &sentence(args.token_name.as_deref(), &done),
        vec![
            ("removed", json!(done.found)),
            ("token_name", json!(args.token_name)),
            ("active_removed", json!(done.active_removed)),
        ],
    );
    warn_of_link(context, &done);
    if let Some(found) = environment_token(context) {
        console.warn(&format!(
            "{} still logs you in; unset it to be logged out.",
            crate::error::sentence(&found.source.to_string()).trim_end_matches('.')
        ));
    }
    Ok(())
}

fn sentence(name: Option<&str>, done: &LoggedOut) -> String {
    match (name.map(escape), done) {
        (None, LoggedOut { found: true, .. }) => "Logged out: all saved tokens are deleted.".into(),
        (None, _) => "You were not logged in: no token is saved.".into(),
        (Some(name), LoggedOut { found: false, .. }) => {
            format!("There is no saved token named {name}; nothing was changed.")
        }
        (
            Some(name),
            LoggedOut {
                active_removed: true,
                ..
            },
        ) => {
            format!("The token {name}, which was the active one, is deleted.")
        }
        (Some(name), _) => format!("The token {name} is deleted."),
    }
}
