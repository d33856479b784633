//! Where a fetched file goes: lock, partial, publish. One file at a time, called by the workers.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::DownloadError;
use super::claim::Claim;
use super::local_dir::LocalDir;
use super::plan::{Action, PlannedFile};
use super::request::{Destination, Request};
use super::whole::is_whole;
use super::xet::Xet;
use crate::cache::commit::{Linking, link, prepare_root, publish};
use crate::cache::layout::{CacheLayout, RepoLayout};
use crate::download::http::parallel::{Connections, fetch};
use crate::download::http::request::{INLINE_LIMIT, Manners, Source};
use crate::download::http::segments::{remove_segments, segment_paths};
use crate::download::shared::Sharing;
use crate::hub::Hub;
use crate::hub::http::Notice;
use crate::sys::lockfile::{self, Attempt, is_young};
use crate::sys::threads;
use crate::sys::{
    FsError, copy_file, create_dir_all, has_no_locks, open_regular, refuse_foreign_link,
};
use crate::types::hash::ContentHasher;
use crate::types::progress::Progress;
use crate::types::token::Token;
use crate::types::{CommitHash, Repo};

/// The place that files of one download go to.
pub struct Store {
    cache: CacheLayout,
    repo: RepoLayout,
    commit: CommitHash,
    linking: Linking,
    local_dir: Option<LocalDir>,
    /// The user was told that this file system has no locks.
    told_of_locks: AtomicBool,
}

