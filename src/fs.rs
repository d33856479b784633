//! File system helpers with one promise each: atomic replace, lock, errors that name the path.

pub mod lockfile;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file system operation that failed: what was tried, where, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FsError {
    /// What was tried, as a verb phrase: "write", "create the folder".
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The reason given by the system.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// For `map_err`: wraps an I/O error with what was tried on which path.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
        let path = path.to_path_buf();
        move |source| FsError {
            action,
            path,
            source,
        }
    }

    /// Whether the disk, or the user's share of it, is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// The system's reason in words, without Rust's "(os error 13)" and starting small.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// [`FsError`] naming the folder.
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    fs::create_dir_all(path).map_err(FsError::of("create the folder", path))
}

/// Permission bits of a file that [`write_atomic`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `0666 & ~umask`, as any program that just opens a file.
    Umask,
    /// As [`Mode::Umask`], and flushed to disk before it shows: for what others rely on.
    Durable,
    /// As [`Mode::Durable`], and `0666` whatever the umask: what every user has to be able to change.
    Everyone,
    /// `0600`, flushed to disk: a secret.
    Secret,
}

/// Replaces a file so that a reader, or a process killed at any point, sees the old content or the
/// new one and never a part: written beside the target and renamed over it. A power cut may also
/// leave an empty file, unless the mode says that the content is flushed first.
///
/// # Errors
/// [`FsError`] naming the target; the old content is then untouched.
pub fn write_atomic(path: &Path, content: &[u8], mode: Mode) -> Result<(), FsError> {
    write_atomic_staged(path, content, mode, path.parent().unwrap_or(Path::new(".")))
}

/// As [`write_atomic`], with the unfinished file in another folder of the same file system: for
/// folders whose every entry means something to others.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_staged(
    path: &Path,
    content: &[u8],
    mode: Mode,
    staging: &Path,
) -> Result<(), FsError> {
    write_atomic_from(path, mode, staging, |file| file.write_all(content))
}

/// As [`write_atomic_staged`], with content that `fill` writes piece by piece: for what is too long
/// to be held in memory a second time.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_from(
    path: &Path,
    mode: Mode,
    staging: &Path,
    fill: impl Fn(&mut File) -> io::Result<()>,
) -> Result<(), FsError> {
    let write = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".hf-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let bits = match mode {
                // tempfile passes these to open(2), where the umask applies.
                Mode::Umask | Mode::Durable | Mode::Everyone => 0o666,
                Mode::Secret => 0o600,
            };
            builder.permissions(fs::Permissions::from_mode(bits));
        }
        let mut temporary = builder.tempfile_in(staging)?;
        fill(temporary.as_file_mut())?;
        #[cfg(unix)]
        if mode == Mode::Everyone {
            use std::os::unix::fs::PermissionsExt;
            // Before it shows, and in vain on file systems without modes.
            let everyone = fs::Permissions::from_mode(0o666);
            let _ = temporary.as_file().set_permissions(everyone);
        }
        if mode != Mode::Umask {
            // Losing a token to a power cut costs a login; losing a cache listing costs nothing.
            temporary.as_file().sync_all()?;
        }
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(FsError::of("write", path))
}

/// An exclusive `flock(2)` on a lock file, released on drop. The file itself stays: deleting it
/// while another process waits on it would give two holders (REFERENCE 5).
#[derive(Debug)]
pub struct LockGuard {
    file: File,
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

    /// Whether the locked file is the one at `path`: it may have been deleted meanwhile.
    #[cfg(unix)]
    pub fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let there = path.symlink_metadata().map(identity).ok();
        there.is_some() && there == self.file.metadata().map(identity).ok()
    }
}

/// Takes the lock, waiting as long as another process holds it.
///
/// # Errors
/// [`FsError`] when the file cannot be opened or the file system has no locks.
pub fn lock(path: &Path) -> Result<LockGuard, FsError> {
    let file = open_lock(path)?;
    LockGuard::wait(file).map_err(FsError::of("lock", path))
}

/// Takes the lock if nobody holds it.
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

/// Takes the lock within `patience`, or answers `None`.
///
/// # Errors
/// As [`lock`].
pub fn lock_within(path: &Path, patience: Duration) -> Result<Option<LockGuard>, FsError> {
    let file = open_lock(path)?;
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
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(LOCK_MODE);
    }
    let file = in_folder(path, || options.open(path))?.map_err(FsError::of("open", path))?;
    share_with_group(&file);
    Ok(file)
}

