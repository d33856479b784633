//! One file from Xet storage.
//!
//! The storage keeps contents as chunks, packed and gathered in xorbs of up to 64 MiB, and tells by a plan
//! which chunks of which xorbs make up a content. [`plan`] checks the plan, [`transfer`] runs its fetches, and
//! [`decode`] unpacks each chunk as it comes, hashes it and writes it at its places in the partial. So a Xet
//! download goes on where another attempt stopped, whichever way that one went, and HTTP can go on where
//! Xet gave up.
//!
//! A content all of whose chunks came from here is proven by its Xet hash, the root over the hashes of the
//! chunks. They are hashed by whichever core unpacks them, so no core has to hash the whole file in order.
//! That proves the Xet hash and not the SHA-256 that the listing pairs it with: such a blob serves its own
//! repository, and others find it by its Xet hash only ([`super::shared`]).
//!
//! What another revision of the file in the cache has as well, or another file there or of the same download,
//! is copied and not fetched ([`pool`], [`earlier`], [`reuse`], [`runs`]).
//!
//! Nothing of the Xet library is linked; tests compare what is known of its formats with it. Its own client
//! holds pieces of 64 MiB in memory, hands them over in order, and knows nothing of our proxies' rules, limits
//! and retries. Its other tasks are done here: tokens are renewed before they end and when one is refused,
//! expired links are replaced, plans of version 1 are understood.

mod answer;
mod client;
mod decode;
mod earlier;
mod frame;
mod lines;
mod plan;
mod pool;
mod progress;
mod reuse;
mod runs;
mod task;
mod transfer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use tokio::sync::Semaphore;

use self::client::Storage;
use self::decode::Place;
pub use self::earlier::{Earlier, WORTH};
use self::earlier::{carry_over, parts_of};
use self::lines::Lines;
use self::pool::{At, Donor, Pool, Ticket};
use self::progress::Meter;
use self::reuse::{Term, common};
use self::transfer::{Content, Trouble, bring};
use super::DownloadError;
use super::http::source::Source;
use super::partial::{Chunk, Partial, RangeSet, prove};
use crate::config::settings::Settings;
use crate::hub::Hub;
use crate::sys::{FsError, threads};
use crate::types::progress::Notice;
use crate::types::xet_hash::{is_xet_hash, xet_hash};
use crate::types::{CommitHash, Repo};

/// Fetches in flight for all files together. Each takes up to 2 MiB.
const IN_FLIGHT: usize = 8;
const IN_FLIGHT_HIGH: usize = 32;

/// How often the progress of copying is shown.
const TICK: Duration = Duration::from_millis(100);

/// How to use Xet storage.
#[derive(Debug, Clone)]
pub struct XetOptions {
    /// Use more memory and connections.
    pub high_performance: bool,
    /// Link contents from the cache's shared blob store, and publish there what was fetched.
    pub shared_blobs: bool,
    /// Make the store in a cache that has none.
    pub makes_store: bool,
}

impl XetOptions {
    /// Options for these settings.
    pub fn from_settings(settings: &Settings) -> Self {
        XetOptions {
            high_performance: settings.xet_high_performance,
            shared_blobs: !settings.disable_shared_blobs,
            makes_store: settings.enable_shared_blobs,
        }
    }
}

/// Xet storage for one repository at one commit.
pub struct Xet {
    hub: Hub,
    lines: Arc<Lines>,
    pool: Pool,
    is_given_up: AtomicBool,
}

/// What others have of a content that is about to be fetched, and its own place among them. As long as it
/// exists, others may wait for the content.
pub struct Shares {
    terms: Arc<[Term]>,
    /// Those that are fetched as well.
    coming: Vec<Donor>,
    ticket: Ticket,
}

impl Shares {
    /// The content is complete and proven, in this file: others may copy from it.
    pub fn publish(&self, path: PathBuf) {
        self.ticket.publish(path);
    }
}

