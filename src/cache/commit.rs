//! From a complete partial to a snapshot others can use: partial → blob → pointer → ref. Each step
//! is one rename, so a crash between any two leaves a cache that is valid.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{RepoLayout, pointer_target, staging_path};
use crate::sys::{
    FsError, Mode, Opening, copy_file, create_dir_all, read_text, replace, symlink,
    symlink_in_folder, sync_file, write_atomic_staged,
};
use crate::types::listing::Checksum;
use crate::types::{CommitHash, RepoPath, Revision};

/// Longest ref that is read, in bytes: a commit is 40.
pub const LONGEST_REF: u16 = 4096;

/// How pointers are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    /// Relative symlinks; a file system that has none gets files.
    Symlinks,
    /// Files, because `HF_HUB_DISABLE_SYMLINKS` says so.
    Files,
}

/// Moves a verified partial to its final name: it becomes a blob, or the user's own file.
/// `content` is the partial, open.
///
/// Its bytes are flushed to the disk first. Otherwise a power cut may keep the new name and lose the
/// bytes, and a file that is empty or full of zeros would count as complete. The folder is not
/// flushed: when the name is lost, the file is fetched again.
///
/// # Errors
/// [`FsError`]; the partial is then still there.
pub fn publish(content: &File, partial: &Path, target: &Path) -> Result<(), FsError> {
    sync_file(content).map_err(FsError::of("write", partial))?;
    replace(partial, target)
}

/// Makes the pointer of a file, with its folders. `fresh` says that the blob was fetched just now,
/// for this pointer: without links it is then moved instead of copied
/// (docs/reference.md#folders-and-files).
///
/// # Errors
/// [`FsError`] naming the pointer.
pub fn link(
    repo: &RepoLayout,
    commit: &CommitHash,
    path: &RepoPath,
    checksum: &Checksum,
    linking: Linking,
    fresh: bool,
) -> Result<(), FsError> {
    let pointer = repo.pointer(commit, path);
    let target = pointer_target(path, checksum);
    if linking == Linking::Symlinks && make_symlink(repo, &pointer, &target)? {
        return Ok(());
    }
    if let Some(folder) = pointer.parent() {
        create_dir_all(folder)?;
    }
    let blob = repo.blob(checksum);
    if fresh {
        return replace(&blob, &pointer);
    }
    // Content only: the shared store's read-only mode is not for a file of its own.
    copy_file(&blob, &pointer, &repo.blobs())
}

/// Makes a pointer, a link with the text `target`; a rename replaces what has its name. `Ok(false)`: this
/// file system has no links.
///
/// # Errors
/// [`FsError`] naming the pointer.
pub fn make_symlink(repo: &RepoLayout, pointer: &Path, target: &Path) -> Result<bool, FsError> {
    let mut result = symlink_in_folder(target, pointer)?;
    if matches!(&result, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
        if fs::read_link(pointer).is_ok_and(|found| found == target) {
            return Ok(true);
        }
        // Another process made it, or an old pointer has to be replaced.
        result = replace_link(target, pointer, &repo.blobs());
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::CrossesDevices) {
            // `blobs/` lies on another disk.
            result = replace_link(target, pointer, folder_of(pointer));
        }
    }
    match result {
        Ok(()) => Ok(true),
        Err(_) if has_no_links(&repo.blobs()) || has_no_links(folder_of(pointer)) => Ok(false),
        Err(error) => Err(FsError::of("create the link", pointer)(error)),
    }
}

