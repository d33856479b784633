//! Doing what a plan says, in an order that leaves a valid cache at every step.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{DeletePlan, Extent, RepoDeletion, RevisionDeletion, blob_name};
use crate::cache::dir::{Dir, path_of};
use crate::cache::report::Incomplete;
use crate::cache::shared::{self, Store};
use crate::cache::{layout, scan};
use crate::fs::{FsError, create_dir_all, lock_within_for_all};

/// How long to wait for a payload's lock. It is held for moments only.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How it went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Bytes the disk got back.
    pub freed: u64,
    /// What could not be removed, and why.
    pub failures: Vec<FsError>,
    /// Ids of repositories that somebody has begun to download into since the plan was made.
    pub busy: Vec<String>,
}

/// Whether a process downloads into the repository: it holds one of the repository's locks.
pub fn is_busy(root: &Path, folder: &[u8]) -> bool {
    let locks = root.join(".locks").join(path_of(folder));
    let Ok(entries) = fs::read_dir(locks) else {
        return false;
    };
    entries.flatten().any(|entry| is_held(&entry.path()))
}

/// Whether the process that writes an unfinished download is still at it.
pub fn is_downloading(root: &Path, file: &Incomplete) -> bool {
    is_held(&lock_file(root, &file.folder, etag_of(&file.name)))
}

/// The etag that an unfinished download is for: `<etag>.incomplete`, `<etag>.<8 hex>.incomplete` or
/// one of ours.
pub fn etag_of(name: &[u8]) -> &[u8] {
    if let Some(etag) = layout::partial_etag(name) {
        return etag;
    }
    let stem = name.strip_suffix(b".incomplete").unwrap_or(name);
    match stem.iter().rposition(|&byte| byte == b'.') {
        Some(dot) if stem.len() - dot == 9 && stem[dot + 1..].iter().all(u8::is_ascii_hexdigit) => {
            &stem[..dot]
        }
        _ => stem,
    }
}

/// How many downloads the unfinished files are of: one may have several, when it came in pieces or
/// was begun more than once.
pub fn downloads(files: &[Incomplete]) -> usize {
    let contents = files
        .iter()
        .map(|file| (file.folder.as_slice(), etag_of(&file.name)));
    contents.collect::<HashSet<_>>().len()
}

fn lock_file(root: &Path, folder: &[u8], etag: &[u8]) -> PathBuf {
    let name = [etag, b".lock"].concat();
    root.join(".locks")
        .join(path_of(folder))
        .join(path_of(&name))
}

/// Whether somebody holds a lock file. One that is not there is held by nobody, and is not made.
pub fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

impl DeletePlan {
    /// Removes what the plan says. It goes on after a failure, and tells of all.
    pub fn execute(&self, store: Option<&Store>) -> Outcome {
        let mut outcome = Outcome::default();
        for repo in &self.repos {
            if is_busy(&self.root, &repo.folder) {
                outcome.busy.push(repo.cache_id.clone());
                continue;
            }
            if let Err(error) = self.delete_repo(repo) {
                outcome.failures.push(error);
            }
        }
        for file in &self.incomplete {
            if is_downloading(&self.root, file) {
                continue;
            }
            if let Err(error) = remove(&file.path(&self.root)) {
                outcome.failures.push(error);
            }
        }
        outcome.freed = self.tally.freed_by_now(&self.root);
        let linked = self.tally.links.keys().filter_map(|&index| {
            let store = store?;
            store.payloads.get(index as usize)
        });
        for payload in self.unused.iter().chain(linked) {
            match sweep(&self.root, payload) {
                Ok(bytes) => outcome.freed += bytes,
                Err(error) => outcome.failures.push(error),
            }
        }
        outcome
    }

    fn delete_repo(&self, repo: &RepoDeletion) -> Result<(), FsError> {
        let path = self.root.join(path_of(&repo.folder));
        match &repo.extent {
            Extent::Whole { .. } => delete_whole(&self.root, &path),
            Extent::Revisions(revisions) => {
                check_inside(&path)?;
                delete_revisions(&path, revisions)?;
                self.delete_blobs(repo, &path)
            }
            Extent::Files(files) => {
                check_inside(&path)?;
                for (commit, name) in files {
                    let snapshot = path.join("snapshots").join(path_of(commit));
                    check_folder(&snapshot)?;
                    remove(&snapshot.join(path_of(name)))?;
                }
                self.delete_blobs(repo, &path)
            }
        }
    }

