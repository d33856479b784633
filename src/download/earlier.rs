//! Contents of other commits that a file to be fetched may have parts of.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::plan::PlannedFile;
use super::xet::{Earlier, WORTH};
use crate::cache::layout::RepoLayout;
use crate::cache::trees;
use crate::types::digest::XetHash;
use crate::types::listing::Listing;
use crate::types::{CommitHash, RepoPath};

/// Listings that are looked into, the newest ones.
const LISTINGS: usize = 8;

/// Longest stored listing that is read for this, in bytes: about 20,000 files.
const LONGEST: u64 = 8 << 20;

/// Candidates for one file.
const CANDIDATES: usize = 2;

/// The large files of other commits of a repository, read when the first one is asked for.
pub struct Others {
    repo: RepoLayout,
    commit: CommitHash,
    files: OnceLock<Vec<File>>,
}

/// A file of another commit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: RepoPath,
    earlier: Earlier,
}

impl Others {
    /// Those of a repository, except this commit. Nothing is read yet.
    pub fn new(repo: &RepoLayout, commit: &CommitHash) -> Self {
        Others {
            repo: repo.clone(),
            commit: commit.clone(),
            files: OnceLock::new(),
        }
    }

    /// Contents that a file of this name may have parts of and that are on disk, the likeliest first. Reads
    /// the disk.
    pub fn of(&self, file: &PlannedFile) -> Vec<Earlier> {
        let Some(XetHash::Hash(hash)) = &file.xet_hash else {
            return Vec::new();
        };
        if file.size().is_none_or(|size| size < WORTH) {
            return Vec::new();
        }
        let files = self.files.get_or_init(|| self.read());
        let is_there = |earlier: &Earlier| {
            fs::metadata(&earlier.blob).is_ok_and(|found| found.len() == earlier.size)
        };
        likeliest(files, &file.path, &hash.hex(), is_there)
    }

    fn read(&self) -> Vec<File> {
        let mut listings: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
        let own = self.repo.tree(&self.commit);
        for entry in fs::read_dir(self.repo.trees())
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            if let Ok(found) = entry.metadata()
                && found.len() <= LONGEST
                && path != own
                && let Ok(time) = found.modified()
            {
                listings.push((time, path));
            }
        }
        listings.sort();
        let newest = listings.iter().rev().take(LISTINGS);
        let read = newest.filter_map(|(_, path): &(_, PathBuf)| trees::read(path));
        read.flat_map(|listing| self.large(listing)).collect()
    }

    fn large(&self, listing: Listing) -> Vec<File> {
        let files = listing.into_files().into_iter();
        let large = files.filter_map(|(path, entry)| match &entry.xet_hash {
            Some(XetHash::Hash(hash)) if entry.size >= WORTH => Some(File {
                path,
                earlier: Earlier {
                    hash: hash.hex().to_string(),
                    size: entry.size,
                    blob: self.repo.blob(&entry.checksum()),
                },
            }),
            _ => None,
        });
        large.collect()
    }
}

/// Of files by age, the newest first: those at the same path, then those of the same name in other folders
/// (`checkpoint-1000/model.safetensors`). Each content once, and not the wanted one.
fn likeliest(
    files: &[File],
    path: &RepoPath,
    hash: &str,
    is_there: impl Fn(&Earlier) -> bool,
) -> Vec<Earlier> {
    let name = |path: &RepoPath| Path::new(path.as_str()).file_name().map(ToOwned::to_owned);
    let same_path = files.iter().filter(|file| file.path == *path);
    let same_name = files
        .iter()
        .filter(|file| file.path != *path && name(&file.path) == name(path));
    let mut seen = HashMap::new();
    let mut found = Vec::new();
    for file in same_path.chain(same_name) {
        let is_new = seen.insert(&file.earlier.hash, ()).is_none();
        if is_new && file.earlier.hash != hash && is_there(&file.earlier) {
            found.push(file.earlier.clone());
        }
        if found.len() == CANDIDATES {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_path_comes_first_and_then_the_same_name() {
        let file = |path: &str, hash: &str| File {
            path: path.parse().unwrap(),
            earlier: Earlier {
                hash: hash.to_owned(),
                size: WORTH,
                blob: PathBuf::from(hash),
            },
        };
        let files = [
            file("step-2/m.bin", "e"),
            file("m.bin", "c"),
            file("other.bin", "d"),
            file("m.bin", "b"),
            file("m.bin", "c"),
            file("step-1/m.bin", "a"),
        ];
        let find = |path: &str, hash: &str, gone: &str| {
            let is_there = |it: &Earlier| it.hash != gone;
            let found = likeliest(&files, &path.parse().unwrap(), hash, is_there);
            found.into_iter().map(|it| it.hash).collect::<String>()
        };
        assert_eq!(find("m.bin", "z", ""), "cb");
        assert_eq!(
            find("m.bin", "c", ""),
            "be",
            "not the wanted content itself"
        );
        assert_eq!(find("m.bin", "z", "c"), "be", "not what is gone");
        assert_eq!(find("step-3/m.bin", "z", ""), "ec");
        assert_eq!(find("new.bin", "z", ""), "");
    }
}
