//! The folders on the way to a file, and the symbolic links among them.
//!
//! A cache may be shared with people who can write to it. A link that one of them puts on our path
//! would send what we write to a place of their choice, with our rights. So a path is walked folder
//! by folder, each held open while the next is looked up: a folder that is swapped for a link
//! in between is noticed. Links of our own user and of root are followed, since people move a folder to
//! another disk and leave a link; links of other users are not.

use std::io;
use std::path::{Path, PathBuf};

use super::FsError;

/// Why a path is not used although something is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(unix), expect(dead_code, reason = "links have owners on Unix"))]
pub enum Obstacle {
    /// A symbolic link in the place of one of our files.
    #[error("it is a symbolic link to {}", target.display())]
    Link {
        /// Where it points.
        target: PathBuf,
    },
    /// A symbolic link that another user has made.
    #[error("{} is a symbolic link of another user (user id {owner})", path.display())]
    ForeignLink {
        /// The link.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A symbolic link to nothing where a folder is needed.
    #[error(
        "{} is a symbolic link to {}, where there is nothing (perhaps a disk that is not mounted)",
        path.display(),
        target.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// A folder where a file belongs.
    #[error("it is a folder")]
    Folder,
    /// A pipe, device or socket.
    #[error("it is {0} and no regular file")]
    Special(&'static str),
}

impl Obstacle {
    /// As the source of an [`FsError`].
    pub(super) fn into_error(self) -> io::Error {
        // Not `PermissionDenied`: that means that the system refused, and has its own hints.
        io::Error::other(self)
    }

    /// The obstacle, when it is why an operation failed.
    pub fn of(error: &io::Error) -> Option<&Obstacle> {
        error.get_ref()?.downcast_ref()
    }
}

/// The folder of a file; the current one for a bare name.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

/// Whether a link is followed: it belongs to root or to this user. A link also counts as the choice
/// of the folder's owner, when no other user can write to the folder; not for root, whose
/// writes the owner of a folder must not redirect.
#[cfg(unix)]
fn is_trusted(link: Owner, folder: Owner, user: u32) -> bool {
    let is_own = link.user == 0 || link.user == user;
    let by_folder = link.user == folder.user && folder.mode & 0o022 == 0 && user != 0;
    is_own || by_folder
}

/// Owner and permission bits.
#[cfg(unix)]
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: u32,
    mode: u32,
}

#[cfg(unix)]
pub(super) use walk::{make_folder, open_folder};

#[cfg(unix)]
mod walk {
    use std::ffi::{OsStr, OsString};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStringExt;
    use std::path::{Component, Path, PathBuf};

    use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, readlinkat, statat};
    use rustix::io::Errno;

    use super::{Obstacle, Owner, is_trusted, parent_of};

    /// Most links on one path; with more it is a circle, as on Linux.
    const MOST_LINKS: usize = 40;

    /// Opens a folder only to look up names, where the system can: that needs no permission to read.
    #[cfg(target_os = "linux")]
    const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    const FOLDER: OFlags = OFlags::RDONLY
        .union(OFlags::DIRECTORY)
        .union(OFlags::CLOEXEC);

    /// Opens a folder to make or look up names in it. Links on the way are followed when they are
    /// trusted.
    ///
    /// # Errors
    /// The system's reason; an [`Obstacle`] for a link of another user.
    pub fn open_folder(path: &Path) -> io::Result<OwnedFd> {
        // One call for the path without links, which is almost every one.
        #[cfg(target_os = "linux")]
        if let Ok(folder) = rustix::fs::openat2(
            CWD,
            path,
            FOLDER,
            Mode::empty(),
            rustix::fs::ResolveFlags::NO_SYMLINKS,
        ) {
            return Ok(folder);
        }
        walk(path)
    }

