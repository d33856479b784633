//! Carries out a plan in an order that leaves a valid cache at every step.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::in_use::{self, Spared};
use super::{DeletePlan, Extent, RepoDeletion, RevisionDeletion, blob_name};
use crate::cache::commit::LONGEST_REF;
use crate::cache::layout::{CacheLayout, RepoLayout, staging_path};
use crate::cache::scan;
use crate::cache::shared::{self, Store};
use crate::sys::dir::{Dir, path_of};
use crate::sys::lockfile::{self, Attempt, State};
use crate::sys::{FsError, create_dir_all, read_limited};

/// How long to wait for the lock of a shared blob. It is held only briefly.
const STORE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The result.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Bytes the disk got back.
    pub freed: u64,
    /// What could not be removed, and why.
    pub failures: Vec<FsError>,
    /// Repositories that a process has started to download into since the plan was made.
    pub busy: Vec<Spared>,
}

impl DeletePlan {
    /// Removes what the plan says. It continues after a failure, and returns all of them.
    pub fn execute(&self, store: Option<&Store>) -> Outcome {
        let mut outcome = Outcome::default();
        for repo in &self.repos {
            let is_whole = matches!(repo.extent, Extent::Whole { .. });
            if let Some(reason) = in_use::blocks(&self.root, &repo.folder, is_whole) {
                let id = repo.id.to_string();
                outcome.busy.push(Spared { id, reason });
                continue;
            }
            if let Err(error) = self.delete_repo(repo) {
                outcome.failures.push(error);
            }
        }
        for file in &self.incomplete {
            // The lock is held until the file is deleted, so no process continues it.
            let Ok(_guard) = in_use::claim(&self.root, file) else {
                continue;
            };
            if let Err(error) = remove(&file.path(&self.root)) {
                outcome.failures.push(error);
            }
        }
        outcome.freed = self.tally.freed_by_now(&self.root);
        let linked = self.tally.links.keys().filter_map(|&index| {
            let store = store?;
            let shared_blob = store.shared_blobs.get(index as usize)?;
            (!self.tally.kept.contains(&shared_blob.hash)).then_some(shared_blob)
        });
        for shared_blob in self.unused.iter().chain(linked) {
            match sweep(&self.root, shared_blob) {
                Ok(bytes) => outcome.freed += bytes,
                Err(error) => outcome.failures.push(error),
            }
        }
        outcome
    }

    fn delete_repo(&self, repo: &RepoDeletion) -> Result<(), FsError> {
        let layout = RepoLayout::of_folder(&self.root, &repo.folder);
        match &repo.extent {
            Extent::Whole { .. } => delete_whole(&self.root, &layout),
            Extent::Revisions(revisions) => {
                check_inside(&layout)?;
                delete_revisions(&layout, revisions)?;
                self.delete_blobs(repo, &layout)
            }
            Extent::Files(files) => {
                check_inside(&layout)?;
                for (commit, name) in files {
                    let snapshot = layout.snapshot_named(commit);
                    check_folder(&snapshot)?;
                    remove(&snapshot.join(path_of(name)))?;
                }
                self.delete_blobs(repo, &layout)
            }
        }
    }

    /// Removes blobs unless a snapshot links to them by now: another process may have made one since
    /// the plan was built. Each is removed under its lock. A blob whose lock is held stays, and so does
    /// a young one where the state of the lock is unknown.
    fn delete_blobs(&self, repo: &RepoDeletion, layout: &RepoLayout) -> Result<(), FsError> {
        // When the rest cannot be read, it is unknown what it links to.
        let Ok(rest) = scan::scan_repo(&self.root, &repo.folder) else {
            return Ok(());
        };
        for name in &repo.blobs {
            let in_use = rest
                .blobs
                .iter()
                .any(|blob| blob_name(&blob.place) == Some(name));
            let place = layout.blob_named(name);
            // Held until the blob is gone, where there is a lock.
            let (lock, _guard) = lockfile::hold(&layout.lock_named(name));
            let is_ours = match lock {
                State::Held => false,
                State::CannotTell => !is_young(&place),
                State::Free | State::Absent => true,
            };
            if !in_use && is_ours {
                remove(&place)?;
            }
        }
        Ok(())
    }
}

fn delete_revisions(layout: &RepoLayout, revisions: &[RevisionDeletion]) -> Result<(), FsError> {
    delete_refs(&layout.refs(), revisions)?;
    delete_refs(&layout.odd_refs(), revisions)?;
    for revision in revisions {
        let name = &revision.name;
        // The snapshot last: without it the other two would never be found again.
        remove(&layout.no_exists().join(path_of(name)))?;
        remove(&layout.tree_named(name))?;
        remove(&layout.snapshot_named(name))?;
    }
    Ok(())
}

