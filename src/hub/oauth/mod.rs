//! The Hub's OAuth routes: device login (RFC 8628), refresh (RFC 6749, 6), token exchange (RFC 8693).

mod answer;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

pub use self::answer::{DeviceCode, Granted};
use self::answer::{device_code, granted, secret};
use super::error::HubError;
use super::http::{Failure, Hub, Request};
use crate::types::host;
use crate::types::token::Token;

/// Most bytes of an answer; a real one has a few thousand.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why there is no token. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// The server said no, with a code of RFC 6749, RFC 8628 or its own.
    #[error("the Hub says {code}{}", detail(description))]
    Refused {
        /// `authorization_pending`, `invalid_grant`…
        code: String,
        /// The server's words; may be empty.
        description: String,
    },
    /// No answer, or none that can be understood.
    #[error(transparent)]
    Hub(#[from] HubError),
}

fn detail(description: &str) -> String {
    if description.is_empty() {
        String::new()
    } else {
        format!(" ({description})")
    }
}

impl Hub {
    /// Begins a device login.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn device_code(&self, client_id: &str) -> Result<DeviceCode, OAuthError> {
        let form = vec![("client_id".to_owned(), client_id.to_owned())];
        let request = Request::new(Method::POST, self.url("oauth/device")).form(form);
        device_code(self.ask_oauth(request, self.brief_limit()).await?)
    }

    /// Asks whether the user has agreed by now.
    ///
    /// # Errors
    /// [`OAuthError::Refused`] with `authorization_pending` as long as not.
    pub async fn device_token(
        &self,
        client_id: &str,
        device_code: &Token,
    ) -> Result<Granted, OAuthError> {
        let form = vec![
            (
                "grant_type".to_owned(),
                "urn:ietf:params:oauth:grant-type:device_code".to_owned(),
            ),
            ("device_code".to_owned(), device_code.expose().to_owned()),
            ("client_id".to_owned(), client_id.to_owned()),
        ];
        self.token(form, self.brief_limit()).await
    }

    /// Exchanges a refresh token; the whole answer has to come within `patience`. The server may
    /// forget the old one the moment it answers.
    ///
    /// # Errors
    /// [`OAuthError::Refused`] with `invalid_grant` when it is used up or revoked.
    pub async fn refresh(
        &self,
        client_id: &str,
        refresh_token: &Token,
        patience: Duration,
    ) -> Result<Granted, OAuthError> {
        let form = vec![
            ("grant_type".to_owned(), "refresh_token".to_owned()),
            (
                "refresh_token".to_owned(),
                refresh_token.expose().to_owned(),
            ),
            ("client_id".to_owned(), client_id.to_owned()),
        ];
        self.token(form, patience).await
    }

    /// Exchanges the identity token of a CI job for a token that is valid for `resource`.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn exchange_identity(
        &self,
        identity: &Token,
        resource: &str,
    ) -> Result<Granted, OAuthError> {
        let body = json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "subject_token": identity.expose(),
            "resource": resource,
        });
        let request = Request::new(Method::POST, self.url("oauth/token")).json(body);
        granted(self.ask_oauth(request, self.brief_limit()).await?)
    }

    /// Asks GitHub Actions for the identity token of the job. `credential` goes to that URL's origin
    /// only; the Hub's token does not go there at all.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] when there is no identity token in the answer.
    pub async fn identity_of_job(&self, url: &Url, credential: &Token) -> Result<Token, HubError> {
        let mut url = url.clone();
        let audience = self.endpoint().as_str().to_owned();
        url.query_pairs_mut().append_pair("audience", &audience);
        let request = Request::new(Method::GET, url.clone())
            .with_credential(credential.clone())
            .brief();
        let (answer, _): (Value, _) = self.send_for_json(&request).await?;
        secret(&answer["value"])
            .ok_or_else(|| HubError::BadAnswer(format!("{} gives no identity token", host(&url))))
    }

    async fn token(
        &self,
        form: Vec<(String, String)>,
        patience: Duration,
    ) -> Result<Granted, OAuthError> {
        let request = Request::new(Method::POST, self.url("oauth/token")).form(form);
        granted(self.ask_oauth(request, patience).await?)
    }

    /// Sends an OAuth request; an answer that is not a success becomes [`OAuthError::Refused`] when
    /// it says why in the way of RFC 6749.
    async fn ask_oauth(&self, request: Request, patience: Duration) -> Result<Value, OAuthError> {
        let url = request.url.clone();
        match tokio::time::timeout(patience, self.answer_of_oauth(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::silent(&url).error.into()),
        }
    }

    async fn answer_of_oauth(&self, request: Request) -> Result<Value, OAuthError> {
        // These routes get their secret in the body, and no token beside it.
        let client = self.with_token(None);
        let answer = client.send(&request.accept_any_status()).await?;
        let status = answer.response.status();
        let request_id = answer.header("x-request-id").map(str::to_owned);
        let (mut body, mut text) = (self.body(answer.response), Vec::new());
        while let Some(chunk) = body.chunk().await.map_err(|failure| failure.error)? {
            text.extend_from_slice(&chunk);
            if text.len() > LONGEST_ANSWER {
                return Err(bad("it is longer than any such answer"));
            }
        }
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if status.is_success() {
            return match value.is_object() {
                true => Ok(value),
                false => Err(bad("it is no JSON object")),
            };
        }
        let code = value["error"].as_str().unwrap_or_default();
        let description = value["error_description"].as_str().unwrap_or_default();
        if is_code(code) && !status.is_server_error() {
            return Err(OAuthError::Refused {
                code: limited(code),
                description: limited(description),
            });
        }
        Err(OAuthError::Hub(HubError::Status {
            status,
            message: limited(code),
            request_id,
        }))
    }
}

/// Whether it is an error code (RFC 6749, 5.2) and not a sentence, which the Hub's other routes put in
/// the same place.
fn is_code(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// A server's words, cut to what fits a message.
fn limited(text: &str) -> String {
    text.chars().take(200).collect()
}

fn bad(what: &str) -> OAuthError {
    OAuthError::Hub(HubError::BadAnswer(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_repeated_and_cut() {
        for text in ["", "the code was denied", "verweigert für ünbekannt"] {
            assert_eq!(limited(text), text);
        }
        assert_eq!(limited(&"ü".repeat(1000)), "ü".repeat(200));
    }
}
