//! Whether a file with the name of a content can be that content, judged by its length.
//!
//! A power cut or a full disk leaves files that are empty or short, in the cache as anywhere. Their
//! names do not show it, and hashing everything at every download would take longer than many
//! downloads. The length costs one system call and finds nearly all of them.

use std::fs;
use std::path::Path;

use crate::sys::open_regular;
use crate::types::hash::ContentHasher;
use crate::types::listing::Checksum;

/// Length of a content, as the Hub gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// From a listing, or from the header that is made for it.
    Sure(u64),
    /// From `Content-Length` of an answer without a body, which some servers send as 0 or as the
    /// length of a compressed body. The hash decides.
    Said(u64),
    /// The Hub did not say.
    Unknown,
}

impl Length {
    /// Length in the answer to a HEAD request. For what is in large-file storage there is a header
    /// of its own, and it is never compressed.
    pub fn of_head(checksum: &Checksum, size: Option<u64>) -> Length {
        match (checksum, size) {
            (_, None) => Length::Unknown,
            (Checksum::Sha256(_), Some(size)) if size > 0 => Length::Sure(size),
            // Nothing else has this hash, so there is nothing to ask for.
            (_, Some(0)) if is_of_nothing(checksum) => Length::Sure(0),
            (_, Some(size)) => Length::Said(size),
        }
    }

    /// The length when it is sure, in bytes.
    pub fn sure(self) -> Option<u64> {
        match self {
            Length::Sure(size) => Some(size),
            Length::Said(_) | Length::Unknown => None,
        }
    }

    /// The length as it was said, in bytes.
    pub fn said(self) -> Option<u64> {
        match self {
            Length::Sure(size) | Length::Said(size) => Some(size),
            Length::Unknown => None,
        }
    }
}

/// Whether a hash is that of no bytes at all.
fn is_of_nothing(checksum: &Checksum) -> bool {
    !matches!(checksum, Checksum::Unknown(_)) && ContentHasher::new(checksum, Some(0)).matches()
}

/// Files up to this length, in bytes, are hashed where their length is not sure: it takes a
/// millisecond or two.
const QUICK: u64 = 1 << 20;

/// Whether the file at `path`, through links, can be the content: `None` when there is no file. Where
/// the length is not sure, the hash of the file decides, which takes a moment: such files are small.
pub fn is_whole(path: &Path, checksum: &Checksum, length: Length) -> Option<bool> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(match length {
        Length::Unknown => true,
        Length::Sure(size) => found.len() == size,
        Length::Said(size) if matches!(checksum, Checksum::Unknown(_)) => {
            found.len() > 0 || size == 0
        }
        Length::Said(size) if found.len() == size && size > QUICK => true,
        Length::Said(_) => has_hash(path, checksum, found.len()),
    })
}

/// Whether a file of `length` bytes has the hash. One that cannot be read has not.
pub fn has_hash(path: &Path, checksum: &Checksum, length: u64) -> bool {
    let mut hasher = ContentHasher::new(checksum, Some(length));
    let read = open_regular(path).and_then(|file| hasher.update_from(file));
    read.is_ok() && hasher.matches()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        // `printf hello | git hash-object --stdin`, and the same for nothing.
        let hello = Checksum::from_etag("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0").unwrap();
        let empty = Checksum::from_etag("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap();
        let odd = Checksum::Unknown("odd".into());
        assert_eq!(is_whole(&path, &hello, Length::Sure(5)), None);
        assert_eq!(is_whole(folder.path(), &hello, Length::Unknown), None);
        for (content, checksum, length, expected) in [
            ("hello", &hello, Length::Sure(5), true),
            ("hell", &hello, Length::Sure(5), false),
            ("", &hello, Length::Sure(5), false),
            ("hello", &hello, Length::Said(0), true),
            ("hello", &hello, Length::Said(3), true),
            ("", &hello, Length::Said(5), false),
            ("hell", &hello, Length::Said(3), false),
            ("hell", &hello, Length::Said(4), false),
            ("", &empty, Length::Said(20), true),
            ("hell", &hello, Length::Unknown, true),
            ("hello", &odd, Length::Said(3), true),
            ("", &odd, Length::Said(3), false),
            ("", &odd, Length::Said(0), true),
        ] {
            fs::write(&path, content).unwrap();
            let found = is_whole(&path, checksum, length);
            assert_eq!(found, Some(expected), "{content:?} {length:?}");
        }
    }

    #[test]
    fn what_a_head_says() {
        let large = Checksum::Sha256([0xaa; 32].into());
        let small = Checksum::GitSha1([0xaa; 20].into());
        let empty = Checksum::from_etag("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap();
        let odd = Checksum::Unknown("odd".into());
        for (checksum, size, expected) in [
            (&large, Some(7), Length::Sure(7)),
            (&large, Some(0), Length::Said(0)),
            (&small, Some(7), Length::Said(7)),
            (&small, None, Length::Unknown),
            (&small, Some(0), Length::Said(0)),
            (&empty, Some(0), Length::Sure(0)),
            (&empty, Some(20), Length::Said(20)),
            (&odd, Some(0), Length::Said(0)),
        ] {
            assert_eq!(Length::of_head(checksum, size), expected);
        }
    }
}
