//! Replacing files whole.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::FsError;
use super::folder::parent_of;
use super::staged::{Mode, Staged};

/// Replaces a file so that a reader, or a process killed at any point, sees the old content or the
/// new one and never a part: written beside the target and renamed over it. A power cut may also
/// leave an empty file, unless the mode says that the content is flushed first. A link in the place
/// of the file is replaced and what it leads to stays.
///
/// A file that is a mount point, as in containers, cannot be replaced and is written in place: the
/// caller holds its lock, if there is one.
///
/// # Errors
/// [`FsError`] naming the target; the old content is then untouched.
pub fn write_atomic(path: &Path, content: &[u8], mode: Mode) -> Result<(), FsError> {
    write_atomic_staged(path, content, mode, parent_of(path))
}

/// As [`write_atomic`], with the unfinished file in another folder: for folders whose every entry
/// means something to others. Where that folder is on another file system, the unfinished file lies
/// beside the target instead.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_staged(
    path: &Path,
    content: &[u8],
    mode: Mode,
    staging: &Path,
) -> Result<(), FsError> {
    write_atomic_from(path, mode, staging, |file| file.write_all(content))
}

/// As [`write_atomic_staged`], with content that `fill` writes piece by piece: for what is too long
/// to be held in memory a second time.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_from(
    path: &Path,
    mode: Mode,
    staging: &Path,
    fill: impl Fn(&mut File) -> io::Result<()>,
) -> Result<(), FsError> {
    let beside = parent_of(path);
    let write = || match Staged::fill(staging, mode, &fill)?.rename(path) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices && staging != beside => {
            Staged::fill(beside, mode, &fill)?.rename(path)
        }
        done => done,
    };
    write().map_err(FsError::of("write", path))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn atomic_write_replaces_and_sets_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_atomic(&path, b"new", Mode::Secret).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine"), "precious").unwrap();
        std::os::unix::fs::symlink("mine", at("link")).unwrap();
        write_atomic(&at("link"), b"new", Mode::Umask).unwrap();
        assert!(!at("link").is_symlink());
        assert_eq!(fs::read(at("mine")).unwrap(), b"precious");
        fs::create_dir(at("folder")).unwrap();
        write_atomic(&at("folder"), b"new", Mode::Umask).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
