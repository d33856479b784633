//! The shared blob store: one file for all repositories of a cache that have the same content.
//!
//! # The protocol on disk
//!
//! `<root>/blobs/` is a store when it holds the marker `.huggingface-shared-blobs` with the text
//! `1\n`; without it the folder belongs to another program and is left alone. A shared blob is the
//! regular file `<xx>/<xet hash>`; a repository's `blobs/<etag>` is then a relative link to it. The
//! manifest `<xet hash>.refs` names the links, one a line, and is written *before* a link shows, so
//! that it names at least all of them. It is only a hint: a line counts when the link really exists.
//! Without a readable manifest the users of a shared blob are unknown, and it stays. `<xet
//! hash>.lock` is held with `flock(2)` while any of this changes.
//!
//! # How a blob gets there
//!
//! Only files fetched from Xet storage are published. The file first becomes the
//! repository's own blob, then, under the shared blob's lock, its name goes into the manifest, the blob
//! is made read-only and moved into the store, and a link takes its place. A process killed between
//! two of these steps leaves a plain blob, or a shared blob without users that the next download links
//! to; both are states that the Python client leaves and knows. A blob that is there already is not
//! published later. The store is optional: whatever prevents its use (permissions, no locks,
//! no links) leaves a plain blob and is no error.
//!
//! # What is trusted
//!
//! A shared blob is named by its Xet hash, which is not the hash that the Hub promises for the file,
//! and other programs and users write there. The Python client looks at the size alone. Here a
//! shared blob becomes a blob after all of it was hashed and found to be what the etag says. That
//! costs reading the file once for each repository, at more than a gigabyte a second, and replaces a
//! download. There is no later check, and a wrong shared blob would be wrong in all repositories.
//!
//! A shared blob that fails this is never linked. It is replaced only by content whose Xet hash was
//! computed and is the shared blob's name. Otherwise it stays as it is, and the repository keeps a
//! plain blob: a Hub that sends a wrong Xet hash for a file cannot damage other files.
//!
//! Source: docs/reference.md#shared-blob-store, checked against huggingface_hub 2.4.0 by the tests.

mod entry;
mod listed;
mod manifest;
mod permissions;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{self, SHARED, SHARED_MARKER};
use crate::sys::dir::{Buffers, Dir, EntryKind, path_of};
use crate::types::is_lower_hex;
pub use entry::{Entry, Linked};
pub use listed::{Listed, Split, split_listed};
pub use manifest::{LARGEST_MANIFEST, unused, users, write_manifest};

/// Content of the marker: the version of the layout.
pub const MARKER_CONTENT: &[u8] = b"1\n";
/// Digits of a xet hash.
const HASH_DIGITS: usize = 64;

/// The store's shared blobs.
#[derive(Debug, Default)]
pub struct Store {
    /// By hash.
    pub shared_blobs: Vec<SharedBlob>,
    by_hash: HashMap<[u8; HASH_DIGITS], u32>,
}

/// One file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedBlob {
    /// Its xet hash, 64 hex digits.
    pub hash: String,
    /// Bytes.
    pub size: u64,
}

impl SharedBlob {
    /// `blobs/<xx>/<hash>`, relative to the cache's root.
    pub fn place(&self) -> PathBuf {
        Path::new(SHARED).join(&self.hash[..2]).join(&self.hash)
    }
}

