//! Replacing files whole.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
#[cfg(not(unix))]
use std::path::PathBuf;

use super::folder::parent_of;
use super::{FsError, Opening, open_regular};

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

impl Mode {
    fn opening(self) -> Opening {
        match self {
            Mode::Umask | Mode::Durable => Opening::new_file(),
            Mode::Everyone => Opening::new_file().exact_mode(0o666),
            Mode::Secret => Opening::new_file().mode(0o600),
        }
    }
}

/// Replaces a file so that a reader, or a process killed at any point, sees the old content or the
/// new one and never a part: written beside the target and renamed over it. A power cut may also
/// leave an empty file, unless the mode says that the content is flushed first. A link in the place
/// of the file is replaced and what it leads to stays.
///
/// A file that cannot be replaced since it is mounted by itself, as containers have it, is written in
/// place: the caller holds the lock that keeps others from it, if there is one.
///
/// # Errors
/// [`FsError`] naming the target; the old content is then untouched.
pub fn write_atomic(path: &Path, content: &[u8], mode: Mode) -> Result<(), FsError> {
    write_atomic_staged(path, content, mode, parent_of(path))
}

/// As [`write_atomic`], with the unfinished file in another folder: for folders whose every entry
/// means something to others. Where that folder is on another file system, the unfinished file lies
/// beside the target after all.
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
    let beside = parent_of(path);
    let write = || match Staged::fill(staging, mode, &fill)?.rename(path) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices && staging != beside => {
            Staged::fill(beside, mode, &fill)?.rename(path)
        }
        done => done,
    };
    write().map_err(FsError::of("write", path))
}

/// A name for a file on its way: every part of the program knows it for what it is.
fn staged_name() -> String {
    let (begin, end) = super::abandoned::STAGED;
    format!("{begin}{:016x}{end}", fastrand::u64(..))
}

/// A file on its way to its name; removed unless it gets there.
struct Staged {
    #[cfg(unix)]
    folder: std::os::fd::OwnedFd,
    #[cfg(not(unix))]
    folder: PathBuf,
    name: String,
    file: File,
    is_there: bool,
}

impl Staged {
    fn make(folder: &Path, opening: Opening) -> io::Result<Staged> {
        for _ in 0..8 {
            let name = staged_name();
            #[cfg(unix)]
            let folder = super::folder::open_folder(folder)?;
            #[cfg(unix)]
            let opened = opening.open_at(&folder, name.as_ref());
            #[cfg(not(unix))]
            let (folder, opened) = (
                folder.to_path_buf(),
                opening.open_or_make(&folder.join(&name)),
            );
            match opened {
                Ok((file, _)) => {
                    // While it is locked it is not abandoned. Without locks nothing ever is.
                    let is_locked = file.lock().is_ok();
                    if is_locked && was_removed(&file) {
                        continue;
                    }
                    return Ok(Staged {
                        folder,
                        name,
                        file,
                        is_there: true,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn fill(
        folder: &Path,
        mode: Mode,
        fill: impl Fn(&mut File) -> io::Result<()>,
    ) -> io::Result<Staged> {
        let mut staged = Staged::make(folder, mode.opening())?;
        fill(&mut staged.file)?;
        if mode != Mode::Umask {
            // Losing a token to a power cut costs a login; losing a cache listing costs nothing.
            sync_file(&staged.file)?;
        }
        Ok(staged)
    }

    fn rename(mut self, path: &Path) -> io::Result<()> {
        let renamed = self.rename_only(path);
        if !matches!(&renamed, Err(error) if error.kind() == io::ErrorKind::ResourceBusy) {
            self.is_there = renamed.is_err();
            return renamed;
        }
        overwrite(path, &mut self.file)
    }

    #[cfg(unix)]
    fn rename_only(&self, path: &Path) -> io::Result<()> {
        let Some(name) = path.file_name() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = super::folder::open_folder(parent_of(path))?;
        Ok(rustix::fs::renameat(
            &self.folder,
            self.name.as_str(),
            &folder,
            name,
        )?)
    }

    #[cfg(not(unix))]
    fn rename_only(&self, path: &Path) -> io::Result<()> {
        fs::rename(self.folder.join(&self.name), path)
    }
}

/// Whether somebody took the file for abandoned before it was locked.
#[cfg(unix)]
fn was_removed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|meta| meta.nlink() == 0)
}

/// An open file cannot be removed.
#[cfg(not(unix))]
fn was_removed(_file: &File) -> bool {
    false
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_there {
            return;
        }
        // It may be gone already.
        #[cfg(unix)]
        let _ = rustix::fs::unlinkat(
            &self.folder,
            self.name.as_str(),
            rustix::fs::AtFlags::empty(),
        );
        #[cfg(not(unix))]
        let _ = fs::remove_file(self.folder.join(&self.name));
    }
}

/// Longest content that is put back when writing in place fails, in bytes.
const KEPT: u64 = 1 << 20;

/// Writes into a file that cannot be replaced. What was in it is put back when that fails.
fn overwrite(path: &Path, content: &mut File) -> io::Result<()> {
    let mut file = Opening::existing().open(path)?;
    let mut before = Vec::new();
    let is_kept = file.metadata()?.len() <= KEPT;
    if is_kept {
        file.read_to_end(&mut before)?;
    }
    let written = fill_in_place(&mut file, content);
    if written.is_err() && is_kept {
        // The first error is the one to tell of.
        let _ = fill_in_place(&mut file, &mut io::Cursor::new(before));
    }
    written
}

fn fill_in_place(file: &mut File, content: &mut (impl Read + Seek)) -> io::Result<()> {
    content.seek(SeekFrom::Start(0))?;
    file.seek(SeekFrom::Start(0))?;
    let length = io::copy(content, file)?;
    file.set_len(length)?;
    sync_file(file)?;
    content.seek(SeekFrom::Start(0))?;
    file.seek(SeekFrom::Start(0))?;
    same(content, file)
}

/// Makes `from` the file `to`, replacing what is there in one step. On another file system it is
/// copied beside `to`, compared, and renamed there; a target that is mounted by itself is written in
/// place. That takes as long as the file is large.
///
/// # Errors
/// [`FsError`] naming `to`; `from` is then still there.
pub fn replace(from: &Path, to: &Path) -> Result<(), FsError> {
    rename_or_copy(from, to).map_err(FsError::of("write", to))
}

fn rename_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    check_folders(&[from, to])?;
    let error = match fs::rename(from, to) {
        Err(error) => error,
        renamed => return renamed,
    };
    match error.kind() {
        io::ErrorKind::CrossesDevices => stage_copy(from, to)?.rename(to)?,
        io::ErrorKind::ResourceBusy => overwrite(to, &mut open_regular(from)?)?,
        _ => return Err(error),
    }
    // What could not be removed costs space and nothing else.
    let _ = fs::remove_file(from);
    Ok(())
}

/// Copies a file's content to `to`, replacing what is there in one step. `staging` is the folder for
/// the unfinished copy, best on the file system of `to`. The mode of the original is not kept.
///
/// # Errors
/// [`FsError`] naming `to`, which is as it was.
pub fn copy_file(from: &Path, to: &Path, staging: &Path) -> Result<(), FsError> {
    let copy = || {
        let fill = |file: &mut File| copy_checked(from, file);
        Staged::fill(staging, Mode::Umask, fill)?.rename(to)
    };
    match copy() {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            stage_copy(from, to).and_then(|staged| staged.rename(to))
        }
        done => done,
    }
    .map_err(FsError::of("write", to))
}

fn stage_copy(from: &Path, to: &Path) -> io::Result<Staged> {
    Staged::fill(parent_of(to), Mode::Durable, |file| {
        copy_checked(from, file)
    })
}

/// Copies, reads both again and compares them: the promise about the content is the original's.
fn copy_checked(from: &Path, to: &mut File) -> io::Result<()> {
    let mut from = open_regular(from)?;
    io::copy(&mut from, to)?;
    from.seek(SeekFrom::Start(0))?;
    to.seek(SeekFrom::Start(0))?;
    same(&mut from, to)
}

fn same(a: &mut impl Read, b: &mut impl Read) -> io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        a.by_ref().take(PIECE).read_to_end(&mut left)?;
        b.by_ref().take(PIECE).read_to_end(&mut right)?;
        if left != right {
            return Err(io::Error::other("the copy differs from the original"));
        }
        if left.is_empty() {
            return Ok(());
        }
    }
}

