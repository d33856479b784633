//! `hf auth login`.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::whoami::orgs;
use super::{
    GitArgs, browser, environment_token, give_to_git, input, may_git_keep_it, unanswered,
    warn_of_link,
};
use crate::auth::AuthError;
use crate::auth::device::{self, Waiting};
use crate::auth::login;
use crate::auth::resolve::{ResolvedToken, TokenSource};
use crate::auth::saved;
use crate::auth::session::now;
use crate::auth::store::TokenStore;
use crate::auth::stored::{Grant, Storage};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, Kind};
use crate::commands::flags::SecretArg;
use crate::console::text::escape;
use crate::console::{Console, Mode};
use crate::hub::account::Account;
use crate::hub::oauth::DeviceCode;
use crate::types::token::Token;

/// Arguments of `hf auth login`.
#[derive(Debug, Default, Args)]
pub struct LoginArgs {
    /// The access token. Others may see it in the process list; --token-stdin hides it from them.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<SecretArg>,
    /// Read the access token from standard input.
    #[arg(long, conflicts_with = "token")]
    pub(crate) token_stdin: bool,
    #[command(flatten)]
    pub(crate) git: GitArgs,
    /// Log in again although there is a token already.
    #[arg(long, overrides_with = "no_force")]
    pub(crate) force: bool,
    #[arg(long, hide = true, overrides_with = "force")]
    pub(crate) no_force: bool,
    /// Where to keep the token: a file, which the Python clients share, or the system's keyring,
    /// which only this tool reads [default: HF_TOKEN_STORAGE, or file].
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) storage: Option<Storage>,
}

/// Logs in: gets a token, asks the Hub which account it belongs to, and saves it.
///
/// # Errors
/// No token was given, the Hub does not accept it, or it cannot be saved.
pub fn run(args: LoginArgs, context: &Context) -> Result<(), CliError> {
    let storage = storage(args.storage, context.settings.token_storage.as_deref())?;
    // An unreadable file should be reported before the user types a token.
    TokenStore::new(&context.settings).list()?;
    if let Some(warning) = context.settings.endpoint.eavesdropping() {
        context.console.warn(&warning);
    }
    if let Some(warning) = context.settings.endpoint.replaces_token() {
        context.console.warn(warning);
    }
    let git = args.git.choice();
    if let Some(secret) = &args.token {
        let grant = Grant::from(input::cleaned(
            &context.console,
            secret.expose(),
            "--token",
        )?);
        return finish(context, grant, Git::told(git), storage);
    }
    if args.token_stdin {
        let grant = Grant::from(input::from_stdin(context)?);
        return finish(context, grant, Git::told(git), storage);
    }
    if matches!(context.console.mode(), Mode::Json | Mode::Quiet) {
        return Err(no_token_given());
    }
    let legacy = context.console.is_legacy();
    if !args.force && !legacy && already_logged_in(context)? {
        return Ok(());
    }
    let method = if legacy {
        Method::Paste
    } else {
        ask_method(context)?
    };
    let (grant, git) = match method {
        Method::Browser => {
            if git == Some(true) {
                context.console.warn("--add-to-git-credential is ignored: a browser login is renewed from time to time, and git would keep the old token.");
            }
            (in_browser(context)?, Git::No)
        }
        Method::Paste => {
            let token = if context.console.is_interactive() {
                input::paste(context)?
            } else {
                input::first_line(context)?
            };
            let git = match git {
                // Scripts that drive 0.36.2 answer before the token is checked.
                None if legacy => Git::told(Some(ask_about_git(context, storage)?)),
                None => Git::Ask,
                told => Git::told(told),
            };
            (Grant::from(token), git)
        }
    };
    finish(context, grant, git, storage)
}

/// Whether git gets the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Git {
    Yes,
    No,
    /// Ask once the token was accepted.
    Ask,
}

impl Git {
    fn told(choice: Option<bool>) -> Git {
        match choice {
            Some(true) => Git::Yes,
            _ => Git::No,
        }
    }
}

