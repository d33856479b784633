//! `hf auth whoami`.

use serde_json::{Value, json};

use super::explain;
use crate::console::Mode;
use crate::context::Context;
use crate::error::CliError;
use crate::hub::api::Account;

/// Shows which account the token belongs to.
///
/// # Errors
/// There is no token, or the Hub does not accept it.
pub fn run(context: &Context) -> Result<(), CliError> {
    let Some(resolved) = context.token(None)? else {
        return Err(CliError::not_logged_in());
    };
    let hub = context.hub()?;
    let account = context
        .block_on(hub.whoami(&resolved.token))
        .map_err(|error| explain(context, error, &resolved.source))?;
    let endpoint = &context.settings.endpoint;
    let mut fields = vec![
        ("user", json!(account.name)),
        ("orgs", orgs(&account)),
        (
            "endpoint",
            (!endpoint.is_default()).then(|| endpoint.shown()).into(),
        ),
    ];
    if context.console.mode() == Mode::Json {
        fields.push(("token_name", json!(account.token_name)));
        fields.push(("role", json!(account.role)));
        fields.push(("source", json!(resolved.source.to_string())));
    }
    context.console.result("Logged in", fields);
    Ok(())
}

/// Organisations, joined with commas as the Python client does; null when there are none.
pub(super) fn orgs(account: &Account) -> Value {
    if account.orgs.is_empty() {
        Value::Null
    } else {
        json!(account.orgs.join(","))
    }
}
