//! Locks between processes.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{FileFacts, FsError, Opening};

/// An exclusive `flock(2)` on a lock file, released on drop. The file itself stays: deleting it
/// while another process waits on it would give two holders (docs/reference.md#locks).
#[derive(Debug)]
pub struct LockGuard {
    pub(super) file: File,
}

impl LockGuard {
    /// Locks an open file, waiting as long as another process holds it.
    ///
    /// # Errors
    /// The system's reason; [`io::ErrorKind::Unsupported`] on a file system without locks.
    pub fn wait(file: File) -> io::Result<LockGuard> {
        file.lock()?;
        Ok(LockGuard { file })
    }

    /// Whether the locked file is the one at `path`: it may have been deleted.
    pub fn is_at(&self, path: &Path) -> bool {
        let identity = |facts: FileFacts| facts.identity;
        let there = FileFacts::at(path).map(identity).ok();
        there.is_some() && there == FileFacts::of(&self.file).map(identity).ok()
    }
}

/// Closing the file alone would leave the lock with a child that another thread has just started: until it
/// runs its program, it has a copy of the descriptor.
impl Drop for LockGuard {
    fn drop(&mut self) {
        // On failure the lock goes with the descriptor.
        let _ = self.file.unlock();
    }
}

/// Takes the lock, waiting as long as another process holds it.
///
/// # Errors
/// [`FsError`] when the file cannot be opened or the file system has no locks.
#[cfg(test)]
pub fn lock(path: &Path) -> Result<LockGuard, FsError> {
    let file = open_lock(path)?;
    LockGuard::wait(file).map_err(FsError::of("lock", path))
}

/// Takes the lock if no process holds it.
///
/// # Errors
/// As [`lock`].
pub fn try_lock(path: &Path) -> Result<Option<LockGuard>, FsError> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(LockGuard { file })),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(source)) => Err(FsError::of("lock", path)(source)),
    }
}

/// Takes the lock within `patience`, else returns `None`.
///
/// # Errors
/// As [`lock`].
pub fn lock_within(path: &Path, patience: Duration) -> Result<Option<LockGuard>, FsError> {
    wait_for(open_lock(path)?, path, patience)
}

fn wait_for(file: File, path: &Path, patience: Duration) -> Result<Option<LockGuard>, FsError> {
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(LockGuard { file })),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            Err(fs::TryLockError::Error(source)) => return Err(FsError::of("lock", path)(source)),
        }
    }
}

fn open_lock(path: &Path) -> Result<File, FsError> {
    Opening::update()
        .exact_mode(LOCK_MODE)
        .open_in_folder(path, "open")
}

/// Permission bits of a lock file, whatever the umask, as the Python client has them: every user of
/// a shared folder has to be able to take the lock.
pub(super) const LOCK_MODE: u32 = 0o664;

/// Whether this error says that the file system, or the server behind it, has no locks at all.
pub fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    // The error of NFS when no lock service runs.
    if error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn no_locks_is_told_from_other_trouble() {
        use rustix::io::Errno;
        for (errno, expected) in [
            (Errno::NOLCK, true),
            (Errno::NOTSUP, true),
            (Errno::NOSYS, true),
            (Errno::INTR, false),
            (Errno::ACCESS, false),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(has_no_locks(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_held_lock_is_not_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = lock(&path).unwrap();
        assert!(lock_within(&path, Duration::ZERO).unwrap().is_none());
        drop(held);
        assert!(lock_within(&path, Duration::ZERO).unwrap().is_some());
        assert!(path.exists(), "the lock file stays");
    }
}
