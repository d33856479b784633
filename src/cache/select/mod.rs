//! Which rows of a listing are wanted, and in what order. Pure.
//!
//! The expressions are those of `hf cache ls` of the Python client (REFERENCE 6): `size>1GB`,
//! `accessed>30d`, `type=model`, `refs=main`, and sort keys with `:asc` or `:desc`.

mod filter;
mod sort;

pub use self::filter::{Filter, duration, size};
pub use self::sort::Sort;
use super::report::{CachedRepo, CachedRevision};

/// A row of the listing: a repository, or one of its revisions.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The repository.
    pub repo: &'a CachedRepo,
    /// The revision, when rows are revisions.
    pub revision: Option<&'a CachedRevision>,
}

impl Row<'_> {
    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        self.revision
            .map_or(self.repo.size, |revision| revision.size)
    }

    /// Last read. Revisions share blobs, so only a repository has such a time.
    pub fn accessed(&self) -> f64 {
        self.repo.accessed
    }

    /// Last written, in seconds since 1970.
    pub fn modified(&self) -> f64 {
        self.revision
            .map_or(self.repo.modified, |revision| revision.modified)
    }

    /// Refs, sorted.
    pub fn refs(&self) -> Vec<String> {
        self.revision
            .map_or_else(|| self.repo.refs(), |revision| revision.refs.clone())
    }
}

/// A filter or sort expression that makes no sense. The text says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Not `key`, operator, `value`.
    #[error("the filter {0:?} has no form like size>1GB, accessed>30d, type=model or refs=main")]
    Form(String),
    /// Unknown key.
    #[error("the filter key {0:?} is none of accessed, modified, refs, size, type")]
    Key(String),
    /// `==`, or an order where only equality makes sense.
    #[error("the filter {0:?} needs another operator: {1}")]
    Operator(String, &'static str),
    /// Not a number with a unit.
    #[error("{0:?} is not {1}")]
    Value(String, &'static str),
    /// Unknown sort key.
    #[error("the sort key {0:?} is none of accessed, modified, name, size, with :asc or :desc")]
    Sort(String),
}

/// The rows of a listing in their natural order: by id, then by commit.
pub fn rows(repos: &[CachedRepo], by_revision: bool) -> Vec<Row<'_>> {
    let mut sorted: Vec<&CachedRepo> = repos.iter().collect();
    sorted.sort_by_key(|repo| repo.cache_id());
    sorted
        .into_iter()
        .flat_map(|repo| {
            let revisions = by_revision.then_some(&repo.revisions);
            let whole = (!by_revision).then_some(Row {
                repo,
                revision: None,
            });
            revisions
                .into_iter()
                .flatten()
                .map(|revision| Row {
                    repo,
                    revision: Some(revision),
                })
                .chain(whole)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::RepoType;

    /// A repository with one revision, which shows half of its bytes.
    pub fn repo(id: &str, size: u64, accessed: f64, refs: &[&str]) -> CachedRepo {
        CachedRepo {
            folder: Vec::new(),
            repo_type: RepoType::Model,
            id: id.to_owned(),
            revisions: vec![CachedRevision {
                name: "c".repeat(40).into_bytes(),
                commit: "c".repeat(40),
                refs: refs.iter().map(|&name| name.to_owned()).collect(),
                file_count: 1,
                size: size / 2,
                modified: accessed,
                files: Vec::new(),
            }],
            blobs: Vec::new(),
            size,
            accessed,
            modified: accessed,
        }
    }
}
