//! `hf auth token`.

use serde_json::json;

use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::Mode;

/// Prints the active token. The only command that writes a token to stdout.
///
/// # Errors
/// There is no token.
pub fn run(context: &Context) -> Result<(), CliError> {
    let Some(resolved) = context.token_to_show()? else {
        return Err(CliError::not_logged_in());
    };
    let console = &context.console;
    if console.mode() == Mode::Json {
        console.json(&json!({"token": resolved.token.expose()}));
    } else {
        console.line(resolved.token.expose());
    }
    console.hint("`hf auth whoami` shows which account this token belongs to");
    Ok(())
}
