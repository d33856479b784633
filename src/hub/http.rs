//! One HTTP client for everything: headers, timeouts, retries, redirects.

use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::{HubError, classify};
use super::redirect::{Hop, MAX_REDIRECTS, is_hub, next_hop};
use super::retry::{self, LONGEST_SERVER_WAIT, MAX_RETRIES, RateGate};
use crate::settings::{Endpoint, Settings};
use crate::token::Token;

/// What the hub tells while it works: a wait, a warning from the server, or, with `HF_DEBUG`, each
/// request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A wait or a retry, in words for a person.
    Waiting(String),
    /// `X-HF-Warning`: the server's words.
    Warning(String),
    /// A line for `HF_DEBUG`.
    Trace(String),
}

/// Receives notices; called from many threads.
pub type Notify = Arc<dyn Fn(Notice) + Send + Sync>;

/// What a client is made of.
#[derive(Clone)]
pub struct HubOptions {
    /// The Hub to talk to.
    pub endpoint: Endpoint,
    /// Refuse every request.
    pub offline: bool,
    /// Longest wait for a connection, and for the answer to a HEAD request.
    pub etag_timeout: Duration,
    /// Longest silence while an answer is read.
    pub download_timeout: Duration,
    /// Value of the `user-agent` header.
    pub user_agent: String,
    /// More certificate authorities, in PEM.
    pub extra_ca: Option<Vec<u8>>,
    /// Trace requests.
    pub debug: bool,
}

impl HubOptions {
    /// Options for these settings.
    ///
    /// # Errors
    /// [`HubError::Setup`] when the file of certificate authorities cannot be read.
    pub fn from_settings(settings: &Settings) -> Result<Self, HubError> {
        let extra_ca = match &settings.ca_bundle {
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                HubError::Setup(format!("cannot read {}: {error}", path.display()))
            })?),
            None => None,
        };
        Ok(HubOptions {
            endpoint: settings.endpoint.clone(),
            offline: settings.offline,
            etag_timeout: settings.etag_timeout,
            download_timeout: settings.download_timeout,
            user_agent: user_agent(settings.user_agent_origin.as_deref()),
            extra_ca,
            debug: settings.debug,
        })
    }
}

fn user_agent(origin: Option<&str>) -> String {
    let mut text = format!(
        "hf-cli/{}; {}/{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    if let Some(origin) = origin {
        text.push_str("; origin/");
        text.extend(origin.chars().filter(|c| c.is_ascii_graphic() || *c == ' '));
    }
    text
}

