//! Making the store: its folder and marker, and the folders of shared blobs, with the permissions
//! of the root. Who can enter the root can read shared blobs, no user can write them, and every user
//! who can write the root can add some (docs/reference.md#shared-blob-store).

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{MARKER_CONTENT, is_store, lock_of};
use crate::cache::layout::{CacheLayout, SHARED_MARKER as MARKER};
use crate::sys::dir::Dir;
use crate::sys::{FileFacts, LockGuard, Opening, open_itself, set_group_of, set_mode, set_mode_of};

/// How often marking the store is tried while other processes do the same.
const ATTEMPTS: usize = 5;

/// Permission bits in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// Of shared blobs and the marker.
    pub file: u32,
    /// Of folders.
    pub folder: u32,
}

impl Modes {
    /// The modes that follow from that of the root.
    pub fn of(root: u32) -> Modes {
        let group = if root & 0o010 == 0 { 0 } else { 0o040 };
        let others = if root & 0o001 == 0 { 0 } else { 0o004 };
        Modes {
            file: 0o400 | group | others,
            folder: root & 0o3777,
        }
    }

    /// As [`Modes::of`], for this root.
    ///
    /// # Errors
    /// The system's reason.
    pub fn of_root(root: &Path) -> io::Result<Modes> {
        Ok(Modes::of(FileFacts::through(root)?.mode))
    }
}

/// Makes the store and the folder that a shared blob lies in, unless they are there.
///
/// # Errors
/// The system's reason, or that `blobs/` is not ours.
pub fn prepare(root: &Path, place: &Path) -> io::Result<()> {
    let modes = Modes::of_root(root)?;
    mark(root, modes)?;
    let prefix = root.join(place);
    let prefix = prefix.parent().unwrap_or(root);
    make_folder(prefix)?;
    if !is_folder(prefix) {
        return Err(io::Error::other(
            "an entry of the shared store is not a folder",
        ));
    }
    correct_mode(prefix, modes.folder)
}

/// Marks an empty folder as a store. A folder that is not empty belongs to another program.
fn mark(root: &Path, modes: Modes) -> io::Result<()> {
    let layout = CacheLayout::new(root);
    let folder = layout.shared();
    let dir = Dir::open(root)?;
    make_folder(&folder)?;
    for _ in 0..ATTEMPTS {
        if is_store(&dir) {
            return Ok(());
        }
        if !is_folder(&folder) || !clear_abandoned_markers(&folder)? {
            continue;
        }
        correct_mode(&folder, modes.folder)?;
        // The same name as in the Python client: after a crash either program removes it.
        let staged = folder.join(format!("{MARKER}.{:08x}.tmp", fastrand::u32(..)));
        let written = Opening::new_file()
            .exact_mode(modes.file)
            .open(&staged)
            .and_then(|mut file| file.write_all(MARKER_CONTENT))
            .and_then(|()| fs::rename(&staged, layout.shared_marker()));
        match written {
            // Another process removed it as abandoned, and marks the folder now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let _ = fs::remove_file(&staged);
                return Err(error);
            }
            Ok(()) => {}
        }
    }
    if is_store(&dir) {
        return Ok(());
    }
    Err(io::Error::other("the folder blobs/ is not a shared store"))
}

/// Removes markers that were never renamed. Returns whether the folder is empty then.
fn clear_abandoned_markers(folder: &Path) -> io::Result<bool> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let is_abandoned = |entry: &fs::DirEntry| {
        is_staged_marker(&entry.file_name().to_string_lossy())
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && fs::read(entry.path()).is_ok_and(|text| MARKER_CONTENT.starts_with(&text))
    };
    if !entries.iter().all(is_abandoned) {
        return Ok(false);
    }
    for entry in &entries {
        let _ = fs::remove_file(entry.path());
    }
    Ok(fs::read_dir(folder)?.next().is_none())
}

fn is_staged_marker(name: &str) -> bool {
    let unique = name
        .strip_prefix(MARKER)
        .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".tmp"));
    unique.is_some_and(|digits| digits.len() == 8 && super::is_hex(digits.as_bytes()))
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

fn correct_mode(path: &Path, mode: u32) -> io::Result<()> {
    if FileFacts::at(path)?.mode & 0o7777 == mode {
        return Ok(());
    }
    set_mode(path, mode)
}

