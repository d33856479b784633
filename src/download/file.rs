//! One file of a plan: what the disk has of it, and what has to happen to it. Pure.

use url::Url;

use super::whole::Length;
use crate::types::RepoPath;
use crate::types::digest::XetHash;
use crate::types::listing::Checksum;

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

impl OnDisk {
    /// What to do with a file of this size in bytes, and whether there is an unfinished download of it that
    /// is no longer needed. `force` fetches what is there already.
    pub fn decide(self, size: Option<u64>, force: bool) -> (Action, bool) {
        let disk = self;
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
        let leftover = disk.partial.is_some() && matches!(action, Action::Ready);
        (action, leftover)
    }
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
        let (action, leftover) = disk.decide(length.said(), force);
        PlannedFile {
            path,
            checksum,
            length,
            leftover,
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

    /// Size in bytes; `None` when the Hub did not say.
    pub fn size(&self) -> Option<u64> {
        self.length.said()
    }

    /// Whether bytes will come over the network, as far as is known beforehand.
    pub fn is_fetched(&self) -> bool {
        matches!(self.action, Action::Fetch { .. })
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
}
