//! Which file something is, and whose.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What tells a file from others, whatever its names, and who may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Device and number on it: two files are the same if both are equal.
    pub identity: (u64, u64),
    /// How many names the file has.
    pub names: u64,
    /// Type and permission bits; on Windows, which has other permissions, those of a file that
    /// everyone may use.
    pub mode: u32,
    /// Number of the owner; 0 on Windows.
    pub owner: u32,
    /// Number of the group; 0 on Windows.
    pub group: u32,
}

#[cfg(unix)]
impl From<&Metadata> for FileFacts {
    fn from(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        FileFacts {
            identity: (meta.dev(), meta.ino()),
            names: meta.nlink(),
            mode: meta.mode(),
            owner: meta.uid(),
            group: meta.gid(),
        }
    }
}

#[cfg(unix)]
impl FileFacts {
    /// Of an open file.
    ///
    /// # Errors
    /// The system's reason.
    pub fn of(file: &File) -> io::Result<FileFacts> {
        Ok(FileFacts::from(&file.metadata()?))
    }

    /// Of what is at a path, links not followed.
    ///
    /// # Errors
    /// The system's reason.
    pub fn at(path: &Path) -> io::Result<FileFacts> {
        Ok(FileFacts::from(&path.symlink_metadata()?))
    }

    /// As [`FileFacts::at`], for a caller that has read these already.
    ///
    /// # Errors
    /// None here.
    pub fn known(_path: &Path, meta: &Metadata) -> io::Result<FileFacts> {
        Ok(FileFacts::from(meta))
    }

    /// Of what a path leads to.
    ///
    /// # Errors
    /// The system's reason.
    pub fn through(path: &Path) -> io::Result<FileFacts> {
        Ok(FileFacts::from(&path.metadata()?))
    }

    /// As [`FileFacts::through`], for a caller that has read these already.
    ///
    /// # Errors
    /// None here.
    pub fn known_through(_path: &Path, meta: &Metadata) -> io::Result<FileFacts> {
        Ok(FileFacts::from(meta))
    }
}

#[cfg(windows)]
impl FileFacts {
    /// Of an open file.
    ///
    /// # Errors
    /// The system's reason.
    pub fn of(file: &File) -> io::Result<FileFacts> {
        let information = winapi_util::file::information(file)?;
        let is_folder = file.metadata()?.is_dir();
        Ok(FileFacts {
            identity: (information.volume_serial_number(), information.file_index()),
            names: information.number_of_links(),
            mode: if is_folder { 0o777 } else { 0o666 },
            owner: 0,
            group: 0,
        })
    }

    /// Of what is at a path, links not followed.
    ///
    /// # Errors
    /// The system's reason.
    pub fn at(path: &Path) -> io::Result<FileFacts> {
        FileFacts::of(&open_to_look(path, OPEN_REPARSE_POINT)?)
    }

    /// As [`FileFacts::at`]: what the caller has read is not enough here.
    ///
    /// # Errors
    /// The system's reason.
    pub fn known(path: &Path, _meta: &Metadata) -> io::Result<FileFacts> {
        FileFacts::at(path)
    }

    /// Of what a path leads to.
    ///
    /// # Errors
    /// The system's reason.
    pub fn through(path: &Path) -> io::Result<FileFacts> {
        FileFacts::of(&open_to_look(path, 0)?)
    }

    /// As [`FileFacts::through`]: what the caller has read is not enough here.
    ///
    /// # Errors
    /// The system's reason.
    pub fn known_through(path: &Path, _meta: &Metadata) -> io::Result<FileFacts> {
        FileFacts::through(path)
    }
}

/// `FILE_FLAG_OPEN_REPARSE_POINT`: the link itself.
#[cfg(windows)]
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// Opens a file or folder without the right to read it.
#[cfg(windows)]
fn open_to_look(path: &Path, flags: u32) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    /// `FILE_FLAG_BACKUP_SEMANTICS`: folders, too.
    const BACKUP_SEMANTICS: u32 = 0x0200_0000;
    std::fs::OpenOptions::new()
        .access_mode(0)
        .custom_flags(BACKUP_SEMANTICS | flags)
        .open(path)
}

/// Files up to this length, in bytes, have no holes worth counting: some file systems keep them without any block.
#[cfg(unix)]
const SHORT: u64 = 4096;

/// Bytes of a file that take room on the disk, given its length and its number of blocks of 512 bytes.
#[cfg(unix)]
pub fn allocated_of(size: u64, blocks: u64) -> u64 {
    size.min(blocks.saturating_mul(512).max(SHORT))
}

/// Bytes of a file that take room on the disk: less than its length where it has holes.
pub fn allocated(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    return allocated_of(meta.len(), std::os::unix::fs::MetadataExt::blocks(meta));
    #[cfg(not(unix))]
    meta.len()
}

/// When a file was last written, in whole seconds since 1970, rounded down.
pub fn modified_seconds(meta: &Metadata) -> Option<i64> {
    let seconds = modified_nanos(meta)?.div_euclid(1_000_000_000);
    i64::try_from(seconds).ok()
}

/// When a file was last written, in nanoseconds since 1970.
pub fn modified_nanos(meta: &Metadata) -> Option<i128> {
    let time = meta.modified().ok()?;
    let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).ok();
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => nanos(before.duration()).map(|nanos| -nanos),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn seconds_are_those_of_the_system() {
        let file = tempfile::tempfile().unwrap();
        for (after, nanos) in [(true, 5), (false, 0), (false, 1_000), (true, 0)] {
            let distance = Duration::new(1_000, nanos);
            let time = match after {
                true => SystemTime::UNIX_EPOCH + distance,
                false => SystemTime::UNIX_EPOCH - distance,
            };
            file.set_modified(time).unwrap();
            let meta = file.metadata().unwrap();
            assert_eq!(modified_seconds(&meta), Some(meta.mtime()), "{time:?}");
            let nanos = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            assert_eq!(modified_nanos(&meta), Some(nanos), "{time:?}");
        }
    }
}
