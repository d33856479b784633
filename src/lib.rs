//! `hf`: log in to the Hugging Face Hub, download from it, and manage the local cache.
//!
//! Arrows point one way: `cli → commands → download → { hub, cache } → foundation`. The foundation
//! is `env`, `settings`, `token`, `repo`, `listing`, `progress` and `fs`.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "console/ is the only stdout and stderr"
)]

pub mod auth;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod console;
pub mod context;
pub mod download;
pub mod env;
pub mod error;
pub mod fs;
pub mod hash;
pub mod hub;
pub mod listing;
pub mod progress;
pub mod repo;
pub mod settings;
pub mod target;
pub mod token;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::cli::Cli;
use crate::console::Console;
use crate::context::Context;
use crate::env::Env;
use crate::error::{CliError, Kind};
use crate::settings::Settings;

/// Runs one command line in this process: everything that the binary does.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error),
    };
    let (env, env_file) = match &cli.env_file {
        Some(path) => match env.clone().with_file(path) {
            Ok(env) => (env, Ok(())),
            Err(error) => (env, Err(CliError::from(error))),
        },
        None => (env, Ok(())),
    };
    let mut console = Console::from_process(&env);
    let settings = Settings::resolve(&env);
    let format = cli.output.format();
    console.configure(
        format.as_ref().ok().copied().flatten(),
        cli.output.no_truncate,
        settings
            .as_ref()
            .ok()
            .and_then(|settings| settings.progress_bars),
    );
    let console = Arc::new(console);
    let debug = env.is_true(env::HF_DEBUG);
    for name in env.ineffective_in_file() {
        console.warn(&format!(
            "{name} has no effect in the file of --env-file: set it in the environment itself."
        ));
    }
    let result =
        env_file.and(format).and_then(|_| {
            let context = Context::new(env, settings?, Arc::clone(&console));
            match cli.command {
                Some(command) => command.run(&context),
                // As the Python client: the bare number, for scripts that compare it.
                None if cli.version => {
                    console.line(env!("CARGO_PKG_VERSION"));
                    Ok(())
                }
                None => Err(CliError::usage("What to do is missing.")
                    .hint("`hf --help` lists the commands")),
            }
        });
    let result = result.and_then(|()| {
        console
            .finish()
            .map_err(|error| CliError::new(Kind::Disk, "Cannot write the output.").caused_by(error))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report(&console, debug);
            error.exit_code()
        }
    }
}

/// Help and version go to stdout with exit 0, mistakes to stderr with exit 2: clap knows which.
fn report_usage(error: &clap::Error) -> ExitCode {
    // A closed pipe (`hf --help | head -1`) is no failure.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
