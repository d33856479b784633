//! The Hub, asked with the token of a [`Config`].

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Config, Error};
use crate::auth::resolve;
use crate::auth::session::{self, Session, now};
use crate::hub::{self, HubOptions};
use crate::types::Token;
use crate::types::progress::{Event, Notice, Progress, Silent};

/// A client of one Hub. Cheap to clone; clones share connections and the token.
///
/// The token is looked for once, on first use: that of the configuration, a variable, the token file,
/// the keyring; a browser login that is about to expire is renewed, without a console. It is sent to
/// the Hub alone, never to another host.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    client: hub::Hub,
    token: OnceCell<Option<Token>>,
}

impl Hub {
    /// A client for this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): a variable names a proxy or a certificate file
    /// that is none.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let options = HubOptions::from_settings(&config.settings)?;
        let client = hub::Hub::new(options, Arc::new(Silent))?;
        let shared = Shared {
            config: config.clone(),
            client,
            token: OnceCell::new(),
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
        let Some(token) = self.token(None).await? else {
            return Ok(None);
        };
        let account = self.shared.client.with_token(Some(token)).whoami().await?;
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

    /// The token to send, looked for once. What the user should hear of it goes to `progress`.
    pub(super) async fn token(
        &self,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<Option<Token>, Error> {
        let find = || async {
            let config = &self.shared.config;
            if let Some(token) = &config.token {
                return Ok(Some(token.clone()));
            }
            let step = resolve::plan_for_download(None, &config.env, &config.settings, now())?;
            let notify = move |notice: session::Notice| {
                if let Some(progress) = &progress {
                    progress.event(Event::Notice(Notice::Warning(words(notice))));
                }
            };
            let session = Arc::new(Session::new(config.settings.clone(), Box::new(notify)));
            let found = session.token(step, &self.shared.client).await?;
            Ok::<_, Error>(found.map(|found| found.token))
        };
        self.shared.token.get_or_try_init(find).await.cloned()
    }
}

/// What the user should hear about a token.
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
