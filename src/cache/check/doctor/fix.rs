//! Carries out the fixes. Each checks its finding again first: the cache may have changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::facts::{Facts, has_snapshot, holds_no_content, ref_text};
use super::place::{Placed, Waiting, relink};
use super::restore::restore;
use super::walk::{is_there, names, walk};
use super::{Finding, Fix, ModeChange};
use crate::cache::commit::LONGEST_REF;
use crate::cache::expected::Expected;
use crate::cache::layout::RepoLayout;
use crate::cache::remove::{self, Spared};
use crate::sys::dir::text_of;
use crate::sys::{
    FileFacts, FsError, Mode, create_dir_all, set_group, set_mode, try_lock, write_atomic_staged,
};

/// The result of fixing.
#[derive(Debug, Default)]
pub struct Fixed {
    /// How many findings were fixed.
    pub fixed: usize,
    /// Files that were put in place of links, on a disk without symbolic links.
    pub files: usize,
    /// Bytes of the removed files.
    pub freed: u64,
    /// What could not be done.
    pub failures: Vec<FsError>,
    /// Repositories that a process downloads into, or may: left alone.
    pub busy: Vec<Spared>,
}

/// Carries out the fixes. Lost content is restored and linked before anything is removed, then refs
/// before links before blobs, so that a crash makes nothing worse. Nothing is removed from a repository
/// that a process downloads into: its blobs may be about to be linked.
pub fn fix(root: &Path, findings: &[Finding]) -> Fixed {
    let mut fixed = Fixed::default();
    let mut seen = Seen {
        waiting: Waiting::of(root, findings),
        ..Seen::default()
    };
    let mut fixes: Vec<&Finding> = findings.iter().filter(|f| f.fix.is_automatic()).collect();
    fixes.sort_by_key(|finding| finding.fix.rank());
    for finding in fixes {
        let reason = match finding.fix.only_adds() {
            true => None,
            false => remove::blocks(root, &finding.folder, false),
        };
        if let Some(reason) = reason {
            let id = text_of(&finding.folder);
            if fixed.busy.iter().all(|spared| spared.id != id) {
                fixed.busy.push(Spared { id, reason });
            }
            continue;
        }
        match carry_out(root, finding, &mut seen) {
            Ok(freed) => {
                fixed.fixed += 1;
                fixed.freed += freed;
            }
            Err(error) => fixed.failures.push(error),
        }
    }
    fixed.files = seen.files;
    fixed
}

/// What was read again.
#[derive(Default)]
struct Seen {
    /// Repositories, each read before the first of its blobs is removed.
    repos: BTreeMap<PathBuf, Facts>,
    /// Their listings: those of a commit never change.
    expected: BTreeMap<PathBuf, Expected>,
    /// Links that are still to be made.
    waiting: Waiting,
    /// See [`Fixed::files`].
    files: usize,
}

impl Seen {
    fn is_orphan(&mut self, root: &Path, repo: &RepoLayout, blob: &Path) -> bool {
        let facts = self.repos.entry(repo.folder().to_path_buf());
        let facts = facts.or_insert_with(|| Facts::read(root, repo));
        facts.is_orphan(&name_of(blob))
    }

    /// Whether a blob is there and has the size it should have; a link is followed.
    fn is_whole(&mut self, repo: &RepoLayout, blob: &Path) -> bool {
        let expected = self.expected.entry(repo.folder().to_path_buf());
        let expected = expected.or_insert_with(|| Expected::read(repo));
        let size = fs::metadata(blob).map(|meta| meta.len());
        size.is_ok_and(|size| !expected.is_wrong(&name_of(blob), size))
    }
}

