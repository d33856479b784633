//! The time when a file was last read, as the file system keeps it.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file to read all of it in order, for a check. Where the system allows it, reading keeps the
/// time of the last read: Linux allows it to the owner of the file only. The system is asked to read ahead.
///
/// # Errors
/// Those of opening a file.
pub fn open_to_check(path: &Path) -> io::Result<File> {
    let file = open_unmarked(path)?;
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
    Ok(file)
}

#[cfg(target_os = "linux")]
fn open_unmarked(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOATIME;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(Errno::PERM) => File::open(path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_unmarked(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Sets the time of the last read to now. The time of the last write stays.
///
/// # Errors
/// The system's reason.
#[cfg(unix)]
pub fn mark_read(path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
    let only = |nanos| Timespec {
        tv_sec: 0,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: only(UTIME_NOW),
        last_modification: only(UTIME_OMIT),
    };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

/// Sets the time of the last read to now. The time of the last write stays.
///
/// # Errors
/// The system's reason.
#[cfg(not(unix))]
pub fn mark_read(path: &Path) -> io::Result<()> {
    let times = std::fs::FileTimes::new().set_accessed(std::time::SystemTime::now());
    File::open(path)?.set_times(times)
}
