//! Content that a repository has lost and another place of the cache still has.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::relink::Wanted;
use super::walk::names;
use crate::cache::blob_names::{BlobName, blob_name};
use crate::cache::layout::{
    self, CacheLayout, RepoLayout, parse_repo_folder, parse_repo_folder_name, staging_path,
};
use crate::cache::scan::report::CacheReport;
use crate::cache::shared::{self, Entry, Linked, SharedBlob};
use crate::sys::dir::Dir;
use crate::sys::{FsError, Opening, open_regular, open_to_check, sync_file};
use crate::types::digest::XetHash;
use crate::types::hash::ContentHasher;
use crate::types::listing::Checksum;

/// Where a content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A blob of another repository.
    Blob(PathBuf),
    /// A shared blob.
    SharedBlob(SharedBlob),
}

/// Where contents are, in the whole cache.
pub struct Sources<'a> {
    report: &'a CacheReport,
    /// Blobs of all repositories that are files of their own, by name. Read when first asked for.
    blobs: Option<BTreeMap<String, Vec<PathBuf>>>,
}

impl<'a> Sources<'a> {
    /// Reads nothing yet.
    pub fn new(report: &'a CacheReport) -> Self {
        Sources {
            report,
            blobs: None,
        }
    }

    /// Sources of a content that a repository needs. `blob` is its path, `size` its length. A content
    /// that only a listing names is taken from the store, and only when no repository uses it there:
    /// otherwise it may never have been in this repository.
    pub fn of(&mut self, wanted: &Wanted, blob: &Path, size: Option<u64>) -> Vec<Source> {
        let was_here = wanted.is_linked || blob.is_symlink();
        let is_right = |found: u64| size.is_none_or(|size| size == found);
        let named = || shared_blob_named(&fs::read_link(blob).ok()?);
        let hash = wanted.xet_hash.clone().or_else(named);
        let shared_blob = hash.and_then(|hash| self.shared_blob(&hash));
        let shared_blob = shared_blob.filter(|shared_blob| {
            is_right(shared_blob.size) && (was_here || self.is_unused(shared_blob))
        });
        let mut sources: Vec<Source> = shared_blob.map(Source::SharedBlob).into_iter().collect();
        if was_here {
            sources.extend(self.blobs(&wanted.etag, blob, is_right));
        }
        sources
    }

    /// Files of this name and size in other repositories.
    fn blobs(
        &mut self,
        etag: &str,
        own: &Path,
        is_right: impl Fn(u64) -> bool,
    ) -> impl Iterator<Item = Source> {
        let all = self
            .blobs
            .get_or_insert_with(|| all_blobs(&self.report.root));
        let found = all.get(etag).into_iter().flatten().filter(|path| {
            let meta = path.symlink_metadata();
            *path != own && meta.is_ok_and(|meta| is_right(meta.len()))
        });
        let found: Vec<Source> = found.cloned().map(Source::Blob).collect();
        found.into_iter()
    }

    fn shared_blob(&self, hash: &str) -> Option<SharedBlob> {
        let shared_blobs = &self.report.store.as_ref()?.shared_blobs;
        let index =
            shared_blobs.binary_search_by(|shared_blob| shared_blob.hash.as_str().cmp(hash));
        index.ok().map(|index| shared_blobs[index].clone())
    }

    fn is_unused(&self, shared_blob: &SharedBlob) -> bool {
        Dir::open(&self.report.root)
            .ok()
            .and_then(|root| shared::users(&root, &self.report.root, shared_blob))
            .is_some_and(|users| users.is_empty())
    }
}

/// The hash of the shared blob that a link into a shared store names: `…/blobs/<xx>/<hash>`.
pub fn shared_blob_named(target: &Path) -> Option<String> {
    let is_store = target.parent()?.parent()?.file_name()? == layout::SHARED;
    shared::hash_in(target)
        .filter(|_| is_store)
        .map(str::to_owned)
}

fn all_blobs(root: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut all: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let repos = names(root).unwrap_or_default().into_iter();
    for repo in repos.filter(|name| parse_repo_folder_name(&name.to_string_lossy()).is_some()) {
        let folder = RepoLayout::of_folder(root, repo.as_encoded_bytes()).blobs();
        for name in names(&folder).unwrap_or_default() {
            let path = folder.join(&name);
            let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
            if let Ok(name) = name.into_string()
                && blob_name(name.as_bytes()) == BlobName::Blob
                && is_file
            {
                all.entry(name).or_default().push(path);
            }
        }
    }
    all
}

