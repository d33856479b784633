//! Removing things from the cache: a plan is built, shown, and only then executed.
//!
//! # What may be lost, and when
//!
//! The order is refs, snapshots, blobs (docs/reference.md#deletion and the explanation
//! in [`super::layout`]), so a process that is killed at any point leaves a cache without a ref to a
//! missing snapshot and without a link to a missing blob: at worst some blobs that nothing links to
//! any more.
//!
//! Nothing outside of the cache is ever touched: links are removed, never followed, and a repository
//! whose own folders are links elsewhere is refused. A repository that another process downloads
//! into, or may download into (`in_use`), is left alone and reported. Lock files stay.
//!
//! The freed bytes are those the disk gets back: a file with another name elsewhere (a hard link)
//! and a shared blob that another repository uses count nothing. Only content is counted, as the
//! Python client does, not refs, links and folders; and by their length, as it does too, so for
//! a compressed file `du` shows less. Unfinished downloads alone count by the room that they take on the disk:
//! ours have the length of the whole file from the start, and holes.

pub mod evict;
mod execute;
mod in_use;
pub mod interrupted;
mod plan;
mod tally;
pub mod targets;
mod unfinished;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub use self::execute::Outcome;
pub(super) use self::execute::{remove, sweep};
pub(super) use self::in_use::blocks;
pub use self::in_use::{Spared, Use};
pub use self::plan::{DeletePlan, Extent, RepoDeletion, RevisionDeletion};
pub use self::unfinished::{Unfinished, unfinished};
use super::layout;
use crate::cache::scan::report::{CacheReport, Incomplete};
use crate::sys::dir::path_of;

/// The name of a blob in the repository's own `blobs/`. Files elsewhere are not removed.
fn blob_name(place: &[u8]) -> Option<&[u8]> {
    let name = place.strip_prefix(b"blobs/")?;
    (!name.contains(&b'/')).then_some(name)
}

/// Files of the cache that a snapshot of another repository links to.
pub(super) fn links_between(report: &CacheReport) -> HashSet<PathBuf> {
    report
        .all_repos()
        .flat_map(|repo| &repo.blobs)
        .filter(|blob| blob.place.first() == Some(&b'/'))
        .flat_map(|blob| spellings(&path_of(&blob.place)))
        .collect()
}

/// The path that a link means, resolved as text, and with the links in its folders followed: a cache
/// can have several paths.
pub(super) fn spellings(target: &Path) -> Vec<PathBuf> {
    let resolved = || {
        let folder = crate::sys::canonicalize(target.parent()?).ok()?;
        Some(folder.join(target.file_name()?))
    };
    resolved()
        .into_iter()
        .chain([layout::normalize(target)])
        .collect()
}

/// A path relative to the cache's root.
fn relative<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// How many downloads the unfinished files belong to: one has several files when it was fetched in
/// segments or started more than once.
pub fn downloads(files: &[Incomplete]) -> usize {
    let contents = files
        .iter()
        .map(|file| (file.folder.as_slice(), unfinished::content(file)));
    contents.collect::<HashSet<_>>().len()
}

/// Whether a process downloads into the repository, or may be about to link a blob of it.
pub(super) fn is_busy(root: &Path, folder: &[u8]) -> bool {
    in_use::blocks(root, folder, false).is_some()
}

/// Whether the process that writes an unfinished download is still running, or may be.
pub(super) fn is_downloading(root: &Path, file: &Incomplete) -> bool {
    in_use::of_incomplete(root, file).is_some()
}

/// Whether a process holds a lock file, or may.
pub(super) fn is_held(path: &Path) -> bool {
    use crate::sys::lockfile::{State, state};
    matches!(state(path), State::Held | State::CannotTell)
}