/// Refuses folders that only a link of another user leads to.
fn check_folders(paths: &[&Path]) -> io::Result<()> {
    #[cfg(unix)]
    for path in paths {
        super::folder::open_folder(parent_of(path))?;
    }
    #[cfg(not(unix))]
    let _ = paths;
    Ok(())
}

/// Makes a symbolic link, and its folder when that is what is missing.
///
/// # Errors
/// The outer: the folder cannot be made. The inner: the link cannot.
#[cfg(unix)]
pub fn symlink_in_folder(target: &Path, link: &Path) -> Result<io::Result<()>, FsError> {
    super::in_folder(link, || {
        check_folders(&[link])?;
        std::os::unix::fs::symlink(target, link)
    })
}

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
    fn a_link_is_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine"), "precious").unwrap();
        std::os::unix::fs::symlink("mine", at("link")).unwrap();
        write_atomic(&at("link"), b"new", Mode::Umask).unwrap();
        assert!(!at("link").is_symlink());
        assert_eq!(fs::read(at("mine")).unwrap(), b"precious");
        fs::create_dir(at("folder")).unwrap();
        write_atomic(&at("folder"), b"new", Mode::Umask).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn writing_in_place_shortens_and_lengthens() {
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        for (before, after) in [("longer", "new"), ("x", "longer"), ("x", "")] {
            fs::write(&to, before).unwrap();
            fs::write(&from, after).unwrap();
            overwrite(&to, &mut File::open(&from).unwrap()).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), after);
        }
        fs::remove_file(&to).unwrap();
        std::os::unix::fs::symlink("from", &to).unwrap();
        overwrite(&to, &mut File::open("/dev/null").unwrap()).unwrap_err();
    }

    #[test]
    fn a_copy_takes_the_place_of_a_file_and_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("staging")).unwrap();
        fs::write(at("from"), vec![7; 3 << 20]).unwrap();
        fs::set_permissions(at("from"), fs::Permissions::from_mode(0o400)).unwrap();
        fs::write(at("to"), "old").unwrap();
        copy_file(&at("from"), &at("to"), &at("staging")).unwrap();
        assert_eq!(fs::read(at("to")).unwrap(), vec![7; 3 << 20]);
        assert_ne!(
            fs::metadata(at("to")).unwrap().permissions().mode() & 0o200,
            0
        );
        stage_copy(&at("from"), &at("other"))
            .unwrap()
            .rename(&at("other"))
            .unwrap();
        replace(&at("other"), &at("to")).unwrap();
        assert!(!at("other").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert_eq!(fs::read_dir(at("staging")).unwrap().count(), 0);
        let error = same(&mut &b"one"[..], &mut &b"two"[..]).unwrap_err();
        assert!(error.to_string().contains("differs"));
    }

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
