//! The active token: does what [`resolve`](super::resolve) decided, with the files, the keyring and
//! the Hub. It uses no terminal: a message for the user is a [`Notice`].
//!
//! A renewal has three parts, since only the middle one is asynchronous and a command line wants
//! Ctrl-C to work in each of them: [`Session::begin`] (lock, files and keyring; may block),
//! [`Renewing::ask`] (the Hub), [`Session::finish`] (files and keyring). [`Session::token`] is all
//! three, for asynchronous programs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::AuthError;
use super::keyring::Keyring;
use super::oidc::Exchange;
use super::renew::{self, NotRenewed, Renewal, Turn};
use super::resolve::{ResolvedToken, Step, TokenSource};
use super::stored::{Storage, StoredToken, is_due};
use crate::config::settings::Settings;
use crate::hub::Hub;
use crate::hub::oauth::Granted;
use crate::sys::threads::{self, Gone};
use crate::types::token::Token;
use jiff::Timestamp;

/// Seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A message for the user about a token. No variant carries one. Texts of the Hub are as they
/// came: escape them before they reach a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The login expired or was revoked, and only a new one helps. The old token is used.
    Ended {
        /// Name under which the login is saved.
        name: String,
    },
    /// The login could not be renewed this time. The old token is used, and the next program that
    /// asks tries again.
    NotRenewed {
        /// Name under which the login is saved.
        name: String,
        /// Why.
        reason: String,
    },
    /// The new token is used, but could not be saved, and the refresh token is spent: once the new
    /// token expires, only a new login helps.
    NotSaved {
        /// Why.
        reason: String,
    },
}

/// Takes notices, on the thread that asks for the token.
pub type Notify = Box<dyn Fn(Notice) + Send + Sync>;

/// The tokens of one run of a program: an identity is exchanged once (it may be valid for a single
/// use), and a renewal that failed is not tried again.
pub struct Session {
    settings: Settings,
    notify: Notify,
    exchanged: OnceLock<Token>,
    renewal_failed: AtomicBool,
    /// Held by [`Session::token`]: a second renewal in this process would wait for the lock of the
    /// first.
    turn: tokio::sync::Mutex<()>,
}

/// What is left to do for a token.
#[derive(Debug)]
pub enum Next {
    /// Nothing: here it is, or no source has one.
    Ready(Option<ResolvedToken>),
    /// Run the exchange, then [`Session::exchanged`].
    Exchange(Exchange),
    /// [`Renewing::ask`], then [`Session::finish`].
    Renew(Box<Renewing>),
}

/// A renewal that waits for the Hub. It holds the lock of the token files.
#[derive(Debug)]
pub struct Renewing {
    old: ResolvedToken,
    renewal: Renewal,
}

