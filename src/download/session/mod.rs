//! From a request to files on disk: ask the Hub, look at the disk, plan, fetch with bounded
//! workers, publish.

mod disk;
mod early;
mod fallback;
mod moved;
mod names;
mod saving;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use self::disk::Probe;
use self::early::EarlyFetch;
pub use self::saving::Savings;
use super::DownloadError;
use super::destination::Place;
use super::files::{Choice, Files};
use super::plan::{DownloadPlan, PlannedFile};
use super::request::{Destination, Request};
use super::select::Selection;
use super::whole::Length;
use super::xet::XetOptions;
use crate::cache::commit::{Linking, is_clash, remember_absence, write_ref};
use crate::cache::layout::RepoLayout;
use crate::cache::{last_used, trees};
use crate::download::shared::Sharing;
use crate::hub::{Hub, HubError, Page};
use crate::sys::free_space;
use crate::types::digest::XetHash;
use crate::types::listing::Listing;
use crate::types::progress::{Event, Notice, Progress};
use crate::types::{CommitHash, RepoPath, Revision};

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
pub struct Session {
    hub: Hub,
    request: Request,
    repo: RepoLayout,
    progress: Arc<dyn Progress>,
    xet: Option<XetOptions>,
    begins_early: bool,
    /// Begun by the plan, for the download that follows.
    early: Mutex<Option<EarlyFetch>>,
}

impl Session {
    /// Prepares a download; nothing happens yet. `progress` gets the notices of the Hub client as well.
    pub fn new(hub: &Hub, request: Request, progress: Arc<dyn Progress>) -> Self {
        let repo = request.cache.repo(&request.repo);
        Session {
            hub: hub.with_observer(Arc::clone(&progress)).for_download(),
            request,
            repo,
            progress,
            xet: None,
            begins_early: false,
            early: Mutex::default(),
        }
    }

    /// Fetches what is in Xet storage from there; without this everything comes over HTTP.
    #[must_use]
    pub fn with_xet(mut self, options: XetOptions) -> Self {
        self.xet = Some(options);
        self
    }

    /// The shared blob store, if it may be used: with Xet storage, for the cache, and with links.
    fn sharing(&self) -> Option<Sharing> {
        let xet = self.xet.as_ref().filter(|xet| xet.shared_blobs)?;
        let is_wanted = self.request.linking == Linking::Symlinks
            && matches!(self.request.target, Destination::Cache);
        let (cache, repo) = (self.request.cache.clone(), self.repo.clone());
        is_wanted.then(|| Sharing::new(cache, repo, xet.makes_store))
    }

