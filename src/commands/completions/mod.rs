//! `hf completions`, and `--install-completion` and `--show-completion` of the Python client.

mod install;
mod shell;

use serde_json::json;

use self::install::InstallError;
pub use self::shell::Shell;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, sentence};
use crate::console::Mode;
use crate::console::text::escape;

/// The name that completion is set up with: only `hf` has these commands.
const PROGRAM: &str = "hf";

/// Print the completion script for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell [default: the one of SHELL].
    #[arg(value_enum, value_name = "SHELL")]
    shell: Option<Shell>,
}

/// Prints the shell function.
///
/// # Errors
/// No shell was named, and the user's own is not supported.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    show(args.shell, context)
}

/// Prints the shell function for a shell, or for the user's own.
///
/// # Errors
/// The user's shell is not supported.
pub fn show(shell: Option<Shell>, context: &Context) -> Result<(), CliError> {
    let shell = chosen(shell, context)?;
    let script = shell.script(PROGRAM);
    if context.console.mode() == Mode::Json {
        context
            .console
            .json(&json!({"shell": shell.to_string(), "script": script}));
    } else {
        context.console.line(script.trim_end_matches('\n'));
    }
    Ok(())
}

/// Turns completion on in the files of a shell, or of the user's own.
///
/// # Errors
/// The shell is not supported, or its file cannot be written.
pub fn install(shell: Option<Shell>, context: &Context) -> Result<(), CliError> {
    let shell = chosen(shell, context)?;
    let done =
        install::install(shell, PROGRAM, &context.env).map_err(|error| explain(error, PROGRAM))?;
    let path = escape(&done.path.display().to_string());
    let sentence = if done.changed {
        format!("Completion is on: {path} was changed. Start a new {shell} to use it.")
    } else {
        format!("Completion is on already: {path} was not changed.")
    };
    context.console.done(
        &sentence,
        vec![
            ("shell", json!(shell.to_string())),
            ("path", crate::console::paths::path_value(&done.path)),
            ("changed", json!(done.changed)),
        ],
    );
    Ok(())
}

fn chosen(shell: Option<Shell>, context: &Context) -> Result<Shell, CliError> {
    match shell {
        Some(shell) => Ok(shell),
        None => Shell::of_user(&context.env).map_err(|name| {
            CliError::new(
                ErrorKind::Other,
                format!("There is no completion for the shell {}.", escape(&name)),
            )
            .hint("name one of bash, zsh, fish, powershell and elvish")
        }),
    }
}

fn explain(error: InstallError, program: &str) -> CliError {
    let message = sentence(&escape(&error.to_string()));
    match error {
        InstallError::Unknown(Shell::Elvish) => CliError::new(ErrorKind::Other, message).hint(
            format!("put `eval ({program} completions elvish | slurp)` into rc.elv"),
        ),
        InstallError::Unknown(shell) => CliError::new(ErrorKind::Other, message).hint(format!(
            "put `{program} completions {shell} | Out-String | Invoke-Expression` into $PROFILE"
        )),
        InstallError::Foreign { .. } => CliError::new(ErrorKind::Other, message).hint(format!(
            "move it away, or add to it what `{program} completions fish` prints"
        )),
        InstallError::NoHome(_) => {
            CliError::new(ErrorKind::Other, message).hint("set HOME to the home folder")
        }
        InstallError::Fs(error) => error.into(),
    }
}
