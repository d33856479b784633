//! What has to happen to each file. Pure: a listing of wanted files and what the disk has, in; a
//! plan, out.

use std::collections::HashSet;

use url::Url;

use super::whole::Length;
use crate::types::digest::XetHash;
use crate::types::listing::{Checksum, FileEntry, Listing};
use crate::types::{CommitHash, RepoPath};

/// What the disk has of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnDisk {
    /// The file itself, in the snapshot or the local folder, known to be this very content.
    pub file: bool,
    /// `--local-dir`: the file is right, but its metadata names another commit.
    pub stale_metadata: bool,
    /// `--local-dir`: a file of the right size without metadata; its hash has to be checked.
    pub unknown_file: bool,
    /// The content, elsewhere in the cache: a blob without this pointer, or for `--local-dir` a
    /// file of the main cache.
    pub content: bool,
    /// The file with the name of the content is too short or too long to be it.
    pub damaged: bool,
    /// A shared blob with the right name and size.
    pub shared: bool,
    /// Bytes of an unfinished download, when there is one.
    pub partial: Option<u64>,
}

/// What to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Ready,
    /// `--local-dir`: write its metadata again.
    Touch,
    /// `--local-dir`: hash it, and fetch it only if the hash is another.
    Check,
    /// Link the blob, or copy the content from the cache.
    Reuse,
    /// Link the shared blob, if its hash is right; else fetch.
    Link,
    /// Fetch it, from this offset on.
    Fetch {
        /// Bytes that are there already.
        from: u64,
    },
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Path in the repository.
    pub path: RepoPath,
    /// Proof of its content.
    pub checksum: Checksum,
    /// Size in bytes, and whether it can be relied on.
    pub length: Length,
    /// What to do.
    pub action: Action,
    /// Xet hash of its content, when it is in Xet storage.
    pub xet_hash: Option<XetHash>,
    /// There is an unfinished download of it that is no longer needed: another client brought the file
    /// in the meantime.
    pub leftover: bool,
    /// A signed link to the content, when the Hub gave one with its description.
    pub link: Option<Box<Url>>,
}

impl PlannedFile {
    /// Plans one file. `force` fetches what is there already.
    pub fn new(
        path: RepoPath,
        checksum: Checksum,
        length: Length,
        disk: OnDisk,
        force: bool,
    ) -> Self {
        let size = length.said();
        let fetch = Action::Fetch {
            from: if force {
                0
            } else {
                disk.partial.unwrap_or(0).min(size.unwrap_or(u64::MAX))
            },
        };
        let action = match disk {
            _ if force => fetch,
            OnDisk { file: true, .. } => Action::Ready,
            OnDisk {
                stale_metadata: true,
                ..
            } => Action::Touch,
            OnDisk {
                unknown_file: true, ..
            } => Action::Check,
            OnDisk { content: true, .. } => Action::Reuse,
            OnDisk { shared: true, .. } => Action::Link,
            _ => fetch,
        };
        PlannedFile {
            path,
            checksum,
            length,
            leftover: disk.partial.is_some() && matches!(action, Action::Ready),
            action,
            xet_hash: None,
            link: None,
        }
    }

    /// The same file, whose content is behind this link for a while.
    #[must_use]
    pub fn with_link(mut self, link: Option<Url>) -> Self {
        self.link = link.map(Box::new);
        self
    }

    /// The same file, whose content is in Xet storage with this hash.
    #[must_use]
    pub fn with_xet_hash(mut self, xet_hash: Option<XetHash>) -> Self {
        self.xet_hash = xet_hash;
        self
    }

    /// Plans a file of a listing.
    pub fn of_entry(path: RepoPath, entry: &FileEntry, disk: OnDisk, force: bool) -> Self {
        PlannedFile::new(
            path,
            entry.checksum(),
            Length::Sure(entry.size),
            disk,
            force,
        )
        .with_xet_hash(entry.xet_hash.clone())
    }

    /// Size in bytes; `None` when the Hub did not say.
    pub fn size(&self) -> Option<u64> {
        self.length.said()
    }

    /// Whether bytes will come over the network, as far as can be told beforehand.
    pub fn is_fetched(&self) -> bool {
        matches!(self.action, Action::Fetch { .. })
    }
}

/// A whole download, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadPlan {
    /// The commit all files come from.
    pub commit: CommitHash,
    /// The files, sorted by path.
    pub files: Vec<PlannedFile>,
    /// The listing, when the Hub was asked for it: worth remembering once files arrive.
    pub new_listing: Option<Listing>,
}

impl DownloadPlan {
    /// Whether nothing is left to do.
    pub fn is_ready(&self) -> bool {
        self.files.iter().all(|file| file.action == Action::Ready)
    }

    /// Number of files that will be linked from the shared store, and their size in bytes, each
    /// content once.
    pub fn linked(&self) -> (u64, u64) {
        let mut seen = HashSet::new();
        let linked = self.files.iter().filter(|file| file.action == Action::Link);
        linked.fold((0, 0), |(files, bytes): (u64, u64), file| {
            let is_new = seen.insert(&file.checksum);
            let size = if is_new { file.size().unwrap_or(0) } else { 0 };
            (files + 1, bytes.saturating_add(size))
        })
    }

