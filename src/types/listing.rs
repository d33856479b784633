//! What a repository holds at a commit: the common language of the Hub (which lists it), the cache
//! (which remembers it) and the download (which plans by it).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Index;

use super::digest::{Digest, HashText, Sha1Digest, Sha256Digest, XetHash};
use crate::types::{InvalidName, RepoPath};

/// How the content of a file is verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// SHA-256 of the content: files in LFS or Xet storage.
    Sha256(Sha256Digest),
    /// Git's blob hash: SHA-1 of `blob <size>\0` and the content.
    GitSha1(Sha1Digest),
    /// The server gave an etag of another form (a mirror may): only the size can be checked.
    Unknown(Box<str>),
}

impl Checksum {
    /// What an etag promises: 64 hex digits are SHA-256, 40 are Git's hash
    /// (docs/reference.md#hashes). `None` when it could not even serve as a file name in `blobs/`.
    pub fn from_etag(etag: &str) -> Option<Checksum> {
        let known = match etag.len() {
            64 => Digest::from_hex(etag).map(Checksum::Sha256),
            40 => Digest::from_hex(etag).map(Checksum::GitSha1),
            _ => None,
        };
        let can_be_name = || {
            (1..=128).contains(&etag.len())
                && !etag.starts_with('.')
                && etag
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'"'))
        };
        known.or_else(|| can_be_name().then(|| Checksum::Unknown(etag.into())))
    }

    /// The etag: the name of the blob in the cache.
    pub fn etag(&self) -> HashText<'_> {
        match self {
            Checksum::Sha256(digest) => HashText::Hex(digest.hex()),
            Checksum::GitSha1(digest) => HashText::Hex(digest.hex()),
            Checksum::Unknown(etag) => HashText::Other(etag),
        }
    }

    /// Whether nothing but the size can be checked.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Checksum::Unknown(_))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.etag().fmt(f)
    }
}

/// Large-file storage data of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lfs {
    /// SHA-256 of the content.
    pub sha256: Sha256Digest,
    /// Size of the content in bytes.
    pub size: u64,
}

/// One file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Size in bytes.
    pub size: u64,
    /// Git's hash of the file, or of its LFS pointer.
    pub blob_id: Sha1Digest,
    /// Set for files in LFS or Xet storage.
    pub lfs: Option<Lfs>,
    /// Set for files in Xet storage.
    pub xet_hash: Option<XetHash>,
}

impl FileEntry {
    /// How this file's content is verified; its etag names the blob.
    pub fn checksum(&self) -> Checksum {
        match &self.lfs {
            Some(lfs) => Checksum::Sha256(lfs.sha256),
            None => Checksum::GitSha1(self.blob_id),
        }
    }
}

/// All files of a repository at a commit, by path. Files whose names cannot be stored here are kept
/// apart: most callers do not need them. Made by [`ListingBuilder`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Sorted by path: in an array, since a map needs half as much again for a million files.
    files: Vec<(RepoPath, FileEntry)>,
    refused: BTreeMap<String, Refused>,
}

/// A file of a listing that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong with its name.
    pub why: InvalidName,
    /// The file.
    pub entry: FileEntry,
}

impl Listing {
    /// A listing of nothing.
    pub fn new() -> Self {
        Listing::default()
    }

    /// Number of files that can be stored.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file that can be stored.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A file and its path.
    pub fn get_key_value(
        &self,
        path: &(impl AsRef<str> + ?Sized),
    ) -> Option<(&RepoPath, &FileEntry)> {
        let found = place_of(&self.files, path.as_ref()).ok()?;
        self.files.get(found).map(|(path, entry)| (path, entry))
    }

    /// The file at this place, in the order of paths.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn at(&self, place: u32) -> (&RepoPath, &FileEntry) {
        let (path, entry) = &self.files[place as usize];
        (path, entry)
    }

    /// The place of a file.
    pub fn place(&self, path: &(impl AsRef<str> + ?Sized)) -> Option<u32> {
        let found = place_of(&self.files, path.as_ref()).ok()?;
        u32::try_from(found).ok()
    }

    /// A file.
    pub fn get(&self, path: &(impl AsRef<str> + ?Sized)) -> Option<&FileEntry> {
        self.get_key_value(path).map(|(_, entry)| entry)
    }

    /// Whether the file is listed.
    pub fn contains_key(&self, path: &(impl AsRef<str> + ?Sized)) -> bool {
        self.get(path).is_some()
    }

    /// The paths, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &RepoPath> {
        self.files.iter().map(|(path, _)| path)
    }

    /// The files, by path.
    pub fn values(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().map(|(_, entry)| entry)
    }

    /// The files with their paths, sorted.
    pub fn into_files(self) -> Vec<(RepoPath, FileEntry)> {
        self.files
    }

    /// The files that cannot be stored, by the names that the server gives them.
    pub fn refused(&self) -> &BTreeMap<String, Refused> {
        &self.refused
    }

    /// All files, also those that cannot be stored, sorted by name.
    pub fn everything(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        let mut refused = self.refused.iter().peekable();
        let mut files = self.files.iter().peekable();
        std::iter::from_fn(move || {
            let is_next = match (refused.peek(), files.peek()) {
                (Some((name, _)), Some((path, _))) => name.as_str() < path.as_str(),
                (refused, _) => refused.is_some(),
            };
            if is_next {
                refused
                    .next()
                    .map(|(name, refused)| (name.as_str(), &refused.entry))
            } else {
                files.next().map(|(path, entry)| (path.as_str(), entry))
            }
        })
    }
}

