//! The Hub, asked with the token of a [`Config`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Config, Error};
use crate::auth::AuthError;
use crate::auth::resolve::{self, ResolvedToken, Step};
use crate::auth::session::{self, Session, now};
use crate::config::env::Env;
use crate::config::settings::Settings;
use crate::hub::{self, HubOptions};
use crate::sys::threads;
use crate::types::Token;
use crate::types::progress::{Event, Notice, Progress, Silent};

/// A client of one Hub. Cheap to clone; clones share connections and the token.
///
/// The token is looked for by each download: that of the configuration, a variable, the token file, the
/// keyring. A browser login that is about to expire is renewed, without a console. The token is sent to
/// the Hub of the configuration alone, never to another host; a saved login of another Hub is sent
/// there as well, as the Python clients do, with a warning to the observer of the download.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    client: hub::Hub,
    session: Arc<Session>,
    /// Notices of the session that no observer has received yet.
    told: Arc<Mutex<Vec<session::Notice>>>,
    /// The warning about a token of another Hub was given.
    is_warned: AtomicBool,
}

impl Hub {
    /// A client for this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): a variable names a proxy or a certificate file
    /// that cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let options = HubOptions::from_settings(&config.settings)?;
        let client = hub::Hub::new(options, Arc::new(Silent))?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let notify = {
            let told = Arc::clone(&told);
            move |notice| {
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(notice)
            }
        };
        let shared = Shared {
            config: config.clone(),
            client,
            session: Arc::new(Session::new(config.settings.clone(), Box::new(notify))),
            told,
            is_warned: AtomicBool::new(false),
        };
        Ok(Hub {
            shared: Arc::new(shared),
        })
    }

    /// Asks the Hub whose the token is; `None` when there is no token.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized) for a token that is not valid, or
    /// what keeps the Hub from being asked.
    pub async fn whoami(&self) -> Result<Option<Account>, Error> {
        let Some(token) = self.token(None, resolve::plan).await? else {
            return Ok(None);
        };
        let client = self.shared.client.with_token(Some(token));
        let account = client.whoami().await?;
        Ok(Some(Account {
            name: account.name,
            organizations: account.orgs,
        }))
    }

    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(super) fn client(&self) -> &hub::Hub {
        &self.shared.client
    }

    /// The token of a download. Notices for the user go to `progress`.
    pub(super) async fn token_for_download(
        &self,
        progress: &dyn Progress,
    ) -> Result<Option<Token>, Error> {
        self.token(Some(progress), resolve::plan_for_download).await
    }

    /// Without an observer, notices for the user wait for the next download.
    async fn token(
        &self,
        progress: Option<&dyn Progress>,
        plan: PlanToken,
    ) -> Result<Option<Token>, Error> {
        let shared = &self.shared;
        if let Some(token) = &shared.config.token {
            return Ok(Some(token.clone()));
        }
        let Config { env, settings, .. } = shared.config.clone();
        // It reads files, and may wait a moment for another process that writes them.
        let step = threads::run(move || plan(None, &env, &settings, now())).await;
        let step = match step.map_err(AuthError::from)?? {
            // The identity of a CI job is exchanged by a request.
            Step::Exchange(_) if shared.config.settings.offline => Step::Nothing,
            step => step,
        };
        let found = shared.session.token(step, &shared.client).await;
        if let Some(progress) = progress {
            self.warn(progress, found.as_ref().ok().and_then(Option::as_ref));
        }
        Ok(found?.map(|found| found.token))
    }

    /// Sends the notices of the session, and once a warning that the token is another Hub's.
    fn warn(&self, progress: &dyn Progress, found: Option<&ResolvedToken>) {
        let shared = &self.shared;
        let settings = &shared.config.settings;
        let told = std::mem::take(&mut *shared.told.lock().unwrap_or_else(PoisonError::into_inner));
        let warn = |text| progress.event(Event::Notice(Notice::Warning(text)));
        told.into_iter().map(words).for_each(warn);
        // Offline nothing is sent.
        let another = found
            .filter(|_| !settings.offline)
            .and_then(|found| session::another_hub(found, settings));
        if let Some((warning, _)) = another
            && !shared.is_warned.swap(true, Ordering::Relaxed)
        {
            warn(warning);
        }
    }
}

/// One of the two ways to decide where a token comes from.
type PlanToken = fn(Option<&str>, &Env, &Settings, i64) -> Result<Step, AuthError>;

/// A notice for the user about a token.
fn words(notice: session::Notice) -> String {
    match notice {
        session::Notice::Ended { name } => {
            format!("the login {name} expired or was revoked; only a new login helps")
        }
        session::Notice::NotRenewed { name, reason } => {
            format!("the login {name} could not be renewed this time ({reason})")
        }
        session::Notice::NotSaved { reason } => {
            format!("the renewed token could not be saved ({reason}); log in again soon")
        }
    }
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The user's name on the Hub.
    pub name: String,
    /// The organizations that the user belongs to.
    pub organizations: Vec<String>,
}
