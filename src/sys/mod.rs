//! File system helpers with one promise each: open to write, atomic replace, lock, errors that name
//! the path.

mod abandoned;
#[cfg(unix)]
pub mod dir;
mod door;
mod folder;
pub mod limits;
mod lock;
pub mod lockfile;
mod read;
pub mod threads;
mod write;

#[cfg(any(not(unix), test))]
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use abandoned::remove_abandoned;
#[cfg(unix)]
pub use door::set_mode;
pub use door::{Opening, open_itself};
pub use folder::{Obstacle, follow_own_links, refuse_foreign_link};
use lock::LOCK_MODE;
pub use lock::{LockGuard, has_no_locks, lock_within, try_lock};
pub use read::{open_regular, read_limited, read_once, read_text};
#[cfg(unix)]
pub use write::symlink_in_folder;
pub use write::{
    Mode, copy_file, replace, sync_file, write_atomic, write_atomic_from, write_atomic_staged,
};

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
            // Now: what is tidied up after a failure makes room.
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
}

impl FsError {
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

/// The system's reason in words, without Rust's "(os error 13)" and starting small.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Creates a folder and its parents. Links on the way are followed when they belong to this user or
/// to root.
///
/// # Errors
/// [`FsError`] naming the folder.
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    #[cfg(unix)]
    let made = folder::make_folder(path).map(drop);
    #[cfg(not(unix))]
    let made = fs::create_dir_all(path);
    made.map_err(FsError::of("create the folder", path))
}

/// Does something to a file, making its folder when that is what is missing. The folder is there
/// almost always, and asking first would be a system call for every file.
///
/// # Errors
/// [`FsError`] when the folder cannot be made.
pub fn in_folder<T>(
    path: &Path,
    act: impl Fn() -> io::Result<T>,
) -> Result<io::Result<T>, FsError> {
    match act() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                create_dir_all(folder)?;
            }
            Ok(act())
        }
        done => Ok(done),
    }
}

/// Bytes free for this user on the file system that holds `path`, or would hold it: the nearest
/// existing ancestor is asked. `None` when the system does not say.
#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    path.ancestors()
        .find_map(|ancestor| rustix::fs::statvfs(ancestor).ok())
        // A file system of no size (/proc) is none to store in: creating a file will say so better.
        .filter(|stat| stat.f_blocks > 0)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes free for this user; not known on this system.
#[cfg(not(unix))]
pub fn free_space(_path: &Path) -> Option<u64> {
    None
}

/// Whether the file system of `path`, or of its nearest existing ancestor, tells upper from lower
/// case. One that cannot be tried is taken to do so: writing there will fail anyway.
pub fn is_case_sensitive(path: &Path) -> bool {
    let folder = path.ancestors().find(|ancestor| ancestor.is_dir());
    let probe = folder.and_then(|folder| {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".hf-case-").tempfile_in(folder).ok()
    });
    let Some(probe) = probe else { return true };
    let name = probe.path().file_name().unwrap_or_default();
    let other = name.to_string_lossy().to_uppercase();
    !probe.path().with_file_name(other).exists()
}

/// What a file system can do. `None`: it could not be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Symbolic links.
    pub symlinks: Option<bool>,
    /// `flock(2)` or its like.
    pub locks: Option<bool>,
}

/// Tries out symbolic links and locks in a temporary folder inside `path`, or inside its nearest
/// existing ancestor. Nothing is left behind.
pub fn abilities(path: &Path) -> Abilities {
    let folder = path.ancestors().find(|ancestor| ancestor.is_dir());
    let Some(folder) = folder.and_then(|folder| tempfile::tempdir_in(folder).ok()) else {
        return Abilities {
            symlinks: None,
            locks: None,
        };
    };
    let lock = lock_within(&folder.path().join("lock"), Duration::ZERO);
    Abilities {
        symlinks: Some(symlink(Path::new("lock"), &folder.path().join("link")).is_ok()),
        locks: Some(matches!(lock, Ok(Some(_)))),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
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

    #[test]
    fn abilities_are_tried_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let able = abilities(&folder.path().join("not/there/yet"));
        assert_eq!(able.symlinks, Some(true));
        assert_eq!(able.locks, Some(true));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn case_is_told_apart_here_and_the_probe_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // Any Linux file system in everyday use does.
        #[cfg(target_os = "linux")]
        assert!(is_case_sensitive(&folder.path().join("not/there/yet")));
        assert!(
            is_case_sensitive(Path::new("/proc/self/nothing")),
            "cannot be tried"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
