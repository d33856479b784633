//! Which repositories are pinned: kept by `cache rm`, `cache delete` and `cache prune`.
//!
//! A pin is an empty file `.hf-pin` in the repository's folder. So it belongs to the cache and not to
//! a user, and moves with the folder. The Python clients do not mind it: they read only `blobs`,
//! `refs`, `snapshots` and `trees` of a repository, while an unknown entry in the root of the cache
//! would be an inconsistency to them. They do not know pins: their commands remove a pinned repository.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::layout::RepoLayout;
use crate::cache::scan::report::CacheReport;
use crate::sys::{FsError, Opening};

/// Names of the folders of pinned repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins(BTreeSet<Vec<u8>>);

impl Pins {
    /// Looks up the pins of all repositories of a report, damaged ones included.
    pub fn read(report: &CacheReport) -> Pins {
        let healthy = report.repos.iter().map(|repo| &repo.folder);
        let damaged = report.problems.iter().map(|problem| &problem.folder);
        let pinned = healthy
            .chain(damaged)
            .filter(|folder| marker(&report.root, folder).symlink_metadata().is_ok());
        Pins(pinned.cloned().collect())
    }

    /// Whether the repository in this folder of the root is pinned.
    pub fn contains(&self, folder: &[u8]) -> bool {
        self.0.contains(folder)
    }

    /// Treats a repository as pinned or not in this run, whatever the disk says.
    pub fn set(&mut self, folder: &[u8], pinned: bool) {
        if pinned {
            self.0.insert(folder.to_vec());
        } else {
            self.0.remove(folder);
        }
    }
}

/// Pins a repository; returns whether it was not before.
///
/// # Errors
/// [`FsError`] naming the pin.
pub fn pin(root: &Path, folder: &[u8]) -> Result<bool, FsError> {
    let path = marker(root, folder);
    match Opening::new_file().open(&path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FsError::of("write", &path)(error)),
    }
}

/// Takes a pin away; returns whether there was one.
///
/// # Errors
/// [`FsError`] naming the pin.
pub fn unpin(root: &Path, folder: &[u8]) -> Result<bool, FsError> {
    let path = marker(root, folder);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FsError::of("remove", &path)(error)),
    }
}

fn marker(root: &Path, folder: &[u8]) -> PathBuf {
    RepoLayout::of_folder(root, folder).pin()
}
