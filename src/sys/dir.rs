//! An open folder, and queries about the names in it.
//!
//! The scan makes a few hundred thousand small calls. An open folder saves the kernel the walk down a
//! long path each time, and a reused buffer for names saves an allocation each. `rustix` gives both without a line of unsafe code; `walkdir` and
//! `ignore` are not used: they return whole paths and read metadata that the scan does not need.

use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::path::Arg;

/// Longest link target that is read, in bytes: the longest path Linux takes.
const LONGEST_LINK: usize = 4096;
/// Bytes for folder entries, read at once.
const ENTRIES: usize = 32 * 1024;

/// A folder held open for reading.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// What a name in a folder stands for, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A socket, pipe or device.
    Other,
}

/// Files up to this length, in bytes, have no holes worth counting.
const SHORT: u64 = 4096;

/// What the system knows about a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat {
    /// Folder, file…
    pub kind: EntryKind,
    /// Bytes.
    pub size: u64,
    /// Bytes of it that take room on the disk: less than the size for a file with holes.
    pub allocated: u64,
    /// Last read, in seconds since 1970. A float, because that is how the Python client compares
    /// and rounds times.
    pub accessed: f64,
    /// Last written, in seconds since 1970.
    pub modified: f64,
    /// Device and inode: which file this is.
    pub identity: (u64, u64),
    /// How many names the file has.
    pub names: u64,
}

/// Memory reused from folder to folder.
#[derive(Debug)]
pub struct Buffers {
    entries: Vec<MaybeUninit<u8>>,
    link: Vec<MaybeUninit<u8>>,
}

impl Buffers {
    /// Buffers of a size that suits any folder.
    pub fn new() -> Self {
        Buffers {
            entries: vec![MaybeUninit::uninit(); ENTRIES],
            link: vec![MaybeUninit::uninit(); LONGEST_LINK],
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers::new()
    }
}

const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Dir {
    /// Opens a folder by path; a link to a folder will do.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Ok(Dir(rustix::fs::openat(
            CWD,
            path,
            OPEN_FOLDER,
            Mode::empty(),
        )?))
    }

    /// Opens a folder below this one; a link to a folder will do.
    ///
    /// # Errors
    /// The system's reason; [`io::ErrorKind::NotADirectory`] when it is something else.
    pub fn open_below(&self, name: impl Arg) -> io::Result<Dir> {
        Ok(Dir(rustix::fs::openat(
            &self.0,
            name,
            OPEN_FOLDER,
            Mode::empty(),
        )?))
    }

    /// Calls `each` with every name in the folder but `.` and `..`, in no order.
    ///
    /// # Errors
    /// The folder cannot be read, or the first error of `each`.
    pub fn for_each<E: From<io::Error>>(
        &self,
        buffers: &mut Buffers,
        mut each: impl FnMut(&CStr, EntryKind, &mut LinkBuffer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut link = LinkBuffer(&mut buffers.link);
        let mut visit = |name: &CStr, kind: FileType| -> Result<(), E> {
            if matches!(name.to_bytes(), b"." | b"..") {
                return Ok(());
            }
            let kind = match kind {
                // Some file systems leave the kind out of the listing.
                FileType::Unknown => self.stat(name, false)?.kind,
                known => entry_kind(known),
            };
            each(name, kind, &mut link)
        };
        #[cfg(target_os = "linux")]
        {
            let mut entries = rustix::fs::RawDir::new(&self.0, &mut buffers.entries);
            while let Some(entry) = entries.next() {
                let entry = entry.map_err(io::Error::from)?;
                visit(entry.file_name(), entry.file_type())?;
            }
        }
        #[cfg(not(target_os = "linux"))]
        for entry in rustix::fs::Dir::read_from(&self.0).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            visit(entry.file_name(), entry.file_type())?;
        }
        Ok(())
    }

    /// What the system knows about a name below this folder, through links when `follow`.
    ///
    /// # Errors
    /// The system's reason.
    pub fn stat(&self, name: impl Arg, follow: bool) -> io::Result<Stat> {
        let flags = if follow {
            AtFlags::empty()
        } else {
            AtFlags::SYMLINK_NOFOLLOW
        };
        Ok(Stat::from(rustix::fs::statat(&self.0, name, flags)?))
    }

    /// Where a link below this folder points.
    ///
    /// # Errors
    /// The system's reason; [`io::ErrorKind::InvalidInput`] when it is no link.
    pub fn read_link(&self, name: impl Arg) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    /// The content of a file below this folder, at most `limit` bytes of it.
    ///
    /// # Errors
    /// The system's reason.
    pub fn read(&self, name: impl Arg, limit: usize) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let mut content = vec![0; limit];
        let mut filled = 0;
        while filled < limit {
            match rustix::io::read(&file, &mut content[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        content.truncate(filled);
        Ok(content)
    }
}

/// Where [`Dir::for_each`] lets a link be read without an allocation.
pub struct LinkBuffer<'a>(&'a mut [MaybeUninit<u8>]);

