//! What a repository holds at a commit: the common language of the Hub (which lists it), the cache
//! (which remembers it) and the download (which plans by it).

use std::collections::BTreeMap;
use std::fmt;

use crate::repo::{RepoPath, is_lower_hex};

/// How the content of a file is proven right.
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
    /// What an etag promises: 64 hex digits are SHA-256, 40 are Git's hash (REFERENCE 4). `None`
    /// when it could not even serve as a file name in `blobs/`.
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
    /// How this file's content is proven right; its etag names the blob.
    pub fn checksum(&self) -> Checksum {
        match &self.lfs {
            Some(lfs) => Checksum::Sha256(lfs.sha256.clone()),
            None => Checksum::GitSha1(self.blob_id.clone()),
        }
    }
}

/// All files of a repository at a commit, by path.
pub type Listing = BTreeMap<RepoPath, FileEntry>;

#[cfg(test)]
mod tests {
    use super::*;

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
