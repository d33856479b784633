//! The way into Xet storage: a server and a short-lived token for one repository at one commit
//! (docs/reference.md#xet-storage).

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::api::encode_path;
use super::body::Body;
use super::encoding::Encoding;
use super::error::HubError;
use super::failure::Failure;
use super::http::{Hub, Request};
use super::stall::StallPolicy;
use crate::types::is_open_to_eavesdroppers;
use crate::types::progress::{Event, Notice, Progress};
use crate::types::token::Token;
use crate::types::{CommitHash, Repo};

const SERVER: &str = "x-xet-cas-url";
const TOKEN: &str = "x-xet-access-token";
const EXPIRY: &str = "x-xet-token-expiration";

/// Retries of a request to the storage: HTTP can do the same work, so it is left sooner than the Hub.
const RETRIES: u32 = 2;

/// Reads content of one repository at one commit from Xet storage.
#[derive(Debug, Clone)]
pub struct XetAccess {
    /// The storage server.
    pub server: Url,
    /// For that server only; the Hub's own token stays with the Hub.
    pub token: Token,
    /// When the token stops working, in seconds since 1970.
    pub expires_at: u64,
}

impl XetAccess {
    /// Whether the storage's own links must be encrypted as well.
    pub fn is_secure(&self) -> bool {
        self.server.scheme() == "https"
    }
}

impl Hub {
    /// The same client for the servers of Xet storage, which are not the Hub: without its token, with a
    /// rate gate of their own, and with twice the stall timeout, since they may have to gather a file.
    #[must_use]
    pub fn for_storage(&self) -> Self {
        Hub {
            token: None,
            is_for_download: false,
            gate: Arc::default(),
            is_sharing: Arc::new(AtomicBool::new(true)),
            stall: Arc::new(StallPolicy::new(self.stall_timeout().saturating_mul(2))),
            retries: RETRIES,
            observer: Arc::new(Calm {
                observer: Arc::clone(&self.observer),
                told: Mutex::default(),
            }),
            ..self.clone()
        }
    }

    /// Asks the storage server itself, with its own token, about a range of a content: a JSON answer
    /// of at most `most_bytes`.
    ///
    /// # Errors
    /// As [`Hub::send_for_json`].
    pub async fn ask_storage<T: DeserializeOwned>(
        &self,
        access: &XetAccess,
        path: &str,
        range: &Range<u64>,
        most_bytes: usize,
    ) -> Result<T, HubError> {
        let server = access.server.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{server}/{path}")).map_err(|_| bad(SERVER))?;
        let request = Request::new(Method::GET, url)
            .with_credential(access.token.clone())
            .header("range", &header_of(range))
            .at_most(most_bytes);
        self.send_for_json(&request).await.map(|(answer, _)| answer)
    }

    /// Asks for the range of a signed link, exactly as it is signed, and without any token. It is
    /// asked once.
    ///
    /// # Errors
    /// A [`Failure`] that says whether trying again may help; [`HubError::LinkExpired`] when another link is
    /// needed.
    pub async fn storage_range(&self, link: &Url, range: &Range<u64>) -> Result<Body, Failure> {
        let length = range.end - range.start;
        let request = Request::new(Method::GET, link.clone())
            .of_file()
            .expecting(Some(length))
            .header("accept-encoding", "identity")
            .header("range", &header_of(range));
        let answer = self.send_once(&request).await?;
        let headers = answer.response.headers();
        let number = |text: &str| text.parse::<u64>().ok();
        let start = answer.header("content-range").and_then(|text| {
            let (start, _) = text.strip_prefix("bytes ")?.split_once('-')?;
            number(start)
        });
        let is_other = Encoding::of(headers).is_some()
            || start.is_some_and(|start| start != range.start)
            || answer
                .header("content-length")
                .is_some_and(|text| number(text) != Some(length));
        if is_other {
            let reason = "other bytes than were asked for".to_owned();
            return Err(Failure::fatal(HubError::BadAnswer(reason)));
        }
        Ok(self.body(answer.response))
    }

    /// Asks for access to the content of a commit.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] when a header is missing or malformed.
    pub async fn xet_access(
        &self,
        repo: &Repo,
        commit: &CommitHash,
    ) -> Result<XetAccess, HubError> {
        let path = format!(
            "api/{}/{}/xet-read-token/{commit}",
            repo.repo_type.plural(),
            encode_path(repo.id.as_str()),
        );
        let request = Request::new(Method::GET, self.url(&path));
        let answer = self.send(&request).await?;
        let access = access(answer.response.headers())?;
        if is_open_to_eavesdroppers(&access.server) && self.endpoint().url().scheme() == "https" {
            return Err(HubError::BadAnswer(
                "its storage server has no https address".to_owned(),
            ));
        }
        Ok(access)
    }
}

/// Passes on that a request is sent again only now and then: many requests fail together.
struct Calm {
    observer: Arc<dyn Progress>,
    told: Mutex<Option<Instant>>,
}

/// Shortest time between two such notices.
const QUIET: Duration = Duration::from_secs(5);

impl Progress for Calm {
    fn event(&self, event: Event) {
        if matches!(event, Event::Notice(Notice::Retrying(_))) {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|told| told.elapsed() < QUIET) {
                return;
            }
            *told = Some(Instant::now());
        }
        self.observer.event(event);
    }
}

fn header_of(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

fn access(headers: &HeaderMap) -> Result<XetAccess, HubError> {
    let header = |name: &'static str| {
        let text = headers.get(name).and_then(|value| value.to_str().ok());
        // The value stays out of the message: one of them is a secret.
        text.ok_or_else(|| bad(name))
    };
    let server = Url::parse(header(SERVER)?)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let token = Token::clean(header(TOKEN)?).ok().flatten();
    Ok(XetAccess {
        server: server.ok_or_else(|| bad(SERVER))?,
        token: token.ok_or_else(|| bad(TOKEN))?,
        expires_at: header(EXPIRY)?.parse().map_err(|_| bad(EXPIRY))?,
    })
}

fn bad(name: &str) -> HubError {
    HubError::BadAnswer(format!("the header {name} is missing or malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_that_fail_together_are_one_notice() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let observer = Arc::clone(&seen);
        let calm = Calm {
            observer: Arc::new(move |event: Event| observer.lock().unwrap().push(event)),
            told: Mutex::default(),
        };
        let notices = [
            Notice::Retrying("a".to_owned()),
            Notice::Retrying("b".to_owned()),
            Notice::Warning("c".to_owned()),
        ];
        for notice in notices {
            calm.event(Event::Notice(notice));
        }
        let seen: Vec<String> = seen.lock().unwrap().iter().map(Event::to_string).collect();
        assert_eq!(seen, ["a", "c"]);
    }

    #[test]
    fn answers() {
        for (server, token, expiry, is_good) in [
            ("https://cas.test", "secret", "1790000000", true),
            ("http://127.0.0.1:1", "secret", "0", true),
            ("cas.test", "secret", "1", false),
            ("file:///etc", "secret", "1", false),
            ("local:///x", "secret", "1", false),
            ("https://cas.test", " ", "1", false),
            ("https://cas.test", "secret", "soon", false),
        ] {
            let headers: HeaderMap = [
                ("x-xet-cas-url", server),
                ("x-xet-access-token", token),
                ("x-xet-token-expiration", expiry),
            ]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
            let answer = access(&headers);
            assert_eq!(answer.is_ok(), is_good, "{server} {token} {expiry}");
            assert!(!format!("{answer:?}").contains("secret"));
        }
        assert!(access(&HeaderMap::new()).is_err());
    }
}
