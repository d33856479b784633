//! What the disk has of the wanted files.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Session;
use crate::cache::layout::{PartialName, RepoLayout};
use crate::cache::pointers::{Pointers, blob_files};
use crate::cache::trees;
use crate::download::local_dir::{self, LocalDir};
use crate::download::partial::kept_bytes;
use crate::download::plan::{Action, DownloadPlan, OnDisk, PlannedFile};
use crate::download::request::Destination;
use crate::download::select::Selection;
use crate::download::shared::Sharing;
use crate::download::whole::{Length, is_whole};
use crate::sys::dir::Dir;
use crate::types::digest::XetHash;
use crate::types::listing::{Checksum, FileEntry, Listing};
use crate::types::progress::Notice;
use crate::types::{CommitHash, RepoPath};

/// A remembered listing up to this length, in bytes, is read for a single file: it takes a
/// millisecond.
const SHORT_LISTING: u64 = 1 << 20;

impl Session {
    /// A file that is there already, found without a request: a commit never changes.
    pub(super) fn present(&self, commit: &CommitHash, path: &RepoPath) -> Option<PlannedFile> {
        let (file, etag) = match &self.request.target {
            Destination::Cache => {
                let pointer = self.repo.pointer(commit, path);
                let blob = fs::read_link(&pointer).ok();
                let etag = blob.and_then(|blob| blob.file_name()?.to_str().map(str::to_owned));
                (pointer, etag)
            }
            Destination::LocalDir(dir) => {
                let metadata = dir.metadata(path).filter(|m| m.commit == commit.as_str())?;
                (dir.file(path), Some(metadata.etag))
            }
        };
        if self.request.force {
            return None;
        }
        let size = fs::metadata(file).ok().filter(fs::Metadata::is_file)?.len();
        if self
            .listed_size(commit, path, size)
            .is_some_and(|listed| listed != size)
        {
            return None;
        }
        // Where links do not work the pointer is the file, and its hash is not known.
        let checksum = etag.as_deref().and_then(Checksum::from_etag);
        let checksum = checksum.unwrap_or_else(|| Checksum::Unknown(commit.as_str().into()));
        let disk = OnDisk {
            file: true,
            ..OnDisk::default()
        };
        Some(PlannedFile::new(
            path.clone(),
            checksum,
            Length::Sure(size),
            disk,
            false,
        ))
    }

    /// Size of a file in the remembered listing of its commit, when one look tells. A file that is
    /// `found` to be empty is suspicious enough to read a long listing.
    pub(super) fn listed_size(
        &self,
        commit: &CommitHash,
        path: &RepoPath,
        found: u64,
    ) -> Option<u64> {
        let tree = self.tree_file(commit);
        if found > 0 && fs::metadata(&tree).ok()?.len() > SHORT_LISTING {
            return None;
        }
        let listing = trees::read(&tree)?;
        listing.get(path).map(|entry| entry.size)
    }

    pub(super) fn tree_file(&self, commit: &CommitHash) -> PathBuf {
        match &self.request.target {
            Destination::Cache => self.repo.tree(commit),
            Destination::LocalDir(dir) => dir.tree(commit),
        }
    }

    /// What `blobs/` has, in one listing of the folder instead of one system call a file.
    pub(super) fn blobs(&self) -> Blobs {
        let folder = self.repo.blobs();
        let (partials, complete) = blob_files(&folder)
            .into_iter()
            .partition::<Vec<_>, _>(|name| PartialName::stem_of_ours(name).is_some());
        let stems = partials
            .iter()
            .filter_map(|name| PartialName::stem_of_ours(name));
        Blobs {
            folder: Dir::open(&folder).ok(),
            partials: stems.map(str::to_owned).collect(),
            complete: complete.into_iter().collect(),
            sharing: self.sharing().filter(Sharing::is_there),
        }
    }

