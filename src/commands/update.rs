//! `hf update`.

use std::path::Path;

use serde_json::json;

use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::commands::installed::{self, Marks};

/// Print the command that brings a newer version; run nothing, ask no one.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints it.
///
/// # Errors
/// The system does not say where this program is.
pub fn run(_: &Args, context: &Context) -> Result<(), CliError> {
    let path = std::env::current_exe().map_err(|error| {
        CliError::new(ErrorKind::Other, "Cannot find out where this program is.").caused_by(error)
    })?;
    let path = crate::sys::canonicalize(&path).unwrap_or(path);
    let marks = Marks::around(&path);
    let way = installed::decide(&path, &marks);
    let command = installed::update(way, Path::new(&path), &marks);
    context.console.result(
        "A newer version comes with this command",
        vec![
            ("command", json!(command)),
            ("installed", json!(way.as_str())),
        ],
    );
    Ok(())
}
