//! Renewing the token of a browser login before it expires, safely among many processes.
//!
//! A server may forget a refresh token the moment it has been used, so two processes that use the
//! same one log each other out. Hence: take `stored_tokens.lock`, read again (another process may
//! have done it), ask the Hub, write, release. The Python client keeps to the same lock
//! (docs/reference.md#renewal).

use std::time::Duration;

use super::AuthError;
use super::device;
use super::keyring::Keyring;
use super::store::{StoreLock, TokenStore};
use super::stored::{Storage, StoredToken, fingerprint, is_due};
use crate::config::settings::Settings;
use crate::hub::HubError;
use crate::hub::oauth::{Granted, OAuthError};
use crate::types::token::Token;

/// How long another process may take to renew it before we go on with the old one.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a renewal may take, however patient the timeouts are: other processes wait for the lock.
const LONGEST: Duration = Duration::from_secs(20);

/// How long to wait for the Hub's answer, all in all, with this stall timeout.
pub fn time_limit(stall_timeout: Duration) -> Duration {
    stall_timeout.saturating_mul(2).min(LONGEST)
}

/// What is left to do once the lock is held.
#[derive(Debug)]
pub enum Turn {
    /// Another process renewed the token, or a login replaced it: this is the one to use.
    Done(Token),
    /// Ask the Hub.
    Ask(Box<Renewal>),
}

/// A renewal that was begun. It holds the lock.
#[derive(Debug)]
pub struct Renewal {
    entry: StoredToken,
    storage: Storage,
    refresh_token: Token,
    lock: StoreLock,
}

/// Why a token was not renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRenewed {
    /// The refresh token is used up or revoked: only a new login helps.
    Ended,
    /// A temporary failure; the next command tries again.
    Later(String),
    /// Offline mode: nothing to report.
    Quiet,
}

impl NotRenewed {
    /// Reads a refusal or failure of the Hub.
    pub fn from_error(error: &OAuthError) -> Self {
        match error {
            OAuthError::Refused { code, .. } if code == "invalid_grant" => NotRenewed::Ended,
            OAuthError::Hub(HubError::Offline) => NotRenewed::Quiet,
            other => NotRenewed::Later(other.to_string()),
        }
    }
}

/// Takes the lock and looks again at the token `name`, which was `token` before.
///
/// # Errors
/// [`AuthError::Busy`] when another process holds the lock too long; else as [`TokenStore::list`].
pub fn begin(
    settings: &Settings,
    name: &str,
    token: &Token,
    storage: Storage,
    now: i64,
) -> Result<Turn, AuthError> {
    let store = TokenStore::new(settings);
    let lock = store.lock_for(PATIENCE)?;
    let entry = match storage {
        Storage::File => store.get(name)?,
        Storage::Keyring => Some(Keyring::new(settings).load(name)?),
    };
    let Some(entry) = entry else {
        return Ok(Turn::Done(token.clone()));
    };
    // A login at another Hub may have replaced it.
    let is_ours = entry.issuer.is(&settings.endpoint);
    let refresh_token = entry.refresh_token.clone();
    let refresh_token = refresh_token.filter(|_| is_ours && is_due(&entry, now));
    Ok(match (&entry.token, refresh_token) {
        (Some(same), Some(refresh_token)) if same == token => Turn::Ask(Box::new(Renewal {
            entry,
            storage,
            refresh_token,
            lock,
        })),
        // Renewed by another process, or replaced by a login.
        (Some(other), _) => Turn::Done(other.clone()),
        (None, _) => Turn::Done(token.clone()),
    })
}

/// Writes the second file of a renewal that wrote only the first: the token file gets the token of
/// `name`, unless it has it by now or holds another one.
///
/// # Errors
/// As [`begin`].
pub fn finish(settings: &Settings, name: &str) -> Result<(), AuthError> {
    let store = TokenStore::new(settings);
    let lock = store.lock_for(PATIENCE)?;
    let Some(entry) = store.get(name)? else {
        return Ok(());
    };
    match (&entry.token, store.active()?) {
        (Some(token), Some(old)) if entry.replaces(&old) => store.activate(token, &lock),
        _ => Ok(()),
    }
}

impl Renewal {
    /// Name of the token.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// What to send to the Hub.
    pub fn refresh_token(&self) -> &Token {
        &self.refresh_token
    }

