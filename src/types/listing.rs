//! What a repository holds at a commit: the common language of the Hub (which lists it), the cache
//! (which remembers it) and the download (which plans by it).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::types::{InvalidName, RepoPath, is_lower_hex};

/// How the content of a file is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// SHA-256 of the content: files in LFS or Xet storage.
    Sha256(String),
    /// Git's blob hash: SHA-1 of `blob <size>\0` and the content.
    GitSha1(String),
    /// The server gave an etag of another form (a mirror may): only the size can be checked.
    Unknown(String),
}

impl Checksum {
    /// What an etag promises: 64 hex digits are SHA-256, 40 are Git's hash
    /// (docs/reference.md#hashes). `None` when it could not even serve as a file name in `blobs/`.
    pub fn from_etag(etag: &str) -> Option<Checksum> {
        match etag.len() {
            64 if is_lower_hex(etag) => Some(Checksum::Sha256(etag.to_owned())),
            40 if is_lower_hex(etag) => Some(Checksum::GitSha1(etag.to_owned())),
            1..=128
                if !etag.starts_with('.')
                    && etag.bytes().all(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'"')
                    }) =>
            {
                Some(Checksum::Unknown(etag.to_owned()))
            }
            _ => None,
        }
    }

    /// The etag: the name of the blob in the cache.
    pub fn etag(&self) -> &str {
        match self {
            Checksum::Sha256(etag) | Checksum::GitSha1(etag) | Checksum::Unknown(etag) => etag,
        }
    }

    /// Whether nothing but the size can be checked.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Checksum::Unknown(_))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.etag())
    }
}

/// Large-file storage data of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lfs {
    /// SHA-256 of the content, 64 hex digits.
    pub sha256: String,
    /// Size of the content in bytes.
    pub size: u64,
}

/// One file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Size in bytes.
    pub size: u64,
    /// Git's hash of the file, or of its LFS pointer.
    pub blob_id: String,
    /// Set for files in LFS or Xet storage.
    pub lfs: Option<Lfs>,
    /// Set for files in Xet storage.
    pub xet_hash: Option<String>,
}

impl FileEntry {
    /// How this file's content is verified; its etag names the blob.
    pub fn checksum(&self) -> Checksum {
        match &self.lfs {
            Some(lfs) => Checksum::Sha256(lfs.sha256.clone()),
            None => Checksum::GitSha1(self.blob_id.clone()),
        }
    }
}

/// All files of a repository at a commit, by path. Files whose names cannot be stored here are kept
/// apart: most callers do not need them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    files: BTreeMap<RepoPath, FileEntry>,
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

    /// Adds a file under the name that the server gives it. Answers what was known of it before.
    pub fn add(&mut self, name: String, entry: FileEntry) -> Option<FileEntry> {
        match name.parse::<RepoPath>() {
            Ok(path) => self.files.insert(path, entry),
            Err(why) => {
                let before = self.refused.insert(name, Refused { why, entry });
                before.map(|before| before.entry)
            }
        }
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

impl Deref for Listing {
    type Target = BTreeMap<RepoPath, FileEntry>;

    fn deref(&self) -> &Self::Target {
        &self.files
    }
}

impl DerefMut for Listing {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.files
    }
}

impl FromIterator<(RepoPath, FileEntry)> for Listing {
    fn from_iter<I: IntoIterator<Item = (RepoPath, FileEntry)>>(files: I) -> Self {
        Listing {
            files: files.into_iter().collect(),
            refused: BTreeMap::new(),
        }
    }
}

impl<const N: usize> From<[(RepoPath, FileEntry); N]> for Listing {
    fn from(files: [(RepoPath, FileEntry); N]) -> Self {
        files.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Listing {
    type Item = (&'a RepoPath, &'a FileEntry);
    type IntoIter = std::collections::btree_map::Iter<'a, RepoPath, FileEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.files.iter()
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
    paths: impl Iterator<Item = &'a RepoPath>,
) -> Option<(&'a RepoPath, &'a RepoPath)> {
    let mut seen: HashMap<String, &RepoPath> = HashMap::new();
    for path in paths {
        if let Some(other) = seen.insert(path.as_str().to_lowercase(), path) {
            return Some((other, path));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<RepoPath> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn files_that_are_folders_too() {
        let entry = FileEntry {
            size: 1,
            blob_id: "a".repeat(40),
            lfs: None,
            xet_hash: None,
        };
        for (names, expected) in [
            (&["a", "b/c", "b/d/e", "b/d-e"][..], None),
            (&["a", "a-b", "a.b", "a/b"], Some(("a", "a/b"))),
            (
                &["x/y", "x/y-", "x/y/z/1", "x/y/z/2"],
                Some(("x/y", "x/y/z/1")),
            ),
            (&["x/yy", "x/y/z"], None),
        ] {
            let listing: Listing = paths(names)
                .into_iter()
                .map(|path| (path, entry.clone()))
                .collect();
            let found = file_and_folder(&listing);
            let found = found.map(|(file, below)| (file.as_str(), below.as_str()));
            assert_eq!(found, expected, "{names:?}");
        }
    }

    #[test]
    fn names_that_cannot_be_stored_are_kept_apart() {
        let entry = |size| FileEntry {
            size,
            blob_id: "a".repeat(40),
            lfs: None,
            xet_hash: None,
        };
        let mut listing = Listing::new();
        for (size, name) in ["b", "../x", "a", "b/../c", "z\0"].into_iter().enumerate() {
            assert_eq!(listing.add(name.to_owned(), entry(size as u64)), None);
        }
        assert_eq!(listing.add("../x".to_owned(), entry(9)), Some(entry(1)));
        let stored: Vec<&str> = listing.keys().map(RepoPath::as_str).collect();
        assert_eq!(stored, ["a", "b"]);
        let all: Vec<&str> = listing.everything().map(|(name, _)| name).collect();
        assert_eq!(all, ["../x", "a", "b", "b/../c", "z\0"]);
    }

    #[test]
    fn names_that_differ_by_case() {
        for (names, expected) in [
            (&["A.txt", "a.txt"][..], true),
            (&["d/A", "D/a"], true),
            (&["É", "é"], true),
            (&["a", "b", "a/b", "ab"], false),
        ] {
            let paths = paths(names);
            assert_eq!(
                case_collision(paths.iter()).is_some(),
                expected,
                "{names:?}"
            );
        }
    }

    #[test]
    fn etags() {
        let (sha1, sha256) = ("a".repeat(40), "0".repeat(64));
        assert_eq!(
            Checksum::from_etag(&sha1),
            Some(Checksum::GitSha1(sha1.clone()))
        );
        assert_eq!(
            Checksum::from_etag(&sha256),
            Some(Checksum::Sha256(sha256.clone()))
        );
        assert!(matches!(
            Checksum::from_etag("d41d8-3"),
            Some(Checksum::Unknown(_))
        ));
        for bad in ["", "..", "a/b", ".x", "a b", "\u{e9}"] {
            assert_eq!(Checksum::from_etag(bad), None, "{bad}");
        }
    }
}