impl Store {
    /// The place of a request. Nothing is written yet.
    pub fn new(request: &Request, repo: &RepoLayout, commit: &CommitHash) -> Self {
        Store {
            cache: request.cache.clone(),
            repo: repo.clone(),
            commit: commit.clone(),
            linking: request.linking,
            local_dir: match &request.target {
                Destination::Cache => None,
                Destination::LocalDir(dir) => Some(dir.clone()),
            },
            told_of_locks: AtomicBool::new(false),
        }
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// [`FsError`] when one cannot be made.
    pub fn prepare(&self) -> Result<(), FsError> {
        if let Some(dir) = &self.local_dir {
            return dir.prepare();
        }
        prepare_root(&self.cache)?;
        refuse_foreign_link(self.repo.folder())?;
        // In this order: a repository with blobs and without `snapshots/` counts as damaged.
        create_dir_all(&self.repo.snapshot(&self.commit))?;
        create_dir_all(&self.repo.blobs())
    }

    /// Removes unfinished downloads of files that came to be in another way. Those that somebody is
    /// at, or that cannot be removed, stay.
    pub fn sweep(&self, files: &[PlannedFile]) {
        for file in files.iter().filter(|file| file.leftover) {
            if let Attempt::Taken(_lock) = lockfile::attempt(&self.lock_file(file))
                && self.has_content(file)
            {
                self.discard_partial(file);
            }
        }
    }

    /// Removes what there is of an unfinished download. The caller holds the lock.
    fn discard_partial(&self, file: &PlannedFile) {
        let partial = self.partial(file);
        let _ = fs::remove_file(&partial);
        remove_segments(&partial, file.size);
    }

    /// After a failure: takes back folders in which nothing came to be, so that a refused download
    /// (a gated repository) leaves no empty repository in the cache. `new_tree` is the listing that
    /// this download wrote.
    pub fn tidy(&self, files: &[PlannedFile], new_tree: Option<&Path>) {
        if self.local_dir.is_some() {
            return;
        }
        for file in files.iter().filter(|file| file.is_fetched()) {
            let is_empty = fs::metadata(self.partial(file)).is_ok_and(|found| found.len() == 0);
            // Another program that waits for its first byte holds the lock.
            if is_empty && let Attempt::Taken(_lock) = lockfile::attempt(&self.lock_file(file)) {
                self.discard_partial(file);
            }
        }
        // remove_dir takes empty folders only: what holds anything stays.
        let _ = fs::remove_dir(self.repo.snapshot(&self.commit));
        let _ = fs::remove_dir(self.repo.blobs());
        if self.repo.blobs().exists() || fs::remove_dir(self.repo.snapshots()).is_err() {
            return;
        }
        if let Some(tree) = new_tree {
            let _ = fs::remove_file(tree);
            let _ = tree.parent().map(fs::remove_dir);
        }
        let _ = fs::remove_dir(self.repo.folder());
    }

    fn lock_file(&self, file: &PlannedFile) -> PathBuf {
        match &self.local_dir {
            Some(dir) => dir.lock(&file.path),
            None => self.repo.lock(&file.checksum),
        }
    }

    fn partial(&self, file: &PlannedFile) -> PathBuf {
        match &self.local_dir {
            Some(dir) => dir.partial(&file.path, &file.checksum),
            None => self.repo.partial(&file.checksum),
        }
    }

    /// Whether the content came to be while we waited for the lock, or was there from the start.
    fn has_content(&self, file: &PlannedFile) -> bool {
        let is_whole = |path: &Path| is_whole(path, &file.checksum, file.length) == Some(true);
        match &self.local_dir {
            Some(dir) => {
                let metadata = dir.metadata(&file.path);
                metadata.is_some_and(|metadata| metadata.etag == file.checksum.etag())
                    && is_whole(&dir.file(&file.path))
            }
            None => is_whole(&self.repo.blob(&file.checksum)),
        }
    }

    /// Bytes of these files that are on disk and count the next time: whole contents, and what there
    /// is of unfinished ones.
    pub fn kept(&self, files: &[PlannedFile]) -> u64 {
        let mut seen = HashSet::new();
        let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let of_file = |file: &PlannedFile| match (self.has_content(file), file.size) {
            (true, Some(size)) => size,
            _ => {
                let partial = self.partial(file);
                let segments = segment_paths(&partial, file.size);
                length(&partial) + segments.map(|path| length(&path)).sum::<u64>()
            }
        };
        files
            .iter()
            .filter(|file| file.is_fetched())
            .filter(|file| self.local_dir.is_some() || seen.insert(file.checksum.etag()))
            .map(of_file)
            .sum()
    }

    /// Uses content that is there already.
    fn reuse(&self, file: &PlannedFile) -> Result<(), FsError> {
        match &self.local_dir {
            Some(dir) => {
                let cached = self.repo.pointer(&self.commit, &file.path);
                let target = dir.file(&file.path);
                if let Some(folder) = target.parent() {
                    create_dir_all(folder)?;
                }
                // Content only: the shared store's read-only mode is not for the user's own file.
                copy_file(&cached, &target, &dir.staging())?;
                dir.write_metadata(&file.path, &self.commit, &file.checksum)
            }
            None => self.point(file, false),
        }
    }

    /// Makes the pointer to a blob; see [`link`].
    fn point(&self, file: &PlannedFile, fresh: bool) -> Result<(), FsError> {
        let (repo, commit) = (&self.repo, &self.commit);
        link(
            repo,
            commit,
            &file.path,
            &file.checksum,
            self.linking,
            fresh,
        )
    }

    /// Makes a verified partial the user's file, or the blob. That another process did so first is
    /// success. Takes as long as the disk takes to keep the bytes.
    fn publish(&self, file: &PlannedFile, partial: &Path) -> Result<(), FsError> {
        match &self.local_dir {
            Some(dir) => {
                let target = dir.file(&file.path);
                if let Some(folder) = target.parent() {
                    create_dir_all(folder)?;
                }
                publish(partial, &target)?;
                dir.write_metadata(&file.path, &self.commit, &file.checksum)
            }
            None => {
                let published = publish(partial, &self.repo.blob(&file.checksum));
                published.or_else(|error| match self.has_content(file) {
                    true => Ok(()),
                    false => Err(error),
                })
            }
        }
    }

    /// A legacy client's `<etag>.incomplete` is a prefix of the same content: it becomes our
    /// partial when we have none. The caller holds the lock that the legacy client takes as well; the
    /// JavaScript client writes to the same name without one, so what was written to lately stays.
    fn adopt_legacy_partial(&self, file: &PlannedFile) {
        // A small file gains nothing by it.
        let is_large = file.size.is_none_or(|size| size > INLINE_LIMIT);
        let ours = self.partial(file);
        if is_large && self.local_dir.is_none() && !ours.exists() {
            let legacy = self.repo.legacy_partial(&file.checksum);
            let is_left = fs::symlink_metadata(&legacy)
                .is_ok_and(|meta| meta.is_file() && !is_young(&meta, SystemTime::now()));
            if is_left {
                let _ = fs::rename(legacy, ours);
            }
        }
    }
}

/// What a worker needs to bring one file after the other.
pub struct Job {
    /// The Hub.
    pub hub: Hub,
    /// Sent to Hub hosts only.
    pub token: Option<Token>,
    /// The repository.
    pub repo: Repo,
    /// The commit all files come from.
    pub commit: CommitHash,
    /// Fetch what is there already.
    pub force: bool,
    /// Told of every byte and file.
    pub progress: Arc<dyn Progress>,
    /// Shared by all files.
    pub connections: Connections,
    /// Where to.
    pub store: Arc<Store>,
    /// Xet storage, unless it is switched off.
    pub xet: Option<Arc<Xet>>,
    /// The shared blob store, if it is to be used.
    pub sharing: Option<Sharing>,
}

impl Job {
    /// Does what the plan says of files with the same content, one after the other.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn run(&self, batch: &[PlannedFile]) -> Result<(), DownloadError> {
        for (index, file) in batch.iter().enumerate() {
            // Forcing the first has brought the content for all of them.
            let force = self.force && index == 0;
            if file.action != Action::Ready {
                self.bring(file, force).await?;
            }
            self.progress.file_done();
        }
        Ok(())
    }

