//! Lock files: one answer to "does a process hold this lock?", for all callers.
//!
//! A lock is an exclusive `flock(2)` on a file that stays (docs/reference.md#locks). Only the file
//! system knows whether it is held, and some cannot answer: NFSv4 and CIFS refuse an
//! exclusive lock on a descriptor that is not open for writing (EBADF), others have no locks at all
//! (ENOLCK, ENOSYS, EOPNOTSUPP), another user's lock file of mode 0600 cannot be opened (EACCES),
//! and on Lustre with `localflock` or behind some FUSE mounts every `flock` succeeds. None
//! of these means "free".
//!
//! - [`state`] looks without changing anything: it makes no file and no folder, and takes the lock
//!   for a moment at most. Deletions use it. [`State::CannotTell`] never permits a deletion; then
//!   [`is_young`] decides: keep what was written within [`YOUNG`].
//! - [`attempt`] and [`wait`] take the lock, making the file when it is not there.
//!   [`Attempt::CannotTell`] carries the reason: a download or a login continues without the lock, and
//!   a download then writes to a partial that no other process uses.
//!
//! A lock that two descriptors of this process can hold at the same time excludes no process. That is
//! tested once for each device, and also gives "cannot tell".

use std::collections::BTreeMap;
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::threads::is_unwanted;
use super::{FileFacts, FsError, LOCK_MODE, LockGuard, Opening, open_itself};

/// A file changed within this time may still be in use, where locks do not tell. A day: long enough for
/// a download that pauses over a night or waits in the queue of a cluster, and short enough to remove
/// the files of a killed program soon.
pub const YOUNG: Duration = Duration::from_secs(24 * 60 * 60);

/// Pause between two attempts while another process holds a lock, in [`wait`].
const PAUSE: Duration = Duration::from_millis(20);

/// Whether a process holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A process holds it.
    Held,
    /// No process holds it.
    Free,
    /// There is no lock file: no process that locks runs.
    Absent,
    /// The file system, or its permissions, do not say.
    CannotTell,
}

/// How taking a lock went.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours until the guard is dropped.
    Taken(LockGuard),
    /// Another process holds it.
    Held,
    /// It could not be taken, and whether another process holds it is unknown. The reason.
    CannotTell(FsError),
}

/// Whether a process holds the lock. Makes nothing, and leaves the times of the file as they are.
pub fn state(path: &Path) -> State {
    hold(path).0
}

/// As [`state`], and keeps the lock until the guard is dropped where it is free: for a caller that is about to
/// remove what the lock protects.
pub fn hold(path: &Path) -> (State, Option<LockGuard>) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => {}
        Err(error) if is_absent(&error) => return (State::Absent, None),
        _ => return (State::CannotTell, None),
    }
    match Opening::existing().open(path) {
        Ok(file) => match try_exclusive(&file) {
            Tried::Taken if is_meaningful(&file, path) && is_coherent(&file) => {
                (State::Free, Some(LockGuard { file }))
            }
            Tried::Taken | Tried::Refused(_) => (State::CannotTell, None),
            Tried::Held => (State::Held, None),
        },
        Err(error) if is_absent(&error) => (State::Absent, None),
        // Another user's lock that may be read: a shared lock gives the same answer, and needs no permission to write.
        Err(_) => match open_to_read(path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) if is_coherent(&file) => (State::Free, Some(LockGuard { file })),
                Err(TryLockError::WouldBlock) => (State::Held, None),
                _ => (State::CannotTell, None),
            },
            Err(error) if is_absent(&error) => (State::Absent, None),
            Err(_) => (State::CannotTell, None),
        },
    }
}

/// Takes the lock if no process holds it.
pub fn attempt(path: &Path) -> Attempt {
    wait(path, Some(Duration::ZERO))
}

/// Takes the lock, waiting for the process that holds it: for `patience`, or without it as long as it takes
/// and the result is wanted (see [`is_unwanted`]). [`Attempt::Held`] after that.
pub fn wait(path: &Path, patience: Option<Duration>) -> Attempt {
    wait_with_mode(path, patience, LOCK_MODE)
}

