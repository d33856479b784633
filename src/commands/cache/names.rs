//! What a word names among the cached repositories: one reading for all commands.

use crate::cache::remove::targets::{Target, TargetError};
use crate::cache::scan::report::CacheReport;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, sentence};
use crate::types::{CacheId, CachedName, is_commit_prefix};

/// The target that a word names: repositories, or what of them, or a commit.
///
/// # Errors
/// An address that names no repository.
pub(super) fn parse(word: &str, context: &Context) -> Result<Target, CliError> {
    Ok(Target {
        commit: is_commit_prefix(word).then(|| word.to_ascii_lowercase()),
        name: name(word, context)?,
    })
}

/// The repositories that a word names, and what of them.
///
/// # Errors
/// An address that names no repository.
pub(super) fn name(word: &str, context: &Context) -> Result<CachedName, CliError> {
    CachedName::parse(word, &context.settings.endpoint).map_err(|error| {
        CliError::new(ErrorKind::Other, sentence(&error.to_string()))
            .hint("write hf://org/name, hf://datasets/org/name or hf://org/name/file")
    })
}

/// Ids and folders of the cached repositories that a word names. None of that name: an empty list.
///
/// # Errors
/// A word that names no whole repository, or that could name several.
pub(super) fn repos<'a>(
    report: &'a CacheReport,
    word: &str,
    context: &Context,
) -> Result<Vec<(CacheId, &'a [u8])>, CliError> {
    let name = name(word, context)?;
    if name.path.is_some() || name.revision.is_some() {
        return Err(
            CliError::new(ErrorKind::Other, "Only whole repositories can be pinned.")
                .hint("leave out the revision and the file"),
        );
    }
    Ok(name.find(report.ids()).map_err(TargetError::from)?)
}