    /// Decides what has to be done. At most one info call, one listing (in pages), or for a single
    /// file one HEAD; nothing at all when a commit is asked for and its files are there.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn plan(&self) -> Result<Planned, DownloadError> {
        // Where an earlier download can serve, do not wait long for a Hub that does not answer.
        let hub = if self.may_fall_back() && self.has_earlier_download() {
            self.hub.with_retries(1)
        } else {
            self.hub.clone()
        };
        let planned = match &self.request.selection {
            Selection::File(path) => {
                names::refuse_in_folder(&self.request.target, [path])?;
                self.plan_file(&hub, path).await
            }
            _ => self.plan_snapshot(&hub).await,
        };
        if planned.is_err() {
            self.abandon_early().await;
        }
        match planned {
            Err(DownloadError::Hub { source, path: None })
                if source.allows_cached_copy() && self.may_fall_back() =>
            {
                self.cached_instead(source)
            }
            other => other.map(Planned::Plan),
        }
    }

    async fn plan_file(&self, hub: &Hub, path: &RepoPath) -> Result<DownloadPlan, DownloadError> {
        if let Some(commit) = self.request.revision.as_commit()
            && let Some(file) = self.present(&commit, path)
        {
            return Ok(DownloadPlan {
                commit,
                files: vec![file].into(),
                is_new: false,
            });
        }
        let head = hub
            .file_head(&self.request.repo, &self.request.revision, path)
            .await
            .inspect_err(|error| self.note_absence(path, error))
            .map_err(|error| match error {
                HubError::EntryNotFound { .. } => DownloadError::Hub {
                    source: error,
                    path: Some(path.clone()),
                },
                other => other.into(),
            })?;
        let listed = self.listed_size(&head.commit, path, head.size.unwrap_or(0));
        let length = match listed {
            Some(size) => Length::Sure(size),
            None => Length::of_head(&head.checksum, head.size),
        };
        let xet_hash = head.xet_hash.map(XetHash::from);
        let probe = Probe {
            commit: &head.commit,
            path,
            checksum: &head.checksum,
            length,
            xet_hash: xet_hash.as_ref(),
        };
        let disk = self.probe(&probe, &self.blobs());
        self.tell_of_damage(u64::from(disk.damaged), path);
        let file = PlannedFile::new(
            path.clone(),
            head.checksum.clone(),
            length,
            disk,
            self.request.force,
        )
        .with_xet_hash(xet_hash)
        .with_link(head.link);
        Ok(DownloadPlan {
            commit: head.commit,
            files: vec![file].into(),
            is_new: false,
        })
    }

    /// The Python client remembers that a file does not exist; libraries that share the cache ask
    /// for optional files again and again.
    fn note_absence(&self, path: &RepoPath, error: &HubError) {
        if let (
            HubError::EntryNotFound {
                commit: Some(commit),
            },
            Destination::Cache,
            false,
        ) = (error, &self.request.target, self.request.dry_run)
            && let Ok(commit) = commit.parse()
        {
            remember_absence(&self.repo, &commit, path);
        }
    }

    async fn plan_snapshot(&self, hub: &Hub) -> Result<DownloadPlan, DownloadError> {
        let request = &self.request;
        let commit = request.revision.as_commit();
        let is_branch = commit.is_none();
        let ask = || hub.commit_of(&request.repo, &request.revision);
        let mut commit = match commit {
            Some(commit) => commit,
            None => ask().await?,
        };
        let mut listed = self.listing_of(&commit).await;
        if is_branch && matches!(listed, Err(HubError::RevisionNotFound)) {
            // The branch may have moved between the two requests, and its commit may be gone.
            self.abandon_early().await;
            commit = ask().await?;
            listed = self.listing_of(&commit).await;
        }
        let (listing, is_new) = listed?;
        let places = self.select(&listing)?;
        let found = self.look(&commit, &listing, &places);
        let damaged = || places.iter().zip(&found).filter(|(_, disk)| disk.damaged);
        if let Some((&first, _)) = damaged().next() {
            self.tell_of_damage(damaged().count() as u64, listing.at(first).0);
        }
        let choices = places.iter().zip(found).map(|(&place, disk)| {
            let (_, entry) = listing.at(place);
            Choice::new(place, entry, disk, request.force)
        });
        let choices = choices.collect();
        Ok(DownloadPlan {
            commit,
            files: Files::of_listing(listing, choices),
            is_new,
        })
    }

    /// The listing of a commit, and whether it was asked for just now.
    async fn listing_of(&self, commit: &CommitHash) -> Result<(Listing, bool), HubError> {
        match trees::read(&self.tree_file(commit)) {
            Some(listing) => Ok((listing, false)),
            None => Ok((self.list(commit).await?, true)),
        }
    }

    /// Warns that files which were complete are damaged now.
    fn tell_of_damage(&self, files: u64, first: &RepoPath) {
        let what = match files {
            0 => return,
            1 => format!("{first} is on disk with another length"),
            more => format!("{more} files, {first} among them, are on disk with other lengths"),
        };
        self.hub.tell(Notice::Warning(format!(
            "{what} than the repository has, as after a power cut or on a full disk; fetching again."
        )));
    }

    /// Asks the Hub for all files of a commit. A listing of several pages is shown on its way.
    async fn list(&self, commit: &CommitHash) -> Result<Listing, HubError> {
        let mut pages = 0;
        // `Some(None)` where it cannot begin.
        let mut early = None;
        let on_page = |page: Page<'_>| {
            pages += 1;
            if pages > 1 {
                self.progress.event(Event::Listing {
                    files: page.known as u64,
                });
            }
            if !page.is_last && self.may_begin_early() {
                let early = early.get_or_insert_with(|| self.begin_early(commit));
                self.fetch_early(commit, &page, early.as_mut());
            }
        };
        let (repo, revision) = (&self.request.repo, Revision::from(commit));
        let listing = self.hub.tree(repo, &revision, on_page).await;
        if let Some(early) = early.flatten() {
            early.contents.close();
            *self.early.lock().unwrap() = Some(early);
        }
        self.progress.event(Event::Listed);
        listing
    }

    /// The places of the files that are asked for.
    fn select(&self, listing: &Listing) -> Result<Vec<u32>, DownloadError> {
        let selected = self.request.selection.apply(listing);
        if !selected.missing.is_empty() {
            /// Most names among which a similar one is searched.
            const SEARCHED: usize = 100_000;
            let there = listing.keys().take(SEARCHED);
            return Err(DownloadError::MissingFiles {
                there: there.map(|path| path.as_str().to_owned()).collect(),
                names: selected.missing,
            });
        }
        names::refuse_unstorable(&self.request.target, listing, &selected)?;
        let is_choice = !matches!(self.request.selection, Selection::Everything);
        for pattern in &selected.idle_patterns {
            if let Some(text) = not_a_pattern(pattern) {
                self.hub.tell(Notice::Warning(text));
            }
        }
        if selected.places.is_empty() && is_choice {
            return Err(DownloadError::NothingMatches);
        }
        for pattern in selected.idle_patterns {
            self.hub.tell(Notice::Warning(format!(
                "No file matches the pattern {pattern:?}."
            )));
        }
        Ok(selected.places)
    }

    /// The folder that everything goes below.
    fn root(&self) -> &Path {
        match &self.request.target {
            Destination::Cache => self.request.cache.root(),
            Destination::LocalDir(dir) => dir.root(),
        }
    }

    /// Bytes that a plan fetches: in the cache each content once.
    pub fn missing_bytes(&self, plan: &DownloadPlan) -> u64 {
        match &self.request.target {
            Destination::Cache => plan.distinct_bytes(),
            Destination::LocalDir(_) => {
                let (total, done) = plan.fetched_bytes();
                total.saturating_sub(done)
            }
        }
    }

    /// Room on the disk, before anything is fetched but what came early.
    ///
    /// # Errors
    /// [`DownloadError::NoSpace`].
    pub async fn check_space(&self, plan: &DownloadPlan) -> Result<(), DownloadError> {
        let checked = self.has_room(plan);
        if checked.is_err() {
            self.abandon_early().await;
        }
        checked
    }

    fn has_room(&self, plan: &DownloadPlan) -> Result<(), DownloadError> {
        let folder = self.root();
        let early = self.early.lock().unwrap();
        let here = early.as_ref().map_or(0, |early| early.contents.bytes());
        let needed = self.missing_bytes(plan).saturating_sub(here);
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

    /// Bytes of a plan's files that are on disk and count the next time, of how many. Each content
    /// once in the cache.
    pub fn kept(&self, plan: &DownloadPlan) -> (u64, u64) {
        let place = Place::new(&self.request, &self.repo, &plan.commit);
        let (all, done) = plan.fetched_bytes();
        let total = match self.request.target {
            Destination::Cache => plan.distinct_bytes().saturating_add(done),
            Destination::LocalDir(_) => all,
        };
        (place.kept(&plan.files).min(total), total)
    }

    async fn carry_out(&self, plan: &DownloadPlan) -> Result<PathBuf, DownloadError> {
        let result = self.path_at(&plan.commit);
        let place = Arc::new(Place::new(&self.request, &self.repo, &plan.commit));
        place.sweep(&plan.files);
        if matches!(self.request.target, Destination::Cache) {
            let present = plan.files.iter().filter(|file| !file.is_fetched());
            last_used::mark(present.map(|file| self.repo.pointer(&plan.commit, &file.path)));
        }
        if plan.files.is_empty() {
            self.hub.tell(Notice::Warning(format!(
                "The {} {} has no files at revision {}.",
                self.request.repo.repo_type, self.request.repo.id, self.request.revision
            )));
        } else if plan.is_ready() && matches!(self.request.target, Destination::Cache) {
            // Everything is there, so a read-only cache suffices. Only the ref may be new.
            let _ = write_ref(&self.repo, &self.request.revision, &plan.commit);
            return Ok(result);
        }
        self.check_names(plan)?;
        self.tell_of_replaced(plan);
        let traces = self.traces();
        place.prepare()?;
        let tree_file = self.tree_file(&plan.commit);
        if let Some(listing) = plan.new_listing() {
            // Saves the next download a request; a failure to write it is no reason to stop.
            let _ = trees::write(&tree_file, listing);
        }
        let (bytes, done) = plan.fetched_bytes();
        self.progress.event(Event::Begun {
            files: plan.files.len() as u64,
            bytes,
            done,
            there: plan.present_bytes(),
        });
        let early = self.take_early();
        let fetched = self.run(plan, &place, early.as_ref()).await;
        if let Some(early) = early {
            early.stop().await;
        }
        self.progress.event(Event::Finished);
        if fetched.is_err() {
            let new_tree = plan.is_new.then_some(&*tree_file);
            place.tidy(&plan.files, new_tree);
            traces.undo();
        }
        fetched?;
        if let Destination::Cache = self.request.target {
            // Last of all: until now the ref names the previous snapshot.
            match write_ref(&self.repo, &self.request.revision, &plan.commit) {
                Err(error) if is_clash(&error) => self.hub.tell(Notice::Warning(format!(
                    "Other programs will not find the revision {} in the cache: the name of another one is in its way ({}). The files themselves are there.",
                    self.request.revision,
                    error.path.display()
                ))),
                noted => noted?,
            }
        }
        Ok(result)
    }
}

/// What to say of a pattern in the form of another tool: braces, or several at once.
fn not_a_pattern(pattern: &str) -> Option<String> {
    let has_braces = pattern.contains('{') && pattern.contains('}');
    (has_braces || pattern.contains(',')).then(|| {
        format!(
            "Braces and commas in {pattern:?} stand for themselves. Give each pattern by itself (*.json, then *.txt); *, ? and [abc] are understood."
        )
    })
}
