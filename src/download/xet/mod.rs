//! One file from Xet storage, through the library that the Python client uses as well.
//!
//! The library puts a file together from chunks that it fetches from several places at once, and
//! hands it over as a stream from any offset on. So a Xet download fills the same partial as one over
//! HTTP, bytes in order from the start: it goes on where another attempt stopped, whichever way that
//! one went, and HTTP can go on where Xet gave up. The hash of the whole is checked here; that the
//! library checks the chunks too is not relied on.
//!
//! Nothing is set up before the first file needs it, and then one session with one access token
//! serves all workers. The library runs on our own runtime, so it ends with it.

mod library;
mod progress;

use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use xet::XetError;
use xet::xet_session::XetFileInfo;
use xet_data::DataError;
use xet_data::processing::{DownloadStream, FileDownloadSession};

use self::library::{XetCaller, describe, detail};
use super::DownloadError;
use super::partial::{Follower, Partial, prove};
use crate::config::settings::Settings;
use crate::download::http::source::{Counted, Source};
use crate::download::xet::progress::{Counts, Meter};
use crate::hub::Hub;
use crate::sys::threads;
use crate::types::progress::Notice;
use crate::types::{CommitHash, Repo, is_lower_hex};

/// How often progress is shown while no chunk is complete.
const TICK: Duration = Duration::from_millis(200);

/// How to use Xet storage.
#[derive(Debug, Clone)]
pub struct XetOptions {
    /// Folder of the library.
    pub cache: PathBuf,
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
            cache: settings.xet_cache.clone(),
            high_performance: settings.xet_high_performance,
            shared_blobs: !settings.disable_shared_blobs,
            makes_store: settings.enable_shared_blobs,
        }
    }
}

/// Xet storage for one repository at one commit.
pub struct Xet {
    caller: XetCaller,
    options: XetOptions,
    session: OnceCell<Arc<FileDownloadSession>>,
    counts: Mutex<Counts>,
    is_given_up: AtomicBool,
}

/// Why one attempt ended before the content was complete.
enum Trouble {
    /// The disk, or another failure that HTTP does not avoid either.
    Fatal(DownloadError),
    /// The storage.
    Storage(XetError),
    /// The stream ended without an error, yet too early.
    Short,
    /// Nothing came for [`Xet::longest_silence`].
    Silence,
}

impl Xet {
    /// Prepares; no request is made yet.
    pub fn new(options: XetOptions, hub: Hub, repo: Repo, commit: CommitHash) -> Self {
        Xet {
            caller: XetCaller { hub, repo, commit },
            options,
            session: OnceCell::new(),
            counts: Mutex::default(),
            is_given_up: AtomicBool::new(false),
        }
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
        let is_name = hash.len() == 64 && is_lower_hex(hash);
        let Some(size) = source.size.filter(|&size| size > 0 && is_name) else {
            return Ok(false);
        };
        let Some(session) = self.session().await else {
            return Ok(false);
        };
        let content = XetFileInfo::new(hash.to_owned(), size);
        loop {
            let is_all_xet = partial.present() == 0;
            let follower = Follower::start(partial);
            if !self.complete(session, source, &content, partial).await? {
                return Ok(false);
            }
            if prove(partial, follower).await? {
                return Ok(true);
            }
            source.progress.count_to(0);
            partial.restart()?;
            if is_all_xet {
                break;
            }
            // The wrong bytes may be those that an earlier attempt, or another client, left.
        }
        self.caller.hub.tell(Notice::Warning(format!(
            "Xet storage sent wrong bytes for {}; fetching it over HTTP instead.",
            source.path
        )));
        Ok(false)
    }

