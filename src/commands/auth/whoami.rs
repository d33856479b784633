//! `hf auth whoami`.

use serde_json::{Value, json};

use super::explain;
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::Mode;
use crate::console::text::escape;
use crate::hub::account::Account;

/// Shows which account the token belongs to.
///
/// # Errors
/// There is no token, or the Hub does not accept it.
pub fn run(context: &Context) -> Result<(), CliError> {
    let Some(resolved) = context.token()? else {
        if context.console.is_legacy() {
            context.console.line("Not logged in");
            return Ok(());
        }
        return Err(CliError::not_logged_in());
    };
    let hub = context.hub()?.with_token(Some(resolved.token.clone()));
    let account = context
        .block_on(hub.whoami())
        .map_err(|error| explain(context, error, &resolved.source))?;
    let endpoint = &context.settings.endpoint;
    if context.console.is_legacy() {
        let mirror = (!endpoint.is_default()).then(|| endpoint.shown());
        for line in legacy_lines(&account, mirror.as_deref()) {
            context.console.line(&line);
        }
        return Ok(());
    }
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
    context.console.facts("Logged in", fields);
    Ok(())
}

/// The lines of huggingface_hub 0.36.2: the name alone on the first
/// (docs/reference.md#auth-whoami).
fn legacy_lines(account: &Account, mirror: Option<&str>) -> Vec<String> {
    let mut lines = vec![escape(&account.name)];
    if !account.orgs.is_empty() {
        lines.push(format!("orgs:  {}", escape(&account.orgs.join(","))));
    }
    if let Some(endpoint) = mirror {
        lines.push(format!(
            "Authenticated through private endpoint: {endpoint}"
        ));
    }
    lines
}

/// Organisations, joined with commas as the Python client does; null when there are none.
pub(super) fn orgs(account: &Account) -> Value {
    if account.orgs.is_empty() {
        Value::Null
    } else {
        json!(account.orgs.join(","))
    }
}
