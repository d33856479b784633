//! Where a fetched file goes: its lock, its partial, its published form.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use super::files::Files;
use super::local_dir::LocalDir;
use super::plan::PlannedFile;
use super::request::{Destination, Request};
use super::whole::is_whole;
use crate::cache::commit::{Linking, link, publish};
use crate::cache::layout::{CacheLayout, PartialName, RepoLayout};
use crate::cache::prepare::{prepare_repo, prepare_root};
use crate::download::partial::{Partial, SMALL, adopt_prefix, discard, kept_bytes};
use crate::sys::lockfile::{self, Attempt, is_young};
use crate::sys::{FsError, copy_file, create_dir_all};
use crate::types::CommitHash;

/// The place that files of one download go to.
pub struct Place {
    cache: CacheLayout,
    repo: RepoLayout,
    commit: CommitHash,
    linking: Linking,
    pub(super) local_dir: Option<LocalDir>,
    /// The warning that this file system has no locks was shown.
    pub(super) told_of_locks: AtomicBool,
}

impl Place {
    /// The place of a request. Nothing is written yet.
    pub fn new(request: &Request, repo: &RepoLayout, commit: &CommitHash) -> Self {
        Place {
            cache: request.cache.clone(),
            repo: repo.clone(),
            commit: commit.clone(),
            linking: request.linking,
            local_dir: match &request.target {
                Destination::Cache => None,
                Destination::LocalDir(dir) => Some(dir.clone()),
            },
            told_of_locks: AtomicBool::new(false),
        }
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// [`FsError`] when one cannot be made.
    pub fn prepare(&self) -> Result<(), FsError> {
        if let Some(dir) = &self.local_dir {
            return dir.prepare();
        }
        self.prepare_contents()?;
        create_dir_all(&self.repo.snapshot(&self.commit))
    }

    /// Makes the folders for contents in the cache.
    ///
    /// # Errors
    /// [`FsError`] when one cannot be made.
    pub fn prepare_contents(&self) -> Result<(), FsError> {
        prepare_root(&self.cache)?;
        prepare_repo(&self.cache, &self.repo)?;
        create_dir_all(&self.repo.blobs())
    }

    /// Removes unfinished downloads of files that are complete by now. Those whose lock another process
    /// holds, or that cannot be removed, stay.
    pub fn sweep(&self, files: &Files) {
        for file in files.iter().filter(|file| file.leftover) {
            if let Attempt::Taken(_lock) = lockfile::attempt(&self.lock_file(&file))
                && self.has_content(&file)
            {
                self.discard_partial(&file);
            }
        }
    }

    /// Removes an unfinished download, and one of version 0.1. The caller holds the lock.
    pub(super) fn discard_partial(&self, file: &PlannedFile) {
        let partial = self.partial(file);
        discard(&partial);
        let prefix = PartialName::prefix_of(&partial);
        remove_segments(&prefix);
        let _ = fs::remove_file(prefix);
    }

    /// After a failure: removes folders that stayed empty, so that a refused download (a gated
    /// repository) leaves no empty repository in the cache. `new_tree` is the listing that this download
    /// wrote.
    pub fn tidy(&self, files: &Files, new_tree: Option<&Path>) {
        for file in files.iter().filter(|file| file.is_fetched()) {
            let partial = self.partial(&file);
            let is_empty = partial.exists() && self.kept_of(&file) == 0;
            // Another program that waits for its first byte holds the lock; then the partial stays.
            if is_empty && let Attempt::Taken(_lock) = lockfile::attempt(&self.lock_file(&file)) {
                self.discard_partial(&file);
            }
        }
        if self.local_dir.is_some() {
            if let Some(tree) = new_tree
                && files
                    .iter()
                    .all(|file| !self.has_content(&file) && self.kept_of(&file) == 0)
            {
                let _ = fs::remove_file(tree);
                let _ = tree.parent().map(fs::remove_dir);
            }
            return;
        }
        // remove_dir takes empty folders only: what holds anything stays.
        let _ = fs::remove_dir(self.repo.snapshot(&self.commit));
        let _ = fs::remove_dir(self.repo.blobs());
        if self.repo.blobs().exists() || fs::remove_dir(self.repo.snapshots()).is_err() {
            return;
        }
        if let Some(tree) = new_tree {
            let _ = fs::remove_file(tree);
            let _ = tree.parent().map(fs::remove_dir);
        }
        let _ = fs::remove_dir(self.repo.folder());
    }

    pub(super) fn lock_file(&self, file: &PlannedFile) -> PathBuf {
        match &self.local_dir {
            Some(dir) => dir.lock(&file.path),
            None => self.repo.lock(&file.checksum),
        }
    }

    pub(super) fn partial(&self, file: &PlannedFile) -> PathBuf {
        match &self.local_dir {
            Some(dir) => dir.partial(&file.path, &file.checksum),
            None => self.repo.partial(&file.checksum),
        }
    }

    /// Where the content of a file is, once it is published.
    pub(super) fn content(&self, file: &PlannedFile) -> PathBuf {
        match &self.local_dir {
            Some(dir) => dir.file(&file.path),
            None => self.repo.pointer(&self.commit, &file.path),
        }
    }

    /// Whether the content is there: from the start, or since another process published it.
    pub(super) fn has_content(&self, file: &PlannedFile) -> bool {
        let is_whole = |path: &Path| is_whole(path, &file.checksum, file.length) == Some(true);
        match &self.local_dir {
            Some(dir) => {
                let metadata = dir.metadata(&file.path);
                metadata.is_some_and(|metadata| metadata.etag == *file.checksum.etag())
                    && is_whole(&dir.file(&file.path))
            }
            None => is_whole(&self.repo.blob(&file.checksum)),
        }
    }

    /// Bytes of these files that the next download can use: complete contents and partials.
    pub fn kept(&self, files: &Files) -> u64 {
        let mut seen = HashSet::new();
        let of_file = |file: PlannedFile| match (self.has_content(&file), file.size()) {
            (true, Some(size)) => size,
            _ => self.kept_of(&file),
        };
        files
            .iter()
            .filter(|file| file.is_fetched())
            .filter(|file| self.local_dir.is_some() || seen.insert(file.checksum.clone()))
            .map(of_file)
            .sum()
    }

    /// Bytes in the partial of a file.
    fn kept_of(&self, file: &PlannedFile) -> u64 {
        kept_bytes(&self.partial(file), &file.checksum, file.length.sure())
    }

    /// Uses content that is there already.
    pub(super) fn reuse(&self, file: &PlannedFile) -> Result<(), FsError> {
        match &self.local_dir {
            Some(dir) => {
                let cached = self.repo.pointer(&self.commit, &file.path);
                let target = dir.file(&file.path);
                if let Some(folder) = target.parent() {
                    create_dir_all(folder)?;
                }
                // Content only: the shared store's read-only mode is not for the user's own file.
                copy_file(&cached, &target, &dir.staging())?;
                dir.write_metadata(&file.path, &self.commit, &file.checksum)
            }
            None => self.point(file, false),
        }
    }

    /// Makes the pointer to a blob; see [`link`].
    pub(super) fn point(&self, file: &PlannedFile, fresh: bool) -> Result<(), FsError> {
        let (repo, commit) = (&self.repo, &self.commit);
        link(
            repo,
            commit,
            &file.path,
            &file.checksum,
            self.linking,
            fresh,
        )
    }

    /// Makes a verified partial the user's file, or the blob. That another process did so first is
    /// success. Takes as long as the disk takes to keep the bytes.
    pub(super) fn publish(&self, file: &PlannedFile, partial: &Partial) -> Result<(), FsError> {
        let publish = |target: &Path| publish(partial.file(), partial.path(), target);
        match &self.local_dir {
            Some(dir) => {
                let target = dir.file(&file.path);
                if let Some(folder) = target.parent() {
                    create_dir_all(folder)?;
                }
                publish(&target)?;
                // Before the metadata, with which no later run looks at the file again.
                partial.published();
                dir.write_metadata(&file.path, &self.commit, &file.checksum)
            }
            None => {
                let published = publish(&self.repo.blob(&file.checksum));
                published.or_else(|error| match self.has_content(file) {
                    true => Ok(()),
                    false => Err(error),
                })
            }
        }
    }

    /// Takes up what other clients, or version 0.1 of this program, have of the content from its start,
    /// when we have nothing. The caller holds the lock, which the legacy client takes as well for its
    /// `<etag>.incomplete`; the JavaScript client writes to the same name without one, so what was written
    /// to lately stays. The segments of version 0.1 are removed: they would be read and written again.
    ///
    /// # Errors
    /// [`FsError`] when the disk fails.
    pub(super) fn adopt_prefix(&self, file: &PlannedFile) -> Result<(), FsError> {
        let ours = self.partial(file);
        // A small file gains nothing by it.
        let is_large = file.size().is_none_or(|size| size > SMALL);
        let is_file = |path: &Path| {
            let found = fs::symlink_metadata(path).ok()?;
            (found.is_file() && found.len() > 0).then_some(found)
        };
        let is_wanted = || is_large && !ours.exists();
        let adopt = |path: &Path| adopt_prefix(path, &ours, &file.checksum, file.length.sure());
        let old = PartialName::prefix_of(&ours);
        if fs::symlink_metadata(&old).is_ok() {
            remove_segments(&old);
            if is_file(&old).is_some() && is_wanted() {
                return adopt(&old);
            }
            let _ = fs::remove_file(old);
        }
        if is_large && self.local_dir.is_none() {
            let legacy = self.repo.legacy_partial(&file.checksum);
            let is_old = |found| !is_young(&found, SystemTime::now());
            if is_file(&legacy).is_some_and(is_old) && is_wanted() {
                adopt(&legacy)?;
            }
        }
        Ok(())
    }
}

/// Removes the segments that version 0.1 wrote beside a prefix: `….hf-part-<k>`. There are none without
/// the prefix but after a crash.
fn remove_segments(prefix: &Path) {
    let (Some(folder), Some(name)) = (prefix.parent(), prefix.file_name()) else {
        return;
    };
    if !prefix.exists() {
        return;
    }
    let name = name.as_encoded_bytes();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let rest = other.as_encoded_bytes().strip_prefix(name);
        let digits = rest.and_then(|rest| rest.strip_prefix(b"-"));
        if digits.is_some_and(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
