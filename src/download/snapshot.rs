//! From a request to files on disk: ask the Hub, look at the disk, plan, fetch with bounded
//! workers, publish.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::DownloadError;
use super::fetch::INLINE_LIMIT;
use super::local_dir::LocalDir;
use super::parallel::CONNECTIONS;
use super::plan::{DownloadPlan, OnDisk, PlannedFile};
use super::select::Selection;
use super::store::{Job, Store};
use super::xet::{Xet, XetOptions};
use crate::cache::commit::{Linking, read_ref, remember_absence, write_ref};
use crate::cache::layout::{CacheLayout, PARTIAL_SUFFIX, RepoLayout};
use crate::cache::trees;
use crate::fs::free_space;
use crate::hub::http::Notice;
use crate::hub::{Hub, HubError};
use crate::listing::{Checksum, FileEntry, Listing};
use crate::progress::Progress;
use crate::repo::{CommitHash, Repo, RepoPath, Revision};
use crate::token::Token;

/// Where files go.
#[derive(Debug, Clone)]
pub enum Target {
    /// The shared cache.
    Cache,
    /// A folder of plain files.
    LocalDir(LocalDir),
}

/// How many files are in flight at a time.
///
/// A large file keeps its connection busy. A small one is over after one round trip, so what counts
/// is how many round trips overlap: eight at 50 ms are 160 files a second, whatever the bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Files of more than a megabyte.
    pub large: usize,
    /// All others.
    pub small: usize,
}

impl Workers {
    /// The number the user asked for, of both; or 8 large ones, as the Python client's default, and
    /// 32 small ones: measured with 50 ms latency that is four times as fast as 8, and the Hub's
    /// rate limits are far off.
    pub fn new(asked: Option<usize>) -> Self {
        Workers {
            large: asked.unwrap_or(8),
            small: asked.unwrap_or(32),
        }
    }
}

/// What to download.
#[derive(Debug, Clone)]
pub struct Request {
    /// The repository.
    pub repo: Repo,
    /// Branch, tag or commit.
    pub revision: Revision,
    /// Which files.
    pub selection: Selection,
    /// Where to.
    pub target: Target,
    /// The main cache: the target, or for a local folder a source of content.
    pub cache: CacheLayout,
    /// Symlinks or files in the cache.
    pub linking: Linking,
    /// Fetch what is there already.
    pub force: bool,
    /// Only say what would be done: nothing is written.
    pub dry_run: bool,
    /// Most files in flight.
    pub workers: Workers,
    /// Refuse before fetching when the disk has too little room.
    pub check_space: bool,
}

/// What a request comes to before anything is fetched.
#[derive(Debug)]
pub enum Planned {
    /// The Hub answered, or was not needed.
    Plan(DownloadPlan),
    /// The Hub could not be asked; this path has what was asked for, as of an earlier download.
    Cached {
        /// The snapshot folder, file, or local folder.
        path: PathBuf,
        /// Why the Hub could not be asked.
        reason: HubError,
    },
}

/// One download: a request and what is needed to carry it out.
pub struct Session<'a> {
    hub: &'a Hub,
    token: Option<Token>,
    request: Request,
    repo: RepoLayout,
    progress: Arc<dyn Progress>,
    xet: Option<XetOptions>,
}

impl<'a> Session<'a> {
    /// Prepares a download; nothing happens yet.
    pub fn new(
        hub: &'a Hub,
        token: Option<Token>,
        request: Request,
        progress: Arc<dyn Progress>,
    ) -> Self {
        let repo = request.cache.repo(&request.repo);
        Session {
            hub,
            token,
            request,
            repo,
            progress,
            xet: None,
        }
    }

    /// Fetches what is in Xet storage from there; without this everything comes over HTTP.
    #[must_use]
    pub fn with_xet(mut self, options: XetOptions) -> Self {
        self.xet = Some(options);
        self
    }

