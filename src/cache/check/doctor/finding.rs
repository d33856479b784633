//! What can be wrong in a cache, what it costs, and what fixes it.

use std::path::PathBuf;

use super::restore::Source;
use crate::cache::shared::SharedBlob;
use crate::sys::facts::modified_seconds;

/// What a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(unix), expect(dead_code, reason = "modes and owners are of Unix"))]
pub enum FindingKind {
    /// A ref names a snapshot that is not there.
    DanglingRef,
    /// A ref names a snapshot, with a newline or blanks around the name.
    UntidyRef,
    /// The target of a link does not exist.
    BrokenLink,
    /// A snapshot links to a missing blob, and its content is elsewhere in the cache.
    LostBlob,
    /// A blob has a wrong size.
    WrongSize,
    /// A file of a snapshot is listed and its blob is here, and nothing links to it.
    LostLink,
    /// A file where only folders may be.
    StrayFile,
    /// A repository without its folder `snapshots`.
    MissingSnapshots,
    /// Files or folders of a shared cache that its group cannot use.
    Modes,
    /// Something belongs to another user, and this one cannot use it.
    NoAccess,
    /// A folder `blobs` in the root without the marker of the shared store.
    UnmarkedStore,
    /// Something in the root that is no repository.
    Unknown,
    /// It cannot be read, or is not what belongs there.
    Damaged,
    /// A blob that no snapshot links to, and that one should or could.
    UnlinkedBlob,
    /// A stored listing that is damaged or cannot be read.
    UnreadableListing,
    /// A blob that no snapshot links to.
    OrphanBlob,
    /// A file in `blobs/` that another program put there.
    UnknownBlob,
    /// A file of the shared store that no repository uses.
    UnusedSharedBlob,
    /// A file of the shared store whose users are unknown.
    UnlistedSharedBlob,
    /// A list of users in the shared store names some that are gone.
    StaleManifest,
    /// An unfinished download that no process continues.
    Unfinished,
    /// A temporary file of a killed process.
    Leftover,
    /// Lock files of a repository that is gone.
    StaleLocks,
}