/// Replaces a pointer by a link that is made in `staging`. That is `blobs/`, where scanners do not
/// look: in `snapshots/` the unfinished link would count as a file.
fn replace_link(target: &Path, pointer: &Path, staging: &Path) -> io::Result<()> {
    let staged = staging_path(staging);
    symlink(target, &staged)
        .and_then(|()| fs::rename(&staged, pointer))
        .inspect_err(|_| drop(fs::remove_file(&staged)))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Whether files can be made in a folder and links cannot: FAT, some network mounts and overlays.
/// It is tried, since each of them has another error for it (EPERM, ENOTSUP, EINVAL, EIO, 524).
fn has_no_links(folder: &Path) -> bool {
    let probe = staging_path(folder);
    match symlink(Path::new("probe"), &probe) {
        Ok(()) => {
            let _ = fs::remove_file(&probe);
            false
        }
        // A full disk says nothing about links.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => false,
        Err(_) => tempfile::tempfile_in(folder).is_ok(),
    }
}

/// Records the commit of a revision. Nothing is written when the ref says so already, so that a
/// read-only cache can be used, or when the revision is the commit itself.
///
/// Where `refs/` has a file in the place of a folder, or the other way around (`feature` beside
/// `feature/x`, which Git allows one after the other), the ref is written to `layout::ODD_REFS`
/// instead. This program finds it there. Other clients do not, so it is still an error.
///
/// # Errors
/// [`FsError`] naming the ref; see [`is_clash`].
pub fn write_ref(
    repo: &RepoLayout,
    revision: &Revision,
    commit: &CommitHash,
) -> Result<(), FsError> {
    if revision.as_str() == commit.as_str() || read_ref(repo, revision).as_ref() == Some(commit) {
        return Ok(());
    }
    create_dir_all(&repo.blobs())?;
    let write = |path: &Path| {
        if let Some(folder) = path.parent() {
            create_dir_all(folder)?;
        }
        let content = commit.as_str().as_bytes();
        write_atomic_staged(path, content, Mode::Umask, &repo.blobs())
    };
    let odd = repo.odd_reference(revision);
    match write(&repo.reference(revision)) {
        Ok(()) => {
            // The clash is over.
            let _ = fs::remove_file(odd);
            Ok(())
        }
        Err(error) => {
            if is_clash(&error) {
                write(&odd)?;
            }
            Err(error)
        }
    }
}

/// Whether a ref could not be written because it clashes with another ref: see [`write_ref`].
pub fn is_clash(error: &FsError) -> bool {
    matches!(
        error.source.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::DirectoryNotEmpty
    )
}

/// The commit that a revision stood for when it was last fetched.
pub fn read_ref(repo: &RepoLayout, revision: &Revision) -> Option<CommitHash> {
    let read = |path: PathBuf| {
        let text = read_text(&path, LONGEST_REF.into()).ok()?;
        text.trim_end().parse().ok()
    };
    read(repo.reference(revision)).or_else(|| read(repo.odd_reference(revision)))
}

/// Stores that a commit has no such file (`.no_exist`), as the Python client does, so that libraries do
/// not ask again. Optional: failing is no error.
pub fn remember_absence(repo: &RepoLayout, commit: &CommitHash, path: &RepoPath) {
    let marker = repo.no_exist(commit, path);
    let _ = Opening::update().open_in_folder(&marker, "write");
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::cache::layout::CacheLayout;
    use crate::types::{Repo, RepoType};

    struct Fixture {
        _folder: tempfile::TempDir,
        repo: RepoLayout,
        commit: CommitHash,
        checksum: Checksum,
        path: RepoPath,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let repo = CacheLayout::new(folder.path()).repo(&Repo {
            repo_type: RepoType::Model,
            id: "o/n".parse().unwrap(),
        });
        fs::create_dir_all(repo.blobs()).unwrap();
        let checksum = Checksum::from_etag(&"a".repeat(40)).unwrap();
        fs::write(repo.blob(&checksum), "content").unwrap();
        Fixture {
            _folder: folder,
            repo,
            commit: "c".repeat(40).parse().unwrap(),
            checksum,
            path: "d/f.txt".parse().unwrap(),
        }
    }

    fn linked(fixture: &Fixture, linking: Linking, fresh: bool) -> PathBuf {
        link(
            &fixture.repo,
            &fixture.commit,
            &fixture.path,
            &fixture.checksum,
            linking,
            fresh,
        )
        .unwrap();
        fixture.repo.pointer(&fixture.commit, &fixture.path)
    }

    #[test]
    fn links_are_relative_and_replace_what_stands_there() {
        let fixture = fixture();
        let pointer = linked(&fixture, Linking::Symlinks, true);
        assert_eq!(
            fs::read_link(&pointer).unwrap(),
            pointer_target(&fixture.path, &fixture.checksum)
        );
        fs::remove_file(&pointer).unwrap();
        fs::write(&pointer, "stale").unwrap();
        let pointer = linked(&fixture, Linking::Symlinks, false);
        assert_eq!(fs::read_to_string(pointer).unwrap(), "content");
        assert_eq!(
            fs::read_dir(fixture.repo.blobs()).unwrap().count(),
            1,
            "no staging file stays"
        );
    }

    #[test]
    fn without_links_a_fresh_blob_moves_and_an_old_one_is_copied() {
        let fixture = fixture();
        let pointer = linked(&fixture, Linking::Files, false);
        assert!(fs::symlink_metadata(&pointer).unwrap().is_file());
        assert!(fixture.repo.blob(&fixture.checksum).exists());
        linked(&fixture, Linking::Files, true);
        assert!(!fixture.repo.blob(&fixture.checksum).exists());
        assert_eq!(fs::read_to_string(pointer).unwrap(), "content");
    }

    #[test]
    fn refs_that_are_in_each_others_way_are_noted_beside() {
        let fixture = fixture();
        let other: CommitHash = "d".repeat(40).parse().unwrap();
        let note = |name: &str| fixture.repo.folder().join(".hf-refs").join(name);
        let [plain, below] = ["feature", "feature/x"].map(|name| name.parse().unwrap());
        for (first, second, name) in [(&plain, &below, "feature%2Fx"), (&below, &plain, "feature")]
        {
            write_ref(&fixture.repo, first, &fixture.commit).unwrap();
            let error = write_ref(&fixture.repo, second, &other).unwrap_err();
            assert!(is_clash(&error), "{error:?}");
            assert_eq!(
                read_ref(&fixture.repo, first).as_ref(),
                Some(&fixture.commit)
            );
            assert_eq!(read_ref(&fixture.repo, second).as_ref(), Some(&other));
            assert_eq!(fs::read_to_string(note(name)).unwrap(), other.as_str());
            // Known by now: no error again.
            write_ref(&fixture.repo, second, &other).unwrap();
            // And without the clash it is a ref like others.
            fs::remove_dir_all(fixture.repo.folder().join("refs")).unwrap();
            write_ref(&fixture.repo, second, &fixture.commit).unwrap();
            assert!(!note(name).exists());
            fs::remove_dir_all(fixture.repo.folder().join("refs")).unwrap();
        }
    }

    #[test]
    fn refs_have_no_newline_and_survive_a_second_write() {
        let fixture = fixture();
        let revision: Revision = "refs/pr/1".parse().unwrap();
        assert_eq!(read_ref(&fixture.repo, &revision), None);
        for _ in 0..2 {
            write_ref(&fixture.repo, &revision, &fixture.commit).unwrap();
        }
        assert_eq!(
            fs::read_to_string(fixture.repo.reference(&revision)).unwrap(),
            fixture.commit.as_str()
        );
        let itself: Revision = fixture.commit.as_str().parse().unwrap();
        write_ref(&fixture.repo, &itself, &fixture.commit).unwrap();
        assert!(!fixture.repo.reference(&itself).exists());
    }
}
