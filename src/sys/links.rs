//! Symbolic links, where the system has them, and paths without any.

use std::io;
use std::path::{Path, PathBuf};

use super::{FsError, in_folder};

/// Makes a symbolic link to a file.
///
/// # Errors
/// The system's reason. Windows has links for those who turned its developer mode on.
pub fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    make(target, link)
}

#[cfg(unix)]
fn make(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn make(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(windows_target(target), link)?;
    // Wine before version 9 reports success and makes nothing.
    match link.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Makes a symbolic link, and its folder when that is what is missing.
///
/// # Errors
/// The outer: the folder cannot be made. The inner: the link cannot.
pub fn symlink_in_folder(target: &Path, link: &Path) -> Result<io::Result<()>, FsError> {
    in_folder(link, || {
        #[cfg(unix)]
        super::folder::open_folder(super::folder::parent_of(link))?;
        make(target, link)
    })
}

/// Makes a second name for a program.
///
/// # Errors
/// The system's reason; [`io::ErrorKind::AlreadyExists`] when something is there.
#[cfg(unix)]
pub fn link_to_program(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Makes a second name for a program: a hard link, or a copy on another drive. Symbolic links need a
/// privilege here.
///
/// # Errors
/// The system's reason; [`io::ErrorKind::AlreadyExists`] when something is there.
#[cfg(not(unix))]
pub fn link_to_program(target: &Path, link: &Path) -> io::Result<()> {
    let target = link.parent().unwrap_or(Path::new("")).join(target);
    std::fs::hard_link(&target, link).or_else(|_| {
        if link.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::copy(&target, link).map(|_| ())
    })
}

/// The path of a file without links, as people write it.
///
/// # Errors
/// The system's reason: there is nothing at the path.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    let real = path.canonicalize()?;
    if cfg!(windows)
        && let Some(usual) = real.to_str().and_then(usual_form)
    {
        return Ok(usual.into());
    }
    Ok(real)
}

/// The usual form of a path in the extended form of Windows (`\\?\C:\x`): what the Python client prints, and
/// what other programs take. `None` where it could mean another file: only the extended form reaches a name
/// that ends with a dot or blank.
fn usual_form(path: &str) -> Option<String> {
    let rest = path.strip_prefix(r"\\?\")?;
    let usual = match rest.strip_prefix(r"UNC\") {
        Some(share) => format!(r"\\{share}"),
        None if rest.get(1..3) == Some(r":\") => rest.to_owned(),
        None => return None,
    };
    let mut names = usual.split('\\');
    (!names.any(|name| name.ends_with(['.', ' ']))).then_some(usual)
}

/// A target as Windows follows it: a link whose text has slashes leads nowhere there.
#[cfg_attr(unix, cfg_attr(not(test), expect(dead_code, reason = "for Windows")))]
fn windows_target(target: &Path) -> PathBuf {
    PathBuf::from(target.to_string_lossy().replace('/', "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_for_people_on_windows() {
        for (path, expected) in [
            (r"\\?\C:\Users\a\hub", Some(r"C:\Users\a\hub")),
            (r"\\?\C:\", Some(r"C:\")),
            (r"\\?\UNC\server\share\hub", Some(r"\\server\share\hub")),
            (r"C:\Users", None),
            (r"\\server\share", None),
            (r"\\?\Volume{1-2}\x", None),
            (r"\\?\C:\odd.\x", None),
            (r"\\?\C:\x ", None),
            ("/home/a", None),
        ] {
            assert_eq!(usual_form(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn targets_for_windows() {
        for (target, expected) in [
            ("../../blobs/ab", "..\\..\\blobs\\ab"),
            ("..\\../ab", "..\\..\\ab"),
            ("ab", "ab"),
        ] {
            assert_eq!(windows_target(Path::new(target)), Path::new(expected));
        }
    }
}
