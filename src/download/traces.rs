//! What a download leaves that fails before anything of it is worth keeping: nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::layout::CACHEDIR_TAG;
use crate::sys::LockGuard;
use crate::sys::lockfile::{State, hold};

/// The folders that a download is about to make, as they were before.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The first folder of the path that was not there.
    made: Option<PathBuf>,
}

impl Traces {
    /// Looks which part of the path to this folder is not there yet.
    pub fn before(folder: &Path) -> Self {
        let missing = folder
            .ancestors()
            .take_while(|one| !one.as_os_str().is_empty() && fs::symlink_metadata(one).is_err());
        Traces {
            made: missing.last().map(Path::to_owned),
        }
    }

    /// Removes the folders again, if they hold nothing but locks that no process holds and the marks that
    /// say whose they are. Another process may have begun to use them: its lock, or any file of it, keeps
    /// everything.
    pub fn undo(&self) {
        let Some(made) = &self.made else { return };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        if !collect(made, &mut files, &mut folders) {
            return;
        }
        // Held until the folders are gone: who comes now finds its lock removed, and makes another.
        let mut held: Vec<LockGuard> = Vec::new();
        for file in files.iter().filter(|file| is_lock(file)) {
            match hold(file) {
                (State::Free, Some(guard)) => held.push(guard),
                _ => return,
            }
        }
        for file in &files {
            let _ = fs::remove_file(file);
        }
        // The deepest first. One that is not empty by now stays, and so do those above it.
        for folder in folders.iter().rev() {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

fn is_lock(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "lock")
}

/// All files and folders below a folder, parents first; `false` when one is worth keeping.
fn collect(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    folders.push(folder.to_owned());
    for entry in entries {
        let Ok((path, kind)) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))
        else {
            return false;
        };
        if kind.is_dir() {
            if !collect(&path, files, folders) {
                return false;
            }
        } else if kind.is_file() && is_trace(&path) {
            files.push(path);
        } else {
            return false;
        }
    }
    true
}

/// An empty lock, or a mark.
fn is_trace(path: &Path) -> bool {
    let length = fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len());
    let name = path.file_name().unwrap_or_default();
    match name.to_str() {
        Some(CACHEDIR_TAG) => true,
        Some(".gitignore") => length <= 1,
        _ => is_lock(path) && length == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_no_use_is_removed() {
        type Add = fn(&Path);
        let adds: [(&str, Add, bool); 5] = [
            ("nothing", |_| {}, true),
            (
                "a mark",
                |at| fs::write(at.join(CACHEDIR_TAG), "x").unwrap(),
                true,
            ),
            (
                "a free lock",
                |at| fs::write(at.join("a.lock"), "").unwrap(),
                true,
            ),
            (
                "bytes",
                |at| fs::write(at.join("a.hf-sparse"), "x").unwrap(),
                false,
            ),
            (
                "the user's lock",
                |at| fs::write(at.join("Cargo.lock"), "x").unwrap(),
                false,
            ),
        ];
        for (what, add, is_removed) in adds {
            let folder = tempfile::tempdir().unwrap();
            let deep = folder.path().join("a/b/c");
            let traces = Traces::before(&deep);
            fs::create_dir_all(&deep).unwrap();
            add(&deep);
            traces.undo();
            assert_eq!(!folder.path().join("a").exists(), is_removed, "{what}");
            assert!(folder.path().exists());
        }
    }

    #[test]
    fn what_was_there_stays_and_so_does_what_another_process_uses() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        Traces::before(&deep).undo();
        assert!(deep.exists());
        let below = deep.join("c");
        let traces = Traces::before(&below);
        fs::create_dir(&below).unwrap();
        let lock = below.join("x.lock");
        fs::write(&lock, "").unwrap();
        let guard = hold(&lock).1.unwrap();
        traces.undo();
        assert!(lock.exists());
        drop(guard);
        traces.undo();
        assert!(!below.exists() && deep.exists());
    }
}
