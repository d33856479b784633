//! What a name in a repository's `blobs/` says about the file: whose it is, and which lock its writer
//! holds. Pure.
//!
//! Several programs download into the same cache, and each has names of its own for what is not
//! finished (docs/reference.md#unfinished-downloads). What has no known form is another program's
//! and never taken for an orphan: only what is named like an etag can be a blob.

use super::layout;

/// What a name in `blobs/` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobName<'a> {
    /// Complete content, named by its etag.
    Blob,
    /// An unfinished download.
    Partial(Partial<'a>),
    /// A lock file of the crate hf-hub, which has them beside the blobs.
    Lock,
    /// A file or link on its way to its own name, for moments only: ours, and the Python client's.
    Staging,
    /// What operating systems strew about.
    Stray,
    /// Anything else.
    Foreign,
}

/// An unfinished download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial<'a> {
    /// The etag of the content that is downloaded.
    pub etag: &'a [u8],
    /// How to find out whether somebody writes it.
    pub writer: Writer,
}

/// What the program that writes an unfinished download does about locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// It holds `.locks/<repo>/<etag>.lock`: this program, and the Python client of today.
    Locks,
    /// It may hold `.locks/<repo>/<etag>.lock`, or no lock at all: `<etag>.incomplete` is the name
    /// that the older Python client (with the lock) and `@huggingface/hub` (without) give, and this
    /// program has names for file systems without locks.
    MayLock,
    /// It may hold `blobs/<etag>.lock`: the crate hf-hub.
    MayLockBeside,
    /// It holds no lock: llama.cpp, and `tmpXXXXXXXX` of huggingface_hub 0.16 to 0.20.
    Never,
}

/// What a name in `blobs/` stands for.
pub fn blob_name(name: &[u8]) -> BlobName<'_> {
    if is_stray(name) {
        return BlobName::Stray;
    }
    let is_staging = name.starts_with(b".hf-") && name.ends_with(b".tmp")
        || name.starts_with(b".") && name.ends_with(b".shared");
    if is_staging {
        return BlobName::Staging;
    }
    if let Some(partial) = partial(name) {
        return BlobName::Partial(partial);
    }
    match name.strip_suffix(b".lock") {
        Some(stem) if !stem.is_empty() => BlobName::Lock,
        _ if is_etag(name) => BlobName::Blob,
        _ => BlobName::Foreign,
    }
}

/// The unfinished download that a name in `blobs/` stands for; `None` for any other name.
pub fn partial(name: &[u8]) -> Option<Partial<'_>> {
    let found = |etag, writer| Some(Partial { etag, writer });
    if let Some(etag) = layout::partial_etag(name) {
        return match without_unique(etag) {
            Some(etag) => found(etag, Writer::MayLock),
            None => found(etag, Writer::Locks),
        };
    }
    let stem = |ending: &[u8]| name.strip_suffix(ending).filter(|stem| !stem.is_empty());
    if let Some(etag) = stem(b".incomplete") {
        return match without_unique(etag) {
            Some(etag) => found(etag, Writer::Locks),
            None => found(etag, Writer::MayLock),
        };
    }
    if let Some(etag) = stem(b".sync.part").or_else(|| stem(b".part")) {
        return found(etag, Writer::MayLockBeside);
    }
    found(stem(b".downloadInProgress")?, Writer::Never)
}

/// Whether a name in the cache's root is that of an unfinished download of huggingface_hub 0.16 to
/// 0.20: what Python's `tempfile` calls a file, `tmp` and eight of `a-z0-9_`.
pub fn is_root_partial(name: &[u8]) -> bool {
    let random = name.strip_prefix(b"tmp").unwrap_or_default();
    let is_random = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
    random.len() == 8 && random.iter().all(is_random)
}

/// `<etag>` of `<etag>.<8 hex>`.
fn without_unique(stem: &[u8]) -> Option<&[u8]> {
    let dot = stem.len().checked_sub(9)?;
    let (etag, unique) = (&stem[..dot], &stem[dot + 1..]);
    let is_unique = stem[dot] == b'.' && unique.iter().all(u8::is_ascii_hexdigit);
    (is_unique && !etag.is_empty()).then_some(etag)
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

    #[test]
    fn names() {
        let (sha1, sha256) = ("ab".repeat(20), "0c".repeat(32));
        let partial = |writer| BlobName::Partial(Partial { etag: b"E", writer });
        for (name, expected) in [
            (sha1.as_str(), BlobName::Blob),
            (&sha256, BlobName::Blob),
            ("d41d8cd98f00b204e9800998ecf8427e", BlobName::Blob),
            ("d41d8cd98f00b204e9800998ecf8427e-12", BlobName::Blob),
            ("d41d8cd98f00b204e9800998ecf8427e-", BlobName::Foreign),
            ("d41d8cd98f00b204e9800998ecf8427e-x", BlobName::Foreign),
            ("d41d8cd98f00b204e9800998ecf8427g", BlobName::Foreign),
            (&sha1[1..], BlobName::Foreign),
            ("E.hf-part", partial(Writer::Locks)),
            ("E.hf-part-3", partial(Writer::Locks)),
            ("E.0123abcd.hf-part", partial(Writer::MayLock)),
            ("E.0123abcd.hf-part-3", partial(Writer::MayLock)),
            ("E.0123abcd.incomplete", partial(Writer::Locks)),
            ("E.incomplete", partial(Writer::MayLock)),
            ("E.part", partial(Writer::MayLockBeside)),
            ("E.sync.part", partial(Writer::MayLockBeside)),
            ("E.downloadInProgress", partial(Writer::Never)),
            ("E.lock", BlobName::Lock),
            (".lock", BlobName::Foreign),
            (".part", BlobName::Foreign),
            (".hf-0123.tmp", BlobName::Staging),
            (".E.hf.shared", BlobName::Staging),
            (".DS_Store", BlobName::Stray),
            ("notes.txt", BlobName::Foreign),
            ("E.tmp", BlobName::Foreign),
            ("", BlobName::Foreign),
        ] {
            assert_eq!(blob_name(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn etags_of_unfinished_downloads() {
        for (name, expected) in [
            ("abc.incomplete", "abc"),
            ("abc.1234abcd.incomplete", "abc"),
            ("abc.hf-part", "abc"),
            ("abc.1234abc.incomplete", "abc.1234abc"),
            ("d41d8-3.x.incomplete", "d41d8-3.x"),
        ] {
            let found = partial(name.as_bytes()).map(|partial| partial.etag);
            assert_eq!(found, Some(expected.as_bytes()), "{name}");
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
