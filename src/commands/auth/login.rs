//! `hf auth login`.

use clap::Args;
use serde_json::json;

use super::whoami::orgs;
use super::{GitArgs, environment_token, explain, give_to_git, unanswered};
use crate::auth::login::{self, Grant};
use crate::auth::resolve::ResolvedToken;
use crate::auth::store::TokenStore;
use crate::console::text::escape;
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::hub::api::Account;
use crate::token::Token;

/// Arguments of `hf auth login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// The access token. Others may see it in the process list: better be asked for it.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    #[command(flatten)]
    git: GitArgs,
    /// Log in again although there is a token already.
    #[arg(long, overrides_with = "no_force")]
    force: bool,
    #[arg(long, hide = true, overrides_with = "force")]
    no_force: bool,
}

/// Logs in: gets a token, asks the Hub whose it is, and saves it.
///
/// # Errors
/// No token to be had, the Hub does not accept it, or it cannot be saved.
pub fn run(args: LoginArgs, context: &Context) -> Result<(), CliError> {
    let store = TokenStore::new(&context.settings);
    // A file that cannot be extended is better found before anybody types a token.
    store.list()?;
    let mut git = args.git.choice();
    let grant = match &args.token {
        Some(text) => Grant::from(given(text)?),
        None => {
            if !args.force
                && let Some(resolved) = context.token(None)?
            {
                already_logged_in(context, &resolved);
                return Ok(());
            }
            if !context.console.may_ask() || !context.console.is_interactive() {
                return Err(nobody_to_ask());
            }
            let token = paste(context)?;
            if git.is_none() {
                git = Some(
                    context
                        .console
                        .ask_yes_no("Add token as git credential?", true)
                        .map_err(unanswered)?,
                );
            }
            Grant::from(token)
        }
    };
    finish(context, &store, grant, git == Some(true))
}

fn given(text: &str) -> Result<Token, CliError> {
    let token = Token::clean(text).map_err(|reason| {
        CliError::new(
            Kind::InvalidToken,
            format!("The value of --token cannot be a token: {reason}."),
        )
    })?;
    token.ok_or_else(|| CliError::usage("The value of --token is empty."))
}

fn nobody_to_ask() -> CliError {
    CliError::usage("There is no token to log in with, and nobody to ask for one.")
        .hint("pass --token, or run `hf auth login` on a terminal")
}

fn paste(context: &Context) -> Result<Token, CliError> {
    let console = &context.console;
    console.say(&format!(
        "Make a token at {} and paste it here.",
        context.settings.endpoint.tokens_page()
    ));
    loop {
        let text = console
            .ask_secret("Token (not shown while you type): ")
            .map_err(unanswered)?;
        match Token::clean(&text) {
            Ok(Some(token)) => return Ok(token),
            Ok(None) => console.say("Nothing was entered; Ctrl-C gives up."),
            Err(reason) => console.say(&format!(
                "This cannot be a token: {reason}. Try again, or give up with Ctrl-C."
            )),
        }
    }
}

fn already_logged_in(context: &Context, resolved: &ResolvedToken) {
    context.console.say(&format!(
        "You are already logged in, with the token from {}.",
        resolved.source
    ));
    context
        .console
        .hint("log in again with `hf auth login --force`");
}

fn finish(context: &Context, store: &TokenStore, grant: Grant, git: bool) -> Result<(), CliError> {
    let token = grant.token.clone();
    let hub = context.hub()?;
    let account = context
        .block_on(login::verify(hub, &token))
        .map_err(|error| explain(context, error, "this login"))?;
    let name = login::remember(store, &account, grant)?;
    if git {
        give_to_git(context, &token);
    }
    report(context, store, &account, &name);
    Ok(())
}

fn report(context: &Context, store: &TokenStore, account: &Account, name: &str) {
    let console = &context.console;
    console.say(&match &account.role {
        Some(role) => format!("The token is valid (permission: {}).", escape(role)),
        None => "The token is valid.".to_owned(),
    });
    console.say(&format!(
        "It is saved as {} in {}.",
        escape(name),
        escape(&store.stored_path().display().to_string())
    ));
    console.done(
        &format!("Logged in as {}.", escape(&account.name)),
        vec![
            ("user", json!(account.name)),
            ("orgs", orgs(account)),
            ("token_name", json!(name)),
            ("role", json!(account.role)),
        ],
    );
    if let Some(found) = environment_token(context) {
        console.warn(&format!(
            "The token from {} is used instead, as long as that is set.",
            found.source
        ));
    }
}
