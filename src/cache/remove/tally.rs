//! How many bytes become free when a set of names is removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::relative;
use crate::cache::layout::{BLOBS, PartialName, SNAPSHOTS};
use crate::cache::scan::report::CacheReport;
use crate::cache::shared::{self, SharedBlob};
use crate::sys::dir::Dir;
use crate::sys::facts::allocated;
use crate::sys::{FileFacts, FsError};

/// Names to be removed that hold or use content.
#[derive(Debug, Default)]
pub struct Tally {
    /// Regular files, relative to the cache's root.
    files: BTreeMap<PathBuf, Facts>,
    /// Shared blob of the shared store (index) → links to it, relative to the cache's root.
    pub links: BTreeMap<u32, BTreeSet<PathBuf>>,
    /// Hashes of shared blobs that stay though their last links go.
    pub kept: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy)]
struct Facts {
    identity: (u64, u64),
    names: u64,
    size: u64,
}

impl Tally {
    /// Counts a regular file, once, by its length. Anything else holds no content.
    pub fn add_file(&mut self, root: &Path, path: &Path) {
        self.add(root, path, std::fs::Metadata::len);
    }

    /// As [`Tally::add_file`], for an unfinished download: by the room that it takes on the disk.
    pub fn add_partial(&mut self, root: &Path, path: &Path) {
        self.add(root, path, allocated);
    }

    fn add(&mut self, root: &Path, path: &Path, size: impl Fn(&std::fs::Metadata) -> u64) {
        if let Ok(meta) = path.symlink_metadata()
            && meta.is_file()
            && let Ok(file) = FileFacts::known(path, &meta)
        {
            let facts = Facts {
                identity: file.identity,
                names: file.names,
                size: size(&meta),
            };
            self.files.insert(relative(root, path).to_path_buf(), facts);
        }
    }

    /// Counts an entry of a repository's `blobs/`: a file, an unfinished download, or a link into the shared
    /// store.
    pub fn add_blob(&mut self, report: &CacheReport, path: &Path) {
        let shared_blob = report.store.as_ref().and_then(|store| {
            let target = std::fs::read_link(path).ok()?;
            let target = target.as_os_str().as_encoded_bytes().to_vec();
            store.shared_blob_of_link(&report.root, path.parent()?, &target)
        });
        match shared_blob {
            Some(shared_blob) => {
                let link = relative(&report.root, path).to_path_buf();
                self.links.entry(shared_blob).or_default().insert(link);
            }
            None if is_partial(path) => self.add_partial(&report.root, path),
            None => self.add_file(&report.root, path),
        }
    }

    /// Counts what a folder holds: all of a snapshot; of a repository, its `blobs` and `snapshots`.
    /// Links to folders are not entered. A path that is no folder holds nothing.
    ///
    /// # Errors
    /// [`FsError`] when a folder cannot be read.
    pub fn add_folder(&mut self, report: &CacheReport, path: &Path) -> Result<(), FsError> {
        let is_repo = path.parent() == Some(&report.root);
        for entry in entries(path)? {
            let place = path.join(&entry);
            if !place.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                self.add_file(&report.root, &place);
            } else if is_repo && entry == BLOBS {
                for name in entries(&place)? {
                    self.add_blob(report, &place.join(name));
                }
            } else if !is_repo || entry == SNAPSHOTS {
                self.add_folder(report, &place)?;
            }
        }
        Ok(())
    }

    /// Bytes that become free when all these names go.
    pub fn freed(&self, report: &CacheReport) -> u64 {
        let shared_blobs = self.shared_blobs_to_go(report).into_iter();
        let shared: u64 = shared_blobs.map(|shared_blob| shared_blob.size).sum();
        shared + bytes_of(self.files.values())
    }

    /// Shared blobs that lose their last links, without those that are kept.
    pub fn shared_blobs_to_go(&self, report: &CacheReport) -> Vec<SharedBlob> {
        let (Some(store), Ok(root)) = (&report.store, Dir::open(&report.root)) else {
            return Vec::new();
        };
        let going = self.links.iter().filter_map(|(&index, links)| {
            let shared_blob = &store.shared_blobs[index as usize];
            let users = shared::users(&root, &report.root, shared_blob)?;
            let all = !users.is_empty() && users.iter().all(|user| links.contains(user));
            (all && !self.kept.contains(&shared_blob.hash)).then(|| shared_blob.clone())
        });
        going.collect()
    }

    /// Bytes of the names that are really gone by now, shared blobs apart.
    pub fn freed_by_now(&self, root: &Path) -> u64 {
        bytes_of(self.files.iter().filter_map(|(path, facts)| {
            let gone = root.join(path).symlink_metadata();
            gone.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
                .then_some(facts)
        }))
    }
}

/// Whether a file in `blobs/` is an unfinished download, by its name.
fn is_partial(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    PartialName::parse(name.as_encoded_bytes()).is_some()
}

/// A file becomes free when all of its names are removed.
fn bytes_of<'a>(files: impl Iterator<Item = &'a Facts>) -> u64 {
    let mut going: HashMap<(u64, u64), (u64, Facts)> = HashMap::new();
    for facts in files {
        going.entry(facts.identity).or_insert((0, *facts)).0 += 1;
    }
    going
        .values()
        .filter(|(count, facts)| *count >= facts.names)
        .map(|(_, facts)| facts.size)
        .sum()
}

/// Names in a folder; none when it is a file, a link or absent.
fn entries(path: &Path) -> Result<Vec<std::ffi::OsString>, FsError> {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(Vec::new());
    }
    let listed: io::Result<Vec<_>> = std::fs::read_dir(path).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    });
    listed.map_err(FsError::of("read", path))
}
