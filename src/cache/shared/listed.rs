//! Payloads that a listing names in a repository which has no link to them.
//!
//! A copy that leaves links out leaves the store and the listings: the manifests of the payloads then
//! name no link that is there, and still they are what the repository consists of.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Payload;
use crate::cache::expected::all_listings;
use crate::cache::layout::{self, RepoLayout};
use crate::types::CacheId;

/// A payload without users that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What stays.
    pub payload: Payload,
    /// The repository whose listing names it.
    pub repo: CacheId,
}

/// Sorts payloads without users into those that may go and those that a listing still names where
/// the repository has no file of its own. `is_going` is asked with the name of a repository's folder
/// and of a blob: whether that blob is about to be removed, so that its listing does not count. Reads
/// the listings of all repositories, unless there are no payloads. When the cache cannot be read,
/// none may go.
pub fn split_listed(
    root: &Path,
    payloads: Vec<Payload>,
    is_going: impl Fn(&[u8], &str) -> bool,
) -> (Vec<Payload>, Vec<Listed>) {
    if payloads.is_empty() {
        return (payloads, Vec::new());
    }
    let wanted: HashSet<&str> = payloads.iter().map(|p| p.hash.as_str()).collect();
    let mut named: HashMap<String, CacheId> = HashMap::new();
    let Ok(entries) = std::fs::read_dir(root) else {
        return (Vec::new(), Vec::new());
    };
    for folder in entries.flatten().map(|entry| entry.file_name()) {
        let Some(id) = layout::parse_repo_folder_name(&folder.to_string_lossy()) else {
            continue;
        };
        let repo = RepoLayout::of_folder(root, folder.as_encoded_bytes());
        for (_, listing) in all_listings(&repo) {
            for entry in listing.values() {
                let hash = entry.xet_hash.as_deref();
                let Some(hash) = hash.filter(|hash| wanted.contains(hash)) else {
                    continue;
                };
                let checksum = entry.checksum();
                let blob = repo.blob(&checksum);
                let has_own = blob.symlink_metadata().is_ok_and(|meta| meta.is_file());
                if !has_own && !is_going(folder.as_encoded_bytes(), checksum.etag()) {
                    named.entry(hash.to_owned()).or_insert_with(|| id.clone());
                }
            }
        }
    }
    let (mut free, mut listed) = (Vec::new(), Vec::new());
    for payload in payloads {
        match named.remove(&payload.hash) {
            Some(repo) => listed.push(Listed { payload, repo }),
            None => free.push(payload),
        }
    }
    (free, listed)
}
