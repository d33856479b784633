//! The Hub's OAuth routes: device login (RFC 8628), refresh (RFC 6749, 6), token exchange (RFC 8693).

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::error::HubError;
use super::http::{Failure, Hub, Request};
use crate::types::host;
use crate::types::token::Token;

/// Pause between two polls when the server names none (RFC 8628, 3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a device code is valid when the server does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(900);
/// Longest pause between two polls: a server that asks for more is asked sooner, and says so.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// Longest accepted life of a device code: no user waits longer in front of a terminal.
const LONGEST_LIFETIME: Duration = Duration::from_secs(3600);
/// Longest accepted life of an access token, so that adding it to a date cannot overflow.
const LONGEST_TOKEN_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
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

/// A login that waits for the user.
#[derive(Debug, Clone)]
pub struct DeviceCode {
    /// What the token is asked for with; a secret.
    pub device_code: Token,
    /// What the user types.
    pub user_code: String,
    /// Where the user types it.
    pub verification_uri: Url,
    /// The same page with the code filled in.
    pub complete_uri: Url,
    /// Pause between two polls.
    pub interval: Duration,
    /// How long the code is valid.
    pub lifetime: Duration,
}

/// A token that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The access token.
    pub access_token: Token,
    /// Exchanged for the next access token.
    pub refresh_token: Option<Token>,
    /// How long the access token is valid.
    pub lifetime: Option<Duration>,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    #[serde(default)]
    interval: Value,
    #[serde(default)]
    expires_in: Value,
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

fn secret(value: &Value) -> Option<Token> {
    Token::clean(value.as_str()?).ok().flatten()
}

fn bad(what: &str) -> OAuthError {
    OAuthError::Hub(HubError::BadAnswer(what.to_owned()))
}

fn device_code(value: Value) -> Result<DeviceCode, OAuthError> {
    let answer: DeviceAnswer =
        serde_json::from_value(value).map_err(|_| bad("it begins no browser login"))?;
    // What is opened in a browser must be a page, not a program.
    let page = |text: &str| {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| bad("the page of the browser login is no web address"))
    };
    let verification_uri = page(&answer.verification_uri)?;
    let complete = answer.verification_uri_complete.filter(|u| !u.is_empty());
    Ok(DeviceCode {
        device_code: Token::clean(&answer.device_code)
            .ok()
            .flatten()
            .ok_or_else(|| bad("the device code is not usable"))?,
        user_code: answer.user_code,
        complete_uri: match complete {
            Some(text) => page(&text)?,
            None => verification_uri.clone(),
        },
        verification_uri,
        interval: match seconds(&answer.interval) {
            Some(seconds) if seconds >= 0.0 => bounded(seconds, LONGEST_INTERVAL),
            _ => DEFAULT_INTERVAL,
        },
        lifetime: match seconds(&answer.expires_in) {
            Some(seconds) if seconds > 0.0 => bounded(seconds, LONGEST_LIFETIME),
            _ => DEFAULT_LIFETIME,
        },
    })
}

/// A number of seconds, also with a fraction or as text.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    number.filter(|number| !number.is_nan())
}

/// So many seconds, from none to `longest`.
fn bounded(seconds: f64, longest: Duration) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).map_or(longest, |time| time.min(longest))
}