    /// What the disk has of files of a listing. Looking for a hundred thousand takes a second of system calls, so
    /// threads share them.
    pub(super) fn look_at_all(
        &self,
        commit: &CommitHash,
        listing: &Listing,
        places: &[u32],
        blobs: &Blobs,
    ) -> Vec<OnDisk> {
        /// Files that are worth a thread.
        const SHARE: usize = 500;
        const MOST_THREADS: usize = 4;
        let snapshot = self.repo.snapshot(commit);
        let look = |places: &[u32]| {
            let mut pointers = Pointers::open(&snapshot);
            let found = places.iter().map(|&place| {
                let (path, entry) = listing.at(place);
                self.on_disk(commit, path, entry, (&mut pointers, blobs))
            });
            found.collect::<Vec<_>>()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(MOST_THREADS).min(places.len() / SHARE).max(1);
        let mut shares = places.chunks(places.len().div_ceil(threads).max(1));
        let first = shares.next().unwrap_or_default();
        std::thread::scope(|scope| {
            let spawn = |share| {
                let begun = std::thread::Builder::new().spawn_scoped(scope, move || look(share));
                (share, begun)
            };
            let others: Vec<_> = shares.map(spawn).collect();
            let mut found = look(first);
            for (share, begun) in others {
                let joined = begun.ok().and_then(|thread| thread.join().ok());
                // Without a thread it is done here.
                found.extend(joined.unwrap_or_else(|| look(share)));
            }
            found
        })
    }

    pub(super) fn on_disk(
        &self,
        commit: &CommitHash,
        path: &RepoPath,
        entry: &FileEntry,
        (pointers, blobs): (&mut Pointers, &Blobs),
    ) -> OnDisk {
        let checksum = entry.checksum();
        let probe = Probe {
            commit,
            path,
            checksum: &checksum,
            length: Length::Sure(entry.size),
            xet_hash: entry.xet_hash.as_ref(),
        };
        if matches!(self.request.target, Destination::Cache)
            && blobs.folder.is_none()
            && pointers.is_nowhere()
        {
            // The first download of a repository: there is nothing to look for, file by file.
            return OnDisk {
                shared: blobs.has_shared(&probe),
                ..OnDisk::default()
            };
        }
        if matches!(self.request.target, Destination::Cache)
            && blobs.complete.contains(&*checksum.etag())
            && pointers.names(path, &checksum)
            && blobs.length(&checksum.etag()) == Some(entry.size)
        {
            return OnDisk {
                file: true,
                content: true,
                partial: blobs.partial(&self.repo, &checksum, Length::Sure(entry.size)),
                ..OnDisk::default()
            };
        }
        // Not there, or there in another form: a copy, or a link that another program made.
        self.probe(&probe, blobs)
    }

    pub(super) fn probe(&self, probe: &Probe<'_>, blobs: &Blobs) -> OnDisk {
        let pointer = self.repo.pointer(probe.commit, probe.path);
        let file = is_whole(&pointer, probe.checksum, probe.length);
        let in_cache = file == Some(true);
        match &self.request.target {
            Destination::Cache => {
                let blob = match in_cache {
                    true => None,
                    false => is_whole(
                        &self.repo.blob(probe.checksum),
                        probe.checksum,
                        probe.length,
                    ),
                };
                let content = in_cache || blob == Some(true);
                OnDisk {
                    file: in_cache,
                    content,
                    damaged: !content && (file.is_some() || blob.is_some()),
                    shared: !content && blobs.has_shared(probe),
                    partial: blobs.partial(&self.repo, probe.checksum, probe.length),
                    ..OnDisk::default()
                }
            }
            Destination::LocalDir(dir) => local_state(dir, probe, in_cache),
        }
    }

    /// Warns that files of a local folder are replaced although they are not what a download left there. One of the
    /// right length is hashed before anything is said of it: see [`crate::download::job`].
    pub(super) fn tell_of_replaced(&self, plan: &DownloadPlan) {
        let Destination::LocalDir(dir) = &self.request.target else {
            return;
        };
        let replaced = plan.files.iter().filter(|file| {
            let path = dir.file(&file.path);
            matches!(file.action, Action::Fetch { .. } | Action::Reuse)
                && is_whole(&path, &file.checksum, file.length) == Some(false)
                && dir.is_changed(&file.path, &file.checksum)
        });
        let replaced: Vec<RepoPath> = replaced.map(|file| file.path).collect();
        if !replaced.is_empty() {
            self.hub
                .tell(Notice::Warning(local_dir::replaced(&replaced)));
        }
    }

    pub(super) fn path_at(&self, commit: &CommitHash) -> PathBuf {
        match (&self.request.target, &self.request.selection) {
            (Destination::Cache, Selection::File(path)) => self.repo.pointer(commit, path),
            (Destination::Cache, _) => self.repo.snapshot(commit),
            (Destination::LocalDir(dir), Selection::File(path)) => dir.file(path),
            (Destination::LocalDir(dir), _) => dir.root().to_path_buf(),
        }
    }
}

/// What the `blobs/` folder of a repository has, and the store that it shares with others.
pub(super) struct Blobs {
    /// The folder itself, when it is there.
    folder: Option<Dir>,
    /// Names of complete blobs that are regular files.
    complete: HashSet<String>,
    /// Etags of unfinished downloads.
    partials: HashSet<String>,
    /// The shared store, when there is one.
    sharing: Option<Sharing>,
}

impl Blobs {
    /// Whether a blob with the name of this content was there.
    pub(super) fn has(&self, checksum: &Checksum) -> bool {
        self.complete.contains(&*checksum.etag())
    }