/// As [`wait`], with a lock file that every user of a shared cache may write.
pub fn wait_for_all(path: &Path, patience: Duration) -> Attempt {
    wait_with_mode(path, Some(patience), 0o666)
}

fn wait_with_mode(path: &Path, patience: Option<Duration>, mode: u32) -> Attempt {
    let deadline = patience.map(|patience| Instant::now() + patience);
    loop {
        let file = match open_or_make(path, mode) {
            Ok(file) => file,
            Err(error) => return Attempt::CannotTell(error),
        };
        match try_exclusive(&file) {
            Tried::Taken if !is_meaningful(&file, path) => {
                let reason = io::Error::new(
                    io::ErrorKind::Unsupported,
                    "two processes can hold a lock at the same time here",
                );
                return Attempt::CannotTell(FsError::of("lock", path)(reason));
            }
            Tried::Taken => {
                let guard = LockGuard { file };
                // A lock on a deleted file excludes no process.
                if guard.is_at(path) {
                    return Attempt::Taken(guard);
                }
            }
            Tried::Held if deadline.is_some_and(|end| Instant::now() >= end) || is_unwanted() => {
                return Attempt::Held;
            }
            Tried::Held => std::thread::sleep(PAUSE),
            Tried::Refused(error) => return Attempt::CannotTell(FsError::of("lock", path)(error)),
        }
    }
}

/// Whether what these facts are of was changed within [`YOUNG`] before `now`. A time in the future
/// counts as young: clocks of file servers differ.
pub fn is_young(meta: &Metadata, now: SystemTime) -> bool {
    let Ok(modified) = meta.modified() else {
        return true;
    };
    now.duration_since(modified).map_or(true, |age| age < YOUNG)
}

enum Tried {
    Taken,
    Held,
    Refused(io::Error),
}

