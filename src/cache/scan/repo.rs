//! One repository's folder.

use std::ffi::CStr;
use std::io;
use std::path::PathBuf;

use super::blobs::{Blobs, Corrupted, missing_blob};
use super::refs::{self, Refs};
use super::{Cache, Detail, Found, is_folder, join, links};
use crate::cache::blob_names;
use crate::cache::blob_names::is_stray;
use crate::cache::layout::{self, BLOBS, PartialName, RepoLayout, SNAPSHOTS};
use crate::cache::scan::report::{
    CachedFile, CachedRepo, CachedRevision, Incomplete, Problem, ProblemKind,
};
use crate::sys::dir::{Buffers, Dir, EntryKind, LinkBuffer, is_absent, path_of, text_of};

/// A worker: scans one repository after the other, keeping its buffers.
pub struct Scanner<'a> {
    cache: &'a Cache<'a>,
    buffers: Buffers,
}

/// A repository's folder, and the first thing that is wrong with it.
struct Scanned {
    repo: CachedRepo,
    problem: Option<Corrupted>,
}

impl<'a> Scanner<'a> {
    pub fn new(cache: &'a Cache<'a>) -> Self {
        Scanner {
            cache,
            buffers: Buffers::new(),
        }
    }

    /// Scans the entry `name` of the cache's root.
    pub fn scan(&mut self, name: &[u8]) -> Found {
        let incomplete = self.incomplete(name);
        let problem = |Corrupted(path, kind), rest| {
            let base = self.cache.path.join(path_of(name));
            let path = if path.as_os_str().is_empty() {
                base
            } else {
                base.join(path)
            };
            Problem {
                folder: name.to_vec(),
                path,
                kind,
                rest,
            }
        };
        let repo = match self.repo(name) {
            Err(corrupted) => Err(problem(corrupted, None)),
            Ok(Scanned {
                repo,
                problem: Some(corrupted),
            }) => Err(problem(corrupted, Some(Box::new(repo)))),
            Ok(scanned) => Ok(scanned.repo),
        };
        Found { repo, incomplete }
    }

    /// The unfinished downloads, whatever else is wrong with the folder.
    fn incomplete(&mut self, name: &[u8]) -> Vec<Incomplete> {
        let mut found = Vec::new();
        let Ok(blobs) = self.cache.dir.open_below(join(name, BLOBS.as_bytes())) else {
            return found;
        };
        let listed: io::Result<()> = blobs.for_each(&mut self.buffers, |entry, _, _| {
            let bytes = entry.to_bytes();
            if PartialName::parse(bytes).is_some()
                && let Ok(stat) = blobs.stat(entry, true)
            {
                found.push(Incomplete {
                    folder: name.to_vec(),
                    name: bytes.to_vec(),
                    size: stat.allocated,
                });
            }
            Ok(())
        });
        // A folder that cannot be read has none; whether that matters shows in the snapshots.
        listed.ok();
        found
    }

    /// Reads a repository. The scan continues after a problem.
    ///
    /// # Errors
    /// It is no repository, or cannot be entered.
    fn repo(&mut self, name: &[u8]) -> Result<Scanned, Corrupted> {
        let here = |kind| Corrupted(PathBuf::new(), kind);
        let dir = self.cache.dir.open_below(name).map_err(|error| {
            here(if is_absent(&error) {
                ProblemKind::NotAFolder
            } else {
                ProblemKind::Unreadable(error)
            })
        })?;
        let folder_name = text_of(name);
        let id = match layout::parse_repo_folder_name(&folder_name) {
            Some(known) => known,
            None => {
                return Err(here(match folder_name.split_once("--") {
                    Some((prefix, _)) => ProblemKind::UnknownType(prefix.to_owned()),
                    None => ProblemKind::NotARepo,
                }));
            }
        };
        let mut work = RepoScan {
            cache: self.cache,
            path: RepoLayout::of_folder(self.cache.path, name),
            dir: &dir,
            blobs: Blobs::default(),
            problem: None,
        };
        let snapshots = dir.open_below(SNAPSHOTS).map_err(|error| {
            let kind = if is_absent(&error) {
                ProblemKind::NoSnapshots
            } else {
                ProblemKind::Unreadable(error)
            };
            Corrupted(SNAPSHOTS.into(), kind)
        });
        let snapshots = work.note(snapshots);
        let mut refs = work
            .note(refs::read(&dir, &mut self.buffers))
            .unwrap_or_default();
        let mut revisions = match snapshots {
            Some(snapshots) => {
                let revisions = work.revisions(&snapshots, &mut refs, &mut self.buffers);
                work.note(revisions).unwrap_or_default()
            }
            None => Vec::new(),
        };
        refs::add_odd(&dir, &mut revisions, &mut self.buffers);
        if !refs.is_empty() {
            work.note::<()>(Err(here(ProblemKind::RefToMissing(refs::sorted(refs)))));
        }
        if work.problem.is_some() {
            work.unlinked(&mut self.buffers);
        }
        let own = dir.stat(c".", true).map_err(Corrupted::from)?;
        let problem = work.problem;
        let repo = work
            .blobs
            .into_repo(self.cache.path, name, id, revisions, &own);
        Ok(Scanned { repo, problem })
    }
}