/// Removes the refs that name one of the revisions, and folders such as `refs/refs/pr` when this was
/// their last ref. Their present content counts: a ref may have changed since the plan was made.
fn delete_refs(folder: &Path, revisions: &[RevisionDeletion]) -> Result<(), FsError> {
    if !folder.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    for entry in list(folder)? {
        if entry.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            delete_refs(&entry, revisions)?;
            // Fails while it holds anything.
            let _ = fs::remove_dir(&entry);
        } else if read_limited(&entry, LONGEST_REF.into())
            .is_ok_and(|commit| revisions.iter().any(|r| r.name == commit))
        {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Removes a repository's folder. `snapshots` goes last, and together with the folder itself: a
/// repository without it would be a damaged one.
fn delete_whole(root: &Path, layout: &RepoLayout) -> Result<(), FsError> {
    let path = layout.folder();
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return remove(path);
    }
    remove(&layout.refs())?;
    let snapshots = layout.snapshots();
    if snapshots.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        remove_content(&snapshots)?;
    }
    for entry in list(path)? {
        if entry != snapshots {
            remove(&entry)?;
        }
    }
    let locks = CacheLayout::new(root).locks();
    create_dir_all(&locks)?;
    let aside = staging_path(&locks);
    fs::rename(path, &aside).map_err(FsError::of("remove", path))?;
    remove(&aside)
}

/// Removes a file, a link, or a folder with all it holds; nothing there is fine.
pub fn remove(path: &Path) -> Result<(), FsError> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(FsError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn remove_content(folder: &Path) -> Result<(), FsError> {
    list(folder)?.iter().try_for_each(|entry| remove(entry))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .map_err(FsError::of("read", folder))
}

/// Refuses a repository whose folders are links: their targets are not part of the cache.
fn check_inside(layout: &RepoLayout) -> Result<(), FsError> {
    check_folder(layout.folder())?;
    for folder in [layout.snapshots(), layout.refs(), layout.blobs()] {
        check_folder(&folder)?;
    }
    Ok(())
}

fn check_folder(path: &Path) -> Result<(), FsError> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => {
            let reason = io::Error::other("it is a link that leads elsewhere");
            Err(FsError::of("remove anything below", path)(reason))
        }
        _ => Ok(()),
    }
}

/// Removes a shared blob when its manifest has no true line left, under its
/// lock; otherwise only the true lines of the manifest are kept. A manifest without its shared blob
/// is handled the same way. Returns the bytes that became free.
pub fn sweep(root: &Path, shared_blob: &shared::SharedBlob) -> Result<u64, FsError> {
    sweep_within(root, shared_blob, STORE_LOCK_TIMEOUT)
}

fn sweep_within(
    root: &Path,
    shared_blob: &shared::SharedBlob,
    timeout: Duration,
) -> Result<u64, FsError> {
    let place = root.join(shared_blob.place());
    let manifest = shared::manifest_of(&place);
    let open = |path: &Path| Dir::open(path).map_err(FsError::of("read", path));
    let dir = open(root)?;
    let is_file = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if !shared::is_store(&dir) || !(is_file(&place) || is_file(&manifest)) {
        return Ok(0);
    }
    let lock = shared::lock_of(&place);
    let _guard = match lockfile::wait_for_all(&lock, timeout) {
        Attempt::Taken(guard) => Some(guard),
        // A shared blob in use at this moment has a user: it stays.
        Attempt::Held => return Ok(0),
        // A process that is about to link to it has just written to its manifest.
        Attempt::CannotTell(_) if is_young(&place) || is_young(&manifest) => return Ok(0),
        Attempt::CannotTell(_) => None,
    };
    match shared::users(&dir, root, shared_blob) {
        None => Ok(0),
        Some(users) if users.is_empty() => {
            remove(&place)?;
            remove(&manifest)?;
            Ok(shared_blob.size)
        }
        Some(users) => {
            shared::write_manifest(&manifest, &users)?;
            Ok(0)
        }
    }
}

