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
//! What another revision of the file in the cache has as well is copied first ([`earlier`], [`reuse`]).
//!
//! Of the Xet library the formats are used. Its own client is not: it holds pieces of 64 MiB in memory, hands
//! them over in order, and knows nothing of our proxies' rules, limits and retries. What it did besides is
//! done here: tokens are renewed before they end and when one is refused, expired links are replaced, plans of
//! version 1 are understood.

mod client;
mod decode;
mod earlier;
mod lines;
mod plan;
mod progress;
mod reuse;
mod task;
mod transfer;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use self::client::Storage;
use self::decode::Place;
pub use self::earlier::{Earlier, WORTH};
use self::lines::Lines;
use self::progress::Meter;
use self::transfer::{Content, Trouble, bring};
use super::DownloadError;
use super::http::source::Source;
use super::partial::{Chunk, Partial, prove};
use crate::config::settings::Settings;
use crate::hub::Hub;
use crate::sys::{FsError, threads};
use crate::types::progress::Notice;
use crate::types::xet_hash::{is_xet_hash, xet_hash};
use crate::types::{CommitHash, Repo};

/// Fetches in flight for all files together. Each takes up to 2 MiB.
const IN_FLIGHT: usize = 8;
const IN_FLIGHT_HIGH: usize = 32;

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
    is_given_up: AtomicBool,
}

impl Xet {
    /// Prepares; no request is made yet. `most` bounds the connections.
    pub fn new(
        options: &XetOptions,
        hub: Hub,
        repo: Repo,
        commit: CommitHash,
        most: usize,
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
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Copies what contents that are on disk have of the one with this Xet hash, before it is fetched.
    ///
    /// # Errors
    /// [`DownloadError`] when the partial cannot be written.
    pub async fn copy(
        &self,
        source: &Source<'_>,
        hash: &str,
        partial: &Arc<Partial>,
        earlier: &[Earlier],
    ) -> Result<(), DownloadError> {
        let Some(size) = source.size.filter(|_| is_xet_hash(hash)) else {
            return Ok(());
        };
        let content = Content {
            hash,
            size,
            name: source.path.as_str(),
        };
        for earlier in earlier {
            let left = size.saturating_sub(partial.present());
            if left < WORTH || self.is_given_up.load(Ordering::Relaxed) {
                break;
            }
            earlier::copy(&self.lines, &content, earlier, partial).await?;
            source.progress.count_to(partial.present());
        }
        Ok(())
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
    ) -> Result<bool, DownloadError> {
        let Some(size) = source.size.filter(|&size| size > 0 && is_xet_hash(hash)) else {
            return Ok(false);
        };
        let content = Content {
            hash,
            size,
            name: source.path.as_str(),
        };
        loop {
            if self.is_given_up.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let was_empty = partial.present() == 0;
            let missing: Vec<Range<u64>> = partial.missing().iter().collect();
            let meter = Meter::new(partial.present(), &source.progress);
            let brought = bring(&self.lines, &content, &missing, partial, &meter).await;
            source.progress.count_to(partial.present());
            match brought {
                Ok(()) if partial.missing().iter().next().is_none() => {}
                Ok(()) => {
                    self.give_up("it sent too few bytes");
                    return Ok(false);
                }
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Storage(reason)) => {
                    self.give_up(&reason);
                    return Ok(false);
                }
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