    /// Removes blobs unless a snapshot links to them by now: another process may have made one since
    /// the plan was built. Each goes under its lock; one that is held stays.
    fn delete_blobs(&self, repo: &RepoDeletion, path: &Path) -> Result<(), FsError> {
        // When the rest cannot be read, nobody knows what it links to.
        let Ok(rest) = scan::scan_repo(&self.root, &repo.folder) else {
            return Ok(());
        };
        for name in &repo.blobs {
            let in_use = rest
                .blobs
                .iter()
                .any(|blob| blob_name(&blob.place) == Some(name));
            let lock = File::open(lock_file(&self.root, &repo.folder, name)).ok();
            let held = lock
                .as_ref()
                .is_some_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)));
            if !in_use && !held {
                remove(&path.join("blobs").join(path_of(name)))?;
            }
        }
        Ok(())
    }
}

fn delete_revisions(path: &Path, revisions: &[RevisionDeletion]) -> Result<(), FsError> {
    delete_refs(&path.join("refs"), revisions)?;
    for revision in revisions {
        let name = path_of(&revision.name);
        let tree = path_of(&[&revision.name, &b".json"[..]].concat());
        // Notes first: of a snapshot that is gone nobody would find them again.
        remove(&path.join(".no_exist").join(&name))?;
        remove(&path.join("trees").join(tree))?;
        remove(&path.join("snapshots").join(&name))?;
    }
    Ok(())
}

/// Removes the refs that name one of the revisions, and folders such as `refs/refs/pr` when this was
/// their last ref. What they hold counts, not what the plan knew: a ref may have moved on since.
fn delete_refs(folder: &Path, revisions: &[RevisionDeletion]) -> Result<(), FsError> {
    if !folder.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    for entry in list(folder)? {
        if entry.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            delete_refs(&entry, revisions)?;
            // Fails while it holds anything.
            let _ = fs::remove_dir(&entry);
        } else if fs::read(&entry).is_ok_and(|commit| revisions.iter().any(|r| r.name == commit)) {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Removes a repository's folder. `snapshots` goes last, and together with the folder itself: a
/// repository without it would be a damaged one.
fn delete_whole(root: &Path, path: &Path) -> Result<(), FsError> {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return remove(path);
    }
    remove(&path.join("refs"))?;
    let snapshots = path.join("snapshots");
    if snapshots.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        remove_content(&snapshots)?;
    }
    for entry in list(path)? {
        if entry != snapshots {
            remove(&entry)?;
        }
    }
    let locks = root.join(".locks");
    create_dir_all(&locks)?;
    let aside = locks.join(format!(".hf-{:016x}.tmp", fastrand::u64(..)));
    fs::rename(path, &aside).map_err(FsError::of("remove", path))?;
    remove(&aside)
}

/// Removes a file, a link, or a folder with all it holds; nothing there is fine.
pub fn remove(path: &Path) -> Result<(), FsError> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(FsError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn remove_content(folder: &Path) -> Result<(), FsError> {
    list(folder)?.iter().try_for_each(|entry| remove(entry))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .map_err(FsError::of("read", folder))
}

/// Refuses a repository whose folders are links: what they lead to is not the cache's.
fn check_inside(path: &Path) -> Result<(), FsError> {
    check_folder(path)?;
    for name in ["snapshots", "refs", "blobs"] {
        check_folder(&path.join(name))?;
    }
    Ok(())
}

fn check_folder(path: &Path) -> Result<(), FsError> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => {
            let reason = io::Error::other("it is a link that leads elsewhere");
            Err(FsError::of("remove anything below", path)(reason))
        }
        _ => Ok(()),
    }
}

/// Removes a payload of the shared store when its manifest has no true line left, under its lock;
/// otherwise the manifest is cut down to its true lines. A manifest whose payload is gone goes in the
/// same way. Answers the bytes that became free.
pub fn sweep(root: &Path, payload: &shared::Payload) -> Result<u64, FsError> {
    let place = root.join(payload.place());
    let manifest = shared::manifest_of(&place);
    let open = |path: &Path| Dir::open(path).map_err(FsError::of("read", path));
    let dir = open(root)?;
    let is_file = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if !shared::is_store(&dir) || !(is_file(&place) || is_file(&manifest)) {
        return Ok(0);
    }
    let lock = shared::lock_of(&place);
    if lock.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
        return Ok(0);
    }
    // A payload in use at this moment has a user: it stays.
    let Some(_guard) = lock_within_for_all(&lock, STORE_PATIENCE)? else {
        return Ok(0);
    };
    match shared::users(&dir, root, payload) {
        None => Ok(0),
        Some(users) if users.is_empty() => {
            remove(&place)?;
            remove(&manifest)?;
            Ok(payload.size)
        }
        Some(users) => {
            shared::write_manifest(&manifest, &users)?;
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_of_unfinished_downloads() {
        for (name, expected) in [
            ("abc.incomplete", "abc"),
            ("abc.1234abcd.incomplete", "abc"),
            ("abc.hf-part", "abc"),
            ("abc.1234abc.incomplete", "abc.1234abc"),
            ("d41d8-3.x.incomplete", "d41d8-3.x"),
        ] {
            assert_eq!(etag_of(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }
}
