//! Sends requests: redirects, the token where it may go, and retries.

use std::sync::atomic::Ordering;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::classify::{RequestContext, Whom, classify};
use super::encoding;
use super::error::HubError;
use super::failure::Failure;
use super::http::Hub;
use super::redirect::{Hop, MAX_REDIRECTS, is_hub, next_hop};
use super::request::{Answer, Request};
use super::retry::{self, GATHER, LONGEST_SERVER_WAIT};
use crate::types::host;
use crate::types::progress::Notice;
use crate::types::token::Token;

impl Hub {
    /// Sends a request, follows redirects and repeats it after transient failures.
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

    /// Waits before another attempt at a request and counts it. One retry budget covers the whole
    /// request, including reading its answer.
    ///
    /// # Errors
    /// The failure itself, when another attempt cannot help or the budget is used up.
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
    /// of their own, such as a download that counts progress. A body in an encoding that cannot be
    /// unpacked here is requested a second time.
    ///
    /// # Errors
    /// A [`Failure`] that says whether trying again may help.
    pub async fn send_once(&self, request: &Request) -> Result<Answer, Failure> {
        let answer = self.send_through(request).await?;
        if request.method == Method::HEAD || !is_unreadable(&answer) {
            return Ok(answer);
        }
        if request.method != Method::GET {
            return Err(unreadable(&answer));
        }
        // Every request with a body to come asks for `identity`. A proxy that compresses all the same
        // may keep to this (RFC 9111, 5.2.1.6), and a cache in between to the first word.
        let again = request
            .clone()
            .header("cache-control", "no-cache, no-transform");
        let answer = self.send_through(&again).await?;
        match is_unreadable(&answer) {
            true => Err(unreadable(&answer)),
            false => Ok(answer),
        }
    }

    async fn send_through(&self, request: &Request) -> Result<Answer, Failure> {
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
                    // The headers about a file may be on any Hub answer of the chain.
                    if let Some(known) = hub_headers.as_mut().filter(|_| hop.is_hub) {
                        merge_missing(known, response.headers());
                    }
                    self.tell_of_rename(&hop.url, &next);
                    hop = next;
                    continue;
                }
            } else if !status.is_success() && !request.any_status {
                let context = RequestContext {
                    what: request.what,
                    whom: match hops {
                        _ if hop.is_hub && request.credential.is_none() => Whom::Hub,
                        0 => Whom::Other,
                        _ => Whom::Redirected,
                    },
                    with_token,
                };
                return Err(self.failure(response, context).await);
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
            // The answer to a HEAD has no body, so this limits all of it.
            builder = builder.timeout(self.options.etag_timeout);
        }
        let sent = tokio::time::timeout(self.stall.timeout(), builder.send());
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

    async fn failure(&self, response: Response, context: RequestContext) -> Failure {
        let status = response.status();
        let host = host(response.url());
        let headers = response.headers().clone();
        let body = self.body(response).error_page().await;
        Failure {
            error: classify(context, &host, status, &headers, &body),
            transient: retry::is_transient(status),
            server_wait: retry::is_transient(status)
                .then(|| retry::server_wait(&headers))
                .flatten(),
        }
    }

    /// Waits as long as the server or the backoff says, telling the user once for all requests that fail together.
    ///
    /// # Errors
    /// The failure itself, when the server asks for more than [`LONGEST_SERVER_WAIT`].
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
                let cause = failure.error.to_string();
                if !self.rounds.begin(&cause, wait) {
                    tokio::time::sleep(wait).await;
                    return Ok(());
                }
                let gather = GATHER.min(wait);
                tokio::time::sleep(gather).await;
                let requests = match self.rounds.requests(&cause) {
                    1 => String::new(),
                    several => format!(" ({several} connections)"),
                };
                let seconds = wait.as_secs_f64().max(1.0);
                self.tell(Notice::Retrying(format!(
                    "{cause}; trying again in {seconds:.0} s{requests}"
                )));
                tokio::time::sleep(wait - gather).await;
                Ok(())
            }
        }
    }

    /// Sends a notice, once, that a repository has another name now.
    fn tell_of_rename(&self, from: &Url, to: &Hop) {
        let renamed = super::look::renamed(from, &to.url).filter(|_| to.is_hub);
        let Some((old, new)) = renamed else { return };
        let topic = format!("renamed {old}");
        let mut told = self.warned_topics.lock().unwrap();
        if !told.contains(&topic) {
            told.push(topic);
            self.tell(Notice::Hint(format!("{old} is called {new} now")));
        }
    }

    /// Sends the message of `X-HF-Warning: topic; message` as a notice, once per topic.
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

fn is_unreadable(answer: &Answer) -> bool {
    encoding::unknown(answer.response.headers()).is_some()
}

/// The error for a body that cannot be unpacked.
fn unreadable(answer: &Answer) -> Failure {
    Failure::fatal(HubError::Encoding {
        host: host(answer.response.url()),
        encoding: encoding::unknown(answer.response.headers()).unwrap_or_default(),
    })
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
