//! Fetching while the listing is still coming.
//!
//! The Hub lists about a thousand files in an answer, and names the next page in it, so a listing of a
//! hundred thousand files takes a hundred answers one after the other. Meanwhile the line would be idle.
//! Therefore the small files of each page but the last are fetched as soon as the page is there:
//!
//! - A name is checked before its bytes are asked for, as all names are.
//! - Only contents come, into `blobs/`, each proven as always. Links, refs and the stored listing are
//!   written when the whole listing has been checked, by the download that follows; it counts what came
//!   early as fetched.
//! - Large files wait for the plan: one of them fills the line for longer than any listing takes, and
//!   while it comes a person wants to see how far it is.
//! - It is for the usual case alone: not with `--force-download`, `--local-dir`, `--max-workers` or
//!   `HF_HUB_DISABLE_SYMLINKS`.
//! - Nothing that goes wrong here is an error: the file is left to the plan, which meets the same trouble
//!   and says so. The first failure ends the early fetching.
//! - When the listing or the plan fails, complete contents stay for the next time, as after an
//!   interruption. Once more is known to be missing than the disk has room for, nothing new is fetched.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Session;
use super::disk::Blobs;
use crate::cache::commit::Linking;
use crate::cache::pointers::Pointers;
use crate::download::destination::Place;
use crate::download::early::EarlyContents;
use crate::download::job::Job;
use crate::download::partial::SMALL;
use crate::download::plan::{OnDisk, PlannedFile};
use crate::download::request::{Destination, Workers};
use crate::download::traces::Traces;
use crate::download::whole::Length;
use crate::download::xet::Xet;
use crate::hub::Page;
use crate::sys::{free_space, limits};
use crate::types::CommitHash;
use crate::types::listing::{Listing, ListingBuilder};
use crate::types::progress::{Event, Silent};

/// An early fetching that goes on.
pub(super) struct EarlyFetch {
    pub contents: Arc<EarlyContents>,
    /// What `blobs/` had before.
    pub blobs: Blobs,
    /// The folders as they were before.
    pub traces: Traces,
    /// Xet storage, unless it is switched off.
    pub xet: Option<Arc<Xet>>,
    workers: JoinSet<()>,
    place: Arc<Place>,
    pointers: Mutex<Pointers>,
    /// Free space less what is known to be missing, in bytes.
    room: u64,
    /// [`Event::Early`] was sent.
    is_told: bool,
}

impl EarlyFetch {
    /// Stops the workers: a clean-up that follows must not run beside them.
    pub async fn stop(mut self) {
        self.contents.close();
        self.workers.shutdown().await;
    }

    /// Stops it, and removes what is of no use without the download.
    pub async fn abandon(self) {
        let (contents, place) = (Arc::clone(&self.contents), Arc::clone(&self.place));
        let traces = self.traces.clone();
        self.stop().await;
        place.tidy(&contents.unfinished().into(), None);
        traces.undo();
    }
}

impl Session {
    /// Lets [`Session::plan`] fetch small files while a long listing is coming. For a caller that carries
    /// out every plan.
    #[must_use]
    pub fn beginning_early(mut self) -> Self {
        self.begins_early = true;
        self
    }

    pub(super) fn may_begin_early(&self) -> bool {
        let request = &self.request;
        self.begins_early
            && matches!(request.target, Destination::Cache)
            && request.linking == Linking::Symlinks
            && !request.force
            && !request.dry_run
            && request.workers == Workers::new(None)
            && request.selection.works_in_parts()
    }

