//! What a random cache consists of, as the rules see it, and the Hub that goes with it.

use std::fmt;
use std::path::PathBuf;

use crate::harness::Held;
use crate::harness::hub::{Hub, Repo as HubRepo, Tree};

/// What the file system answers about locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    Good,
    ForWriters,
    None,
    Meaningless,
}

impl Locks {
    /// The value of `HF_SHIM_FLOCK`.
    pub fn shim_value(self) -> Option<&'static str> {
        match self {
            Locks::Good => None,
            Locks::ForWriters => Some("writers"),
            Locks::None => Some("37"),
            Locks::Meaningless => Some("0"),
        }
    }
}

/// A lock file as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    Absent,
    Free,
    Held,
    /// A link that leads nowhere.
    Odd,
}

/// What an unlinked file in `blobs/` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loose {
    /// Unfinished, by a program that holds `.locks/…/<etag>.lock`.
    Locked,
    /// Unfinished, by a program that may hold no lock.
    Unlocked,
    /// Named like a blob; `true`: a listing names it.
    Blob(bool),
    /// Unknown.
    Foreign,
}

pub struct LooseFile {
    pub name: String,
    pub what: Loose,
    pub is_young: bool,
    /// The lock that its writer would hold.
    pub lock: Lock,
}

pub struct MadeFile {
    pub path: String,
    pub blob: String,
    /// A file of its own, in the layout without links.
    pub is_copy: bool,
    /// Its link is absolute and leads to where the cache was before.
    pub is_moved: bool,
}

pub struct Revision {
    pub commit: String,
    pub refs: Vec<String>,
    pub files: Vec<MadeFile>,
    /// Paths and blobs of the files that lost their links.
    pub lost: Vec<(String, String)>,
    /// There is a listing of it, lost files included.
    pub is_listed: bool,
}

pub struct Blob {
    pub name: String,
    /// What it should hold: its name is the hash of this.
    pub text: String,
    /// Bytes that are left of it.
    pub length: usize,
    pub is_young: bool,
    /// It is a link to this shared_blob.
    pub shared_blob: Option<String>,
    pub lock: Lock,
}

pub struct Repo {
    pub id: String,
    pub folder: String,
    pub blobs: Vec<Blob>,
    pub revisions: Vec<Revision>,
    pub loose: Vec<LooseFile>,
    pub is_pinned: bool,
    /// A ref to a missing snapshot, or a broken link: clients do not see the repository.
    pub is_damaged: bool,
}

pub struct SharedBlob {
    pub hash: String,
    /// What it should hold.
    pub text: String,
    /// Bytes that are left of it.
    pub length: usize,
    pub has_manifest: bool,
    pub lock: Lock,
    pub is_young: bool,
}

pub struct Made {
    pub root: PathBuf,
    pub locks: Locks,
    pub repos: Vec<Repo>,
    pub shared_blobs: Vec<SharedBlob>,
    /// Unfinished downloads in the root, and whether they are young.
    pub in_root: Vec<(String, bool)>,
    pub(super) held: Vec<Held>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for repo in &self.repos {
            writeln!(
                f,
                "{} pinned {} damaged {}",
                repo.id, repo.is_pinned, repo.is_damaged
            )?;
            for blob in &repo.blobs {
                let Blob {
                    name,
                    is_young,
                    shared_blob,
                    lock,
                    text,
                    length,
                } = blob;
                let kind = match (*length, text.len()) {
                    (0, _) => "empty blob",
                    (length, whole) if length < whole => "short blob",
                    _ => "blob",
                };
                writeln!(
                    f,
                    "  {kind} {name} young {is_young} {lock:?} {shared_blob:?}"
                )?;
            }
            for revision in &repo.revisions {
                let Revision {
                    commit,
                    refs,
                    lost,
                    is_listed,
                    ..
                } = revision;
                writeln!(f, "  {commit} {refs:?} listed {is_listed}, lost {lost:?}")?;
                for file in &revision.files {
                    let MadeFile {
                        path,
                        blob,
                        is_copy,
                        is_moved,
                    } = file;
                    writeln!(f, "    {path} -> {blob} copy {is_copy} moved {is_moved}")?;
                }
            }
            for loose in &repo.loose {
                let LooseFile {
                    name,
                    what,
                    is_young,
                    lock,
                } = loose;
                writeln!(f, "  loose {name} {what:?} young {is_young} {lock:?}")?;
            }
        }
        for shared_blob in &self.shared_blobs {
            let SharedBlob {
                hash,
                has_manifest,
                lock,
                is_young,
                ..
            } = shared_blob;
            writeln!(
                f,
                "shared_blob {hash} manifest {has_manifest} young {is_young} {lock:?}"
            )?;
        }
        writeln!(f, "in the root: {:?}", self.in_root)
    }
}

impl Made {
    /// No process holds a lock any more.
    pub fn release(&mut self) {
        self.held.clear();
        let free = |lock: &mut Lock| {
            if *lock == Lock::Held {
                *lock = Lock::Free;
            }
        };
        for repo in &mut self.repos {
            repo.blobs.iter_mut().for_each(|blob| free(&mut blob.lock));
            repo.loose.iter_mut().for_each(|file| free(&mut file.lock));
        }
    }

    /// A Hub that has every file of the cache as it should be.
    pub fn hub(&self) -> Hub {
        let hub = Hub::start();
        for repo in &self.repos {
            let mut known = HubRepo::model(&repo.id);
            for revision in &repo.revisions {
                let files = revision.files.iter().map(|file| (&file.path, &file.blob));
                let lost = revision.lost.iter().map(|(path, blob)| (path, blob));
                let tree = files
                    .chain(lost)
                    .fold(Tree::default(), |tree, (path, name)| {
                        let blob = repo.blobs.iter().find(|blob| blob.name == *name);
                        let blob = blob.expect("a file is made from a blob");
                        let text = blob.text.clone();
                        match (&blob.shared_blob, name.len()) {
                            (Some(hash), 64) => tree.xet(path, text, hash),
                            (None, 64) => tree.lfs(path, text),
                            _ => tree.file(path, text),
                        }
                    });
                known = known.known_commit(&revision.commit, tree);
            }
            hub.add(known);
        }
        hub
    }
}
