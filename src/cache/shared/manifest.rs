//! Which links use a shared blob: its manifest, and which of its lines are true.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::permissions::FOR_ALL;
use super::{SharedBlob, Store, manifest_of};
use crate::cache::layout;
use crate::sys::dir::{Buffers, Dir, EntryKind, path_of};
use crate::sys::{FsError, Mode, read_at, write_atomic};

/// Largest manifest that is read, in bytes: some 150,000 users of one shared blob.
pub const LARGEST_MANIFEST: usize = 16 << 20;

/// The links that use a shared blob, relative to the cache's root and sorted: the lines of its manifest
/// that are true. `None` when that is unknown: the manifest is missing, unreadable or no regular
/// file, or a link cannot be read.
pub fn users(root: &Dir, root_path: &Path, shared_blob: &SharedBlob) -> Option<Vec<PathBuf>> {
    let place = shared_blob.place();
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
            // The link was deleted, or is a file by now.
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

/// Adds a link before it is made; the line is on disk when this returns. The caller holds the lock of
/// the shared blob. A shared blob without a manifest may have users: they are searched and written
/// first. Otherwise the file would be deleted together with its only listed user.
///
/// # Errors
/// The system's reason; the manifest may then name the link already, which does no harm.
pub fn add_user(root: &Path, shared_blob: &SharedBlob, user: &Path) -> io::Result<()> {
    let manifest = root.join(manifest_of(&shared_blob.place()));
    let is_missing = |path: &Path| {
        let meta = path.symlink_metadata();
        meta.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if is_missing(&manifest) && !is_missing(&root.join(shared_blob.place())) {
        let mut users = links_to(root, shared_blob)?;
        users.push(user.to_path_buf());
        users.sort();
        users.dedup();
        return write_manifest(&manifest, &users).map_err(|error| error.source);
    }
    let mut file = FOR_ALL.append().open(&manifest)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        read_at(&file, &mut last, length - 1)?;
    }
    // A crash may have cut off the last line.
    let start = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{start}{}\n", user.display()).as_bytes())?;
    file.sync_all()
}

/// All links to a shared blob in all repositories, relative to the cache's root.
fn links_to(root_path: &Path, shared_blob: &SharedBlob) -> io::Result<Vec<PathBuf>> {
    let root = Dir::open(root_path)?;
    let mut buffers = Buffers::new();
    let mut repos: Vec<Vec<u8>> = Vec::new();
    root.for_each(&mut buffers, |name, _, _| -> io::Result<()> {
        let is_repo = name
            .to_str()
            .is_ok_and(|name| is_blob_place(&format!("{name}/{}/x", layout::BLOBS)));
        if is_repo {
            repos.push(name.to_bytes().to_vec());
        }
        Ok(())
    })?;
    let mut links = Vec::new();
    for repo in repos {
        let folder = path_of(&repo).join(layout::BLOBS);
        let Ok(blobs) = root.open_below(&folder) else {
            continue;
        };
        blobs.for_each(&mut buffers, |name, kind, link| -> io::Result<()> {
            // A name with a dot is a link on its way to its own name: ours, or the Python client's.
            if kind == EntryKind::Link && !name.to_bytes().starts_with(b".") {
                let target = path_of(link.read(&blobs, name)?);
                let absolute = layout::normalize(&root_path.join(&folder).join(target));
                if absolute == root_path.join(shared_blob.place()) {
                    links.push(folder.join(path_of(name.to_bytes())));
                }
            }
            Ok(())
        })?;
    }
    Ok(links)
}

/// Replaces a manifest by these lines, which are on disk before the rename.
///
/// # Errors
/// [`FsError`] naming the manifest; the old one is then still there.
pub fn write_manifest(manifest: &Path, users: &[PathBuf]) -> Result<(), FsError> {
    let text: String = users
        .iter()
        .map(|user| format!("{}\n", user.display()))
        .collect();
    write_atomic(manifest, text.as_bytes(), Mode::Everyone)
}

/// Shared blobs that are known to have no users.
pub fn unused(root: &Path, store: &Store) -> Vec<SharedBlob> {
    let Ok(dir) = Dir::open(root) else {
        return Vec::new();
    };
    store
        .shared_blobs
        .iter()
        .filter(|shared_blob| users(&dir, root, shared_blob).is_some_and(|users| users.is_empty()))
        .cloned()
        .collect()
}

/// Whether a manifest's line has the one form it may have: `<type>s--…/blobs/<name>`.
fn is_blob_place(line: &str) -> bool {
    let mut parts = line.split('/');
    let (Some(folder), Some(layout::BLOBS), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    !matches!(name, "" | "." | "..")
        && layout::parse_repo_folder_name(folder).is_some_and(|repo| !repo.id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that cannot be read may be a user: a disk that does not answer, a folder of another
    /// user. Here it is a circle of links.
    #[test]
    fn a_user_that_cannot_be_looked_at_makes_all_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let shared_blob = SharedBlob {
            hash: "ab".repeat(32),
            size: 1,
        };
        let place = folder.path().join(shared_blob.place());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, "1").unwrap();
        std::os::unix::fs::symlink("models--loop", folder.path().join("models--loop")).unwrap();
        std::fs::create_dir_all(folder.path().join("models--file/blobs")).unwrap();
        std::fs::write(folder.path().join("models--file/blobs/x"), "own").unwrap();
        let root = Dir::open(folder.path()).unwrap();
        for (lines, expected) in [
            ("models--gone/blobs/x\n", Some(0)),
            ("models--file/blobs/x\n", Some(0)),
            ("models--gone/blobs/x\nmodels--loop/blobs/x\n", None),
        ] {
            std::fs::write(manifest_of(&place), lines).unwrap();
            let users = users(&root, folder.path(), &shared_blob);
            assert_eq!(users.map(|users| users.len()), expected, "{lines}");
        }
    }

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