impl Xet {
    /// Prepares; no request is made yet. `most` bounds the connections. `files` of the download are large
    /// enough to be compared with each other: [`WORTH`].
    pub fn new(
        options: &XetOptions,
        hub: Hub,
        repo: Repo,
        commit: CommitHash,
        most: usize,
        files: usize,
    ) -> Self {
        let wanted = match options.high_performance {
            true => IN_FLIGHT_HIGH,
            false => IN_FLIGHT,
        };
        let in_flight = wanted.min(most.max(1));
        let lines = Lines {
            storage: Storage::new(hub.clone(), repo, commit),
            permits: Arc::new(Semaphore::new(in_flight)),
            in_flight,
        };
        Xet {
            hub,
            lines: Arc::new(lines),
            pool: Pool::new(files),
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Whether it brought so much trouble that everything else comes over HTTP.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Copies what contents that are on disk have of the one with this Xet hash, before it is fetched, and
    /// returns what others of the download will have.
    ///
    /// # Errors
    /// [`DownloadError`] when the partial cannot be written.
    pub async fn share(
        &self,
        source: &Source<'_>,
        hash: &str,
        partial: &Arc<Partial>,
        candidates: &[Earlier],
    ) -> Result<Option<Shares>, DownloadError> {
        let size = source.size.filter(|_| is_xet_hash(hash)).unwrap_or(0);
        let is_worth = size.saturating_sub(partial.present()) >= WORTH;
        if !is_worth || self.is_given_up.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(terms) = self.terms(hash, size, candidates).await else {
            return Ok(None);
        };
        let (donors, ticket) = self.pool.enter(hash, size, &terms);
        let mut coming = Vec::new();
        for donor in donors {
            match &donor.at {
                At::Disk(blob) => self.copy(source, &terms, &donor, blob, partial).await?,
                At::Coming(_) => coming.push(donor),
            }
        }
        Ok(Some(Shares {
            terms,
            coming,
            ticket,
        }))
    }

    /// Bytes of a content that need not come over the network, because these others have them, or a content
    /// that was asked about before. The storage is asked for plans; nothing is read or written.
    pub async fn saving(&self, hash: &str, size: u64, candidates: &[Earlier]) -> u64 {
        if size < WORTH || !is_xet_hash(hash) {
            return 0;
        }
        let Some(terms) = self.terms(hash, size, candidates).await else {
            return 0;
        };
        let saved = size.saturating_sub(self.pool.lacking(&terms));
        drop(self.pool.enter(hash, size, &terms));
        saved
    }

    /// What a content is made of, when others may have parts of it; those on disk are in the pool then.
    async fn terms(&self, hash: &str, size: u64, candidates: &[Earlier]) -> Option<Arc<[Term]>> {
        if candidates.is_empty() && !self.pool.has_partners() {
            return None;
        }
        let terms = self.plan(hash, size).await?;
        // Guesses are made for what the others leave alone.
        for is_guess in [false, true] {
            if self.pool.lacking(&terms) < WORTH {
                break;
            }
            let alike = candidates.iter().filter(|it| it.is_guess == is_guess);
            let asked = alike.filter(|it| self.pool.may_ask(&it.hash, is_guess));
            let plans = asked.map(async |it| (it, self.plan(&it.hash, it.size).await));
            for (candidate, plan) in join_all(plans).await {
                let Some(old) = plan else { continue };
                if is_guess && common(&terms, [&*old]) == 0 {
                    self.pool.guess_failed();
                    continue;
                }
                let (hash, blob) = (&candidate.hash, candidate.blob.clone());
                self.pool.add(hash, candidate.size, old, blob);
            }
        }
        Some(terms)
    }

    /// The plan of a whole content, asked for once.
    async fn plan(&self, hash: &str, size: u64) -> Option<Arc<[Term]>> {
        let ask = async {
            match self.lines.storage.terms(hash, size).await {
                Ok(terms) => Some(terms.into()),
                Err(why) => {
                    let line = || format!("no plan of {hash}, so nothing is copied: {why}");
                    self.lines.storage.client().trace(line);
                    None
                }
            }
        };
        self.pool.plan(hash, ask).await
    }

    /// Copies what a content in this file has of the one that is made of `terms`.
    async fn copy(
        &self,
        source: &Source<'_>,
        terms: &Arc<[Term]>,
        donor: &Donor,
        blob: &Path,
        partial: &Arc<Partial>,
    ) -> Result<(), DownloadError> {
        let before = partial.present();
        let (terms, old) = (Arc::clone(terms), Arc::clone(&donor.terms));
        let (this, size, path) = (Arc::clone(partial), donor.size, blob.to_path_buf());
        let work = threads::run(move || carry_over(&terms, (&old, size, &path), &this));
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(TICK);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => source.progress.copy_to(partial.present()),
            }
        };
        source.progress.copy_to(partial.present());
        let copied = partial.present().saturating_sub(before);
        let line = || {
            format!(
                "{}: {copied} bytes copied from {}",
                source.path,
                blob.display()
            )
        };
        self.hub.trace(line);
        Ok(done??)
    }

