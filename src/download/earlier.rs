//! Contents on disk that a file to be fetched may have parts of: earlier revisions of it, and other files of the
//! repository.
//!
//! The listings that are kept of earlier commits name their Xet hashes. A file that was downloaded by itself has
//! no listing; its snapshot tells the commit and the SHA-256, and one HEAD request the Xet hash.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::DownloadError;
use super::local_dir::LocalDir;
use super::plan::PlannedFile;
use super::xet::{Earlier, WORTH};
use crate::cache::layout::RepoLayout;
use crate::cache::trees;
use crate::hub::Hub;
use crate::sys::threads;
use crate::types::digest::XetHash;
use crate::types::listing::{Checksum, Listing};
use crate::types::{CommitHash, Repo, RepoPath, Revision};

/// Listings that are looked into, the newest ones.
const LISTINGS: usize = 8;

/// Longest stored listing that is read for this, in bytes: about 20,000 files.
const LONGEST: u64 = 8 << 20;

/// Files of those that are remembered: they take some megabytes.
const FILES: usize = 20_000;

/// Snapshots in which a file is looked for.
const SNAPSHOTS: usize = 1000;

/// Candidates of the same name for one file, and of the same kind.
const CANDIDATES: usize = 2;
const GUESSES: usize = 4;

/// Shortest file, in bytes, for which files of the same kind are candidates.
const WORTH_A_GUESS: u64 = 16 << 20;

/// Xet hashes that are asked for in one download.
const QUESTIONS: u32 = 8;

/// The large files of a repository that are on disk, read when the first one is asked for.
pub struct Others {
    repo: RepoLayout,
    local_dir: Option<LocalDir>,
    commit: CommitHash,
    files: OnceLock<Vec<File>>,
    questions: AtomicU32,
}

/// A file of some commit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: RepoPath,
    earlier: Earlier,
}

/// An earlier revision of a file whose Xet hash is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unlisted {
    commit: CommitHash,
    /// `None` where the cache has no links to tell it.
    checksum: Option<Checksum>,
    blob: PathBuf,
    size: u64,
}

impl Others {
    /// Those of a repository and of a local folder; the download is of this commit. Nothing is read yet.
    pub fn new(repo: &RepoLayout, local_dir: Option<LocalDir>, commit: &CommitHash) -> Self {
        Others {
            repo: repo.clone(),
            local_dir,
            commit: commit.clone(),
            files: OnceLock::new(),
            questions: AtomicU32::new(0),
        }
    }

    /// Whether contents on disk may have parts of this file: it is large, and in Xet storage.
    pub fn may_have(file: &PlannedFile) -> bool {
        let has_hash = matches!(file.xet_hash, Some(XetHash::Hash(_)));
        has_hash && file.size().is_some_and(|size| size >= WORTH)
    }

    /// Contents on disk that a file may have parts of, the likeliest first. Where none of its name is known
    /// and an earlier revision is there, the Hub is asked for that one's Xet hash, once.
    ///
    /// # Errors
    /// [`DownloadError::Task`].
    pub async fn candidates(
        self: &Arc<Self>,
        hub: &Hub,
        repo: &Repo,
        file: &PlannedFile,
    ) -> Result<Vec<Earlier>, DownloadError> {
        if !Self::may_have(file) {
            return Ok(Vec::new());
        }
        let (this, wanted) = (Arc::clone(self), file.clone());
        let find = move || {
            let found = this.listed(&wanted);
            let is_known = found.first().is_some_and(|first| !first.is_guess);
            let unlisted = (!is_known).then(|| this.unlisted(&wanted)).flatten();
            (found, unlisted)
        };
        let (mut found, unlisted) = threads::run(find).await?;
        if let Some(unlisted) = unlisted
            && self.questions.fetch_add(1, Ordering::Relaxed) < QUESTIONS
            && let Some(earlier) = ask(hub, repo, file, unlisted).await
        {
            found.insert(0, earlier);
        }
        Ok(found)
    }

    /// Those of the stored listings.
    fn listed(&self, file: &PlannedFile) -> Vec<Earlier> {
        let Some(XetHash::Hash(hash)) = &file.xet_hash else {
            return Vec::new();
        };
        let files = self.files.get_or_init(|| self.read());
        let is_there = |earlier: &Earlier| {
            fs::metadata(&earlier.blob).is_ok_and(|found| found.len() == earlier.size)
        };
        let may_guess = file.size().is_some_and(|size| size >= WORTH_A_GUESS);
        likeliest(files, &file.path, &hash.hex(), may_guess, is_there)
    }

