//! Whether a process may be writing what is about to be deleted.
//!
//! A held lock shows it. Where there is no such lock (another program takes none, or the file system
//! does not report it), what was written within [`lockfile::YOUNG`] counts as being written: "unknown"
//! never means "free to delete".

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cache::blob_names::{self, BlobName};
use crate::cache::layout::{self, PartialName, RepoLayout, Writer};
use crate::cache::scan;
use crate::cache::scan::report::Incomplete;
use crate::sys::LockGuard;
use crate::sys::dir::is_absent;
use crate::sys::lockfile::{self, State};

/// Why something is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// A process holds a lock.
    Held,
    /// This was written recently, and the file system does not report whether its lock is held.
    CannotTell(PathBuf),
    /// This was written recently, by a program that takes no lock or an unknown program.
    Unlocked(PathBuf),
}

/// What `hf cache` leaves alone, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spared {
    /// `model/org/name`, or the name of a folder that has no such id.
    pub id: String,
    /// Why.
    pub reason: Use,
}

/// Whether a process writes a file, given the state of the lock that the writer would hold. Pure.
fn reason(lock: State, writer: Writer, is_young: bool, path: &Path) -> Option<Use> {
    match lock {
        State::Held => Some(Use::Held),
        // Its writer would hold the lock, and no process does.
        State::Free if writer == Writer::Locks => None,
        _ if !is_young => None,
        State::CannotTell => Some(Use::CannotTell(path.to_path_buf())),
        State::Free | State::Absent => Some(Use::Unlocked(path.to_path_buf())),
    }
}

/// Whether a process may be writing to a repository's folder: a lock is held, an unfinished download
/// may be running, or an unknown file in `blobs/` is young.
fn of_repo(root: &Path, folder: &[u8]) -> Option<Use> {
    let layout = RepoLayout::of_folder(root, folder);
    let mut cannot_tell = false;
    match fs::read_dir(layout.locks()) {
        Err(error) => cannot_tell = !is_absent(&error),
        Ok(entries) => {
            for entry in entries {
                let Ok(entry) = entry else {
                    cannot_tell = true;
                    continue;
                };
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                match lockfile::state(&entry.path()) {
                    State::Held => return Some(Use::Held),
                    State::CannotTell => cannot_tell = true,
                    State::Free | State::Absent => {}
                }
            }
        }
    }
    of_blobs(root, folder, cannot_tell)
}

/// Why a repository is to be left alone when all of it is to go (`is_whole`), or a part of what its
/// snapshots link to. What another program writes without a lock prevents only the removal
/// of the whole folder.
pub fn blocks(root: &Path, folder: &[u8], is_whole: bool) -> Option<Use> {
    of_repo(root, folder).filter(|why| is_whole || !matches!(why, Use::Unlocked(_)))
}

/// As [`of_repo`], by what lies in `blobs/`. `cannot_tell`: some lock of the repository did not say
/// whether it is held.
fn of_blobs(root: &Path, folder: &[u8], cannot_tell: bool) -> Option<Use> {
    let layout = RepoLayout::of_folder(root, folder);
    let blobs = layout.blobs();
    let entries = match fs::read_dir(&blobs) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return None,
        Err(_) => return Some(Use::CannotTell(blobs)),
    };
    let now = SystemTime::now();
    let (mut found, mut unlinked) = (None, Vec::new());
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        // It was renamed in the meantime.
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        let is_young = lockfile::is_young(&meta, now);
        // No program writes to a link; but a link into the shared store is a blob.
        let is_file = !meta.is_symlink();
        let name = name.as_encoded_bytes();
        let of_entry = match blob_names::blob_name(name) {
            BlobName::Partial(_) => claim_partial(&layout, name, &meta, now).err(),
            BlobName::Lock if lockfile::state(&path) == State::Held => Some(Use::Held),
            BlobName::Unknown if is_young && is_file && !cannot_tell => {
                unlinked.push((name.to_vec(), Use::Unlocked(path)));
                None
            }
            BlobName::Staging if is_young && cannot_tell => Some(Use::CannotTell(path)),
            BlobName::Blob | BlobName::Unknown if is_young && cannot_tell => {
                unlinked.push((name.to_vec(), Use::CannotTell(path)));
                None
            }
            _ => None,
        };
        match of_entry {
            Some(Use::Held) => return Some(Use::Held),
            Some(Use::Unlocked(path)) if cannot_tell => found = Some(Use::CannotTell(path)),
            Some(use_) => found = found.or(Some(use_)),
            None => {}
        }
    }
    found.or_else(|| first_unlinked(root, folder, unlinked))
}

