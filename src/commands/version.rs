//! `hf version`.

use serde_json::json;

use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::commands::installed::{Marks, decide};
use crate::console::Mode;

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
    let mut fields = vec![("version", json!(env!("CARGO_PKG_VERSION")))];
    // For a bug report; people and older scripts get the one line of the Python client.
    if context.console.mode() == Mode::Json {
        fields.push(("commit", json!(option_env!("HF_BUILD_COMMIT"))));
        fields.push(("target", json!(env!("HF_BUILD_TARGET"))));
        fields.push(("installed", json!(installed())));
    }
    context.console.result("hf version", fields);
    Ok(())
}

/// How this program was installed, or `None` where the system does not say where it is.
fn installed() -> Option<&'static str> {
    let path = std::env::current_exe().ok()?;
    let path = crate::sys::canonicalize(&path).unwrap_or(path);
    Some(decide(&path, &Marks::around(&path)).as_str())
}
