//! Whether the file system can hold the names of a plan, asked before anything is written.

use std::path::Path;

use super::Session;
use crate::download::DownloadError;
use crate::download::plan::DownloadPlan;
use crate::download::request::Destination;
use crate::download::select::Selected;
use crate::sys::is_case_sensitive;
use crate::types::RepoPath;
use crate::types::listing::{Listing, case_collision};

/// Longest path that system calls take, in bytes: Linux has 4,096 with the final zero, and the other
/// systems no more than that.
const LONGEST_PATH: usize = 4095;
/// Longest part of a path in bytes, on every common file system.
const LONGEST_PART: usize = 255;

/// Refuses what was chosen from a listing when names in it cannot be stored at all.
///
/// # Errors
/// [`DownloadError::Unstorable`].
pub(super) fn refuse_unstorable(
    target: &Destination,
    listing: &Listing,
    selected: &Selected,
) -> Result<(), DownloadError> {
    let refused = selected.refused.iter().filter_map(|name| {
        let refused = listing.refused().get(name)?;
        Some((name.clone(), refused.why.reason()))
    });
    let refused: Vec<_> = refused.collect();
    if !refused.is_empty() {
        return Err(DownloadError::Unstorable(refused));
    }
    let paths = selected.places.iter();
    refuse_in_folder(target, paths.map(|&place| listing.at(place).0))
}

/// Refuses files that a local folder must not have: see [`RepoPath::local_objection`].
///
/// # Errors
/// [`DownloadError::Unstorable`].
pub(super) fn refuse_in_folder<'a>(
    target: &Destination,
    paths: impl IntoIterator<Item = &'a RepoPath>,
) -> Result<(), DownloadError> {
    if matches!(target, Destination::Cache) {
        return Ok(());
    }
    let refused = paths.into_iter().filter_map(|path| {
        let reason = path.local_objection()?;
        Some((path.as_str().to_owned(), reason))
    });
    let refused: Vec<_> = refused.collect();
    match refused.is_empty() {
        true => Ok(()),
        false => Err(DownloadError::Unstorable(refused)),
    }
}

impl Session {
    /// All files of the plan can be stored, each under a path of its own.
    ///
    /// # Errors
    /// [`DownloadError::PathTooLong`], [`DownloadError::CaseCollision`].
    pub(super) fn check_names(&self, plan: &DownloadPlan) -> Result<(), DownloadError> {
        // Not probed in the snapshot, where every name means something to others.
        let (root, probed) = match &self.request.target {
            Destination::Cache => (self.repo.snapshot(&plan.commit), self.repo.blobs()),
            Destination::LocalDir(dir) => (dir.root().to_path_buf(), dir.root().to_path_buf()),
        };
        let paths = || plan.files.paths();
        if let Some(path) = paths().find(|path| !self.fits(&root, path)) {
            return Err(DownloadError::PathTooLong {
                path: path.clone(),
                folder: root,
            });
        }
        match case_collision(paths()) {
            // Asking the disk is for the few repositories where it matters.
            Some((first, second)) if !is_case_sensitive(&probed) => {
                Err(DownloadError::CaseCollision {
                    first: first.clone(),
                    second: second.clone(),
                    folder: root,
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a file, and what is noted beside it, has a path short enough.
    fn fits(&self, root: &Path, path: &RepoPath) -> bool {
        let longest = match &self.request.target {
            Destination::Cache => root.join(path.as_str()),
            Destination::LocalDir(dir) => dir.longest_path(path),
        };
        let name = longest.file_name().unwrap_or_default();
        longest.as_os_str().len() <= LONGEST_PATH && name.len() <= LONGEST_PART
    }
}
