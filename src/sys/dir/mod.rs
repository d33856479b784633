//! An open folder, and queries about the names in it.
//!
//! The scan makes a few hundred thousand small calls. An open folder saves the kernel the walk down a
//! long path each time, and a reused buffer for names saves an allocation each. `rustix` gives both without a line of unsafe code; `walkdir` and
//! `ignore` are not used: they return whole paths and read metadata that the scan does not need.
//!
//! Names and link targets are bytes, with `/` between folders on every system.

#[cfg(any(test, not(unix)))]
mod portable;
#[cfg(unix)]
mod unix;

use std::io;
use std::path::PathBuf;

#[cfg(not(unix))]
pub use portable::{Buffers, Dir, LinkBuffer};
#[cfg(unix)]
pub use unix::{Buffers, Dir, LinkBuffer};

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

/// Bytes from a folder as a path.
#[cfg(unix)]
pub fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Bytes from a folder as a path. A name that is no Unicode cannot be given back.
#[cfg(not(unix))]
pub fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(text_of(bytes))
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
    ) || is_circle(error)
}

#[cfg(unix)]
fn is_circle(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// `ERROR_CANT_RESOLVE_FILENAME`.
#[cfg(not(unix))]
fn is_circle(error: &io::Error) -> bool {
    error.raw_os_error() == Some(1921)
}

#[cfg(all(test, unix))]
mod tests {
    /// Both implementations answer alike.
    macro_rules! tests_of {
        ($name:ident) => {
            mod $name {
                use super::super::$name::{Buffers, Dir};
                use super::super::{EntryKind, is_absent, text_of};
                use std::io;

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
        };
    }

    tests_of!(portable);
    tests_of!(unix);
}
