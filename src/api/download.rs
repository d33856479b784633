//! Downloads: what is wanted, what will be done, and what came of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, Hub};
use crate::cache::commit::Linking;
use crate::cache::layout::CacheLayout;
use crate::download::local_dir::LocalDir;
use crate::download::plan::{DownloadPlan, PlannedFile};
use crate::download::request::{Destination, Request, Workers};
use crate::download::select::Selection;
use crate::download::session::{Planned, Session};
use crate::download::xet::XetOptions;
use crate::types::progress::{Progress, Silent};
use crate::types::{CommitHash, Repo, RepoPath, RepoTarget, Revision};

/// A repository, or files of it, to be downloaded into the cache or a folder.
#[derive(Clone)]
pub struct Download {
    repo: Repo,
    revision: Revision,
    names: Vec<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    local_dir: Option<PathBuf>,
    force: bool,
    max_workers: Option<usize>,
    progress: Arc<dyn Progress>,
}

impl Download {
    /// What the target names: a repository, or a file or folder of it, at a revision or `main`.
    pub fn new(target: RepoTarget) -> Self {
        Download {
            repo: target.repo,
            revision: target.revision.unwrap_or_else(Revision::main),
            names: target.path.into_iter().collect(),
            include: Vec::new(),
            exclude: Vec::new(),
            local_dir: None,
            force: false,
            max_workers: None,
            progress: Arc::new(Silent),
        }
    }

    /// This file, by its path in the repository. Without patterns it is fetched alone, which costs one
    /// request.
    ///
    /// # Errors
    /// [`ErrorKind::Name`](crate::ErrorKind::Name): no file can have that path.
    pub fn file(mut self, path: &str) -> Result<Self, Error> {
        let parsed = path.parse::<RepoPath>();
        let path = parsed.map_err(|error| Error::from(error).of(&self.repo))?;
        self.names = vec![path.as_str().to_owned()];
        Ok(self)
    }

    /// A branch, tag or commit.
    #[must_use]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self
    }

    /// Files that match one of the patterns given so, beside those that are named: `*` stands for any
    /// text, slashes included.
    #[must_use]
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.include.push(pattern.into());
        self
    }

    /// No files that match this pattern.
    #[must_use]
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// Puts plain files into this folder, below the current one when it is relative, and not into the
    /// cache.
    #[must_use]
    pub fn local_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        self.local_dir = Some(std::path::absolute(&folder).unwrap_or(folder));
        self
    }

    /// Fetches what is there already once more.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// The most files in flight at a time; by default 8 large and 64 small ones.
    #[must_use]
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = Some(workers.max(1));
        self
    }

    /// Tells this observer, a closure or a [`Progress`], how far the download is.
    #[must_use]
    pub fn progress(mut self, progress: impl Progress + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Decides what has to be done; no file is fetched yet. Where the Hub cannot be reached and an
    /// earlier download has all that is asked for, the plan is to use that: see [`Plan::unreachable`].
    ///
    /// # Errors
    /// What the Hub or the disk says. That a file does not exist is noted in the cache, as the Python
    /// client does.
    pub async fn plan(self, hub: &Hub) -> Result<Plan, Error> {
        self.planned(hub, false).await
    }

    async fn planned(self, hub: &Hub, is_carried_out: bool) -> Result<Plan, Error> {
        let repo = self.repo.clone();
        let about = |error: Error| error.of(&repo);
        let request = self.request(hub).map_err(about)?;
        let token = hub
            .token_for_download(&*self.progress)
            .await
            .map_err(about)?;
        let client = hub.client().with_token(token);
        let mut session = Session::new(&client, request, self.progress);
        let settings = &hub.config().settings;
        if !settings.disable_xet {
            session = session.with_xet(XetOptions::from_settings(settings));
        }
        if is_carried_out {
            session = session.beginning_early();
        }
        let planned = session.plan().await;
        let planned = planned.map_err(|error| about(error.into()))?;
        Ok(Plan {
            repo,
            session,
            planned,
        })
    }

    /// Plans and fetches. Every byte is verified before a file is put in its place, and what is fetched
    /// when the future is dropped, or the process killed, is kept for the next time.
    ///
    /// # Errors
    /// As [`Download::plan`] and [`Plan::run`].
    pub async fn run(self, hub: &Hub) -> Result<Snapshot, Error> {
        self.planned(hub, true).await?.run().await
    }

    fn request(&self, hub: &Hub) -> Result<Request, Error> {
        let settings = &hub.config().settings;
        let target = match &self.local_dir {
            Some(folder) => Destination::LocalDir(LocalDir::new(folder.clone())),
            None => {
                settings.check_home(&settings.hub_cache)?;
                Destination::Cache
            }
        };
        let cache = CacheLayout::new(settings.hub_cache.clone());
        Ok(Request {
            revision: self.revision.clone(),
            selection: Selection::new(&self.names, &self.include, &self.exclude)?,
            target,
            linking: match settings.disable_symlinks {
                true => Linking::Files,
                false => Linking::Symlinks,
            },
            force: self.force,
            workers: Workers::new(self.max_workers),
            ..Request::new(self.repo.clone(), cache)
        })
    }
}