fn is_young(path: &Path) -> bool {
    let meta = path.symlink_metadata();
    meta.is_ok_and(|meta| lockfile::is_young(&meta, SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one shared blob without users.
    fn store() -> (tempfile::TempDir, shared::SharedBlob) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let shared_blob = shared::SharedBlob {
            hash: "ab".repeat(32),
            size: 5,
        };
        let place = root.join(shared_blob.place());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(
            root.join("blobs").join(crate::cache::layout::SHARED_MARKER),
            shared::MARKER_CONTENT,
        )
        .unwrap();
        fs::write(&place, "12345").unwrap();
        fs::write(shared::manifest_of(&place), "models--gone/blobs/x\n").unwrap();
        (folder, shared_blob)
    }

    /// Between the look at the repository and its blobs a download may begin.
    #[test]
    fn a_blob_whose_lock_is_held_stays() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("models--n");
        fs::create_dir_all(repo.join("blobs")).unwrap();
        let (held, free) = ("a".repeat(40), "b".repeat(40));
        for commit in ["c1", "c2"] {
            fs::create_dir_all(repo.join("snapshots").join(commit)).unwrap();
        }
        for name in [&held, &free] {
            fs::write(repo.join("blobs").join(name), "1").unwrap();
            let link = repo.join("snapshots/c1").join(name);
            std::os::unix::fs::symlink(format!("../../blobs/{name}"), link).unwrap();
        }
        let report = scan::scan(folder.path(), scan::Detail::Files).unwrap();
        let name = crate::types::CachedName::parse("c1", &crate::types::Endpoint::default());
        let target = crate::cache::remove::targets::Target {
            commit: Some("c1".to_owned()),
            name: name.unwrap(),
        };
        let targets = [(String::new(), target)];
        let selection = crate::cache::remove::targets::select(&report, &targets).unwrap();
        let pins = crate::cache::pins::Pins::default();
        let plan = DeletePlan::build(&report, &selection, &pins).unwrap();
        let Extent::Revisions(revisions) = &plan.repos[0].extent else {
            panic!("one of two revisions");
        };
        let layout = RepoLayout::of_folder(&plan.root, b"models--n");
        delete_revisions(&layout, revisions).unwrap();
        let lock = layout.lock_named(held.as_bytes());
        let Attempt::Taken(_guard) = lockfile::attempt(&lock) else {
            panic!("no other process is here");
        };
        plan.delete_blobs(&plan.repos[0], &layout).unwrap();
        assert!(repo.join("blobs").join(&held).exists());
        assert!(!repo.join("blobs").join(&free).exists());
    }

    #[test]
    fn a_shared_blob_whose_lock_is_held_stays() {
        let (folder, shared_blob) = store();
        let place = folder.path().join(shared_blob.place());
        let Attempt::Taken(guard) = lockfile::attempt(&shared::lock_of(&place)) else {
            panic!("no other process is here");
        };
        let timeout = Duration::from_millis(50);
        assert_eq!(
            sweep_within(folder.path(), &shared_blob, timeout).unwrap(),
            0
        );
        assert!(place.exists() && shared::manifest_of(&place).exists());
        drop(guard);
        assert_eq!(
            sweep_within(folder.path(), &shared_blob, timeout).unwrap(),
            5
        );
        assert!(!place.exists() && !shared::manifest_of(&place).exists());
    }

    #[test]
    fn a_folder_without_the_mark_of_a_store_is_left_alone() {
        let (folder, shared_blob) = store();
        fs::remove_file(
            folder
                .path()
                .join("blobs")
                .join(crate::cache::layout::SHARED_MARKER),
        )
        .unwrap();
        let timeout = Duration::from_millis(50);
        assert_eq!(
            sweep_within(folder.path(), &shared_blob, timeout).unwrap(),
            0
        );
        assert!(folder.path().join(shared_blob.place()).exists());
    }

    #[test]
    fn a_shared_blob_whose_lock_cannot_be_taken_goes_when_it_is_old() {
        let (folder, shared_blob) = store();
        let place = folder.path().join(shared_blob.place());
        // A link in the place of the lock: no process can lock through it.
        std::os::unix::fs::symlink("elsewhere", shared::lock_of(&place)).unwrap();
        let old = SystemTime::now() - Duration::from_secs(2 * 86_400);
        let timeout = Duration::from_millis(50);
        let manifest = shared::manifest_of(&place);
        for (blob_is_old, manifest_is_old, freed) in [
            (false, false, 0),
            (true, false, 0),
            (false, true, 0),
            (true, true, 5),
        ] {
            for (path, is_old) in [(&place, blob_is_old), (&manifest, manifest_is_old)] {
                let time = if is_old { old } else { SystemTime::now() };
                fs::File::open(path).unwrap().set_modified(time).unwrap();
            }
            let done = sweep_within(folder.path(), &shared_blob, timeout).unwrap();
            assert_eq!(done, freed, "{blob_is_old} {manifest_is_old}");
        }
        assert!(!place.exists());
    }
}
