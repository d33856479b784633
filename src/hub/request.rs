//! A request before it is sent, and its answer.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use super::redirect::Hop;
use crate::token::Token;

/// A request, not yet sent. GET and HEAD are repeated on trouble; a POST is sent once. It has no
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

    pub(super) fn may_repeat(&self) -> bool {
        !self.once && matches!(self.method, Method::GET | Method::HEAD)
    }

    pub(super) fn has_body(&self) -> bool {
        self.form.is_some() || self.json.is_some()
    }

    /// What may be sent as authorization on this hop.
    pub(super) fn authorization<'a>(
        &'a self,
        hop: &Hop,
        token: Option<&'a Token>,
    ) -> Option<&'a Token> {
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