/// The first of these files in `blobs/` that no snapshot links to: a blob may have been downloaded just
/// now, and a file with an unknown name may be of another program.
fn first_unlinked(root: &Path, folder: &[u8], files: Vec<(Vec<u8>, Use)>) -> Option<Use> {
    if files.is_empty() {
        return None;
    }
    let repo = scan::scan_repo(root, folder).ok();
    let is_linked = |name: &[u8]| {
        let place = [layout::BLOBS.as_bytes(), b"/", name].concat();
        repo.as_ref()
            .is_some_and(|repo| repo.blobs.iter().any(|blob| *blob.place == *place))
    };
    let unlinked = files.into_iter().find(|(name, _)| !is_linked(name));
    unlinked.map(|(_, reason)| reason)
}

/// Whether a process writes this unfinished download of a repository. If not, the lock of its writer,
/// where there is one.
fn claim_partial(
    layout: &RepoLayout,
    name: &[u8],
    meta: &Metadata,
    now: SystemTime,
) -> Result<Option<LockGuard>, Use> {
    let Some(partial) = PartialName::parse(name) else {
        return Ok(None);
    };
    let (lock, guard) = match partial.writer {
        Writer::Never => (State::Absent, None),
        _ => lockfile::hold(&lock_file(layout, &partial)),
    };
    let path = layout.blob_named(name);
    match reason(lock, partial.writer, lockfile::is_young(meta, now), &path) {
        Some(reason) => Err(reason),
        None => Ok(guard),
    }
}

/// Claims an unfinished download: no process writes it, and none starts while the guard exists, where
/// there is a lock. No process writes a deleted one.
///
/// # Errors
/// A process writes it, or may.
pub fn claim(root: &Path, file: &Incomplete) -> Result<Option<LockGuard>, Use> {
    let path = file.path(root);
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(_) => return Err(Use::CannotTell(path)),
    };
    let now = SystemTime::now();
    if !file.folder.is_empty() {
        let layout = RepoLayout::of_folder(root, &file.folder);
        return claim_partial(&layout, &file.name, &meta, now);
    }
    let is_young = lockfile::is_young(&meta, now);
    reason(State::Absent, Writer::Never, is_young, &path).map_or(Ok(None), Err)
}

/// Whether a process may be writing an unfinished download.
pub fn of_incomplete(root: &Path, file: &Incomplete) -> Option<Use> {
    claim(root, file).err()
}

/// The lock that the writer of an unfinished download would hold.
fn lock_file(layout: &RepoLayout, partial: &PartialName<'_>) -> PathBuf {
    match partial.writer {
        Writer::MayLockBeside => layout.lock_beside(partial.etag),
        _ => layout.lock_named(partial.etag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_free_lock_that_its_writer_takes_is_proof() {
        let path = Path::new("p");
        let cannot_tell = || Some(Use::CannotTell(path.to_path_buf()));
        let unlocked = || Some(Use::Unlocked(path.to_path_buf()));
        for (lock, writer, if_young, if_old) in [
            (State::Held, Writer::Locks, Some(Use::Held), Some(Use::Held)),
            (State::Held, Writer::Never, Some(Use::Held), Some(Use::Held)),
            (State::Free, Writer::Locks, None, None),
            (State::Free, Writer::MayLock, unlocked(), None),
            (State::Free, Writer::MayLockBeside, unlocked(), None),
            (State::Absent, Writer::Locks, unlocked(), None),
            (State::Absent, Writer::Never, unlocked(), None),
            (State::CannotTell, Writer::Locks, cannot_tell(), None),
            (State::CannotTell, Writer::MayLock, cannot_tell(), None),
        ] {
            for (is_young, expected) in [(true, if_young), (false, if_old)] {
                let found = reason(lock, writer, is_young, path);
                assert_eq!(found, expected, "{lock:?} {writer:?} young {is_young}");
            }
        }
    }
}
