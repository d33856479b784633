//! Tokens in the system's keyring, on request (`hf auth login --storage keyring`).
//!
//! The keyring holds the secrets, each under the service `hf-cli` and the token's name. A keyring
//! cannot portably list its entries, and access may open a dialog; so there is an index beside
//! the token files: `keyring_tokens`, JSON, with the names and which of them is active, and no
//! secret. Without an index the keyring is never touched.
//!
//! The Python clients do not use the keyring. A token is either in the files or in the keyring,
//! never in both, and at most one is active: the token file wins over the keyring, so making a
//! keyring token active removes that file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use keyring::v1::{Entry, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::AuthError;
use super::issuer::Issuer;
use super::store::{LONGEST, StoreLock};
use super::stored::StoredToken;
use crate::config::settings::Settings;
use crate::sys::{FsError, Mode, read_limited, write_atomic};
use crate::types::token::Token;

/// Service under which the keyring files our entries.
const SERVICE: &str = "hf-cli";
/// File name of the index.
const INDEX: &str = "keyring_tokens";

/// The keyring could not do it. No variant carries a token.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no keyring to ask, or it is locked.
    #[error("the system's keyring cannot be used: {0}")]
    Unavailable(String),
    /// The index names a token that the keyring does not have.
    #[error("the keyring has no token named {0}")]
    Missing(String),
    /// The entry holds something else.
    #[error("the keyring's entry {0} cannot be understood")]
    Damaged(String),
}

impl KeyringError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            KeyringError::Unavailable(_) => {
                "start and unlock a keyring (a Secret Service on D-Bus, such as GNOME Keyring or KWallet), or keep the token in a file with `hf auth login --force --storage file`, or set HF_TOKEN"
            }
            KeyringError::Missing(_) | KeyringError::Damaged(_) => {
                "log in again with `hf auth login --force`"
            }
        }
        .to_owned()
    }
}

/// What is known without asking the keyring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The active token when no other source has one.
    #[serde(default)]
    pub active: Option<String>,
    /// All names, the active one included.
    #[serde(default)]
    pub names: BTreeSet<String>,
}

/// The index and the keyring behind it.
#[derive(Debug, Clone)]
pub struct Keyring {
    index_path: PathBuf,
}

impl Keyring {
    /// The keyring of these settings. Nothing is opened yet.
    pub fn new(settings: &Settings) -> Self {
        Keyring {
            index_path: settings.token_path.with_file_name(INDEX),
        }
    }

