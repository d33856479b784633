//! The scan: what is in the cache. Reads only.
//!
//! It agrees with `scan_cache_dir` of huggingface_hub 2.4.0 on every size, count, age, ref and
//! problem (docs/reference.md#damaged-repositories), and it is fast: every folder is listed
//! once, the links of a snapshot are read but not followed, the size of each blob is read once per
//! repository, and two threads divide the repositories. Folders that cannot be
//! read are a problem here; the Python client fails on some of them and treats others as
//! empty.

mod blobs;
mod links;
mod refs;
mod repo;
pub mod report;
pub mod select;

use std::collections::HashSet;
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::shared::Store;
use super::{blob_names, layout};
use crate::cache::scan::report::{CacheReport, CachedRepo, Incomplete, Problem, ProblemKind};
use crate::sys::FsError;
use crate::sys::dir::{Buffers, Dir, EntryKind, path_of};

/// How much of the cache to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Sizes, counts and times.
    Totals,
    /// Every file of every snapshot too.
    Files,
}

/// The cache could not be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is nothing at this path.
    #[error("there is no cache at {}", .0.display())]
    NotFound(PathBuf),
    /// There is a file at this path.
    #[error("{} is a file and should be a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The root cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Threads: more gain little, since they wait on the same locks of the file system.
const THREADS: usize = 2;
/// Below this many repositories a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 24;

/// What all workers share.
struct Cache<'a> {
    path: &'a Path,
    dir: &'a Dir,
    store: Option<&'a Store>,
    detail: Detail,
}

/// What was found in one entry of the root.
struct Found {
    repo: Result<CachedRepo, Problem>,
    incomplete: Vec<Incomplete>,
}

/// Scans the cache below `root`.
///
/// # Errors
/// [`ScanError`] when the root is missing, no folder, or unreadable. Whatever is wrong further down
/// is listed in [`CacheReport::problems`].
pub fn scan(root: &Path, detail: Detail) -> Result<CacheReport, ScanError> {
    let path = crate::sys::canonicalize(root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ScanError::NotFound(root.to_path_buf()),
        io::ErrorKind::NotADirectory => ScanError::NotAFolder(root.to_path_buf()),
        _ => FsError::of("read", root)(error).into(),
    })?;
    let dir = Dir::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => ScanError::NotAFolder(path.clone()),
        _ => FsError::of("read", &path)(error).into(),
    })?;
    let mut buffers = Buffers::new();
    let store = Store::scan(&dir, &mut buffers);
    let names =
        root_entries(&dir, store.is_some(), &mut buffers).map_err(FsError::of("read", &path))?;
    let cache = Cache {
        path: &path,
        dir: &dir,
        store: store.as_ref(),
        detail,
    };
    let mut found = scan_all(&cache, &names);
    let unfinished = names.iter().filter_map(|name| root_partial(&dir, name));
    let mut report = CacheReport {
        root: PathBuf::new(),
        repos: Vec::new(),
        problems: Vec::new(),
        incomplete: unfinished.collect(),
        store: None,
        size: 0,
        size_with_damaged: 0,
    };
    for found in found.drain(..) {
        match found.repo {
            Ok(repo) => report.repos.push(repo),
            Err(problem) => report.problems.push(problem),
        }
        report.incomplete.extend(found.incomplete);
    }
    report.repos.sort_by(|a, b| a.folder.cmp(&b.folder));
    report.problems.sort_by(|a, b| a.folder.cmp(&b.folder));
    report
        .incomplete
        .sort_by(|a, b| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)));
    report.store = store;
    report.root = path;
    report.size = physical_size(&report, &report.repos.iter().collect::<Vec<_>>());
    report.size_with_damaged = physical_size(&report, &report.all_repos().collect::<Vec<_>>());
    Ok(report)
}

