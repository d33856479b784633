//! Which Hub gave a login. A refresh token goes to that one and to no other; an access token goes
//! wherever `HF_ENDPOINT` says, as the Python clients send it, and a warning says when that is
//! another Hub.
//!
//! The key `endpoint` of a section of `stored_tokens` names it; without the key it is the public Hub,
//! where nearly all logins are from. For a token from a variable, an option, or a token file without
//! a saved login, the Hub is unknown.

use std::fmt;

use crate::types::{DEFAULT_ENDPOINT, Endpoint, host};

/// The short name of the public Hub, which leads to it.
const SHORT_NAME: &str = "https://hf.co";

/// A Hub that gave a login: scheme, host, port and path, without the password that a mirror's
/// address may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The Hub at an endpoint.
    pub fn of(endpoint: &Endpoint) -> Issuer {
        let origin = host(endpoint.url());
        let path = endpoint.url().path().trim_end_matches('/');
        let text = format!("{origin}{path}");
        Issuer(if text == SHORT_NAME {
            DEFAULT_ENDPOINT.to_owned()
        } else {
            text
        })
    }

    /// The Hub that a section names. An invalid address is kept as it is: it equals no Hub, so its
    /// login is never renewed.
    pub fn stored(text: Option<&str>) -> Issuer {
        match text.map(str::trim).filter(|text| !text.is_empty()) {
            None => Issuer(DEFAULT_ENDPOINT.to_owned()),
            Some(text) => match Endpoint::parse(text) {
                Ok(endpoint) => Issuer::of(&endpoint),
                Err(_) => Issuer(text.to_owned()),
            },
        }
    }

    /// Whether it is the Hub at this endpoint.
    pub fn is(&self, endpoint: &Endpoint) -> bool {
        *self == Issuer::of(endpoint)
    }

    /// What to store: nothing for the public Hub.
    pub fn to_store(&self) -> Option<&str> {
        (self.0 != DEFAULT_ENDPOINT).then_some(self.0.as_str())
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Issuer::stored(None)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_comes_back_the_same(text in "\\PC{0,40}|https?://[a-z@:./0-9\\-é?#]{0,30}") {
            let issuer = Issuer::stored(Some(&text));
            let again = Issuer::stored(issuer.to_store());
            proptest::prop_assert_eq!(again, issuer);
        }
    }

    #[test]
    fn one_hub_has_one_name() {
        let at = |text: &str| Endpoint::parse(text).unwrap();
        for (stored, endpoint, expected) in [
            (None, "https://huggingface.co", true),
            (Some(" "), "https://HuggingFace.co:443/", true),
            (None, "https://hf.co", true),
            (None, "http://huggingface.co", false),
            (None, "https://hub.test", false),
            (None, "https://huggingface.co.evil.test", false),
            (None, "https://huggingface.co@evil.test", false),
            (Some("https://hub.test/"), "https://hub.test", true),
            (Some("https://hub.test"), "https://u:p@hub.test", true),
            (Some("https://hub.test"), "https://hub.test:8443", false),
            (Some("https://hub.test/a"), "https://hub.test/a/", true),
            (Some("https://hub.test/a"), "https://hub.test/b", false),
            (Some("https://hub.test"), "https://huggingface.co", false),
            (Some("hub.test"), "https://hub.test", false),
            (Some("ftp://hub.test"), "https://hub.test", false),
        ] {
            let issuer = Issuer::stored(stored);
            assert_eq!(issuer.is(&at(endpoint)), expected, "{stored:?} {endpoint}");
            let again = Issuer::stored(issuer.to_store());
            assert_eq!(again, issuer, "what is stored comes back the same");
        }
        let issuer = Issuer::of(&at("https://user:secret@hub.test/x"));
        assert_eq!(issuer.to_string(), "https://hub.test/x");
        assert_eq!(Issuer::default().to_store(), None);
    }
}