    /// As [`open_folder`], making what is missing.
    ///
    /// # Errors
    /// As [`open_folder`]; an [`Obstacle`] for a link to nothing.
    pub fn make_folder(path: &Path) -> io::Result<OwnedFd> {
        match open_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        if path.file_name().is_none() {
            return open_folder(path);
        }
        make_folder(parent_of(path))?;
        match std::fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            // Or another process was faster.
            _ => {}
        }
        open_folder(path).map_err(|error| match std::fs::read_link(path) {
            Ok(target) if error.kind() == io::ErrorKind::NotFound => Obstacle::Dangling {
                path: path.to_path_buf(),
                target,
            }
            .into_error(),
            _ => error,
        })
    }

    /// The names of a path still to be walked, last first.
    fn push(rest: &mut Vec<OsString>, path: &Path) {
        let names = path.components().rev().filter_map(|part| match part {
            Component::CurDir | Component::Prefix(_) => None,
            Component::RootDir => Some(OsStr::new("/")),
            Component::ParentDir => Some(OsStr::new("..")),
            Component::Normal(name) => Some(name),
        });
        rest.extend(names.map(OsStr::to_owned));
    }

    fn walk(path: &Path) -> io::Result<OwnedFd> {
        let user = rustix::process::geteuid().as_raw();
        let mut rest = Vec::new();
        push(&mut rest, path);
        let mut here = openat(CWD, ".", FOLDER, Mode::empty())?;
        let mut so_far = PathBuf::new();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            so_far.push(&name);
            let Some((link, target)) = link_at(&here, &name)? else {
                here = openat(&here, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
                continue;
            };
            let folder = owner(&rustix::fs::fstat(&here)?);
            if !is_trusted(link, folder, user) {
                let owner = link.user;
                return Err(Obstacle::ForeignLink {
                    path: so_far,
                    owner,
                }
                .into_error());
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            push(&mut rest, &target);
            so_far.pop();
        }
        Ok(here)
    }

    #[expect(
        clippy::unnecessary_cast,
        reason = "the field's type differs between systems"
    )]
    fn owner(stat: &rustix::fs::Stat) -> Owner {
        Owner {
            user: stat.st_uid,
            mode: stat.st_mode as u32,
        }
    }

    /// Owner and target of the link at a name; `None` when it is no link. Both are of the same link,
    /// even if it is replaced in between.
    #[cfg(target_os = "linux")]
    fn link_at(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<(Owner, PathBuf)>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = openat(folder, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&entry)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        let target = readlinkat(&entry, "", Vec::new())?;
        Ok(Some((
            owner(&stat),
            OsString::from_vec(target.into_bytes()).into(),
        )))
    }

    /// See above; here a link that is replaced between the two calls is not noticed.
    #[cfg(not(target_os = "linux"))]
    fn link_at(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<(Owner, PathBuf)>> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        let target = readlinkat(folder, name, Vec::new())?;
        Ok(Some((
            owner(&stat),
            OsString::from_vec(target.into_bytes()).into(),
        )))
    }

    /// What stands at a name and is no regular file.
    pub(in super::super) fn obstacle_at(folder: &OwnedFd, name: &OsStr) -> Option<Obstacle> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            let target = readlinkat(folder, name, Vec::new()).ok()?;
            let target = OsString::from_vec(target.into_bytes()).into();
            return Some(Obstacle::Link { target });
        }
        obstacle(kind)
    }

    /// What a kind of file is called when it is not the regular one.
    pub(in super::super) fn obstacle(kind: FileType) -> Option<Obstacle> {
        match kind {
            FileType::RegularFile | FileType::Symlink => None,
            FileType::Directory => Some(Obstacle::Folder),
            FileType::Fifo => Some(Obstacle::Special("a pipe")),
            FileType::Socket => Some(Obstacle::Special("a socket")),
            _ => Some(Obstacle::Special("a device")),
        }
    }
}

#[cfg(unix)]
pub(super) use walk::{obstacle, obstacle_at};

/// What stands at a path and is no regular file. Here links belong to no user.
#[cfg(any(test, not(unix)))]
pub(super) fn obstacle_of(path: &Path, there: Option<&std::fs::Metadata>) -> Option<Obstacle> {
    let meta = there?;
    if meta.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        return Some(Obstacle::Link { target });
    }
    match (meta.is_file(), meta.is_dir()) {
        (true, _) => None,
        (_, true) => Some(Obstacle::Folder),
        _ => Some(Obstacle::Special("a device")),
    }
}

