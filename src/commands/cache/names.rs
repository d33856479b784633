//! What a word names among the cached repositories: one reading for all commands.

use crate::cache::remove::targets::Target;
use crate::cache::scan::report::{CacheReport, CachedRepo, Problem};
use crate::commands::context::Context;
use crate::commands::error::{CliError, Kind, sentence};
use crate::types::target::{self, Form};

/// What the word means.
pub(super) fn parse(word: &str, context: &Context) -> Result<Target, CliError> {
    if target::form(word) != Form::Uri {
        return Ok(Target::of_word(word));
    }
    let uri = target::parse(word, None, &context.settings.endpoint).map_err(|error| {
        CliError::new(Kind::Other, sentence(&error.to_string()))
            .hint("write hf://org/name, hf://datasets/org/name or hf://org/name/file")
    })?;
    if uri.revision.is_some() {
        return Err(CliError::new(
            Kind::Other,
            format!("A revision cannot be part of {word:?} here."),
        )
        .hint("name the commit alone, as `hf cache ls --revisions` shows it"));
    }
    let repo = format!("{}/{}", uri.repo.repo_type, uri.repo.id);
    Ok(match uri.path {
        Some(path) => Target::File { repo, path },
        None => Target::Repo(repo),
    })
}

/// The ids, with their type, of the cached repositories that a word names without one.
pub(super) fn typed_ids(report: &CacheReport, word: &str) -> Vec<String> {
    let word = word.to_lowercase();
    let is_meant = |id: &String| {
        id.split_once('/')
            .is_some_and(|(_, untyped)| untyped.to_lowercase() == word)
    };
    let ids = repos(report).map(|(id, _)| id);
    ids.filter(is_meant).collect()
}

/// Ids and folders of all repositories, damaged ones included.
pub(super) fn repos(report: &CacheReport) -> impl Iterator<Item = (String, &[u8])> {
    let damaged = |problem: &'_ Problem| {
        let (kind, id) = problem.repo()?;
        Some(format!("{kind}/{id}"))
    };
    let healthy = report
        .repos
        .iter()
        .map(|repo: &CachedRepo| (repo.cache_id(), repo.folder.as_slice()));
    healthy.chain(
        report
            .problems
            .iter()
            .filter_map(move |problem| Some((damaged(problem)?, problem.folder.as_slice()))),
    )
}
