//! What the OAuth routes answer, read with bounds on every number. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{OAuthError, bad};
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

pub(super) fn secret(value: &Value) -> Option<Token> {
    Token::clean(value.as_str()?).ok().flatten()
}

pub(super) fn device_code(value: Value) -> Result<DeviceCode, OAuthError> {
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

pub(super) fn granted(value: Value) -> Result<Granted, OAuthError> {
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
    use serde_json::json;

    use super::*;
    use crate::hub::any_json::any_json;

    /// The names in the answers of these routes.
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

    proptest! {
        #[test]
        fn any_answer_is_understood_or_refused(value in any_json(NAMES)) {
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