/// An error about something in a snapshot.
fn unreadable(commit: &[u8], folder: &[u8], name: &[u8], error: io::Error) -> Corrupted {
    let path = PathBuf::from(SNAPSHOTS).join(path_of(commit));
    let path = path.join(path_of(&join(folder, name)));
    Corrupted(path, ProblemKind::Unreadable(error))
}

/// The snapshots of one repository.
struct RepoScan<'a> {
    cache: &'a Cache<'a>,
    path: RepoLayout,
    dir: &'a Dir,
    blobs: Blobs,
    /// The first thing that is wrong.
    problem: Option<Corrupted>,
}

impl RepoScan<'_> {
    /// Keeps the first problem; the scan continues without the part that is wrong.
    fn note<T>(&mut self, found: Result<T, Corrupted>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(corrupted) => {
                self.problem.get_or_insert(corrupted);
                None
            }
        }
    }

    /// Adds the blobs that no snapshot links to. They belong to no revision, but where links are broken
    /// or missing they are the content of the repository.
    fn unlinked(&mut self, buffers: &mut Buffers) {
        let Ok(blobs) = self.dir.open_below(BLOBS) else {
            return;
        };
        let mut places = Vec::new();
        let listed: io::Result<()> = blobs.for_each(buffers, |name, _, _| {
            if blob_names::blob_name(name.to_bytes()) == blob_names::BlobName::Blob {
                places.push(join(BLOBS.as_bytes(), name.to_bytes()));
            }
            Ok(())
        });
        // What cannot be read is not counted.
        listed.ok();
        for place in places {
            let _ = self.blobs.usual(self.cache, self.dir, &self.path, &place);
        }
    }

    fn revisions(
        &mut self,
        snapshots: &Dir,
        refs: &mut Refs,
        buffers: &mut Buffers,
    ) -> Result<Vec<CachedRevision>, Corrupted> {
        let mut names = Vec::new();
        snapshots
            .for_each(buffers, |name, kind, _| {
                if !is_stray(name.to_bytes()) {
                    names.push((name.to_owned(), kind));
                }
                Ok::<(), io::Error>(())
            })
            .map_err(|error| Corrupted(SNAPSHOTS.into(), ProblemKind::Unreadable(error)))?;
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let mut revisions = Vec::with_capacity(names.len());
        for (number, (name, kind)) in (1..).zip(&names) {
            let revision = self
                .snapshot(snapshots, name, *kind)
                .and_then(|dir| self.revision(&dir, name.to_bytes(), number, buffers));
            if let Some(mut revision) = self.note(revision) {
                revision.refs = refs.remove(&revision.commit).unwrap_or_default();
                revisions.push(revision);
            }
        }
        Ok(revisions)
    }

    /// Opens the folder of a snapshot.
    fn snapshot(&self, snapshots: &Dir, name: &CStr, kind: EntryKind) -> Result<Dir, Corrupted> {
        let blame = |kind| {
            let path = PathBuf::from(SNAPSHOTS).join(path_of(name.to_bytes()));
            Corrupted(path, kind)
        };
        let kind = match kind {
            EntryKind::Link => match snapshots.stat(name, true) {
                Ok(stat) => stat.kind,
                Err(error) if is_absent(&error) => {
                    return Err(blame(ProblemKind::BlobMissing));
                }
                Err(error) => return Err(blame(ProblemKind::Unreadable(error))),
            },
            other => other,
        };
        if kind != EntryKind::Folder {
            return Err(blame(ProblemKind::FileInSnapshots));
        }
        snapshots
            .open_below(name)
            .map_err(|error| blame(ProblemKind::Unreadable(error)))
    }

    /// Walks one snapshot. Links to folders are not entered, and not counted.
    fn revision(
        &mut self,
        root: &Dir,
        commit: &[u8],
        number: u32,
        buffers: &mut Buffers,
    ) -> Result<CachedRevision, Corrupted> {
        let mut revision = CachedRevision {
            name: commit.to_vec(),
            commit: text_of(commit),
            refs: Vec::new(),
            file_count: 0,
            size: 0,
            modified: f64::NEG_INFINITY,
            files: Vec::new(),
        };
        let mut folders: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let opened;
            let dir = if folder.is_empty() {
                root
            } else {
                let below = root.open_below(folder.as_slice());
                match self.note(below.map_err(|e| unreadable(commit, &folder, b"", e))) {
                    Some(dir) => opened = dir,
                    None => continue,
                }
                &opened
            };
            let listed = dir.for_each(buffers, |name, kind, link| {
                let bytes = name.to_bytes();
                if kind == EntryKind::Folder {
                    folders.push((join(&folder, bytes), depth + 1));
                    return Ok(());
                }
                let found = self.file(dir, name, kind, link, commit, &folder);
                if let Some(blob) = self.note(found).flatten() {
                    revision.file_count += 1;
                    self.blobs.count(blob, number, &mut revision);
                    if self.cache.detail == Detail::Files {
                        revision.files.push(CachedFile {
                            path: join(&folder, bytes).into(),
                            blob,
                        });
                    }
                }
                Ok::<(), io::Error>(())
            });
            self.note(listed.map_err(|error| unreadable(commit, &folder, b"", error)));
        }
        if revision.file_count == 0 {
            revision.modified = root.stat(c".", true).map_err(Corrupted::from)?.modified;
        }
        revision.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(revision)
    }

    /// What a file or link of a snapshot leads to; `None` for a folder.
    fn file(
        &mut self,
        dir: &Dir,
        name: &CStr,
        kind: EntryKind,
        link: &mut LinkBuffer<'_>,
        commit: &[u8],
        folder: &[u8],
    ) -> Result<Option<u32>, Corrupted> {
        let bytes = name.to_bytes();
        let failed = |error| unreadable(commit, folder, bytes, error);
        if kind != EntryKind::Link {
            let stat = dir.stat(name, false).map_err(failed)?;
            let place = join(SNAPSHOTS.as_bytes(), &join(commit, &join(folder, bytes)));
            return Ok(Some(self.blobs.add(place.into(), stat, None)));
        }
        let depth = match folder {
            [] => 0,
            folder => 1 + folder.iter().filter(|&&byte| byte == b'/').count(),
        };
        let target = link.read(dir, name).map_err(failed)?;
        match links::usual_blob(target, depth) {
            Some(place) => self.blobs.usual(self.cache, self.dir, &self.path, place),
            None => self.odd_link(dir, name, &join(commit, folder), target),
        }
    }

    /// A link that no client writes. `inner` is the path of its folder below `snapshots/`.
    fn odd_link(
        &mut self,
        dir: &Dir,
        name: &CStr,
        inner: &[u8],
        target: &[u8],
    ) -> Result<Option<u32>, Corrupted> {
        if is_folder(dir, name) {
            return Ok(None);
        }
        let inner = inner.strip_suffix(b"/").unwrap_or(inner);
        let folder = self.path.snapshot_named(inner);
        let place = links::place(self.path.folder(), &folder, target);
        if let Some(&index) = self.blobs.by_place.get(&place) {
            return Ok(Some(index));
        }
        let path = self.path.inside(&place);
        let stat = self
            .dir
            .stat(&path, true)
            .map_err(|error| missing_blob(&path, error))?;
        let shared = self.cache.store.and_then(|store| {
            let target = self.dir.read_link(&path).ok()?;
            let relative = path.strip_prefix(self.cache.path).ok()?;
            let mut parts = relative.iter();
            let in_blobs = parts.nth(1)? == BLOBS && parts.count() == 1;
            let folder = in_blobs.then(|| path.parent())??;
            store.shared_blob_of_link(self.cache.path, folder, &target)
        });
        Ok(Some(self.blobs.add(place, stat, shared)))
    }
}
