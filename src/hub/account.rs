//! Whose token it is: the `whoami` call (docs/reference.md#who-the-user-is).

use reqwest::Method;
use serde_json::Value;

use super::error::HubError;
use super::http::{Hub, Request};

/// The account behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User name.
    pub name: String,
    /// Names of the organisations, in the Hub's order.
    pub orgs: Vec<String>,
    /// Name the user gave the token on the settings page.
    pub token_name: Option<String>,
    /// `read`, `write`, `fineGrained`…
    pub role: Option<String>,
}

/// An account, and when the Hub said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The account.
    pub account: Account,
    /// The server's clock, in seconds since 1970.
    pub server_time: Option<i64>,
}

/// Seconds since 1970 of an HTTP date (RFC 9110, 5.6.7; its fixed form is one of RFC 2822).
fn seconds_of(date: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(time.timestamp().as_second())
}

impl Hub {
    /// The account that the client's token belongs to.
    ///
    /// # Errors
    /// [`HubError::InvalidToken`] when it belongs to none; else as [`Hub::send`].
    pub async fn whoami(&self) -> Result<Account, HubError> {
        let request = Request::new(Method::GET, self.url("api/whoami-v2")).brief();
        let (body, _): (Value, _) = match self.send_for_json(&request).await {
            // On this route there is no repository to hide: 401 is about the token.
            Err(HubError::RepoNotFound) => return Err(HubError::InvalidToken),
            other => other?,
        };
        account(&body)
    }

    /// As [`Hub::whoami`], in one attempt, with the server's clock: for callers that can do without an
    /// answer.
    ///
    /// # Errors
    /// As [`Hub::whoami`].
    pub async fn whoami_once(&self) -> Result<Seen, HubError> {
        let request = Request::new(Method::GET, self.url("api/whoami-v2"))
            .brief()
            .once();
        let (body, headers): (Value, _) = match self.send_for_json(&request).await {
            Err(HubError::RepoNotFound) => return Err(HubError::InvalidToken),
            other => other?,
        };
        let date = headers.get("date").and_then(|date| date.to_str().ok());
        Ok(Seen {
            account: account(&body)?,
            server_time: date.and_then(seconds_of),
        })
    }
}

fn account(body: &Value) -> Result<Account, HubError> {
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let name = text(&body["name"])
        .ok_or_else(|| HubError::BadAnswer("whoami names no user".to_owned()))?;
    let orgs = body["orgs"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let access_token = &body["auth"]["accessToken"];
    Ok(Account {
        name,
        orgs: orgs.iter().filter_map(|org| text(&org["name"])).collect(),
        token_name: text(&access_token["displayName"]),
        role: text(&access_token["role"]),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::any_json::any_json;
    use super::*;

    /// The names in the answer of this route.
    const NAMES: &[&str] = &[
        "name",
        "orgs",
        "auth",
        "accessToken",
        "displayName",
        "role",
        "x",
    ];

    proptest! {
        #[test]
        fn any_answer_names_an_account_or_none(value in any_json(NAMES), date in "\\PC{0,40}") {
            if let Ok(account) = account(&value) {
                prop_assert_eq!(Some(account.name.as_str()), value["name"].as_str());
                prop_assert!(account.orgs.iter().all(|org| !org.is_empty()));
            }
            let _ = seconds_of(&date);
        }
    }

    #[test]
    fn http_dates() {
        assert_eq!(
            seconds_of("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(seconds_of("yesterday"), None);
    }

    #[test]
    fn accounts() {
        let full = json!({"name": "alice", "orgs": [{"name": "acme"}, {"x": 1}],
            "auth": {"accessToken": {"displayName": "laptop", "role": "read"}}});
        assert_eq!(
            account(&full).unwrap(),
            Account {
                name: "alice".to_owned(),
                orgs: vec!["acme".to_owned()],
                token_name: Some("laptop".to_owned()),
                role: Some("read".to_owned()),
            }
        );
        assert!(account(&json!({"name": "b"})).unwrap().token_name.is_none());
        assert!(account(&json!([])).is_err());
        assert!(account(&json!({"name": 3})).is_err());
    }
}
