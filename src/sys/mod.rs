//! What differs between systems: opening, replacing and locking files, errors that name the path,
//! limits and threads of the process.

mod abandoned;
mod access;
mod boot;
mod copy;
pub mod dir;
mod door;
mod error;
pub mod facts;
mod folder;
mod idle;
mod last_read;
pub mod limits;
mod links;
mod lock;
pub mod lockfile;
mod place;
mod probe;
mod range;
mod read;
mod staged;
mod sync;
pub mod threads;
mod write;

#[cfg(not(unix))]
use std::fs;
use std::io;
use std::path::Path;

pub use abandoned::remove_abandoned;
pub use access::{
    is_executable, may_read, open_to_others, set_group, set_group_of, set_mode, set_mode_of,
};
pub use boot::boot;
pub use copy::{copy_file, replace};
pub use door::{Opening, open_itself};
pub use error::{FsError, reason};
pub use facts::FileFacts;
pub use folder::{Obstacle, follow_own_links, refuse_foreign_link};
pub use last_read::{mark_read, open_to_check};
pub use links::{canonicalize, link_to_program, symlink, symlink_in_folder};
use lock::LOCK_MODE;
pub use lock::{LockGuard, has_no_locks, try_lock};
pub use place::{read_at, read_exact_at, write_all_at};
pub use probe::{abilities, free_space, is_case_sensitive, platform};
pub use range::{block_size, copy_range};
pub use read::{open_regular, read_limited, read_once, read_text};
pub use staged::Mode;
pub use sync::sync_file;
pub use write::{write_atomic, write_atomic_from, write_atomic_staged};

/// Creates a folder and its parents. Links on the way are followed when they belong to this user or
/// to root.
///
/// # Errors
/// [`FsError`] naming the folder.
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    #[cfg(unix)]
    let made = folder::make_folder(path).map(drop);
    #[cfg(not(unix))]
    let made = fs::create_dir_all(path);
    made.map_err(FsError::of("create the folder", path))
}

/// Creates a folder and its parents, closed to other users where the system has permissions. One that is
/// there stays as it is.
///
/// # Errors
/// [`FsError`] naming the folder.
pub fn create_secret_dir_all(path: &Path) -> Result<(), FsError> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.recursive(true).create(path);
    made.map_err(FsError::of("create the folder", path))
}

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
