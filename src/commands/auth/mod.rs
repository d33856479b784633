//! `hf auth`: log in and out, see which account is logged in, keep several tokens.

mod browser;
mod input;
pub mod list;
pub mod login;
pub mod logout;
pub mod status;
pub mod switch;
pub mod token;
pub mod whoami;

use clap::{Args, Subcommand};

use super::error::repo::new_token_hint;
use crate::auth::git::{self, GitError};
use crate::auth::resolve::{self, ResolvedToken, TokenSource};
use crate::auth::store::LoggedOut;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, Kind};
use crate::types::token::Token;

/// Log in and out, and manage access tokens.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct AuthArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: AuthCommand,
}

/// The commands of `hf auth`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Log in with an access token or in the browser.
    Login(login::LoginArgs),
    /// Forget all saved tokens, or one of them.
    Logout(logout::LogoutArgs),
    /// Show which account the token belongs to.
    Whoami,
    /// List the saved tokens.
    #[command(visible_alias = "ls")]
    List,
    /// Make another saved token the active one.
    Switch(switch::SwitchArgs),
    /// Print the active token.
    Token,
    /// Show all sources of a token, which one is used, and whether the Hub accepts it.
    Status,
}

/// Runs a command of `hf auth`.
///
/// # Errors
/// Whatever made it fail.
pub fn run(args: AuthArgs, context: &Context) -> Result<(), CliError> {
    match args.command {
        AuthCommand::Login(args) => login::run(args, context),
        AuthCommand::Logout(args) => logout::run(args, context),
        AuthCommand::Whoami => whoami::run(context),
        AuthCommand::List => list::run(context),
        AuthCommand::Switch(args) => switch::run(args, context),
        AuthCommand::Token => token::run(context),
        AuthCommand::Status => status::run(context),
    }
}

/// A git flag shared by login and switch.
#[derive(Debug, Default, Args)]
pub struct GitArgs {
    /// Also give the token to git's credential helper, for `git push` to the Hub.
    #[arg(long, overrides_with = "no_add_to_git_credential")]
    add_to_git_credential: bool,
    #[arg(long, hide = true, overrides_with = "add_to_git_credential")]
    no_add_to_git_credential: bool,
}

impl GitArgs {
    /// The flag given, or not.
    pub(crate) fn new(add_to_git_credential: bool) -> Self {
        GitArgs {
            add_to_git_credential,
            no_add_to_git_credential: false,
        }
    }

    /// `None` when neither form of the flag was given.
    fn choice(&self) -> Option<bool> {
        (self.add_to_git_credential || self.no_add_to_git_credential)
            .then_some(self.add_to_git_credential)
    }
}

/// The environment's token, which wins over any saved one.
fn environment_token(context: &Context) -> Option<ResolvedToken> {
    // An invalid one is reported where it is used.
    resolve::from_environment(&context.env).ok().flatten()
}

/// Gives the token to git's helpers. A failure is a warning: the login itself is valid.
fn give_to_git(context: &Context, token: &Token) {
    let endpoint = &context.settings.endpoint;
    let console = &context.console;
    let given = git::helpers(endpoint).and_then(|helpers| {
        if !helpers.is_empty() {
            git::approve(endpoint, token)?;
        }
        Ok(helpers)
    });
    match given {
        Ok(helpers) if helpers.is_empty() => {
            console
                .warn("The token was not given to git, since no credential helper is configured.");
            console.hint("set one with `git config --global credential.helper store` and log in again with --add-to-git-credential");
        }
        Ok(helpers) => {
            let names = crate::console::text::single_line(&helpers.join(", "));
            console.say(&format!(
                "The token was given to git's credential helper ({names})."
            ));
        }
        Err(error) => console.warn(&format!("The token was not given to git: {error}.")),
    }
}

/// Whether git may keep a token: where it cannot, this says so, and there is nothing to ask.
fn may_git_keep_it(context: &Context) -> bool {
    let text = match git::helpers(&context.settings.endpoint) {
        Ok(helpers) if helpers.is_empty() => {
            "No git credential helper is set up, so git does not get the token (`git config --global credential.helper store` sets one up)."
        }
        Err(GitError::Absent) => "git is not installed here and does not get the token.",
        _ => return true,
    };
    context.console.say(text);
    false
}

/// Tells git's helpers to forget the token.
fn take_from_git(context: &Context) {
    let endpoint = &context.settings.endpoint;
    let taken = git::helpers(endpoint).and_then(|helpers| {
        if helpers.is_empty() {
            Ok(())
        } else {
            git::reject(endpoint)
        }
    });
    match taken {
        // Without git there is nothing that git could remember.
        Ok(()) | Err(GitError::Absent) => {}
        Err(error) => context
            .console
            .warn(&format!("git may still remember the token: {error}.")),
    }
}

/// Says where the token still is when the token file was a link.
fn warn_of_link(context: &Context, done: &LoggedOut) {
    if let Some(path) = &done.left_behind {
        context.console.warn(&format!(
            "The token file was a link; the token itself is still in {}.",
            crate::console::text::escape(&path.display().to_string())
        ));
    }
}

/// A better message for a refused token, where its source and the settings page are known.
fn explain(context: &Context, error: CliError, source: &TokenSource) -> CliError {
    if error.kind == ErrorKind::Forbidden {
        let page = context.settings.endpoint.tokens_page();
        return CliError {
            message: format!("The token from {source} may not do this."),
            hint: Some(format!("see and change what it may do at {page}")),
            ..error
        };
    }
    if error.kind != ErrorKind::Unauthorized {
        return error;
    }
    CliError {
        message: format!(
            "{} does not accept the token from {source}.",
            context.settings.endpoint.shown()
        ),
        hint: Some(new_token_hint(context, Some(source))),
        ..error
    }
}

/// Reading an answer failed. Ctrl-C and the end of input count as a refusal.
fn unanswered(error: std::io::Error) -> CliError {
    match error.kind() {
        std::io::ErrorKind::Interrupted => CliError::new(Kind::Interrupted, "Interrupted."),
        std::io::ErrorKind::UnexpectedEof => CliError::new(Kind::Aborted, "Aborted."),
        _ => CliError::new(
            ErrorKind::Other,
            "Cannot read the answer from the terminal.",
        )
        .caused_by(error),
    }
}
