//! An unfinished file beside its goal, locked while it is written, then renamed over the goal.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
#[cfg(not(unix))]
use std::{fs, path::PathBuf};

use super::Opening;
#[cfg(unix)]
use super::folder::parent_of;
use super::sync::sync_file;

/// Permission bits of a file that [`super::write_atomic`] makes.
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

/// A name for an unfinished file, which [`super::remove_abandoned`] knows.
fn staged_name() -> String {
    let (begin, end) = super::abandoned::STAGED;
    format!("{begin}{:016x}{end}", fastrand::u64(..))
}

/// An unfinished file; removed unless it is renamed.
pub(super) struct Staged {
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

    pub(super) fn fill(
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

    pub(super) fn rename(mut self, path: &Path) -> io::Result<()> {
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

/// Whether another process took the file for abandoned before it was locked.
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
pub(super) fn overwrite(path: &Path, content: &mut File) -> io::Result<()> {
    let mut file = Opening::existing().open(path)?;
    let mut before = Vec::new();
    let is_kept = file.metadata()?.len() <= KEPT;
    if is_kept {
        file.read_to_end(&mut before)?;
    }
    let written = fill_in_place(&mut file, content);
    if written.is_err() && is_kept {
        // The first error is the one to report.
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

/// An error unless two readers give the same bytes.
pub(super) fn same(a: &mut impl Read, b: &mut impl Read) -> io::Result<()> {
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

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

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
}