/// Scans one repository again. `root` is a report's.
///
/// # Errors
/// What is wrong with it.
pub fn scan_repo(root: &Path, folder: &[u8]) -> Result<CachedRepo, Problem> {
    let dir = Dir::open(root).map_err(|error| Problem {
        folder: folder.to_vec(),
        path: root.to_path_buf(),
        kind: ProblemKind::Unreadable(error),
        rest: None,
    })?;
    let cache = Cache {
        path: root,
        dir: &dir,
        store: None,
        detail: Detail::Totals,
    };
    repo::Scanner::new(&cache).scan(folder).repo
}

/// The entries of the root that claim to be repositories.
fn root_entries(dir: &Dir, has_store: bool, buffers: &mut Buffers) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    dir.for_each(buffers, |name, kind, _| -> io::Result<()> {
        let name = name.to_bytes();
        let is_ours = name == layout::LOCKS.as_bytes()
            || name == layout::CACHEDIR_TAG.as_bytes()
            || (has_store && name == layout::SHARED.as_bytes())
            // transformers 4 writes it there: the version of its own cache.
            || (name == b"version.txt" && kind != EntryKind::Folder);
        if !is_ours && !blob_names::is_stray(name) {
            names.push(name.to_vec());
        }
        Ok(())
    })?;
    Ok(names)
}

/// The unfinished download that an entry of the root is, if it is one.
fn root_partial(dir: &Dir, name: &[u8]) -> Option<Incomplete> {
    if !blob_names::is_root_partial(name) {
        return None;
    }
    let stat = dir.stat(name, false).ok()?;
    (stat.kind == crate::sys::dir::EntryKind::File).then(|| Incomplete {
        folder: Vec::new(),
        name: name.to_vec(),
        size: stat.allocated,
    })
}

fn scan_all(cache: &Cache<'_>, names: &[Vec<u8>]) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut scanner = repo::Scanner::new(cache);
        let mut found = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push(scanner.scan(name));
        }
        found
    };
    if names.len() < WORTH_A_THREAD {
        return work();
    }
    let all = Mutex::new(Vec::with_capacity(names.len()));
    std::thread::scope(|scope| {
        for _ in 1..THREADS {
            // Without this thread the others do all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || {
                let found = work();
                all.lock().unwrap().extend(found);
            });
        }
        let found = work();
        all.lock().unwrap().extend(found);
    });
    all.into_inner().unwrap()
}

/// Whether a name is a folder, links followed.
fn is_folder(dir: &Dir, name: &CStr) -> bool {
    dir.stat(name, true)
        .is_ok_and(|stat| stat.kind == EntryKind::Folder)
}

/// A path of the file system as bytes.
fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, b"/", name].concat()
    }
}

/// Bytes on disk: what lies inside the repositories, what they link to elsewhere (once, and not when
/// it was counted before), and the store.
fn physical_size(report: &CacheReport, repos: &[&CachedRepo]) -> u64 {
    let mut size: u64 = report
        .store
        .iter()
        .flat_map(|store| &store.shared_blobs)
        .map(|shared_blob| shared_blob.size)
        .sum();
    let mut outside = Vec::new();
    for blob in repos.iter().flat_map(|repo| &repo.blobs) {
        if blob.place.first() == Some(&b'/') {
            outside.push(blob);
        } else if blob.shared.is_none() {
            size += blob.size;
        }
    }
    if outside.is_empty() {
        return size;
    }
    let inside: HashSet<PathBuf> = repos
        .iter()
        .flat_map(|repo| {
            let blobs = repo.blobs.iter();
            blobs.map(|blob| repo.layout.inside(&blob.place))
        })
        .filter(|path| path.starts_with(&report.root))
        .collect();
    let mut counted = HashSet::new();
    for blob in outside {
        let path = path_of(&blob.place);
        let in_store = report
            .store
            .as_ref()
            .is_some_and(|store| store.shared_blob_at(&report.root, &path).is_some());
        if !in_store && blob.shared.is_none() && !inside.contains(&path) && counted.insert(path) {
            size += blob.size;
        }
    }
    size
}

#[cfg(test)]
mod tests;
