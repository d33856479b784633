//! `trees/<commit>.json`: the listing of a commit, remembered. A commit never changes, so a
//! remembered listing is never stale. The text is byte for byte what huggingface_hub 2.4.0 writes.

use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use std::collections::HashMap;

use crate::fs::{self, FsError, Mode};
use crate::listing::{FileEntry, Lfs, Listing, file_and_folder};
use crate::repo::is_lower_hex;

const FORMAT_VERSION: u64 = 1;

#[derive(Deserialize)]
struct TreeFile {
    format_version: u64,
    files: HashMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    size: u64,
    blob_id: String,
    lfs_sha256: Option<String>,
    lfs_size: Option<u64>,
    xet_hash: Option<String>,
}

/// Reads a remembered listing. `None` when there is none, or when it is of another version, damaged
/// or holds a name that would leave its folder: it is then fetched anew.
pub fn read(path: &Path) -> Option<Listing> {
    let text = std::fs::read(path).ok()?;
    let tree: TreeFile = serde_json::from_slice(&text).ok()?;
    if tree.format_version != FORMAT_VERSION {
        return None;
    }
    let listing: Option<Listing> = tree
        .files
        .into_iter()
        .map(|(path, entry)| {
            let lfs = match entry.lfs_sha256 {
                Some(sha256) if sha256.len() == 64 && is_lower_hex(&sha256) => Some(Lfs {
                    sha256,
                    size: entry.lfs_size.unwrap_or(entry.size),
                }),
                Some(_) => return None,
                None => None,
            };
            if entry.blob_id.len() != 40 || !is_lower_hex(&entry.blob_id) {
                return None;
            }
            let entry = FileEntry {
                size: entry.size,
                blob_id: entry.blob_id,
                lfs,
                xet_hash: entry.xet_hash,
            };
            Some((path.parse().ok()?, entry))
        })
        .collect();
    listing.filter(|listing| file_and_folder(listing).is_none())
}

/// Remembers a listing. Nothing is written when a xet hash has an unknown form: the Python client
/// would refuse the file.
///
/// # Errors
/// [`FsError`] when the file cannot be written; the caller may well go on without it.
pub fn write(path: &Path, listing: &Listing) -> Result<(), FsError> {
    let all_valid = listing.values().all(|entry| {
        entry
            .xet_hash
            .as_deref()
            .is_none_or(|hash| hash.len() == 64 && is_lower_hex(hash))
    });
    if !all_valid {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write_atomic(path, &render(listing), Mode::Umask)
}

/// The text of the file: sorted by path, indented by one blank, non-ASCII escaped, no final
/// newline.
fn render(listing: &Listing) -> Vec<u8> {
    let mut out = Vec::with_capacity(listing.len() * 160 + 64);
    write!(
        out,
        "{{\n \"format_version\": {FORMAT_VERSION},\n \"files\": {{"
    )
    .expect("memory");
    // Python sorts by code point, and so does the byte order of UTF-8.
    for (index, (path, entry)) in listing.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(out, "{separator}\n  ").expect("memory");
        quote(&mut out, path.as_str());
        write!(
            out,
            ": {{\n   \"size\": {},\n   \"blob_id\": \"{}\"",
            entry.size, entry.blob_id
        )
        .expect("memory");
        if let Some(lfs) = &entry.lfs {
            write!(
                out,
                ",\n   \"lfs_sha256\": \"{}\",\n   \"lfs_size\": {}",
                lfs.sha256, lfs.size
            )
            .expect("memory");
        }
        if let Some(xet_hash) = &entry.xet_hash {
            write!(out, ",\n   \"xet_hash\": \"{xet_hash}\"").expect("memory");
        }
        out.extend_from_slice(b"\n  }");
    }
    out.extend_from_slice(if listing.is_empty() {
        b"}\n}"
    } else {
        b"\n }\n}"
    });
    out
}

/// A repository path as a JSON string: it holds no control characters or backslashes
/// ([`crate::repo::RepoPath`]), so only quotes and non-ASCII need escaping.
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            c if c.is_ascii() => out.push(c as u8),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("memory");
                }
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let plain = FileEntry {
            size: 3,
            blob_id: "a".repeat(40),
            lfs: None,
            xet_hash: None,
        };
        let large = FileEntry {
            size: 9,
            lfs: Some(Lfs {
                sha256: "b".repeat(64),
                size: 9,
            }),
            xet_hash: Some("c".repeat(64)),
            ..plain.clone()
        };
        Listing::from([
            ("d/é \"q\".txt".parse().unwrap(), plain),
            ("model.bin".parse().unwrap(), large),
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
    fn damaged_or_hostile_files_count_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let sha1 = "a".repeat(40);
        for text in [
            "",
            "{",
            "{\"format_version\": 2, \"files\": {}}",
            "{\"format_version\": 1, \"files\": {\"a\": {\"size\": -1, \"blob_id\": \"\"}}}",
            &format!(
                "{{\"format_version\": 1, \"files\": {{\"../a\": {{\"size\": 1, \"blob_id\": \"{sha1}\"}}}}}}"
            ),
            "{\"format_version\": 1, \"files\": {\"a\": {\"size\": 1, \"blob_id\": \"../../x\"}}}",
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), None, "{text}");
        }
        assert_eq!(read(&folder.path().join("absent")), None);
    }
}
