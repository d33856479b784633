//! `hf auth logout`.

use clap::Args;
use serde_json::json;

use super::{environment_token, take_from_git, warn_of_link};
use crate::auth::saved;
use crate::auth::store::LoggedOut;
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::text::escape;
use crate::console::{Fields, Mode};

/// Arguments of `hf auth logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Forget this token only; without it, all.
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
}

/// Forgets saved tokens. A token in the environment stays in effect: a warning names it.
///
/// # Errors
/// The files cannot be changed, or `stored_tokens` cannot be understood.
pub fn run(args: LogoutArgs, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let done = saved::logout(&context.settings, args.token_name.as_deref())?;
    if done.found {
        take_from_git(context);
    }
    let fields = vec![
        ("removed", json!(done.found)),
        ("token_name", json!(args.token_name)),
        ("active_removed", json!(done.active_removed)),
    ];
    match &args.token_name {
        Some(name) if !done.found => tell_unknown(context, name, fields)?,
        name => console.done(&sentence(name.as_deref(), &done), fields),
    }
    warn_of_link(context, &done);
    if let Some(found) = environment_token(context) {
        console.warn(&format!(
            "{} still logs you in; unset it to be logged out.",
            crate::commands::error::sentence(&found.source.to_string()).trim_end_matches('.')
        ));
    }
    if args.token_name.is_some()
        && done.active_removed
        && !saved::list(&context.settings)?.is_empty()
    {
        console.hint("`hf auth switch` makes another saved token the active one");
    }
    Ok(())
}

/// Nothing was done: no tick, and a suggestion when a name is similar. Exit code 0 as the Python client.
fn tell_unknown(context: &Context, name: &str, fields: Fields) -> Result<(), CliError> {
    let console = &context.console;
    if matches!(console.mode(), Mode::Agent | Mode::Json) {
        console.result("", fields);
    }
    console.warn(&format!(
        "There is no saved token named {}; nothing was changed.",
        escape(name)
    ));
    let saved = saved::list(&context.settings)?;
    let names: Vec<&str> = saved
        .iter()
        .map(|saved| saved.entry.name.as_str())
        .collect();
    if let Some(nearest) = nearest(name, &names) {
        console.say(&format!("Did you mean {}?", escape(nearest)));
    } else if !names.is_empty() {
        console.hint(&format!("the names are: {}", escape(&names.join(", "))));
    }
    Ok(())
}

/// How alike two names have to be, from 0 to 1, to take one for the other.
const ALIKE: f64 = 0.75;

/// The name that a wrong one most likely means. Pure.
fn nearest<'a>(wrong: &str, names: &[&'a str]) -> Option<&'a str> {
    let alike = |name: &str| strsim::jaro(&wrong.to_lowercase(), &name.to_lowercase());
    let best = names.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    best.copied().filter(|name| alike(name) > ALIKE)
}

fn sentence(name: Option<&str>, done: &LoggedOut) -> String {
    match (name.map(escape), done) {
        (None, LoggedOut { found: true, .. }) => "Logged out: all saved tokens are deleted.".into(),
        (None, _) => "Not logged in: no token is saved.".into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant() {
        let names = ["my laptop", "server", "oauth-alice"];
        for (wrong, expected) in [
            ("my-laptop", Some("my laptop")),
            ("My Laptop", Some("my laptop")),
            ("laptop", Some("my laptop")),
            ("sever", Some("server")),
            ("alice", None),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, &names), expected, "{wrong}");
        }
        assert_eq!(nearest("x", &[]), None);
    }
}
