//! What is to be checked, and which files have the same content to hash.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sys::FileFacts;
use crate::types::digest::Sha256Digest;
use crate::types::listing::Checksum;

/// A folder with files to check, which share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Path on disk.
    pub path: PathBuf,
    /// Path in the repository, with a final slash; empty for all of it.
    pub prefix: String,
    /// What stands before the path in reports.
    pub label: Arc<str>,
}

impl Folder {
    /// Path of a file in the repository.
    pub fn in_repo(&self, name: &OsStr) -> String {
        format!("{}{}", self.prefix, name.to_string_lossy())
    }
}

/// A file and what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its folder.
    pub(super) folder: Arc<Folder>,
    /// Its name in the folder.
    pub(super) name: Box<OsStr>,
    /// The hash it should have.
    pub expected: Checksum,
    /// Its Xet hash, if that is to prove it: several cores can share the work.
    pub xet_hash: Option<Box<Sha256Digest>>,
}

impl Check {
    /// The file of this name in a folder.
    pub fn new(
        folder: Arc<Folder>,
        name: Box<OsStr>,
        expected: Checksum,
        xet_hash: Option<Box<Sha256Digest>>,
    ) -> Self {
        Check {
            folder,
            name,
            expected,
            xet_hash,
        }
    }

    /// The file at a path.
    pub fn of_file(path: &Path, expected: Checksum, xet_hash: Option<Sha256Digest>) -> Self {
        let folder = Folder {
            path: path.parent().map(Path::to_path_buf).unwrap_or_default(),
            prefix: String::new(),
            label: "".into(),
        };
        let name = path.file_name().unwrap_or_default();
        Check::new(
            Arc::new(folder),
            name.into(),
            expected,
            xet_hash.map(Box::new),
        )
    }

    /// Path in the repository, behind the label of its folder.
    pub fn path(&self) -> String {
        format!("{}{}", self.folder.label, self.folder.in_repo(&self.name))
    }

    /// Path on disk.
    pub fn file(&self) -> PathBuf {
        self.folder.path.join(&*self.name)
    }

    /// Whether the same content would prove both.
    fn expects_what(&self, other: &Check) -> bool {
        self.expected == other.expected && self.xet_hash == other.xet_hash
    }
}

/// Checks that need the hash of one file: they expect the same, whatever names the file has.
pub(super) struct Group<'a> {
    /// The check that came first.
    pub first: &'a Check,
    /// The other checks.
    pub others: Vec<&'a Check>,
    /// Size of the file in bytes.
    pub size: u64,
    /// The group before it of the same file, which expects something else.
    before: Option<u32>,
}

impl Group<'_> {
    /// All checks, the first one first.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        [self.first].into_iter().chain(self.others.iter().copied())
    }
}

/// Groups checks by content. Also returns the files that cannot be looked at, with the reason.
pub(super) fn groups(checks: &[Check]) -> (Vec<Group<'_>>, Vec<(&Check, io::Error)>) {
    /// Device and inode to the last group of that file.
    type Last = HashMap<(u64, u64), u32>;
    let (mut last, mut groups, mut unreadable) = (Last::new(), Vec::<Group<'_>>::new(), Vec::new());
    for check in checks {
        let file = check.file();
        let (size, identity) = match fs::metadata(&file) {
            Ok(found) => (found.len(), FileFacts::known_through(&file, &found)),
            Err(error) => {
                unreadable.push((check, error));
                continue;
            }
        };
        let identity = identity.ok().map(|facts| facts.identity);
        let before = identity.and_then(|identity| last.get(&identity).copied());
        let mut same = before;
        while let Some(at) = same
            && !groups[at as usize].first.expects_what(check)
        {
            same = groups[at as usize].before;
        }
        if let Some(at) = same {
            groups[at as usize].others.push(check);
            continue;
        }
        if let (Some(identity), Ok(at)) = (identity, u32::try_from(groups.len())) {
            last.insert(identity, at);
        }
        groups.push(Group {
            first: check,
            others: Vec::new(),
            size,
            before,
        });
    }
    (groups, unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::digest::Digest;

    #[test]
    fn one_content_is_hashed_once() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, expected: &str, xet_hash: Option<&str>| {
            let file = folder.path().join(name);
            fs::write(&file, "x").unwrap();
            let expected = Checksum::from_etag(expected).unwrap();
            Check::of_file(&file, expected, xet_hash.and_then(Digest::from_hex))
        };
        let checks = [
            check("a", "1", None),
            check("a", "2", None),
            check("a", "1", None),
            check("a", "1", Some(&"0".repeat(64))),
            check("b", "1", None),
            check("a", "2", None),
            check("a", "1", None),
        ];
        let (groups, unreadable) = groups(&checks);
        assert!(unreadable.is_empty());
        let numbers: Vec<usize> = groups.iter().map(|group| group.checks().count()).collect();
        assert_eq!(numbers, [3, 2, 1, 1]);
    }

    /// A million links are checked within 150 MiB, of which each name has 48 bytes.
    #[test]
    fn a_check_takes_little_memory() {
        assert!(size_of::<Check>() <= 72);
        assert!(size_of::<Group<'_>>() <= 48);
    }
}