    async fn bring(&self, file: &PlannedFile, force: bool) -> Result<(), DownloadError> {
        let claim = self.claim(file).await?;
        match (file.action, &self.store.local_dir) {
            (Action::Touch, Some(dir)) => {
                return Ok(dir.write_metadata(&file.path, &self.commit, &file.checksum)?);
            }
            (Action::Check, Some(dir)) if is_content(&dir.file(&file.path), file).await? => {
                return Ok(dir.write_metadata(&file.path, &self.commit, &file.checksum)?);
            }
            (Action::Reuse, Some(_)) => return Ok(self.store.reuse(file)?),
            _ => {}
        }
        if !force && self.store.has_content(file) {
            // It was there, or another process brought it while we waited.
            self.skip(file);
            if claim.is_common() {
                self.store.discard_partial(file);
            }
            return match &self.store.local_dir {
                Some(_) => Ok(()),
                None => Ok(self.store.reuse(file)?),
            };
        }
        if !force
            && let Some(sharing) = &self.sharing
            && sharing.link(&self.hub, file).await?
        {
            self.skip(file);
            if claim.is_common() {
                self.store.discard_partial(file);
            }
            return Ok(self.store.point(file, false)?);
        }
        let partial = claim.partial(self.store.partial(file), file.size);
        self.fetch(
            file,
            partial.path(),
            force && claim.is_common(),
            claim.is_common(),
        )
        .await
    }

    /// Counts the bytes of a file that turned out to be there as if they had come.
    fn skip(&self, file: &PlannedFile) {
        if let Action::Fetch { from } = file.action {
            let missing = file.size.unwrap_or(0).saturating_sub(from);
            self.progress.advance(missing);
        }
    }

