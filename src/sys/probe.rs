//! What the file system of a folder has and can do, found out by asking or trying.

use std::path::Path;
use std::time::Duration;

use super::lock::lock_within;
use super::symlink;

/// Bytes free for this user on the file system that holds `path`, or would hold it: the nearest
/// existing ancestor is asked. `None` when the system does not tell.
#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    path.ancestors()
        .find_map(|ancestor| rustix::fs::statvfs(ancestor).ok())
        // A file system of size 0 (/proc) cannot hold files: creating one gives a better error.
        .filter(|stat| stat.f_blocks > 0)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes free for this user; not known on this system.
#[cfg(not(unix))]
pub fn free_space(_path: &Path) -> Option<u64> {
    None
}

/// Whether the file system of `path`, or of its nearest existing ancestor, tells upper from lower
/// case. One that cannot be tried counts as case-sensitive: writing there fails anyway.
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
    /// `flock(2)`, or the system's equivalent.
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

/// Name and release of the system, and the kind of machine: `Linux-6.1.0-x86_64`.
#[cfg(unix)]
pub fn platform() -> String {
    let name = rustix::system::uname();
    let parts = [name.sysname(), name.release(), name.machine()];
    parts.map(|part| part.to_string_lossy()).join("-")
}

/// Name of the system and the kind of machine: `windows-x86_64`.
#[cfg(not(unix))]
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

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
