//! The Hub client and its options; [`super::send`] sends requests with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Response;
use url::Url;

use super::body::Body;
use super::client::{builder, install_crypto, sharing_builder};
use super::error::HubError;
pub use super::failure::Failure;
use super::failure::innermost;
use super::limit::Limiter;
pub use super::options::HubOptions;
pub use super::request::{Answer, Request};
use super::retry::{MAX_RETRIES, RateGate, Rounds};
use super::stall::StallPolicy;
use crate::config::proxy::Proxy;
use crate::types::Endpoint;
use crate::types::progress::{Event, Notice, Progress};
use crate::types::token::Token;

/// The client: connection pool, options, rate gate, and the token it sends. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    pub(super) client: reqwest::Client,
    /// Speaks HTTP/2 where the server does.
    pub(super) sharing: reqwest::Client,
    /// Whether shared connections worked so far.
    pub(super) is_sharing: Arc<AtomicBool>,
    pub(super) options: Arc<HubOptions>,
    pub(super) gate: Arc<RateGate>,
    pub(super) rounds: Arc<Rounds>,
    pub(super) observer: Arc<dyn Progress>,
    pub(super) token: Option<Token>,
    pub(super) is_for_download: bool,
    pub(super) warned_topics: Arc<std::sync::Mutex<Vec<String>>>,
    pub(super) retries: u32,
    pub(super) stall: Arc<StallPolicy>,
    pub(super) limiter: Option<Arc<Limiter>>,
}

impl Hub {
    /// Sets up a client that sends its notices to `observer`. No connection is made yet.
    ///
    /// # Errors
    /// [`HubError::Setup`] when a certificate or a proxy setting is unusable.
    pub fn new(options: HubOptions, observer: Arc<dyn Progress>) -> Result<Self, HubError> {
        install_crypto();
        let is_encrypted = options.endpoint.url().scheme() == "https";
        let tls = super::tls::config(
            options.ca_bundle.clone(),
            options.is_system_ca_replaced,
            is_encrypted && !options.offline,
        );
        let tls = tls.map_err(HubError::Setup)?;
        let made = |builder: reqwest::ClientBuilder| {
            let client = builder.redirect(reqwest::redirect::Policy::none()).build();
            client.map_err(|error| HubError::Setup(innermost(&error)))
        };
        let client = made(builder(&options, tls.clone())?.http1_only())?;
        let sharing = super::tls::with_http2(&tls);
        let sharing = made(sharing_builder(builder(&options, sharing)?))?;
        Ok(Hub {
            client,
            sharing,
            is_sharing: Arc::new(AtomicBool::new(true)),
            stall: Arc::new(StallPolicy::new(options.download_timeout)),
            limiter: None,
            options: Arc::new(options),
            gate: Arc::default(),
            rounds: Arc::default(),
            observer,
            token: None,
            is_for_download: false,
            warned_topics: Arc::default(),
            retries: MAX_RETRIES,
        })
    }

    /// The same client with this many retries: fewer where a cached copy can serve instead.
    #[must_use]
    pub fn with_retries(&self, retries: u32) -> Self {
        Hub {
            retries,
            ..self.clone()
        }
    }

    /// The same client with this token, or without one. It is sent to the Hub's own hosts only
    /// (see [`super::redirect`]).
    #[must_use]
    pub fn with_token(&self, token: Option<Token>) -> Self {
        Hub {
            token,
            ..self.clone()
        }
    }

    /// The same client for one download. Its requests say that they belong to a download
    /// (docs/reference.md#requests). It learns by itself how slow connections are and whether they can
    /// be shared: what held for an earlier download need not hold any more.
    #[must_use]
    pub fn for_download(&self) -> Self {
        Hub {
            is_for_download: true,
            is_sharing: Arc::new(AtomicBool::new(true)),
            stall: Arc::new(StallPolicy::new(self.stall.timeout())),
            ..self.clone()
        }
    }