impl LinkBuffer<'_> {
    /// Where the link `name` in `dir` points.
    ///
    /// # Errors
    /// As [`Dir::read_link`].
    pub fn read(&mut self, dir: &Dir, name: &CStr) -> io::Result<&[u8]> {
        let (target, _) = rustix::fs::readlinkat_raw(&dir.0, name, &mut *self.0)?;
        Ok(target)
    }
}

fn entry_kind(kind: FileType) -> EntryKind {
    match kind {
        FileType::Directory => EntryKind::Folder,
        FileType::RegularFile => EntryKind::File,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

impl From<rustix::fs::Stat> for Stat {
    #[expect(
        clippy::cast_precision_loss,
        clippy::unnecessary_cast,
        reason = "the Python client computes the same float; field types differ between systems"
    )]
    fn from(stat: rustix::fs::Stat) -> Self {
        let seconds = |whole: i64, nanos: i64| whole as f64 + 1e-9 * nanos as f64;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
        Stat {
            kind: entry_kind(FileType::from_raw_mode(stat.st_mode as _)),
            size,
            // Some file systems keep short files without any block.
            allocated: size.min((512 * blocks).max(SHORT)),
            accessed: seconds(stat.st_atime as i64, stat.st_atime_nsec as i64),
            modified: seconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            identity: (stat.st_dev as u64, stat.st_ino as u64),
            names: stat.st_nlink as u64,
        }
    }
}

/// Bytes from a folder as a path.
pub fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Bytes from a folder as text; what is not UTF-8 is replaced.
pub fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether an error means that there is nothing at the path: no entry, a file where a folder should
/// be, or links in a circle.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_kinds_and_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("file"), "abc").unwrap();
        std::fs::create_dir(path.join("folder")).unwrap();
        std::os::unix::fs::symlink("file", path.join("link")).unwrap();
        let dir = Dir::open(path).unwrap();
        let mut seen = Vec::new();
        dir.for_each(&mut Buffers::new(), |name, kind, link| -> io::Result<()> {
            let target = match kind {
                EntryKind::Link => text_of(link.read(&dir, name)?),
                _ => String::new(),
            };
            seen.push((text_of(name.to_bytes()), kind, target));
            Ok(())
        })
        .unwrap();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            seen,
            [
                ("file".to_owned(), EntryKind::File, String::new()),
                ("folder".to_owned(), EntryKind::Folder, String::new()),
                ("link".to_owned(), EntryKind::Link, "file".to_owned()),
            ]
        );
        let stat = dir.stat("link", true).unwrap();
        assert_eq!((stat.kind, stat.size), (EntryKind::File, 3));
        assert_eq!(dir.stat("link", false).unwrap().kind, EntryKind::Link);
        assert_eq!(dir.read("file", 2).unwrap(), b"ab");
        assert!(is_absent(&dir.open_below("file").unwrap_err()));
        assert!(is_absent(&dir.stat("none", true).unwrap_err()));
    }

    #[test]
    fn a_folder_larger_than_the_buffer_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..1500 {
            std::fs::write(folder.path().join(format!("{number:040}")), "").unwrap();
        }
        let mut count = 0;
        Dir::open(folder.path())
            .unwrap()
            .for_each(&mut Buffers::new(), |_, kind, _| -> io::Result<()> {
                assert_eq!(kind, EntryKind::File);
                count += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(count, 1500);
    }
}
