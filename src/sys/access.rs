//! Modes and groups of files. Windows has other permissions, which a file inherits from its folder:
//! a user's own folder is closed to other users. There nothing is changed.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

#[cfg(unix)]
pub use super::door::set_mode;

/// Changes the mode of a file or folder.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Changes the mode of an open file.
///
/// # Errors
/// The system's reason.
#[cfg(unix)]
pub fn set_mode_of(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Changes the mode of an open file.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn set_mode_of(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Gives an open file to a group.
///
/// # Errors
/// The system's reason.
#[cfg(unix)]
pub fn set_group_of(file: &File, group: u32) -> io::Result<()> {
    std::os::unix::fs::fchown(file, None, Some(group))
}

/// Gives an open file to a group.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn set_group_of(_file: &File, _group: u32) -> io::Result<()> {
    Ok(())
}

/// Gives what is at a path to a group; a link itself.
///
/// # Errors
/// The system's reason.
#[cfg(unix)]
pub fn set_group(path: &Path, group: Option<u32>) -> io::Result<()> {
    std::os::unix::fs::lchown(path, None, group)
}

/// Gives what is at a path to a group.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn set_group(_path: &Path, _group: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// Whether this process may read a file.
#[cfg(unix)]
pub fn may_read(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// Whether this process may read a file.
#[cfg(not(unix))]
pub fn may_read(path: &Path) -> bool {
    File::open(path).is_ok()
}

/// Whether the permissions let some user run a file.
#[cfg(unix)]
pub fn is_executable(meta: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o111 != 0
}

/// Whether the permissions let some user run a file: here its name decides, not its permissions.
#[cfg(not(unix))]
pub fn is_executable(_meta: &Metadata) -> bool {
    true
}

/// The permission bits of a file that other users or its group can use in some way; `None` for one that
/// is closed to them.
#[cfg(unix)]
pub fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// The permission bits of a file that other users can use: none is known here.
#[cfg(not(unix))]
pub fn open_to_others(_path: &Path) -> Option<u32> {
    None
}
