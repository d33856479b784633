//! Copying a part of a file into another one without reading it.

use std::fs::File;
use std::io;

/// Size of the blocks of the file system that a file is on, in bytes; 0 where the system does not tell.
pub fn block_size(file: &File) -> u64 {
    #[cfg(unix)]
    let size = {
        use std::os::unix::fs::MetadataExt;
        file.metadata().map_or(0, |metadata| metadata.blksize())
    };
    #[cfg(not(unix))]
    let size = {
        let _ = file;
        0
    };
    size
}

/// Makes a part of a file the content of a part of another one, `length` bytes each. File systems that can
/// (XFS, Btrfs, NFS, and others) share the blocks, which takes neither time nor room; others copy them
/// (copy_file_range(2)).
///
/// # Errors
/// The system's, and [`io::ErrorKind::Unsupported`] where there is no such call. Any part may be written then. A
/// failure says nothing about the disk: reading and writing may still work.
#[cfg(target_os = "linux")]
pub fn copy_range(from: (&File, u64), to: (&File, u64), length: u64) -> io::Result<()> {
    use rustix::fs::copy_file_range;
    use rustix::io::Errno;

    /// Most bytes of one call, so that a killed process does not stay for long.
    const MOST: u64 = 64 << 20;
    let ((from, mut source), (to, mut target)) = (from, to);
    let end = target + length;
    while target < end {
        let wanted = usize::try_from((end - target).min(MOST)).unwrap_or(usize::MAX);
        match copy_file_range(from, Some(&mut source), to, Some(&mut target), wanted) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// There is no such call here.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] always.
#[cfg(not(target_os = "linux"))]
pub fn copy_range(_: (&File, u64), _: (&File, u64), _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::{read_exact_at, write_all_at};

    #[test]
    fn a_part_is_copied_to_its_place_alone() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        write_all_at(&from, b"0123456789", 0).unwrap();
        write_all_at(&to, b"----------", 0).unwrap();
        copy_range((&from, 3), (&to, 6), 2).unwrap();
        let mut buffer = [0; 10];
        read_exact_at(&to, &mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"------34--");
        assert!(block_size(&to) > 0);
        let error = copy_range((&from, 8), (&to, 0), 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