impl FindingKind {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::DanglingRef => "dangling-ref",
            FindingKind::UntidyRef => "untidy-ref",
            FindingKind::BrokenLink => "broken-link",
            FindingKind::LostBlob => "lost-blob",
            FindingKind::WrongSize => "wrong-size",
            FindingKind::LostLink => "lost-link",
            FindingKind::StrayFile => "stray-file",
            FindingKind::MissingSnapshots => "missing-snapshots",
            FindingKind::Modes => "modes",
            FindingKind::NoAccess => "no-access",
            FindingKind::UnmarkedStore => "unmarked-store",
            FindingKind::Unknown => "unknown-entry",
            FindingKind::Damaged => "damaged",
            FindingKind::UnlinkedBlob => "unlinked-blob",
            FindingKind::UnreadableListing => "unreadable-listing",
            FindingKind::OrphanBlob => "orphan-blob",
            FindingKind::UnknownBlob => "unknown-blob",
            FindingKind::UnusedSharedBlob => "unused-shared-blob",
            FindingKind::UnlistedSharedBlob => "unlisted-shared-blob",
            FindingKind::StaleManifest => "stale-manifest",
            FindingKind::Unfinished => "unfinished",
            FindingKind::Leftover => "leftover",
            FindingKind::StaleLocks => "stale-locks",
        }
    }

    /// Whether it makes programs fail; the other findings only waste disk space.
    pub fn is_harmful(self) -> bool {
        self < FindingKind::UnlinkedBlob
    }

    /// What it is, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            FindingKind::DanglingRef => "A ref names a commit that has no snapshot here.",
            FindingKind::UntidyRef => {
                "A ref holds more than a commit: a newline or spaces around it."
            }
            FindingKind::BrokenLink => "The target of a link does not exist.",
            FindingKind::LostBlob => {
                "A blob is missing, and the same content is elsewhere in the cache."
            }
            FindingKind::WrongSize => "A blob has a wrong size: it is damaged.",
            FindingKind::LostLink => "A file of a snapshot has no link, and its blob exists.",
            FindingKind::StrayFile => "There is a file where only folders may be.",
            FindingKind::MissingSnapshots => "A repository has no folder `snapshots`.",
            FindingKind::Modes => "The group that shares this cache cannot use all of it.",
            FindingKind::NoAccess => "It belongs to another user, and you cannot use it.",
            FindingKind::UnmarkedStore => {
                "A folder `blobs` in the root is not marked as the shared store."
            }
            FindingKind::Unknown => "It is in the root of the cache and is not a repository.",
            FindingKind::Damaged => "It cannot be read, or is not what belongs there.",
            FindingKind::UnlinkedBlob => "A snapshot could link to this blob, but does not.",
            FindingKind::UnreadableListing => "A list of a revision's files cannot be read.",
            FindingKind::OrphanBlob => "No snapshot links to this blob.",
            FindingKind::UnknownBlob => "Another program put this file among the blobs.",
            FindingKind::UnusedSharedBlob => "No repository uses this file of the shared store.",
            FindingKind::UnlistedSharedBlob => {
                "The list of who uses this file of the shared store is missing or cannot be read."
            }
            FindingKind::StaleManifest => {
                "A list of users in the shared store names links that are gone, or its file is gone."
            }
            FindingKind::Unfinished => "A download was not finished, and no process continues it.",
            FindingKind::Leftover => "A killed process left this temporary file.",
            FindingKind::StaleLocks => "These lock files belong to a repository that is gone.",
        }
    }

    /// What it costs, without bytes.
    pub fn cost(self) -> &'static str {
        match self {
            FindingKind::DanglingRef
            | FindingKind::UntidyRef
            | FindingKind::BrokenLink
            | FindingKind::StrayFile
            | FindingKind::MissingSnapshots => "Python libraries do not see this repository",
            FindingKind::LostBlob | FindingKind::WrongSize | FindingKind::LostLink => {
                "programs fail on the file, or fetch it again"
            }
            FindingKind::Modes => "other users of the cache fail on it",
            FindingKind::NoAccess => "commands that need it fail",
            FindingKind::UnmarkedStore | FindingKind::Unknown | FindingKind::Damaged => {
                "the Python client counts it as an inconsistency and ignores it"
            }
            FindingKind::UnreadableListing => "the next download requests it again",
            FindingKind::StaleManifest | FindingKind::StaleLocks => "a few bytes",
            FindingKind::UnlinkedBlob
            | FindingKind::OrphanBlob
            | FindingKind::UnknownBlob
            | FindingKind::UnusedSharedBlob
            | FindingKind::UnlistedSharedBlob
            | FindingKind::Unfinished
            | FindingKind::Leftover => "disk space",
        }
    }
}

/// A change of the mode, and perhaps the group, of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange {
    /// Which.
    pub path: PathBuf,
    /// The new permission bits.
    pub mode: u32,
    /// The new group, when it differs.
    pub group: Option<u32>,
}

/// What `--fix` does about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "modes and owners are of Unix"))]
pub enum Fix {
    /// Nothing. The text says what the user can do.
    Advice(&'static str),
    /// Removes a ref.
    RemoveRef,
    /// Moves a ref to `set-aside` in the repository's folder: blobs may belong to its snapshot.
    MoveRefAway,
    /// Writes only this commit into the ref.
    RewriteRef(String),
    /// Restores a blob from elsewhere in the cache, after hashing all of it.
    Restore(Vec<Source>),
    /// Makes the link of a snapshot to the blob of this name.
    Relink(String),
    /// Removes a blob that is not what its name says, and the links to it.
    RemoveWrong,
    /// Removes the link, not its target.
    RemoveLink,
    /// Moves the file to `set-aside` in the repository's folder.
    MoveAway,
    /// Makes the folder, empty.
    MakeFolder,
    /// Removes a repository's folder that holds no content.
    RemoveEmptyRepo,
    /// Removes a blob that nothing links to.
    RemoveBlob,
    /// Removes a file or folder of a process that is gone.
    Remove,
    /// Removes lock files that no process holds.
    RemoveLocks,
    /// Removes a shared blob without users; takes lines without users out of its manifest.
    Sweep(SharedBlob),
    /// Sets modes and groups.
    SetModes(Vec<ModeChange>),
}

impl Fix {
    /// Whether `--fix` does something.
    pub fn is_automatic(&self) -> bool {
        !matches!(self, Fix::Advice(_))
    }