fn granted(value: Value) -> Result<Granted, OAuthError> {
    Ok(Granted {
        access_token: secret(&value["access_token"]).ok_or_else(|| bad("it grants no token"))?,
        refresh_token: secret(&value["refresh_token"]),
        // What is said to have expired already is renewed by the next command.
        lifetime: seconds(&value["expires_in"])
            .map(|seconds| bounded(seconds, LONGEST_TOKEN_LIFETIME)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: &[&str] = &[
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "interval",
        "expires_in",
        "access_token",
        "refresh_token",
        "error",
    ];

    /// Any JSON, with the names that the routes use among others.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(|v| json!(v)),
            any::<i64>().prop_map(|v| json!(v)),
            any::<u64>().prop_map(|v| json!(v)),
            any::<f64>().prop_map(|v| json!(v)),
            "\\PC{0,20}".prop_map(|v| json!(v)),
            "-?[0-9]{0,30}(\\.[0-9]{0,9})?(e[0-9]{1,4})?".prop_map(|v| json!(v)),
            Just(json!("https://hub.test/x")),
        ];
        leaf.prop_recursive(3, 40, 8, |inner| {
            let names = NAMES;
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::vec((proptest::sample::select(names), inner), 0..9).prop_map(
                    |fields| fields
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect()
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_answer_is_understood_or_refused(value in any_json()) {
            if let Ok(granted) = granted(value.clone()) {
                prop_assert!(granted.lifetime.is_none_or(|time| time <= LONGEST_TOKEN_LIFETIME));
            }
            if let Ok(code) = device_code(value) {
                prop_assert!(code.interval <= LONGEST_INTERVAL);
                prop_assert!(!code.lifetime.is_zero() && code.lifetime <= LONGEST_LIFETIME);
                prop_assert!(matches!(code.complete_uri.scheme(), "http" | "https"));
            }
        }

        #[test]
        fn any_number_is_a_bounded_time(
            interval in any::<f64>(),
            expires_in in "-?[0-9]{0,40}(\\.[0-9]{0,9})?(e[0-9]{1,4})?",
        ) {
            let code = device_code(json!({"device_code": "d", "user_code": "A",
                "verification_uri": "https://hub.test", "interval": interval, "expires_in": expires_in}));
            let code = code.unwrap();
            prop_assert!(code.interval <= LONGEST_INTERVAL);
            prop_assert!(!code.lifetime.is_zero() && code.lifetime <= LONGEST_LIFETIME);
        }
    }

    #[test]
    fn a_servers_words_are_repeated_and_cut() {
        for text in ["", "the code was denied", "verweigert für ünbekannt"] {
            assert_eq!(limited(text), text);
        }
        assert_eq!(limited(&"ü".repeat(1000)), "ü".repeat(200));
    }

    #[test]
    fn device_answers() {
        let minimal = json!({"device_code": "d", "user_code": "A-B", "verification_uri": "https://hub.test/device"});
        let code = device_code(minimal).unwrap();
        assert_eq!(code.complete_uri.as_str(), "https://hub.test/device");
        assert_eq!(code.interval, DEFAULT_INTERVAL);
        assert_eq!(code.lifetime, DEFAULT_LIFETIME);
        assert!(!format!("{code:?}").contains("\"d\""));
        for (interval, expires_in, expected) in [
            (json!(7), json!(60), (7_000, 60)),
            (json!(0.5), json!("120"), (500, 120)),
            (json!(" 2 "), json!(59.9), (2_000, 59)),
            (json!(0), json!(0), (0, 900)),
            (json!(-1), json!(-1), (5_000, 900)),
            (json!(u64::MAX), json!(u64::MAX), (60_000, 3600)),
            (json!(1e300), json!(-1e300), (60_000, 900)),
            (json!("inf"), json!("infinity"), (60_000, 3600)),
            (json!("nan"), json!("soon"), (5_000, 900)),
            (json!([5]), json!({"s": 5}), (5_000, 900)),
            (json!(true), json!(null), (5_000, 900)),
        ] {
            let text = format!("{interval} {expires_in}");
            let code = device_code(json!({"device_code": "d", "user_code": "A-B",
                "verification_uri": "https://hub.test", "interval": interval, "expires_in": expires_in}));
            let code = code.unwrap();
            let found = (code.interval.as_millis(), code.lifetime.as_secs());
            assert_eq!(found, expected, "{text}");
        }
        for bad in [
            json!({}),
            json!({"device_code": "d", "user_code": "A", "verification_uri": "file:///bin/sh"}),
            json!({"device_code": "d", "user_code": "A", "verification_uri": "https://h.test", "verification_uri_complete": "javascript:x"}),
            json!({"device_code": "", "user_code": "A", "verification_uri": "https://h.test"}),
        ] {
            assert!(device_code(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn token_answers() {
        let full = json!({"access_token": "hf_oauth_x", "refresh_token": "r", "expires_in": 60});
        let grant = granted(full).unwrap();
        assert_eq!(grant.access_token.expose(), "hf_oauth_x");
        assert_eq!(grant.lifetime, Some(Duration::from_secs(60)));
        for (expires_in, expected) in [
            (json!(0.5), Some(0)),
            (json!("3600"), Some(3600)),
            (json!(-5), Some(0)),
            (json!(i64::MIN), Some(0)),
            (json!(u64::MAX), Some(315_360_000)),
            (json!("1e400"), Some(315_360_000)),
            (json!("nan"), None),
            (json!("later"), None),
            (json!(null), None),
        ] {
            let text = expires_in.to_string();
            let grant = granted(json!({"access_token": "hf_x", "expires_in": expires_in}));
            let lifetime = grant.unwrap().lifetime.map(|time| time.as_secs());
            assert_eq!(lifetime, expected, "{text}");
        }
        assert!(granted(json!({"access_token": "a b"})).is_err());
        assert!(granted(json!({"token": "hf"})).is_err());
    }
}
