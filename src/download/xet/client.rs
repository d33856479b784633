//! Requests to the storage: plans with its token, ranges by signed links.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;

use super::answer::{Answer, OldAnswer};
use super::plan::{Fetch, Flaw, Window, plan};
use super::reuse::{Term, terms};
use crate::hub::http::Failure;
use crate::hub::xet::XetAccess;
use crate::hub::{Body, Hub, HubError, Reason, StatusCode};
use crate::types::token::Token;
use crate::types::{CommitHash, Repo};

/// Most bytes of an answer with a plan. One for 256 MiB has some kilobytes, and some megabytes when hardly a
/// chunk of it stands beside another.
const PLAN: usize = 16 << 20;

/// A token is replaced this many seconds before its end, so that it does not end on the way.
const MARGIN: u64 = 30;

/// The storage of one repository at one commit.
pub struct Storage {
    /// Gives access.
    hub: Hub,
    /// Speaks to the storage.
    client: Hub,
    repo: Repo,
    commit: CommitHash,
    access: Mutex<Known>,
    /// The storage has plans of version 1 only.
    is_old: AtomicBool,
}

/// What is known of access to the storage.
#[derive(Default)]
enum Known {
    /// No file needed it so far.
    #[default]
    Nothing,
    /// The Hub gave it.
    Access {
        access: XetAccess,
        /// By this machine's clock it had ended when it came, twice: the clock is wrong, or the Hub's is. It
        /// is used until the storage refuses it.
        is_timeless: bool,
    },
    /// The Hub gives none, for this reason.
    Refused(String),
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// The Hub gives no access.
    #[error("{0}")]
    Access(String),
    /// The storage did not answer, or refused.
    #[error("{0}")]
    Storage(HubError),
    /// The answer cannot be right.
    #[error("{0}")]
    Flaw(#[from] Flaw),
}

impl NoPlan {
    /// The reason in words, to follow "Xet storage cannot be used".
    pub fn words(&self) -> String {
        match self {
            NoPlan::Access(reason) => reason.clone(),
            NoPlan::Storage(error) => describe(error).to_owned(),
            NoPlan::Flaw(_) => "it sent a plan that makes no sense".to_owned(),
        }
    }
}

impl Storage {
    /// The storage for a commit of a repository. No request is made yet.
    pub fn new(hub: Hub, repo: Repo, commit: CommitHash) -> Self {
        Storage {
            client: hub.for_storage(),
            hub,
            repo,
            commit,
            access: Mutex::default(),
            is_old: AtomicBool::new(false),
        }
    }

    /// The client that speaks to the storage.
    pub fn client(&self) -> &Hub {
        &self.client
    }

    /// What to fetch for a window of the content with this Xet hash.
    ///
    /// # Errors
    /// [`NoPlan`].
    pub async fn plan(&self, hash: &str, window: &Window, size: u64) -> Result<Vec<Fetch>, NoPlan> {
        let (answer, is_secure) = self.answer(hash, &window.range).await?;
        Ok(plan(&answer, window, size, is_secure)?)
    }

    /// What the whole content with this Xet hash and size, in bytes, is made of.
    ///
    /// # Errors
    /// [`NoPlan`].
    pub async fn terms(&self, hash: &str, size: u64) -> Result<Vec<Term>, NoPlan> {
        let (answer, _) = self.answer(hash, &(0..size)).await?;
        Ok(terms(&answer, size)?)
    }

    /// The storage's answer, and whether it must give links over https alone.
    async fn answer(&self, hash: &str, range: &Range<u64>) -> Result<(Answer, bool), NoPlan> {
        let access = self.access(None).await?;
        let (access, answer) = match self.ask(&access, hash, range).await {
            Err(error) if is_status(&error, StatusCode::UNAUTHORIZED) => {
                let access = self.access(Some(&access.token)).await?;
                let answer = self.ask(&access, hash, range).await;
                (access, answer)
            }
            answer => (access, answer),
        };
        let answer = answer.map_err(NoPlan::Storage)?;
        Ok((answer, access.is_secure()))
    }