fn try_exclusive(file: &File) -> Tried {
    loop {
        match file.try_lock() {
            Ok(()) => return Tried::Taken,
            Err(TryLockError::WouldBlock) => return Tried::Held,
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Tried::Refused(error),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether the lock that `file` holds keeps a second descriptor out. Tried once for each device.
fn is_meaningful(file: &File, path: &Path) -> bool {
    static KNOWN: Mutex<BTreeMap<u64, bool>> = Mutex::new(BTreeMap::new());
    let Ok(first) = FileFacts::of(file) else {
        return true;
    };
    let device = first.identity.0;
    let known = || {
        KNOWN
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    };
    if let Some(&answer) = known().get(&device) {
        return answer;
    }
    let Ok(second) = Opening::existing().open(path) else {
        return true;
    };
    if FileFacts::of(&second).map(|facts| facts.identity).ok() != Some(first.identity) {
        // The path is another file by now, which says nothing about this one.
        return true;
    }
    let answer = !matches!(try_exclusive(&second), Tried::Taken);
    known().insert(device, answer);
    answer
}

/// Whether the locks of this file system are known to hold between the machines that mount it: on
/// Lustre and GPFS `flock` may be seen by this machine alone, depending on how it was mounted.
#[cfg(target_os = "linux")]
fn is_coherent(file: &File) -> bool {
    /// Numbers of the file systems, from their sources: Lustre and GPFS.
    const PER_MACHINE: [u64; 2] = [0x0BD0_0BD0, 0x4750_4653];
    #[expect(clippy::cast_sign_loss, reason = "a number of 32 bits")]
    rustix::fs::fstatfs(file).map_or(true, |stat| {
        !PER_MACHINE.contains(&((stat.f_type as u64) & 0xFFFF_FFFF))
    })
}

impl LockGuard {
    /// Whether this lock may keep out processes of this machine alone.
    pub fn holds_on_one_machine_only(&self) -> bool {
        !is_coherent(&self.file)
    }
}

#[cfg(not(target_os = "linux"))]
fn is_coherent(_file: &File) -> bool {
    true
}

/// Opens a regular file that is there, without the right to write to it.
fn open_to_read(path: &Path) -> io::Result<File> {
    let file = open_itself(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is no regular file"))
}

/// Opens the lock file, or makes it. The mode is set on a file that was made just now and on no
/// other.
fn open_or_make(path: &Path, mode: u32) -> Result<File, FsError> {
    Opening::update()
        .exact_mode(mode)
        .open_in_folder(path, "open")
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    fn taken(attempt: Attempt) -> LockGuard {
        match attempt {
            Attempt::Taken(guard) => guard,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_wait_ends_when_its_future_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let _guard = taken(attempt(&path));
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiting = super::super::threads::run(move || {
            sender.send(None).unwrap();
            let waited = wait(&path, None);
            sender.send(Some(matches!(waited, Attempt::Held))).unwrap();
        });
        let mut waiting = Box::pin(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(receiver.recv().unwrap(), None, "it waits");
        drop(waiting);
        assert_eq!(
            receiver.recv().unwrap(),
            Some(true),
            "the lock is still held"
        );
    }

    #[test]
    fn looking_makes_nothing_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/x.lock");
        assert_eq!(state(&path), State::Absent);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let guard = taken(attempt(&path));
        assert_eq!(state(&path), State::Held);
        assert!(matches!(attempt(&path), Attempt::Held));
        drop(guard);
        let times = |path: &Path| {
            let meta = fs::metadata(path).unwrap();
            (meta.modified().unwrap(), meta.accessed().unwrap())
        };
        let before = times(&path);
        assert_eq!(state(&path), State::Free);
        assert_eq!(times(&path), before);
        drop(taken(attempt(&path)));
        assert_eq!(state(&path.join("below")), State::Absent);
    }

    #[test]
    fn a_lock_is_shared_with_the_group_when_made_and_left_alone_later() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(taken(attempt(&path)));
        assert_eq!(mode(), 0o664);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        drop(taken(attempt(&path)));
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn what_is_no_file_tells_nothing_and_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let path = folder.path().join("x.lock");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        for _ in 0..2 {
            assert_eq!(state(&path), State::CannotTell);
            assert!(matches!(attempt(&path), Attempt::CannotTell(_)));
            assert!(wait(&path, None).is_cannot_tell());
            fs::write(&target, "").unwrap();
        }
        assert!(fs::read(&target).unwrap().is_empty());
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(state(&path), State::CannotTell);
        assert!(attempt(&path).is_cannot_tell());
        let folder_as_lock = folder.path().join("folder.lock");
        fs::create_dir(&folder_as_lock).unwrap();
        assert_eq!(state(&folder_as_lock), State::CannotTell);
        assert!(attempt(&folder_as_lock).is_cannot_tell());
    }

    impl Attempt {
        fn is_cannot_tell(&self) -> bool {
            matches!(self, Attempt::CannotTell(_))
        }
    }

    #[test]
    fn a_lock_file_that_was_replaced_is_not_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let old = taken(attempt(&path));
        fs::remove_file(&path).unwrap();
        assert_eq!(state(&path), State::Absent);
        let new = taken(attempt(&path));
        assert!(!old.is_at(&path) && new.is_at(&path));
    }

    #[test]
    fn patience_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let guard = taken(wait(&path, None));
        let patience = Some(Duration::from_millis(30));
        assert!(matches!(wait(&path, patience), Attempt::Held));
        drop(guard);
        assert!(matches!(wait(&path, patience), Attempt::Taken(_)));
    }

    #[test]
    fn young_is_a_day_and_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let file = File::create(&path).unwrap();
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        for (time, expected) in [
            (now, true),
            (now - 23 * hour, true),
            (now - 24 * hour, false),
            (now - 1000 * hour, false),
            (now + 1000 * hour, true),
        ] {
            file.set_modified(time).unwrap();
            assert_eq!(
                is_young(&fs::metadata(&path).unwrap(), now),
                expected,
                "{time:?}"
            );
        }
    }
}
