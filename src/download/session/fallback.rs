//! When the Hub cannot be asked: what an earlier download left may serve.

use std::fs;
use std::path::Path;

use super::{Planned, Session};
use crate::cache::commit::read_ref;
use crate::cache::{last_used, trees};
use crate::download::DownloadError;
use crate::download::request::Destination;
use crate::download::select::Selection;
use crate::download::whole::{Length, is_whole};
use crate::hub::HubError;
use crate::types::{CommitHash, RepoPath};

impl Session {
    /// Whether an earlier download may be used instead of the Hub.
    pub(super) fn may_fall_back(&self) -> bool {
        !self.request.force && !self.request.dry_run
    }

    /// Whether an earlier download exists; whether it is complete is checked later.
    pub(super) fn has_earlier_download(&self) -> bool {
        let commit = self.request.revision.as_commit();
        let commit = commit.or_else(|| read_ref(&self.repo, &self.request.revision));
        commit.is_some_and(|commit| self.path_at(&commit).exists())
    }

    /// The Hub cannot be asked: an earlier download may serve, if it has all that is asked for.
    pub(super) fn cached_instead(&self, reason: HubError) -> Result<Planned, DownloadError> {
        let commit = self
            .request
            .revision
            .as_commit()
            .or_else(|| read_ref(&self.repo, &self.request.revision));
        let Some(commit) = commit else {
            return self.local_folder_instead(reason);
        };
        let path = self.path_at(&commit);
        if let Selection::File(name) = &self.request.selection {
            let length = fs::metadata(&path).map_or(0, |found| found.len());
            let listed = self.listed_size(&commit, name, length);
            return if path.is_file() && listed.is_none_or(|listed| listed == length) {
                last_used::mark_below(&path);
                Ok(Planned::Cached { path, reason })
            } else {
                Err(reason.into())
            };
        }
        if !is_filled(&path) {
            return Err(reason.into());
        }
        let missing = self.missing_files(&commit, &path)?;
        if missing.is_empty() {
            last_used::mark_below(&path);
            Ok(Planned::Cached { path, reason })
        } else {
            Err(DownloadError::Incomplete { missing, reason })
        }
    }

    /// Without a known commit, a local folder that has anything is all there is to offer.
    fn local_folder_instead(&self, reason: HubError) -> Result<Planned, DownloadError> {
        match &self.request.target {
            Destination::LocalDir(dir) => {
                let path = match &self.request.selection {
                    Selection::File(path) => dir.file(path),
                    _ => dir.root().to_path_buf(),
                };
                if path.is_file() || is_filled(&path) {
                    return Ok(Planned::Cached { path, reason });
                }
                Err(reason.into())
            }
            Destination::Cache => Err(reason.into()),
        }
    }

    /// Files that the remembered listing has and the folder has not. Without a listing
    /// this is unknown, and the folder is taken as it is.
    fn missing_files(
        &self,
        commit: &CommitHash,
        folder: &Path,
    ) -> Result<Vec<RepoPath>, DownloadError> {
        let Some(listing) = trees::read(&self.tree_file(commit)) else {
            return Ok(Vec::new());
        };
        let wanted = self.select(&listing)?.into_iter();
        let wanted = wanted.map(|place| listing.at(place));
        let missing = wanted.filter(|(path, entry)| {
            let file = folder.join(path.as_str());
            is_whole(&file, &entry.checksum(), Length::Sure(entry.size)) != Some(true)
        });
        Ok(missing.map(|(path, _)| path.clone()).collect())
    }
}

/// Whether a folder is there and not empty.
fn is_filled(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
