//! The grammar of `hf` as `--help` shows it: with the examples and variables of each command.

use std::ffi::OsString;

use clap::{Command, CommandFactory, FromArgMatches};

use crate::cli::grammar::Cli;
use crate::commands::others;
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

/// One line about the commands that are handed on.
fn others_text() -> String {
    let words: Vec<&str> = others::words(false).collect();
    format!(
        "Other commands, of the Python client where one is installed: {}",
        words.join(", ")
    )
}

fn with_pages(command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let command = match page(path) {
        Some(page) => {
            let mut examples = page.examples_text();
            if path.is_empty() {
                examples = [others_text(), examples].join("\n\n");
            }
            let long = [&*examples, &page.variables_text()].join("\n\n");
            command
                .after_help(examples)
                .after_long_help(long.trim_end().to_owned())
        }
        None => command,
    };
    names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |one| with_pages(one, path.trim_start()))
    })
}

/// The line with `help cache rm` written as `cache rm --help`, below the commands that have others below
/// them. A name that is no command is then reported as anywhere else.
pub fn asked(mut args: Vec<OsString>, root: &Command) -> Vec<OsString> {
    let takes_value = |flag: &str| {
        let mut all = root.get_arguments();
        all.any(|arg| arg.get_long() == flag.strip_prefix("--") && arg.get_action().takes_values())
    };
    let mut command = root;
    let mut at = 1;
    while let Some(word) = args.get(at).map(|word| word.to_string_lossy().into_owned()) {
        if word == "help" && command.has_subcommands() {
            args.remove(at);
            let is_help =
                |word: &OsString| ["help", "--help", "-h"].iter().any(|help| word == help);
            let rest = args.split_off(at);
            args.extend(
                rest.into_iter()
                    .filter(|word| word != "--" && !is_help(word)),
            );
            args.push("--help".into());
            return args;
        }
        if word.starts_with('-') {
            at += usize::from(takes_value(&word));
        } else {
            match command.find_subcommand(&word) {
                Some(found) => command = found,
                None => return args,
            }
        }
        at += 1;
    }
    args
}

/// Reads a command line in the modern grammar.
///
/// # Errors
/// A mistake in it, or a call for help: both in clap's form.
pub fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = grammar();
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use super::*;
    use crate::cli::legacy;
    use crate::commands::flags::SecretArg;

    /// All arguments of a grammar whose value is a secret by their name, with their command.
    fn secrets(command: &Command, found: &mut Vec<(String, bool)>) {
        for arg in command.get_arguments() {
            let name = arg.get_id().as_str();
            let is_named_so = ["token", "secret", "password"]
                .iter()
                .any(|word| name.ends_with(word));
            if is_named_so && arg.get_action().takes_values() {
                let is_hidden = arg.get_value_parser().type_id() == TypeId::of::<SecretArg>();
                found.push((format!("{} {name}", command.get_name()), is_hidden));
            }
        }
        for one in command.get_subcommands() {
            secrets(one, found);
        }
    }

    #[test]
    fn secrets_have_a_type_that_hides_them() {
        for (grammar, count) in [(grammar(), 5), (legacy::grammar(), 3)] {
            let mut found = Vec::new();
            secrets(&grammar, &mut found);
            assert_eq!(found.len(), count, "{found:?}");
            assert!(found.iter().all(|(_, is_hidden)| *is_hidden), "{found:?}");
        }
    }

    #[test]
    fn a_parsed_command_line_does_not_show_the_token() {
        for line in [
            "hf auth login --token hf_secret",
            "hf login --token=hf_secret",
            "hf download o/n --token hf_secret",
            "hf cache verify o/n --token hf_secret",
        ] {
            let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
            let shown = format!("{:?}", parse(&words).unwrap());
            assert!(!shown.contains("secret"), "{shown}");
        }
        for line in [
            "huggingface-cli login --token hf_secret",
            "huggingface-cli download o/n --token hf_secret",
        ] {
            let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
            let shown = format!("{:?}", legacy::parse(&words).unwrap());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
