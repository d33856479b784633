//! Candidates for the next word: commands, flags and their values from the grammar itself, names from
//! the disk.
//!
//! The grammar is walked by the engine of `clap_complete`. Its own shell functions are not used: they
//! do not quote a blank in a name, lose `hf://` in bash, and run what is typed in PowerShell.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};

use super::local_names::LocalNames;
use crate::cli::grammar::Cli;
use crate::cli::legacy::LegacyCli;
use crate::commands::others;
use crate::config::env::Env;
use crate::config::program::{LEGACY_NAME, Program};
use crate::console::text::escape;

/// A candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The whole word, without quotes.
    pub value: String,
    /// What it means, in one line.
    pub help: Option<String>,
    /// A folder or file.
    pub is_path: bool,
}

/// Marks the candidates that are paths, for shells that complete paths themselves.
const PATH_TAG: &str = "path";

/// Candidates for the last of the words, the first of which names the program.
pub fn find(words: &[String], env: &Env) -> Vec<Candidate> {
    let Some(last) = words.len().checked_sub(1).filter(|&last| last > 0) else {
        return Vec::new();
    };
    let local_names = Arc::new(LocalNames::new(env, words));
    let grammar = match Program::of(Some(&OsString::from(&words[0]))) {
        Program::HuggingfaceCli => LegacyCli::command(),
        Program::Hf => Cli::command(),
    };
    let legacy = grammar.get_name() == LEGACY_NAME;
    // Not in the grammar itself, where they would be read instead of handed on.
    let grammar = others::words(legacy).fold(grammar, |grammar, word| {
        grammar.subcommand(Command::new(word).about("In the Python client"))
    });
    let mut command = with_names_of(grammar, &local_names);
    let args: Vec<OsString> = words.iter().map(OsString::from).collect();
    let found = clap_complete::engine::complete(&mut command, args, last, None);
    let mut found: Vec<Candidate> = found
        .unwrap_or_default()
        .iter()
        .filter_map(candidate)
        .collect();
    // Flags only after a typed dash, or where nothing else fits.
    let is_flag = |one: &Candidate| one.value.starts_with('-');
    if !words[last].starts_with('-') && !found.iter().all(is_flag) {
        found.retain(|one| !is_flag(one));
    }
    found
}

/// `None` for a value that no line of an answer could hold.
fn candidate(found: &CompletionCandidate) -> Option<Candidate> {
    let value = found.get_value().to_str()?;
    if value.is_empty() || escape(value) != value {
        return None;
    }
    let help = found.get_help().map(ToString::to_string);
    let help = help.and_then(|help| Some(escape(help.lines().next()?.trim_end_matches('.'))));
    let tag = found.get_tag().map(ToString::to_string);
    Some(Candidate {
        value: value.to_owned(),
        help: help.filter(|help| !help.is_empty()),
        is_path: tag.as_deref() == Some(PATH_TAG),
    })
}

/// Gives each argument that names something on this machine a completer. Arguments go by
/// their id: one id means the same in every command, of either grammar.
fn with_names_of(command: Command, local_names: &Arc<LocalNames>) -> Command {
    let subcommands: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let command = command.mut_args(|arg| match arg.get_id().as_str() {
        "repo_id" => with_names(arg, local_names, LocalNames::repo_ids),
        "targets" => with_names(arg, local_names, LocalNames::targets),
        "pin" => with_names(arg, local_names, LocalNames::cache_ids),
        "revision" => with_names(arg, local_names, LocalNames::revisions),
        "token_name" => with_names(arg, local_names, LocalNames::token_names),
        "sort" if arg.get_possible_values().is_empty() => with_names(arg, local_names, |_, _| {
            let keys = ["accessed", "modified", "name", "size"];
            keys.map(str::to_owned).into()
        }),
        "cache_dir" | "local_dir" | "dir" | "out" => {
            with_paths(arg, local_names, PathCompleter::dir)
        }
        "env_file" | "from_file" => with_paths(arg, local_names, PathCompleter::file),
        _ => arg,
    });
    subcommands.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |one| with_names_of(one, local_names))
    })
}

fn with_names(
    arg: Arg,
    local_names: &Arc<LocalNames>,
    names: fn(&LocalNames, &str) -> Vec<String>,
) -> Arg {
    let local_names = Arc::clone(local_names);
    arg.add(ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_string_lossy();
        names(&local_names, &current)
            .into_iter()
            .filter(|name| name.starts_with(current.as_ref()))
            .map(CompletionCandidate::new)
            .collect()
    }))
}

fn with_paths(arg: Arg, local_names: &Arc<LocalNames>, completer: fn() -> PathCompleter) -> Arg {
    let local_names = Arc::clone(local_names);
    arg.add(ArgValueCompleter::new(move |current: &OsStr| {
        let completer = completer().current_dir(local_names.env().current_dir());
        let (typed, asked) = in_home(current, local_names.env().home());
        let found = completer.complete(&asked);
        let found = found.into_iter().filter_map(|one| {
            let value = one.get_value().to_str()?;
            let value = match &typed {
                Some(home) => format!("~{}", value.strip_prefix(home.as_str())?),
                None => value.to_owned(),
            };
            Some(CompletionCandidate::new(value).tag(Some(PATH_TAG.into())))
        });
        found.collect()
    }))
}

/// What `~/…` stands for, and the home folder to take off again; shells leave a `~` as it is typed.
fn in_home(current: &OsStr, home: Option<&Path>) -> (Option<String>, OsString) {
    let text = current.to_string_lossy();
    match (text.strip_prefix("~/"), home.and_then(Path::to_str)) {
        (Some(rest), Some(home)) => (
            Some(home.to_owned()),
            OsString::from(format!("{home}/{rest}")),
        ),
        _ => (None, current.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<String> {
        let env = Env::from_pairs("/nowhere", []);
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        find(&words, &env)
            .into_iter()
            .map(|one| one.value)
            .collect()
    }

    #[test]
    fn commands_and_flags() {
        assert_eq!(found("hf au"), ["auth"]);
        assert_eq!(found("hf cache ver"), ["verify"]);
        assert_eq!(found("hf download --loc"), ["--local-dir"]);
        assert_eq!(found("hf download x --repo-type k"), ["kernel"]);
        assert_eq!(found("hf download x --repo-type=k"), ["--repo-type=kernel"]);
        assert_eq!(found("hf cache ls --sort s"), ["size"]);
        assert!(found("hf auth ").iter().all(|word| !word.starts_with('-')));
        assert!(found("hf zz").is_empty());
        assert_eq!(found("hf uplo"), ["upload", "upload-large-folder"]);
        assert_eq!(found("huggingface-cli ta"), ["tag"]);
        assert!(found("hf").is_empty());
        assert_eq!(found("huggingface-cli sc"), ["scan-cache"]);
        assert_eq!(found("bin/huggingface-cli scan-cache --d"), ["--dir"]);
    }

    /// Fails when an argument that has a completion is renamed.
    #[test]
    fn every_argument_with_names_exists() {
        fn ids(command: &Command, all: &mut Vec<String>) {
            all.extend(command.get_arguments().map(|arg| arg.get_id().to_string()));
            command.get_subcommands().for_each(|one| ids(one, all));
        }
        let mut all = Vec::new();
        ids(&Cli::command(), &mut all);
        for id in [
            "repo_id",
            "targets",
            "pin",
            "revision",
            "token_name",
            "sort",
            "cache_dir",
            "local_dir",
            "dir",
            "out",
            "env_file",
        ] {
            assert!(all.iter().any(|one| one == id), "{id}");
        }
    }
}
