//! Lists folders without following links.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The content of a folder.
pub struct Walked {
    /// Files and links; links to folders are not entered.
    pub files: Vec<PathBuf>,
    /// Whether every folder could be read.
    pub is_complete: bool,
}

/// Every file and link below a folder.
pub fn walk(folder: &Path) -> Walked {
    let mut walked = Walked {
        files: Vec::new(),
        is_complete: true,
    };
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Some(names) = names(&folder) else {
            walked.is_complete = false;
            continue;
        };
        for path in names.into_iter().map(|name| folder.join(name)) {
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(_) => walked.files.push(path),
                Err(_) => walked.is_complete = false,
            }
        }
    }
    walked
}

/// Names in a folder, without files of operating systems; none when it is a link or missing. `None`: it
/// cannot be read.
pub fn names(folder: &Path) -> Option<Vec<OsString>> {
    if !is_own_folder(folder) {
        return Some(Vec::new());
    }
    let names: io::Result<Vec<OsString>> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let mut names = names.ok()?;
    names.retain(|name| !crate::cache::blob_names::is_stray(name.as_encoded_bytes()));
    names.sort();
    Some(names)
}

/// Whether it is a folder and not a link to one: the target of a link is not part of the cache.
pub fn is_own_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Whether the path exists, also as a broken link.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Bytes of the regular files at and below a path.
pub fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| {
        let meta = path.symlink_metadata();
        meta.map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 })
    };
    let below: u64 = walk(path).files.iter().map(|file| size(file)).sum();
    size(path) + below
}
