//! The blobs of one repository; the size of each is read once.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Cache;
use crate::cache::layout::RepoLayout;
use crate::cache::scan::report::{Blob, CachedRepo, CachedRevision, ProblemKind};
use crate::sys::dir::{Dir, EntryKind, Stat, is_absent, path_of};
use crate::types::CacheId;

/// A corrupted repository, with the path that is wrong.
pub struct Corrupted(pub PathBuf, pub ProblemKind);

impl From<io::Error> for Corrupted {
    /// For errors without a path: they are about the caller's folder.
    fn from(error: io::Error) -> Self {
        Corrupted(PathBuf::new(), ProblemKind::Unreadable(error))
    }
}

/// The blobs of the repository being scanned.
#[derive(Default)]
pub struct Blobs {
    /// From [`Blob::place`] to the index in `all`.
    pub by_place: HashMap<Box<[u8]>, u32>,
    all: Vec<Known>,
}

/// A blob that a snapshot leads to.
struct Known {
    stat: Stat,
    shared: Option<u32>,
    /// Number of the last revision that counted it, from 1.
    counted_in: u32,
}

/// The target of a link cannot be read.
pub fn missing_blob(path: &Path, error: io::Error) -> Corrupted {
    let kind = if is_absent(&error) {
        ProblemKind::BlobMissing
    } else {
        ProblemKind::Unreadable(error)
    };
    Corrupted(path.to_path_buf(), kind)
}

impl Blobs {
    /// The blob at `blobs/<name>`; its size is read the first time. `None` when it is a folder.
    pub fn usual(
        &mut self,
        cache: &Cache<'_>,
        repo: &Dir,
        path: &RepoLayout,
        place: &[u8],
    ) -> Result<Option<u32>, Corrupted> {
        if let Some(&index) = self.by_place.get(place) {
            return Ok(Some(index));
        }
        let stat = repo
            .stat(place, true)
            .map_err(|error| missing_blob(&path_of(place), error))?;
        if stat.kind == EntryKind::Folder {
            return Ok(None);
        }
        let shared = cache.store.and_then(|store| {
            let target = repo.read_link(place).ok()?;
            store.shared_blob_of_link(cache.path, &path.blobs(), &target)
        });
        Ok(Some(self.add(place.into(), stat, shared)))
    }

    pub fn add(&mut self, place: Box<[u8]>, stat: Stat, shared: Option<u32>) -> u32 {
        if let Some(&index) = self.by_place.get(&place) {
            return index;
        }
        let index = u32::try_from(self.all.len()).expect("fewer than 2^32 files");
        self.all.push(Known {
            stat,
            shared,
            counted_in: 0,
        });
        self.by_place.insert(place, index);
        index
    }

    /// Adds a blob to a revision's totals, its size once.
    pub fn count(&mut self, blob: u32, number: u32, revision: &mut CachedRevision) {
        let known = &mut self.all[blob as usize];
        if known.counted_in != number {
            known.counted_in = number;
            revision.size += known.stat.size;
            revision.modified = revision.modified.max(known.stat.modified);
        }
    }

    pub fn into_repo(
        self,
        root: &Path,
        name: &[u8],
        id: CacheId,
        revisions: Vec<CachedRevision>,
        own: &Stat,
    ) -> CachedRepo {
        let latest = |time: fn(&Stat) -> f64| {
            self.all
                .iter()
                .map(|known| time(&known.stat))
                .reduce(f64::max)
                .unwrap_or_else(|| time(own))
        };
        let (accessed, modified) = (latest(|stat| stat.accessed), latest(|stat| stat.modified));
        let mut places: Vec<(Box<[u8]>, u32)> = self.by_place.into_iter().collect();
        places.sort_by_key(|&(_, index)| index);
        let blobs: Vec<Blob> = places
            .into_iter()
            .zip(&self.all)
            .map(|((place, _), known)| Blob {
                place,
                size: known.stat.size,
                identity: known.stat.identity,
                names: known.stat.names,
                shared: known.shared,
            })
            .collect();
        CachedRepo {
            folder: name.to_vec(),
            layout: RepoLayout::of_folder(root, name),
            id,
            size: blobs.iter().map(|blob| blob.size).sum(),
            revisions,
            blobs,
            accessed,
            modified,
        }
    }
}
