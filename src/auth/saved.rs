//! All saved tokens, wherever they are kept: the token files and the keyring taken together.

use std::fmt;

use super::AuthError;
use super::issuer::Issuer;
use super::keyring::Keychain;
use super::store::{LoggedOut, TokenStore};
use super::stored::{Grant, StoredToken};
use crate::config::settings::Settings;
use crate::types::token::Token;

/// Where a token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In `stored_tokens` and the token file, which the Python clients share.
    File,
    /// In the system's keyring, which only this tool knows.
    Keyring,
}

impl Storage {
    /// `file` or `keyring`.
    pub fn as_str(self) -> &'static str {
        match self {
            Storage::File => "file",
            Storage::Keyring => "keyring",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A saved token.
#[derive(Debug)]
pub struct Saved {
    /// Name, token and expiry.
    pub entry: StoredToken,
    /// Where it is kept.
    pub storage: Storage,
    /// Why the keyring does not give it out.
    pub trouble: Option<AuthError>,
}

/// All saved tokens: those of the files in file order, then those of the keyring by name.
///
/// # Errors
/// [`AuthError::Damaged`], [`AuthError::Fs`]. A keyring that cannot be asked is told with each token.
pub fn list(settings: &Settings) -> Result<Vec<Saved>, AuthError> {
    let in_files = TokenStore::new(settings).list()?.into_iter();
    let mut saved: Vec<Saved> = in_files
        .map(|entry| Saved {
            entry,
            storage: Storage::File,
            trouble: None,
        })
        .collect();
    let keychain = Keychain::new(settings);
    for name in keychain.index()?.names {
        let (entry, trouble) = match keychain.load(&name) {
            Ok(entry) => (entry, None),
            Err(error) => (nameless(name), Some(error)),
        };
        saved.push(Saved {
            entry,
            storage: Storage::Keyring,
            trouble,
        });
    }
    Ok(saved)
}

/// An entry of which only the name is known.
fn nameless(name: String) -> StoredToken {
    StoredToken {
        name,
        token: None,
        refresh_token: None,
        expires_at: None,
        issuer: Issuer::default(),
        replaced: None,
    }
}

/// Saves a granted token under a name and makes it the active one.
///
/// # Errors
/// [`AuthError::Damaged`] when `stored_tokens` cannot be understood: nothing is changed then;
/// [`AuthError::Keychain`], [`AuthError::Busy`], [`AuthError::Fs`].
pub fn save(
    settings: &Settings,
    name: &str,
    grant: &Grant,
    storage: Storage,
) -> Result<LoggedOut, AuthError> {
    let store = TokenStore::new(settings);
    let keychain = Keychain::new(settings);
    let entry = StoredToken {
        name: name.to_owned(),
        token: Some(grant.token.clone()),
        refresh_token: grant.refresh_token.clone(),
        expires_at: grant.expires_at,
        issuer: Issuer::of(&settings.endpoint),
        replaced: None,
    };
    let lock = store.lock()?;
    match storage {
        Storage::File => {
            store.save(&entry, &lock)?;
            store.activate(&grant.token, &lock)?;
            keychain.activate(None, &lock)?;
            // An older entry of the same name gives way. If its keyring is not there now, it stays
            // listed, inactive, until it can be removed.
            let _ = keychain.remove(name, &lock);
            Ok(LoggedOut::default())
        }
        Storage::Keyring => {
            keychain.save(&entry, &lock)?;
            keychain.activate(Some(name), &lock)?;
            store.forget(name, &lock)
        }
    }
}

/// Makes a saved token the active one.
///
/// # Errors
/// [`AuthError::Busy`], [`AuthError::Fs`], [`AuthError::Damaged`].
pub fn switch(
    settings: &Settings,
    name: &str,
    token: &Token,
    storage: Storage,
) -> Result<LoggedOut, AuthError> {
    let store = TokenStore::new(settings);
    let keychain = Keychain::new(settings);
    let lock = store.lock()?;
    match storage {
        Storage::File => {
            store.activate(token, &lock)?;
            keychain.activate(None, &lock)?;
            Ok(LoggedOut::default())
        }
        Storage::Keyring => {
            keychain.activate(Some(name), &lock)?;
            store.deactivate(&lock)
        }
    }
}

/// Forgets a saved token, or all.
///
/// # Errors
/// [`AuthError::Keychain`] when the keyring keeps some: what is in files is deleted by then, and no
/// keyring token is active any more; else as [`TokenStore::logout`].
pub fn logout(settings: &Settings, name: Option<&str>) -> Result<LoggedOut, AuthError> {
    let store = TokenStore::new(settings);
    let keychain = Keychain::new(settings);
    let lock = store.lock()?;
    let index = keychain.index()?;
    let mut done = match name {
        Some(name) => store.logout(name, &lock)?,
        None => store.logout_all(&lock)?,
    };
    let names: Vec<&str> = match name {
        Some(name) => vec![name],
        None => index.names.iter().map(String::as_str).collect(),
    };
    if name.is_none() || index.active.as_deref() == name {
        done.active_removed |= index.active.is_some();
        keychain.activate(None, &lock)?;
    }
    for name in names {
        done.found |= keychain.remove(name, &lock)?.0;
    }
    Ok(done)
}
