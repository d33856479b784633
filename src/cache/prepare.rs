//! The folders of a cache, made before anything is stored in them. What other programs would take for damage
//! is never seen half made.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::layout::{CACHEDIR_TAG_CONTENT, CacheLayout, RepoLayout, is_staging_name, staging_path};
use crate::sys::lockfile;
use crate::sys::{FsError, Mode, create_dir_all, refuse_foreign_link, write_atomic_staged};

/// Makes the cache root and its tag for backup tools. The tag is optional: failing to write it is no
/// error.
///
/// # Errors
/// [`FsError`] when the root cannot be made.
pub fn prepare_root(layout: &CacheLayout) -> Result<(), FsError> {
    refuse_foreign_link(layout.root())?;
    create_dir_all(layout.root())?;
    // The tag is staged there: in the root itself, a leftover of a killed process would count as
    // damage.
    create_dir_all(&layout.locks())?;
    write_tag(&layout.cachedir_tag(), &layout.locks());
    Ok(())
}

/// Makes the folder of a repository with its `snapshots`, below a root that [`prepare_root`] has made. Both appear
/// in one step, for a repository without that folder counts as damaged, and a process may be killed at any moment.
///
/// # Errors
/// [`FsError`] naming the folder that cannot be made.
pub fn prepare_repo(layout: &CacheLayout, repo: &RepoLayout) -> Result<(), FsError> {
    refuse_foreign_link(repo.folder())?;
    let snapshots = repo.snapshots();
    if fs::symlink_metadata(repo.folder()).is_err() {
        // Where that fails it is made as any folder.
        let _ = appear(repo.folder(), &snapshots, &layout.locks());
    }
    create_dir_all(&snapshots)
}

/// Makes a folder with one in it, by way of a folder in `staging`.
fn appear(folder: &Path, inner: &Path, staging: &Path) -> io::Result<()> {
    let name = inner.file_name().unwrap_or_default();
    let remove = |staged: &Path| {
        // Empty folders only: what holds anything stays.
        let _ = fs::remove_dir(staged.join(name));
        let _ = fs::remove_dir(staged);
    };
    // Those of processes that were killed, after a day. A folder of one that lives has to keep what is in it: without
    // that the next process would put its own one in the place of the first, while that is being used.
    let now = SystemTime::now();
    for entry in fs::read_dir(staging)?.flatten() {
        let is_old = |meta: fs::Metadata| meta.is_dir() && !lockfile::is_young(&meta, now);
        if is_staging_name(&entry.file_name()) && entry.metadata().is_ok_and(is_old) {
            remove(&entry.path());
        }
    }
    let staged = staging_path(staging);
    let made = fs::create_dir(&staged)
        .and_then(|()| fs::create_dir(staged.join(name)))
        .and_then(|()| fs::rename(&staged, folder));
    if made.is_err() {
        remove(&staged);
    }
    made
}

/// Writes a `CACHEDIR.TAG` if there is none, by way of a file in `staging`. See [`prepare_root`].
pub fn write_tag(path: &Path, staging: &Path) {
    if !path.exists() {
        let content = CACHEDIR_TAG_CONTENT.as_bytes();
        let _ = write_atomic_staged(path, content, Mode::Umask, staging);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sys::symlink;
    use crate::types::{Repo, RepoType};

    #[test]
    fn a_repository_appears_with_its_snapshots() {
        let folder = tempfile::tempdir().unwrap();
        let layout = CacheLayout::new(folder.path().join("hub"));
        prepare_root(&layout).unwrap();
        // What a killed process left goes after a day, and nothing else does.
        let killed = layout.locks().join(".hf-0123456789abcdef.tmp");
        fs::create_dir_all(killed.join("snapshots")).unwrap();
        let old = fs::FileTimes::new().set_modified(SystemTime::now() - 2 * lockfile::YOUNG);
        File::open(&killed).unwrap().set_times(old).unwrap();
        for name in [
            ".hf-aaaaaaaaaaaaaaaa.tmp/snapshots",
            ".hf-other.tmp",
            "models--a--b",
        ] {
            fs::create_dir_all(layout.locks().join(name)).unwrap();
        }
        let repo = layout.repo(&Repo {
            repo_type: RepoType::Model,
            id: "o/n".parse().unwrap(),
        });
        prepare_repo(&layout, &repo).unwrap();
        assert!(repo.snapshots().is_dir());
        let left = fs::read_dir(layout.locks()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let kept = [".hf-aaaaaaaaaaaaaaaa.tmp", ".hf-other.tmp", "models--a--b"];
        assert_eq!(left, kept);
        assert!(layout.locks().join(kept[0]).join("snapshots").is_dir());
        // One that is there stays as it is; one without the folder gets it.
        let blob = repo.blobs().join("x");
        create_dir_all(&repo.blobs()).unwrap();
        symlink(Path::new("elsewhere"), &blob).unwrap();
        for _ in 0..2 {
            prepare_repo(&layout, &repo).unwrap();
            assert!(repo.snapshots().is_dir() && fs::symlink_metadata(&blob).is_ok());
            let _ = fs::remove_dir(repo.snapshots());
        }
    }

    /// The one that all of them use is the one that the first of them made.
    #[test]
    fn processes_that_begin_together_get_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let layout = CacheLayout::new(folder.path().join("hub"));
        prepare_root(&layout).unwrap();
        for round in 0..200 {
            let repo = layout.repo(&Repo {
                repo_type: RepoType::Model,
                id: format!("o/n{round}").parse().unwrap(),
            });
            let mark = |number: usize| {
                prepare_repo(&layout, &repo).unwrap();
                fs::write(repo.snapshots().join(number.to_string()), "").unwrap();
            };
            std::thread::scope(|scope| {
                for number in 0..4 {
                    scope.spawn(move || mark(number));
                }
            });
            assert_eq!(fs::read_dir(repo.snapshots()).unwrap().count(), 4);
            assert_eq!(fs::read_dir(layout.locks()).unwrap().count(), 0);
        }
    }

    /// A folder that is made and filled is seen empty for a moment; one that is moved there is not.
    #[test]
    #[cfg(target_os = "linux")]
    fn no_moment_shows_a_repository_without_snapshots() {
        use rustix::fs::inotify;
        let folder = tempfile::tempdir().unwrap();
        let layout = CacheLayout::new(folder.path().join("hub"));
        prepare_root(&layout).unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, layout.root(), flags).unwrap();
        let repo = layout.repo(&Repo {
            repo_type: RepoType::Model,
            id: "o/n".parse().unwrap(),
        });
        prepare_repo(&layout, &repo).unwrap();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut seen = inotify::Reader::new(&watch, &mut buffer);
        let event = seen.next().unwrap();
        assert_eq!(event.file_name().unwrap().to_bytes(), b"models--o--n");
        assert!(event.events().contains(inotify::ReadFlags::MOVED_TO));
        assert!(seen.next().is_err(), "nothing else happens there");
    }
}
