//! Open folders of Unix, by their descriptor.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
pub use rustix::path::Arg;

use super::{EntryKind, Stat};

/// Longest link target that is read, in bytes: the longest path Linux takes.
const LONGEST_LINK: usize = 4096;
/// Bytes for folder entries, read at once.
#[cfg(target_os = "linux")]
const ENTRIES: usize = 32 * 1024;

/// A folder held open for reading.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// Memory reused from folder to folder.
#[derive(Debug)]
pub struct Buffers {
    #[cfg(target_os = "linux")]
    entries: Vec<MaybeUninit<u8>>,
    link: Vec<MaybeUninit<u8>>,
}

impl Buffers {
    /// Buffers of a size that suits any folder.
    pub fn new() -> Self {
        Buffers {
            #[cfg(target_os = "linux")]
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
            allocated: crate::sys::facts::allocated_of(size, blocks),
            accessed: seconds(stat.st_atime as i64, stat.st_atime_nsec as i64),
            modified: seconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            identity: (stat.st_dev as u64, stat.st_ino as u64),
            names: stat.st_nlink as u64,
        }
    }
}
