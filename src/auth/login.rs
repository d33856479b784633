//! Logging in with a token: ask the Hub which account it belongs to, and find a name for it.

use super::AuthError;
use super::stored::section_name;
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::types::token::Token;

/// Asks the Hub which account a token belongs to.
///
/// # Errors
/// [`AuthError::OrganizationToken`] without asking; [`AuthError::Hub`], above all
/// [`crate::hub::HubError::InvalidToken`].
pub async fn verify(hub: &Hub, token: &Token) -> Result<Account, AuthError> {
    if token.is_organization() {
        return Err(AuthError::OrganizationToken);
    }
    Ok(hub.with_token(Some(token.clone())).whoami().await?)
}

/// Name under which a token is stored: the one given to it on the settings page, else
/// `oauth-<user>` (docs/reference.md#login-with-a-token).
pub fn name_for(account: &Account) -> String {
    match &account.token_name {
        Some(name) => section_name(name),
        None => section_name(&format!("oauth-{}", account.name)),
    }
}