fn ask_about_git(context: &Context, storage: Storage) -> Result<bool, CliError> {
    context
        .console
        // Helpers often keep it in a plain file, which users of the keyring want to avoid.
        .ask_yes_no("Add token as git credential?", storage == Storage::File)
        .map_err(unanswered)
}

fn storage(option: Option<Storage>, default: Option<&str>) -> Result<Storage, CliError> {
    let read = |text| Storage::from_str(text, true).map_err(|_| text);
    match option.map_or_else(|| default.map_or(Ok(Storage::File), read), Ok) {
        Ok(storage) => Ok(storage),
        Err(other) => Err(CliError::new(
            ErrorKind::Other,
            format!(
                "HF_TOKEN_STORAGE is neither file nor keyring but {}.",
                escape(other)
            ),
        )
        .hint("correct it, unset it, or pass --storage")),
    }
}

enum Method {
    Browser,
    Paste,
}

fn ask_method(context: &Context) -> Result<Method, CliError> {
    let console = &context.console;
    if !console.may_ask() || !console.is_interactive() {
        return Ok(Method::Browser);
    }
    let choices = ["In the browser", "With an access token that I paste here"];
    match console.ask_choice("How do you want to log in?", &choices, 0) {
        Ok(0) => Ok(Method::Browser),
        Ok(_) => Ok(Method::Paste),
        Err(error) => Err(unanswered(error)),
    }
}

fn no_token_given() -> CliError {
    CliError::usage("The formats json and quiet do not prompt for a token.")
        .hint("pass it with --token-stdin or --token")
}

/// Says so when there is a valid token already. One that the Hub refuses does not count; if a login
/// cannot replace its source, a warning says so.
fn already_logged_in(context: &Context) -> Result<bool, CliError> {
    let Some(resolved) = context.token()? else {
        return Ok(false);
    };
    let console = &context.console;
    let who = match whose(context, &resolved) {
        Whose::Account(name) => format!(" as {}", escape(&name)),
        Whose::Unaccepted => {
            let source = &resolved.source;
            console.warn(&format!("The Hub does not accept the token from {source}."));
            if matches!(source, TokenSource::File(_) | TokenSource::Keyring(_)) {
                return Ok(false);
            }
            console.hint("correct or unset it: it wins over the saved token of this login");
            return Ok(false);
        }
        Whose::Unknown => String::new(),
    };
    console.say(&format!(
        "You are already logged in{who}, with the token from {}.",
        resolved.source
    ));
    console.hint("`hf auth login --force` logs in again, as another user or with another token");
    Ok(true)
}

enum Whose {
    Account(String),
    /// The Hub does not accept the token.
    Unaccepted,
    /// The Hub cannot be reached.
    Unknown,
}

fn whose(context: &Context, resolved: &ResolvedToken) -> Whose {
    let Ok(hub) = context.hub() else {
        return Whose::Unknown;
    };
    match context.block_on(async {
        hub.with_token(Some(resolved.token.clone()))
            .whoami_once()
            .await
    }) {
        Ok(seen) => Whose::Account(seen.account.name),
        Err(error) if error.kind == ErrorKind::Unauthorized => Whose::Unaccepted,
        Err(_) => Whose::Unknown,
    }
}

fn in_browser(context: &Context) -> Result<Grant, CliError> {
    let hub = context.hub()?;
    let client_id = &context.settings.oauth_client_id;
    let code = context.block_on_then(hub.device_code(client_id), |error| {
        AuthError::from(device::DeviceError::OAuth(error)).into()
    })?;
    show_code(context, &code);
    let console = &context.console;
    let waiting = console.waiting(&format!(
        "Waiting for your confirmation in the browser (the code is valid for {}, Ctrl-C cancels)",
        crate::console::text::count(code.lifetime.as_secs().div_ceil(60), "minute")
    ));
    let granted = context.block_on_then(
        device::wait(hub, client_id, &code, |event| match event {
            Waiting::Trouble(reason) => console.say(&format!(
                "No answer from the Hub just now ({}); still waiting.",
                escape(&reason)
            )),
            Waiting::Recovered => console.say("The Hub answers again."),
        }),
        |error| AuthError::from(error).into(),
    )?;
    drop(waiting);
    Ok(device::grant(granted, now()))
}

