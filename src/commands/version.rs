//! `hf version`.

use serde_json::json;

use crate::commands::context::Context;
use crate::commands::error::CliError;

/// Prints the bare number, as the Python client's `--version` does, for scripts that compare it.
pub fn bare(context: &Context) {
    context.console.line(env!("CARGO_PKG_VERSION"));
}

/// Prints the version of this tool.
///
/// # Errors
/// None.
pub fn run(context: &Context) -> Result<(), CliError> {
    if context.console.is_legacy() {
        // The label is what scripts cut off; the number is ours.
        context.console.line(concat!(
            "huggingface_hub version: ",
            env!("CARGO_PKG_VERSION")
        ));
        return Ok(());
    }
    context.console.result(
        "hf version",
        vec![("version", json!(env!("CARGO_PKG_VERSION")))],
    );
    Ok(())
}
