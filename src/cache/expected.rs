//! The size that a blob should have. The listings of its repository have it (`trees/`), and its name
//! says whether it may be empty.
//!
//! A complete blob is recognized by its name alone. After a power cut or on a full disk its size is
//! what is wrong, and checking the size is cheap.

use super::layout::RepoLayout;
use super::trees;
use crate::sys::dir::is_absent;
use crate::types::listing::{Checksum, Listing};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

/// Git's hash and the SHA-256 of nothing: the names of empty blobs.
const OF_NOTHING: [&str; 2] = [
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Sizes of blobs in bytes, by name, as listings promise them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// `None` where two listings say different things: then neither counts.
    sizes: HashMap<Checksum, Option<u64>>,
}

impl Expected {
    /// The sizes in these listings. Pure.
    pub fn of<'a>(listings: impl IntoIterator<Item = &'a Listing>) -> Expected {
        let mut sizes: HashMap<Checksum, Option<u64>> = HashMap::new();
        for entry in listings.into_iter().flat_map(|listing| listing.values()) {
            let size = entry.lfs.as_ref().map_or(entry.size, |lfs| lfs.size);
            let known = sizes.entry(entry.checksum());
            let known = known.or_insert(Some(size));
            if *known != Some(size) {
                *known = None;
            }
        }
        Expected { sizes }
    }

    /// The sizes in all stored listings of a repository that can be read.
    pub fn read(repo: &RepoLayout) -> Expected {
        Expected::of(all_listings(repo).read.iter().map(|(_, listing)| listing))
    }

    /// Bytes that a blob should have.
    pub fn size(&self, etag: &str) -> Option<u64> {
        self.sizes
            .get(&Checksum::from_etag(etag)?)
            .copied()
            .flatten()
    }

    /// Whether a listing names this blob.
    #[cfg(test)]
    pub fn names(&self, etag: &str) -> bool {
        Checksum::from_etag(etag).is_some_and(|sum| self.sizes.contains_key(&sum))
    }

    /// Whether a blob of `size` bytes cannot be what its name says.
    pub fn is_wrong(&self, etag: &str, size: u64) -> bool {
        match self.size(etag) {
            Some(expected) => expected != size,
            None => size == 0 && !may_be_empty(etag),
        }
    }
}

/// Whether the hash in the name of a blob can be that of an empty file. A name that is no hash does
/// not exclude it.
fn may_be_empty(etag: &str) -> bool {
    OF_NOTHING.contains(&etag)
        || !matches!(
            Checksum::from_etag(etag),
            Some(Checksum::Sha256(_) | Checksum::GitSha1(_))
        )
}

/// The listings in a repository's folder.
#[derive(Debug, Default)]
pub struct Listings {
    /// Those that can be read, by commit.
    pub read: Vec<(String, Listing)>,
    /// Paths of those that cannot: damaged, of a later format, or not accessible. The path of the
    /// folder when that cannot be read.
    pub unreadable: Vec<PathBuf>,
}

/// Reads the listings in a repository's folder.
pub fn all_listings(repo: &RepoLayout) -> Listings {
    let mut all = Listings::default();
    let folder = repo.trees();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            if !is_absent(&error) {
                all.unreadable.push(folder);
            }
            return all;
        }
    };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(commit) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        match trees::read(&path) {
            Some(listing) => all.read.push((commit.to_owned(), listing)),
            None if path.symlink_metadata().is_ok() => all.unreadable.push(path),
            // Removed just now.
            None => {}
        }
    }
    all.read.sort_by(|a, b| a.0.cmp(&b.0));
    all.unreadable.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::digest::Digest;
    use crate::types::listing::{FileEntry, Lfs};

    fn entry(blob_id: &str, size: u64, lfs: Option<(&str, u64)>) -> FileEntry {
        FileEntry {
            size,
            blob_id: Digest::from_hex(blob_id).unwrap(),
            lfs: lfs.map(|(sha256, size)| Lfs {
                sha256: Digest::from_hex(sha256).unwrap(),
                size,
            }),
            xet_hash: None,
        }
    }

    #[test]
    fn sizes_of_listings_and_of_nothing() {
        let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(64));
        let listing = |rows: Vec<(&str, FileEntry)>| -> Listing {
            let rows = rows.into_iter();
            rows.map(|(path, entry)| (path.parse().unwrap(), entry))
                .collect()
        };
        let first = listing(vec![
            ("a", entry(&a, 3, None)),
            ("b", entry(&b, 5, None)),
            ("c", entry(&a, 130, Some((&c, 9)))),
        ]);
        let second = listing(vec![("x", entry(&a, 3, None)), ("b", entry(&b, 6, None))]);
        let expected = Expected::of([&first, &second]);
        let unknown = "d".repeat(40);
        for (etag, size, is_wrong) in [
            (a.as_str(), 3, false),
            (&a, 4, true),
            (&a, 0, true),
            (&c, 9, false),
            (&c, 130, true),
            // Two listings that contradict each other prove nothing; emptiness does.
            (&b, 5, false),
            (&b, 7, false),
            (&b, 0, true),
            (&unknown, 1, false),
            (&unknown, 0, true),
            ("d41d8-3", 0, false),
            (OF_NOTHING[0], 0, false),
            (OF_NOTHING[1], 0, false),
        ] {
            assert_eq!(expected.is_wrong(etag, size), is_wrong, "{etag} {size}");
        }
        assert!(expected.names(&b) && !expected.names(&unknown));
        assert_eq!((expected.size(&a), expected.size(&b)), (Some(3), None));
    }
}