/// Permission bits of a lock file, whatever the umask, as the Python client has them: whoever shares
/// the folder has to be able to take the lock.
#[cfg(unix)]
const LOCK_MODE: u32 = 0o664;

#[cfg(unix)]
fn share_with_group(lock: &File) {
    use std::os::unix::fs::PermissionsExt;
    let mode = lock
        .metadata()
        .map(|meta| meta.permissions().mode() & 0o777);
    if mode.is_ok_and(|mode| mode != LOCK_MODE) {
        // Somebody else's file stays as it is: it could be opened, which is what counts.
        let _ = lock.set_permissions(fs::Permissions::from_mode(LOCK_MODE));
    }
}

#[cfg(not(unix))]
fn share_with_group(_lock: &File) {}

/// Does something to a file, making its folder when that is what is missing. The folder is there
/// almost always, and asking first would be a system call for every file.
///
/// # Errors
/// [`FsError`] when the folder cannot be made.
pub fn in_folder<T>(
    path: &Path,
    act: impl Fn() -> io::Result<T>,
) -> Result<io::Result<T>, FsError> {
    match act() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                create_dir_all(folder)?;
            }
            Ok(act())
        }
        done => Ok(done),
    }
}

/// Bytes free for this user on the file system that holds `path`, or would hold it: the nearest
/// existing ancestor is asked. `None` when the system does not say.
#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    path.ancestors()
        .find_map(|ancestor| rustix::fs::statvfs(ancestor).ok())
        // A file system of no size (/proc) is none to store in: creating a file will say so better.
        .filter(|stat| stat.f_blocks > 0)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes free for this user; not known on this system.
#[cfg(not(unix))]
pub fn free_space(_path: &Path) -> Option<u64> {
    None
}

/// Whether this error says that the file system, or the server behind it, has no locks at all.
pub fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    // What NFS answers when nobody runs the lock service.
    if error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

/// Whether the file system of `path`, or of its nearest existing ancestor, tells upper from lower
/// case. One that cannot be tried is taken to do so: writing there will fail anyway.
pub fn is_case_sensitive(path: &Path) -> bool {
    let folder = path.ancestors().find(|ancestor| ancestor.is_dir());
    let probe = folder.and_then(|folder| {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".hf-case-").tempfile_in(folder).ok()
    });
    let Some(probe) = probe else { return true };
    let name = probe.path().file_name().unwrap_or_default();
    let other = name.to_string_lossy().to_uppercase();
    !probe.path().with_file_name(other).exists()
}

/// What a file system can do. `None`: it could not be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Symbolic links.
    pub symlinks: Option<bool>,
    /// `flock(2)` or its like.
    pub locks: Option<bool>,
}

/// Tries out symbolic links and locks in a temporary folder inside `path`, or inside its nearest
/// existing ancestor. Nothing is left behind.
pub fn abilities(path: &Path) -> Abilities {
    let folder = path.ancestors().find(|ancestor| ancestor.is_dir());
    let Some(folder) = folder.and_then(|folder| tempfile::tempdir_in(folder).ok()) else {
        return Abilities {
            symlinks: None,
            locks: None,
        };
    };
    let lock = lock_within(&folder.path().join("lock"), Duration::ZERO);
    Abilities {
        symlinks: Some(symlink(Path::new("lock"), &folder.path().join("link")).is_ok()),
        locks: Some(matches!(lock, Ok(Some(_)))),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn atomic_write_replaces_and_sets_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_atomic(&path, b"new", Mode::Secret).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn reasons_are_the_systems_words() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(reason(&error), "permission denied");
        assert_eq!(reason(&io::Error::other("Own words")), "own words");
    }

    #[test]
    fn abilities_are_tried_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let able = abilities(&folder.path().join("not/there/yet"));
        assert_eq!(able.symlinks, Some(true));
        assert_eq!(able.locks, Some(true));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn case_is_told_apart_here_and_the_probe_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // Any Linux file system in everyday use does.
        #[cfg(target_os = "linux")]
        assert!(is_case_sensitive(&folder.path().join("not/there/yet")));
        assert!(
            is_case_sensitive(Path::new("/proc/self/nothing")),
            "cannot be tried"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

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
