//! An attempt that failed, and whether another one may help.

use std::error::Error;
use std::io;
use std::time::Duration;

use url::Url;

use crate::types::host;

use super::error::{CertificateFlaw, HubError, Reason};
use super::tls::BadBundle;

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
            error: unreachable(url, Reason::NoAnswer),
            transient: true,
            server_wait: None,
        }
    }

    /// A proxy in between requires a login.
    pub fn proxy_login(url: &Url) -> Self {
        Failure::fatal(unreachable(url, Reason::ProxyLogin))
    }

    /// Names the proxy of the request in the error, if there is one: it may be the cause.
    #[must_use]
    pub fn through(mut self, proxy: Option<&str>) -> Self {
        if let (Some(proxy), HubError::Unreachable { host, .. } | HubError::Stalled { host, .. }) =
            (proxy, &mut self.error)
        {
            *host = format!("{host} through the proxy {proxy}");
        }
        self
    }

    /// No answer, or one that ended too early.
    pub fn network(url: &Url, error: &reqwest::Error) -> Self {
        if let Some(bad) = find::<BadBundle>(error) {
            return Failure::fatal(HubError::Setup(bad.to_string()));
        }
        if is_about_descriptors(error) {
            return Failure {
                error: HubError::NoDescriptors,
                // Other requests of this process end and free their descriptors.
                transient: true,
                server_wait: None,
            };
        }
        let words = innermost(error);
        let reason = match certificate_flaw(error) {
            _ if error.is_timeout() => Reason::NoAnswer,
            Some(flaw) => Reason::Certificate(flaw, words),
            // The HTTP crate's words for the answer 407 to CONNECT; it has no type for it.
            None if words.ends_with("proxy authorization required") => Reason::ProxyLogin,
            None if has_ended_early(error) => Reason::Broken,
            None => Reason::Other(words),
        };
        let is_final = matches!(reason, Reason::Certificate(..) | Reason::ProxyLogin);
        Failure {
            error: unreachable(url, reason),
            transient: !is_final && !error.is_builder(),
            server_wait: None,
        }
    }
}

fn unreachable(url: &Url, reason: Reason) -> HubError {
    HubError::Unreachable {
        host: host(url),
        reason,
    }
}

/// Why a certificate is refused, if that is what failed. Another attempt ends in the same way.
fn certificate_flaw(error: &(dyn Error + 'static)) -> Option<CertificateFlaw> {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match find::<rustls::Error>(error)? {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => Some(CertificateFlaw::Time),
        // `Other`: there is no authority to ask (see `super::tls`).
        rustls::Error::InvalidCertificate(_) | rustls::Error::Other(_) => {
            Some(CertificateFlaw::Authority)
        }
        _ => None,
    }
}

/// Whether the connection was closed in the middle of an answer, or before it.
fn has_ended_early(error: &(dyn Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| {
        let io = error.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
            // The HTTP crate's words for an answer that has not begun; it has no public type for them here.
            || error.to_string() == "connection closed before message completed"
    })
}

/// Whether the system refused another file or connection: for this process or for all.
fn is_about_descriptors(error: &(dyn Error + 'static)) -> bool {
    use crate::sys::limits::is_about_descriptors as is_full;
    // A name lookup needs descriptors as well, and reports another error when there are none.
    let is_lookup = || {
        let text = innermost(error);
        text.contains("lookup") || text.contains("Name or service") || text.contains("System error")
    };
    find::<io::Error>(error).is_some_and(is_full)
        || is_lookup() && std::fs::File::open("/dev/null").is_err_and(|error| is_full(&error))
}

/// The first error of this type in a chain of causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let found = error.downcast_ref::<E>();
        // An I/O error with a system error number has no inner error.
        let is_shell = error
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.get_ref().is_some());
        if found.is_some() && !is_shell {
            return found;
        }
        // The source of an I/O error is not the error inside it, but that one's source.
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match (inside, error.downcast_ref::<rustls::Error>()) {
            (Some(inside), _) => Some(inside),
            (None, Some(rustls::Error::Other(other))) => Some(other.0.as_ref()),
            _ => error.source(),
        };
    }
    None
}

/// The innermost cause of an error: the one that says something. The outer ones repeat the URL.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // Rust appends the system's error number, which helps no user.
    let text = cause.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// An outer error, as the HTTP client wraps an inner one.
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_found_wherever_they_are() {
        let refused = rustls::Error::Other(rustls::OtherError(Arc::new(BadBundle {
            variable: "X",
            path: "/x".into(),
            reason: "y".to_owned(),
        })));
        let tls = Outer(io::Error::other(io::Error::new(
            io::ErrorKind::InvalidData,
            refused,
        )));
        assert!(find::<BadBundle>(&tls).is_some());
        assert_eq!(certificate_flaw(&tls), Some(CertificateFlaw::Authority));
        assert!(!is_about_descriptors(&tls));
        for (number, expected) in [(24, true), (23, true), (111, false), (104, false)] {
            let plain = Outer(io::Error::from_raw_os_error(number));
            assert_eq!(is_about_descriptors(&plain), expected, "{number}");
            let wrapped = Outer(io::Error::other(Outer(io::Error::from_raw_os_error(
                number,
            ))));
            assert_eq!(is_about_descriptors(&wrapped), expected, "{number}");
            assert_eq!(certificate_flaw(&wrapped), None);
        }
    }

    #[test]
    fn a_certificate_of_another_time_is_told_from_one_of_a_stranger() {
        use rustls::CertificateError::{Expired, NotValidYet, Revoked, UnknownIssuer};
        for (refused, expected) in [
            (Expired, CertificateFlaw::Time),
            (NotValidYet, CertificateFlaw::Time),
            (UnknownIssuer, CertificateFlaw::Authority),
            (Revoked, CertificateFlaw::Authority),
        ] {
            let tls = rustls::Error::InvalidCertificate(refused);
            let error = Outer(io::Error::new(io::ErrorKind::InvalidData, tls));
            assert_eq!(certificate_flaw(&error), Some(expected));
        }
        let other = rustls::Error::HandshakeNotComplete;
        assert_eq!(certificate_flaw(&Outer(io::Error::other(other))), None);
    }

    #[test]
    fn the_proxy_is_named_beside_the_host() {
        let url = Url::parse("https://h.test/x").unwrap();
        let words = |failure: Failure| failure.error.to_string();
        let stalled = || {
            Failure::fatal(HubError::Stalled {
                host: host(&url),
                bytes: 0,
                seconds: 10,
            })
        };
        assert_eq!(
            words(Failure::silent(&url).through(Some("http://p:1 (X)"))),
            "cannot reach https://h.test through the proxy http://p:1 (X): no answer in time"
        );
        assert_eq!(
            words(stalled().through(Some("http://p:1 (X)"))),
            "the server https://h.test through the proxy http://p:1 (X) sent nothing for 10 s"
        );
        assert_eq!(
            words(stalled().through(None)),
            "the server https://h.test sent nothing for 10 s"
        );
    }
}
