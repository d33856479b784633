//! The precedence chain: which token is used, and where it came from. The only implementation.
//!
//! `--token` > a CI job's exchanged identity > `HF_TOKEN` > `HUGGING_FACE_HUB_TOKEN` >
//! `HUGGINGFACE_TOKEN` > the token file > the keyring (docs/reference.md#token-order). A blank
//! value counts as unset and the next source is used.
//!
//! [`plan`] decides, by the environment and the files; what it decides may need the Hub or
//! the keyring, and is then done by [`super::session`]. So a command whose token lies in a file or a
//! variable starts without network or threads.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::AuthError;
use super::issuer::Issuer;
use super::keyring::Keyring;
use super::oidc::Exchange;
use super::store::{TokenStore, token_in};
use super::stored::{StoredToken, is_due};
use crate::config::env::{self, Env};
use crate::config::settings::Settings;
use crate::types::token::Token;

/// The environment variables that may hold a token, in order.
pub const TOKEN_VARIABLES: [&str; 3] = [
    env::HF_TOKEN,
    env::HUGGING_FACE_HUB_TOKEN,
    env::HUGGINGFACE_TOKEN,
];

/// Where a token came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The `--token` option.
    Option,
    /// The identity of a CI job was exchanged for a token to this resource.
    Oidc(String),
    /// An environment variable.
    Variable {
        /// Its name.
        name: &'static str,
        /// The file given with `--env-file`, when the value is from there.
        file: Option<PathBuf>,
    },
    /// The token file.
    File(PathBuf),
    /// The system's keyring, under this name.
    Keyring(String),
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenSource::Option => f.write_str("the --token option"),
            TokenSource::Oidc(resource) => {
                write!(f, "the exchanged identity of this CI job for {resource}")
            }
            TokenSource::Variable { name, file: None } => {
                write!(f, "the environment variable {name}")
            }
            TokenSource::Variable {
                name,
                file: Some(path),
            } => write!(f, "the variable {name} in the file {}", path.display()),
            TokenSource::File(path) => write!(f, "the file {}", path.display()),
            TokenSource::Keyring(name) => write!(f, "the keyring (named {name})"),
        }
    }
}

/// A token with its origin.
#[derive(Debug, Clone)]
pub struct ResolvedToken {
    /// The token.
    pub token: Token,
    /// Where it came from.
    pub source: TokenSource,
    /// The Hub that gave it, when it is one of the saved logins.
    pub issuer: Option<Issuer>,
    /// Whether its renewal is due and left undone, since only the Hub that gave it can renew it.
    pub waits_for_issuer: bool,
}

impl ResolvedToken {
    /// A token whose Hub is unknown.
    pub fn new(token: Token, source: TokenSource) -> Self {
        ResolvedToken {
            token,
            source,
            issuer: None,
            waits_for_issuer: false,
        }
    }
}

/// What has to be done to have the token.
#[derive(Debug)]
pub enum Step {
    /// No source has one.
    Nothing,
    /// Here it is.
    Use(ResolvedToken),
    /// Here it is, but it expires soon and can be renewed under this name.
    Renew(ResolvedToken, String),
    /// Here it is, under this name, and the token file still holds the one that it replaced: another
    /// process is between the two writes of a renewal, or was killed there.
    Finish(ResolvedToken, String),
    /// A CI job's identity is to be exchanged.
    Exchange(Exchange),
    /// The keyring has it under this name.
    AskKeyring(String),
}

/// Decides where the token comes from. `now` is in seconds since 1970.
///
/// # Errors
/// [`AuthError::Unusable`] when the first source that is set holds an invalid token: the next one
/// is not used, since the user meant this one. [`AuthError::Oidc`] when an exchange is requested and
/// cannot be made. [`AuthError::Fs`] when the token file is there but cannot be read.
pub fn plan(
    option: Option<&str>,
    env: &Env,
    settings: &Settings,
    now: i64,
) -> Result<Step, AuthError> {
    if let Some(resolved) = from_option(option)? {
        return Ok(Step::Use(resolved));
    }
    if let Some(exchange) = Exchange::from_env(env)? {
        return Ok(Step::Exchange(exchange));
    }
    if let Some(resolved) = from_environment(env)? {
        return Ok(Step::Use(resolved));
    }
    if let Some(step) = from_files(settings, now)? {
        return Ok(step);
    }
    let index = Keyring::new(settings).index()?;
    Ok(index.active.map_or(Step::Nothing, Step::AskKeyring))
}

