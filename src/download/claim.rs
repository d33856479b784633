//! Which partial a process may write to.
//!
//! Processes that want the same content take a lock, so that one fetches it and the others wait. The
//! holder writes to the partial that bears the content's name, which the next process finds and goes
//! on with. That is right only where the lock keeps others out. On a file system without locks, where
//! two can hold one, or where the lock is another user's, each process writes to a partial of its own
//! name: that costs bandwidth and does no harm, and finding the content there at the end is success.
//!
//! Lustre and GPFS are in between: a lock may hold on one machine alone. There the holder takes the
//! common partial only if it made it just now, which the file system grants to one, or if no process has
//! written to it for a while.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache::layout::PartialName;
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
    pub fn with_lock(guard: LockGuard, common: &Path) -> Claim {
        if guard.holds_on_one_machine_only() && !is_ours(common) {
            return Claim::Own(Some(guard));
        }
        Claim::Common(guard)
    }

    /// Whether the partial that bears the content's name is ours to write and to remove.
    pub fn is_common(&self) -> bool {
        matches!(self, Claim::Common(_))
    }

    /// The partial to write to, given the common one.
    pub fn partial(&self, common: PathBuf) -> PathBuf {
        match self {
            Claim::Common(_) => common,
            Claim::Own(_) => PartialName::unique_beside(&common),
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
    fn only_the_holder_of_the_lock_writes_to_the_common_partial() {
        let folder = tempfile::tempdir().unwrap();
        let common = folder.path().join("abc.hf-sparse");
        let lock = folder.path().join("abc.lock");
        let Attempt::Taken(guard) = attempt(&lock) else {
            panic!("no lock");
        };
        let claim = Claim::with_lock(guard, &common);
        assert!(claim.is_common());
        assert_eq!(claim.partial(common.clone()), common);
        let (one, two) = (Claim::Own(None), Claim::Own(None));
        let (one, two) = (one.partial(common.clone()), two.partial(common.clone()));
        assert!(one != two && one != common);
        assert_eq!(one.extension(), common.extension());
    }

    #[test]
    fn where_locks_do_not_reach_only_a_new_or_an_old_partial_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let common = folder.path().join("abc.hf-sparse");
        assert!(is_ours(&common), "made just now");
        assert!(!is_ours(&common), "another process made it");
        let file = std::fs::File::open(&common).unwrap();
        file.set_modified(SystemTime::now() - 2 * AT_WORK).unwrap();
        assert!(is_ours(&common), "left behind");
        assert!(!is_ours(&common), "taken by another");
        assert!(!is_ours(&folder.path().join("no/folder")));
    }
}
