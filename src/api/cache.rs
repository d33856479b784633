//! The repository cache on disk. No request is sent.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Error;
use crate::cache::scan::report;
use crate::cache::scan::{Detail, ScanError, scan};
use crate::sys::FsError;
use crate::types::CacheId;

/// The repository cache that all clients of the Hub share.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in this folder.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`](crate::ErrorKind::Disk): there is no such folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        match std::fs::metadata(&root) {
            Ok(meta) if meta.is_dir() => Ok(Cache { root }),
            Ok(_) => Err(ScanError::NotAFolder(root).into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(ScanError::NotFound(root).into())
            }
            Err(error) => Err(FsError::of("read", &root)(error).into()),
        }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads what the cache holds. Nothing is changed.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`](crate::ErrorKind::Disk): the folder cannot be read. A repository that is
    /// damaged is no error: see [`CachedRepo::problem`].
    pub fn scan(&self) -> Result<CacheScan, Error> {
        let report = scan(&self.root, Detail::Totals)?;
        let whole = report.repos.iter().map(|repo| CachedRepo::of(repo, None));
        let damaged = report.problems.iter().filter_map(|problem| {
            let rest = problem.rest.as_deref()?;
            Some(CachedRepo::of(rest, Some(problem.kind.to_string())))
        });
        Ok(CacheScan {
            repos: whole.chain(damaged).collect(),
            size: report.size_with_damaged,
        })
    }
}

/// What a cache held when it was scanned.
#[derive(Clone, Debug)]
pub struct CacheScan {
    repos: Vec<CachedRepo>,
    size: u64,
}

impl CacheScan {
    /// The repositories, damaged ones last.
    pub fn repos(&self) -> &[CachedRepo] {
        &self.repos
    }

    /// Bytes on disk, each blob counted once.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A repository in the cache.
#[derive(Clone, Debug)]
pub struct CachedRepo {
    id: CacheId,
    size: u64,
    commits: Vec<String>,
    problem: Option<String>,
}

impl CachedRepo {
    fn of(repo: &report::CachedRepo, problem: Option<String>) -> Self {
        CachedRepo {
            id: repo.id.clone(),
            size: repo.size,
            commits: repo
                .revisions
                .iter()
                .map(|one| one.commit.clone())
                .collect(),
            problem,
        }
    }

    /// Kind and id, such as `model/openai-community/gpt2`.
    pub fn id(&self) -> &CacheId {
        &self.id
    }

    /// Bytes of its blobs, each counted once.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The commits that it has snapshots of.
    pub fn commits(&self) -> &[String] {
        &self.commits
    }

    /// What is wrong with it, in words; `None` for a sound one.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