    /// Keeps what the Hub granted, and returns the new token. The old refresh token stays when the
    /// server did not give a new one. The token file follows only if it still held the old token: the
    /// user may have switched meanwhile.
    ///
    /// # Errors
    /// As [`TokenStore::save`]; the new token is then lost to other processes.
    pub fn keep(self, settings: &Settings, granted: Granted, now: i64) -> Result<Token, AuthError> {
        let old = self.entry.token.clone();
        let grant = device::grant(granted, now);
        let entry = StoredToken {
            name: self.entry.name,
            token: Some(grant.token.clone()),
            refresh_token: Some(grant.refresh_token.unwrap_or(self.refresh_token)),
            expires_at: grant.expires_at,
            issuer: self.entry.issuer,
            replaced: old.as_ref().map(fingerprint),
        };
        match self.storage {
            Storage::File => {
                let store = TokenStore::new(settings);
                store.save(&entry, &self.lock)?;
                if store.active()? == old {
                    store.activate(&grant.token, &self.lock)?;
                }
            }
            Storage::Keyring => Keyring::new(settings).save(&entry, &self.lock)?,
        }
        Ok(grant.token)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::env::Env;

    fn token(text: &str) -> Token {
        Token::clean(text).unwrap().unwrap()
    }

    fn granted(refresh_token: Option<&str>) -> Granted {
        Granted {
            access_token: token("hf_new"),
            refresh_token: refresh_token.map(token),
            lifetime: Some(Duration::from_secs(600)),
        }
    }

    /// A login that is due, whose token file is changed to `token_file` while the Hub is asked;
    /// returns the token file and the list after the renewal.
    fn renewed(token_file: &str, refresh_token: Option<&str>) -> (String, String) {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let env = Env::from_pairs("/nowhere", [("HF_HOME", home.path().to_str().unwrap())]);
        let settings = Settings::resolve(&env).unwrap();
        fs::write(path("token"), "hf_old").unwrap();
        let stored = "[x]\nhf_token = hf_old\nrefresh_token = r_old\nexpires_at = 1000\n\n";
        fs::write(path("stored_tokens"), stored).unwrap();
        let turn = begin(&settings, "x", &token("hf_old"), Storage::File, 1000).unwrap();
        let Turn::Ask(renewal) = turn else {
            panic!("it is due: {turn:?}");
        };
        assert_eq!(renewal.refresh_token(), &token("r_old"));
        fs::write(path("token"), token_file).unwrap();
        let kept = renewal.keep(&settings, granted(refresh_token), 1000);
        assert_eq!(kept.unwrap(), token("hf_new"));
        let read = |name: &str| fs::read_to_string(path(name)).unwrap();
        (read("token"), read("stored_tokens"))
    }

    #[test]
    fn the_token_file_and_the_list_follow() {
        let (file, stored) = renewed("hf_old", Some("r_new"));
        assert_eq!(file, "hf_new");
        let replaced = fingerprint(&token("hf_old"));
        assert_eq!(
            stored,
            format!(
                "[x]\nhf_token = hf_new\nrefresh_token = r_new\nexpires_at = 1600\nreplaced_token = {replaced}\n\n"
            )
        );
    }

    #[test]
    fn a_switch_during_the_renewal_stands() {
        // The Python clients switch without taking the lock.
        let (file, stored) = renewed("hf_other", Some("r_new"));
        assert_eq!(file, "hf_other");
        assert!(stored.contains("hf_token = hf_new\n"), "{stored}");
    }

    #[test]
    fn a_refresh_token_that_is_not_replaced_is_kept() {
        let (_, stored) = renewed("hf_old", None);
        assert!(stored.contains("refresh_token = r_old\n"), "{stored}");
    }

    #[test]
    fn a_renewal_that_was_cut_off_between_the_files_is_finished() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let env = Env::from_pairs("/nowhere", [("HF_HOME", home.path().to_str().unwrap())]);
        let settings = Settings::resolve(&env).unwrap();
        let replaced = fingerprint(&token("hf_old"));
        let stored = format!(
            "[x]\nhf_token = hf_new\nreplaced_token = {replaced}\n\n[y]\nhf_token = hf_y\n\n"
        );
        fs::write(path("stored_tokens"), stored).unwrap();
        // The last is a switch that came in between: it stands.
        for (before, name, after) in [
            ("hf_old", "x", "hf_new"),
            ("hf_new", "x", "hf_new"),
            ("hf_old", "y", "hf_old"),
            ("hf_old", "z", "hf_old"),
            ("hf_y", "x", "hf_y"),
        ] {
            fs::write(path("token"), before).unwrap();
            finish(&settings, name).unwrap();
            let found = fs::read_to_string(path("token")).unwrap();
            assert_eq!(found, after, "{before} {name}");
        }
        fs::remove_file(path("token")).unwrap();
        finish(&settings, "x").unwrap();
        assert!(!path("token").exists(), "a logout stands");
    }

    #[test]
    fn limits_follow_the_stall_timeout() {
        let limits = [1, 10, 3600, u64::MAX].map(|s| time_limit(Duration::from_secs(s)).as_secs());
        assert_eq!(limits, [2, 20, 20, 20]);
    }

    #[test]
    fn a_login_that_was_renewed_or_replaced_meanwhile_is_not_renewed_again() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::from_pairs("/nowhere", [("HF_HOME", home.path().to_str().unwrap())]);
        let settings = Settings::resolve(&env).unwrap();
        for (stored, expected) in [
            // By another process: still due, as tokens of a short life always are.
            (
                "[x]\nhf_token = hf_new\nrefresh_token = r\nexpires_at = 1000\n",
                "hf_new",
            ),
            // By a login with a token from the settings page.
            ("[x]\nhf_token = hf_page\n", "hf_page"),
            ("[x]\nhf_token = hf_old\n", "hf_old"),
            (
                "[x]\nhf_token = hf_old\nrefresh_token = r\nexpires_at = 900000\n",
                "hf_old",
            ),
            ("[x]\nrefresh_token = r\nexpires_at = 1000\n", "hf_old"),
            // By a login at another Hub: its refresh token is not ours to send.
            (
                "[x]\nhf_token = hf_old\nrefresh_token = r\nexpires_at = 1000\nendpoint = https://mirror.test\n",
                "hf_old",
            ),
            ("", "hf_old"),
        ] {
            fs::write(home.path().join("stored_tokens"), stored).unwrap();
            let turn = begin(&settings, "x", &token("hf_old"), Storage::File, 1000).unwrap();
            assert!(
                matches!(&turn, Turn::Done(found) if found.expose() == expected),
                "{stored}: {turn:?}"
            );
        }
    }
}
