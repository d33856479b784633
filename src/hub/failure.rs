//! An attempt that failed, and whether another one may help.

use std::time::Duration;

use url::Url;

use super::error::HubError;

/// Words that the hint looks for.
const PROXY_LOGIN: &str = "the proxy wants a user name and password, or others";

const NO_ANSWER: &str = "no answer in time";

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

    /// The request was sent and nothing came.
    pub fn silent(url: &Url) -> Self {
        Failure {
            error: HubError::Unreachable {
                host: host(url),
                reason: NO_ANSWER.to_owned(),
            },
            transient: true,
            server_wait: None,
        }
    }

    /// A proxy in between wants to know who asks.
    pub fn proxy_login(url: &Url) -> Self {
        Failure::fatal(HubError::Unreachable {
            host: host(url),
            reason: PROXY_LOGIN.to_owned(),
        })
    }

    /// The same, through a proxy: it may be to blame.
    #[must_use]
    pub fn through(mut self, proxy: &str) -> Self {
        if let HubError::Unreachable { host, .. } = &mut self.error {
            *host = format!("{host} through the proxy {proxy}");
        }
        self
    }

    /// No answer, or one that broke off.
    pub fn network(url: &Url, error: &reqwest::Error) -> Self {
        let reason = if error.is_timeout() {
            NO_ANSWER.to_owned()
        } else {
            innermost(error)
        };
        // So the client calls the answer 407 to CONNECT.
        if reason.ends_with("proxy authorization required") {
            return Failure::proxy_login(url);
        }
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
        // `Other`: there is no authority to ask (see `super::tls`).
        return matches!(
            error,
            rustls::Error::InvalidCertificate(_) | rustls::Error::Other(_)
        );
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

/// Scheme, host and port of a URL: what may be shown of it.
pub fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost cause of an error: the one that says something. The outer ones repeat the URL.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
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
