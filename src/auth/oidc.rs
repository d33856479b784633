//! A token for a CI job in exchange for the job's identity (RFC 8693): no secret to store.
//!
//! `HF_OIDC_RESOURCE` turns it on and says what the token is for. The identity comes from
//! `HF_OIDC_ID_TOKEN`, else from GitHub Actions (docs/reference.md#identity-of-a-ci-job). A failure
//! is an error, never a silent step to the next source: the user turned it on.

use url::Url;

use super::AuthError;
use crate::config::env::{self, Env};
use crate::hub::oauth::OAuthError;
use crate::hub::{Hub, HubError};
use crate::types::token::Token;
use crate::types::{host, is_open_to_eavesdroppers};

/// Where the job's identity comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// `HF_OIDC_ID_TOKEN`.
    Given(Token),
    /// GitHub Actions gives it out at a URL.
    GitHub { url: Url, credential: Token },
}

/// An exchange that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    resource: String,
    identity: Identity,
}

/// The exchange cannot be made, or failed. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// There is no identity token.
    #[error("HF_OIDC_RESOURCE is set, but there is no identity token to exchange")]
    NoIdentity,
    /// A GitHub job without permission to request its identity token.
    #[error(
        "HF_OIDC_RESOURCE is set, but this GitHub Actions job may not ask for an identity token"
    )]
    NoPermission,
    /// A variable holds something else.
    #[error("{name} cannot be used: {reason}")]
    Unusable {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The CI system gave no identity token.
    #[error("the identity server {host} gave this job no identity: {source}")]
    NoAnswer {
        /// Scheme, host and port.
        host: String,
        /// What it said instead, if it answered at all.
        source: HubError,
    },
    /// The Hub refused, or did not answer.
    #[error("the job's identity could not be exchanged for a token: {0}")]
    Refused(OAuthError),
}

impl OidcError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            OidcError::NoIdentity => {
                "set HF_OIDC_ID_TOKEN to the identity token of the job, or unset HF_OIDC_RESOURCE"
            }
            OidcError::NoPermission => {
                "give the job `permissions: id-token: write`, or unset HF_OIDC_RESOURCE"
            }
            OidcError::NoAnswer { .. } => {
                "check ACTIONS_ID_TOKEN_REQUEST_URL and that the job has `permissions: id-token: write`, or unset HF_OIDC_RESOURCE"
            }
            OidcError::Unusable { .. } => "correct it, or unset HF_OIDC_RESOURCE",
            OidcError::Refused(_) => {
                "check that the repository trusts this workflow (Trusted Publishers in its settings) and that the clock is right, or unset HF_OIDC_RESOURCE"
            }
        }
        .to_owned()
    }
}

impl Exchange {
    /// The exchange that the environment asks for; `None` when `HF_OIDC_RESOURCE` is not set.
    ///
    /// # Errors
    /// [`OidcError`] when it cannot be made.
    pub fn from_env(env: &Env) -> Result<Option<Exchange>, OidcError> {
        let Some(resource) = env.get(env::HF_OIDC_RESOURCE) else {
            return Ok(None);
        };
        let resource = resource.trim().to_owned();
        if resource.is_empty() {
            return Ok(None);
        }
        let identity = identity(env)?;
        Ok(Some(Exchange { resource, identity }))
    }

    /// What the token is for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Makes the exchange.
    ///
    /// # Errors
    /// [`OidcError::NoAnswer`], [`OidcError::Refused`].
    pub async fn run(&self, hub: &Hub) -> Result<Token, AuthError> {
        let refused = |error| AuthError::Oidc(OidcError::Refused(error));
        let identity = match &self.identity {
            Identity::Given(token) => token.clone(),
            Identity::GitHub { url, credential } => hub
                .identity_of_job(url, credential)
                .await
                .map_err(|source| OidcError::NoAnswer {
                    host: host(url),
                    source,
                })?,
        };
        let granted = hub
            .exchange_identity(&identity, &self.resource)
            .await
            .map_err(refused)?;
        Ok(granted.access_token)
    }
}

fn identity(env: &Env) -> Result<Identity, OidcError> {
    if let Some(token) = secret(env, env::HF_OIDC_ID_TOKEN)? {
        return Ok(Identity::Given(token));
    }
    if env.get(env::GITHUB_ACTIONS).as_deref() != Some("true") {
        return Err(OidcError::NoIdentity);
    }
    let url = env.get(env::ACTIONS_ID_TOKEN_REQUEST_URL);
    let credential = secret(env, env::ACTIONS_ID_TOKEN_REQUEST_TOKEN)?;
    let (Some(url), Some(credential)) = (url, credential) else {
        return Err(OidcError::NoPermission);
    };
    let url = Url::parse(&url)
        .ok()
        .filter(is_protected)
        .ok_or(OidcError::Unusable {
            name: env::ACTIONS_ID_TOKEN_REQUEST_URL,
            reason: "it is not an https address".to_owned(),
        })?;
    Ok(Identity::GitHub { url, credential })
}

/// Whether a credential may be sent there: over https, or to this machine itself.
fn is_protected(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && !is_open_to_eavesdroppers(url)
}

fn secret(env: &Env, name: &'static str) -> Result<Option<Token>, OidcError> {
    let Some(text) = env.get(name).map(zeroize::Zeroizing::new) else {
        return Ok(None);
    };
    Token::clean(&text).map_err(|reason| OidcError::Unusable {
        name,
        reason: reason.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_asks_for() {
        const R: (&str, &str) = ("HF_OIDC_RESOURCE", "acme/model");
        const GITHUB: (&str, &str) = ("GITHUB_ACTIONS", "true");
        const URL: (&str, &str) = ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.test/x?v=2");
        const CREDENTIAL: (&str, &str) = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret");
        const BAD: (&str, &str) = ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://ci.test/x");
        const ID: (&str, &str) = ("HF_OIDC_ID_TOKEN", "e.y.J");
        for (vars, expected) in [
            (&[ID, GITHUB][..], "None"),
            (&[R], "NoIdentity"),
            (&[R, ID, GITHUB], "Given"),
            (&[R, GITHUB], "NoPermission"),
            (&[R, GITHUB, URL], "NoPermission"),
            (&[R, GITHUB, URL, CREDENTIAL], "GitHub"),
            (&[R, GITHUB, BAD, CREDENTIAL], "Unusable"),
            (&[R, ("HF_OIDC_ID_TOKEN", "a b")], "Unusable"),
            (&[("HF_OIDC_RESOURCE", " "), ID], "None"),
        ] {
            let env = Env::from_pairs("/", vars.iter().copied());
            let text = format!("{:?}", Exchange::from_env(&env));
            assert!(text.contains(expected), "{vars:?}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
