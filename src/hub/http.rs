//! One HTTP client for everything: headers, timeouts, retries, redirects.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::body::Body;
use super::classify::{Asked, Whom, classify};
use super::error::HubError;
pub use super::failure::Failure;
use super::failure::innermost;
use super::limit::Limiter;
use super::names::SystemNames;
pub use super::options::HubOptions;
use super::redirect::{Hop, MAX_REDIRECTS, is_hub, next_hop};
pub use super::request::{Answer, Request};
use super::retry::{self, LONGEST_SERVER_WAIT, MAX_RETRIES, RateGate};
use super::stall::Patience;
use crate::config::proxy::Proxy;
use crate::types::Endpoint;
use crate::types::host;
use crate::types::progress::{Event, Notice, Progress};
use crate::types::token::Token;

/// The client: connection pool, options, rate gate, and the token it sends. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    client: reqwest::Client,
    /// Speaks HTTP/2 where the server does.
    sharing: reqwest::Client,
    /// Whether that went well so far.
    is_sharing: Arc<AtomicBool>,
    tls: rustls::ClientConfig,
    options: Arc<HubOptions>,
    gate: Arc<RateGate>,
    observer: Arc<dyn Progress>,
    token: Option<Token>,
    is_for_download: bool,
    warned_topics: Arc<std::sync::Mutex<Vec<String>>>,
    retries: u32,
    patience: Arc<Patience>,
    limiter: Option<Arc<Limiter>>,
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
            tls,
            patience: Arc::new(Patience::new(options.download_timeout)),
            limiter: None,
            options: Arc::new(options),
            gate: Arc::default(),
            observer,
            token: None,
            is_for_download: false,
            warned_topics: Arc::default(),
            retries: MAX_RETRIES,
        })
    }

    /// The same client with less patience: this many retries. For questions to which there is
    /// another answer at hand.
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

    /// The same client, whose requests say that they belong to a download
    /// (docs/reference.md#requests).
    #[must_use]
    pub fn for_download(&self) -> Self {
        Hub {
            is_for_download: true,
            ..self.clone()
        }
    }

    /// The same client, which sends its notices to another observer.
    #[must_use]
    pub fn with_observer(&self, observer: Arc<dyn Progress>) -> Self {
        Hub {
            observer,
            ..self.clone()
        }
    }

    /// The same client with another stall timeout (see [`super::stall`]).
    #[must_use]
    pub fn with_stall_timeout(&self, timeout: Duration) -> Self {
        Hub {
            patience: Arc::new(Patience::new(timeout)),
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

    /// Whether it is the user's limit that holds connections back.
    pub fn is_held_back(&self) -> bool {
        self.limiter
            .as_ref()
            .is_some_and(|limiter| limiter.is_holding_back())
    }

    /// The body of an answer, to be received.
    pub fn body(&self, response: Response) -> Body {
        let proxy = self.proxy_of(response.url());
        Body::new(response, Arc::clone(&self.patience), self.limiter.clone())
            .through(proxy)
            .sharing(Arc::clone(&self.is_sharing))
    }

    /// A client for a storage server beside the Hub: through the same proxies, trusting the same
    /// authorities, and knowing nothing of the Hub's token. `silence`: its longest one.
    ///
    /// # Errors
    /// As [`Hub::new`].
    pub fn storage_client(&self, silence: Duration) -> Result<reqwest::Client, HubError> {
        builder(&self.options, self.tls.clone())?
            .http1_only()
            .read_timeout(silence)
            .build()
            .map_err(|error| HubError::Setup(innermost(&error)))
    }

    /// A connection broke, fell silent or trickles. All that share it would suffer, and a new request
    /// would meet the same one: from now on each has one of its own again.
    fn share_no_more(&self) {
        self.is_sharing.store(false, Ordering::Relaxed);
    }

    /// The proxy that a request to this address goes through, as it may be shown.
    fn proxy_of(&self, url: &Url) -> Option<String> {
        self.options.proxies.of(url).map(Proxy::shown)
    }

    /// The Hub this client talks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.options.endpoint
    }

    /// Longest silence while an answer is waited for or read.
    pub fn stall_timeout(&self) -> Duration {
        self.patience.timeout()
    }

    /// How long a brief answer may take, all in all, however steadily it comes: routes that look up a
    /// login, and no more.
    pub(super) fn patience_with_brief(&self) -> Duration {
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

    /// Says something to whoever set `HF_DEBUG`. Never a secret.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.options.debug {
            self.tell(Notice::Trace(line()));
        }
    }

    /// Tells the user something, as the sender of requests.
    pub fn tell(&self, notice: Notice) {
        self.observer.event(Event::Notice(notice));
    }

    /// The gate that all requests of this client pass.
    pub fn gate(&self) -> &RateGate {
        &self.gate
    }

    /// Sends a request, following redirects and repeating what is worth repeating.
    ///
    /// # Errors
    /// [`HubError`] for every answer that is not a success, and for no answer.
    pub async fn send(&self, request: &Request) -> Result<Answer, HubError> {
        let mut retries = 0;
        loop {
            match self.send_once(request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.retry(request, &mut retries, failure).await?,
            }
        }
    }

    /// Waits before another attempt at a request and counts it. One count is for all that may go
    /// wrong with a request, the reading of its answer included.
    ///
    /// # Errors
    /// The failure itself, when another attempt is no use or there were enough.
    pub(super) async fn retry(
        &self,
        request: &Request,
        retries: &mut u32,
        failure: Failure,
    ) -> Result<(), HubError> {
        if !failure.transient || !request.may_repeat() || *retries >= self.retries {
            return Err(failure.error);
        }
        self.wait_before_retry(*retries, failure).await?;
        *retries += 1;
        Ok(())
    }

    /// One attempt through the whole redirect chain, without retry. For callers with a retry rule
    /// of their own, such as a download that counts progress.
    ///
    /// # Errors
    /// A [`Failure`] that says whether trying again may help.
    pub async fn send_once(&self, request: &Request) -> Result<Answer, Failure> {
        if self.options.offline {
            return Err(Failure::fatal(HubError::Offline));
        }
        let mut hop = Hop {
            is_hub: is_hub(&request.url, &self.options.endpoint),
            url: request.url.clone(),
        };
        let mut hub_headers: Option<HeaderMap> = None;
        let mut with_token = false;
        for hops in 0..=MAX_REDIRECTS {
            with_token |=
                request.credential.is_none() && self.authorization(request, &hop).is_some();
            self.gate.pass().await;
            let response = self.send_hop(request, &hop).await?;
            self.pass_on_warning(response.headers());
            let status = response.status();
            if hop.is_hub && hub_headers.is_none() {
                hub_headers = Some(response.headers().clone());
            }
            if is_redirect(status) {
                let location = response.headers().get("location");
                let location = location.map(HeaderValue::as_bytes);
                let next = next_hop(&hop.url, location, &self.options.endpoint)
                    .map_err(|error| Failure::fatal(error.into()))?;
                if request.has_body() && !next.is_hub {
                    // A body holds secrets (a refresh token), which no other host may see.
                    return Err(Failure::fatal(HubError::Redirect(
                        super::redirect::RedirectError::Unsafe {
                            scheme: next.url.scheme().to_owned(),
                            host: next.url.host_str().unwrap_or_default().to_owned(),
                        },
                    )));
                }
                if request.follow || next.is_hub {
                    // What matters about a file may stand on any Hub answer of the chain.
                    if let Some(known) = &mut hub_headers {
                        merge_missing(known, response.headers());
                    }
                    hop = next;
                    continue;
                }
            } else if !status.is_success() && !request.any_status {
                let asked = Asked {
                    what: request.what,
                    whom: match hops {
                        _ if hop.is_hub && request.credential.is_none() => Whom::Hub,
                        0 => Whom::Other,
                        _ => Whom::Redirected,
                    },
                    with_token,
                };
                return Err(self.failure(response, asked).await);
            }
            return Ok(Answer {
                response,
                hub_headers: hub_headers.unwrap_or_default(),
                is_foreign: !hop.is_hub,
            });
        }
        Err(Failure::fatal(
            super::redirect::RedirectError::TooMany.into(),
        ))
    }

    /// The token that may be sent on this hop of a request.
    fn authorization<'a>(&'a self, request: &'a Request, hop: &Hop) -> Option<&'a Token> {
        request.authorization(hop, self.token.as_ref(), &self.options.endpoint)
    }

    async fn send_hop(&self, request: &Request, hop: &Hop) -> Result<Response, Failure> {
        let client = match self.is_sharing.load(Ordering::Relaxed) && !request.is_large {
            true => &self.sharing,
            false => &self.client,
        };
        let mut builder = client
            .request(request.method.clone(), without_login(&hop.url))
            .headers(request.headers.clone());
        if self.is_for_download {
            builder = builder.header("x-hf-download-counter", "1");
        }
        let token = self.authorization(request, hop);
        if let Some(token) = token {
            builder = builder.header("authorization", bearer(token));
        } else if let Some((user, password)) = request.login(hop, &self.options.endpoint) {
            builder = builder.basic_auth(user, Some(password));
        }
        if let Some(form) = &request.form {
            builder = builder.form(form);
        }
        if let Some(json) = &request.json {
            builder = builder.json(json);
        }
        if request.method == Method::HEAD {
            // Its answer is all there is to wait for.
            builder = builder.timeout(self.options.etag_timeout);
        }
        let sent = tokio::time::timeout(self.patience.timeout(), builder.send());
        let result = match sent.await {
            Ok(Ok(answer)) if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(Failure::proxy_login(&hop.url))
            }
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failure::network(&hop.url, &error)),
            Err(_) => Err(Failure::silent(&hop.url)),
        };
        if result.is_err() {
            self.share_no_more();
        }
        let result = result.map_err(|failure| failure.through(self.proxy_of(&hop.url).as_deref()));
        self.trace(|| {
            let outcome = match &result {
                Ok(response) => response.status().to_string(),
                Err(failure) => failure.error.to_string(),
            };
            // Neither headers nor query: the one holds tokens, the other signatures.
            format!(
                "{} {}{} {}→ {outcome}",
                request.method,
                host(&hop.url),
                hop.url.path(),
                if token.is_some() { "(with token) " } else { "" },
            )
        });
        result
    }

    async fn failure(&self, response: Response, asked: Asked) -> Failure {
        let status = response.status();
        let host = host(response.url());
        let headers = response.headers().clone();
        let body = self.body(response).error_page().await;
        Failure {
            error: classify(asked, &host, status, &headers, &body),
            transient: retry::is_transient(status),
            server_wait: retry::is_transient(status)
                .then(|| retry::server_wait(&headers))
                .flatten(),
        }
    }

    /// Waits as long as the server or the backoff says, telling the user once.
    ///
    /// # Errors
    /// The failure itself, when the server asks for more patience than anyone has.
    pub async fn wait_before_retry(&self, retries: u32, failure: Failure) -> Result<(), HubError> {
        match failure.server_wait {
            Some(wait) if wait > LONGEST_SERVER_WAIT => Err(failure.error),
            Some(wait) => {
                if self.gate.close_for(wait) {
                    self.tell(Notice::Waiting(format!(
                        "{}; waiting {} s as the server asks",
                        failure.error,
                        wait.as_secs()
                    )));
                }
                self.gate.pass().await;
                Ok(())
            }
            None => {
                let wait = retry::backoff(retries, fastrand::f64());
                self.tell(Notice::Retrying(format!(
                    "{}; trying again in {:.0} s",
                    failure.error,
                    wait.as_secs_f64().max(1.0)
                )));
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    /// Shows `X-HF-Warning: topic; message` once per topic.
    fn pass_on_warning(&self, headers: &HeaderMap) {
        for value in headers.get_all("x-hf-warning") {
            let Ok(text) = value.to_str() else { continue };
            let (topic, message) = match text.split_once(';') {
                Some((topic, message)) => (topic.trim(), message.trim()),
                None => ("", text.trim()),
            };
            let mut warned = self.warned_topics.lock().unwrap();
            if !message.is_empty() && !warned.iter().any(|known| known == topic) {
                warned.push(topic.to_owned());
                self.tell(Notice::Warning(message.to_owned()));
            }
        }
    }
}

/// What all clients have in common.
fn builder(
    options: &HubOptions,
    tls: rustls::ClientConfig,
) -> Result<reqwest::ClientBuilder, HubError> {
    let builder = reqwest::Client::builder()
        .user_agent(options.user_agent.clone())
        .referer(false)
        .connect_timeout(options.etag_timeout)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(SystemNames))
        .tls_backend_preconfigured(tls);
    let proxies = &options.proxies;
    if proxies.is_empty() {
        // The system's own, where it has a place for them.
        return Ok(builder);
    }
    let proxies = proxies.clone();
    let choose = move |url: &Url| proxies.of(url).map(|proxy| proxy.url.clone());
    Ok(builder.no_proxy().proxy(reqwest::Proxy::custom(choose)))
}

/// Many small requests over one connection, which spares the making of the others. Large files have
/// connections of their own: several of them carry more than one that is shared.
fn sharing_builder(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    /// Bytes that may be under way: all of a small file in one round trip, some of them at a time.
    const WINDOW: u32 = 2 << 20;
    builder
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(4 * WINDOW)
}

/// Makes the one crypto library known to rustls; the first call counts.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when a provider is there already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The address without the user name and password that it may hold: they are sent as a header of
/// our own choice.
fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Fails only for addresses that cannot have any.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

fn bearer(token: &Token) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .expect("a token holds visible ASCII only");
    value.set_sensitive(true);
    value
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn merge_missing(known: &mut HeaderMap, more: &HeaderMap) {
    for (name, value) in more {
        if !known.contains_key(name) {
            known.insert(name.clone(), value.clone());
        }
    }
}