impl Session {
    /// A session without requests so far.
    pub fn new(settings: Settings, notify: Notify) -> Self {
        Session {
            settings,
            notify,
            exchanged: OnceLock::new(),
            renewal_failed: AtomicBool::new(false),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// The token that `step` leads to, or `None` when no source has one. Files, locks and the
    /// keyring are waited for on a thread that may block. A renewal that fails is a [`Notice`], and
    /// the old token is the answer. Call it on a tokio runtime.
    ///
    /// The work goes on when the future is dropped: the Hub forgets the old refresh token when it
    /// answers, so an answer that is not saved would end the login.
    ///
    /// # Errors
    /// A failed exchange, and a keyring that cannot be used.
    pub async fn token(
        self: &Arc<Self>,
        step: Step,
        hub: &Hub,
    ) -> Result<Option<ResolvedToken>, AuthError> {
        let (session, hub) = (Arc::clone(self), hub.clone());
        let work = tokio::spawn(async move { session.carry_out(step, &hub).await });
        work.await.map_err(|_| Gone)?
    }

    async fn carry_out(
        self: Arc<Self>,
        step: Step,
        hub: &Hub,
    ) -> Result<Option<ResolvedToken>, AuthError> {
        let _turn = self.turn.lock().await;
        let session = Arc::clone(&self);
        match threads::run(move || session.begin(step)).await?? {
            Next::Ready(found) => Ok(found),
            Next::Exchange(exchange) => {
                let token = exchange.run(hub).await?;
                Ok(Some(self.exchanged(&exchange, token)))
            }
            Next::Renew(renewing) => {
                let answer = renewing.ask(hub, &self.settings.oauth_client_id).await;
                let session = Arc::clone(&self);
                let ended = threads::run(move || session.finish(*renewing, answer)).await;
                Ok(Some(ended?))
            }
        }
    }

    /// All that can be done without the Hub. Blocks while another process holds the lock of the
    /// token files (up to 30 seconds), and while the keyring asks its user.
    ///
    /// # Errors
    /// A keyring that cannot be used.
    pub fn begin(&self, step: Step) -> Result<Next, AuthError> {
        Ok(match step {
            Step::Nothing => Next::Ready(None),
            Step::Use(resolved) => Next::Ready(Some(resolved)),
            Step::Exchange(exchange) => match self.exchanged.get() {
                Some(token) => Next::Ready(Some(of_exchange(&exchange, token.clone()))),
                None => Next::Exchange(exchange),
            },
            Step::Renew(resolved, name) => self.begin_renewal(resolved, name, Storage::File),
            Step::Finish(resolved, name) => {
                // The token is valid even where the file cannot be written.
                let _ = renew::finish(&self.settings, &name);
                Next::Ready(Some(resolved))
            }
            Step::AskKeyring(name) => self.in_keyring(Keyring::new(&self.settings).load(&name)?),
        })
    }

    /// Keeps what an exchange brought for the rest of the session.
    pub fn exchanged(&self, exchange: &Exchange, token: Token) -> ResolvedToken {
        of_exchange(exchange, self.exchanged.get_or_init(|| token).clone())
    }

    /// Saves what the Hub granted and returns the new token; after a refusal the old one, with a
    /// notice. Never an error: if the old token is no longer valid, the Hub says so.
    pub fn finish(&self, renewing: Renewing, answer: Result<Granted, NotRenewed>) -> ResolvedToken {
        let Renewing { old, renewal } = renewing;
        let granted = match answer {
            Ok(granted) => granted,
            Err(reason) => {
                self.not_renewed(renewal.name().to_owned(), reason);
                return old;
            }
        };
        let fresh = granted.access_token.clone();
        let token = renewal
            .keep(&self.settings, granted, now())
            .unwrap_or_else(|error| {
                // The old one may be worthless by now.
                let reason = error.in_words();
                (self.notify)(Notice::NotSaved { reason });
                fresh
            });
        ResolvedToken { token, ..old }
    }

    fn in_keyring(&self, entry: StoredToken) -> Next {
        let is_due = is_due(&entry, now());
        let is_ours = entry.issuer.is(&self.settings.endpoint);
        let Some(token) = entry.token else {
            return Next::Ready(None);
        };
        let resolved = ResolvedToken {
            token,
            source: TokenSource::Keyring(entry.name.clone()),
            issuer: Some(entry.issuer),
            waits_for_issuer: is_due && !is_ours,
        };
        if is_due && is_ours {
            return self.begin_renewal(resolved, entry.name, Storage::Keyring);
        }
        Next::Ready(Some(resolved))
    }

    fn begin_renewal(&self, old: ResolvedToken, name: String, storage: Storage) -> Next {
        if self.settings.offline || self.renewal_failed.load(Ordering::Relaxed) {
            return Next::Ready(Some(old));
        }
        match renew::begin(&self.settings, &name, &old.token, storage, now()) {
            Ok(Turn::Done(token)) => Next::Ready(Some(ResolvedToken { token, ..old })),
            Ok(Turn::Ask(renewal)) => Next::Renew(Box::new(Renewing {
                old,
                renewal: *renewal,
            })),
            Err(error) => {
                self.not_renewed(name, NotRenewed::Later(error.in_words()));
                Next::Ready(Some(old))
            }
        }
    }

    fn not_renewed(&self, name: String, reason: NotRenewed) {
        self.renewal_failed.store(true, Ordering::Relaxed);
        match reason {
            NotRenewed::Ended => (self.notify)(Notice::Ended { name }),
            NotRenewed::Later(reason) => (self.notify)(Notice::NotRenewed { name, reason }),
            NotRenewed::Quiet => {}
        }
    }
}

impl Renewing {
    /// Asks the Hub for a new token. It may forget the refresh token the moment it answers, so pass
    /// the answer to [`Session::finish`] without delay.
    ///
    /// # Errors
    /// What the Hub said instead.
    pub async fn ask(&self, hub: &Hub, client_id: &str) -> Result<Granted, NotRenewed> {
        let limit = renew::time_limit(hub.stall_timeout());
        let refresh_token = self.renewal.refresh_token();
        let answer = hub.refresh(client_id, refresh_token, limit).await;
        answer.map_err(|error| NotRenewed::from_error(&error))
    }
}

fn of_exchange(exchange: &Exchange, token: Token) -> ResolvedToken {
    ResolvedToken::new(token, TokenSource::Oidc(exchange.resource().to_owned()))
}

/// What to say about a token that another Hub gave: a warning and a hint for the
/// command line. Names in them are as they came: escape them before they reach a terminal. Pure.
pub fn another_hub(resolved: &ResolvedToken, settings: &Settings) -> Option<(String, String)> {
    let issuer = resolved.issuer.as_ref()?;
    if issuer.is(&settings.endpoint) {
        return None;
    }
    let from = issuer.to_string();
    let to = settings.endpoint.shown();
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
            " Its renewal is due, and only a command that talks to {from} can renew it."
        ));
    }
    let hint = if is_trusted {
        format!("run `hf auth whoami` with HF_ENDPOINT={from}")
    } else {
        "`hf auth login --force` logs in at this one; HF_TRUSTED_ENDPOINTS lists the endpoints that may get it without a warning".to_owned()
    };
    Some((warning, hint))
}
