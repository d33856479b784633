//! Brings one file after the other: claims it, fetches what is missing, publishes it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::DownloadError;
use super::claim::Claim;
use super::destination::Place;
use super::earlier::Others;
use super::early::{EarlyContent, EarlyContents};
use super::local_dir;
use super::plan::{Action, PlannedFile};
use super::xet::{Shares, Xet};
use crate::download::http::parallel::{Connections, fill};
use crate::download::http::source::{Counted, Learned, Source};
use crate::download::partial::{Follower, Partial, SMALL, kept_bytes, prove};
use crate::download::shared::Sharing;
use crate::hub::Hub;
use crate::sys::lockfile::{self, Attempt};
use crate::sys::threads;
use crate::sys::{FsError, has_no_locks, open_regular};
use crate::types::hash::ContentHasher;
use crate::types::progress::{FileProgress, Notice, Progress};
use crate::types::{CommitHash, Repo};

/// What a worker needs to bring one file after the other.
pub struct Job {
    /// The Hub.
    pub hub: Hub,
    /// The repository.
    pub repo: Repo,
    /// The commit all files come from.
    pub commit: CommitHash,
    /// Fetch what is there already.
    pub force: bool,
    /// Gets the events of every byte and file.
    pub progress: Arc<dyn Progress>,
    /// Shared by all files.
    pub connections: Connections,
    /// Where to.
    pub place: Arc<Place>,
    /// Xet storage, unless it is switched off.
    pub xet: Option<Arc<Xet>>,
    /// The shared blob store, if it is to be used.
    pub sharing: Option<Sharing>,
    /// Files of the repository that are on disk.
    pub others: Arc<Others>,
    /// Contents that are fetched, or were, before the plan was made.
    pub early: Option<Arc<EarlyContents>>,
}

