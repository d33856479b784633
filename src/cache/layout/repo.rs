//! The paths of one repository. Names are bytes of the file system.

use std::path::{Path, PathBuf};

use super::{
    BLOBS, LOCKS, MOVED, NO_EXIST, ODD_REFS, PIN, PartialName, REFS, SNAPSHOTS, TREES, tree_file,
};
use crate::sys::dir::path_of;
use crate::types::listing::Checksum;
use crate::types::{CommitHash, RepoPath, Revision};

/// Paths of one repository in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoLayout {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepoLayout {
    /// The repository in the folder `name` of a cache's root, whatever that is called.
    pub fn of_folder(root: &Path, name: &[u8]) -> RepoLayout {
        let name = path_of(name);
        RepoLayout {
            locks: root.join(LOCKS).join(&name),
            folder: root.join(name),
        }
    }

    /// A path relative to the folder, as a scan gives it.
    pub fn inside(&self, place: &[u8]) -> PathBuf {
        self.folder.join(path_of(place))
    }

    /// `.locks/models--org--name/`.
    pub fn locks(&self) -> &Path {
        &self.locks
    }

    /// `refs/`.
    pub fn refs(&self) -> PathBuf {
        self.folder.join(REFS)
    }

    /// `.hf-refs/`.
    pub fn odd_refs(&self) -> PathBuf {
        self.folder.join(ODD_REFS)
    }

    /// `trees/`.
    pub fn trees(&self) -> PathBuf {
        self.folder.join(TREES)
    }

    /// `.no_exist/`.
    pub fn no_exists(&self) -> PathBuf {
        self.folder.join(NO_EXIST)
    }

    /// `.hf-pin`.
    pub fn pin(&self) -> PathBuf {
        self.folder.join(PIN)
    }

    /// `set-aside/`.
    pub fn moved(&self) -> PathBuf {
        self.folder.join(MOVED)
    }

    /// `<root>/models--org--name`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `blobs/`.
    pub fn blobs(&self) -> PathBuf {
        self.folder.join(BLOBS)
    }

    /// `blobs/<etag>`.
    pub fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.blob_named(checksum.etag().as_bytes())
    }

    /// `blobs/<name>`.
    pub fn blob_named(&self, name: &[u8]) -> PathBuf {
        self.blobs().join(path_of(name))
    }

    /// `blobs/<etag>.hf-sparse`.
    pub fn partial(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(PartialName::common(&checksum.etag()))
    }

    /// `blobs/<etag>.incomplete`, an unfinished download of an older Python client.
    pub fn legacy_partial(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(PartialName::legacy(&checksum.etag()))
    }

    /// `.locks/<repo>/<etag>.lock`.
    pub fn lock(&self, checksum: &Checksum) -> PathBuf {
        self.lock_named(checksum.etag().as_bytes())
    }

    /// `.locks/<repo>/<name>.lock`.
    pub fn lock_named(&self, name: &[u8]) -> PathBuf {
        lock_in(&self.locks, name)
    }

    /// `blobs/<name>.lock`, as the crate hf-hub has it.
    pub fn lock_beside(&self, name: &[u8]) -> PathBuf {
        lock_in(&self.blobs(), name)
    }

    /// `refs/<revision>`.
    pub fn reference(&self, revision: &Revision) -> PathBuf {
        self.refs().join(revision.as_str())
    }

    /// `.hf-refs/<revision>`, in one name: see [`ODD_REFS`].
    pub fn odd_reference(&self, revision: &Revision) -> PathBuf {
        let name = revision.as_str().replace('%', "%25").replace('/', "%2F");
        self.odd_refs().join(name)
    }

    /// `snapshots/`.
    pub fn snapshots(&self) -> PathBuf {
        self.folder.join(SNAPSHOTS)
    }

    /// `snapshots/<commit>`.
    pub fn snapshot(&self, commit: &CommitHash) -> PathBuf {
        self.snapshot_named(commit.as_str().as_bytes())
    }

    /// `snapshots/<name>`.
    pub fn snapshot_named(&self, name: &[u8]) -> PathBuf {
        self.snapshots().join(path_of(name))
    }

    /// `snapshots/<commit>/<path>`.
    pub fn pointer(&self, commit: &CommitHash, path: &RepoPath) -> PathBuf {
        self.snapshot(commit).join(path.as_str())
    }

    /// `trees/<commit>.json`.
    pub fn tree(&self, commit: &CommitHash) -> PathBuf {
        tree_file(&self.folder, commit)
    }

    /// `trees/<name>.json`.
    pub fn tree_named(&self, name: &[u8]) -> PathBuf {
        self.trees().join(path_of(&[name, b".json"].concat()))
    }

    /// `.no_exist/<commit>/<path>`.
    pub fn no_exist(&self, commit: &CommitHash, path: &RepoPath) -> PathBuf {
        self.no_exists().join(commit.as_str()).join(path.as_str())
    }
}

/// `<folder>/<name>.lock`.
fn lock_in(folder: &Path, name: &[u8]) -> PathBuf {
    folder.join(path_of(&[name, b".lock"].concat()))
}
