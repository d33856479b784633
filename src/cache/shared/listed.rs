//! Shared blobs that a listing names in a repository which has no link to them.
//!
//! When a cache is copied without its links, the store and the listings remain. The manifests then name
//! no link that exists, but the shared blobs are still the content of the repository.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::SharedBlob;
use crate::cache::expected::all_listings;
use crate::cache::layout::{self, RepoLayout};
use crate::types::CacheId;
use crate::types::digest::XetHash;

/// A shared blob without users that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What stays.
    pub shared_blob: SharedBlob,
    /// The repository whose listing names it, or may.
    pub repo: CacheId,
    /// Whether the listing can be read. Otherwise it may name any shared blob.
    pub is_certain: bool,
}

/// Shared blobs without users, split by what listings say.
#[derive(Debug, Default)]
pub struct Split {
    /// No listing that can be read needs them.
    pub free: Vec<SharedBlob>,
    /// A listing names them.
    pub listed: Vec<Listed>,
    /// A repository with a listing that cannot be read: it may name any of `free`.
    pub in_doubt: Option<CacheId>,
}

impl Split {
    /// What can be removed, and what stays: in doubt, everything stays.
    pub fn without_doubt(self) -> (Vec<SharedBlob>, Vec<Listed>) {
        let (free, mut listed) = (self.free, self.listed);
        let Some(repo) = self.in_doubt else {
            return (free, listed);
        };
        listed.extend(free.into_iter().map(|shared_blob| Listed {
            shared_blob,
            repo: repo.clone(),
            is_certain: false,
        }));
        (Vec::new(), listed)
    }
}

/// Splits shared blobs without users into those that can be removed and those that a listing still
/// names where the repository has no file of its own. `is_going` gets the name of a repository's
/// folder and of a blob, and says whether that blob is about to be removed: then its listing does
/// not count. It gets an empty name for the repository as a whole. Reads the listings of all
/// repositories, unless there are no shared blobs. When the cache cannot be read, none can be removed.
pub fn split_listed(
    root: &Path,
    shared_blobs: Vec<SharedBlob>,
    is_going: impl Fn(&[u8], &str) -> bool,
) -> Split {
    let mut split = Split::default();
    if shared_blobs.is_empty() {
        return split;
    }
    let wanted: HashSet<XetHash> = shared_blobs
        .iter()
        .map(|p| XetHash::from(p.hash.as_str()))
        .collect();
    let mut named: HashMap<String, CacheId> = HashMap::new();
    let Ok(entries) = std::fs::read_dir(root) else {
        return split;
    };
    for folder in entries.flatten().map(|entry| entry.file_name()) {
        let Some(id) = layout::parse_repo_folder_name(&folder.to_string_lossy()) else {
            continue;
        };
        let repo = RepoLayout::of_folder(root, folder.as_encoded_bytes());
        let listings = all_listings(&repo);
        if !listings.unreadable.is_empty() && !is_going(folder.as_encoded_bytes(), "") {
            split.in_doubt = Some(id.clone());
        }
        for (_, listing) in listings.read {
            for entry in listing.values() {
                let hash = entry.xet_hash.as_ref();
                let Some(hash) = hash.filter(|hash| wanted.contains(hash)) else {
                    continue;
                };
                let checksum = entry.checksum();
                let blob = repo.blob(&checksum);
                let has_own = blob.symlink_metadata().is_ok_and(|meta| meta.is_file());
                if !has_own && !is_going(folder.as_encoded_bytes(), &checksum.etag()) {
                    named
                        .entry(hash.text().to_string())
                        .or_insert_with(|| id.clone());
                }
            }
        }
    }
    for shared_blob in shared_blobs {
        match named.remove(&shared_blob.hash) {
            Some(repo) => split.listed.push(Listed {
                shared_blob,
                repo,
                is_certain: true,
            }),
            None => split.free.push(shared_blob),
        }
    }
    split
}
