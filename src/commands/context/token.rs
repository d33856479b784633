//! The token of a command: what [`resolve::plan`] decided is done here, with the Hub and the keyring.

use jiff::Timestamp;

use super::Context;
use crate::auth::AuthError;
use crate::auth::keyring::Keychain;
use crate::auth::oidc::Exchange;
use crate::auth::renew::{self, NotRenewed, Place, Turn};
use crate::auth::resolve::{self, ResolvedToken, Step, TokenSource};
use crate::auth::stored::{self, StoredToken};
use crate::commands::error::CliError;
use crate::config::settings::Settings;
use crate::console::text::escape;
use crate::hub::oauth::OAuthError;
use crate::types::token::Token;

/// Seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

impl Context {
    /// The token in force, to be sent to the Hub, or `None` when no source has one. `option` is the
    /// value of `--token`. Asks the Hub only when a token has to be renewed or exchanged, and the
    /// keyring only when a token was put there. Warns when another Hub gave the token.
    ///
    /// # Errors
    /// See [`resolve::plan`]; a failed exchange, and a keyring that cannot be used.
    pub fn token(&self, option: Option<&str>) -> Result<Option<ResolvedToken>, CliError> {
        let resolved = self.token_to_show(option)?;
        self.warn_of_another_hub(resolved.as_ref());
        Ok(resolved)
    }

    /// As [`Context::token`], for those who send it nowhere.
    ///
    /// # Errors
    /// As [`Context::token`].
    pub fn token_to_show(&self, option: Option<&str>) -> Result<Option<ResolvedToken>, CliError> {
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
        let resolved = self.carry_out(step)?;
        self.warn_of_another_hub(resolved.as_ref());
        Ok(resolved)
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
            Step::Finish(resolved, name) => {
                // The token is good even where the file cannot be written.
                let _ = renew::finish(&self.settings, &name);
                Ok(Some(resolved))
            }
            Step::AskKeyring(name) => {
                let entry = Keychain::new(&self.settings).load(&name)?;
                Ok(self.kept_in_keyring(entry))
            }
        }
    }

    fn kept_in_keyring(&self, entry: StoredToken) -> Option<ResolvedToken> {
        let is_due = stored::is_due(&entry, now());
        let is_ours = entry.issuer.is(&self.settings.endpoint);
        let mut token = entry.token?;
        if is_due && is_ours {
            token = self.renewed(&entry.name, token, Place::Keychain);
        }
        Some(ResolvedToken {
            token,
            source: TokenSource::Keyring(entry.name),
            issuer: Some(entry.issuer),
            waits_for_issuer: is_due && !is_ours,
        })
    }

    /// Says, once a command, that the token goes to another Hub than the one that gave it, or that
    /// only that one can renew it.
    fn warn_of_another_hub(&self, resolved: Option<&ResolvedToken>) {
        let Some(resolved) = resolved else { return };
        if self.settings.offline || self.issuer_told.get() {
            return;
        }
        if let Some((warning, hint)) = another_hub(resolved, &self.settings) {
            self.issuer_told.set(true);
            self.console.warn(&warning);
            self.console.hint(&hint);
        }
    }

    /// Exchanged once a command: the identity may be good for a single use.
    fn exchanged(&self, exchange: &Exchange) -> Result<ResolvedToken, CliError> {
        let source = TokenSource::Oidc(exchange.resource().to_owned());
        if let Some(token) = self.exchanged.get() {
            return Ok(ResolvedToken::new(token.clone(), source));
        }
        let hub = self.hub()?;
        let token = self.block_on(exchange.run(hub))?;
        let _ = self.exchanged.set(token.clone());
        Ok(ResolvedToken::new(token, source))
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
        let limit = renew::time_limit(hub.stall_timeout());
        let asked = self.block_on(async {
            let client_id = &self.settings.oauth_client_id;
            let answer = hub.refresh(client_id, renewal.refresh_token(), limit).await;
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
        let name = escape(name);
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
                escape(&why)
            )),
            NotRenewed::Quiet => {}
        }
    }
}

/// What to say about a token that another Hub gave: a warning and a hint. Pure.
pub fn another_hub(resolved: &ResolvedToken, settings: &Settings) -> Option<(String, String)> {
    let issuer = resolved.issuer.as_ref()?;
    if issuer.is(&settings.endpoint) {
        return None;
    }
    let from = escape(&issuer.to_string());
    let to = escape(&settings.endpoint.shown());
    let is_trusted = settings.trusts_endpoint();
    let mut warning = match (is_trusted, resolved.waits_for_issuer) {
        (false, _) => format!(
            "The token from {} is a login at {from}, and is sent to {to}.",
            resolved.source
        ),
        (true, true) => format!("The token from {} is a login at {from}.", resolved.source),
        (true, false) => return None,
    };
    if resolved.waits_for_issuer {
        warning.push_str(&format!(
            " It is to be renewed by now, which is left to a command that talks to {from}."
        ));
    }
    let hint = if is_trusted {
        format!("run `hf auth whoami` with HF_ENDPOINT={from}")
    } else {
        "`hf auth login --force` logs in at this one; HF_TRUSTED_ENDPOINTS names the endpoints that may get it without a word".to_owned()
    };
    Some((warning, hint))
}
