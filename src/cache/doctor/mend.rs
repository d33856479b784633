//! Doing what the findings say, each after another look: time has passed since.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::repo::{has_snapshot, holds_no_content, links};
use super::walk::{is_there, names};
use super::{Finding, ModeChange, Remedy};
use crate::cache::commit::LONGEST_REF;
use crate::cache::delete::{self, Spared};
use crate::cache::dir::{path_of, text_of};
use crate::fs::{FsError, Mode, create_dir_all, set_mode, try_lock, write_atomic_staged};

/// What mending came to.
#[derive(Debug, Default)]
pub struct Mended {
    /// Findings that are dealt with.
    pub mended: usize,
    /// Bytes of the files that are gone.
    pub freed: u64,
    /// What could not be done.
    pub failures: Vec<FsError>,
    /// Repositories that somebody downloads into, or may: left alone.
    pub busy: Vec<Spared>,
}

/// Carries out the remedies: refs before links before blobs, so that dying half-way makes nothing
/// worse. A repository that somebody downloads into is left alone: its blobs may be about to be
/// linked.
pub fn mend(root: &Path, findings: &[Finding]) -> Mended {
    let mut mended = Mended::default();
    let mut used = Used::default();
    for finding in findings.iter().filter(|finding| finding.remedy.is_cure()) {
        if let Some(reason) = delete::blocks(root, &finding.folder, false) {
            let id = text_of(&finding.folder);
            if mended.busy.iter().all(|spared| spared.id != id) {
                mended.busy.push(Spared { id, reason });
            }
            continue;
        }
        match carry_out(root, finding, &mut used) {
            Ok(freed) => {
                mended.mended += 1;
                mended.freed += freed;
            }
            Err(error) => mended.failures.push(error),
        }
    }
    mended
}

/// Blobs in use, by repository, looked up once more before the first of a repository is removed.
#[derive(Default)]
struct Used(BTreeMap<PathBuf, Option<HashSet<PathBuf>>>);

impl Used {
    fn is_orphan(&mut self, repo: &Path, blob: &Path) -> bool {
        let used = self.0.entry(repo.to_path_buf());
        let used = used.or_insert_with(|| links(&repo.join("snapshots")).used);
        used.as_ref().is_some_and(|used| !used.contains(blob))
    }
}

/// Answers the bytes that became free.
fn carry_out(root: &Path, finding: &Finding, used: &mut Used) -> Result<u64, FsError> {
    let path = &finding.path;
    let repo = root.join(path_of(&finding.folder));
    match &finding.remedy {
        Remedy::Advice(_) => Ok(0),
        Remedy::RemoveRef => {
            let content = crate::fs::read_text(path, LONGEST_REF).unwrap_or_default();
            if has_snapshot(&repo, content.trim()) {
                return Ok(0);
            }
            delete::remove(path).map(|()| finding.size)
        }
        Remedy::RewriteRef(commit) => {
            let content = crate::fs::read_text(path, LONGEST_REF).unwrap_or_default();
            if content.trim() != commit {
                return Ok(0);
            }
            create_dir_all(&repo.join("blobs"))?;
            let blobs = repo.join("blobs");
            write_atomic_staged(path, commit.as_bytes(), Mode::Umask, &blobs).map(|()| 0)
        }
        Remedy::RemoveLink => {
            if path.is_symlink() && !path.exists() {
                delete::remove(path)?;
            }
            Ok(0)
        }
        Remedy::SetAside => {
            if path.is_file() {
                set_aside(&repo, path)?;
            }
            Ok(0)
        }
        Remedy::MakeFolder => {
            // Tells this repository from one whose deletion was killed: see `Patient::blobs`.
            create_dir_all(&repo.join("refs"))?;
            create_dir_all(path).map(|()| 0)
        }
        Remedy::RemoveShell => remove_shell(&repo).map(|()| 0),
        Remedy::RemoveBlob => {
            if !used.is_orphan(&repo, path) {
                return Ok(0);
            }
            let is_last_name = is_last_name(path);
            delete::remove(path)?;
            Ok(if is_last_name { finding.size } else { 0 })
        }
        Remedy::Remove => delete::remove(path).map(|()| finding.size),
        Remedy::RemoveLocks => remove_locks(path).map(|()| 0),
        Remedy::Sweep(payload) => delete::sweep(root, payload),
        Remedy::SetModes(changes) => changes.iter().try_for_each(change_mode).map(|()| 0),
    }
}

fn is_last_name(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().is_ok_and(|meta| meta.nlink() == 1)
}

/// Moves a file to `<repo>/set-aside/`, under a name that is free there.
fn set_aside(repo: &Path, path: &Path) -> Result<(), FsError> {
    let folder = repo.join("set-aside");
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

/// Removes a repository's folder that has notes and no content. What came to be in it meanwhile
/// stays.
fn remove_shell(repo: &Path) -> Result<(), FsError> {
    if !holds_no_content(repo) || is_there(&repo.join("snapshots")) {
        return Ok(());
    }
    for notes in ["refs", "trees", ".no_exist"] {
        delete::remove(&repo.join(notes))?;
    }
    for folder in [&repo.join("blobs"), repo] {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(FsError::of("remove", folder))?,
        }
    }
    Ok(())
}

/// Removes lock files, each while it is held by us, and then their folder.
fn remove_locks(folder: &Path) -> Result<(), FsError> {
    for name in names(folder).unwrap_or_default() {
        let path = folder.join(name);
        let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
        if is_file && let Some(_guard) = try_lock(&path)? {
            delete::remove(&path)?;
        }
    }
    // Stays when somebody has made a lock meanwhile.
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
        // Before the mode: a change of group takes the setgid bit away.
        std::os::unix::fs::lchown(path, None, change.group)
            .map_err(FsError::of("change the group of", path))?;
    }
    set_mode(path, change.mode).map_err(FsError::of("change the mode of", path))
}