/// Where a path is in sorted files, or where it would be.
fn place_of(files: &[(RepoPath, FileEntry)], path: &str) -> Result<usize, usize> {
    files.binary_search_by(|(known, _)| known.as_str().cmp(path))
}

/// A listing in the making: files come in any order. Servers send them nearly sorted, and then each is
/// appended.
#[derive(Debug, Default)]
pub struct ListingBuilder {
    listing: Listing,
    /// Files that came after a greater one.
    late: BTreeMap<RepoPath, FileEntry>,
}

impl ListingBuilder {
    /// A listing of nothing.
    pub fn new() -> Self {
        ListingBuilder::default()
    }

    /// Number of files that can be stored.
    pub fn len(&self) -> usize {
        self.listing.len() + self.late.len()
    }

    /// Adds a file under the name that the server gives it. Answers what was known of it before.
    pub fn add(&mut self, name: &str, entry: FileEntry) -> Option<FileEntry> {
        match name.parse::<RepoPath>() {
            Ok(path) => self.add_path(path, entry),
            Err(why) => {
                let refused = Refused { why, entry };
                let before = self.listing.refused.insert(name.to_owned(), refused);
                before.map(|before| before.entry)
            }
        }
    }

    /// Adds a file. Answers what was known of it before.
    pub fn add_path(&mut self, path: RepoPath, entry: FileEntry) -> Option<FileEntry> {
        let files = &mut self.listing.files;
        if files.last().is_none_or(|(last, _)| *last < path) {
            // Nor is it among the late ones: those are all below the last file.
            files.push((path, entry));
            return None;
        }
        if let Ok(known) = place_of(files, path.as_str()) {
            return Some(std::mem::replace(&mut files[known].1, entry));
        }
        let before = self.late.insert(path, entry);
        // Each merge sorts everything, so they become rarer as the listing grows.
        if self.late.len() > 1024.max(files.len() / 4) {
            self.merge();
        }
        before
    }

    fn merge(&mut self) {
        let files = &mut self.listing.files;
        while let Some(late) = self.late.pop_first() {
            files.push(late);
        }
        files.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    }

    /// The listing.
    pub fn finish(mut self) -> Listing {
        if !self.late.is_empty() {
            self.merge();
        }
        self.listing
    }
}

impl<P: AsRef<str> + ?Sized> Index<&P> for Listing {
    type Output = FileEntry;

    /// # Panics
    /// When the listing has no such file.
    fn index(&self, path: &P) -> &FileEntry {
        self.get(path).expect("the path is from this listing")
    }
}

impl FromIterator<(RepoPath, FileEntry)> for Listing {
    fn from_iter<I: IntoIterator<Item = (RepoPath, FileEntry)>>(files: I) -> Self {
        let mut listing = ListingBuilder::new();
        for (path, entry) in files {
            listing.add_path(path, entry);
        }
        listing.finish()
    }
}

impl<const N: usize> From<[(RepoPath, FileEntry); N]> for Listing {
    fn from(files: [(RepoPath, FileEntry); N]) -> Self {
        files.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Listing {
    type Item = (&'a RepoPath, &'a FileEntry);
    type IntoIter = Files<'a>;

    fn into_iter(self) -> Self::IntoIter {
        Files(self.files.iter())
    }
}

/// The files of a listing with their paths, sorted.
pub struct Files<'a>(std::slice::Iter<'a, (RepoPath, FileEntry)>);

impl<'a> Iterator for Files<'a> {
    type Item = (&'a RepoPath, &'a FileEntry);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(path, entry)| (path, entry))
    }
}

/// A file that is listed as a folder of others as well: no disk can hold both. The folder's file
/// comes second.
pub fn file_and_folder(listing: &Listing) -> Option<(&RepoPath, &RepoPath)> {
    let mut last_folder = "";
    listing.keys().find_map(|path| {
        let (folder, _) = path.as_str().rsplit_once('/')?;
        // Neighbours share their folder: it is looked up once.
        if std::mem::replace(&mut last_folder, folder) == folder {
            return None;
        }
        let ends = folder.match_indices('/').map(|(end, _)| end);
        ends.chain([folder.len()]).find_map(|end| {
            let (file, _) = listing.get_key_value(&folder[..end])?;
            Some((file, path))
        })
    })
}

/// Two paths that are one and the same where upper and lower case are not told apart: files, or
/// their folders. `None` when all differ by more.
pub fn case_collision<'a>(
    paths: impl Iterator<Item = &'a RepoPath> + Clone,
) -> Option<(&'a RepoPath, &'a RepoPath)> {
    // Most listings have none: hashes show that, and need less memory than a second copy of all paths.
    let (state, mut hashes) = (RandomState::new(), HashSet::new());
    let may_collide = paths
        .clone()
        .any(|path| !hashes.insert(state.hash_one(path.as_str().to_lowercase())));
    if !may_collide {
        return None;
    }
    drop(hashes);
    let mut seen: HashMap<String, &RepoPath> = HashMap::new();
    for path in paths {
        if let Some(other) = seen.insert(path.as_str().to_lowercase(), path) {
            return Some((other, path));
        }
    }
    None
}

#[cfg(test)]
impl FileEntry {
    /// A file in Git.
    pub fn in_git(size: u64) -> FileEntry {
        FileEntry {
            size,
            blob_id: [0xaa; 20].into(),
            lfs: None,
            xet_hash: None,
        }
    }

    /// A file in Xet storage.
    pub fn in_xet(size: u64) -> FileEntry {
        FileEntry {
            lfs: Some(Lfs {
                sha256: [0xbb; 32].into(),
                size,
            }),
            xet_hash: Some("c".repeat(64).into()),
            ..FileEntry::in_git(size)
        }
    }
}

#[cfg(test)]
mod tests;
