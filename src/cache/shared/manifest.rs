//! Who uses a payload: its manifest, and what of it is true.

use std::io;
use std::path::{Path, PathBuf};

use super::{Payload, Store, manifest_of, open_to_all};
use crate::cache::dir::{Dir, EntryKind, path_of};
use crate::cache::layout;
use crate::fs::{FsError, Mode, write_atomic};

/// Largest manifest that is read, in bytes: some 150,000 users of one payload.
const LARGEST_MANIFEST: usize = 16 << 20;

/// The links that use a payload, relative to the cache's root and sorted: the lines of its manifest
/// that are true. `None` when nobody can know: the manifest is missing, unreadable or no regular
/// file, or a link cannot be looked at.
pub fn users(root: &Dir, root_path: &Path, payload: &Payload) -> Option<Vec<PathBuf>> {
    let place = payload.place();
    let manifest = manifest_of(&place);
    if root.stat(&manifest, false).ok()?.kind != EntryKind::File {
        return None;
    }
    let text = root.read(&manifest, LARGEST_MANIFEST).ok()?;
    if text.len() == LARGEST_MANIFEST {
        return None;
    }
    let text = String::from_utf8(text).ok()?;
    let mut users = Vec::new();
    for line in text.lines().filter(|line| is_blob_place(line)) {
        let target = match root.read_link(line) {
            Ok(target) => target,
            // Gone, or a file of its own by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
            Err(_) => return None,
        };
        let folder = root_path.join(line);
        let folder = folder.parent().unwrap_or(root_path);
        if layout::normalize(&folder.join(path_of(&target))) == root_path.join(&place) {
            users.push(PathBuf::from(line));
        }
    }
    users.sort();
    users.dedup();
    Some(users)
}

/// Replaces a manifest by these lines, on disk before it shows.
///
/// # Errors
/// [`FsError`] naming the manifest; the old one is then still there.
pub fn write_manifest(manifest: &Path, users: &[PathBuf]) -> Result<(), FsError> {
    let text: String = users
        .iter()
        .map(|user| format!("{}\n", user.display()))
        .collect();
    write_atomic(manifest, text.as_bytes(), Mode::Durable)?;
    open_to_all(manifest);
    Ok(())
}

/// Payloads that nobody uses, and of which that is known.
pub fn unused(root: &Path, store: &Store) -> Vec<Payload> {
    let Ok(dir) = Dir::open(root) else {
        return Vec::new();
    };
    store
        .payloads
        .iter()
        .filter(|payload| users(&dir, root, payload).is_some_and(|users| users.is_empty()))
        .cloned()
        .collect()
}

/// Whether a manifest's line has the one form it may have: `<type>s--…/blobs/<name>`.
fn is_blob_place(line: &str) -> bool {
    let mut parts = line.split('/');
    let (Some(folder), Some("blobs"), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    !matches!(name, "" | "." | "..")
        && layout::parse_repo_folder_name(folder).is_some_and(|(_, id)| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_lines() {
        for (line, expected) in [
            ("models--o--n/blobs/abc", true),
            ("models--n/blobs/abc", true),
            ("models--/blobs/abc", false),
            ("models--n/blobs/..", false),
            ("../models--n/blobs/abc", false),
            ("models--n/snapshots/abc", false),
            ("/models--n/blobs/abc", false),
            ("things--n/blobs/abc", false),
            ("", false),
        ] {
            assert_eq!(is_blob_place(line), expected, "{line}");
        }
    }
}
