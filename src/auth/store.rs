//! The two token files that this tool shares with the Python clients
//! (docs/reference.md#token-files).
//!
//! - `token` holds the active token, bare. This is the one that every client sends.
//! - `stored_tokens`, beside it, holds all tokens by name, in INI, with what is needed to refresh
//!   those of a browser login.
//!
//! Rules kept here and nowhere else:
//! - Both files are 0600, also when they were found wider. Their folder is made 0700; one that is
//!   there keeps its mode, since others may share what else is in it.
//! - A write replaces a file whole, so a crash leaves the old or the new content.
//! - A writer holds `stored_tokens.lock` (flock) from before reading to after writing, so two
//!   processes never lose each other's entry. Readers need no lock.
//! - `stored_tokens` that cannot be understood is an error that names the line. It stays as it is:
//!   nothing here starts over with an empty one.
//! - A token file that is a symbolic link is written through: the link stays and the file it leads
//!   to is replaced. The user keeps the token elsewhere, and the Python clients write through the
//!   link as well. Logging out removes the link and leaves its target, which may not be ours; the
//!   caller gets its path, since the token is still in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::AuthError;
use super::ini::Ini;
use super::stored::StoredToken;
use crate::config::settings::Settings;
use crate::sys::lockfile::{self, Attempt};
use crate::sys::{
    FsError, LockGuard, Mode, Obstacle, create_secret_dir_all, follow_own_links, open_regular,
    read_limited, write_atomic,
};
use crate::types::token::Token;

/// The lock that the Python client takes as well.
const LOCK_FILE: &str = "stored_tokens.lock";
/// Longest token file that is read, in bytes: a thousand logins have a tenth of that.
pub(super) const LONGEST: u64 = 4 << 20;
/// How long a reader waits for a writer to finish.
const WRITER_WAIT: Duration = Duration::from_secs(2);
/// How long another process may hold the lock; a refresh inside it waits for the Hub.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// What [`TokenStore::logout_all`] and [`TokenStore::logout`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoggedOut {
    /// The named token was there, or for all: there was any.
    pub found: bool,
    /// The active token file is gone.
    pub active_removed: bool,
    /// The token file was a link, and this is the file behind it, which still holds the token.
    pub left_behind: Option<PathBuf>,
}

/// The two files.
#[derive(Debug, Clone)]
pub struct TokenStore {
    token_path: PathBuf,
    stored_path: PathBuf,
}

/// The right to change the files, held while they are read and written.
#[derive(Debug)]
pub struct StoreLock {
    /// `None` where locks do not work (some network file systems): the writes are
    /// still atomic.
    _guard: Option<LockGuard>,
}

impl TokenStore {
    /// The files of these settings. Nothing is opened yet.
    pub fn new(settings: &Settings) -> Self {
        TokenStore {
            token_path: settings.token_path.clone(),
            stored_path: settings.stored_tokens_path.clone(),
        }
    }

