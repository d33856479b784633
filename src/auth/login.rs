//! Logging in, once there is a token: ask the Hub whose it is, and find a name for it.

use super::AuthError;
use super::store::section_name;
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::types::token::Token;

/// What a login brings: a token, and for a browser login what renews it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The access token.
    pub token: Token,
    /// Exchanged for a new token before this one expires.
    pub refresh_token: Option<Token>,
    /// When the token expires, in seconds since 1970.
    pub expires_at: Option<i64>,
}

impl From<Token> for Grant {
    /// A token from the settings page: the Hub alone knows when it ends.
    fn from(token: Token) -> Self {
        Grant {
            token,
            refresh_token: None,
            expires_at: None,
        }
    }
}

/// Asks the Hub whose token it is.
///
/// # Errors
/// [`AuthError::OrganizationToken`] without asking; [`AuthError::Hub`], above all
/// [`crate::hub::HubError::InvalidToken`].
pub async fn verify(hub: &Hub, token: &Token) -> Result<Account, AuthError> {
    if token.is_organization() {
        return Err(AuthError::OrganizationToken);
    }
    Ok(hub.whoami(token).await?)
}

/// Name under which a token is stored: the one given to it on the settings page, else
/// `oauth-<user>` (docs/reference.md#login-with-a-token).
pub fn name_for(account: &Account) -> String {
    match &account.token_name {
        Some(name) => section_name(name),
        None => section_name(&format!("oauth-{}", account.name)),
    }
}
