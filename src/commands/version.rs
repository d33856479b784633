//! `hf version`.

use serde_json::json;

use crate::context::Context;
use crate::error::CliError;

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
