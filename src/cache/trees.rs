//! `trees/<commit>.json`: the stored listing of a commit. A commit never changes, so a stored listing
//! is never stale. The text is byte for byte what huggingface_hub 2.4.0 writes.

use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::sys::{self, FsError, Mode};
use crate::types::digest::{Digest, XetHash};
use crate::types::listing::{FileEntry, Lfs, Listing, ListingBuilder, file_and_folder};

const FORMAT_VERSION: u64 = 1;

/// A stored listing larger than this, in bytes, is parsed while it is read. That is slower and does not
/// hold the text in memory: for a million files it is 300 MB.
const LARGE: u64 = 32 << 20;

#[derive(Deserialize)]
struct TreeFile {
    format_version: u64,
    files: Files,
}

#[derive(Deserialize)]
struct Entry {
    size: u64,
    blob_id: String,
    lfs_sha256: Option<String>,
    lfs_size: Option<u64>,
    xet_hash: Option<String>,
}

/// The files, checked one by one while they are parsed, so that nothing is in memory twice.
struct Files(Listing);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("files by path")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut listing = ListingBuilder::new();
                while let Some((path, entry)) = map.next_entry::<String, Entry>()? {
                    let entry = entry.check().ok_or_else(|| A::Error::custom("no hash"))?;
                    listing.add(&path, entry);
                }
                Ok(Files(listing.finish()))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

impl Entry {
    /// The entry, if its hashes are valid.
    fn check(self) -> Option<FileEntry> {
        let lfs = match self.lfs_sha256 {
            Some(sha256) => Some(Lfs {
                sha256: Digest::from_hex(&sha256)?,
                size: self.lfs_size.unwrap_or(self.size),
            }),
            None => None,
        };
        Some(FileEntry {
            size: self.size,
            blob_id: Digest::from_hex(&self.blob_id)?,
            lfs,
            xet_hash: self.xet_hash.map(XetHash::from),
        })
    }
}

/// Reads a stored listing. `None` when there is none, or when it has another version, is damaged or
/// lists a path both as a file and as a folder: the caller then fetches it again.
pub fn read(path: &Path) -> Option<Listing> {
    let mut file = sys::open_regular(path).ok()?;
    let length = file.metadata().ok()?.len();
    let tree: TreeFile = if length > LARGE {
        serde_json::from_reader(BufReader::with_capacity(1 << 16, file)).ok()?
    } else {
        let mut text = Vec::with_capacity(usize::try_from(length).ok()? + 1);
        file.read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()?
    };
    let listing = tree.files.0;
    let is_right = tree.format_version == FORMAT_VERSION && file_and_folder(&listing).is_none();
    is_right.then_some(listing)
}

/// Stores a listing. Nothing is written when a xet hash has an unknown form: the Python client
/// would refuse the file.
///
/// # Errors
/// [`FsError`] when the file cannot be written; the caller can continue without it.
pub fn write(path: &Path, listing: &Listing) -> Result<(), FsError> {
    let all_valid = listing
        .everything()
        .all(|(_, entry)| entry.xet_hash.as_ref().is_none_or(XetHash::is_valid));
    if !all_valid {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        sys::create_dir_all(folder)?;
    }
    let staging = path.parent().unwrap_or(Path::new("."));
    sys::write_atomic_from(path, Mode::Umask, staging, |file| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        render(&mut out, listing)?;
        out.flush()
    })
}

/// The text of the file: sorted by path, indented by one blank, non-ASCII escaped, no final
/// newline.
fn render(out: &mut impl Write, listing: &Listing) -> io::Result<()> {
    write!(
        out,
        "{{\n \"format_version\": {FORMAT_VERSION},\n \"files\": {{"
    )?;
    // Python sorts by code point, and so does the byte order of UTF-8.
    let mut is_empty = true;
    for (name, entry) in listing.everything() {
        let separator = if is_empty { "" } else { "," };
        is_empty = false;
        write!(out, "{separator}\n  ")?;
        quote(out, name)?;
        write!(
            out,
            ": {{\n   \"size\": {},\n   \"blob_id\": \"{}\"",
            entry.size, entry.blob_id
        )?;
        if let Some(lfs) = &entry.lfs {
            write!(
                out,
                ",\n   \"lfs_sha256\": \"{}\",\n   \"lfs_size\": {}",
                lfs.sha256, lfs.size
            )?;
        }
        if let Some(xet_hash) = &entry.xet_hash {
            write!(out, ",\n   \"xet_hash\": \"{}\"", xet_hash.text())?;
        }
        out.write_all(b"\n  }")?;
    }
    out.write_all(if is_empty { b"}\n}" } else { b"\n }\n}" })
}

