//! Compares the hashes of files on disk with a listing, or with what the cache itself knows (names of
//! blobs and `trees/`).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::sync::Arc;

pub use super::checks::{Check, Folder};
pub use super::hashing::{Mismatch, Unreadable, Verified, hash_all};
use crate::cache::layout;
use crate::sys::FsError;
use crate::types::digest::XetHash;
use crate::types::listing::{Checksum, Listing};

/// Files of a folder. A path is in memory once for each folder below it, and a name for each file.
#[derive(Debug, Default)]
pub struct LocalFiles(Vec<(Arc<Folder>, Vec<Box<OsStr>>)>);

impl LocalFiles {
    /// Whether there is a file of this path in the repository.
    fn has(&self, path: &str) -> bool {
        let (folder, name) = match path.rsplit_once('/') {
            Some((folder, name)) => (&path[..=folder.len()], name),
            None => ("", path),
        };
        let found = self
            .0
            .binary_search_by(|(one, _)| one.prefix.as_str().cmp(folder));
        found.is_ok_and(|at| {
            let mut names = self.0[at]
                .1
                .binary_search_by(|one| (**one).cmp(OsStr::new(name)));
            // A name that is no text is listed as it is shown.
            if names.is_err() && name.contains(char::REPLACEMENT_CHARACTER) {
                let shown = self.0[at].1.iter();
                let mut shown = shown.map(|one| one.to_string_lossy());
                names = shown.position(|one| one == name).ok_or(0);
            }
            names.is_ok()
        })
    }

    /// All files, each with its folder.
    fn into_files(self) -> impl Iterator<Item = (Arc<Folder>, Box<OsStr>)> {
        self.0.into_iter().flat_map(|(folder, names)| {
            let names = names.into_iter();
            names.map(move |name| (Arc::clone(&folder), name))
        })
    }

    /// The same, to be reported with this text before their paths.
    #[must_use]
    pub fn labelled(mut self, label: &str) -> Self {
        let label: Arc<str> = label.into();
        for (folder, _) in &mut self.0 {
            let with_label = Folder {
                label: Arc::clone(&label),
                ..Folder::clone(folder)
            };
            *folder = Arc::new(with_label);
        }
        self
    }
}

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
        self.checks.retain(|check| wanted(&check.path()));
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
pub fn against_listing(listing: &Listing, local: LocalFiles) -> VerifyPlan {
    let missing = listing.keys().filter(|path| !local.has(path.as_str()));
    let mut plan = VerifyPlan {
        missing: missing.map(|path| path.as_str().to_owned()).collect(),
        ..VerifyPlan::default()
    };
    for (folder, name) in local.into_files() {
        let path = folder.in_repo(&name);
        let Some(entry) = listing.get(&path) else {
            plan.extra.push(path);
            continue;
        };
        let xet_hash = match entry.xet_hash {
            Some(XetHash::Hash(hash)) => Some(Box::new(hash)),
            _ => None,
        };
        let check = Check::new(folder, name, entry.checksum(), xet_hash);
        plan.checks.push(check);
    }
    plan.extra.sort();
    plan
}

/// Compares a snapshot with what the cache itself knows: the stored listing where there is one, else
/// the names of the blobs that its links lead to. The second value lists the files without a known
/// hash.
pub fn against_cache(listing: Option<&Listing>, local: LocalFiles) -> (VerifyPlan, Vec<String>) {
    if let Some(listing) = listing {
        return (against_listing(listing, local), Vec::new());
    }
    let (mut plan, mut unknown) = (VerifyPlan::default(), Vec::new());
    for (folder, name) in local.into_files() {
        match blob_checksum(&folder.path.join(&*name)) {
            Some(expected) => plan.checks.push(Check::new(folder, name, expected, None)),
            None => unknown.push(folder.in_repo(&name)),
        }
    }
    unknown.sort();
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
    let mut files = LocalFiles::default();
    let mut folders = vec![Folder {
        path: root.to_path_buf(),
        prefix: String::new(),
        label: "".into(),
    }];
    while let Some(folder) = folders.pop() {
        let mut names: Vec<Box<OsStr>> = Vec::new();
        let entries = fs::read_dir(&folder.path).map_err(FsError::of("read", &folder.path))?;
        for entry in entries {
            let entry = entry.map_err(FsError::of("read", &folder.path))?;
            let name: OsString = entry.file_name();
            let path = folder.in_repo(&name);
            let kind = entry
                .file_type()
                .map_err(FsError::of("read", &entry.path()))?;
            if is_left_out(&name, &path) {
                continue;
            }
            if kind.is_dir() {
                folders.push(Folder {
                    path: entry.path(),
                    prefix: format!("{path}/"),
                    label: "".into(),
                });
            } else if entry.path().is_file() {
                names.push(name.into());
            }
        }
        names.sort();
        names.shrink_to_fit();
        files.0.push((Arc::new(folder), names));
    }
    files.0.sort_by(|(a, _), (b, _)| a.prefix.cmp(&b.prefix));
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
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "new"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let plan = against_listing(&listing, snapshot_files(folder.path()).unwrap());
        assert_eq!(plan.checks.len(), 1);
        assert_eq!(plan.checks[0].expected, Checksum::from_etag(GIT).unwrap());
        assert_eq!(
            (plan.missing, plan.extra),
            (vec!["gone".into()], vec!["new".into()])
        );
    }

    /// In folders before and behind one another, with names that are no text.
    #[cfg(unix)]
    #[test]
    fn files_of_a_listing_are_found_on_disk() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b-c", "b/a", "b/c/d", "b/c-d", "b.c/d", "z"];
        for path in paths {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        fs::write(folder.path().join(OsStr::from_bytes(b"b/\xff")), "").unwrap();
        let local = || snapshot_files(folder.path()).unwrap();
        for path in paths.into_iter().chain(["b/\u{fffd}"]) {
            assert!(local().has(path), "{path}");
        }
        for path in ["", "b", "b/", "b/c", "a/a", "c", "b/\u{fffd}x"] {
            assert!(!local().has(path), "{path}");
        }
        let listed = paths.map(|path| (path.parse().unwrap(), entry(GIT)));
        let plan = against_listing(&Listing::from(listed), local());
        assert_eq!((plan.checks.len(), plan.missing.len()), (7, 0));
        assert_eq!(plan.extra, ["b/\u{fffd}"]);
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
        let (plan, unknown) = against_cache(None, local);
        assert_eq!(unknown, ["copy"]);
        let wrong = hash_all(&plan.checks, &Silent).wrong;
        let paths: Vec<&str> = wrong.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["ce011", "ce012"]);
        assert_eq!(
            (wrong[0].algorithm, wrong[0].expected.as_str()),
            ("git-sha1", GIT)
        );
        assert_ne!(wrong[0].actual, GIT);
    }
}
