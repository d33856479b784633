//! What a scan of the cache found: repository → revision → file, and what is wrong.

use std::io;
use std::path::{Path, PathBuf};

use crate::cache::layout::{self, RepoLayout};
use crate::cache::shared::Store;
use crate::sys::dir::{path_of, text_of};
use crate::types::CacheId;

/// The whole cache as it was when it was scanned.
#[derive(Debug)]
pub struct CacheReport {
    /// The cache's root, with links resolved.
    pub root: PathBuf,
    /// Healthy repositories, by folder name.
    pub repos: Vec<CachedRepo>,
    /// What is wrong, by folder name. A folder with a problem is not among the repositories; what could
    /// be read of it is in [`Problem::rest`].
    pub problems: Vec<Problem>,
    /// Unfinished downloads, by path.
    pub incomplete: Vec<Incomplete>,
    /// The shared blob store, when there is one.
    pub store: Option<Store>,
    /// Bytes on disk: every blob once, and a shared blob once, used or not. Damaged repositories
    /// do not count, as for the Python client.
    pub size: u64,
    /// The same with damaged repositories.
    pub size_with_damaged: u64,
}

/// A repository in the cache.
#[derive(Debug)]
pub struct CachedRepo {
    /// Name of its folder, as bytes of the file system.
    pub folder: Vec<u8>,
    /// Its paths.
    pub layout: RepoLayout,
    /// What it is called, by the name of its folder.
    pub id: CacheId,
    /// Its revisions, by commit.
    pub revisions: Vec<CachedRevision>,
    /// The different files that its snapshots lead to.
    pub blobs: Vec<Blob>,
    /// Bytes of all blobs, each counted once.
    pub size: u64,
    /// When a blob was last read, in seconds since 1970.
    pub accessed: f64,
    /// When a blob was last written, in seconds since 1970.
    pub modified: f64,
}

/// A snapshot of a repository.
#[derive(Debug)]
pub struct CachedRevision {
    /// Name of its folder, as bytes of the file system.
    pub name: Vec<u8>,
    /// The same as text: the commit.
    pub commit: String,
    /// The refs that name this commit, sorted. None: the revision is detached.
    pub refs: Vec<String>,
    /// How many files it has.
    pub file_count: u64,
    /// Bytes of its blobs, each counted once.
    pub size: u64,
    /// When one of its blobs was last written, in seconds since 1970.
    pub modified: f64,
    /// Its files, when the scan was asked for them ([`crate::cache::scan::Detail::Files`]).
    pub files: Vec<CachedFile>,
}

/// A file of a snapshot.
#[derive(Debug)]
pub struct CachedFile {
    /// Path in the snapshot, as bytes of the file system.
    pub path: Box<[u8]>,
    /// Index into [`CachedRepo::blobs`].
    pub blob: u32,
}

/// A file that a snapshot leads to.
#[derive(Debug)]
pub struct Blob {
    /// Where it is: relative to the repository's folder, or absolute when outside of it.
    pub place: Box<[u8]>,
    /// Bytes.
    pub size: u64,
    /// Device and inode.
    pub identity: (u64, u64),
    /// How many names the file has; more than one means that another place keeps it alive.
    pub names: u64,
    /// The shared blob that it links to: index into [`Store::shared_blobs`].
    pub shared: Option<u32>,
}

/// An unfinished download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// Name of the repository's folder; empty for a file in the cache's root
    /// ([`crate::cache::blob_names::is_root_partial`]).
    pub folder: Vec<u8>,
    /// Its name in `blobs/`, or in the root.
    pub name: Vec<u8>,
    /// Bytes so far: those that take room on the disk.
    pub size: u64,
}

/// Something that is wrong in a cache.
#[derive(Debug)]
pub struct Problem {
    /// Name of the entry in the cache's root.
    pub folder: Vec<u8>,
    /// Where exactly.
    pub path: PathBuf,
    /// What it is.
    pub kind: ProblemKind,
    /// The rest of the repository, when the folder is one: its complete revisions, what could be
    /// read of the others, and the blobs that nothing links to.
    pub rest: Option<Box<CachedRepo>>,
}