fn show_code(context: &Context, code: &DeviceCode) {
    let console = &context.console;
    let page = escape(code.complete_uri.as_str());
    let user_code = escape(&code.user_code);
    if !console.may_ask() || !console.is_interactive() {
        console.say(&format!(
            "Open {page} in a browser and enter the code {user_code}."
        ));
        console.hint(
            "to log in with an access token instead, pipe it into `hf auth login --token-stdin`",
        );
        return;
    }
    console.say(&format!(
        "Open this page in a browser, on this or any other machine:\n\n    {page}\n\nand check or enter the code:\n\n    {user_code}\n"
    ));
    if browser::open(&context.env, &code.complete_uri) {
        console.say("Your browser should open it now.");
    }
}

fn finish(context: &Context, grant: Grant, git: Git, storage: Storage) -> Result<(), CliError> {
    let hub = context.hub()?;
    let account = context.block_on_then(login::verify(hub, &grant.token), |error| {
        refused(context, error.into(), &grant.token)
    })?;
    let console = &context.console;
    console.say(
        &match (context.settings.endpoint.replaces_token(), &account.role) {
            (Some(_), _) => "The token could not be checked.".to_owned(),
            (None, Some(role)) => format!("The token is valid (permission: {}).", escape(role)),
            (None, None) => "The token is valid.".to_owned(),
        },
    );
    let for_git = match git {
        Git::Ask => may_git_keep_it(context) && ask_about_git(context, storage)?,
        told => told == Git::Yes,
    };
    let name = login::name_for(&account);
    let done = saved::save(&context.settings, &name, &grant, storage)?;
    warn_of_link(context, &done);
    if for_git {
        give_to_git(context, &grant.token);
    }
    report(context, &account, &name, storage);
    note_expiry(&context.console, &grant);
    Ok(())
}

/// Why a new token was refused, with what looks wrong about its characters.
fn refused(context: &Context, error: CliError, token: &Token) -> CliError {
    let page = context.settings.endpoint.tokens_page();
    match error.kind {
        Kind::Engine(ErrorKind::Unauthorized) => {
            let hint = match token.oddity() {
                Some(oddity) => {
                    format!("{oddity}; copy it again from {page}, or make a new one there")
                }
                None => format!("it may be revoked or expired; make a new one at {page}"),
            };
            CliError {
                message: format!(
                    "{} does not accept this token.",
                    context.settings.endpoint.shown()
                ),
                hint: Some(hint),
                ..error
            }
        }
        _ if token.is_organization() => error.hint(format!("make a token of your own at {page}")),
        _ => error,
    }
}

fn report(context: &Context, account: &Account, name: &str, storage: Storage) {
    let console = &context.console;
    let place = match storage {
        Storage::File => escape(&context.settings.stored_tokens_path.display().to_string()),
        Storage::Keyring => "the system's keyring".to_owned(),
    };
    console.say(&format!("It is saved as {} in {place}.", escape(name)));
    console.done(
        &format!("Login successful. Logged in as {}.", escape(&account.name)),
        vec![
            ("user", json!(account.name)),
            ("orgs", orgs(account)),
            ("token_name", json!(name)),
            ("role", json!(account.role)),
            ("storage", json!(storage.as_str())),
        ],
    );
    if let Some(found) = environment_token(context) {
        console.warn(&format!(
            "The token from {} is used instead, as long as that is set.",
            found.source
        ));
    }
}

fn note_expiry(console: &Console, grant: &Grant) {
    let Some(at) = grant.expires_at else { return };
    if grant.refresh_token.is_some() {
        console.say("It is renewed automatically before it expires.");
    } else {
        let days = at.saturating_sub(now()).max(0) / 86_400;
        console.say(&format!(
            "It expires in {}; log in again then.",
            crate::console::text::count(days.max(1).unsigned_abs(), "day")
        ));
    }
}