/// Returns the bytes that became free.
fn carry_out(root: &Path, finding: &Finding, seen: &mut Seen) -> Result<u64, FsError> {
    let path = &finding.path;
    let repo = RepoLayout::of_folder(root, &finding.folder);
    match &finding.fix {
        Fix::Advice(_) => Ok(0),
        Fix::RemoveRef | Fix::MoveRefAway => {
            // A ref that cannot be read any more may name an existing snapshot.
            let content = ref_text(path).map_err(FsError::of("read", path))?;
            if has_snapshot(&repo, content.trim()) {
                return Ok(0);
            }
            if finding.fix == Fix::MoveRefAway {
                return move_away(&repo, path).map(|()| 0);
            }
            remove::remove(path).map(|()| finding.size)
        }
        Fix::RewriteRef(commit) => {
            let content = crate::sys::read_text(path, LONGEST_REF.into()).unwrap_or_default();
            if content.trim() != commit {
                return Ok(0);
            }
            let blobs = repo.blobs();
            create_dir_all(&blobs)?;
            write_atomic_staged(path, commit.as_bytes(), Mode::Umask, &blobs).map(|()| 0)
        }
        Fix::Restore(sources) => {
            restore(root, path, sources, || !seen.is_whole(&repo, path)).map(|_| 0)
        }
        Fix::Relink(etag) => {
            let blob = repo.blob_named(etag.as_bytes());
            if !seen.is_whole(&repo, &blob) {
                let reason = io::Error::other("its blob is missing");
                return Err(FsError::of("create the link", path)(reason));
            }
            let waiting = &mut seen.waiting;
            let placed = relink(root, &repo, &finding.folder, path, etag, waiting)?;
            seen.files += usize::from(placed == Placed::File);
            Ok(0)
        }
        Fix::RemoveWrong => {
            if !is_there(path) || seen.is_whole(&repo, path) {
                return Ok(0);
            }
            unlink(&repo, path)?;
            remove_content(path, finding.size)
        }
        Fix::RemoveLink => {
            if path.is_symlink() && !path.exists() {
                remove::remove(path)?;
            }
            Ok(0)
        }
        Fix::MoveAway => {
            if path.is_file() {
                move_away(&repo, path)?;
            }
            Ok(0)
        }
        Fix::MakeFolder => {
            // Without this folder the repository looks like one whose deletion was killed: see
            // `Facts::may_have_lost_links`.
            create_dir_all(&repo.refs())?;
            create_dir_all(path).map(|()| 0)
        }
        Fix::RemoveEmptyRepo => remove_empty_repo(&repo).map(|()| 0),
        Fix::RemoveBlob => {
            if !seen.is_orphan(root, &repo, path) {
                return Ok(0);
            }
            remove_content(path, finding.size)
        }
        Fix::Remove => remove::remove(path).map(|()| finding.size),
        Fix::RemoveLocks => remove_locks(path).map(|()| 0),
        Fix::Sweep(shared_blob) => remove::sweep(root, shared_blob),
        Fix::SetModes(changes) => changes.iter().try_for_each(change_mode).map(|()| 0),
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Removes the links of all snapshots that lead to a blob.
fn unlink(repo: &RepoLayout, blob: &Path) -> Result<(), FsError> {
    for link in walk(&repo.snapshots()).files {
        let folder = link.parent().unwrap_or(repo.folder());
        let Ok(target) = fs::read_link(&link) else {
            continue;
        };
        let spellings = remove::spellings(&folder.join(target));
        if spellings.iter().any(|path| path == blob) {
            remove::remove(&link)?;
        }
    }
    Ok(())
}

/// Removes a blob of `size` bytes; returns how many became free.
fn remove_content(path: &Path, size: u64) -> Result<u64, FsError> {
    let is_last_name = is_last_name(path);
    remove::remove(path)?;
    Ok(if is_last_name { size } else { 0 })
}

fn is_last_name(path: &Path) -> bool {
    FileFacts::at(path).is_ok_and(|facts| facts.names == 1)
}

/// Moves a file to `<repo>/set-aside/`, under a name that is free there.
fn move_away(repo: &RepoLayout, path: &Path) -> Result<(), FsError> {
    let folder = repo.moved();
    create_dir_all(&folder)?;
    let name = path.file_name().unwrap_or_default();
    let free = (0_u32..).map(|number| {
        let mut name = OsString::from(name);
        if number > 0 {
            name.push(format!(".{number}"));
        }
        folder.join(name)
    });
    let target = free.into_iter().find(|target| !is_there(target));
    let target = target.expect("some name is free");
    fs::rename(path, target).map_err(FsError::of("move away", path))
}

/// Removes the folder of a repository without content. New files in it stay.
fn remove_empty_repo(repo: &RepoLayout) -> Result<(), FsError> {
    if !holds_no_content(repo) || is_there(&repo.snapshots()) {
        return Ok(());
    }
    for notes in [repo.refs(), repo.trees(), repo.no_exists()] {
        remove::remove(&notes)?;
    }
    for folder in [&repo.blobs(), repo.folder()] {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(FsError::of("remove", folder))?,
        }
    }
    Ok(())
}

/// Removes lock files, each while this process holds it, and then their folder.
fn remove_locks(folder: &Path) -> Result<(), FsError> {
    for name in names(folder).unwrap_or_default() {
        let path = folder.join(name);
        let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
        if is_file && let Some(_guard) = try_lock(&path)? {
            remove::remove(&path)?;
        }
    }
    // Fails when a process has made a lock in the meantime.
    let _ = fs::remove_dir(folder);
    Ok(())
}

fn change_mode(change: &ModeChange) -> Result<(), FsError> {
    let path = &change.path;
    let meta = path.symlink_metadata().map_err(FsError::of("read", path))?;
    if meta.is_symlink() {
        return Ok(());
    }
    if change.group.is_some() {
        // Before the mode: a change of the group clears the setgid bit.
        set_group(path, change.group).map_err(FsError::of("change the group of", path))?;
    }
    set_mode(path, change.mode).map_err(FsError::of("change the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::super::FindingKind;
    use super::*;

    /// A ref may have changed since it was examined.
    #[test]
    fn a_ref_that_cannot_be_read_stays() {
        type Make = fn(&Path);
        let cases: [(&str, Make, bool); 7] = [
            (
                "names nothing",
                |path| fs::write(path, "c1").unwrap(),
                false,
            ),
            ("is empty", |path| fs::write(path, "").unwrap(), false),
            (
                "is no text",
                |path| fs::write(path, b"\xff\n").unwrap(),
                false,
            ),
            (
                "leads nowhere",
                |path| std::os::unix::fs::symlink("gone", path).unwrap(),
                false,
            ),
            (
                "is a folder",
                |path| {
                    fs::create_dir(path).unwrap();
                    fs::write(path.join("1"), "c1").unwrap();
                },
                true,
            ),
            (
                "is a pipe",
                |path| {
                    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                    let kind = rustix::fs::FileType::Fifo;
                    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
                },
                true,
            ),
            (
                "is too long",
                |path| {
                    let length = usize::from(LONGEST_REF) + 1;
                    fs::write(path, vec![b' '; length]).unwrap();
                },
                true,
            ),
        ];
        for (what, make, stays) in cases {
            for fix in [Fix::RemoveRef, Fix::MoveRefAway] {
                let root = tempfile::tempdir().unwrap();
                let refs = root.path().join("models--n/refs");
                fs::create_dir_all(&refs).unwrap();
                let path = refs.join("main");
                make(&path);
                let finding = Finding::new(
                    FindingKind::DanglingRef,
                    b"models--n",
                    path.clone(),
                    fix.clone(),
                );
                let done = carry_out(root.path(), &finding, &mut Seen::default());
                assert_eq!(done.is_err(), stays, "{what} {fix:?} {done:?}");
                assert_eq!(is_there(&path), stays, "{what} {fix:?}");
            }
        }
    }
}