/// Gives a blob the mode and group of a shared blob: read-only, for users who may enter the root.
///
/// # Errors
/// The system's reason. A shared blob that others could see and not read is refused.
pub fn seal(blob: &Path, prefix: &Path, mode: u32) -> io::Result<()> {
    let blob = open_itself(blob)?;
    set_mode_of(&blob, mode)?;
    let group = FileFacts::through(prefix)?.group;
    if FileFacts::of(&blob)?.group == group {
        return Ok(());
    }
    match set_group_of(&blob, group) {
        Err(error) if mode & 0o044 == 0o040 => Err(error),
        _ => Ok(()),
    }
}

/// Takes the lock of a shared blob, and waits while another process holds it. `place` is the path of
/// the shared blob.
///
/// # Errors
/// The system's reason: no permission, or a file system without locks.
pub fn lock(place: &Path) -> io::Result<LockGuard> {
    let path = lock_of(place);
    loop {
        let guard = LockGuard::wait(FOR_ALL.open(&path)?)?;
        // A lock on a file that was deleted in the meantime excludes no other process.
        if guard.is_at(&path) {
            return Ok(guard);
        }
    }
}

/// How a lock or manifest is opened: every user of the cache may write it, whatever the umask.
pub const FOR_ALL: Opening = Opening::update().exact_mode(0o666);

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn modes_follow_the_root() {
        for (root, file, folder) in [
            (0o40_755, 0o444, 0o755),
            (0o40_700, 0o400, 0o700),
            (0o40_750, 0o440, 0o750),
            (0o42_770, 0o440, 0o2770),
            (0o41_777, 0o444, 0o1777),
            (0o40_705, 0o404, 0o705),
            (0o40_744, 0o400, 0o744),
        ] {
            assert_eq!(Modes::of(root), Modes { file, folder }, "{root:o}");
        }
    }

    #[test]
    fn names_of_staged_markers() {
        for (name, expected) in [
            (".huggingface-shared-blobs.0123abcd.tmp", true),
            (".huggingface-shared-blobs.0123abc.tmp", false),
            (".huggingface-shared-blobs.0123ABCD.tmp", false),
            (".huggingface-shared-blobs.tmp", false),
            (".huggingface-shared-blobs", false),
        ] {
            assert_eq!(is_staged_marker(name), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_is_marked_when_nothing_else_is_in_it() {
        let place = Path::new("blobs/ab/x");
        for (name, text, expected) in [
            (None, "", true),
            (Some(".huggingface-shared-blobs.0123abcd.tmp"), "1", true),
            (Some(".huggingface-shared-blobs.0123abcd.tmp"), "x", false),
            (Some("mine"), "1\n", false),
            (Some(".huggingface-shared-blobs"), "2\n", false),
        ] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("blobs")).unwrap();
            if let Some(name) = name {
                fs::write(root.path().join("blobs").join(name), text).unwrap();
            }
            let done = prepare(root.path(), place);
            assert_eq!(done.is_ok(), expected, "{name:?} {done:?}");
            assert_eq!(root.path().join("blobs/ab").exists(), expected, "{name:?}");
            let left = fs::read_dir(root.path().join("blobs")).unwrap().count();
            assert_eq!(left, 1 + usize::from(expected), "{name:?}");
        }
    }

    #[test]
    fn locks_are_no_links_and_open_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        drop(lock(&place).unwrap());
        let mode = fs::metadata(lock_of(&place)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o666);
        fs::remove_file(lock_of(&place)).unwrap();
        std::os::unix::fs::symlink("elsewhere", lock_of(&place)).unwrap();
        lock(&place).unwrap_err();
        assert!(!folder.path().join("elsewhere").exists());
    }

    /// Waits until a process waits for the lock on a file; the kernel lists those.
    #[cfg(target_os = "linux")]
    fn wait_for_a_waiter(lock: &File) {
        let inode = format!(":{} ", lock.metadata().unwrap().ino());
        let is_waiting = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            locks
                .lines()
                .any(|line| line.contains("->") && line.contains(&inode))
        };
        let start = std::time::Instant::now();
        while !is_waiting() {
            assert!(
                start.elapsed().as_secs() < 60,
                "no process waits for the lock"
            );
            std::thread::yield_now();
        }
    }

    /// A process that waits for a lock whose file is deleted must take the lock again: the next process
    /// makes a new file, and both would write.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_lock_file_that_was_deleted_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        let held = lock(&place).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&place).unwrap());
            wait_for_a_waiter(&File::open(lock_of(&place)).unwrap());
            fs::remove_file(lock_of(&place)).unwrap();
            drop(held);
            let second = waiting.join().unwrap();
            assert!(second.is_at(&lock_of(&place)));
            let third = File::open(lock_of(&place)).unwrap();
            assert!(third.try_lock().is_err(), "the second one holds it");
        });
    }
}
