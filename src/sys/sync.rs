//! Flushing to disk.

use std::fs::File;
use std::io;

/// Flushes a file to disk. A file system without that call is not a failure; one that loses the
/// bytes is.
///
/// # Errors
/// An I/O error, or a full disk.
pub fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all().or_else(unless_refused)
}

/// An error if bytes are lost; no error if the file system just does not support flushing.
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
