//! What a name in the `blobs/` of a repository says about the file: which program wrote it, and which
//! lock the writer holds. Pure.
//!
//! Several programs download into the same cache, and each has its own names for unfinished files
//! (docs/reference.md#unfinished-downloads). A name of no known form belongs to another program and
//! never counts as an orphan: only a name in the form of an etag can be a blob.

use super::layout::PartialName;

/// What a name in `blobs/` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobName<'a> {
    /// Complete content, named by its etag.
    Blob,
    /// An unfinished download.
    Partial(PartialName<'a>),
    /// A lock file of the crate hf-hub, which has them beside the blobs.
    Lock,
    /// A file or link that will be renamed in a moment: ours, and the Python client's.
    Staging,
    /// A file that operating systems leave in every folder.
    Stray,
    /// Anything else.
    Unknown,
}

/// What a name in `blobs/` means.
pub fn blob_name(name: &[u8]) -> BlobName<'_> {
    if is_stray(name) {
        return BlobName::Stray;
    }
    if is_staging(name) {
        return BlobName::Staging;
    }
    if let Some(partial) = PartialName::parse(name) {
        return BlobName::Partial(partial);
    }
    match name.strip_suffix(b".lock") {
        Some(stem) if !stem.is_empty() => BlobName::Lock,
        _ if is_etag(name) => BlobName::Blob,
        _ => BlobName::Unknown,
    }
}

/// Whether a file or link will be renamed when it is complete: ours (`.hf-….tmp`), and links into
/// the shared store, ours and the Python client's (`.<etag>.….shared`).
pub fn is_staging(name: &[u8]) -> bool {
    name.starts_with(b".hf-") && name.ends_with(b".tmp")
        || name.starts_with(b".") && name.ends_with(b".shared")
}

/// Whether a name in the cache's root is that of an unfinished download of huggingface_hub 0.16 to
/// 0.20: what Python's `tempfile` calls a file, `tmp` and eight of `a-z0-9_`.
pub fn is_root_partial(name: &[u8]) -> bool {
    let random = name.strip_prefix(b"tmp").unwrap_or_default();
    let is_random = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
    random.len() == 8 && random.iter().all(is_random)
}

/// Whether a name has the form of an etag: a SHA-1 or SHA-256 in hex, or what S3 gives, an MD5 with
/// or without a number of parts.
fn is_etag(name: &[u8]) -> bool {
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    match name.len() {
        40 | 64 => is_hex(name),
        0..32 => false,
        _ => {
            let (md5, parts) = name.split_at(32);
            let is_count =
                |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            is_hex(md5) && (parts.is_empty() || parts.strip_prefix(b"-").is_some_and(is_count))
        }
    }
}

/// Names of files that operating systems leave in every folder.
const STRAY: [&[u8]; 3] = [b".DS_Store", b"Thumbs.db", b"desktop.ini"];

/// Whether a file is one that operating systems leave in every folder.
pub fn is_stray(name: &[u8]) -> bool {
    STRAY.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::layout::Writer;

    #[test]
    fn names() {
        let (sha1, sha256) = ("ab".repeat(20), "0c".repeat(32));
        let partial = |writer, is_resumed| {
            BlobName::Partial(PartialName {
                etag: b"E",
                writer,
                is_resumed,
            })
        };
        for (name, expected) in [
            (sha1.as_str(), BlobName::Blob),
            (&sha256, BlobName::Blob),
            ("d41d8cd98f00b204e9800998ecf8427e", BlobName::Blob),
            ("d41d8cd98f00b204e9800998ecf8427e-12", BlobName::Blob),
            ("d41d8cd98f00b204e9800998ecf8427e-", BlobName::Unknown),
            ("d41d8cd98f00b204e9800998ecf8427e-x", BlobName::Unknown),
            ("d41d8cd98f00b204e9800998ecf8427g", BlobName::Unknown),
            (&sha1[1..], BlobName::Unknown),
            ("E.hf-sparse", partial(Writer::Locks, true)),
            ("E.hf-journal", partial(Writer::Locks, true)),
            ("E.hf-part", partial(Writer::Locks, true)),
            ("E.hf-part-3", partial(Writer::Locks, true)),
            ("E.0123abcd.hf-sparse", partial(Writer::MayLock, false)),
            ("E.0123abcd.hf-part-3", partial(Writer::MayLock, false)),
            ("E.0123abcd.incomplete", partial(Writer::Locks, false)),
            ("E.incomplete", partial(Writer::MayLock, true)),
            ("E.part", partial(Writer::MayLockBeside, false)),
            ("E.sync.part", partial(Writer::MayLockBeside, false)),
            ("E.downloadInProgress", partial(Writer::Never, false)),
            ("E.lock", BlobName::Lock),
            (".lock", BlobName::Unknown),
            (".part", BlobName::Unknown),
            (".hf-0123.tmp", BlobName::Staging),
            (".E.hf.shared", BlobName::Staging),
            (".DS_Store", BlobName::Stray),
            ("notes.txt", BlobName::Unknown),
            ("E.tmp", BlobName::Unknown),
            ("", BlobName::Unknown),
        ] {
            assert_eq!(blob_name(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn temporary_files_in_the_root() {
        for (name, expected) in [
            ("tmpa1b2_3d4", true),
            ("tmp________", true),
            ("tmpa1b2_3d", false),
            ("tmpa1b2_3d45", false),
            ("tmpA1b2_3d4", false),
            ("a1b2_3d4", false),
            ("tmp", false),
        ] {
            assert_eq!(is_root_partial(name.as_bytes()), expected, "{name}");
        }
    }
}
