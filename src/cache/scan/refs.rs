//! The refs of one repository.

use std::collections::HashMap;
use std::io;

use super::blobs::Corrupted;
use super::{is_folder, join};
use crate::cache::blob_names::is_stray;
use crate::cache::commit::LONGEST_REF;
use crate::cache::layout::{ODD_REFS, REFS};
use crate::cache::scan::report::{CachedRevision, ProblemKind};
use crate::sys::dir::{Buffers, Dir, EntryKind, is_absent, path_of, text_of};

/// Refs of a repository: content → names.
pub type Refs = HashMap<String, Vec<String>>;

/// Adds the refs that `refs/` cannot hold. One to a missing snapshot is no problem: other clients
/// do not read it.
pub fn add_odd(repo: &Dir, revisions: &mut [CachedRevision], buffers: &mut Buffers) {
    let Ok(folder) = repo.open_below(ODD_REFS) else {
        return;
    };
    let listed: io::Result<()> = folder.for_each(buffers, |name, _, _| {
        let commit = folder.read(name, LONGEST_REF.into())?;
        let named = revisions
            .iter_mut()
            .find(|revision| revision.name == commit);
        if let Some(revision) = named {
            let name = text_of(name.to_bytes());
            let name = name.replace("%2F", "/").replace("%25", "%");
            if !revision.refs.contains(&name) {
                revision.refs.push(name);
                revision.refs.sort();
            }
        }
        Ok(())
    });
    // A ref that cannot be read is ignored.
    listed.ok();
}

/// Reads `refs/`, which may be absent.
pub fn read(repo: &Dir, buffers: &mut Buffers) -> Result<Refs, Corrupted> {
    let blame = |path: &[u8], kind| Corrupted(path_of(path), kind);
    let mut refs = Refs::new();
    let root = match repo.open_below(REFS) {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(blame(REFS.as_bytes(), ProblemKind::RefsIsAFile));
        }
        Err(error) if is_absent(&error) => return Ok(refs),
        Err(error) => return Err(blame(REFS.as_bytes(), ProblemKind::Unreadable(error))),
    };
    let mut folders = vec![Vec::new()];
    while let Some(folder) = folders.pop() {
        let opened;
        let dir = if folder.is_empty() {
            &root
        } else {
            opened = root
                .open_below(folder.as_slice())
                .map_err(|e| blame(REFS.as_bytes(), ProblemKind::Unreadable(e)))?;
            &opened
        };
        dir.for_each(buffers, |name, kind, _| {
            let path = join(&folder, name.to_bytes());
            match kind {
                EntryKind::Folder => folders.push(path),
                _ if is_stray(name.to_bytes()) => {}
                EntryKind::Link if is_folder(dir, name) => {}
                _ => {
                    let content = dir.read(name, LONGEST_REF.into()).map_err(|error| {
                        blame(
                            &join(REFS.as_bytes(), &path),
                            ProblemKind::Unreadable(error),
                        )
                    })?;
                    refs.entry(text_of(&content))
                        .or_default()
                        .push(text_of(&path));
                }
            }
            Ok::<(), Corrupted>(())
        })?;
    }
    refs.values_mut().for_each(|names| names.sort());
    Ok(refs)
}

/// Pairs of name and content, sorted.
pub fn sorted(refs: Refs) -> Vec<(String, String)> {
    let mut missing: Vec<(String, String)> = refs
        .into_iter()
        .flat_map(|(commit, names)| names.into_iter().map(move |name| (name, commit.clone())))
        .collect();
    missing.sort();
    missing
}
