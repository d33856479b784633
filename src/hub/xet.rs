//! The way into Xet storage: a server and a short-lived token for one repository at one commit
//! (docs/reference.md#xet-storage).

use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use super::api::encode_path;
use super::error::HubError;
use super::http::{Hub, Request};
use crate::types::is_open_to_eavesdroppers;
use crate::types::token::Token;
use crate::types::{CommitHash, Repo};

const SERVER: &str = "x-xet-cas-url";
const TOKEN: &str = "x-xet-access-token";
const EXPIRY: &str = "x-xet-token-expiration";

/// Reads content of one repository at one commit from Xet storage.
#[derive(Debug, Clone)]
pub struct XetAccess {
    /// The storage server.
    pub server: Url,
    /// For that server only; the Hub's own token stays with the Hub.
    pub token: Token,
    /// When the token stops working, in seconds since 1970.
    pub expires_at: u64,
}

impl Hub {
    /// Asks for access to the content of a commit.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] when a header is missing or malformed.
    pub async fn xet_access(
        &self,
        repo: &Repo,
        commit: &CommitHash,
    ) -> Result<XetAccess, HubError> {
        let path = format!(
            "api/{}/{}/xet-read-token/{commit}",
            repo.repo_type.plural(),
            encode_path(repo.id.as_str()),
        );
        let request = Request::new(Method::GET, self.url(&path));
        let answer = self.send(&request).await?;
        let access = access(answer.response.headers())?;
        if is_open_to_eavesdroppers(&access.server) && self.endpoint().url().scheme() == "https" {
            return Err(HubError::BadAnswer(
                "its storage server has no https address".to_owned(),
            ));
        }
        Ok(access)
    }
}

fn access(headers: &HeaderMap) -> Result<XetAccess, HubError> {
    let header = |name: &'static str| {
        let text = headers.get(name).and_then(|value| value.to_str().ok());
        // The value stays out of the message: one of them is a secret.
        text.ok_or_else(|| bad(name))
    };
    let server = Url::parse(header(SERVER)?)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let token = Token::clean(header(TOKEN)?).ok().flatten();
    Ok(XetAccess {
        server: server.ok_or_else(|| bad(SERVER))?,
        token: token.ok_or_else(|| bad(TOKEN))?,
        expires_at: header(EXPIRY)?.parse().map_err(|_| bad(EXPIRY))?,
    })
}

fn bad(name: &str) -> HubError {
    HubError::BadAnswer(format!("the header {name} is missing or malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (server, token, expiry, is_good) in [
            ("https://cas.test", "secret", "1790000000", true),
            ("http://127.0.0.1:1", "secret", "0", true),
            ("cas.test", "secret", "1", false),
            ("file:///etc", "secret", "1", false),
            ("local:///x", "secret", "1", false),
            ("https://cas.test", " ", "1", false),
            ("https://cas.test", "secret", "soon", false),
        ] {
            let headers: HeaderMap = [
                ("x-xet-cas-url", server),
                ("x-xet-access-token", token),
                ("x-xet-token-expiration", expiry),
            ]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
            let answer = access(&headers);
            assert_eq!(answer.is_ok(), is_good, "{server} {token} {expiry}");
            assert!(!format!("{answer:?}").contains("secret"));
        }
        assert!(access(&HeaderMap::new()).is_err());
    }
}