    /// The same client, which sends its notices to another observer.
    #[must_use]
    pub fn with_observer(&self, observer: Arc<dyn Progress>) -> Self {
        Hub {
            observer,
            // What was told to another observer was not told to this one.
            rounds: Arc::default(),
            ..self.clone()
        }
    }

    /// The same client with another stall timeout (see [`super::stall`]).
    #[must_use]
    pub fn with_stall_timeout(&self, timeout: Duration) -> Self {
        Hub {
            stall: Arc::new(StallPolicy::new(timeout)),
            ..self.clone()
        }
    }

    /// The same client with a limit on what all its connections receive together, in bytes a second.
    #[must_use]
    pub fn with_limit(&self, bytes_per_second: u64) -> Self {
        Hub {
            limiter: Some(Arc::new(Limiter::new(bytes_per_second))),
            ..self.clone()
        }
    }

    /// Whether the user's rate limit slows connections down at the moment.
    pub fn is_held_back(&self) -> bool {
        self.limiter
            .as_ref()
            .is_some_and(|limiter| limiter.is_holding_back())
    }

    /// The body of an answer, to be received.
    pub fn body(&self, response: Response) -> Body {
        let proxy = self.proxy_of(response.url());
        Body::new(response, Arc::clone(&self.stall), self.limiter.clone())
            .through(proxy)
            .sharing(Arc::clone(&self.is_sharing))
    }

    /// A connection broke, is silent or too slow. All requests that share it would suffer, and a new
    /// one would use it again. From now on each request has its own connection.
    pub(super) fn share_no_more(&self) {
        self.is_sharing.store(false, Ordering::Relaxed);
    }

    /// The proxy that a request to this address goes through, as it may be shown.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<String> {
        self.options.proxies.of(url).map(Proxy::shown)
    }

    /// The Hub this client talks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.options.endpoint
    }

    /// Longest silence while an answer is waited for or read.
    pub fn stall_timeout(&self) -> Duration {
        self.stall.timeout()
    }

    /// The time limit for a whole brief answer, even one that keeps coming: for routes about logins.
    pub(super) fn brief_limit(&self) -> Duration {
        self.stall_timeout().saturating_mul(2)
    }

    /// The URL of a path below the endpoint. The path must be percent-encoded already.
    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}/{path}", self.options.endpoint.as_str()))
            .expect("an endpoint with an encoded path is a URL")
    }

    /// Value of the `user-agent` header.
    pub fn user_agent(&self) -> &str {
        &self.options.user_agent
    }

    /// Longest wait for a connection.
    pub fn connect_timeout(&self) -> Duration {
        self.options.etag_timeout
    }

    /// A line for `HF_DEBUG`. Never a secret.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.options.debug {
            self.tell(Notice::Trace(line()));
        }
    }

    /// Sends a notice to the observer.
    pub fn tell(&self, notice: Notice) {
        self.observer.event(Event::Notice(notice));
    }

    /// The gate that all requests of this client pass.
    pub fn gate(&self) -> &RateGate {
        &self.gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;
    use crate::config::settings::Settings;
    use crate::types::progress::Silent;

    #[test]
    fn each_download_learns_for_itself() {
        let settings = Settings::resolve(&Env::from_pairs("/home/u", [])).unwrap();
        let options = HubOptions::from_settings(&settings).unwrap();
        let hub = Hub::new(options, Arc::new(Silent)).unwrap();
        let slow = hub.for_download();
        let clone = slow.with_retries(1);
        clone.share_no_more();
        clone.stall.was_slow(&clone.stall.timer());
        let window = |hub: &Hub| hub.stall.timer().window();
        assert!(!slow.is_sharing.load(Ordering::Relaxed));
        assert_eq!(window(&slow), hub.stall_timeout() * 2);
        for other in [hub.for_download(), hub] {
            assert!(other.is_sharing.load(Ordering::Relaxed));
            assert_eq!(window(&other), other.stall_timeout());
        }
    }
}