    /// Whether there is neither of the two files.
    pub fn is_absent(&self) -> bool {
        let is_absent = |path: &Path| {
            let found = fs::symlink_metadata(path);
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        is_absent(&self.token_path) && is_absent(&self.stored_path)
    }

    /// All named tokens, in file order; none when the file does not exist.
    ///
    /// # Errors
    /// [`AuthError::Damaged`] when the file cannot be understood; [`AuthError::Fs`].
    pub fn list(&self) -> Result<Vec<StoredToken>, AuthError> {
        let ini = self.read()?;
        Ok(ini
            .names()
            .map(|name| StoredToken::read(&ini, name))
            .collect())
    }

    /// The named token, when there is one of that name.
    ///
    /// # Errors
    /// As [`TokenStore::list`].
    pub fn get(&self, name: &str) -> Result<Option<StoredToken>, AuthError> {
        let ini = self.read()?;
        let found = ini.names().any(|known| known == name);
        Ok(found.then(|| StoredToken::read(&ini, name)))
    }

    /// The token in the token file, whatever the environment says.
    ///
    /// # Errors
    /// [`AuthError::Unusable`] when it holds something else; [`AuthError::Fs`].
    pub fn active(&self) -> Result<Option<Token>, AuthError> {
        token_in(&self.token_path)
    }

    /// Takes the lock, for work that reads, asks the Hub and then writes.
    ///
    /// # Errors
    /// [`AuthError::Busy`] when another process holds it for a minute; [`AuthError::Fs`].
    pub fn lock(&self) -> Result<StoreLock, AuthError> {
        self.lock_for(LOCK_WAIT)
    }

    /// As [`TokenStore::lock`], waiting no longer than this.
    ///
    /// # Errors
    /// As [`TokenStore::lock`].
    pub fn lock_for(&self, patience: Duration) -> Result<StoreLock, AuthError> {
        if let Some(folder) = self.stored_path.parent() {
            create_secret_dir_all(folder)?;
        }
        let path = self.stored_path.with_file_name(LOCK_FILE);
        match lockfile::wait(&path, Some(patience)) {
            Attempt::Taken(guard) => Ok(StoreLock {
                _guard: Some(guard),
            }),
            Attempt::Held => Err(AuthError::Busy { path }),
            // Another kind of file is in its place, perhaps put there by another user.
            Attempt::CannotTell(error) if Obstacle::of(&error.source).is_some() => {
                Err(error.into())
            }
            // No lock service, or the lock of another user: the login must work all the same.
            Attempt::CannotTell(_) => Ok(StoreLock { _guard: None }),
        }
    }

    /// Waits, for a moment, until no process writes. For a reader that found the two files
    /// inconsistent: they are replaced one after the other.
    pub fn wait_for_writer(&self) {
        let path = self.stored_path.with_file_name(LOCK_FILE);
        if path.exists() {
            // Without a lock, or after the wait, the files are read as they are.
            let _ = lockfile::wait(&path, Some(WRITER_WAIT));
        }
    }

    /// Saves a token under its name, replacing that section whole, without making it active.
    ///
    /// # Errors
    /// As [`TokenStore::list`] and [`TokenStore::lock`].
    pub fn save(&self, entry: &StoredToken, _lock: &StoreLock) -> Result<(), AuthError> {
        let mut ini = self.read()?;
        ini.set(&entry.name, entry.options());
        self.write(&ini)
    }

    /// Makes a token the active one.
    ///
    /// # Errors
    /// [`AuthError::Fs`].
    pub fn activate(&self, token: &Token, _lock: &StoreLock) -> Result<(), AuthError> {
        write_secret(&self.token_path, token.expose())
    }

    /// Removes what the files hold of a token that is now kept elsewhere: its section, and the
    /// token file, which would win over any other storage. Answers as [`TokenStore::logout`].
    ///
    /// # Errors
    /// As [`TokenStore::list`].
    pub fn forget(&self, name: &str, lock: &StoreLock) -> Result<LoggedOut, AuthError> {
        let mut done = self.logout(name, lock)?;
        if !done.active_removed {
            let token_file = self.deactivate(lock)?;
            done.active_removed = token_file.active_removed;
            done.left_behind = token_file.left_behind;
        }
        if self.list()?.is_empty() {
            remove(&self.stored_path)?;
        }
        Ok(done)
    }

    /// Removes the token file: no token of the files is active then.
    ///
    /// # Errors
    /// [`AuthError::Fs`].
    pub fn deactivate(&self, _lock: &StoreLock) -> Result<LoggedOut, AuthError> {
        let target = link_target(&self.token_path);
        let active_removed = remove(&self.token_path)?;
        Ok(LoggedOut {
            found: active_removed,
            active_removed,
            left_behind: target.filter(|_| active_removed),
        })
    }

    /// Removes both files.
    ///
    /// # Errors
    /// [`AuthError::Fs`]; what could be removed is.
    pub fn logout_all(&self, _lock: &StoreLock) -> Result<LoggedOut, AuthError> {
        let left_behind = link_target(&self.token_path);
        let active_removed = remove(&self.token_path)?;
        let stored_removed = remove(&self.stored_path)?;
        Ok(LoggedOut {
            found: active_removed || stored_removed,
            active_removed,
            left_behind: left_behind.filter(|_| active_removed),
        })
    }

    /// Removes a named token, and the token file when it holds the same token.
    ///
    /// # Errors
    /// As [`TokenStore::list`].
    pub fn logout(&self, name: &str, _lock: &StoreLock) -> Result<LoggedOut, AuthError> {
        let mut ini = self.read()?;
        let entry = StoredToken::read(&ini, name);
        if !ini.remove(name) {
            return Ok(LoggedOut::default());
        }
        self.write(&ini)?;
        let mut done = LoggedOut {
            found: true,
            ..LoggedOut::default()
        };
        // A token file with something else in it is not this token's.
        let active = self.active().ok().flatten();
        if active.is_some() && active == entry.token {
            done.left_behind = link_target(&self.token_path);
            done.active_removed = remove(&self.token_path)?;
        }
        Ok(done)
    }

    fn read(&self) -> Result<Ini, AuthError> {
        let damaged = |reason: String| AuthError::Damaged {
            path: self.stored_path.clone(),
            reason,
        };
        match read_limited(&self.stored_path, LONGEST).map(Zeroizing::new) {
            Ok(bytes) => {
                let text =
                    std::str::from_utf8(&bytes).map_err(|_| damaged("it is not UTF-8".into()))?;
                Ini::parse(text).map_err(|error| damaged(error.to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ini::default()),
            Err(error) => Err(FsError::of("read", &self.stored_path)(error).into()),
        }
    }

    fn write(&self, ini: &Ini) -> Result<(), AuthError> {
        write_secret(&self.stored_path, &ini.render())
    }
}

/// The token in a token file; `None` when there is no file, or none in it.
///
/// # Errors
/// [`AuthError::Unusable`] when it holds something that is no token, [`AuthError::Damaged`] when it is
/// not text, [`AuthError::Fs`] when it cannot be read.
pub fn token_in(path: &Path) -> Result<Option<Token>, AuthError> {
    let bytes = match read_limited(path, LONGEST).map(Zeroizing::new) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FsError::of("read", path)(error).into()),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| AuthError::Damaged {
        path: path.to_path_buf(),
        reason: "it is not text".to_owned(),
    })?;
    Token::clean(text).map_err(|reason| AuthError::Unusable {
        source_name: format!("the file {}", path.display()),
        reason,
    })
}

/// Where a symbolic link leads in the end, when the path is one.
fn link_target(path: &Path) -> Option<PathBuf> {
    let target = path.parent()?.join(fs::read_link(path).ok()?);
    Some(fs::canonicalize(&target).unwrap_or(target))
}

fn remove(path: &Path) -> Result<bool, AuthError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FsError::of("delete", path)(error).into()),
    }
}

/// Writes a secret through links, 0600.
fn write_secret(path: &Path, text: &str) -> Result<(), AuthError> {
    // One that is there keeps its mode: a shared `HF_HOME` holds models for others as well, and the files
    // themselves are closed.
    if let Some(folder) = path.parent() {
        create_secret_dir_all(folder)?;
    }
    let target = follow_own_links(path)?;
    // A link to a device would have the device replaced.
    match open_regular(&target) {
        Err(error) if Obstacle::of(&error).is_some() => {
            return Err(FsError::of("write", &target)(error).into());
        }
        _ => {}
    }
    if target != path
        && let Some(folder) = target.parent()
    {
        crate::sys::create_dir_all(folder)?;
    }
    Ok(write_atomic(&target, text.as_bytes(), Mode::Secret)?)
}

#[cfg(all(test, unix))]
mod tests;
