//! Compares the hashes of files on disk with a listing, or with what the cache itself knows (names of
//! blobs and `trees/`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

pub use super::hashing::{Check, Mismatch, Verified, hash_all};
use crate::cache::layout;
use crate::sys::FsError;
use crate::types::digest::XetHash;
use crate::types::listing::{Checksum, Listing};

/// Files of a folder: path in the repository → path on disk.
pub type LocalFiles = BTreeMap<String, PathBuf>;

/// What has to be hashed, and what differs before any hashing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct VerifyPlan {
    /// Files on both sides.
    pub checks: Vec<Check>,
    /// Listed and not on disk, sorted.
    pub missing: Vec<String>,
    /// On disk and not listed, sorted.
    pub extra: Vec<String>,
}

impl VerifyPlan {
    /// Whether there is nothing to check or to tell.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.missing.is_empty() && self.extra.is_empty()
    }

    /// The part of the plan that is about some files.
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.checks.retain(|check| wanted(&check.path));
        self.missing.retain(|path| wanted(path));
        self.extra.retain(|path| wanted(path));
        self
    }

    /// Lets every file be proven by SHA-256 or Git's hash, and none by its Xet hash.
    pub fn without_xet(mut self) -> Self {
        for check in &mut self.checks {
            check.xet_hash = None;
        }
        self
    }
}

/// Compares a listing with a folder's files. Pure.
pub fn against_listing(listing: &Listing, local: &LocalFiles) -> VerifyPlan {
    let mut plan = VerifyPlan::default();
    for (path, entry) in listing {
        match local.get(path.as_str()) {
            Some(file) => plan.checks.push(Check {
                path: path.as_str().to_owned(),
                file: file.clone(),
                expected: entry.checksum(),
                xet_hash: match entry.xet_hash {
                    Some(XetHash::Hash(hash)) => Some(hash),
                    _ => None,
                },
            }),
            None => plan.missing.push(path.as_str().to_owned()),
        }
    }
    plan.extra = local
        .keys()
        .filter(|path| !listing.contains_key(path.as_str()))
        .cloned()
        .collect();
    plan
}

/// Compares a snapshot with what the cache itself knows: the stored listing where there is one, else
/// the names of the blobs that its links lead to. The second value lists the files without a known
/// hash.
pub fn against_cache(listing: Option<&Listing>, local: &LocalFiles) -> (VerifyPlan, Vec<String>) {
    if let Some(listing) = listing {
        return (against_listing(listing, local), Vec::new());
    }
    let (mut plan, mut unknown) = (VerifyPlan::default(), Vec::new());
    for (path, file) in local {
        match blob_checksum(file) {
            Some(expected) => plan.checks.push(Check {
                path: path.clone(),
                file: file.clone(),
                expected,
                xet_hash: None,
            }),
            None => unknown.push(path.clone()),
        }
    }
    (plan, unknown)
}

/// The hash in the name of the blob that a link leads to.
fn blob_checksum(file: &Path) -> Option<Checksum> {
    let target = fs::read_link(file).ok()?;
    let blob = layout::normalize(&file.parent()?.join(target));
    if blob.parent()?.file_name()? != layout::BLOBS {
        return None;
    }
    Checksum::from_etag(blob.file_name()?.to_str()?)
        .filter(|checksum| !matches!(checksum, Checksum::Unknown(_)))
}

/// All files of a snapshot, through links to files and not through links to folders. A link that leads
/// nowhere is no file.
///
/// # Errors
/// [`FsError`] when a folder cannot be read.
pub fn snapshot_files(root: &Path) -> Result<LocalFiles, FsError> {
    files_but(root, |_, _| false)
}

/// As [`snapshot_files`], of a local folder: Git's state and that of our downloads are no part of the
/// repository.
///
/// # Errors
/// As [`snapshot_files`].
pub fn folder_files(root: &Path) -> Result<LocalFiles, FsError> {
    files_but(root, |name, path| {
        name == ".git" || path == ".cache/huggingface"
    })
}

/// All files below a folder, without those for whose name or path `is_left_out` holds.
fn files_but(
    root: &Path,
    is_left_out: impl Fn(&OsStr, &str) -> bool,
) -> Result<LocalFiles, FsError> {
    let mut files = LocalFiles::new();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(FsError::of("read", &folder))?;
        for entry in entries {
            let entry = entry.map_err(FsError::of("read", &folder))?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry
                .file_type()
                .map_err(FsError::of("read", &entry.path()))?;
            if is_left_out(&entry.file_name(), &path) {
                continue;
            }
            if kind.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
            } else if entry.path().is_file() {
                files.insert(path, entry.path());
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::digest::Digest;
    use crate::types::listing::FileEntry;
    use crate::types::progress::Silent;

    /// `hello\n` and its hashes, by `sha256sum` and `git hash-object`.
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn entry(blob_id: &str) -> FileEntry {
        FileEntry {
            size: 6,
            blob_id: Digest::from_hex(blob_id).unwrap(),
            lfs: None,
            xet_hash: None,
        }
    }

    #[test]
    fn listings_and_folders() {
        let listing = Listing::from([
            ("a".parse().unwrap(), entry(GIT)),
            ("gone".parse().unwrap(), entry(GIT)),
        ]);
        let local = ["a", "new"].map(|name| (name.to_owned(), PathBuf::from(name)));
        let plan = against_listing(&listing, &LocalFiles::from(local));
        assert_eq!(plan.checks.len(), 1);
        assert_eq!(plan.checks[0].expected, Checksum::from_etag(GIT).unwrap());
        assert_eq!(
            (plan.missing, plan.extra),
            (vec!["gone".into()], vec!["new".into()])
        );
    }

    #[test]
    fn blobs_prove_themselves_and_are_hashed_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs");
        let snapshot = folder.path().join("snapshots/c");
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(snapshot.join(".git")).unwrap();
        fs::write(snapshot.join(".git/config"), "not ours").unwrap();
        fs::write(snapshot.join("copy"), "who knows").unwrap();
        for (name, text) in [(SHA256, "hello\n"), (GIT, "hellO\n")] {
            fs::write(blobs.join(name), text).unwrap();
            for file in ["1", "2"] {
                let link = snapshot.join(format!("{}{file}", &name[..4]));
                std::os::unix::fs::symlink(format!("../../blobs/{name}"), link).unwrap();
            }
        }
        std::os::unix::fs::symlink("nowhere", snapshot.join("broken")).unwrap();
        let local = folder_files(&snapshot).unwrap();
        let (plan, unknown) = against_cache(None, &local);
        assert_eq!(unknown, ["copy"]);
        let wrong = hash_all(&plan.checks, &Silent).unwrap().wrong;
        let paths: Vec<&str> = wrong.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["ce011", "ce012"]);
        assert_eq!(
            (wrong[0].algorithm, wrong[0].expected.as_str()),
            ("git-sha1", GIT)
        );
        assert_ne!(wrong[0].actual, GIT);
    }
}
