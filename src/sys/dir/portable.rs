//! The same by paths, for systems whose folders cannot be held open.

use std::ffi::{CStr, CString};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{EntryKind, Stat, path_of};
use crate::sys::facts::FileFacts;

/// A name or path below a folder.
pub trait Arg {
    /// As a path.
    fn path(&self) -> PathBuf;
}

macro_rules! args {
    ($($kind:ty: $name:ident => $path:expr;)*) => {
        $(impl Arg for $kind {
            fn path(&self) -> PathBuf {
                let $name = self;
                $path
            }
        })*
    };
}

args! {
    &str: name => PathBuf::from(name);
    &String: name => PathBuf::from(name);
    &Path: name => name.to_path_buf();
    &PathBuf: name => name.to_path_buf();
    PathBuf: name => name.clone();
    &CStr: name => path_of(name.to_bytes());
    &[u8]: name => path_of(name);
    &Vec<u8>: name => path_of(name);
    Vec<u8>: name => path_of(name);
}

/// A folder that was there when it was opened.
#[derive(Debug)]
pub struct Dir(PathBuf);

/// Memory reused from folder to folder: here only for link targets.
#[derive(Debug, Default)]
pub struct Buffers {
    link: Vec<u8>,
}

impl Buffers {
    /// Empty ones.
    pub fn new() -> Self {
        Buffers::default()
    }
}

impl Dir {
    /// Opens a folder by path; a link to a folder will do.
    ///
    /// # Errors
    /// The system's reason; [`io::ErrorKind::NotADirectory`] when it is something else.
    pub fn open(path: &Path) -> io::Result<Dir> {
        if fs::metadata(path)?.is_dir() {
            return Ok(Dir(path.to_path_buf()));
        }
        Err(io::ErrorKind::NotADirectory.into())
    }

    /// Opens a folder below this one; a link to a folder will do.
    ///
    /// # Errors
    /// As [`Dir::open`].
    pub fn open_below(&self, name: impl Arg) -> io::Result<Dir> {
        Dir::open(&self.0.join(name.path()))
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
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = CString::new(entry.file_name().into_encoded_bytes());
            let name = name.map_err(io::Error::from)?;
            each(&name, kind_of(entry.file_type()?), &mut link)?;
        }
        Ok(())
    }

    /// What the system knows about a name below this folder, through links when `follow`.
    ///
    /// # Errors
    /// The system's reason.
    pub fn stat(&self, name: impl Arg, follow: bool) -> io::Result<Stat> {
        let path = self.0.join(name.path());
        if follow {
            stat_of(&fs::metadata(&path)?, &FileFacts::through(&path)?)
        } else {
            stat_of(&fs::symlink_metadata(&path)?, &FileFacts::at(&path)?)
        }
    }

    /// Where a link below this folder points.
    ///
    /// # Errors
    /// The system's reason; [`io::ErrorKind::InvalidInput`] when it is no link.
    pub fn read_link(&self, name: impl Arg) -> io::Result<Vec<u8>> {
        let path = self.0.join(name.path());
        match fs::read_link(&path) {
            Ok(target) => Ok(with_slashes(target)),
            Err(_) if fs::symlink_metadata(&path)?.is_symlink() => {
                Err(io::Error::other("the link cannot be read"))
            }
            Err(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The content of a file below this folder, at most `limit` bytes of it.
    ///
    /// # Errors
    /// The system's reason.
    pub fn read(&self, name: impl Arg, limit: usize) -> io::Result<Vec<u8>> {
        let file = fs::File::open(self.0.join(name.path()))?;
        let mut content = Vec::new();
        file.take(limit as u64).read_to_end(&mut content)?;
        Ok(content)
    }
}

/// Where [`Dir::for_each`] lets a link be read.
pub struct LinkBuffer<'a>(&'a mut Vec<u8>);

impl LinkBuffer<'_> {
    /// Where the link `name` in `dir` points.
    ///
    /// # Errors
    /// As [`Dir::read_link`].
    pub fn read(&mut self, dir: &Dir, name: &CStr) -> io::Result<&[u8]> {
        *self.0 = dir.read_link(name)?;
        Ok(self.0)
    }
}

/// A link's target as the other clients write it on Unix. On Windows both kinds of slashes separate.
fn with_slashes(target: PathBuf) -> Vec<u8> {
    let mut bytes = target.into_os_string().into_encoded_bytes();
    if cfg!(windows) {
        for byte in bytes.iter_mut().filter(|byte| **byte == b'\\') {
            *byte = b'/';
        }
    }
    bytes
}

fn kind_of(kind: fs::FileType) -> EntryKind {
    match kind {
        kind if kind.is_symlink() => EntryKind::Link,
        kind if kind.is_dir() => EntryKind::Folder,
        kind if kind.is_file() => EntryKind::File,
        _ => EntryKind::Other,
    }
}

fn stat_of(meta: &Metadata, facts: &FileFacts) -> io::Result<Stat> {
    Ok(Stat {
        kind: kind_of(meta.file_type()),
        size: meta.len(),
        allocated: meta.len(),
        accessed: seconds(meta.accessed()?),
        modified: seconds(meta.modified()?),
        identity: facts.identity,
        names: facts.names,
    })
}

/// Seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "the Python client computes the same float"
)]
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    since.as_secs() as f64 + 1e-9 * f64::from(since.subsec_nanos())
}
