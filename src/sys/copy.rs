//! Moving and copying files whole, also between file systems.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use super::folder::parent_of;
use super::staged::{Mode, Staged, overwrite, same};
use super::{FsError, open_regular};

/// Makes `from` the file `to`, replacing what is there in one step. On another file system it is
/// copied beside `to`, compared, and renamed there; a target that is a mount point is written in
/// place. The time grows with the size of the file.
///
/// # Errors
/// [`FsError`] naming `to`; `from` is then still there.
pub fn replace(from: &Path, to: &Path) -> Result<(), FsError> {
    rename_or_copy(from, to).map_err(FsError::of("write", to))
}

fn rename_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match from.parent() == to.parent() {
        true => check_folders(&[to])?,
        false => check_folders(&[from, to])?,
    }
    let error = match fs::rename(from, to) {
        Err(error) => error,
        renamed => return renamed,
    };
    match error.kind() {
        io::ErrorKind::CrossesDevices => stage_copy(from, to)?.rename(to)?,
        io::ErrorKind::ResourceBusy => overwrite(to, &mut open_regular(from)?)?,
        _ => return Err(error),
    }
    // A file that cannot be removed only takes space.
    let _ = fs::remove_file(from);
    Ok(())
}

/// Copies a file's content to `to`, replacing what is there in one step. `staging` is the folder for
/// the unfinished copy, best on the file system of `to`. The mode of the original is not kept.
///
/// # Errors
/// [`FsError`] naming `to`, which is unchanged.
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

/// Copies, reads both again and compares them: the copy must have the verified content.
fn copy_checked(from: &Path, to: &mut File) -> io::Result<()> {
    let mut from = open_regular(from)?;
    io::copy(&mut from, to)?;
    from.seek(SeekFrom::Start(0))?;
    to.seek(SeekFrom::Start(0))?;
    same(&mut from, to)
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

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
}