impl Store {
    /// Reads which shared blobs there are. `None` when the cache has no store. What cannot be read
    /// counts as not there, as for the Python client.
    pub fn scan(root: &Dir, buffers: &mut Buffers) -> Option<Store> {
        if !is_store(root) {
            return None;
        }
        let mut store = Store::default();
        let folder = root.open_below(SHARED).ok()?;
        let mut prefixes: Vec<Vec<u8>> = Vec::new();
        let listed: io::Result<()> = folder.for_each(buffers, |name, kind, _| {
            let name = name.to_bytes();
            if kind == EntryKind::Folder && name.len() == 2 && is_hex(name) {
                prefixes.push(name.to_vec());
            }
            Ok(())
        });
        listed.ok();
        for prefix in prefixes {
            let Ok(folder) = folder.open_below(prefix.as_slice()) else {
                continue;
            };
            let listed: io::Result<()> = folder.for_each(buffers, |name, kind, _| {
                let bytes = name.to_bytes();
                if kind == EntryKind::File && is_hash(bytes) && bytes.starts_with(&prefix) {
                    let size = folder.stat(name, false)?.size;
                    let hash = String::from_utf8_lossy(bytes).into_owned();
                    store.shared_blobs.push(SharedBlob { hash, size });
                }
                Ok(())
            });
            listed.ok();
        }
        store.shared_blobs.sort_by(|a, b| a.hash.cmp(&b.hash));
        for (index, shared_blob) in store.shared_blobs.iter().enumerate() {
            let key: [u8; HASH_DIGITS] = shared_blob.hash.as_bytes().try_into().expect("64 digits");
            store
                .by_hash
                .insert(key, u32::try_from(index).expect("few shared blobs"));
        }
        Some(store)
    }

    /// The shared blob that a link in a repository's `blobs/` means, given where it points. `blobs` is
    /// the absolute path of the folder that holds the link.
    pub fn shared_blob_of_link(&self, root: &Path, blobs: &Path, target: &[u8]) -> Option<u32> {
        let absolute = layout::normalize(&blobs.join(path_of(target)));
        self.shared_blob_at(root, &absolute)
    }

    /// The shared blob at an absolute path.
    pub fn shared_blob_at(&self, root: &Path, path: &Path) -> Option<u32> {
        let rest = path.strip_prefix(root).ok()?.strip_prefix(SHARED).ok()?;
        let mut parts = rest.iter().map(|part| part.as_encoded_bytes());
        let (prefix, hash) = (parts.next()?, parts.next()?);
        if parts.next().is_some() || !hash.starts_with(prefix) || prefix.len() != 2 {
            return None;
        }
        let hash: &[u8; HASH_DIGITS] = hash.try_into().ok()?;
        self.by_hash.get(hash).copied()
    }
}

/// Whether the cache has a store, owned by us and of a known version.
pub fn is_store(root: &Dir) -> bool {
    let marker = format!("{SHARED}/{SHARED_MARKER}");
    let is = |name: &str, kind| {
        root.stat(name, false)
            .is_ok_and(|stat: crate::sys::dir::Stat| stat.kind == kind)
    };
    is(SHARED, EntryKind::Folder)
        && is(&marker, EntryKind::File)
        && root
            .read(marker.as_str(), MARKER_CONTENT.len() + 1)
            .is_ok_and(|content| content == MARKER_CONTENT)
}

fn is_hex(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(is_lower_hex)
}

fn is_hash(name: &[u8]) -> bool {
    name.len() == HASH_DIGITS && is_hex(name)
}

/// The hash in the path of a shared blob, `…/<xx>/<hash>`; `None` for any other path.
pub fn hash_in(place: &Path) -> Option<&str> {
    let hash = place.file_name()?.to_str()?;
    let prefix = place.parent()?.file_name()?.to_str()?;
    let is_shared_blob = is_hash(hash.as_bytes()) && prefix.len() == 2 && hash.starts_with(prefix);
    is_shared_blob.then_some(hash)
}

/// The manifest beside a shared blob.
pub fn manifest_of(place: &Path) -> PathBuf {
    with_suffix(place, ".refs")
}

/// The lock file beside a shared blob.
pub fn lock_of(place: &Path) -> PathBuf {
    with_suffix(place, ".lock")
}

fn with_suffix(place: &Path, suffix: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_folder_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open(folder.path()).unwrap();
        let marker = folder.path().join(SHARED).join(SHARED_MARKER);
        assert!(!is_store(&root));
        std::fs::create_dir(folder.path().join(SHARED)).unwrap();
        assert!(!is_store(&root));
        for (text, expected) in [
            ("2\n", false),
            ("1", false),
            ("1\n\n", false),
            ("1\n", true),
        ] {
            std::fs::write(&marker, text).unwrap();
            assert_eq!(is_store(&root), expected, "{text:?}");
        }
    }
}