    /// The index; empty when the keyring was never used.
    ///
    /// # Errors
    /// [`AuthError::Damaged`], [`AuthError::Fs`].
    pub fn index(&self) -> Result<Index, AuthError> {
        match read_limited(&self.index_path, LONGEST) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| AuthError::Damaged {
                path: self.index_path.clone(),
                reason: format!("line {}: it is not the JSON we wrote", error.line()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(error) => Err(FsError::of("read", &self.index_path)(error).into()),
        }
    }

    /// Saves a token, without making it active.
    ///
    /// # Errors
    /// [`AuthError::Keyring`] when there is no usable keyring.
    pub fn save(&self, entry: &StoredToken, lock: &StoreLock) -> Result<(), AuthError> {
        let mut index = self.index()?;
        let secret = secret_of(entry);
        open(&entry.name)?
            .set_password(&secret)
            .map_err(|error| failed(&entry.name, &error))?;
        index.names.insert(entry.name.clone());
        self.write(&index, lock)
    }

    /// The named token, from the keyring.
    ///
    /// # Errors
    /// [`AuthError::Keyring`].
    pub fn load(&self, name: &str) -> Result<StoredToken, AuthError> {
        let secret = open(name)?
            .get_password()
            .map(Zeroizing::new)
            .map_err(|error| failed(name, &error))?;
        parse_secret(name, &secret)
            .ok_or_else(|| AuthError::Keyring(KeyringError::Damaged(name.to_owned())))
    }

    /// Chooses the active token; `None`: no token of the keyring is.
    ///
    /// # Errors
    /// As [`Keyring::index`].
    pub fn activate(&self, name: Option<&str>, lock: &StoreLock) -> Result<(), AuthError> {
        let mut index = self.index()?;
        if index.active.as_deref() == name {
            return Ok(());
        }
        index.active = name.map(str::to_owned);
        self.write(&index, lock)
    }

    /// Removes a token; returns whether it was there and whether it was the active one.
    ///
    /// # Errors
    /// [`AuthError::Keyring`]; the index then still names it.
    pub fn remove(&self, name: &str, lock: &StoreLock) -> Result<(bool, bool), AuthError> {
        let mut index = self.index()?;
        if !index.names.contains(name) {
            return Ok((false, false));
        }
        match open(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => {}
            Err(error) => return Err(failed(name, &error)),
        }
        index.names.remove(name);
        let was_active = index.active.as_deref() == Some(name);
        if was_active {
            index.active = None;
        }
        self.write(&index, lock)?;
        Ok((true, was_active))
    }

    fn write(&self, index: &Index, _lock: &StoreLock) -> Result<(), AuthError> {
        if index.names.is_empty() {
            return match fs::remove_file(&self.index_path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(FsError::of("delete", &self.index_path)(error).into())
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec_pretty(index).expect("names always serialize");
        Ok(write_atomic(&self.index_path, &text, Mode::Secret)?)
    }
}

fn open(name: &str) -> Result<Entry, AuthError> {
    if let Err(error) = Entry::store_status() {
        return Err(failed(name, error));
    }
    Entry::new(SERVICE, name).map_err(|error| failed(name, &error))
}

/// Only what the system says about itself is repeated: the crate's errors may carry the secret.
fn failed(name: &str, error: &Error) -> AuthError {
    AuthError::Keyring(match error {
        Error::NoEntry => KeyringError::Missing(name.to_owned()),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => KeyringError::Damaged(name.to_owned()),
        Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => {
            KeyringError::Unavailable(super::first_line(&cause.to_string()))
        }
        Error::Ambiguous(_) => {
            KeyringError::Unavailable("it has several entries of this name".to_owned())
        }
        _ => KeyringError::Unavailable("there is none on this system".to_owned()),
    })
}

fn secret_of(entry: &StoredToken) -> Zeroizing<String> {
    let value = json!({
        "hf_token": entry.token.as_ref().map(Token::expose),
        "refresh_token": entry.refresh_token.as_ref().map(Token::expose),
        "expires_at": entry.expires_at,
        "endpoint": entry.issuer.to_store(),
    });
    Zeroizing::new(value.to_string())
}

fn parse_secret(name: &str, secret: &str) -> Option<StoredToken> {
    let value: Value = serde_json::from_str(secret).ok()?;
    let token = |key: &str| Token::clean(value[key].as_str()?).ok().flatten();
    Some(StoredToken {
        name: name.to_owned(),
        token: Some(token("hf_token")?),
        refresh_token: token("refresh_token"),
        expires_at: value["expires_at"].as_i64(),
        issuer: Issuer::stored(value["endpoint"].as_str()),
        // The keyring takes all of a login at once.
        replaced: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_back_the_same() {
        let token = |text| Token::clean(text).unwrap();
        let entry = StoredToken {
            name: "a".to_owned(),
            token: token("hf_a\"%"),
            refresh_token: token("r"),
            expires_at: Some(12),
            issuer: Issuer::stored(Some("https://hub.test")),
            replaced: None,
        };
        assert_eq!(parse_secret("a", &secret_of(&entry)), Some(entry));
        assert_eq!(parse_secret("a", "hf_bare"), None);
        assert_eq!(parse_secret("a", "{}"), None);
    }

    #[test]
    fn what_the_keyring_says_is_told_without_what_it_holds() {
        let failure = || std::io::Error::other("locked\nand more");
        for (error, expected) in [
            (Error::NoEntry, "Missing(\"a\")"),
            (Error::BadEncoding(b"hf_x".to_vec()), "Damaged(\"a\")"),
            (
                Error::PlatformFailure(Box::new(failure())),
                "Unavailable(\"locked\")",
            ),
            (
                Error::NoStorageAccess(Box::new(failure())),
                "Unavailable(\"locked\")",
            ),
            (
                Error::Ambiguous(Vec::new()),
                "Unavailable(\"it has several entries of this name\")",
            ),
            (
                Error::Invalid("hf_x".to_owned(), "hf_y".to_owned()),
                "Unavailable(\"there is none on this system\")",
            ),
        ] {
            let AuthError::Keyring(said) = failed("a", &error) else {
                panic!("{error:?}");
            };
            assert_eq!(format!("{said:?}"), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_secret_is_read_or_refused(text in "\\PC*|\\{(\"(hf_token|expires_at|endpoint)\":(\"[a-z]{0,9}\"|-?[0-9]{1,30}),?){0,4}\\}") {
            if let Some(entry) = parse_secret("a", &text) {
                proptest::prop_assert_eq!(parse_secret("a", &secret_of(&entry)), Some(entry));
            }
        }
    }

    #[test]
    fn a_damaged_index_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring {
            index_path: folder.path().join(INDEX),
        };
        assert_eq!(keyring.index().unwrap(), Index::default());
        fs::write(&keyring.index_path, "{\"names\": [").unwrap();
        assert!(matches!(keyring.index(), Err(AuthError::Damaged { .. })));
    }
}
