//! Flushing to disk.

use std::fs::File;
use std::io;

/// Flushes a file to disk. A file system that cannot do that is no failure; one that fails to keep
/// the bytes is.
///
/// # Errors
/// An I/O error, or a full disk.
pub fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all().or_else(unless_refused)
}

/// Tells bytes that are lost from a file system that has no such call, whatever its word for that.
fn unless_refused(error: io::Error) -> io::Result<()> {
    #[cfg(unix)]
    let is_io = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    #[cfg(not(unix))]
    let is_io = true;
    let is_full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    if is_io || is_full { Err(error) } else { Ok(()) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_lost_bytes_are_a_failure_to_flush() {
        use rustix::io::Errno;
        for (errno, expected) in [
            (Errno::IO, false),
            (Errno::NOSPC, false),
            (Errno::DQUOT, false),
            (Errno::INVAL, true),
            (Errno::NOSYS, true),
            (Errno::OPNOTSUPP, true),
            (Errno::ROFS, true),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(unless_refused(error).is_ok(), expected, "{errno}");
        }
    }
}