impl Job {
    /// Does what the plan says of files with the same content, one after the other.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn run(&self, batch: &[PlannedFile]) -> Result<(), DownloadError> {
        for (index, file) in batch.iter().enumerate() {
            // The first one has fetched the content for all of them.
            let force = self.force && index == 0;
            let done = match file.action {
                Action::Ready => file.size().unwrap_or(0),
                Action::Fetch { from } => from,
                _ => 0,
            };
            let path = file.path.as_str();
            let begin = match file.is_fetched() {
                true => FileProgress::begin,
                false => FileProgress::begin_present,
            };
            let progress = begin(&*self.progress, path, file.size(), done);
            if file.action != Action::Ready {
                self.bring(file, force, progress).await?;
            }
            progress.done();
        }
        Ok(())
    }

    /// Brings the content of a file into the cache; no name leads to it yet. `None` when another process
    /// has brought it, or may be about to.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn bring_content(
        &self,
        file: &PlannedFile,
    ) -> Result<Option<EarlyContent>, DownloadError> {
        let Attempt::Taken(guard) = lockfile::attempt(&self.place.lock_file(file)) else {
            return Ok(None);
        };
        let claim = Arc::new(Claim::with_lock(guard, &self.place.partial(file)));
        if self.place.has_content(file) {
            if claim.is_common() {
                self.place.discard_partial(file);
            }
            return Ok(None);
        }
        let progress = FileProgress::begin(&*self.progress, file.path.as_str(), file.size(), 0);
        let fetched = self.fetch(file, claim, false, progress).await?;
        Ok(Some(EarlyContent {
            is_shared: fetched.is_shared,
        }))
    }

    async fn bring(
        &self,
        file: &PlannedFile,
        force: bool,
        progress: FileProgress<'_>,
    ) -> Result<(), DownloadError> {
        let early = match &self.early {
            Some(contents) => contents.take(&file.checksum).await,
            None => None,
        };
        let claim = Arc::new(self.claim(file).await?);
        match (file.action, &self.place.local_dir) {
            (Action::Touch, Some(dir)) => {
                return Ok(dir.write_metadata(&file.path, &self.commit, &file.checksum)?);
            }
            (Action::Check, Some(dir)) if is_content(&dir.file(&file.path), file).await? => {
                // A process that was killed when it had just put the file there leaves a journal.
                if claim.is_common() {
                    self.place.discard_partial(file);
                }
                return Ok(dir.write_metadata(&file.path, &self.commit, &file.checksum)?);
            }
            (Action::Check, Some(_)) => {
                let path = std::slice::from_ref(&file.path);
                self.hub.tell(Notice::Warning(local_dir::replaced(path)));
            }
            (Action::Reuse, Some(_)) => return Ok(self.place.reuse(file)?),
            _ => {}
        }
        if !force && self.place.has_content(file) {
            match early {
                Some(_) => progress.advance(file.size().unwrap_or(0)),
                // It was there, or another process brought it while we waited.
                None => skip(file, progress),
            }
            if claim.is_common() {
                self.place.discard_partial(file);
            }
            let is_fresh = early.is_some_and(|content| !content.is_shared);
            return match &self.place.local_dir {
                Some(_) => Ok(()),
                None => Ok(self.place.point(file, is_fresh)?),
            };
        }
        if !force
            && let Some(sharing) = &self.sharing
            && sharing.link(&self.hub, file).await?
        {
            skip(file, progress);
            if claim.is_common() {
                self.place.discard_partial(file);
            }
            return Ok(self.place.point(file, false)?);
        }
        let fetched = self.fetch(file, claim, force, progress).await?;
        if self.place.local_dir.is_none() {
            // A link must not be moved: it would lead elsewhere.
            self.place.point(file, !fetched.is_shared)?;
        }
        if let Some(shares) = fetched.shares {
            shares.publish(self.place.content(file));
        }
        Ok(())
    }

    /// Fetches and publishes a content.
    async fn fetch(
        &self,
        file: &PlannedFile,
        claim: Arc<Claim>,
        force: bool,
        progress: FileProgress<'_>,
    ) -> Result<Fetched, DownloadError> {
        let partial = Closing(self.open(file, claim, force).await?);
        let fetched = self.fetch_into(file, &partial.0, progress).await;
        match &fetched {
            Ok(_) => partial.0.published(),
            Err(DownloadError::Corrupt { .. }) => partial.0.discard(),
            Err(_) => {}
        }
        fetched
    }

    /// Opens the partial of a file, with what an earlier attempt left in it.
    async fn open(
        &self,
        file: &PlannedFile,
        claim: Arc<Claim>,
        force: bool,
    ) -> Result<Arc<Partial>, DownloadError> {
        let common = self.place.partial(file);
        if claim.is_common() {
            match force {
                // A forced download must not use the bytes of an earlier attempt.
                true => self.place.discard_partial(file),
                false => self.place.adopt_prefix(file)?,
            }
        }
        let (path, checksum) = (claim.partial(common), file.checksum.clone());
        let size = file.length.sure();
        let is_small = size.is_some_and(|size| size <= SMALL);
        let is_long = !is_small && kept_bytes(&path, &checksum, size) > SMALL;
        let open = move || Partial::open(&path, &checksum, size, claim);
        let opened = match is_long {
            // Its chunks may have to be hashed, which must not hold up the other files.
            true => threads::run(open).await?,
            false => open(),
        };
        Ok(opened?)
    }

    async fn fetch_into(
        &self,
        file: &PlannedFile,
        partial: &Arc<Partial>,
        progress: FileProgress<'_>,
    ) -> Result<Fetched, DownloadError> {
        let planned = match file.action {
            Action::Fetch { from } => from,
            _ => 0,
        };
        let source = Source {
            hub: &self.hub,
            url: self
                .hub
                .resolve_url(&self.repo, self.commit.as_str(), &file.path),
            path: &file.path,
            checksum: &file.checksum,
            size: file.length.sure(),
            progress: Counted::new(progress, planned),
            link: Mutex::new(file.link.as_deref().cloned()),
            learned: Learned::default(),
        };
        // Another process may have got further since the plan was made.
        source.progress.find(partial.present());
        let shares = self.share(file, &source, partial).await?;
        let content = self.fetch_content(file, &source, partial, shares.as_ref());
        let is_from_xet = content.await?;
        let place = Arc::clone(&self.place);
        let (this, complete) = (file.clone(), Arc::clone(partial));
        threads::run(move || place.publish(&this, &complete)).await??;
        let is_shared = match &self.sharing {
            Some(sharing) if is_from_xet => sharing.publish(&self.hub, file).await?,
            _ => false,
        };
        Ok(Fetched { is_shared, shares })
    }

    /// Copies what other contents on disk have of a file.
    async fn share(
        &self,
        file: &PlannedFile,
        source: &Source<'_>,
        partial: &Arc<Partial>,
    ) -> Result<Option<Shares>, DownloadError> {
        let (Some(xet), Some(hash), false) = (&self.xet, &file.xet_hash, self.force) else {
            return Ok(None);
        };
        let candidates = self.others.candidates(&self.hub, &self.repo, file).await?;
        xet.share(source, &hash.text(), partial, &candidates).await
    }

    /// Fills the partial with verified content: from Xet storage when the file is there (`true`),
    /// else, or for what Xet did not bring, over HTTP.
    async fn fetch_content(
        &self,
        file: &PlannedFile,
        source: &Source<'_>,
        partial: &Arc<Partial>,
        shares: Option<&Shares>,
    ) -> Result<bool, DownloadError> {
        if let (Some(xet), Some(hash)) = (&self.xet, &file.xet_hash)
            && xet.fetch(source, &hash.text(), partial, shares).await?
        {
            return Ok(true);
        }
        // A file's first connection is never refused; it only counts.
        let _permit = self.connections.try_acquire();
        for is_last in [false, true] {
            let follower = Follower::start(partial);
            fill(source, partial, &self.connections).await?;
            if prove(partial, follower).await? {
                return Ok(false);
            }
            if !is_last {
                // The wrong bytes may be those that an earlier attempt, or another client, left.
                source.progress.count_to(0);
                partial.restart()?;
            }
        }
        Err(DownloadError::Corrupt {
            path: source.path.clone(),
            expected: source.checksum.to_string(),
        })
    }

    /// The right to write to a file's unfinished download, once no other process holds it.
    async fn claim(&self, file: &PlannedFile) -> Result<Claim, DownloadError> {
        let path = self.place.lock_file(file);
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
            Attempt::Taken(guard) => Ok(Claim::with_lock(guard, &self.place.partial(file))),
            Attempt::CannotTell(error) if is_no_place(&error) => Err(error.into()),
            Attempt::CannotTell(error) => {
                if !self.place.told_of_locks.swap(true, Ordering::Relaxed) {
                    self.hub.tell(Notice::Warning(without_locks(&error)));
                }
                Ok(Claim::Own(None))
            }
            // Not reached: a wait without a time limit ends with the lock or an error.
            Attempt::Held => Ok(Claim::Own(None)),
        }
    }
}

/// A content that is published.
struct Fetched {
    /// Its blob is a link into the shared store.
    is_shared: bool,
    /// What others of the download may copy from it.
    shares: Option<Shares>,
}

/// Closes a partial with the work on it, also when that is dropped midway, and whatever threads still hold
/// it.
struct Closing(Arc<Partial>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Counts the bytes of a file that turned out to be there.
fn skip(file: &PlannedFile, progress: FileProgress<'_>) {
    if let Action::Fetch { from } = file.action {
        progress.found(file.size().unwrap_or(0).saturating_sub(from));
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

/// The warning for a file system without working locks.
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
