//! The grammar of `hf` as `--help` shows it: with the examples and variables of each command.

use clap::{Command, CommandFactory, FromArgMatches};

use crate::cli::grammar::Cli;
use crate::commands::pages::page;

/// Widest line of a help text, in columns.
const WIDTH: usize = 100;

/// The grammar of `hf` with all that `--help` shows.
pub fn grammar() -> Command {
    let command = Cli::command().max_term_width(WIDTH).mut_args(|arg| {
        if arg.is_global_set() {
            // Every command has them: a summary can do without.
            arg.help_heading("With every command").hide_short_help(true)
        } else {
            arg.help_heading(None::<&str>)
        }
    });
    with_pages(command, "")
}

fn with_pages(command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let command = match page(path) {
        Some(page) => command.after_help(page.examples_text()).after_long_help(
            [page.examples_text(), page.variables_text()]
                .join("\n\n")
                .trim_end()
                .to_owned(),
        ),
        None => command,
    };
    names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |one| with_pages(one, path.trim_start()))
    })
}

/// Reads a command line in the modern grammar.
///
/// # Errors
/// A mistake in it, or a call for help: both in clap's form.
pub fn parse(args: &[std::ffi::OsString]) -> Result<Cli, clap::Error> {
    let mut command = grammar();
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}