/// Restores a blob from the first source with the right hash. `is_due` says, just before, whether it is
/// still needed. Returns whether it was.
///
/// # Errors
/// No source is right, or the blob cannot be made.
pub fn restore(
    root: &Path,
    blob: &Path,
    sources: &[Source],
    mut is_due: impl FnMut() -> bool,
) -> Result<bool, FsError> {
    let name = blob.file_name().unwrap_or_default().to_string_lossy();
    let mut last = io::Error::other("its content is not elsewhere in the cache");
    let Some(checksum) = Checksum::from_etag(&name) else {
        return Err(FsError::of("restore", blob)(last));
    };
    for source in sources {
        if !is_due() {
            return Ok(false);
        }
        let done = match source {
            Source::SharedBlob(shared_blob) => from_store(root, blob, &checksum, shared_blob),
            Source::Blob(other) => from_blob(blob, &checksum, other),
        };
        match done {
            Ok(()) => return Ok(true),
            Err(error) => last = error,
        }
    }
    Err(FsError::of("restore", blob)(last))
}

/// Links to a shared blob by the store's own protocol: hashed, under its lock, its manifest first.
fn from_store(
    root: &Path,
    blob: &Path,
    checksum: &Checksum,
    shared_blob: &SharedBlob,
) -> io::Result<()> {
    let folder = blob.parent().and_then(Path::parent);
    let folder = folder.and_then(Path::file_name).unwrap_or_default();
    let entry = parse_repo_folder(&folder.to_string_lossy()).and_then(|repo| {
        let cache = CacheLayout::new(root);
        let layout = cache.repo(&repo);
        Entry::new(
            &cache,
            &layout,
            checksum,
            &XetHash::from(shared_blob.hash.as_str()),
            shared_blob.size,
        )
    });
    match entry.map(|entry| entry.link()) {
        Some(Linked::Yes) => Ok(()),
        Some(Linked::Failed(error)) => Err(error),
        Some(Linked::Wrong) => Err(io::Error::other("the file of the shared store is damaged")),
        Some(Linked::Absent) | None => Err(io::Error::other(
            "the shared store does not have it any more",
        )),
    }
}

/// Copies a blob of another repository: as a hard link where that works, which needs no disk space.
/// Each of the two can be deleted without the other.
fn from_blob(blob: &Path, checksum: &Checksum, other: &Path) -> io::Result<()> {
    let file = open_to_check(other)?;
    let mut hasher = ContentHasher::new(checksum, Some(file.metadata()?.len()));
    hasher.update_from(&file)?;
    let is_proven = !matches!(checksum, Checksum::Unknown(_)) && hasher.matches();
    if !is_proven {
        return Err(io::Error::other(
            "the same file of another repository is damaged too",
        ));
    }
    let folder = blob.parent().unwrap_or(Path::new("."));
    let staged = staging_path(folder);
    let copied = fs::hard_link(other, &staged).or_else(|_| {
        let mut copy = Opening::new_file().open(&staged)?;
        io::copy(&mut open_regular(other)?, &mut copy)?;
        sync_file(&copy)
    });
    copied
        .and_then(|()| fs::rename(&staged, blob))
        .inspect_err(|_| drop(fs::remove_file(&staged)))?;
    // Renaming a hard link over another one of the same file does nothing, and leaves both.
    let _ = fs::remove_file(&staged);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_into_a_store() {
        let hash = "ab".repeat(32);
        for (target, expected) in [
            (format!("../../blobs/ab/{hash}"), true),
            (format!("/old/hub/blobs/ab/{hash}"), true),
            (format!("../../blobs/ac/{hash}"), false),
            (format!("../../blobs/{hash}"), false),
            (format!("../../store/ab/{hash}"), false),
            (format!("../../blobs/ab/{}", &hash[1..]), false),
        ] {
            let found = shared_blob_named(Path::new(&target));
            assert_eq!(found.is_some(), expected, "{target}");
        }
    }
}
