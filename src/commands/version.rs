//! `hf version`.

use serde_json::json;

use crate::context::Context;
use crate::error::CliError;

/// Prints the version of this tool.
///
/// # Errors
/// None.
pub fn run(context: &Context) -> Result<(), CliError> {
    context.console.result(
        "hf version",
        vec![("version", json!(env!("CARGO_PKG_VERSION")))],
    );
    Ok(())
}