    /// Length in bytes of a complete blob.
    fn length(&self, etag: &str) -> Option<u64> {
        let stat = self.folder.as_ref()?.stat(etag, true).ok()?;
        Some(stat.size)
    }

    /// Bytes of an unfinished download; `None` without one.
    fn partial(&self, repo: &RepoLayout, checksum: &Checksum, length: Length) -> Option<u64> {
        let is_there = self.partials.contains(&*checksum.etag());
        is_there.then(|| kept_bytes(&repo.partial(checksum), checksum, length.sure()))
    }

    fn has_shared(&self, probe: &Probe<'_>) -> bool {
        let sharing = self.sharing.as_ref();
        sharing.is_some_and(|it| it.has(probe.checksum, probe.xet_hash, probe.length.said()))
    }
}

/// A file to look for on the disk.
pub(super) struct Probe<'a> {
    pub(super) commit: &'a CommitHash,
    pub(super) path: &'a RepoPath,
    pub(super) checksum: &'a Checksum,
    pub(super) length: Length,
    pub(super) xet_hash: Option<&'a XetHash>,
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() == 0)
}

fn local_state(dir: &LocalDir, probe: &Probe<'_>, in_cache: bool) -> OnDisk {
    let metadata = dir.metadata(probe.path);
    let same_etag = metadata
        .as_ref()
        .is_some_and(|m| m.etag == *probe.checksum.etag());
    let same_commit = metadata
        .as_ref()
        .is_some_and(|m| m.commit == probe.commit.as_str());
    let file = is_whole(&dir.file(probe.path), probe.checksum, probe.length);
    let is_right = same_etag && file == Some(true);
    OnDisk {
        file: is_right && same_commit,
        stale_metadata: is_right,
        // Its hash would tell, if there is one.
        unknown_file: metadata.is_none()
            && !matches!(probe.checksum, Checksum::Unknown(_))
            && file == Some(true),
        content: in_cache,
        // Nothing of the user's is in an empty file; another length may be an edit: see `LocalDir::is_changed`.
        damaged: same_etag && file == Some(false) && is_empty(&dir.file(probe.path)),
        shared: false,
        partial: {
            let path = dir.partial(probe.path, probe.checksum);
            let kept = || kept_bytes(&path, probe.checksum, probe.length.sure());
            path.exists().then(kept)
        },
    }
}