/// Refuses a place that the user has named when it is a link of another user, or lies behind one:
/// the owner of the link would decide where things are written. For the cache's root, `--local-dir`,
/// a repository's folder and token files, whose own links are followed. A missing file is accepted.
///
/// # Errors
/// [`FsError`] naming the link.
#[cfg(unix)]
pub fn refuse_foreign_link(path: &Path) -> Result<(), FsError> {
    use std::os::unix::fs::MetadataExt;
    // Without a slash at the end, which would mean the target of the link.
    let path: PathBuf = path.components().collect();
    match open_folder(parent_of(&path)) {
        Err(error) if Obstacle::of(&error).is_some() => {
            return Err(FsError::of("use", &path)(error));
        }
        _ => {}
    }
    let Ok(meta) = path.symlink_metadata() else {
        return Ok(());
    };
    let owner = meta.uid();
    if !meta.is_symlink() || owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let obstacle = Obstacle::ForeignLink {
        path: path.clone(),
        owner,
    };
    Err(FsError::of("use", &path)(obstacle.into_error()))
}

/// Links have no owner that matters here.
#[cfg(not(unix))]
pub fn refuse_foreign_link(_path: &Path) -> Result<(), FsError> {
    Ok(())
}

/// The file that a path means after following links in its last part, each of which has to belong
/// to this user or root. What is missing at the end is no error: it can be made there.
///
/// # Errors
/// [`FsError`] naming the link that is not followed.
pub fn follow_own_links(path: &Path) -> Result<PathBuf, FsError> {
    let mut path = path.to_path_buf();
    for _ in 0..40 {
        let Ok(target) = std::fs::read_link(&path) else {
            return Ok(path);
        };
        refuse_foreign_link(&path)?;
        path = parent_of(&path).join(target);
    }
    let circle = io::Error::other("its links lead in a circle");
    Err(FsError::of("open", &path)(circle))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        let target = PathBuf::from("file");
        for (path, expected) in [
            (at("file"), None),
            (at("none"), None),
            (at("folder"), Some(Obstacle::Folder)),
            (at("link"), Some(Obstacle::Link { target })),
            ("/dev/null".into(), Some(Obstacle::Special("a device"))),
        ] {
            let there = path.symlink_metadata().ok();
            assert_eq!(obstacle_of(&path, there.as_ref()), expected, "{path:?}");
        }
    }

    #[test]
    fn whose_links_are_followed() {
        const USER: u32 = 1000;
        const OTHER: u32 = 2000;
        for (link, folder, mode, user, expected) in [
            (USER, OTHER, 0o777, USER, true),
            (0, OTHER, 0o777, USER, true),
            (OTHER, USER, 0o755, USER, false),
            (OTHER, OTHER, 0o755, USER, true),
            (OTHER, OTHER, 0o775, USER, false),
            (OTHER, OTHER, 0o757, USER, false),
            (OTHER, OTHER, 0o755, 0, false),
            (0, OTHER, 0o777, 0, true),
        ] {
            let link = Owner {
                user: link,
                mode: 0o777,
            };
            let folder = Owner { user: folder, mode };
            let found = is_trusted(link, folder, user);
            assert_eq!(found, expected, "{link:?} in {folder:?} for {user}");
        }
    }

    #[test]
    fn own_links_on_the_way_are_followed_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("real/deep")).unwrap();
        std::os::unix::fs::symlink("real", at("short")).unwrap();
        std::os::unix::fs::symlink(at("short"), at("chain")).unwrap();
        std::os::unix::fs::symlink("round", at("round")).unwrap();
        open_folder(&at("chain/deep/../deep")).unwrap();
        make_folder(&at("chain/new/and/newer")).unwrap();
        assert!(at("real/new/and/newer").is_dir());
        let circle = open_folder(&at("round/x")).unwrap_err();
        assert_eq!(
            circle.raw_os_error(),
            Some(rustix::io::Errno::LOOP.raw_os_error())
        );
        std::fs::write(at("file"), "").unwrap();
        assert!(make_folder(&at("file/below")).is_err());
    }

    #[test]
    fn a_link_to_nothing_is_called_that() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("disk");
        std::os::unix::fs::symlink("absent", &link).unwrap();
        for path in [link.clone(), link.join("below")] {
            let error = make_folder(&path).unwrap_err();
            let expected = Obstacle::Dangling {
                path: link.clone(),
                target: "absent".into(),
            };
            assert_eq!(Obstacle::of(&error), Some(&expected), "{error}");
        }
        assert!(!folder.path().join("absent").exists());
    }
}
