//! Names of unfinished downloads: ours and those of the programs that share the cache
//! (docs/reference.md#unfinished-downloads). Pure, but for the random part of a name.
//!
//! | name | written by |
//! | --- | --- |
//! | `<etag>.hf-sparse`, `<etag>.hf-journal` | this program: the file with holes, and what of it is there |
//! | `<etag>.<8 hex>.hf-sparse`, `….hf-journal` | this program, where locks do not work |
//! | `<etag>.hf-part`, `<etag>.hf-part-<k>` | its version 0.1: the file from its start, and from 16 MiB × `k` on |
//! | `<etag>.<8 hex>.incomplete` | the Python client of today, a new name for each attempt |
//! | `<etag>.incomplete` | the older Python client, the crate hf-hub 1.0, and `@huggingface/hub` |
//! | `<etag>.part`, `<etag>.sync.part` | the crate hf-hub up to 0.5 |
//! | `<etag>.downloadInProgress` | llama.cpp |

use std::path::{Path, PathBuf};

/// Ending of our unfinished downloads. Not `.incomplete`: see [`super`].
const OURS: &str = ".hf-sparse";
/// Ending of what says which bytes of one are there.
const JOURNAL: &str = ".hf-journal";
/// Ending of those of version 0.1.
const PREFIX: &str = ".hf-part";
/// Ending of those of the Python clients.
const INCOMPLETE: &str = ".incomplete";

/// The name of an unfinished download, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialName<'a> {
    /// The etag of the content that is downloaded.
    pub etag: &'a [u8],
    /// Which lock shows whether a process writes it.
    pub writer: Writer,
    /// Whether a later download by a program that we know continues it.
    pub is_resumed: bool,
}

/// What the program that writes an unfinished download does about locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// It holds `.locks/<repo>/<etag>.lock`: this program, and the Python client of today.
    Locks,
    /// It may hold `.locks/<repo>/<etag>.lock`, or no lock at all: `<etag>.incomplete` is the name
    /// that the older Python client (with the lock) and `@huggingface/hub` (without) give, and this
    /// program uses a random name on file systems without locks.
    MayLock,
    /// It may hold `blobs/<etag>.lock`: the crate hf-hub.
    MayLockBeside,
    /// It holds no lock: llama.cpp, and `tmpXXXXXXXX` of huggingface_hub 0.16 to 0.20.
    Never,
}

impl<'a> PartialName<'a> {
    /// Reads a name in `blobs/`; `None` when it is not that of an unfinished download.
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        let found = |etag, writer, is_resumed| {
            Some(PartialName {
                etag,
                writer,
                is_resumed,
            })
        };
        if let Some(etag) = stem_of_ours(name) {
            return match without_unique(etag) {
                Some(etag) => found(etag, Writer::MayLock, false),
                None => found(etag, Writer::Locks, true),
            };
        }
        let stem = |ending: &str| {
            let stem = name.strip_suffix(ending.as_bytes());
            stem.filter(|stem| !stem.is_empty())
        };
        if let Some(etag) = stem(INCOMPLETE) {
            return match without_unique(etag) {
                Some(etag) => found(etag, Writer::Locks, false),
                None => found(etag, Writer::MayLock, true),
            };
        }
        if let Some(etag) = stem(".sync.part").or_else(|| stem(".part")) {
            return found(etag, Writer::MayLockBeside, false);
        }
        found(stem(".downloadInProgress")?, Writer::Never, false)
    }

    /// Whether a name is that of an unfinished download of this program, of this version or 0.1.
    pub fn is_ours(name: &[u8]) -> bool {
        stem_of_ours(name).is_some()
    }

    /// `<stem>.hf-sparse`, the name that all processes share. The stem is an etag.
    pub fn common(stem: &str) -> String {
        format!("{stem}{OURS}")
    }

    /// `<stem>.incomplete`, the name of the older Python client.
    pub fn legacy(stem: &str) -> String {
        format!("{stem}{INCOMPLETE}")
    }

    /// The stem of a name that one of our unfinished downloads has, of this version or 0.1; `None` for
    /// segments and all other names.
    pub fn stem_of_ours(name: &str) -> Option<&str> {
        let endings = [OURS, JOURNAL, PREFIX];
        endings.iter().find_map(|ending| name.strip_suffix(ending))
    }

    /// The journal of a partial.
    pub fn journal_of(partial: &Path) -> PathBuf {
        partial.with_extension(&JOURNAL[1..])
    }

    /// Where version 0.1 has the content of a partial from its start.
    pub fn prefix_of(partial: &Path) -> PathBuf {
        partial.with_extension(&PREFIX[1..])
    }

    /// Beside a common partial, a path that no other process uses: `<etag>.<8 hex>.hf-sparse`.
    pub fn unique_beside(common: &Path) -> PathBuf {
        let stem = common.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}.{:08x}", fastrand::u32(..));
        common.with_file_name(PartialName::common(&name))
    }
}