    /// Attempts until all bytes are there; `false` when one brought nothing.
    async fn complete(
        &self,
        session: &FileDownloadSession,
        source: &Source<'_>,
        content: &XetFileInfo,
        partial: &Arc<Partial>,
    ) -> Result<bool, DownloadError> {
        while let Some(next) = partial.missing().iter().next() {
            let result = self.attempt(session, content, partial, next.clone(), &source.progress);
            let reason = match result.await {
                Ok(()) => continue,
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Short) => "it sent too few bytes",
                Err(Trouble::Silence) => "its server sends nothing",
                Err(Trouble::Storage(error)) => {
                    let line = || format!("Xet storage, {}: {}", source.path, detail(&error));
                    self.caller.hub.trace(line);
                    describe(&error)
                }
            };
            if partial.missing().iter().next() == Some(next) {
                self.give_up(reason);
                return Ok(false);
            }
            self.caller.hub.tell(Notice::Waiting(format!(
                "Xet storage broke off {} ({reason}); asking it for the rest",
                source.path
            )));
        }
        Ok(true)
    }

    /// The session, set up on first use; `None` when that failed, or Xet storage was given up since.
    async fn session(&self) -> Option<&Arc<FileDownloadSession>> {
        let started = self.session.get_or_try_init(|| async {
            if self.is_given_up.load(Ordering::Relaxed) {
                return Err(());
            }
            let started = library::start(&self.caller, &self.options).await;
            started.map_err(|reason| self.give_up(&reason))
        });
        let session = started.await.ok()?;
        (!self.is_given_up.load(Ordering::Relaxed)).then_some(session)
    }

    /// Stops using Xet storage and warns, once.
    fn give_up(&self, reason: &str) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            self.caller.hub.tell(Notice::Warning(format!(
                "Xet storage cannot be used ({reason}); downloading over HTTP instead."
            )));
        }
    }

    /// One stream for a range.
    async fn attempt(
        &self,
        session: &FileDownloadSession,
        content: &XetFileInfo,
        partial: &Arc<Partial>,
        range: Range<u64>,
        progress: &Counted<'_>,
    ) -> Result<(), Trouble> {
        let stream = match session.download_stream(content, Some(range.clone())).await {
            Ok((_, stream)) => stream,
            Err(error) => return Err(Trouble::Storage(error.into())),
        };
        let length = range.end - range.start;
        let mut meter = Meter::begin(&self.counts, length, progress);
        let received = self.receive(session, stream, partial, range, &mut meter);
        let (missing, result) = received.await;
        meter.end(missing, on_the_wire(session));
        match result {
            Ok(()) if missing > 0 => Err(Trouble::Short),
            other => other,
        }
    }

    /// Writes what the stream brings, and answers how many bytes of the range it did not. One chunk at a
    /// time: they are large, and while one is written the library goes on fetching into a buffer whose
    /// size it bounds.
    async fn receive(
        &self,
        session: &FileDownloadSession,
        mut stream: DownloadStream,
        partial: &Arc<Partial>,
        range: Range<u64>,
        meter: &mut Meter<'_>,
    ) -> (u64, Result<(), Trouble>) {
        let mut at = range.start;
        while at < range.end {
            let mut chunk = match self.next_chunk(session, &mut stream, meter).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(trouble) => return (range.end - at, Err(trouble)),
            };
            // A stream longer than the range may have no end.
            chunk.truncate(usize::try_from(range.end - at).unwrap_or(usize::MAX));
            let length = chunk.len() as u64;
            let (this, offset) = (Arc::clone(partial), at);
            let writing = threads::run(move || {
                this.write_at(offset, &chunk)?;
                this.note(offset..offset + length)
            });
            match writing.await {
                Ok(Ok(())) => at += length,
                Ok(Err(error)) => return (range.end - at, Err(Trouble::Fatal(error.into()))),
                Err(error) => return (range.end - at, Err(Trouble::Fatal(error.into()))),
            }
            meter.write(length, on_the_wire(session));
        }
        (range.end - at, Ok(()))
    }

    /// Longest wait without a byte for any file. The library gives up on a connection sooner than
    /// that and tries another; this is for when it does not help.
    fn longest_silence(&self) -> Duration {
        2 * library::silence(&self.caller.hub)
    }

    /// Waits for the next chunk, showing meanwhile what comes over the wire.
    async fn next_chunk(
        &self,
        session: &FileDownloadSession,
        stream: &mut DownloadStream,
        meter: &mut Meter<'_>,
    ) -> Result<Option<Bytes>, Trouble> {
        let mut ticks = tokio::time::interval(TICK);
        let mut last_sign = (Instant::now(), on_the_wire(session));
        // Dropping this future unfinished would lose the chunk it waits for.
        let mut next = pin!(stream.next());
        loop {
            tokio::select! {
                chunk = &mut next => {
                    return chunk.map_err(|error| Trouble::Storage(DataError::from(error).into()));
                }
                _ = ticks.tick() => meter.show(on_the_wire(session)),
            }
            let bytes = on_the_wire(session);
            if bytes != last_sign.1 {
                last_sign = (Instant::now(), bytes);
            } else if last_sign.0.elapsed() > self.longest_silence() {
                return Err(Trouble::Silence);
            }
        }
    }
}

/// Bytes that came from the storage for all files together.
fn on_the_wire(session: &FileDownloadSession) -> u64 {
    session.report().total_transfer_bytes_completed
}