    /// Whether it removes content: then every file is shown with its name and size.
    pub fn removes_content(&self) -> bool {
        matches!(
            self,
            Fix::RemoveBlob | Fix::RemoveWrong | Fix::Remove | Fix::Sweep(_)
        )
    }

    /// Whether it removes nothing: it is done first, and also while a process downloads.
    pub(super) fn only_adds(&self) -> bool {
        matches!(
            self,
            Fix::Restore(_) | Fix::Relink(_) | Fix::MakeFolder | Fix::SetModes(_)
        )
    }

    /// The order of fixes: first what is in the place of others, removals last.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Fix::MoveAway => 0,
            Fix::MakeFolder => 1,
            Fix::Restore(_) => 2,
            Fix::Relink(_) => 3,
            _ => 4,
        }
    }

    /// What `--fix` does, or what the user can do.
    pub fn text(&self) -> &'static str {
        match self {
            Fix::Advice(advice) => advice,
            Fix::RemoveRef => "removes the ref; the next download writes it again",
            Fix::MoveRefAway => {
                "moves the ref to `set-aside` in the repository's folder: blobs may belong to its snapshot"
            }
            Fix::RewriteRef(_) => "writes only the commit",
            Fix::Restore(_) => "restores it from there, after checking its hash",
            Fix::Relink(_) => "links the file to the blob",
            Fix::RemoveWrong => {
                "removes it and the links to it; the next download fetches the file again"
            }
            Fix::RemoveLink => "removes the link; the next download fetches the file again",
            Fix::MoveAway => "moves the file to `set-aside` in the repository's folder",
            Fix::MakeFolder => {
                "makes the folder; the next download links the blobs without fetching them"
            }
            Fix::RemoveEmptyRepo => "removes the folder: it holds no content",
            Fix::RemoveBlob | Fix::Remove => "removes it",
            Fix::RemoveLocks => "removes them",
            Fix::Sweep(_) => "removes what no repository uses",
            Fix::SetModes(_) => "gives the group the permissions that it has on the root",
        }
    }
}

/// A problem that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Name of the entry of the cache's root.
    pub folder: Vec<u8>,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of regular files; 0 for anything else.
    pub size: u64,
    /// When it was last written, in whole seconds since 1970.
    pub modified: Option<i64>,
    /// Details.
    pub detail: Option<String>,
    /// What fixes it.
    pub fix: Fix,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, folder: &[u8], path: PathBuf, fix: Fix) -> Self {
        let meta = path.symlink_metadata().ok();
        let size = meta.as_ref().filter(|meta| meta.is_file());
        Finding {
            kind,
            folder: folder.to_vec(),
            size: size.map_or(0, std::fs::Metadata::len),
            modified: meta.as_ref().and_then(modified_seconds),
            path,
            detail: None,
            fix,
        }
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn with_size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_restored_comes_before_what_links_to_it_and_removals_come_last() {
        let order = [
            Fix::MoveAway,
            Fix::MakeFolder,
            Fix::Restore(Vec::new()),
            Fix::Relink(String::new()),
            Fix::RemoveWrong,
        ];
        let ranks = order.each_ref().map(Fix::rank);
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        for last in [
            Fix::RemoveRef,
            Fix::RemoveLink,
            Fix::RemoveBlob,
            Fix::Remove,
        ] {
            assert!(last.rank() > Fix::Relink(String::new()).rank(), "{last:?}");
        }
    }
}
