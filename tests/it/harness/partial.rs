//! Unfinished downloads of ours.

use std::fs;
use std::path::{Path, PathBuf};

use hf_cli::testing::{Checksum, PartialName, adopt_prefix, noted};

use super::tree::tree_of;

/// Whether a listing has any file of an unfinished download of ours.
pub fn is_any_left(listing: &str) -> bool {
    [".hf-sparse", ".hf-journal", ".hf-part"]
        .iter()
        .any(|ending| listing.contains(ending))
}

/// Leaves the first bytes of a content as an earlier attempt would have.
pub fn plant(blobs: &Path, etag: &str, size: Option<u64>, start: &[u8]) -> PathBuf {
    fs::create_dir_all(blobs).unwrap();
    let partial = blobs.join(PartialName::common(etag));
    let prefix = blobs.join("planted");
    fs::write(&prefix, start).unwrap();
    let checksum = Checksum::from_etag(etag).unwrap();
    adopt_prefix(&prefix, &partial, &checksum, size).unwrap();
    partial
}

/// The unfinished downloads below a folder.
pub fn all_below(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    let nodes = tree_of(folder).into_iter();
    let nodes = nodes.filter(|node| node.path.ends_with(".hf-sparse"));
    nodes.map(|node| folder.join(node.path)).collect()
}

/// Bytes that the unfinished downloads below a folder have by their journals.
pub fn kept_below(folder: impl AsRef<Path>) -> u64 {
    all_below(folder).iter().map(|partial| kept(partial)).sum()
}

/// Bytes that an unfinished download has by its journal.
pub fn kept(partial: &Path) -> u64 {
    noted(partial)
        .iter()
        .map(|range| range.end - range.start)
        .sum()
}
