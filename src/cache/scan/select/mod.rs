//! Which rows of a listing are wanted, and in what order. Pure.
//!
//! The expressions are those of `hf cache ls` of the Python client (docs/reference.md#cache-ls):
//! `size>1GB`, `accessed>30d`, `type=model`, `refs=main`, and sort keys with `:asc` or `:desc`.

mod filter;
mod sort;

pub use self::filter::{Filter, duration, size};
pub use self::sort::Sort;
use crate::cache::scan::report::{CacheReport, CachedRepo, CachedRevision, Problem};

/// A row of the listing: a repository, or one of its revisions.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The repository.
    pub repo: &'a CachedRepo,
    /// The revision, when rows are revisions.
    pub revision: Option<&'a CachedRevision>,
    /// What is wrong with the repository.
    pub problem: Option<&'a Problem>,
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

/// An invalid filter or sort expression. The text says what is wrong with it.
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

/// The rows of a listing in their natural order: by id, then by commit. Damaged repositories are among
/// them.
pub fn rows(report: &CacheReport, by_revision: bool) -> Vec<Row<'_>> {
    let damaged = report.problems.iter();
    let damaged = damaged.filter_map(|problem| Some((problem.rest.as_deref()?, Some(problem))));
    let healthy = report.repos.iter().map(|repo| (repo, None));
    let mut sorted: Vec<(&CachedRepo, Option<&Problem>)> = healthy.chain(damaged).collect();
    sorted.sort_by_key(|(repo, _)| &repo.id);
    let mut rows = Vec::new();
    for (repo, problem) in sorted {
        let row = |revision| Row {
            repo,
            revision,
            problem,
        };
        if by_revision {
            rows.extend(repo.revisions.iter().map(|revision| row(Some(revision))));
        } else {
            rows.push(row(None));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::layout::RepoLayout;
    use crate::types::{CacheId, RepoType};

    /// A report of these repositories.
    pub fn report(repos: Vec<CachedRepo>) -> CacheReport {
        CacheReport {
            root: std::path::PathBuf::new(),
            repos,
            problems: Vec::new(),
            incomplete: Vec::new(),
            store: None,
            size: 0,
            size_with_damaged: 0,
        }
    }

    /// A repository with one revision, which shows half of its bytes.
    pub fn repo(id: &str, size: u64, accessed: f64, refs: &[&str]) -> CachedRepo {
        CachedRepo {
            folder: Vec::new(),
            layout: RepoLayout::of_folder(std::path::Path::new(""), b""),
            id: CacheId {
                repo_type: RepoType::Model,
                id: id.to_owned(),
            },
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
