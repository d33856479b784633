//! The only way to open files for writing.
//!
//! A file at one of our paths may have been put there by another user who can write to the
//! folder: a symbolic link to a file of the user's, a pipe without a reader, a device. So a link in
//! the last part of a path is never followed, what is opened is a regular file or it is an error
//! that says what it is, and permission bits are only changed on a file that was made just now.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::follow_own_links;
#[cfg(unix)]
use super::folder::parent_of;
use super::{FsError, in_folder};

/// What happens when the file is there or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    /// It has to be there.
    Never,
    /// It is made when it is not there.
    IfAbsent,
    /// It must not be there.
    New,
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy)]
#[must_use = "call open()"]
#[cfg_attr(not(unix), expect(dead_code, reason = "modes and owners are of Unix"))]
pub struct Opening {
    make: Make,
    append: bool,
    mode: u32,
    exact: bool,
}

impl Opening {
    /// For reading and writing, made when it is not there. What is in it stays.
    pub const fn update() -> Self {
        Opening {
            make: Make::IfAbsent,
            append: false,
            mode: 0o666,
            exact: false,
        }
    }

    /// As [`Opening::update`], but [`io::ErrorKind::NotFound`] when it is not there.
    pub const fn existing() -> Self {
        Opening {
            make: Make::Never,
            ..Opening::update()
        }
    }

    /// As [`Opening::update`], but [`io::ErrorKind::AlreadyExists`] when anything is there.
    pub const fn new_file() -> Self {
        Opening {
            make: Make::New,
            ..Opening::update()
        }
    }

    /// Every write goes to the end, whatever other programs write.
    pub const fn append(self) -> Self {
        Opening {
            append: true,
            ..self
        }
    }

    /// Permission bits of a new file, less those of the umask. Otherwise `0666`.
    pub const fn mode(self, mode: u32) -> Self {
        Opening { mode, ..self }
    }

    /// Permission bits of a new file whatever the umask. A file that is there keeps its own.
    pub const fn exact_mode(self, mode: u32) -> Self {
        Opening {
            mode,
            exact: true,
            ..self
        }
    }

    /// Opens the file.
    ///
    /// # Errors
    /// The system's reason, or an [`Obstacle`](super::Obstacle) that says what stands there.
    pub fn open(self, path: &Path) -> io::Result<File> {
        self.open_or_make(path).map(|(file, _)| file)
    }

    /// As [`Opening::open`]; also returns whether the file was made.
    ///
    /// # Errors
    /// As [`Opening::open`].
    #[cfg(unix)]
    pub fn open_or_make(self, path: &Path) -> io::Result<(File, bool)> {
        let Some(name) = path.file_name() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = super::folder::open_folder(parent_of(path))?;
        self.open_at(&folder, name)
    }

