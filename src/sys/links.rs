//! Symbolic links, where the system has them.

use std::io;
use std::path::{Path, PathBuf};

use super::{FsError, in_folder};

/// Makes a symbolic link to a file.
///
/// # Errors
/// The system's reason. Windows has links for those who turned its developer mode on.
pub fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    make(target, link)
}

#[cfg(unix)]
fn make(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn make(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(windows_target(target), link)
}

/// Makes a symbolic link, and its folder when that is what is missing.
///
/// # Errors
/// The outer: the folder cannot be made. The inner: the link cannot.
pub fn symlink_in_folder(target: &Path, link: &Path) -> Result<io::Result<()>, FsError> {
    in_folder(link, || {
        #[cfg(unix)]
        super::folder::open_folder(super::folder::parent_of(link))?;
        make(target, link)
    })
}

/// A target as Windows follows it: a link whose text has slashes leads nowhere there.
#[cfg_attr(unix, cfg_attr(not(test), expect(dead_code, reason = "for Windows")))]
fn windows_target(target: &Path) -> PathBuf {
    PathBuf::from(target.to_string_lossy().replace('/', "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_for_windows() {
        for (target, expected) in [
            ("../../blobs/ab", "..\\..\\blobs\\ab"),
            ("..\\../ab", "..\\..\\ab"),
            ("ab", "ab"),
        ] {
            assert_eq!(windows_target(Path::new(target)), Path::new(expected));
        }
    }
}