/// A request, not yet sent. GET and HEAD are repeated on trouble; a POST is sent once. It has no
/// `Debug`: a form may hold secrets.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    form: Option<Vec<(String, String)>>,
    json: Option<serde_json::Value>,
    follow: bool,
    once: bool,
    any_status: bool,
    /// A credential for this URL's own origin, which need not be the Hub.
    credential: Option<Token>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: Url) -> Self {
        Request {
            method,
            url,
            headers: HeaderMap::new(),
            form: None,
            json: None,
            follow: true,
            once: false,
            any_status: false,
            credential: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sends a form.
    #[must_use]
    pub fn form(mut self, fields: Vec<(String, String)>) -> Self {
        self.form = Some(fields);
        self
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(mut self, body: serde_json::Value) -> Self {
        self.json = Some(body);
        self
    }

    /// Follows redirects within the Hub, but answers with the redirect that leaves it.
    #[must_use]
    pub fn stop_at_foreign_redirect(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Sends it a single time, even where a repetition would be harmless: for questions whose
    /// answer is nice to have.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Answers with any final status instead of failing: OAuth says in the body what is wrong
    /// (RFC 6749, 5.2).
    #[must_use]
    pub fn accept_any_status(mut self) -> Self {
        self.any_status = true;
        self
    }

    /// Sends this credential, in place of the Hub's token, to the origin of the request's own URL
    /// and to no other.
    #[must_use]
    pub fn with_credential(mut self, credential: Token) -> Self {
        self.credential = Some(credential);
        self
    }

    fn may_repeat(&self) -> bool {
        !self.once && matches!(self.method, Method::GET | Method::HEAD)
    }

    fn has_body(&self) -> bool {
        self.form.is_some() || self.json.is_some()
    }

    /// What may be sent as authorization on this hop.
    fn authorization<'a>(&'a self, hop: &Hop, token: Option<&'a Token>) -> Option<&'a Token> {
        match &self.credential {
            Some(own) => Some(own).filter(|_| hop.url.origin() == self.url.origin()),
            None => token.filter(|_| hop.is_hub),
        }
    }
}

/// A successful answer (2xx, or the foreign redirect that was asked for).
#[derive(Debug)]
pub struct Answer {
    /// Status, headers and the body to be read.
    pub response: Response,
    /// Headers of the first Hub answer of a redirect chain, which carry what the CDN does not know.
    pub hub_headers: HeaderMap,
    /// Whether the body comes from a signed link outside the Hub.
    pub is_foreign: bool,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// The client: connection pool, options, rate gate. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    client: reqwest::Client,
    options: Arc<HubOptions>,
    gate: Arc<RateGate>,
    notify: Notify,
    warned_topics: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Hub {
    /// Sets up a client. No connection is made yet.
    ///
    /// # Errors
    /// [`HubError::Setup`] when a certificate or a proxy setting is unusable.
    pub fn new(options: HubOptions, notify: Notify) -> Result<Self, HubError> {
        install_crypto();
        let mut builder = reqwest::Client::builder()
            .user_agent(options.user_agent.clone())
            // Several TCP connections carry more than one shared by many streams.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(options.etag_timeout)
            .read_timeout(options.download_timeout)
            .tcp_nodelay(true);
        if let Some(pem) = &options.extra_ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| HubError::Setup(innermost(&error)))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| HubError::Setup(innermost(&error)))?;
        Ok(Hub {
            client,
            options: Arc::new(options),
            gate: Arc::default(),
            notify,
            warned_topics: Arc::default(),
        })
    }

    /// The Hub this client talks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.options.endpoint
    }

    /// Longest silence while an answer is read.
    pub fn download_timeout(&self) -> Duration {
        self.options.download_timeout
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
        (self.notify)(notice);
    }

    /// The gate that all requests of this client pass.
    pub fn gate(&self) -> &RateGate {
        &self.gate
    }

    /// Sends a request, following redirects and repeating what is worth repeating.
    ///
    /// # Errors
    /// [`HubError`] for every answer that is not a success, and for no answer.
    pub async fn send(&self, request: &Request, token: Option<&Token>) -> Result<Answer, HubError> {
        let mut retries = 0;
        loop {
            let failure = match self.send_once(request, token).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.transient || !request.may_repeat() || retries >= MAX_RETRIES {
                return Err(failure.error);
            }
            self.wait_before_retry(retries, failure).await?;
            retries += 1;
        }
    }

    /// Sends a request and parses its JSON answer.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] when the body is not the expected JSON.
    pub async fn send_for_json<T: DeserializeOwned>(
        &self,
        request: &Request,
        token: Option<&Token>,
    ) -> Result<(T, HeaderMap), HubError> {
        let mut retries = 0;
        loop {
            let answer = self.send(request, token).await?;
            let headers = answer.response.headers().clone();
            match answer.response.bytes().await {
                Ok(body) => {
                    return serde_json::from_slice(&body)
                        .map(|value| (value, headers))
                        .map_err(|error| {
                            HubError::BadAnswer(format!("unexpected JSON ({error})"))
                        });
                }
                // The answer broke off in the middle: the same as not answering.
                Err(error) => {
                    let failure = Failure::network(&request.url, &error);
                    if !request.may_repeat() || retries >= MAX_RETRIES {
                        return Err(failure.error);
                    }
                    self.wait_before_retry(retries, failure).await?;
                    retries += 1;
                }
            }
        }
    }

    /// One attempt through the whole redirect chain, without retry. For callers with a retry rule
    /// of their own, such as a download that counts progress.
    ///
    /// # Errors
    /// A [`Failure`] that says whether trying again may help.
    pub async fn send_once(
        &self,
        request: &Request,
        token: Option<&Token>,
    ) -> Result<Answer, Failure> {
        if self.options.offline {
            return Err(Failure::fatal(HubError::Offline));
        }
        let mut hop = Hop {
            is_hub: is_hub(&request.url, &self.options.endpoint),
            url: request.url.clone(),
        };
        let mut hub_headers: Option<HeaderMap> = None;
        for _ in 0..=MAX_REDIRECTS {
            self.gate.pass().await;
            let response = self.send_hop(request, &hop, token).await?;
            self.pass_on_warning(response.headers());
            let status = response.status();
            if hop.is_hub && hub_headers.is_none() {
                hub_headers = Some(response.headers().clone());
            }
            if is_redirect(status) {
                let location = response
                    .headers()
                    .get("location")
                    .and_then(|v| v.to_str().ok());
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
                return Err(self.failure(response, !hop.is_hub).await);
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

    async fn send_hop(
        &self,
        request: &Request,
        hop: &Hop,
        token: Option<&Token>,
    ) -> Result<Response, Failure> {
        let mut builder = self
            .client
            .request(request.method.clone(), hop.url.clone())
            .headers(request.headers.clone());
        let token = request.authorization(hop, token);
        if let Some(token) = token {
            builder = builder.header("authorization", bearer(token));
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
        let result = builder.send().await;
        if self.options.debug {
            let outcome = match &result {
                Ok(response) => response.status().to_string(),
                Err(error) => innermost(error),
            };
            // Neither headers nor query: the one holds tokens, the other signatures.
            self.tell(Notice::Trace(format!(
                "{} {}{} {}→ {outcome}",
                request.method,
                host(&hop.url),
                hop.url.path(),
                if token.is_some() { "(with token) " } else { "" },
            )));
        }
        result.map_err(|error| Failure::network(&hop.url, &error))
    }

    async fn failure(&self, response: Response, signed_link: bool) -> Failure {
        let status = response.status();
        let headers = response.headers().clone();
        // An error page that does not arrive changes nothing about the error.
        let body = response.text().await.unwrap_or_default();
        Failure {
            error: classify(status, &headers, &body, signed_link),
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
                self.tell(Notice::Waiting(format!(
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

/// A failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub error: HubError,
    /// Whether trying again may help.
    pub transient: bool,
    /// The wait that the server asked for.
    pub server_wait: Option<Duration>,
}

impl Failure {
    /// Trying again does not help.
    pub fn fatal(error: HubError) -> Self {
        Failure {
            error,
            transient: false,
            server_wait: None,
        }
    }

    /// No answer, or one that broke off.
    pub fn network(url: &Url, error: &reqwest::Error) -> Self {
        let reason = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            innermost(error)
        };
        Failure {
            error: HubError::Unreachable {
                host: host(url),
                reason,
            },
            transient: !error.is_builder() && !is_certificate_error(error),
            server_wait: None,
        }
    }
}

/// Whether the other side could not prove who it is: no patience mends that.
fn is_certificate_error(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    // The source of an I/O error is not the error inside it, but that one's source.
    let inside = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    match inside {
        Some(inside) => is_certificate_error(inside),
        None => error.source().is_some_and(is_certificate_error),
    }
}

/// Makes the one crypto library known to rustls; the first call counts.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when a provider is there already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
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

/// Scheme, host and port of a URL: what may be shown of it.
pub fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost cause of an error: the one that says something. The outer ones repeat the URL.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // Rust appends the number of the system's error, which tells nobody more.
    let text = cause.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}