    fn read(&self) -> Vec<File> {
        let mut listings: Vec<(SystemTime, PathBuf)> = Vec::new();
        let entries = fs::read_dir(self.repo.trees()).into_iter().flatten();
        for entry in entries.flatten() {
            if let Ok(found) = entry.metadata()
                && found.len() <= LONGEST
                && let Ok(time) = found.modified()
            {
                listings.push((time, entry.path()));
            }
        }
        listings.sort();
        let newest = listings.iter().rev().take(LISTINGS);
        let read = newest.filter_map(|(_, path): &(_, PathBuf)| trees::read(path));
        let large = read.flat_map(|listing| self.large(listing));
        large.take(FILES).collect()
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
                    is_guess: false,
                },
            }),
            _ => None,
        });
        large.collect()
    }

    /// The earlier revision that came last: in the local folder, or in a snapshot of the cache.
    fn unlisted(&self, file: &PlannedFile) -> Option<Unlisted> {
        let local = self.local_dir.as_ref();
        let local = local.and_then(|dir| self.in_folder(dir, &file.path));
        let found = local.or_else(|| self.in_snapshots(&file.path))?;
        let is_other = found.checksum.as_ref() != Some(&file.checksum);
        (is_other && found.size >= WORTH).then_some(found)
    }

    /// A file that was changed since it came has no metadata that counts.
    fn in_folder(&self, dir: &LocalDir, path: &RepoPath) -> Option<Unlisted> {
        let metadata = dir.metadata(path)?;
        let blob = dir.file(path);
        Some(Unlisted {
            commit: metadata.commit.parse().ok()?,
            checksum: Some(Checksum::from_etag(&metadata.etag)?),
            size: fs::metadata(&blob).ok()?.len(),
            blob,
        })
    }

    fn in_snapshots(&self, path: &RepoPath) -> Option<Unlisted> {
        let mut last: Option<(SystemTime, CommitHash)> = None;
        let snapshots = fs::read_dir(self.repo.snapshots()).into_iter().flatten();
        for entry in snapshots.flatten().take(SNAPSHOTS) {
            let name = entry.file_name();
            if let Some(commit) = name.to_str().and_then(|name| name.parse().ok())
                && commit != self.commit
                && let Ok(pointer) = fs::symlink_metadata(self.repo.pointer(&commit, path))
                && let Ok(time) = pointer.modified()
                && last.as_ref().is_none_or(|(last, _)| time > *last)
            {
                last = Some((time, commit));
            }
        }
        let (_, commit) = last?;
        let pointer = self.repo.pointer(&commit, path);
        let size = fs::metadata(&pointer).ok()?.len();
        let checksum = match fs::read_link(&pointer) {
            Ok(blob) => Some(Checksum::from_etag(blob.file_name()?.to_str()?)?),
            Err(_) => None,
        };
        Some(Unlisted {
            commit,
            checksum,
            blob: pointer,
            size,
        })
    }
}

/// Asks the Hub for the Xet hash of an earlier revision. A failure only means that nothing is copied.
async fn ask(hub: &Hub, repo: &Repo, file: &PlannedFile, unlisted: Unlisted) -> Option<Earlier> {
    let revision = Revision::from(&unlisted.commit);
    let asked = hub
        .with_retries(0)
        .file_head(repo, &revision, &file.path)
        .await;
    let head = match asked {
        Ok(head) => head,
        Err(why) => {
            hub.trace(|| format!("{}: no Xet hash of {revision}: {why}", file.path));
            return None;
        }
    };
    let is_it = match &unlisted.checksum {
        Some(checksum) => *checksum == head.checksum,
        None => head.size == Some(unlisted.size),
    };
    match head.xet_hash.map(XetHash::from) {
        Some(XetHash::Hash(hash)) if is_it => Some(Earlier {
            hash: hash.hex().to_string(),
            size: unlisted.size,
            blob: unlisted.blob,
            is_guess: false,
        }),
        _ => None,
    }
}

/// Of files by age, the newest first: those at the same path, then those of the same name in other folders
/// (`checkpoint-1000/model.safetensors`), then, as guesses, those with the same ending: a file that was renamed,
/// or cut in another way. Each content once, and not the wanted one.
fn likeliest(
    files: &[File],
    path: &RepoPath,
    hash: &str,
    may_guess: bool,
    is_there: impl Fn(&Earlier) -> bool,
) -> Vec<Earlier> {
    let part = |path: &RepoPath, of: fn(&Path) -> Option<&std::ffi::OsStr>| {
        of(Path::new(path.as_str())).map(ToOwned::to_owned)
    };
    let rank = |file: &File| match &file.path {
        other if other == path => 0,
        other if part(other, Path::file_name) == part(path, Path::file_name) => 1,
        other if part(other, Path::extension) == part(path, Path::extension) => 2,
        _ => 3,
    };
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (wanted, most) in [(0, CANDIDATES), (1, CANDIDATES), (2, CANDIDATES + GUESSES)] {
        if wanted == 2 && !may_guess {
            break;
        }
        for file in files.iter().filter(|file| rank(file) == wanted) {
            if found.len() >= most {
                break;
            }
            let is_new = seen.insert(&file.earlier.hash);
            if is_new && file.earlier.hash != hash && is_there(&file.earlier) {
                found.push(Earlier {
                    is_guess: wanted == 2,
                    ..file.earlier.clone()
                });
            }
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
                is_guess: false,
            },
        };
        let files = [
            file("step-2/m.bin", "e"),
            file("m.bin", "c"),
            file("other.bin", "d"),
            file("m.bin", "b"),
            file("m.bin", "c"),
            file("step-1/m.bin", "a"),
            file("m.txt", "t"),
        ];
        let find = |path: &str, hash: &str, gone: &str, may_guess: bool| {
            let is_there = |it: &Earlier| it.hash != gone;
            let found = likeliest(&files, &path.parse().unwrap(), hash, may_guess, is_there);
            let mark = |it: Earlier| it.hash + if it.is_guess { "?" } else { "" };
            found.into_iter().map(mark).collect::<String>()
        };
        assert_eq!(find("m.bin", "z", "", false), "cb");
        assert_eq!(
            find("m.bin", "c", "", false),
            "be",
            "not the wanted content itself"
        );
        assert_eq!(find("m.bin", "z", "c", false), "be", "not what is gone");
        assert_eq!(find("step-3/m.bin", "z", "", false), "ec");
        assert_eq!(find("new.bin", "z", "", false), "");
        assert_eq!(find("new.bin", "z", "b", true), "e?c?d?a?");
        assert_eq!(find("m.bin", "z", "", true), "cbd?");
        assert_eq!(find("new.csv", "z", "", true), "");
    }
}