    /// Starts the workers. `None` where nothing can be written: the download will say so.
    pub(super) fn begin_early(&self, commit: &CommitHash) -> Option<EarlyFetch> {
        let root = self.request.cache.root();
        let traces = Traces::before(root);
        let (blobs, pointers) = (self.blobs(), Pointers::open(&self.repo.snapshot(commit)));
        let place = Arc::new(Place::new(&self.request, &self.repo, commit));
        if place.prepare_contents().is_err() {
            traces.undo();
            return None;
        }
        let contents = Arc::<EarlyContents>::default();
        let (workers, connections) = self.request.workers.within(limits::descriptors_left());
        let (hub, repo) = (self.hub.clone(), self.request.repo.clone());
        let xet = self.xet.as_ref().map(|options| {
            let (hub, repo) = (hub.clone(), repo.clone());
            Arc::new(Xet::new(options, hub, repo, commit.clone(), connections, 0))
        });
        let job = Arc::new(Job {
            hub,
            repo,
            commit: commit.clone(),
            force: false,
            progress: Arc::new(Silent),
            connections: Arc::new(Semaphore::new(connections)),
            place: Arc::clone(&place),
            xet: xet.clone(),
            sharing: self.sharing(),
            others: self.others_of(commit),
            early: None,
        });
        let mut running = JoinSet::new();
        for _ in 0..workers.small {
            let (contents, job) = (Arc::clone(&contents), Arc::clone(&job));
            running.spawn(async move {
                while let Some(flight) = contents.next().await {
                    match job.bring_content(flight.file()).await {
                        Ok(Some(content)) => flight.landed(content),
                        Ok(None) => {}
                        Err(_) => contents.close(),
                    }
                }
            });
        }
        Some(EarlyFetch {
            contents,
            blobs,
            traces,
            xet,
            workers: running,
            place,
            pointers: Mutex::new(pointers),
            room: match self.request.check_space {
                true => free_space(root).unwrap_or(u64::MAX),
                false => u64::MAX,
            },
            is_told: false,
        })
    }

    /// What the disk has of files of a listing, but for contents that come early: they count as fetched.
    pub(super) fn look(
        &self,
        commit: &CommitHash,
        listing: &Listing,
        places: &[u32],
    ) -> Vec<OnDisk> {
        let early = self.early.lock().unwrap();
        let Some(early) = &*early else {
            return self.look_at_all(commit, listing, places, &self.blobs());
        };
        let mut found = self.look_at_all(commit, listing, places, &early.blobs);
        for (&place, disk) in places.iter().zip(&mut found) {
            let (_, entry) = listing.at(place);
            if !disk.file && entry.size <= SMALL && early.contents.has(&entry.checksum()) {
                *disk = OnDisk::default();
            }
        }
        found
    }

    /// What goes on since the plan was made.
    pub(super) fn take_early(&self) -> Option<EarlyFetch> {
        self.early.lock().unwrap().take()
    }

    /// Ends an early fetching that no download follows.
    pub(super) async fn abandon_early(&self) {
        // The lock is released before the wait.
        let early = self.take_early();
        if let Some(early) = early {
            early.abandon().await;
        }
    }

    /// The folders as they were before this download, and before what was begun early for it.
    pub(super) fn traces(&self) -> Traces {
        let early = self.early.lock().unwrap();
        let before = early.as_ref().map(|early| early.traces.clone());
        before.unwrap_or_else(|| Traces::before(self.root()))
    }

    /// Fetches what is wanted of a page that others follow.
    pub(super) fn fetch_early(
        &self,
        commit: &CommitHash,
        page: &Page<'_>,
        early: Option<&mut EarlyFetch>,
    ) {
        let Some(early) = early else { return };
        let mut listing = ListingBuilder::new();
        for (name, entry) in page.files {
            listing.add(name, entry.clone());
        }
        let listing = listing.finish();
        let mut files = Vec::new();
        for place in self.request.selection.apply(&listing).places {
            let (path, entry) = listing.at(place);
            if early.blobs.has(&entry.checksum()) {
                continue;
            }
            let pointers = early.pointers.get_mut().unwrap();
            let disk = self.on_disk(commit, path, entry, (pointers, &early.blobs));
            if disk != OnDisk::default() {
                // It is there, or something of it is: the plan decides.
                continue;
            }
            early.room = early.room.saturating_sub(entry.size);
            if entry.size <= SMALL {
                let length = Length::Sure(entry.size);
                let file = PlannedFile::new(path.clone(), entry.checksum(), length, disk, false);
                files.push(file.with_xet_hash(entry.xet_hash.clone()));
            }
        }
        if early.room == 0 {
            early.contents.close();
        } else if !files.is_empty() {
            if !early.is_told {
                early.is_told = true;
                self.progress.event(Event::Early);
            }
            early.contents.add(files);
        }
    }
}