    /// Number of files that will be fetched.
    pub fn fetched_files(&self) -> u64 {
        self.files.iter().filter(|file| file.is_fetched()).count() as u64
    }

    /// Size of the files to be fetched, and how much of that is there already, both in bytes.
    /// A content that several files share counts for each; see [`DownloadPlan::distinct_bytes`].
    pub fn fetched_bytes(&self) -> (u64, u64) {
        self.files
            .iter()
            .fold((0, 0), |(total, done), file| match file.action {
                Action::Fetch { from } => (
                    total.saturating_add(file.size().unwrap_or(0)),
                    done.saturating_add(from),
                ),
                _ => (total, done),
            })
    }

    /// Size in bytes of the files whose content is on disk already.
    pub fn present_bytes(&self) -> u64 {
        let present = self.files.iter().filter(|file| !file.is_fetched());
        present.fold(0, |sum: u64, file| {
            sum.saturating_add(file.size().unwrap_or(0))
        })
    }

    /// Bytes that have to find room on the disk: what is fetched and not there yet, each content
    /// once.
    pub fn distinct_bytes(&self) -> u64 {
        let mut seen = HashSet::new();
        self.files
            .iter()
            .filter(|file| seen.insert(&file.checksum))
            .fold(0, |sum: u64, file| match file.action {
                Action::Fetch { from } => {
                    sum.saturating_add(file.size().unwrap_or(0).saturating_sub(from))
                }
                _ => sum,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_little_memory() {
        assert!(size_of::<PlannedFile>() <= 144);
    }

    #[test]
    fn actions() {
        let nothing = OnDisk::default();
        for (disk, force, expected) in [
            (nothing, false, Action::Fetch { from: 0 }),
            (
                OnDisk {
                    partial: Some(4),
                    ..nothing
                },
                false,
                Action::Fetch { from: 4 },
            ),
            (
                OnDisk {
                    partial: Some(99),
                    ..nothing
                },
                false,
                Action::Fetch { from: 10 },
            ),
            (
                OnDisk {
                    partial: Some(4),
                    ..nothing
                },
                true,
                Action::Fetch { from: 0 },
            ),
            (
                OnDisk {
                    file: true,
                    content: true,
                    ..nothing
                },
                false,
                Action::Ready,
            ),
            (
                OnDisk {
                    file: true,
                    ..nothing
                },
                true,
                Action::Fetch { from: 0 },
            ),
            (
                OnDisk {
                    content: true,
                    partial: Some(3),
                    ..nothing
                },
                false,
                Action::Reuse,
            ),
            (
                OnDisk {
                    shared: true,
                    partial: Some(3),
                    ..nothing
                },
                false,
                Action::Link,
            ),
            (
                OnDisk {
                    content: true,
                    shared: true,
                    ..nothing
                },
                false,
                Action::Reuse,
            ),
            (
                OnDisk {
                    shared: true,
                    ..nothing
                },
                true,
                Action::Fetch { from: 0 },
            ),
            (
                OnDisk {
                    stale_metadata: true,
                    content: true,
                    ..nothing
                },
                false,
                Action::Touch,
            ),
            (
                OnDisk {
                    unknown_file: true,
                    content: true,
                    ..nothing
                },
                false,
                Action::Check,
            ),
        ] {
            let checksum = Checksum::from_etag(&"a".repeat(40)).unwrap();
            let file = PlannedFile::new(
                "f".parse().unwrap(),
                checksum,
                Length::Sure(10),
                disk,
                force,
            );
            assert_eq!(file.action, expected, "{disk:?} {force}");
        }
    }

    #[test]
    fn room_is_needed_for_the_rest_alone_and_once_for_each_content() {
        let file = |path: &str, digit: &str, action: Action| {
            let checksum = Checksum::from_etag(&digit.repeat(40)).unwrap();
            let planned = PlannedFile::new(
                path.parse().unwrap(),
                checksum,
                Length::Sure(100),
                OnDisk::default(),
                false,
            );
            PlannedFile { action, ..planned }
        };
        for (files, distinct, fetched) in [
            (
                vec![file("a", "1", Action::Fetch { from: 0 })],
                100,
                (100, 0),
            ),
            (
                vec![file("a", "1", Action::Fetch { from: 70 })],
                30,
                (100, 70),
            ),
            (
                vec![file("a", "1", Action::Fetch { from: 100 })],
                0,
                (100, 100),
            ),
            (
                vec![
                    file("a", "1", Action::Fetch { from: 60 }),
                    file("b", "1", Action::Fetch { from: 60 }),
                    file("c", "2", Action::Fetch { from: 0 }),
                    file("d", "3", Action::Reuse),
                ],
                140,
                (300, 120),
            ),
        ] {
            let plan = DownloadPlan {
                commit: "c".repeat(40).parse().unwrap(),
                files,
                new_listing: None,
            };
            assert_eq!(plan.distinct_bytes(), distinct, "{:?}", plan.files);
            assert_eq!(plan.fetched_bytes(), fetched, "{:?}", plan.files);
        }
    }
}