/// What a download comes to. No file is fetched before [`Plan::run`].
pub struct Plan {
    repo: Repo,
    session: Session,
    planned: Planned,
}

/// One file of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanFile {
    /// Its path in the repository.
    pub path: RepoPath,
    /// Its size in bytes, when the Hub says it.
    pub size: Option<u64>,
    /// Whether bytes of it come over the wire; otherwise it is there, or can be linked or copied.
    pub is_fetched: bool,
}

impl Plan {
    /// The commit that the revision names; `None` when the Hub could not be asked.
    pub fn commit(&self) -> Option<&CommitHash> {
        self.plan().map(|plan| &plan.commit)
    }

    /// The files, by path; none when the Hub could not be asked.
    pub fn files(&self) -> Vec<PlanFile> {
        let files = self.plan().map(|plan| plan.files.iter());
        let file = |file: PlannedFile| PlanFile {
            size: file.size(),
            is_fetched: file.is_fetched(),
            path: file.path,
        };
        files.into_iter().flatten().map(file).collect()
    }

    /// Bytes that will come over the wire: in the cache each content once.
    pub fn bytes(&self) -> u64 {
        self.plan()
            .map_or(0, |plan| self.session.missing_bytes(plan))
    }

    /// Why the Hub could not be asked, when an earlier download is used in its place.
    pub fn unreachable(&self) -> Option<String> {
        match &self.planned {
            Planned::Plan(_) => None,
            Planned::Cached { reason, .. } => Some(reason.to_string()),
        }
    }

    fn plan(&self) -> Option<&DownloadPlan> {
        match &self.planned {
            Planned::Plan(plan) => Some(plan),
            Planned::Cached { .. } => None,
        }
    }

    /// Does what was decided.
    ///
    /// # Errors
    /// What the Hub or the disk says. Complete files stay, and what is fetched of others is kept for
    /// the next time.
    pub async fn run(self) -> Result<Snapshot, Error> {
        let plan = match self.planned {
            Planned::Cached { path, .. } => return Ok(Snapshot { path, commit: None }),
            Planned::Plan(plan) => plan,
        };
        let fetched = async {
            self.session.check_space(&plan).await?;
            self.session.execute(&plan).await
        };
        let fetched = fetched.await;
        let (path, commit) = fetched.map_err(|error| Error::from(error).of(&self.repo))?;
        Ok(Snapshot {
            path,
            commit: Some(commit),
        })
    }
}

/// Files on disk, complete and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    path: PathBuf,
    commit: Option<CommitHash>,
}

impl Snapshot {
    /// The snapshot's folder, the local folder, or for a single file the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit that is there; another one than the plan's when the branch was force-pushed meanwhile.
    /// `None` when the Hub could not be asked and an earlier download is used.
    pub fn commit(&self) -> Option<&CommitHash> {
        self.commit.as_ref()
    }
}
