//! Authentication: token resolution and renewal, stored tokens, git credentials. Never prints, never
//! prompts.

pub mod device;
pub mod git;
pub mod ini;
pub mod issuer;
pub mod keyring;
pub mod login;
pub mod oidc;
pub mod renew;
pub mod resolve;
pub mod saved;
pub mod session;
pub mod sources;
pub mod store;
pub mod stored;

use std::path::PathBuf;

use self::device::DeviceError;
use self::keyring::KeyringError;
use self::oidc::OidcError;
use crate::hub::HubError;
use crate::sys::FsError;
use crate::sys::threads::Gone;
use crate::types::token::InvalidToken;

/// Something about tokens failed. No variant carries a token.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A source holds something that cannot be a token. `source_name` says which one.
    #[error("the token from {source_name} cannot be used: {reason}")]
    Unusable {
        /// Where the value stands, in words.
        source_name: String,
        /// What is wrong with it.
        reason: InvalidToken,
    },
    /// One of our files is damaged. It is not changed.
    #[error("the file {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where there is one.
        reason: String,
    },
    /// Another process holds the lock on the token files and does not release it.
    #[error("another process holds {} and does not release it", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// An organisation's API token: the Hub takes no logins with it.
    #[error("this is an organization token, and only a personal token can log in")]
    OrganizationToken,
    /// The exchange of a CI job's identity failed.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The keyring failed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The browser login failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The Hub refused, or did not answer.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A thread or task of this program ended without an answer.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl AuthError {
    /// The error with the system's reason, for use inside a longer message.
    pub fn in_words(&self) -> String {
        match self {
            AuthError::Fs(error) => format!("{error}: {}", first_line(&error.source.to_string())),
            other => other.to_string(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            AuthError::Unusable { source_name, .. } => Some(format!(
                "copy the token again, without quotes or \"Bearer\", or remove {source_name}"
            )),
            AuthError::Damaged { path, .. } => Some(format!(
                "fix {} with an editor, or move it away and log in again: nothing was changed",
                path.display()
            )),
            AuthError::Busy { .. } => Some(
                "see what the other process waits for, or end it, and run the command again"
                    .to_owned(),
            ),
            AuthError::Oidc(error) => Some(error.hint()),
            AuthError::Keyring(error) => Some(error.hint()),
            AuthError::Device(DeviceError::OAuth(_)) => {
                Some("paste a token instead, or pass one with --token-stdin".to_owned())
            }
            AuthError::Device(_) => Some("run `hf auth login` again".to_owned()),
            // The settings page belongs to an endpoint, which the caller knows.
            AuthError::OrganizationToken
            | AuthError::Fs(_)
            | AuthError::Hub(_)
            | AuthError::Gone(_) => None,
        }
    }
}

/// The first line of a message from elsewhere, without Rust's "(os error 2)".
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" (os error").next().unwrap_or_default();
    line.trim().trim_end_matches('.').to_owned()
}