/// What stands before the ending of one of ours, segments of version 0.1 included.
fn stem_of_ours(name: &[u8]) -> Option<&[u8]> {
    let ours = [
        (name, OURS),
        (name, JOURNAL),
        (without_segment(name), PREFIX),
    ];
    ours.into_iter().find_map(|(name, ending)| {
        name.strip_suffix(ending.as_bytes())
            .filter(|stem| !stem.is_empty())
    })
}

/// A name without the `-<k>` of a segment.
fn without_segment(name: &[u8]) -> &[u8] {
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let digits = name.iter().rev().take_while(is_digit).count();
    match name[..name.len() - digits].strip_suffix(b"-") {
        Some(stem) if digits > 0 => stem,
        _ => name,
    }
}

/// `<etag>` of `<etag>.<8 hex>`.
fn without_unique(stem: &[u8]) -> Option<&[u8]> {
    let dot = stem.len().checked_sub(9)?;
    let (etag, unique) = (&stem[..dot], &stem[dot + 1..]);
    let is_unique = stem[dot] == b'.' && unique.iter().all(u8::is_ascii_hexdigit);
    (is_unique && !etag.is_empty()).then_some(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_of_unfinished_downloads() {
        for (name, expected) in [
            ("abc.incomplete", Some("abc")),
            ("abc.1234abcd.incomplete", Some("abc")),
            ("abc.1234abc.incomplete", Some("abc.1234abc")),
            ("d41d8-3.x.incomplete", Some("d41d8-3.x")),
            ("abc.hf-sparse", Some("abc")),
            ("abc.hf-journal", Some("abc")),
            ("abc.1234abcd.hf-journal", Some("abc")),
            ("abc.hf-sparse-1", None),
            (".hf-sparse", None),
            ("abc.hf-part", Some("abc")),
            ("abc.hf-part-0", Some("abc")),
            ("abc.hf-part-12", Some("abc")),
            ("d41d8-3.hf-part", Some("d41d8-3")),
            ("abc.hf-part-", None),
            ("abc-12", None),
            ("abc", None),
            ("12", None),
            ("", None),
        ] {
            let found = PartialName::parse(name.as_bytes()).map(|partial| partial.etag);
            assert_eq!(found, expected.map(str::as_bytes), "{name}");
            let is_ours = expected.is_some() && name.contains(".hf-");
            assert_eq!(PartialName::is_ours(name.as_bytes()), is_ours, "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let common = PathBuf::from("/c").join(PartialName::common("abc"));
        assert_eq!(common, Path::new("/c/abc.hf-sparse"));
        for (name, stem) in [
            ("abc.hf-sparse", Some("abc")),
            ("abc.hf-journal", Some("abc")),
            ("abc.hf-part", Some("abc")),
            ("abc.hf-part-1", None),
            ("abc", None),
        ] {
            assert_eq!(PartialName::stem_of_ours(name), stem, "{name}");
        }
        let unique = PartialName::unique_beside(&common);
        assert_ne!(unique, common);
        assert_eq!(PartialName::prefix_of(&common), Path::new("/c/abc.hf-part"));
        for (path, writer, is_resumed) in [
            (common.clone(), Writer::Locks, true),
            (PartialName::journal_of(&common), Writer::Locks, true),
            (PartialName::prefix_of(&common), Writer::Locks, true),
            (unique.clone(), Writer::MayLock, false),
            (PartialName::journal_of(&unique), Writer::MayLock, false),
        ] {
            let name = path.file_name().unwrap().as_encoded_bytes();
            let read = PartialName::parse(name).unwrap();
            assert_eq!((read.etag, read.writer), (&b"abc"[..], writer), "{path:?}");
            assert_eq!(read.is_resumed, is_resumed, "{path:?}");
        }
    }
}
