//! `hf`: log in to the Hugging Face Hub, download from it, and manage the local cache.
//!
//! Arrows point one way: `cli → commands → download → { hub, cache } → foundation`. The foundation
//! is `env`, `settings`, `proxy`, `agent`, `token`, `repo`, `listing`, `progress`, `threads` and `fs`.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make files as they like")
)]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "console/ is the only stdout and stderr"
)]

pub mod alias;
pub mod auth;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod completion;
pub mod config;
pub mod console;
pub mod context;
pub mod download;
pub mod error;
pub mod help;
pub mod hub;
pub mod legacy;
pub mod sys;
pub mod types;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::Cli;
use crate::config::env::Env;
use crate::config::settings::Settings;
use crate::console::{Console, Style};
use crate::context::Context;
use crate::error::{CliError, Kind};

/// Runs one command line in this process: everything that the binary does.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(answer) = completion::answer(&env, &args) {
        Console::from_process(&env).lines(&answer.text);
        return ExitCode::from(u8::from(!answer.success));
    }
    let style = match args.first() {
        Some(name) if legacy::is_legacy_name(name) => Style::Legacy,
        _ => Style::Modern,
    };
    let (cli, ignored) = match read(&args, style) {
        Ok(read) => read,
        Err(error) => return usage::report(error, &args, style, Console::from_process(&env)),
    };
    let (env, env_file) = match &cli.env_file {
        Some(path) => match env.clone().with_file(path) {
            Ok(env) => (env, Ok(())),
            Err(error) => (env, Err(CliError::from(error))),
        },
        None => (env, Ok(())),
    };
    let mut console = Console::from_process(&env);
    console.set_style(style);
    let settings = Settings::resolve(&env).map(|settings| Settings {
        offline: settings.offline || cli.offline,
        ..settings
    });
    let format = cli.output.format();
    if let (Style::Modern, Ok(settings)) = (style, &settings) {
        match config::agent::detect(&env, &settings.hf_home) {
            Ok(agent) => console.set_agent(agent.is_some()),
            Err(error) if settings.debug => console.say(&format!(
                "Debug: {}",
                console::text::escape(&error.to_string())
            )),
            Err(_) => {}
        }
    }
    console.configure(
        match &format {
            Ok(format) => *format,
            // Too many: the error about it still comes in one of them.
            Err(_) => usage::wanted_format(&args),
        },
        cli.output.no_truncate,
        settings
            .as_ref()
            .ok()
            .and_then(|settings| settings.progress_bars),
    );
    let console = Arc::new(console);
    let debug = env.is_true(config::env::HF_DEBUG);
    for name in env.ineffective_in_file() {
        console.warn(&format!(
            "{name} has no effect in the file of --env-file: set it in the environment itself."
        ));
    }
    for flag in ignored {
        console.say(&format!("{flag} is deprecated and has no effect."));
    }
    let result = env_file.and(format).and_then(|_| {
        let context = Context::new(env, settings?, Arc::clone(&console));
        match cli.command {
            Some(command) => command.run(&context),
            // As the Python client: the bare number, for scripts that compare it.
            None if cli.version => {
                console.line(env!("CARGO_PKG_VERSION"));
                Ok(())
            }
            None if cli.install_completion.is_some() => {
                commands::completions::install(cli.install_completion.flatten(), &context)
            }
            None if cli.show_completion.is_some() => {
                commands::completions::show(cli.show_completion.flatten(), &context)
            }
            None => {
                Err(CliError::usage("No command was given.").hint("`hf --help` lists the commands"))
            }
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

/// Reads the command line in the grammar of the name; also answers flags that do nothing.
fn read(args: &[OsString], style: Style) -> Result<(Cli, Vec<&'static str>), clap::Error> {
    match style {
        Style::Modern => Ok((help::parse(args)?, Vec::new())),
        Style::Legacy => legacy::parse(args).map(|lowered| (lowered.cli, lowered.ignored)),
    }
}
