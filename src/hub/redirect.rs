//! Where a redirect may lead, and whether the token goes along. Pure.

use url::{Origin, Url};

use super::failure::host;
use crate::settings::{DEFAULT_ENDPOINT, Endpoint};

/// Most redirects followed for one request.
pub const MAX_REDIRECTS: usize = 10;

/// Hosts of the Hub itself besides the configured endpoint (REFERENCE 4).
const HUB_HOSTS: [&str; 3] = [
    "https://huggingface.co",
    "https://hf.co",
    "https://hub-ci.huggingface.co",
];

/// The next request of a redirect chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Where to ask.
    pub url: Url,
    /// Whether this host is the Hub: only then may the token be sent.
    pub is_hub: bool,
}

/// A redirect that must not be followed. Hosts are named, queries are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// More than [`MAX_REDIRECTS`].
    #[error("the server redirects without end")]
    TooMany,
    /// A redirect without a usable `Location`.
    #[error("the server redirects to nowhere")]
    NoLocation,
    /// From https to http, or to another scheme altogether.
    #[error("the server redirects to {scheme}://{host}, which is not safe to follow")]
    Unsafe {
        /// Scheme of the refused target.
        scheme: String,
        /// Host of the refused target.
        host: String,
    },
}

/// Whether a URL belongs to the Hub: the endpoint's origin or one of the Hub's known hosts. Origins
/// are compared whole: scheme, host and port.
pub fn is_hub(url: &Url, endpoint: &Endpoint) -> bool {
    let origin: Origin = url.origin();
    origin == endpoint.url().origin()
        || HUB_HOSTS
            .iter()
            .any(|host| Url::parse(host).is_ok_and(|hub| hub.origin() == origin))
}

/// A link to the public Hub as the mirror that sent it should have written it: a mirror passes on
/// what the Hub says, and the Hub names itself. `None` when the link leads elsewhere, or the
/// endpoint is no mirror.
pub fn on_mirror(link: &Url, endpoint: &Endpoint) -> Option<Url> {
    let origin = endpoint.url().origin();
    let is_hubs_own = |host: &str| Url::parse(host).is_ok_and(|hub| hub.origin() == origin);
    if HUB_HOSTS.iter().any(|host| is_hubs_own(host)) || host(link) != DEFAULT_ENDPOINT {
        return None;
    }
    let path = &link[url::Position::BeforePath..url::Position::AfterQuery];
    Url::parse(&format!("{}{path}", endpoint.as_str())).ok()
}

/// The next hop after an answer at `from` with this `Location`.
///
/// # Errors
/// [`RedirectError`] when the target is missing, of another scheme, or less protected.
pub fn next_hop(
    from: &Url,
    location: Option<&str>,
    endpoint: &Endpoint,
) -> Result<Hop, RedirectError> {
    let location = location.ok_or(RedirectError::NoLocation)?;
    let mut url = from.join(location).map_err(|_| RedirectError::NoLocation)?;
    if from.origin() == endpoint.url().origin()
        && let Some(own) = on_mirror(&url, endpoint)
        // A mirror that leaves this very request to the public Hub means what it says.
        && own != *from
    {
        url = own;
    }
    let is_downgrade = from.scheme() == "https" && url.scheme() != "https";
    if is_downgrade || !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(RedirectError::Unsafe {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
        });
    }
    let is_hub = is_hub(&url, endpoint);
    Ok(Hop { url, is_hub })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_hub_hosts_only() {
        let endpoint = Endpoint::parse("http://127.0.0.1:8080/prefix").unwrap();
        let from = Url::parse("http://127.0.0.1:8080/prefix/o/n/resolve/main/f").unwrap();
        for (location, url, is_hub) in [
            ("/api/x", "http://127.0.0.1:8080/api/x", true),
            ("g", "http://127.0.0.1:8080/prefix/o/n/resolve/main/g", true),
            (
                "http://127.0.0.1:9090/x?sig=1",
                "http://127.0.0.1:9090/x?sig=1",
                false,
            ),
            (
                "https://127.0.0.1:8080/x",
                "https://127.0.0.1:8080/x",
                false,
            ),
            (
                "https://huggingface.co/api/x?y=1",
                "http://127.0.0.1:8080/prefix/api/x?y=1",
                true,
            ),
            (
                "https://huggingface.co/o/n/resolve/main/f",
                "https://huggingface.co/o/n/resolve/main/f",
                true,
            ),
            ("http://huggingface.co/x", "http://huggingface.co/x", false),
            (
                "https://huggingface.co:444/x",
                "https://huggingface.co:444/x",
                false,
            ),
            (
                "https://huggingface.co.evil.test/x",
                "https://huggingface.co.evil.test/x",
                false,
            ),
            ("//evil.test/x", "http://evil.test/x", false),
            (
                "https://huggingface.co@evil.test/",
                "https://huggingface.co@evil.test/",
                false,
            ),
        ] {
            let hop = next_hop(&from, Some(location), &endpoint).unwrap();
            assert_eq!((hop.url.as_str(), hop.is_hub), (url, is_hub), "{location}");
        }
    }

    #[test]
    fn a_mirrors_links_are_its_own() {
        for (endpoint, link, expected) in [
            (
                "https://m.test",
                "https://huggingface.co/a?b=%20c",
                Some("https://m.test/a?b=%20c"),
            ),
            (
                "http://m.test/p",
                "https://huggingface.co/a",
                Some("http://m.test/p/a"),
            ),
            ("https://m.test", "https://huggingface.co:444/a", None),
            ("https://m.test", "http://huggingface.co/a", None),
            ("https://m.test", "https://huggingface.co.evil.test/a", None),
            ("https://m.test", "https://cdn.test/a", None),
            ("https://huggingface.co", "https://huggingface.co/a", None),
            (
                "https://hub-ci.huggingface.co",
                "https://huggingface.co/a",
                None,
            ),
        ] {
            let endpoint = Endpoint::parse(endpoint).unwrap();
            let own = on_mirror(&Url::parse(link).unwrap(), &endpoint);
            assert_eq!(own.as_ref().map(Url::as_str), expected, "{link}");
        }
    }

    #[test]
    fn the_public_hub_sends_nobody_to_a_mirror() {
        let endpoint = Endpoint::parse("http://m.test").unwrap();
        let from = Url::parse("https://huggingface.co/a").unwrap();
        let hop = next_hop(&from, Some("https://huggingface.co/b"), &endpoint).unwrap();
        assert_eq!(hop.url.as_str(), "https://huggingface.co/b");
    }

    #[test]
    fn unsafe_targets_are_refused() {
        let endpoint = Endpoint::parse("https://huggingface.co").unwrap();
        let from = Url::parse("https://huggingface.co/x").unwrap();
        for location in [
            "http://huggingface.co/x",
            "file:///etc/passwd",
            "ftp://a.test/x",
            "data:,x",
        ] {
            assert!(
                matches!(
                    next_hop(&from, Some(location), &endpoint),
                    Err(RedirectError::Unsafe { .. })
                ),
                "{location}"
            );
        }
        assert_eq!(
            next_hop(&from, None, &endpoint),
            Err(RedirectError::NoLocation)
        );
    }
}
