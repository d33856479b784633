//! Unfinished downloads, one for each file that is downloaded: it may have several files on the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cache::layout::{PartialName, RepoLayout, parse_repo_folder_name};
use crate::cache::scan::report::Incomplete;
use crate::cache::trees;
use crate::types::CacheId;

/// The unfinished download of one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The repository; `None` for a file in the cache's root.
    pub repo: Option<CacheId>,
    /// The file with its bytes, or the largest of several.
    pub path: PathBuf,
    /// Bytes on the disk, all files together.
    pub kept: u64,
    /// Path in the repository, when a listing of the cache knows the content.
    pub name: Option<String>,
    /// Size of the content in bytes, when a listing knows it.
    pub total: Option<u64>,
}

/// Groups files by repository and content, and finds the names of the contents in the cache's listings.
pub fn unfinished(root: &Path, files: &[Incomplete]) -> Vec<Unfinished> {
    let mut groups: BTreeMap<(&[u8], &[u8]), Vec<&Incomplete>> = BTreeMap::new();
    for file in files {
        groups
            .entry((&file.folder, content(file)))
            .or_default()
            .push(file);
    }
    let mut known: BTreeMap<&[u8], BTreeMap<String, (String, u64)>> = BTreeMap::new();
    let mut found = Vec::new();
    for ((folder, etag), mut files) in groups {
        // What holds the bytes comes before the notes about them.
        files.sort_by_key(|file| {
            (
                file.name.ends_with(b"journal"),
                std::cmp::Reverse(file.size),
            )
        });
        let names = known.entry(folder).or_insert_with(|| match folder {
            [] => BTreeMap::new(),
            _ => names_of(&RepoLayout::of_folder(root, folder)),
        });
        let named = names.get(String::from_utf8_lossy(etag).as_ref());
        found.push(Unfinished {
            repo: parse_repo_folder_name(&String::from_utf8_lossy(folder)),
            path: files[0].path(root),
            kept: files.iter().map(|file| file.size).sum(),
            name: named.map(|(name, _)| name.clone()),
            total: named.map(|(_, size)| *size),
        });
    }
    found
}

/// What a file is a part of: the etag in its name, else its name.
pub(super) fn content(file: &Incomplete) -> &[u8] {
    let partial = PartialName::parse(&file.name);
    partial.map_or(file.name.as_slice(), |partial| partial.etag)
}

/// Path and size of each content that is listed and not in the cache, by etag. Several files can have one
/// content: the first name counts.
fn names_of(layout: &RepoLayout) -> BTreeMap<String, (String, u64)> {
    let listings = std::fs::read_dir(layout.trees())
        .into_iter()
        .flatten()
        .flatten();
    let mut names = BTreeMap::new();
    for listing in listings.filter_map(|entry| trees::read(&entry.path())) {
        for (path, entry) in &listing {
            let etag = entry.checksum().etag().to_string();
            if layout
                .blob_named(etag.as_bytes())
                .symlink_metadata()
                .is_err()
            {
                let size = entry.lfs.as_ref().map_or(entry.size, |lfs| lfs.size);
                names
                    .entry(etag)
                    .or_insert_with(|| (path.as_str().to_owned(), size));
            }
        }
    }
    names
}