    /// Fills the partial with the content of this Xet hash until it is whole and verified: `true`.
    /// `false`: HTTP has to do it; good bytes stay in the partial for it to go on from.
    ///
    /// # Errors
    /// [`DownloadError`] for failures that HTTP would not avoid: the disk.
    pub async fn fetch(
        &self,
        source: &Source<'_>,
        hash: &str,
        partial: &Arc<Partial>,
        shares: Option<&Shares>,
    ) -> Result<bool, DownloadError> {
        let Some(size) = source.size.filter(|&size| size > 0 && is_xet_hash(hash)) else {
            return Ok(false);
        };
        let content = Content {
            hash,
            size,
            name: source.path.as_str(),
        };
        if let Some(shares) = shares.filter(|shares| !shares.coming.is_empty()) {
            let of_others = shares.coming.iter().map(|donor| &*donor.terms);
            let later = parts_of(&shares.terms, of_others);
            if !self.bring(source, &content, partial, &later).await? {
                return Ok(false);
            }
            self.await_others(source, shares, partial).await?;
        }
        loop {
            let was_empty = partial.present() == 0;
            let nothing = RangeSet::default();
            if !self.bring(source, &content, partial, &nothing).await? {
                return Ok(false);
            }
            if partial.missing().iter().next().is_some() {
                self.give_up("it sent too few bytes");
                return Ok(false);
            }
            if is_right(hash, partial).await? {
                return Ok(true);
            }
            source.progress.count_to(0);
            partial.restart()?;
            if was_empty {
                break;
            }
            // The wrong bytes may be those that an earlier attempt, or another client, left.
        }
        self.hub.tell(Notice::Warning(format!(
            "Xet storage sent wrong bytes for {}; fetching it over HTTP instead.",
            source.path
        )));
        Ok(false)
    }

    /// Fetches what is missing, except these parts: `true`. `false`: Xet storage is given up.
    async fn bring(
        &self,
        source: &Source<'_>,
        content: &Content<'_>,
        partial: &Arc<Partial>,
        except: &RangeSet,
    ) -> Result<bool, DownloadError> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut missing = partial.missing();
        except.iter().for_each(|part| missing.remove(part));
        let missing: Vec<Range<u64>> = missing.iter().collect();
        let meter = Meter::new(partial.present(), &source.progress);
        let brought = bring(&self.lines, content, &missing, partial, &meter).await;
        source.progress.count_to(partial.present());
        match brought {
            Ok(()) => Ok(true),
            Err(Trouble::Fatal(error)) => Err(error),
            Err(Trouble::Storage(reason)) => {
                self.give_up(&reason);
                Ok(false)
            }
        }
    }

    /// Waits for contents of the same download that have parts of this one, and copies those. One that does
    /// not arrive is no reason to stop: the parts are fetched.
    async fn await_others(
        &self,
        source: &Source<'_>,
        shares: &Shares,
        partial: &Arc<Partial>,
    ) -> Result<(), DownloadError> {
        for donor in &shares.coming {
            let At::Coming(told) = &donor.at else {
                continue;
            };
            if partial.missing().is_empty() {
                break;
            }
            let arrived = told
                .clone()
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|it| it.clone());
            if let Some(blob) = arrived {
                self.copy(source, &shares.terms, donor, &blob, partial)
                    .await?;
            }
        }
        Ok(())
    }

    /// Stops using Xet storage and warns, once.
    fn give_up(&self, reason: &str) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            self.hub.tell(Notice::Warning(format!(
                "Xet storage cannot be used ({reason}); downloading over HTTP instead."
            )));
        }
    }
}

/// Whether the content of a complete partial is the right one: by the root over its chunks, or by its own hash
/// where some of it came over HTTP.
async fn is_right(hash: &str, partial: &Arc<Partial>) -> Result<bool, DownloadError> {
    let this = Arc::clone(partial);
    // A file of many gigabytes has a journal of many megabytes.
    match threads::run(move || this.chunks()).await?? {
        Some(chunks) => {
            let chunks = chunks.iter();
            let chunks = chunks.map(|chunk| (chunk.hash, u64::from(chunk.length)));
            Ok(xet_hash(chunks) == hash)
        }
        None => prove(partial, None).await,
    }
}

impl Place for Arc<Partial> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        Partial::write_at(self, offset, bytes)
    }

    fn note_chunks(&self, offset: u64, chunks: &[Chunk]) -> Result<(), FsError> {
        Partial::note_chunks(self, offset, chunks)
    }
}