/// A name as the JSON string that Python writes: ASCII only, with short escapes where they exist.
fn quote(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    for c in text.chars() {
        match c {
            '"' => out.write_all(b"\\\"")?,
            '\\' => out.write_all(b"\\\\")?,
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\t' => out.write_all(b"\\t")?,
            '\u{8}' => out.write_all(b"\\b")?,
            '\u{c}' => out.write_all(b"\\f")?,
            ' '..='\u{7f}' => out.write_all(&[c as u8])?,
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(listing: &Listing) -> Vec<u8> {
        let mut out = Vec::new();
        super::render(&mut out, listing).unwrap();
        out
    }

    fn listing() -> Listing {
        Listing::from([
            ("d/é \"q\".txt".parse().unwrap(), FileEntry::in_git(3)),
            ("model.bin".parse().unwrap(), FileEntry::in_xet(9)),
        ])
    }

    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trees/x.json");
        write(&path, &listing()).unwrap();
        assert_eq!(read(&path), Some(listing()));
    }

    #[test]
    fn the_text_is_pythons() {
        // As printed by json.dumps(..., indent=1) of Python 3.11 for the same data.
        let expected = format!(
            "{{\n \"format_version\": 1,\n \"files\": {{\n  \"d/\\u00e9 \\\"q\\\".txt\": {{\n   \"size\": 3,\n   \"blob_id\": \"{a}\"\n  }},\n  \"model.bin\": {{\n   \"size\": 9,\n   \"blob_id\": \"{a}\",\n   \"lfs_sha256\": \"{b}\",\n   \"lfs_size\": 9,\n   \"xet_hash\": \"{c}\"\n  }}\n }}\n}}",
            a = "a".repeat(40),
            b = "b".repeat(64),
            c = "c".repeat(64)
        );
        assert_eq!(String::from_utf8(render(&listing())).unwrap(), expected);
        assert_eq!(
            render(&Listing::new()),
            b"{\n \"format_version\": 1,\n \"files\": {}\n}"
        );
    }

    #[test]
    fn odd_names_are_written_as_python_writes_them_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let entry = FileEntry::in_git(3);
        let mut listing = ListingBuilder::new();
        listing.add("a\\b\t\n\r\u{8}\u{c}\u{1b}\u{7f}\u{1f600}", entry.clone());
        listing.add("../x", entry);
        let listing = listing.finish();
        // As printed by json.dumps of Python 3.11.
        let text = String::from_utf8(render(&listing)).unwrap();
        let quoted = "\"a\\\\b\\t\\n\\r\\b\\f\\u001b\u{7f}\\ud83d\\ude00\"";
        assert!(text.contains(quoted), "{text}");
        write(&path, &listing).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read, listing);
        assert_eq!((read.len(), read.refused().len()), (1, 1));
    }

    #[test]
    fn damaged_files_count_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let sha1 = "a".repeat(40);
        for text in [
            "",
            "{",
            "{\"format_version\": 2, \"files\": {}}",
            "{\"format_version\": 1, \"files\": {\"a\": {\"size\": -1, \"blob_id\": \"\"}}}",
            &format!(
                "{{\"format_version\": 1, \"files\": {{\"a\": {{\"size\": 1, \"blob_id\": \"{sha1}x\"}}}}}}"
            ),
            "{\"format_version\": 1, \"files\": {\"a\": {\"size\": 1, \"blob_id\": \"../../x\"}}}",
            // Of another version, whatever it holds; and a file that is a folder as well.
            &format!(
                "{{\"format_version\": 3, \"files\": {{\"a\": {{\"size\": 1, \"blob_id\": \"{sha1}\"}}}}}}"
            ),
            &format!(
                "{{\"format_version\": 1, \"files\": {{\"a\": {{\"size\": 1, \"blob_id\": \"{sha1}\"}}, \
                 \"a/b\": {{\"size\": 1, \"blob_id\": \"{sha1}\"}}}}}}"
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), None, "{text}");
        }
        assert_eq!(read(&folder.path().join("absent")), None);
    }
}
