//! Where a redirect may lead, and whether the token goes along. Pure.

use url::{Origin, Url};

use crate::types::{DEFAULT_ENDPOINT, Endpoint, host, without_userinfo};

/// Most redirects followed for one request.
pub const MAX_REDIRECTS: usize = 10;

/// Hosts of the Hub itself besides the configured endpoint (docs/reference.md#hosts-and-redirects).
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
    /// A redirect without a `Location`.
    #[error("the server redirects {from} to nowhere")]
    NoLocation {
        /// Origin and path of what was asked.
        from: String,
    },
    /// A redirect whose `Location` is no address.
    #[error("the server redirects {from} to {location:?}, which is not a web address")]
    BadLocation {
        /// Origin and path of what was asked.
        from: String,
        /// The start of what came, without a query.
        location: String,
    },
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
/// [`RedirectError`] when the target is missing, garbled, of another scheme, or less protected.
pub fn next_hop(
    from: &Url,
    location: Option<&[u8]>,
    endpoint: &Endpoint,
) -> Result<Hop, RedirectError> {
    let asked = || format!("{}{}", host(from), from.path());
    let location = location.filter(|text| !text.trim_ascii().is_empty());
    let location = location.ok_or_else(|| RedirectError::NoLocation { from: asked() })?;
    let garbled = || RedirectError::BadLocation {
        from: asked(),
        location: presentable(location),
    };
    let text = str::from_utf8(location).map_err(|_| garbled())?;
    let mut url = from.join(text).map_err(|_| garbled())?;
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

/// The start of a garbled address: without a query, which may hold a signature, and without what may
/// be a password.
fn presentable(location: &[u8]) -> String {
    const LONGEST: usize = 80;
    let text = String::from_utf8_lossy(location);
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = without_userinfo(text);
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            // The Hub's other names, and what only looks like them.
            ("https://hf.co/x", "https://hf.co/x", true),
            (
                "https://hub-ci.huggingface.co/x",
                "https://hub-ci.huggingface.co/x",
                true,
            ),
            ("https://hf.co:443/x", "https://hf.co/x", true),
            ("http://hf.co/x", "http://hf.co/x", false),
            ("https://hf.co:8443/x", "https://hf.co:8443/x", false),
            ("https://cdn.hf.co/x", "https://cdn.hf.co/x", false),
            (
                "https://hub-ci.huggingface.co.test/x",
                "https://hub-ci.huggingface.co.test/x",
                false,
            ),
            ("//evil.test/x", "http://evil.test/x", false),
            (
                "https://huggingface.co@evil.test/",
                "https://huggingface.co@evil.test/",
                false,
            ),
        ] {
            let hop = next_hop(&from, Some(location.as_bytes()), &endpoint).unwrap();
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
        let hop = next_hop(&from, Some(b"https://huggingface.co/b"), &endpoint).unwrap();
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
                    next_hop(&from, Some(location.as_bytes()), &endpoint),
                    Err(RedirectError::Unsafe { .. })
                ),
                "{location}"
            );
        }
    }

    #[test]
    fn a_garbled_target_is_named() {
        let endpoint = Endpoint::parse("https://huggingface.co").unwrap();
        let from = Url::parse("https://huggingface.co/o/n/resolve/main/f?x=1").unwrap();
        let words = |location: Option<&[u8]>| {
            let refused = next_hop(&from, location, &endpoint).unwrap_err();
            refused.to_string()
        };
        let asked = "the server redirects https://huggingface.co/o/n/resolve/main/f to";
        for nowhere in [None, Some(&b""[..]), Some(b" \t")] {
            assert_eq!(words(nowhere), format!("{asked} nowhere"));
        }
        for (location, shown) in [
            (&b"https://"[..], "https://"),
            (b"https://[::1/x", "https://[::1/x"),
            (
                b"https://cdn.test:port/x?Signature=secret",
                "https://cdn.test:port/x",
            ),
            (
                b"https://u:secret@cdn.test:port/",
                "https://\u{2026}@cdn.test:port/",
            ),
            (b"caf\xe9", "caf\u{fffd}"),
        ] {
            let expected = format!("{asked} {shown:?}, which is not a web address");
            assert_eq!(words(Some(location)), expected);
        }
        let long = words(Some(&[&b"https://a b/"[..], &[b'x'; 5000][..]].concat()));
        assert!(long.len() < 300, "{long}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// For any `Location`: the next hop is a web address, no less protected than the one before, and
        /// counts as the Hub's at the Hub's own origins only; a refusal is short and repeats no signature.
        #[test]
        fn any_location(
            location in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "(https?:|ftp:)?(//)?(u:p@)?(hf\\.co|m\\.test|evil\\.test|\\[::1)?(:[0-9]{0,6})?/?[ -~]{0,20}(\\?Signature=secret)?"
                    .prop_map(String::into_bytes),
            ],
            endpoint in prop_oneof![Just("https://huggingface.co"), Just("http://m.test/p"), Just("https://m.test")],
        ) {
            let endpoint = Endpoint::parse(endpoint).unwrap();
            let from = Url::parse(&format!("{}/o/n", endpoint.as_str())).unwrap();
            match next_hop(&from, Some(&location), &endpoint) {
                Ok(hop) => {
                    prop_assert!(matches!(hop.url.scheme(), "http" | "https"));
                    prop_assert!(from.scheme() == "http" || hop.url.scheme() == "https");
                    let known = ["huggingface.co", "hf.co", "hub-ci.huggingface.co"];
                    let name = hop.url.host_str().unwrap();
                    let is_own = hop.url.origin() == endpoint.url().origin();
                    prop_assert_eq!(hop.is_hub, is_own || known.contains(&name)
                        && hop.url.scheme() == "https" && hop.url.port().is_none());
                }
                Err(error) => {
                    let words = error.to_string();
                    prop_assert!(words.chars().count() < 700, "{}", words);
                    prop_assert!(!words.contains("Signature=secret"), "{}", words);
                }
            }
        }
    }
}
