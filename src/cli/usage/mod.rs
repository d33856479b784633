//! Error messages for an invalid command line.
//!
//! clap finds the mistake; this module writes the message. A command that only the Python client has is
//! named with what to use instead, a mistyped one with the nearest, and in the machine formats the
//! error looks like every other one (docs/reference.md#exit-codes-and-errors).

mod mistakes;
mod nearest;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, ValueEnum};

use self::nearest::{known, nearest};
use crate::cli::grammar::Cli;
use crate::cli::legacy::LegacyCli;
use crate::commands::error::{CliError, Kind, sentence};
use crate::commands::others::{self, Other};
use crate::config::program::Program;
use crate::console::{Console, Mode, OutputFormat, text::escape};

/// Prints help to stdout (exit 0), or says what is wrong with the command line (exit 2).
pub fn report(
    mut error: clap::Error,
    args: &[OsString],
    program: Program,
    mut console: Console,
) -> ExitCode {
    escape_context(&mut error);
    let error = &error;
    if !error.use_stderr() {
        console.page(&error.render());
        return match console.finish() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    console.configure(wanted_format(args), false, None);
    let root = match program {
        Program::Hf => Cli::command(),
        Program::HuggingfaceCli => LegacyCli::command(),
    };
    let place = Place::of(args, &root);
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    match explain(
        error,
        args,
        &place,
        &root,
        program,
        console.mode() == Mode::Json,
    ) {
        Some(explained) => explained.report(&console, false),
        None if is_help && console.mode() == Mode::Human => console.complaint(&error.render()),
        None if is_help => CliError::usage("No command was given.")
            .hint(place.help_hint())
            .report(&console, false),
        None => in_one_line(&error.render().to_string(), &place).report(&console, false),
    }
    ExitCode::from(match (program, is_help) {
        // What huggingface_hub 0.36.2 answers a missing command with.
        (Program::HuggingfaceCli, true) => 1,
        _ => Kind::Usage.exit_code(),
    })
}

/// Spells out what would break a line in the words of the command line that clap repeats. The console
/// does the same with all else, but cannot tell clap's line breaks from others.
fn escape_context(error: &mut clap::Error) {
    let escaped: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(escape(text)))),
            ContextValue::Strings(texts) => {
                let texts = texts.iter().map(|text| escape(text)).collect();
                Some((kind, ContextValue::Strings(texts)))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
}

/// The output format that an invalid command line requests.
pub fn wanted_format(args: &[OsString]) -> Option<OutputFormat> {
    let words: Vec<&str> = args
        .iter()
        .skip(1)
        .take_while(|word| *word != "--")
        .map(|word| word.to_str().unwrap_or_default())
        .collect();
    let asked = words.iter().enumerate().filter_map(|(index, &word)| {
        let value = match word {
            "--json" => "json",
            "-q" | "--quiet" => "quiet",
            "--format" => words.get(index + 1)?,
            _ => word.strip_prefix("--format=")?,
        };
        OutputFormat::from_str(value, false).ok()
    });
    // If JSON is among several formats it is used: a program reads the error.
    let asked: Vec<OutputFormat> = asked.collect();
    let json = asked.iter().find(|&&format| format == OutputFormat::Json);
    json.or(asked.first()).copied()
}

/// How far a command line can be followed: the name, the groups, and the first unknown word.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The program's name and the commands that were understood.
    path: Vec<String>,
    /// The first word after them that is no command.
    word: Option<String>,
}