/// What is wrong with an entry of the cache (docs/reference.md#damaged-repositories).
#[derive(Debug, thiserror::Error)]
pub enum ProblemKind {
    /// A file where repositories should be.
    #[error("is not a folder")]
    NotAFolder,
    /// The name has no `--`.
    #[error("is not the folder of a repository")]
    NotARepo,
    /// The name starts with no type of repository.
    #[error("is of an unknown type, {0:?}")]
    UnknownType(String),
    /// There is no `snapshots` folder.
    #[error("is missing: a repository needs it")]
    NoSnapshots,
    /// `refs` is a file.
    #[error("is a file and should be a folder")]
    RefsIsAFile,
    /// A file between the snapshots.
    #[error("is a file and should be the folder of a snapshot")]
    FileInSnapshots,
    /// A snapshot's link leads nowhere. The path is where it leads.
    #[error("is missing, and a snapshot links to it")]
    BlobMissing,
    /// A ref holds something that is no snapshot's name. The list is `(ref, content)`.
    #[error("{}", refs_text(.0))]
    RefToMissing(Vec<(String, String)>),
    /// It cannot be read.
    #[error("cannot be read: {}", crate::sys::reason(.0))]
    Unreadable(io::Error),
}

fn refs_text(refs: &[(String, String)]) -> String {
    let refs: Vec<String> = refs
        .iter()
        .map(|(name, commit)| format!("{name} -> {commit:?}"))
        .collect();
    format!(
        "has refs to commits that are not there ({})",
        refs.join(", ")
    )
}

impl ProblemKind {
    /// A short name, the same as in `hf cache doctor`.
    pub fn word(&self) -> &'static str {
        match self {
            ProblemKind::NotAFolder | ProblemKind::NotARepo | ProblemKind::UnknownType(_) => {
                "unknown-entry"
            }
            ProblemKind::NoSnapshots => "missing-snapshots",
            ProblemKind::RefsIsAFile | ProblemKind::FileInSnapshots => "stray-file",
            ProblemKind::BlobMissing => "broken-link",
            ProblemKind::RefToMissing(_) => "dangling-ref",
            ProblemKind::Unreadable(_) => "unreadable",
        }
    }
}

impl Problem {
    /// The repository that the folder belongs to, by its name.
    pub fn repo(&self) -> Option<CacheId> {
        layout::parse_repo_folder_name(&text_of(&self.folder))
    }
}

impl CacheReport {
    /// All repositories, those that are damaged too.
    pub fn all_repos(&self) -> impl Iterator<Item = &CachedRepo> {
        self.repos.iter().chain(self.damaged_repos())
    }

    /// What could be read of the damaged repositories.
    pub fn damaged_repos(&self) -> impl Iterator<Item = &CachedRepo> {
        let problems = self.problems.iter();
        problems.filter_map(|problem| problem.rest.as_deref())
    }

    /// Ids and folders of all repositories: first the healthy ones, then the damaged ones.
    pub fn ids(&self) -> impl Iterator<Item = (CacheId, &[u8])> {
        let healthy = self.repos.iter();
        let healthy = healthy.map(|repo| (repo.id.clone(), repo.folder.as_slice()));
        let damaged = self.problems.iter();
        healthy.chain(damaged.filter_map(|p| Some((p.repo()?, p.folder.as_slice()))))
    }

    /// Bytes of all unfinished downloads.
    pub fn incomplete_size(&self) -> u64 {
        self.incomplete.iter().map(|file| file.size).sum()
    }
}

impl CachedRepo {
    /// All refs, sorted.
    pub fn refs(&self) -> Vec<String> {
        let mut refs: Vec<String> = self
            .revisions
            .iter()
            .flat_map(|revision| revision.refs.iter().cloned())
            .collect();
        refs.sort();
        refs
    }
}

impl CachedRevision {
    /// Path of the snapshot, given its repository's.
    pub fn path(&self, repo: &RepoLayout) -> PathBuf {
        repo.snapshot_named(&self.name)
    }
}

impl Incomplete {
    /// Path of the file.
    pub fn path(&self, root: &Path) -> PathBuf {
        if self.folder.is_empty() {
            return root.join(path_of(&self.name));
        }
        RepoLayout::of_folder(root, &self.folder).blob_named(&self.name)
    }
}
