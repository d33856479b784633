//! What goes wrong with files: what was tried, on which path, and the system's reason.

use std::io;
use std::path::{Path, PathBuf};

/// A file system operation that failed: what was tried, where, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FsError {
    /// What was tried, as a verb phrase: "write", "create the folder".
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The reason given by the system.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// For `map_err`: wraps an I/O error with what was tried on which path.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
        let path = path.to_path_buf();
        move |source| FsError {
            action,
            // Checked now: the cleanup after a failure frees inodes.
            source: if is_out_of_inodes(&source, &path) {
                io::Error::new(source.kind(), NoInodes)
            } else {
                source
            },
            path,
        }
    }

    /// Whether the disk, or the user's share of it, is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether the file system has bytes left but no inodes, so that no new file can be made.
    pub fn is_out_of_inodes(&self) -> bool {
        let inside = self.source.get_ref();
        inside.is_some_and(|error| error.is::<NoInodes>())
    }
}

/// A file system with bytes left and no inodes.
#[derive(Debug, thiserror::Error)]
#[error("the file system has room, but no inodes left for new files")]
struct NoInodes;

#[cfg(unix)]
fn is_out_of_inodes(error: &io::Error, path: &Path) -> bool {
    let stat = || {
        let mut folders = path.ancestors();
        folders.find_map(|folder| rustix::fs::statvfs(folder).ok())
    };
    error.kind() == io::ErrorKind::StorageFull
        && stat().is_some_and(|stat| is_without_inodes(stat.f_files, stat.f_favail, stat.f_bavail))
}

#[cfg(not(unix))]
fn is_out_of_inodes(_error: &io::Error, _path: &Path) -> bool {
    false
}

/// Decides by the counts of a file system; one without inodes has none in all.
#[cfg(unix)]
fn is_without_inodes(all: u64, free: u64, free_blocks: u64) -> bool {
    all > 0 && free == 0 && free_blocks > 0
}

/// The system's reason in words, without Rust's "(os error 13)", starting in lower case.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_systems_words() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(reason(&error), "permission denied");
        assert_eq!(reason(&io::Error::other("Own words")), "own words");
    }

    #[test]
    fn inodes_run_out_before_bytes() {
        for (all, free, blocks, expected) in [
            (100, 0, 5, true),
            (100, 1, 5, false),
            (100, 0, 0, false),
            (0, 0, 5, false),
        ] {
            assert_eq!(is_without_inodes(all, free, blocks), expected);
        }
    }
}
