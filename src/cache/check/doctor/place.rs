//! Puts a file of a snapshot back in its place: as a link to its blob or, on a disk without symbolic
//! links, as a file, as a download does there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::facts::{Facts, link_text};
use super::relink::Has;
use super::walk::is_there;
use super::{Finding, Fix};
use crate::cache::commit;
use crate::cache::layout::RepoLayout;
use crate::cache::remove;
use crate::sys::{FsError, copy_file, create_dir_all, replace};

/// What is at the place now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// A link, or what was there before.
    Link,
    /// A file, since there are no links on this disk.
    File,
}

/// The places that are still to be filled, by the path of their blob.
#[derive(Default)]
pub(super) struct Waiting(HashMap<PathBuf, usize>);

impl Waiting {
    pub fn of(root: &Path, findings: &[Finding]) -> Waiting {
        let mut waiting = Waiting::default();
        for finding in findings {
            if let Fix::Relink(etag) = &finding.fix {
                let repo = RepoLayout::of_folder(root, &finding.folder);
                *waiting
                    .0
                    .entry(repo.blob_named(etag.as_bytes()))
                    .or_default() += 1;
            }
        }
        waiting
    }

    /// Takes one place off; whether it was the last one of its blob.
    fn was_last(&mut self, blob: &Path) -> bool {
        self.0.get_mut(blob).is_none_or(|count| {
            *count = count.saturating_sub(1);
            *count == 0
        })
    }
}

/// Makes a snapshot's link to a blob, unless there is a file or a link to a file of this cache.
///
/// Without links the blob is copied. For its last place it is moved, which needs no disk space, unless
/// a process downloads into the repository and may be about to use the blob.
pub(super) fn relink(
    root: &Path,
    repo: &RepoLayout,
    folder: &[u8],
    path: &Path,
    etag: &str,
    waiting: &mut Waiting,
) -> Result<Placed, FsError> {
    let blob = repo.blob_named(etag.as_bytes());
    let is_last = waiting.was_last(&blob);
    let is_dead = || path.is_symlink() && !path.exists();
    let leads_out = || {
        let target = path.canonicalize();
        path.is_symlink() && target.is_ok_and(|target| !target.starts_with(root))
    };
    if is_there(path) && !is_dead() && !leads_out() {
        return Ok(Placed::Link);
    }
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let place = path.strip_prefix(repo.snapshots()).unwrap_or(path);
    if commit::make_symlink(repo, path, &link_text(place, etag))? {
        return Ok(Placed::Link);
    }
    let may_move = is_last
        && !blob.is_symlink()
        && remove::blocks(root, folder, false).is_none()
        && Facts::read(root, repo).has(etag) == Has::Unlinked;
    match may_move {
        true => replace(&blob, path)?,
        false => copy_file(&blob, path, &repo.blobs())?,
    }
    Ok(Placed::File)
}
