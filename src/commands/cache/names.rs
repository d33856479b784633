//! What a word names among the cached repositories: one reading for all commands.

use crate::cache::remove::targets::{Target, TargetError};
use crate::cache::scan::report::CacheReport;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, sentence};
use crate::types::CacheId;
use crate::types::cache_id::find_by_id;
use crate::types::pattern::Pattern;
use crate::types::target::{self, Form};

/// The target that a word names.
///
/// # Errors
/// An `hf://` address that cannot be used here.
pub(super) fn parse(word: &str, context: &Context) -> Result<Target, CliError> {
    if target::form(word) != Form::Uri {
        return Ok(Target::of_word(word));
    }
    let uri = target::parse(word, None, &context.settings.endpoint).map_err(|error| {
        CliError::new(ErrorKind::Other, sentence(&error.to_string()))
            .hint("write hf://org/name, hf://datasets/org/name or hf://org/name/file")
    })?;
    if uri.revision.is_some() {
        return Err(CliError::new(
            ErrorKind::Other,
            format!("A revision cannot be part of {word:?} here."),
        )
        .hint("name the commit alone, as `hf cache ls --revisions` shows it"));
    }
    let repo = CacheId::from(&uri.repo);
    Ok(match uri.path {
        Some(path) => Target::File { repo, path },
        None => Target::Repo(repo),
    })
}

/// Ids and folders of the cached repositories that a word names: one id, or a pattern of ids. The
/// case of letters is ignored when nothing is spelled as the word is.
///
/// # Errors
/// A word that names no whole repository, or an id that exists in several spellings.
pub(super) fn repos<'a>(
    report: &'a CacheReport,
    word: &str,
    context: &Context,
) -> Result<Vec<(CacheId, &'a [u8])>, CliError> {
    let is_pattern = word.contains(['*', '?', '[']) || word.ends_with('/');
    if is_pattern && target::form(word) != Form::Uri {
        let exact = matching(report, word, str::to_owned);
        return Ok(match exact.is_empty() {
            true => matching(report, word, str::to_lowercase),
            false => exact,
        });
    }
    match parse(word, context)? {
        Target::Repo(wanted) => {
            let all = report.ids().map(|(id, folder)| (id.clone(), (id, folder)));
            Ok(find_by_id(&wanted, all).map_err(TargetError::from)?)
        }
        Target::Nothing | Target::Commit(_) => Ok(Vec::new()),
        Target::File { .. } => Err(CliError::new(
            ErrorKind::Other,
            "Only whole repositories can be pinned.",
        )),
    }
}

/// The repositories whose id matches a pattern after `fold` was applied to both.
fn matching<'a>(
    report: &'a CacheReport,
    word: &str,
    fold: fn(&str) -> String,
) -> Vec<(CacheId, &'a [u8])> {
    let pattern = Pattern::new(&fold(word));
    let all = report.ids();
    all.filter(|(id, _)| pattern.matches(&fold(&id.to_string())))
        .collect()
}

/// The ids of the cached repositories that a word names without its type.
pub(super) fn typed_ids(report: &CacheReport, word: &str) -> Vec<String> {
    let ids = report.ids().map(|(id, _)| id);
    ids.filter(|id| id.is_untyped(word))
        .map(|id| id.to_string())
        .collect()
}
