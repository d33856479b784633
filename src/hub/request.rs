//! A request before it is sent, and its answer.

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use super::classify::Subject;
use super::redirect::Hop;
use crate::types::Endpoint;
use crate::types::token::Token;

/// Most bytes of a JSON answer, unless a request says otherwise: an account with all its
/// organisations has some kilobytes.
const JSON: usize = 1 << 20;

/// A request, not yet sent. GET and HEAD are repeated after transient failures; a POST is sent once. It has no
/// `Debug`: a form may hold secrets.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) form: Option<Vec<(String, String)>>,
    pub(super) json: Option<serde_json::Value>,
    pub(super) follow: bool,
    pub(super) once: bool,
    pub(super) any_status: bool,
    /// A credential for this URL's own origin, which need not be the Hub.
    pub(super) credential: Option<Token>,
    /// For what it asks.
    pub(super) what: Subject,
    /// Whether the answer is so long that it is worth a connection of its own.
    pub(super) is_large: bool,
    /// Most bytes of a JSON answer.
    pub(super) most_bytes: usize,
    /// Whether a JSON answer has to be there soon, however steadily it comes.
    pub(super) is_brief: bool,
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
            what: Subject::Api,
            is_large: false,
            most_bytes: JSON,
            is_brief: false,
        }
    }

    /// Asks for a file, whose content may lie behind a signed link.
    #[must_use]
    pub fn of_file(mut self) -> Self {
        self.what = Subject::File;
        self
    }

    /// Expects this many bytes, or an unknown number. Long answers get their own connections.
    #[must_use]
    pub fn expecting(mut self, bytes: Option<u64>) -> Self {
        /// Above this size a connection of its own is faster than a shared one.
        const LARGE: u64 = 1 << 20;
        self.is_large = bytes.is_none_or(|bytes| bytes > LARGE);
        self
    }

    /// Lets a JSON answer have this many bytes instead of a megabyte.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Gives the body of a JSON answer twice the stall timeout in all, and no more: for answers of a
    /// few hundred bytes. One that keeps coming after that is an error.
    #[must_use]
    pub fn brief(mut self) -> Self {
        self.is_brief = true;
        self
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

    /// Sends it once, even where a repetition is harmless: for answers that are not required.
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

    pub(super) fn may_repeat(&self) -> bool {
        !self.once && matches!(self.method, Method::GET | Method::HEAD)
    }

    pub(super) fn has_body(&self) -> bool {
        self.form.is_some() || self.json.is_some()
    }

    /// The token that may be sent on this hop. An endpoint with a user name in its address gets
    /// those (see [`Request::login`]) and no token, as from the Python client: a request has room
    /// for one authorization.
    pub(super) fn authorization<'a>(
        &'a self,
        hop: &Hop,
        token: Option<&'a Token>,
        endpoint: &Endpoint,
    ) -> Option<&'a Token> {
        match &self.credential {
            Some(own) => Some(own).filter(|_| hop.url.origin() == self.url.origin()),
            None => token.filter(|_| hop.is_hub && self.login(hop, endpoint).is_none()),
        }
    }

    /// User name and password for this hop: those in the endpoint's address, for its own origin.
    pub(super) fn login(&self, hop: &Hop, endpoint: &Endpoint) -> Option<(String, String)> {
        let own = endpoint.url();
        let has_login = !own.username().is_empty() || own.password().is_some();
        let is_meant = self.credential.is_none() && hop.url.origin() == own.origin();
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        (has_login && is_meant).then(|| {
            let password = own.password().unwrap_or_default();
            (decoded(own.username()), decoded(password))
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::redirect::is_hub;

    #[test]
    fn one_authorization_a_hop() {
        let token = Token::clean("hf_some_token_0000").unwrap().unwrap();
        let (with, without) = ("https://u:p%40ss@m.test/x", "https://m.test/x");
        for (endpoint, address, is_token, login) in [
            (without, "https://m.test/x/api", true, None),
            (with, "https://m.test/x/api", false, Some("u p@ss")),
            // A redirect to the same origin repeats no password, and a link may hold another one.
            (with, "https://other:secret@m.test/y", false, Some("u p@ss")),
            ("https://u@m.test", "https://m.test/y", false, Some("u ")),
            (with, "https://m.test:444/y", false, None),
            (with, "https://cdn.test/y", false, None),
            (with, "https://u:p@cdn.test/y", false, None),
            (with, "https://huggingface.co/y", true, None),
        ] {
            let (endpoint, url) = (
                Endpoint::parse(endpoint).unwrap(),
                Url::parse(address).unwrap(),
            );
            let request = Request::new(Method::GET, Url::parse(with).unwrap());
            let hop = Hop {
                is_hub: is_hub(&url, &endpoint),
                url,
            };
            let sent = request.authorization(&hop, Some(&token), &endpoint);
            assert_eq!(sent.is_some(), is_token, "{address}");
            let seen = request
                .login(&hop, &endpoint)
                .map(|(user, password)| format!("{user} {password}"));
            assert_eq!(seen.as_deref(), login, "{address}");
        }
    }
}