    /// Decides what has to be done. At most one info call, one listing (in pages), or for a single
    /// file one HEAD; nothing at all when a commit is asked for and its files are there.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn plan(&self) -> Result<Planned, DownloadError> {
        let planned = match self.request.selection.single_file() {
            Some(name) => self.plan_file(&name.parse()?).await,
            None => self.plan_snapshot().await,
        };
        match planned {
            Err(DownloadError::Hub { source, path: None })
                if source.allows_cached_copy() && !self.request.force && !self.request.dry_run =>
            {
                self.cached_instead(source)
            }
            other => other.map(Planned::Plan),
        }
    }

    async fn plan_file(&self, path: &RepoPath) -> Result<DownloadPlan, DownloadError> {
        if let Some(commit) = self.request.revision.as_commit()
            && let Some(file) = self.present(&commit, path)
        {
            return Ok(DownloadPlan {
                commit,
                files: vec![file],
                new_listing: None,
            });
        }
        let head = self
            .hub
            .file_head(
                &self.request.repo,
                &self.request.revision,
                path,
                self.token.as_ref(),
            )
            .await
            .inspect_err(|error| self.note_absence(path, error))
            .map_err(|error| match error {
                HubError::EntryNotFound { .. } => DownloadError::Hub {
                    source: error,
                    path: Some(path.clone()),
                },
                other => other.into(),
            })?;
        let probe = Probe {
            commit: &head.commit,
            path,
            checksum: &head.checksum,
            size: head.size,
        };
        let disk = self.probe(&probe, &self.blobs());
        let file = PlannedFile::new(
            path.clone(),
            head.checksum.clone(),
            head.size,
            disk,
            self.request.force,
        )
        .with_xet_hash(head.xet_hash);
        Ok(DownloadPlan {
            commit: head.commit,
            files: vec![file],
            new_listing: None,
        })
    }

    /// A file that is there already, found without asking anyone: a commit never changes.
    fn present(&self, commit: &CommitHash, path: &RepoPath) -> Option<PlannedFile> {
        let (file, etag) = match &self.request.target {
            Target::Cache => {
                let pointer = self.repo.pointer(commit, path);
                let blob = fs::read_link(&pointer).ok();
                let etag = blob.and_then(|blob| blob.file_name()?.to_str().map(str::to_owned));
                (pointer, etag)
            }
            Target::LocalDir(dir) => {
                let metadata = dir.metadata(path).filter(|m| m.commit == commit.as_str())?;
                (dir.file(path), Some(metadata.etag))
            }
        };
        if self.request.force {
            return None;
        }
        let size = fs::metadata(file).ok().filter(fs::Metadata::is_file)?.len();
        // Where links do not work the pointer is the file, and its hash is not known.
        let checksum = etag.as_deref().and_then(Checksum::from_etag);
        let checksum = checksum.unwrap_or_else(|| Checksum::Unknown(commit.as_str().to_owned()));
        let disk = OnDisk {
            file: true,
            ..OnDisk::default()
        };
        Some(PlannedFile::new(
            path.clone(),
            checksum,
            Some(size),
            disk,
            false,
        ))
    }

    /// The Python client remembers that a file does not exist; libraries that share the cache ask
    /// for optional files again and again.
    fn note_absence(&self, path: &RepoPath, error: &HubError) {
        if let (
            HubError::EntryNotFound {
                commit: Some(commit),
            },
            Target::Cache,
            false,
        ) = (error, &self.request.target, self.request.dry_run)
            && let Ok(commit) = commit.parse()
        {
            remember_absence(&self.repo, &commit, path);
        }
    }

    async fn plan_snapshot(&self) -> Result<DownloadPlan, DownloadError> {
        let token = self.token.as_ref();
        let request = &self.request;
        let commit = match request.revision.as_commit() {
            Some(commit) => commit,
            None => {
                self.hub
                    .commit_of(&request.repo, &request.revision, token)
                    .await?
            }
        };
        let (listing, is_new) = match trees::read(&self.tree_file(&commit)) {
            Some(listing) => (listing, false),
            None => {
                let listing = self.hub.tree(&request.repo, &commit, token, |_| {}).await?;
                (listing, true)
            }
        };
        let paths = self.select(&listing)?;
        let blobs = self.blobs();
        let files = paths
            .into_iter()
            .map(|path| {
                let entry = &listing[&path];
                let disk = self.on_disk(&commit, &path, entry, &blobs);
                PlannedFile::of_entry(path, entry, disk, request.force)
            })
            .collect();
        Ok(DownloadPlan {
            commit,
            files,
            new_listing: is_new.then_some(listing),
        })
    }

    fn select(&self, listing: &Listing) -> Result<Vec<RepoPath>, DownloadError> {
        let selected = self.request.selection.apply(listing);
        if !selected.missing.is_empty() {
            return Err(DownloadError::MissingFiles(selected.missing));
        }
        if selected.paths.is_empty() && !self.request.selection.is_everything() {
            return Err(DownloadError::NothingMatches);
        }
        for pattern in selected.idle_patterns {
            self.hub.tell(Notice::Warning(format!(
                "No file matches the pattern {pattern:?}."
            )));
        }
        Ok(selected.paths)
    }

    fn tree_file(&self, commit: &CommitHash) -> PathBuf {
        match &self.request.target {
            Target::Cache => self.repo.tree(commit),
            Target::LocalDir(dir) => dir.tree(commit),
        }
    }

    /// What `blobs/` has: one look at the folder instead of one for every file.
    fn blobs(&self) -> Blobs {
        let mut blobs = Blobs::default();
        for entry in fs::read_dir(self.repo.blobs())
            .into_iter()
            .flatten()
            .flatten()
        {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            match name.strip_suffix(PARTIAL_SUFFIX) {
                Some(etag) => {
                    let length = entry.metadata().map_or(0, |metadata| metadata.len());
                    blobs.partials.insert(etag.to_owned(), length);
                }
                None => drop(blobs.names.insert(name)),
            }
        }
        blobs
    }

    fn on_disk(
        &self,
        commit: &CommitHash,
        path: &RepoPath,
        entry: &FileEntry,
        blobs: &Blobs,
    ) -> OnDisk {
        let checksum = entry.checksum();
        let probe = Probe {
            commit,
            path,
            checksum: &checksum,
            size: Some(entry.size),
        };
        self.probe(&probe, blobs)
    }

    fn probe(&self, probe: &Probe<'_>, blobs: &Blobs) -> OnDisk {
        let in_cache = self.repo.pointer(probe.commit, probe.path).exists();
        match &self.request.target {
            Target::Cache => OnDisk {
                file: in_cache,
                content: in_cache || self.repo.blob(probe.checksum).exists(),
                partial: blobs
                    .partials
                    .get(probe.checksum.etag())
                    .copied()
                    .unwrap_or(0),
                ..OnDisk::default()
            },
            Target::LocalDir(dir) => local_state(dir, probe, in_cache),
        }
    }

    /// Room on the disk, before anything is fetched.
    ///
    /// # Errors
    /// [`DownloadError::NoSpace`].
    pub fn check_space(&self, plan: &DownloadPlan) -> Result<(), DownloadError> {
        let folder = match &self.request.target {
            Target::Cache => self.request.cache.root(),
            Target::LocalDir(dir) => dir.root(),
        };
        let (total, done) = plan.fetched_bytes();
        let needed = total.saturating_sub(done);
        match free_space(folder) {
            Some(free) if self.request.check_space && needed > free => {
                Err(DownloadError::NoSpace {
                    needed,
                    free,
                    folder: folder.to_path_buf(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Carries out a plan and answers the path to show: the snapshot folder, the local folder, or
    /// the one file that was asked for.
    ///
    /// # Errors
    /// The first [`DownloadError`]; other files in flight stop, and what they have is kept.
    pub async fn execute(&self, plan: &DownloadPlan) -> Result<PathBuf, DownloadError> {
        let result = self.path_at(&plan.commit);
        if plan.is_ready() && matches!(self.request.target, Target::Cache) {
            // Everything is there: a read-only cache will do. Only the ref may be news.
            let _ = write_ref(&self.repo, &self.request.revision, &plan.commit);
            return Ok(result);
        }
        let store = Arc::new(Store::prepare(&self.request, &self.repo, &plan.commit)?);
        let tree_file = self.tree_file(&plan.commit);
        if let Some(listing) = &plan.new_listing {
            // Spares the next download the question; not being able to is no reason to stop.
            let _ = trees::write(&tree_file, listing);
        }
        let (bytes, done) = plan.fetched_bytes();
        self.progress.begin(plan.files.len() as u64, bytes, done);
        let fetched = self.run(plan, &store).await;
        self.progress.finish();
        if fetched.is_err() {
            store.tidy(plan.new_listing.is_some().then_some(&*tree_file));
        }
        fetched?;
        if let Target::Cache = self.request.target {
            // Last of all: until now the previous snapshot was in force.
            write_ref(&self.repo, &self.request.revision, &plan.commit)?;
        }
        Ok(result)
    }

    async fn run(&self, plan: &DownloadPlan, store: &Arc<Store>) -> Result<(), DownloadError> {
        let queues = Arc::new(self.queues(plan));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let xet = self.xet.clone().map(|options| {
            let (hub, token) = (self.hub.clone(), self.token.clone());
            let (repo, commit) = (self.request.repo.clone(), plan.commit.clone());
            Arc::new(Xet::new(options, hub, token, repo, commit))
        });
        let mut workers: JoinSet<Result<(), DownloadError>> = JoinSet::new();
        let Workers { large, small } = self.request.workers;
        for index in 0..large.max(small).clamp(1, plan.files.len().max(1)) {
            let queues = Arc::clone(&queues);
            let job = Job {
                hub: self.hub.clone(),
                token: self.token.clone(),
                repo: self.request.repo.clone(),
                commit: plan.commit.clone(),
                force: self.request.force,
                progress: Arc::clone(&self.progress),
                connections: Arc::clone(&connections),
                store: Arc::clone(store),
                xet: xet.clone(),
            };
            workers.spawn(async move {
                while let Some(batch) = queues.next(index < large, index < small) {
                    job.run(&batch).await?;
                }
                Ok(())
            });
        }
        while let Some(finished) = workers.join_next().await {
            finished??;
        }
        Ok(())
    }

    /// Files with the same content share a lock and a blob, so one worker brings them one after the
    /// other: the first is fetched, the others are links.
    fn queues(&self, plan: &DownloadPlan) -> Queues {
        let mut batches: Vec<Vec<PlannedFile>> = match self.request.target {
            Target::LocalDir(_) => plan.files.iter().map(|file| vec![file.clone()]).collect(),
            Target::Cache => {
                let mut by_etag: BTreeMap<&str, Vec<PlannedFile>> = BTreeMap::new();
                for file in &plan.files {
                    by_etag
                        .entry(file.checksum.etag())
                        .or_default()
                        .push(file.clone());
                }
                by_etag.into_values().collect()
            }
        };
        // Largest first: the last worker to finish is then busy for the shortest time.
        batches.sort_by_key(|batch| std::cmp::Reverse(batch[0].size.unwrap_or(0)));
        let (large, small) = batches.into_iter().partition::<VecDeque<_>, _>(|batch| {
            batch[0].size.is_none_or(|size| size > INLINE_LIMIT)
        });
        Queues {
            large: Mutex::new(large),
            small: Mutex::new(small),
        }
    }

    fn path_at(&self, commit: &CommitHash) -> PathBuf {
        let single = self
            .request
            .selection
            .single_file()
            .and_then(|name| name.parse::<RepoPath>().ok());
        match (&self.request.target, single) {
            (Target::Cache, Some(path)) => self.repo.pointer(commit, &path),
            (Target::Cache, None) => self.repo.snapshot(commit),
            (Target::LocalDir(dir), Some(path)) => dir.file(&path),
            (Target::LocalDir(dir), None) => dir.root().to_path_buf(),
        }
    }

    /// The Hub cannot be asked: an earlier download may serve, if it has all that is asked for.
    fn cached_instead(&self, reason: HubError) -> Result<Planned, DownloadError> {
        let commit = self
            .request
            .revision
            .as_commit()
            .or_else(|| read_ref(&self.repo, &self.request.revision));
        let Some(commit) = commit else {
            return self.local_folder_instead(reason);
        };
        let path = self.path_at(&commit);
        if self.request.selection.single_file().is_some() {
            return if path.is_file() {
                Ok(Planned::Cached { path, reason })
            } else {
                Err(reason.into())
            };
        }
        if !is_filled(&path) {
            return Err(reason.into());
        }
        let missing = self.missing_files(&commit, &path)?;
        if missing.is_empty() {
            Ok(Planned::Cached { path, reason })
        } else {
            Err(DownloadError::Incomplete { missing, reason })
        }
    }

    /// Without a known commit, a local folder that has anything is all there is to offer.
    fn local_folder_instead(&self, reason: HubError) -> Result<Planned, DownloadError> {
        match &self.request.target {
            Target::LocalDir(dir) => {
                let path = match self.request.selection.single_file() {
                    Some(name) => dir.file(&name.parse()?),
                    None => dir.root().to_path_buf(),
                };
                if path.is_file() || is_filled(&path) {
                    return Ok(Planned::Cached { path, reason });
                }
                Err(reason.into())
            }
            Target::Cache => Err(reason.into()),
        }
    }

    /// Files that the remembered listing has and the folder has not. Without a listing nobody can
    /// tell, and the folder is taken as it is.
    fn missing_files(
        &self,
        commit: &CommitHash,
        folder: &Path,
    ) -> Result<Vec<RepoPath>, DownloadError> {
        let Some(listing) = trees::read(&self.tree_file(commit)) else {
            return Ok(Vec::new());
        };
        let mut wanted = self.select(&listing)?;
        wanted.retain(|path| !folder.join(path.as_str()).is_file());
        Ok(wanted)
    }
}

/// Files that wait for a worker.
struct Queues {
    large: Mutex<VecDeque<Vec<PlannedFile>>>,
    small: Mutex<VecDeque<Vec<PlannedFile>>>,
}

impl Queues {
    /// The next files for a worker that may take large ones, small ones, or both.
    fn next(&self, takes_large: bool, takes_small: bool) -> Option<Vec<PlannedFile>> {
        let pop = |queue: &Mutex<VecDeque<_>>| queue.lock().unwrap().pop_front();
        takes_large
            .then(|| pop(&self.large))
            .flatten()
            .or_else(|| takes_small.then(|| pop(&self.small)).flatten())
    }
}

/// What the `blobs/` folder of a repository has.
#[derive(Default)]
struct Blobs {
    /// Complete blobs, and whatever else lies there.
    names: HashSet<String>,
    /// Sizes in bytes of unfinished downloads, by etag.
    partials: HashMap<String, u64>,
}

/// A file to look for on the disk.
struct Probe<'a> {
    commit: &'a CommitHash,
    path: &'a RepoPath,
    checksum: &'a Checksum,
    size: Option<u64>,
}

fn local_state(dir: &LocalDir, probe: &Probe<'_>, in_cache: bool) -> OnDisk {
    let metadata = dir.metadata(probe.path);
    let same_etag = metadata
        .as_ref()
        .is_some_and(|m| m.etag == probe.checksum.etag());
    let same_commit = metadata
        .as_ref()
        .is_some_and(|m| m.commit == probe.commit.as_str());
    let has_size = || {
        fs::metadata(dir.file(probe.path))
            .is_ok_and(|file| file.is_file() && Some(file.len()) == probe.size)
    };
    OnDisk {
        file: same_etag && same_commit,
        stale_metadata: same_etag,
        unknown_file: metadata.is_none() && has_size(),
        content: in_cache,
        partial: fs::metadata(dir.partial(probe.path, probe.checksum)).map_or(0, |file| file.len()),
    }
}

/// Whether a folder is there and not empty.
fn is_filled(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
