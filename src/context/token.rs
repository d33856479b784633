//! The token of a command: what [`resolve::plan`] decided is done here, with the Hub and the keyring.

use jiff::Timestamp;

use super::Context;
use crate::auth::AuthError;
use crate::auth::keychain::Keychain;
use crate::auth::oidc::Exchange;
use crate::auth::renew::{self, NotRenewed, Place, Turn};
use crate::auth::resolve::{self, ResolvedToken, Step, TokenSource};
use crate::auth::store::StoredToken;
use crate::error::CliError;
use crate::hub::oauth::OAuthError;
use crate::token::Token;

/// Seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

impl Context {
    /// The token in force, or `None` when no source has one. `option` is the value of `--token`.
    /// Asks the Hub only when a token has to be renewed or exchanged, and the keyring only when a
    /// token was put there.
    ///
    /// # Errors
    /// See [`resolve::plan`]; a failed exchange, and a keyring that cannot be used.
    pub fn token(&self, option: Option<&str>) -> Result<Option<ResolvedToken>, CliError> {
        self.carry_out(resolve::plan(option, &self.env, &self.settings, now())?)
    }

    /// The token for download and verify requests: as [`Context::token`], unless
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN` leaves only the option.
    ///
    /// # Errors
    /// As [`Context::token`].
    pub fn token_for_download(
        &self,
        option: Option<&str>,
    ) -> Result<Option<ResolvedToken>, CliError> {
        let step = resolve::plan_for_download(option, &self.env, &self.settings, now())?;
        self.carry_out(step)
    }

    fn carry_out(&self, step: Step) -> Result<Option<ResolvedToken>, CliError> {
        match step {
            Step::Nothing => Ok(None),
            Step::Use(resolved) => Ok(Some(resolved)),
            Step::Exchange(exchange) => self.exchanged(&exchange).map(Some),
            Step::Renew(resolved, name) => {
                let token = self.renewed(&name, resolved.token, Place::Files);
                Ok(Some(ResolvedToken { token, ..resolved }))
            }
            Step::AskKeyring(name) => {
                let entry = Keychain::new(&self.settings).load(&name)?;
                let source = TokenSource::Keyring(name);
                Ok(self
                    .kept_in_keyring(entry)
                    .map(|token| ResolvedToken { token, source }))
            }
        }
    }

    fn kept_in_keyring(&self, entry: StoredToken) -> Option<Token> {
        let due = renew::is_due(&entry, now());
        let token = entry.token?;
        Some(if due {
            self.renewed(&entry.name, token, Place::Keychain)
        } else {
            token
        })
    }

    /// Exchanged once a command: the identity may be good for a single use.
    fn exchanged(&self, exchange: &Exchange) -> Result<ResolvedToken, CliError> {
        let source = TokenSource::Oidc(exchange.resource().to_owned());
        if let Some(token) = self.exchanged.get() {
            let token = token.clone();
            return Ok(ResolvedToken { token, source });
        }
        let hub = self.hub()?;
        let token = self.block_on(exchange.run(hub))?;
        let _ = self.exchanged.set(token.clone());
        Ok(ResolvedToken { token, source })
    }

    /// The renewed token, or the old one with a word about why. Never an error: if the old one is no
    /// longer good, the Hub says so.
    fn renewed(&self, name: &str, old: Token, place: Place) -> Token {
        if self.settings.offline || self.renewal_failed.get() {
            return old;
        }
        match self.renew(name, &old, place) {
            Ok(token) => token,
            Err(reason) => {
                // Once a command, however often it asks for the token.
                self.renewal_failed.set(true);
                self.explain_renewal(name, reason);
                old
            }
        }
    }

    fn renew(&self, name: &str, old: &Token, place: Place) -> Result<Token, NotRenewed> {
        let later = |error: AuthError| NotRenewed::Later(error.in_words());
        let turn = renew::begin(&self.settings, name, old, place, now()).map_err(later)?;
        let renewal = match turn {
            Turn::Done(token) => return Ok(token),
            Turn::Ask(renewal) => renewal,
        };
        let hub = self
            .hub()
            .map_err(|error| NotRenewed::Later(error.to_string()))?;
        let asked = self.block_on(async {
            let client_id = &self.settings.oauth_client_id;
            let answer = hub.refresh(client_id, renewal.refresh_token()).await;
            Ok::<Result<_, OAuthError>, CliError>(answer)
        });
        let granted = asked
            .map_err(|error| NotRenewed::Later(error.to_string()))?
            .map_err(|error| NotRenewed::from_error(&error))?;
        let fresh = granted.access_token.clone();
        match renewal.keep(&self.settings, granted, now()) {
            Ok(token) => Ok(token),
            Err(error) => {
                // The old one may be worthless by now: use the new one, and say that it is not kept.
                self.console.warn(&format!(
                    "The renewed token could not be saved: {}. Log in again with `hf auth login --force` soon.",
                    error.in_words()
                ));
                Ok(fresh)
            }
        }
    }

    fn explain_renewal(&self, name: &str, reason: NotRenewed) {
        let name = crate::console::text::escape(name);
        match reason {
            NotRenewed::Ended => {
                self.console.warn(&format!(
                    "The login {name} has ended (expired or revoked) and cannot be renewed."
                ));
                self.console
                    .hint("log in again with `hf auth login --force`");
            }
            NotRenewed::Later(why) => self.console.warn(&format!(
                "The login {name} could not be renewed just now ({}); going on with the old token.",
                crate::console::text::escape(&why)
            )),
            NotRenewed::Quiet => {}
        }
    }
}
