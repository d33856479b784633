//! Addresses of a Hub, and what may be shown of a web address.

use url::Url;

/// The public Hub.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Not an http or https URL with a host; shown without the password it may hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadEndpoint(String);

/// Base URL of a Hub: http or https, no trailing slash, perhaps a path prefix (a mirror).
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    text: String,
}

impl std::fmt::Debug for Endpoint {
    /// Without the password that a mirror's address may hold.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.shown())
    }
}

impl Default for Endpoint {
    /// The public Hub.
    fn default() -> Self {
        Endpoint::parse(DEFAULT_ENDPOINT).expect("a web address")
    }
}

impl Endpoint {
    /// Parses a base URL.
    ///
    /// # Errors
    /// [`BadEndpoint`] when it is not an http or https URL with a host. A password
    /// inside the URL is not repeated in the error.
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let text = text.trim().trim_end_matches('/');
        let bad = || BadEndpoint(without_userinfo(text));
        let url = Url::parse(text).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad());
        }
        Ok(Endpoint {
            url,
            text: text.to_owned(),
        })
    }

    /// The endpoint as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The endpoint as a URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether this is the public Hub.
    pub fn is_default(&self) -> bool {
        self.text == DEFAULT_ENDPOINT
    }

    /// The endpoint as it may be shown: without the password that a mirror's address may hold.
    pub fn shown(&self) -> String {
        without_userinfo(&self.text)
    }

    /// A warning before a token is sent there, when others on the network can read it.
    pub fn eavesdropping(&self) -> Option<String> {
        is_open_to_eavesdroppers(&self.url).then(|| {
            format!(
                "HF_ENDPOINT is {}: over plain http, anyone on the network path can read the token.",
                self.shown()
            )
        })
    }

    /// A warning that no token is sent there: the user name and password in the address go in its place.
    pub fn replaces_token(&self) -> Option<&'static str> {
        let has_login = !self.url.username().is_empty() || self.url.password().is_some();
        has_login.then_some(
            "The user name and password in HF_ENDPOINT are sent in place of the token: \
             a request can carry only one of them.",
        )
    }

    /// Page where tokens are made.
    pub fn tokens_page(&self) -> String {
        format!("{}/settings/tokens", self.shown())
    }
}

/// Whether what is sent there crosses a network unencrypted.
pub fn is_open_to_eavesdroppers(url: &Url) -> bool {
    let stays_here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() != "https" && !stays_here
}

/// A web address without the user name and password it may hold.
pub fn without_userinfo(text: &str) -> String {
    // Proxies are often written without a scheme, and a password may hold anything.
    let (scheme, rest) = split_scheme(text);
    match (scheme, rest.rfind('@')) {
        (_, None) => text.to_owned(),
        (Some(scheme), Some(at)) => format!("{scheme}://…{}", &rest[at..]),
        (None, Some(at)) => format!("…{}", &rest[at..]),
    }
}

/// The scheme before `://` (RFC 3986, 3.1), if there is one, and what follows.
pub fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text),
    }
}

/// Scheme, host and port of a URL: what may be shown of it.
pub fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        assert_eq!(
            Endpoint::parse("https://hub.test/p/").unwrap().as_str(),
            "https://hub.test/p"
        );
        for bad in ["", "hub.test", "ftp://hub.test", "file:///x"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
        let error = Endpoint::parse("ftp://user:secret@hub.test").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn userinfo_is_never_shown() {
        for (text, expected) in [
            ("http://u:p@h:1/x", "http://…@h:1/x"),
            ("socks5h://u:p@h", "socks5h://…@h"),
            ("u:p@h:1", "…@h:1"),
            (":p@://", "…@://"),
            ("a b:p@://h", "…@://h"),
            ("http://u:a://b@h", "http://…@h"),
            ("http://h/x", "http://h/x"),
            ("h:1", "h:1"),
        ] {
            assert_eq!(without_userinfo(text), expected, "{text}");
        }
    }
}
