//! Which partial a process may write to.
//!
//! Processes that want the same content take a lock, so that one fetches it and the others wait. The
//! holder writes to the partial that bears the content's name, which the next process finds and goes
//! on with. That is right only where the lock keeps others out. On a file system without locks, where
//! two can hold one, or where the lock is another user's, each process writes to a partial of its own
//! name: that costs bandwidth and harms nobody, and finding the content there at the end is success.
//!
//! Lustre and GPFS lie between: a lock may hold on one machine alone. There the holder takes the
//! common partial only if it made it just now, which the file system grants to one, or if no process has
//! written to it for a while.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache::layout::PartialName;
use crate::download::http::segments::remove_segments;
use crate::sys::lockfile::holds_on_one_machine_only;
use crate::sys::{LockGuard, Opening};

/// Where machines do not see one another's locks, a partial that was written to within this time
/// belongs to another process. Longer than a connection may be silent.
const AT_WORK: Duration = Duration::from_secs(10 * 60);

/// What a process may write to.
#[derive(Debug)]
pub enum Claim {
    /// The partial that bears the content's name, while the lock is held.
    Common(#[expect(dead_code, reason = "held until the claim is dropped")] LockGuard),
    /// A partial of this process alone. With a lock, it still keeps others on this machine waiting.
    Own(#[expect(dead_code, reason = "held until the claim is dropped")] Option<LockGuard>),
}

impl Claim {
    /// What the lock of a content gives a right to.
    pub fn with_lock(guard: LockGuard, lock: &Path, common: &Path) -> Claim {
        if holds_on_one_machine_only(lock) && !is_ours(common) {
            return Claim::Own(Some(guard));
        }
        Claim::Common(guard)
    }

    /// Whether the partial that bears the content's name is ours to write and to remove.
    pub fn is_common(&self) -> bool {
        matches!(self, Claim::Common(_))
    }

    /// The partial to write to, given the common one.
    pub fn partial(&self, common: PathBuf, size: Option<u64>) -> ClaimedPartial {
        match self {
            Claim::Common(_) => ClaimedPartial {
                path: common,
                own: None,
            },
            Claim::Own(_) => ClaimedPartial {
                path: PartialName::unique_beside(&common),
                own: Some(size),
            },
        }
    }
}

/// The path of a partial. One of the process's own is removed with this value: no other process would
/// find it.
#[derive(Debug)]
pub struct ClaimedPartial {
    path: PathBuf,
    /// Size of the content, for a partial of our own.
    own: Option<Option<u64>>,
}

impl ClaimedPartial {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ClaimedPartial {
    fn drop(&mut self) {
        if let Some(size) = self.own {
            // It is gone when it was published.
            let _ = fs::remove_file(&self.path);
            remove_segments(&self.path, size);
        }
    }
}

/// Whether a partial is new, or no process has written to it for a while.
fn is_ours(common: &Path) -> bool {
    match Opening::new_file().open(common) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let Ok(file) = Opening::existing().open(common) else {
                return false;
            };
            let age = file.metadata().and_then(|meta| meta.modified());
            let age = age.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            // The new time tells other machines at once that it is in use.
            age.is_ok_and(|age| age > AT_WORK) && file.set_modified(SystemTime::now()).is_ok()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::lockfile::{Attempt, attempt};

    #[test]
    fn a_partial_of_ones_own_goes_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let common = folder.path().join("abc.hf-part");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let (one, two) = (Claim::Own(None), Claim::Own(None));
        let one = one.partial(common.clone(), Some(5));
        let two = two.partial(common.clone(), Some(5));
        assert!(one.path() != two.path() && one.path() != common);
        assert_eq!(one.path().extension(), common.extension());
        fs::write(one.path(), "x").unwrap();
        fs::write(two.path(), "x").unwrap();
        fs::rename(one.path(), folder.path().join("published")).unwrap();
        drop((one, two));
        assert_eq!(names(), 1);
    }

    #[test]
    fn the_common_partial_stays() {
        let folder = tempfile::tempdir().unwrap();
        let common = folder.path().join("abc.hf-part");
        let lock = folder.path().join("abc.lock");
        fs::write(&common, "x").unwrap();
        let Attempt::Taken(guard) = attempt(&lock) else {
            panic!("no lock");
        };
        let claim = Claim::with_lock(guard, &lock, &common);
        assert!(claim.is_common());
        let partial = claim.partial(common.clone(), Some(5));
        assert_eq!(partial.path(), common);
        drop(partial);
        assert!(common.exists());
    }

    #[test]
    fn where_locks_do_not_reach_only_a_new_or_an_old_partial_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let common = folder.path().join("abc.hf-part");
        assert!(is_ours(&common), "made just now");
        assert!(!is_ours(&common), "somebody else made it");
        let file = fs::File::open(&common).unwrap();
        file.set_modified(SystemTime::now() - 2 * AT_WORK).unwrap();
        assert!(is_ours(&common), "left behind");
        assert!(!is_ours(&common), "taken by another");
        assert!(!is_ours(&folder.path().join("no/folder")));
    }
}