impl Place {
    fn of(args: &[OsString], root: &Command) -> Self {
        let mut command = root;
        let mut place = Place {
            path: vec![root.get_name().to_owned()],
            word: None,
        };
        let takes_value = |flag: &str| {
            root.get_arguments()
                .find(|arg| arg.get_long() == flag.strip_prefix("--"))
                .is_some_and(|arg| arg.get_action().takes_values())
        };
        let mut words = args.iter().skip(1).map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            if word == "--" || !command.has_subcommands() {
                break;
            }
            if word.starts_with('-') {
                if takes_value(&word) {
                    words.next();
                }
                continue;
            }
            match command.find_subcommand(word.as_ref()) {
                Some(found) => {
                    place.path.push(found.get_name().to_owned());
                    command = found;
                }
                None => {
                    place.word = Some(word.into_owned());
                    break;
                }
            }
        }
        place
    }

    fn called(&self) -> String {
        self.path.join(" ")
    }

    fn help_hint(&self) -> String {
        format!("`{} --help` shows what can be given", self.called())
    }
}

/// A better message than clap's, where there is one.
fn explain(
    error: &clap::Error,
    args: &[OsString],
    place: &Place,
    root: &Command,
    program: Program,
    json: bool,
) -> Option<CliError> {
    let at_top = place.path.len() == 1;
    if error.kind() == ErrorKind::UnknownArgument {
        let ContextValue::String(flag) = error.get(ContextKind::InvalidArg)? else {
            return None;
        };
        if let (Some(found), true) = (others::find(flag), at_top) {
            return Some(elsewhere(found, args, program, json));
        }
    }
    if error.kind() != ErrorKind::InvalidSubcommand {
        return mistakes::tell(error, place);
    }
    let word = place.word.as_deref()?;
    let name = place.called();
    if at_top && let Some(found) = others::find(word) {
        return Some(elsewhere(found, args, program, json));
    }
    let unknown = CliError::usage(format!("There is no command `{name} {}`.", escape(word)));
    let modern = Cli::command();
    if program == Program::HuggingfaceCli && at_top && modern.find_subcommand(word).is_some() {
        return Some(unknown.hint(format!("`hf {word}` is one: call this tool by its name hf")));
    }
    let nearest = nearest(word, &place.path[1..], &known(root));
    Some(match nearest.as_slice() {
        [] => unknown.hint(place.help_hint()),
        found => {
            let program = &place.path[0];
            let found: Vec<String> = found
                .iter()
                .map(|path| format!("`{program} {path}`"))
                .collect();
            unknown.hint(format!("did you mean {}?", found.join(" or ")))
        }
    })
}

/// A command of the Python client that this tool lacks, where no other program takes it.
fn elsewhere(other: Other, args: &[OsString], program: Program, json: bool) -> CliError {
    let or_git = match other.word {
        "upload" => ", or `git push`",
        _ => "",
    };
    let command = other.command(program == Program::HuggingfaceCli, args);
    not_here(
        &format!(
            "`{} {}` is not part of this tool",
            program.name(),
            other.word
        ),
        &format!("use the Python client: `{}`{or_git}", escape(&command)),
        json,
    )
}

/// The command that only a Python client has, if the command line asks for one.
pub fn other_command(args: &[OsString], program: Program) -> Option<Other> {
    let root = match program {
        Program::Hf => Cli::command(),
        Program::HuggingfaceCli => LegacyCli::command(),
    };
    if args.get(1).is_some_and(|word| word == "--skills") {
        return others::find("--skills");
    }
    let place = Place::of(args, &root);
    let word = place.word.filter(|_| place.path.len() == 1)?;
    others::find(&word)
}

/// One line for people; error and hint for programs.
fn not_here(what: &str, instead: &str, json: bool) -> CliError {
    if json {
        CliError::usage(format!("{what}.")).hint(instead)
    } else {
        CliError::usage(format!("{what}; {instead}."))
    }
}

/// clap's text as a sentence and a hint.
fn in_one_line(text: &str, place: &Place) -> CliError {
    let fold = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.split("\n\n").map(fold);
    let first = paragraphs.next().unwrap_or_default();
    let what = first.strip_prefix("error: ").unwrap_or(&first);
    let tip = paragraphs.find_map(|text| Some(text.strip_prefix("tip: ")?.to_owned()));
    CliError::usage(sentence(what)).hint(tip.unwrap_or_else(|| place.help_hint()))
}

#[cfg(test)]
mod tests;