    /// As [`Opening::open_or_make`], for a name in an open folder.
    #[cfg(unix)]
    pub(super) fn open_at(
        self,
        folder: &std::os::fd::OwnedFd,
        name: &std::ffi::OsStr,
    ) -> io::Result<(File, bool)> {
        use std::os::unix::fs::PermissionsExt;

        use rustix::fs::{FileType, Mode, OFlags, openat};
        use rustix::io::Errno;

        use super::folder::{obstacle, obstacle_at};

        /// Attempts when the file appears and disappears between two calls.
        const ATTEMPTS: usize = 16;

        let failed = |error: Errno| match obstacle_at(folder, name) {
            // Links first. For other kinds of files the obstacle is clearer than the system's error.
            Some(obstacle) => obstacle.into_error(),
            None => error.into(),
        };
        let mut flags = OFlags::RDWR
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY
            // Opening a pipe without a reader must not block.
            | OFlags::NONBLOCK;
        flags.set(OFlags::APPEND, self.append);
        for _ in 0..ATTEMPTS {
            if self.make != Make::New {
                match openat(folder, name, flags, Mode::empty()) {
                    Ok(file) => {
                        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
                        return match obstacle(kind) {
                            Some(obstacle) => Err(obstacle.into_error()),
                            None => Ok((file.into(), false)),
                        };
                    }
                    Err(Errno::NOENT) if self.make == Make::IfAbsent => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            let mode = Mode::from_raw_mode(self.mode as _);
            let new = flags | OFlags::CREATE | OFlags::EXCL;
            match openat(folder, name, new, mode) {
                Ok(file) => {
                    let file = File::from(file);
                    if self.exact {
                        // Without effect on file systems without modes.
                        let bits = std::fs::Permissions::from_mode(self.mode);
                        let _ = file.set_permissions(bits);
                    }
                    return Ok((file, true));
                }
                Err(Errno::EXIST) if self.make == Make::IfAbsent => {}
                Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(Errno::EXIST))
    }

    /// As [`Opening::open`]; also returns whether the file was made.
    ///
    /// # Errors
    /// As [`Opening::open`].
    #[cfg(not(unix))]
    #[expect(clippy::disallowed_methods, reason = "the door itself")]
    pub fn open_or_make(self, path: &Path) -> io::Result<(File, bool)> {
        let there = path.symlink_metadata();
        if let Some(obstacle) = super::folder::obstacle_of(path, there.as_ref().ok()) {
            return Err(obstacle.into_error());
        }
        let mut options = std::fs::OpenOptions::new();
        options.read(true).append(self.append).write(!self.append);
        match self.make {
            Make::Never => &mut options,
            Make::IfAbsent => options.create(true).truncate(false),
            Make::New => options.create_new(true),
        };
        Ok((options.open(path)?, there.is_err()))
    }

    /// As [`Opening::open`], making the file's folder when that is what is missing.
    ///
    /// # Errors
    /// [`FsError`] naming the file or its folder; `action` is what was tried.
    pub fn open_in_folder(self, path: &Path, action: &'static str) -> Result<File, FsError> {
        in_folder(path, || self.open(path))?.map_err(FsError::of(action, path))
    }

    /// As [`Opening::open_in_folder`], for a file that is the user's own and may be a link: links of
    /// this user and of root in the last part are followed. Also returns the path in the end.
    ///
    /// # Errors
    /// As [`Opening::open_in_folder`].
    pub fn open_through_own_links(
        self,
        path: &Path,
        action: &'static str,
    ) -> Result<(File, PathBuf), FsError> {
        let target = follow_own_links(path)?;
        let file = self.open_in_folder(&target, action);
        // By the name that the user knows.
        let file = file.map_err(|error| FsError {
            path: path.to_path_buf(),
            ..error
        })?;
        Ok((file, target))
    }
}

/// Opens a file or folder to look at it or to change its mode or owner, which needs no
/// permission to write. A link in the last part of the path is not followed, and no pipe is waited for.
///
/// # Errors
/// The system's reason, or that it is a link.
#[cfg(unix)]
pub fn open_itself(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let name = path.file_name().unwrap_or_else(|| ".".as_ref());
    let folder = super::folder::open_folder(parent_of(path))?;
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat(&folder, name, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(error) => Err(match super::folder::obstacle_at(&folder, name) {
            Some(obstacle @ super::Obstacle::Link { .. }) => obstacle.into_error(),
            _ => error.into(),
        }),
    }
}

/// Opens a file to look at it.
///
/// # Errors
/// The system's reason.
#[cfg(not(unix))]
pub fn open_itself(path: &Path) -> io::Result<File> {
    let there = path.symlink_metadata().ok();
    match super::folder::obstacle_of(path, there.as_ref()) {
        Some(obstacle @ super::Obstacle::Link { .. }) => Err(obstacle.into_error()),
        _ => File::open(path),
    }
}

/// Changes the permission bits of what stands at a path, unless it is a link. For what a finding of
/// `doctor` names, and for the shared store.
///
/// # Errors
/// The system's reason, or that it is a link.
#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match open_itself(path) {
        Ok(file) => file.set_permissions(std::fs::Permissions::from_mode(mode)),
        // Its owner cannot read it, and may change that.
        #[cfg(target_os = "linux")]
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            set_mode_of_unreadable(path, mode).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// Through a handle that needs no permission to read: `/proc` has a path for it.
#[cfg(target_os = "linux")]
fn set_mode_of_unreadable(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{FileType, Mode, OFlags, chmod, fstat, openat};
    let folder = super::folder::open_folder(parent_of(path))?;
    let name = path.file_name().unwrap_or_else(|| ".".as_ref());
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(&folder, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&handle)?.st_mode) == FileType::Symlink {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
    Ok(chmod(itself.as_str(), Mode::from_raw_mode(mode))?)
}