    async fn fetch(
        &self,
        file: &PlannedFile,
        partial: &Path,
        force: bool,
        is_common: bool,
    ) -> Result<(), DownloadError> {
        if force {
            // Whatever the reason for forcing, bytes of an earlier attempt are part of it.
            let _ = fs::remove_file(partial);
            remove_segments(partial, file.size);
        } else if is_common {
            self.store.adopt_legacy_partial(file);
        }
        let source = Source {
            hub: &self.hub,
            token: self.token.as_ref(),
            url: self
                .hub
                .resolve_url(&self.repo, self.commit.as_str(), &file.path),
            path: &file.path,
            checksum: &file.checksum,
            size: file.length.sure(),
            progress: &*self.progress,
            link: Mutex::new(file.link.clone()),
            manners: Manners::default(),
        };
        let fetched = self.fetch_content(file, &source, partial).await;
        if fetched.is_err() && fs::metadata(partial).is_ok_and(|file| file.len() == 0) {
            let _ = fs::remove_file(partial);
        }
        let is_from_xet = fetched?;
        let (store, this, path) = (Arc::clone(&self.store), file.clone(), partial.to_path_buf());
        threads::run(move || store.publish(&this, &path)).await??;
        if self.store.local_dir.is_some() {
            return Ok(());
        }
        let is_shared = match &self.sharing {
            Some(sharing) if is_from_xet => sharing.publish(&self.hub, file).await?,
            _ => false,
        };
        // A link must not be moved: it would lead elsewhere.
        Ok(self.store.point(file, !is_shared)?)
    }

    /// Fills the partial with verified content: from Xet storage when the file is there (`true`),
    /// else, or for what Xet did not bring, over HTTP.
    async fn fetch_content(
        &self,
        file: &PlannedFile,
        source: &Source<'_>,
        partial: &Path,
    ) -> Result<bool, DownloadError> {
        if let (Some(xet), Some(hash)) = (&self.xet, &file.xet_hash)
            && xet.fetch(source, hash, partial, &*self.progress).await?
        {
            remove_segments(partial, file.size);
            return Ok(true);
        }
        // A file's first connection is never refused; it only counts.
        let _permit = self.connections.try_acquire();
        fetch(source, partial, &self.connections).await?;
        Ok(false)
    }

    /// The right to write to a file's unfinished download, once no other process holds it.
    async fn claim(&self, file: &PlannedFile) -> Result<Claim, DownloadError> {
        let path = self.store.lock_file(file);
        let taken = match lockfile::attempt(&path) {
            Attempt::Held => {
                self.hub.tell(Notice::Waiting(format!(
                    "another process is downloading {}; waiting for it",
                    file.path
                )));
                let path = path.clone();
                threads::run(move || lockfile::wait(&path, None)).await?
            }
            taken => taken,
        };
        match taken {
            Attempt::Taken(guard) => Ok(Claim::with_lock(guard, &path, &self.store.partial(file))),
            Attempt::CannotTell(error) if is_no_place(&error) => Err(error.into()),
            Attempt::CannotTell(error) => {
                if !self.store.told_of_locks.swap(true, Ordering::Relaxed) {
                    self.hub.tell(Notice::Warning(without_locks(&error)));
                }
                Ok(Claim::Own(None))
            }
            // Only patience that has an end ends with this.
            Attempt::Held => Ok(Claim::Own(None)),
        }
    }
}

/// Whether nothing at all can be written where a lock could not be made.
fn is_no_place(error: &FsError) -> bool {
    use std::io::ErrorKind;
    error.is_disk_full()
        || matches!(
            error.source.kind(),
            ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory
        )
}

/// What it means that locks do not work.
fn without_locks(error: &FsError) -> String {
    const MEANS: &str = "several downloads of the same file at the same time would each fetch it";
    if has_no_locks(&error.source) {
        return format!("This file system has no locks: {MEANS}.");
    }
    format!(
        "The lock {} cannot be relied on ({}): {MEANS}.",
        error.path.display(),
        crate::sys::reason(&error.source)
    )
}

/// Whether a file the user already has is the wanted content.
async fn is_content(path: &Path, file: &PlannedFile) -> Result<bool, DownloadError> {
    let (path, checksum) = (path.to_path_buf(), file.checksum.clone());
    let hashed = threads::run(move || {
        let opened = open_regular(&path).map_err(FsError::of("read", &path))?;
        let size = opened.metadata().map_err(FsError::of("read", &path))?.len();
        let mut hasher = ContentHasher::new(&checksum, Some(size));
        hasher
            .update_from(opened)
            .map_err(FsError::of("read", &path))?;
        Ok::<bool, FsError>(hasher.matches())
    });
    Ok(hashed.await??)
}