/// As [`plan`], for download and verify requests: `HF_HUB_DISABLE_IMPLICIT_TOKEN` leaves only the
/// option.
///
/// # Errors
/// As [`plan`].
pub fn plan_for_download(
    option: Option<&str>,
    env: &Env,
    settings: &Settings,
    now: i64,
) -> Result<Step, AuthError> {
    if settings.disable_implicit_token {
        return Ok(from_option(option)?.map_or(Step::Nothing, Step::Use));
    }
    plan(option, env, settings, now)
}

fn from_option(option: Option<&str>) -> Result<Option<ResolvedToken>, AuthError> {
    match option {
        Some(value) => checked(value, TokenSource::Option),
        None => Ok(None),
    }
}

/// The token file's token, to be renewed when it is among the stored ones and it is time. A damaged
/// list of stored tokens does not prevent the use of the active one.
fn from_files(settings: &Settings, now: i64) -> Result<Option<Step>, AuthError> {
    let Some(resolved) = from_file(&settings.token_path)? else {
        return Ok(None);
    };
    let store = TokenStore::new(settings);
    let stored = store.list().unwrap_or_default();
    if stored.is_empty() {
        return Ok(Some(Step::Use(resolved)));
    }
    if let Some(step) = step_for(&resolved, &stored, settings, now) {
        return Ok(Some(step));
    }
    // Another process, of another program perhaps, may just have renewed it, and written one file of
    // the two.
    store.wait_for_writer();
    let Some(resolved) = from_file(&settings.token_path)? else {
        return Ok(None);
    };
    let stored = store.list().unwrap_or_default();
    let step = step_for(&resolved, &stored, settings, now);
    Ok(Some(step.unwrap_or(Step::Use(resolved))))
}

/// What the saved logins say about a token; `None` when it is none of them.
fn step_for(
    resolved: &ResolvedToken,
    stored: &[StoredToken],
    settings: &Settings,
    now: i64,
) -> Option<Step> {
    let of = |entry: &StoredToken, token: &Token| ResolvedToken {
        token: token.clone(),
        source: resolved.source.clone(),
        issuer: Some(entry.issuer.clone()),
        waits_for_issuer: is_due(entry, now) && !entry.issuer.is(&settings.endpoint),
    };
    let is_it = |entry: &&StoredToken| entry.token.as_ref() == Some(&resolved.token);
    if let Some(entry) = stored.iter().find(is_it) {
        let known = of(entry, &resolved.token);
        return Some(if is_due(entry, now) && !known.waits_for_issuer {
            Step::Renew(known, entry.name.clone())
        } else {
            Step::Use(known)
        });
    }
    let successor = stored.iter().find(|entry| entry.replaces(&resolved.token));
    let token = successor.and_then(|entry| Some((entry, entry.token.as_ref()?)));
    token.map(|(entry, token)| Step::Finish(of(entry, token), entry.name.clone()))
}

/// The token of the first environment variable that has one.
///
/// # Errors
/// [`AuthError::Unusable`] as in [`plan`].
pub fn from_environment(env: &Env) -> Result<Option<ResolvedToken>, AuthError> {
    for name in TOKEN_VARIABLES {
        if let Some(resolved) = from_variable(env, name)? {
            return Ok(Some(resolved));
        }
    }
    Ok(None)
}

/// The token of one environment variable.
///
/// # Errors
/// [`AuthError::Unusable`].
pub fn from_variable(env: &Env, name: &'static str) -> Result<Option<ResolvedToken>, AuthError> {
    let Some(value) = env.get(name).map(Zeroizing::new) else {
        return Ok(None);
    };
    let file = env.file_of(name).map(Path::to_path_buf);
    checked(&value, TokenSource::Variable { name, file })
}

/// The token in the token file.
///
/// # Errors
/// As [`plan`].
pub fn from_file(path: &Path) -> Result<Option<ResolvedToken>, AuthError> {
    let source = TokenSource::File(path.to_path_buf());
    Ok(token_in(path)?.map(|token| ResolvedToken::new(token, source)))
}

fn checked(value: &str, source: TokenSource) -> Result<Option<ResolvedToken>, AuthError> {
    match Token::clean(value) {
        Ok(token) => Ok(token.map(|token| ResolvedToken::new(token, source))),
        Err(reason) => Err(AuthError::Unusable {
            source_name: source.to_string(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests;
