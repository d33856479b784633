//! Mistakes in a command line, in our own words: what clap found, and what can be given instead.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Place;
use crate::commands::error::CliError;

/// How alike a wrong flag and a known one have to be, from 0 to 1. clap suggests much less alike ones.
const ALIKE: f64 = 0.85;

/// What is wrong; `None` for what needs no words of its own.
pub(super) fn tell(error: &clap::Error, place: &Place) -> Option<CliError> {
    let command = place.called();
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(vec![text.clone()]),
        ContextValue::Strings(texts) => Some(texts.clone()),
        _ => None,
    };
    let named = |kind| Some(text(kind)?.iter().map(|arg| name(arg)).collect::<Vec<_>>());
    let arg = || Some(name(text(ContextKind::InvalidArg)?.first()?));
    let value = || Some(text(ContextKind::InvalidValue)?.first()?.clone());
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg)?.first()?.clone();
            let similar = text(ContextKind::SuggestedArg).and_then(|found| found.first().cloned());
            Some(unknown(&word, similar.as_deref(), &command, place))
        }
        ErrorKind::InvalidValue => {
            let (arg, value) = (arg()?, value()?);
            let allowed = text(ContextKind::ValidValue).unwrap_or_default();
            let listed = or(&allowed);
            let what = match (value.is_empty(), listed.is_empty()) {
                (true, true) => format!("{arg} needs a value."),
                (true, false) => format!("{arg} needs a value: {listed}."),
                (false, true) => format!("{arg} cannot be {value}."),
                (false, false) => format!("{arg} takes {listed}, not {value}."),
            };
            Some(CliError::usage(what).hint(place.help_hint()))
        }
        ErrorKind::ValueValidation => {
            let (arg, value, source) = (arg()?, value()?, error.source()?);
            Some(
                CliError::usage(format!("{arg} takes {source}, not {value}."))
                    .hint(place.help_hint()),
            )
        }
        ErrorKind::ArgumentConflict => {
            let (arg, others) = (arg()?, named(ContextKind::PriorArg)?);
            let others = others.join(" and ");
            Some(
                CliError::usage(format!("{arg} cannot be used with {others}."))
                    .hint(place.help_hint()),
            )
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = named(ContextKind::InvalidArg)?.join(" and ");
            Some(CliError::usage(format!("`{command}` needs {missing}.")).hint(place.help_hint()))
        }
        _ => None,
    }
}

/// A flag or a word that the command does not have.
fn unknown(word: &str, similar: Option<&str>, command: &str, place: &Place) -> CliError {
    if !word.starts_with('-') {
        return CliError::usage(format!("`{command}` does not take the word {word}."))
            .hint(place.help_hint());
    }
    let what = CliError::usage(format!("`{command}` has no flag {word}."));
    let bare = |flag: &str| flag.trim_start_matches('-').to_owned();
    let is_number = bare(word).starts_with(|c: char| c.is_ascii_digit());
    match similar {
        Some(flag) if strsim::jaro(&bare(flag), &bare(word)) >= ALIKE => {
            what.hint(format!("did you mean {flag}?"))
        }
        _ if is_number => {
            what.hint("a value that begins with a dash goes behind an equals sign: --flag=-1")
        }
        _ => what.hint(place.help_hint()),
    }
}

/// `--repo-type` of `--repo-type <TYPE>`, `REPO_ID` of `<REPO_ID>` or `[REPO_ID]`.
fn name(arg: &str) -> String {
    let first = arg.split(' ').next().unwrap_or(arg);
    let first = first.split('=').next().unwrap_or(first);
    first
        .trim_end_matches("...")
        .trim_matches(['<', '>', '[', ']'])
        .to_owned()
}

/// `a, b or c`.
fn or(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