    /// Asks for the range of a fetch.
    ///
    /// # Errors
    /// As [`Hub::storage_range`].
    pub async fn open(&self, fetch: &Fetch) -> Result<Body, Failure> {
        self.client.storage_range(&fetch.url, &fetch.bytes).await
    }

    async fn ask(
        &self,
        access: &XetAccess,
        hash: &str,
        range: &Range<u64>,
    ) -> Result<Answer, HubError> {
        if !self.is_old.load(Ordering::Relaxed) {
            let path = format!("v2/reconstructions/{hash}");
            let answer = self.client.ask_storage(access, &path, range, PLAN).await;
            let is_unknown = |status| answer.as_ref().is_err_and(|e| is_status(e, status));
            if !is_unknown(StatusCode::NOT_FOUND) && !is_unknown(StatusCode::NOT_IMPLEMENTED) {
                return answer;
            }
        }
        let path = format!("v1/reconstructions/{hash}");
        let answer = self.client.ask_storage(access, &path, range, PLAN).await;
        let answer: OldAnswer = answer?;
        self.is_old.store(true, Ordering::Relaxed);
        Ok(answer.into())
    }

    /// Access that works for a while, other than with the token `refused`. One request for all that
    /// need it.
    async fn access(&self, refused: Option<&Token>) -> Result<XetAccess, NoPlan> {
        let mut known = self.access.lock().await;
        let is_refused = |access: &XetAccess| {
            refused.is_some_and(|token| token.expose() == access.token.expose())
        };
        match &*known {
            Known::Refused(reason) => return Err(NoPlan::Access(reason.clone())),
            Known::Access {
                access,
                is_timeless,
            } if (*is_timeless || !is_ending(access)) && !is_refused(access) => {
                return Ok(access.clone());
            }
            _ => {}
        }
        match self.ask_hub().await {
            Ok(access) => {
                *known = Known::Access {
                    is_timeless: is_ending(&access),
                    access: access.clone(),
                };
                Ok(access)
            }
            Err(error) => {
                let reason = error.to_string();
                *known = Known::Refused(reason.clone());
                Err(NoPlan::Access(reason))
            }
        }
    }

    async fn ask_hub(&self) -> Result<XetAccess, HubError> {
        let mut access = self.hub.xet_access(&self.repo, &self.commit).await?;
        if is_ending(&access) {
            // The Hub may have kept it for a while.
            access = self.hub.xet_access(&self.repo, &self.commit).await?;
        }
        let server = access.server.authority();
        self.hub.trace(|| format!("Xet storage at {server}"));
        Ok(access)
    }
}

fn is_ending(access: &XetAccess) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    access.expires_at < now.saturating_add(MARGIN)
}

fn is_status(error: &HubError, wanted: StatusCode) -> bool {
    matches!(error, HubError::Status { status, .. } if *status == wanted)
}

/// What went wrong at the storage, for a person.
pub fn describe(error: &HubError) -> &'static str {
    match error {
        HubError::Stalled { .. } => "its server sends nothing",
        HubError::Unreachable {
            reason: Reason::NoAnswer,
            ..
        } => "its server does not answer in time",
        HubError::Unreachable { .. } => "its server cannot be reached",
        HubError::LinkExpired => "its links have expired",
        HubError::Status { status, .. } => match status.as_u16() {
            401 | 403 => "its server does not accept the token",
            404 | 416 => "it does not have the file",
            429 => "its server asks to slow down",
            500.. => "its server is in trouble",
            _ => "its server refuses",
        },
        HubError::BadAnswer(_) | HubError::Redirect(_) => "it sent an answer that makes no sense",
        HubError::Page { .. } => "a web page came in place of its answer",
        HubError::NoDescriptors => "too many files and connections are open on this machine",
        _ => "its server refuses",
    }
}
