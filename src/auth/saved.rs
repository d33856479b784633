//! All saved tokens, wherever they are kept: the token files and the keyring taken together.

use super::AuthError;
use super::issuer::Issuer;
use super::keyring::Keyring;
use super::store::{LoggedOut, TokenStore};
use super::stored::{Grant, Storage, StoredToken};
use crate::config::settings::Settings;
use crate::types::token::Token;

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
/// [`AuthError::Damaged`], [`AuthError::Fs`]. The failure of a keyring stands with each of its tokens.
pub fn list(settings: &Settings) -> Result<Vec<Saved>, AuthError> {
    let in_files = TokenStore::new(settings).list()?.into_iter();
    let mut saved: Vec<Saved> = in_files
        .map(|entry| Saved {
            entry,
            storage: Storage::File,
            trouble: None,
        })
        .collect();
    let keyring = Keyring::new(settings);
    for name in keyring.index()?.names {
        let (entry, trouble) = match keyring.load(&name) {
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

/// Which of these tokens is the active one: that of the token file, else the one that the keyring's index names.
///
/// # Errors
/// [`AuthError::Unusable`] when the token file holds something else; [`AuthError::Damaged`], [`AuthError::Fs`].
pub fn active(settings: &Settings, saved: &[Saved]) -> Result<Option<usize>, AuthError> {
    let mut all = saved.iter();
    Ok(match TokenStore::new(settings).active()? {
        Some(token) => all.position(|saved| saved.entry.token.as_ref() == Some(&token)),
        None => {
            let active = Keyring::new(settings).index()?.active;
            let is_active = |saved: &Saved| active.as_ref() == Some(&saved.entry.name);
            all.position(|saved| saved.storage == Storage::Keyring && is_active(saved))
        }
    })
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
/// [`AuthError::Keyring`], [`AuthError::Busy`], [`AuthError::Fs`].
pub fn save(
    settings: &Settings,
    name: &str,
    grant: &Grant,
    storage: Storage,
) -> Result<LoggedOut, AuthError> {
    let store = TokenStore::new(settings);
    let keyring = Keyring::new(settings);
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
            keyring.activate(None, &lock)?;
            // An older entry of the same name is removed. If its keyring is not there now, it stays
            // listed, inactive, until it can be removed.
            let _ = keyring.remove(name, &lock);
            Ok(LoggedOut::default())
        }
        Storage::Keyring => {
            keyring.save(&entry, &lock)?;
            keyring.activate(Some(name), &lock)?;
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
    let keyring = Keyring::new(settings);
    let lock = store.lock()?;
    match storage {
        Storage::File => {
            store.activate(token, &lock)?;
            keyring.activate(None, &lock)?;
            Ok(LoggedOut::default())
        }
        Storage::Keyring => {
            keyring.activate(Some(name), &lock)?;
            store.deactivate(&lock)
        }
    }
}

/// Forgets a saved token, or all.
///
/// # Errors
/// [`AuthError::Keyring`] when the keyring keeps some: what is in files is deleted by then, and no
/// keyring token is active any more; else as [`TokenStore::logout`].
pub fn logout(settings: &Settings, name: Option<&str>) -> Result<LoggedOut, AuthError> {
    let store = TokenStore::new(settings);
    let keyring = Keyring::new(settings);
    let index = keyring.index()?;
    if store.is_absent() && index.names.is_empty() && index.active.is_none() {
        // Not even a lock: a folder for it would be all that is left.
        return Ok(LoggedOut::default());
    }
    let lock = store.lock()?;
    let index = keyring.index()?;
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
        keyring.activate(None, &lock)?;
    }
    for name in names {
        done.found |= keyring.remove(name, &lock)?.0;
    }
    Ok(done)
}
