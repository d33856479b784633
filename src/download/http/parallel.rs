//! One file over several connections.
//!
//! A connection of its own is all a file needs where the network is fast. Where each connection is
//! held to a rate (most storage networks do that), a large file is fetched by several: the *main*
//! connection goes on at the front of the file while *helpers* bring segments from further back.
//!
//! The state on disk stays as simple as that of one connection, so that any process can continue after a
//! `kill -9`: the partial (`<etag>.hf-part`) is the file from its start, and a segment
//! (`<etag>.hf-part-<k>`) is the file from byte k × [`SEGMENT`]; their lengths are all there is to
//! know. When the partial reaches a segment that no helper fetches, the segment is appended to it, whole or
//! begun, which is also when its bytes are hashed: the hash needs them in order, and they come from
//! memory.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache::layout::PartialName;
use crate::download::DownloadError;
use crate::download::http::pace::{Pace, TICK};
use crate::download::http::request::{INLINE_LIMIT, Span, complete};
use crate::download::http::segments::{SEGMENT, Segments, State, is_split, remove_segments};
use crate::download::http::source::Source;
use crate::download::partial::Partial;
use crate::sys::threads;
use crate::types::listing::Checksum;

/// Most connections of all files together. Sixteen at 20 MB/s fill a 2.5 Gbit/s line.
pub const CONNECTIONS: usize = 16;

/// Permits for connections, shared by all files of a download.
pub type Connections = Arc<Semaphore>;

/// Fills the partial at `path` until it holds the whole, verified content; the caller then renames
/// it. Goes on where an earlier attempt stopped. Bytes with a wrong hash are fetched once more from
/// the start.
///
/// # Errors
/// [`DownloadError`]; good bytes stay in the partial and its segments, bad ones do not.
pub async fn fetch(
    source: &Source<'_>,
    path: &Path,
    connections: &Connections,
) -> Result<(), DownloadError> {
    let mut partial = open(path, source.checksum, source.size).await?;
    for is_last in [false, true] {
        partial = fill(source, path, partial, connections).await?;
        remove_segments(path, source.size);
        if partial.verify() {
            return Ok(());
        }
        if !is_last {
            source.progress.rewind(partial.len());
            partial.restart()?;
        }
    }
    partial.discard();
    Err(DownloadError::Corrupt {
        path: source.path.clone(),
        expected: source.checksum.to_string(),
    })
}

/// Opens a partial, or makes it.
///
/// # Errors
/// [`DownloadError`] naming the partial.
pub async fn open(
    path: &Path,
    checksum: &Checksum,
    size: Option<u64>,
) -> Result<Partial, DownloadError> {
    let is_large = size.is_none_or(|size| size > INLINE_LIMIT)
        && std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > INLINE_LIMIT);
    if !is_large {
        return Ok(Partial::open(path, checksum, size)?);
    }
    // Hashing gigabytes of an earlier attempt must not hold up the other files.
    let (path, checksum) = (path.to_path_buf(), checksum.clone());
    let opened = threads::run(move || Partial::open(&path, &checksum, size)).await?;
    Ok(opened?)
}

async fn fill(
    source: &Source<'_>,
    path: &Path,
    partial: Partial,
    connections: &Connections,
) -> Result<Partial, DownloadError> {
    match source.size {
        Some(size) if is_split(Some(size)) => {
            let fill = Fill::new(source, path, size, &partial, Arc::clone(connections));
            fill.run(partial).await
        }
        size => {
            let (end, position) = (AtomicU64::new(size.unwrap_or(u64::MAX)), AtomicU64::new(0));
            let span = Span {
                start: 0,
                end: &end,
                position: &position,
            };
            let (partial, result) = complete(source, &span, partial).await;
            result.and(partial.ok_or_else(writer_gone))
        }
    }
}

fn writer_gone() -> DownloadError {
    DownloadError::Task("the writer is gone".to_owned())
}

/// A step of the main connection.
type Step<'a> =
    Pin<Box<dyn Future<Output = (Option<Partial>, Result<(), DownloadError>)> + Send + 'a>>;

/// What a helper ends with: its segment, and how it went.
type Helper<'a> = Pin<Box<dyn Future<Output = (u64, Result<(), DownloadError>)> + Send + 'a>>;

/// One file being filled.
struct Fill<'a> {
    source: &'a Source<'a>,
    path: &'a Path,
    size: u64,
    segments: Segments,
    connections: Connections,
    /// End of what the main connection brings.
    end: AtomicU64,
    /// Where the main connection is.
    front: AtomicU64,
    /// Bytes received by helpers, to tell their rate.
    helped: AtomicU64,
}

impl<'a> Fill<'a> {
    fn new(
        source: &'a Source<'a>,
        path: &'a Path,
        size: u64,
        partial: &Partial,
        connections: Connections,
    ) -> Self {
        // What the partial is past already is a leftover of a crash.
        let ahead = partial.len().div_ceil(SEGMENT)..size.div_ceil(SEGMENT);
        let existing = ahead.map(|k| {
            let length = length_of(&PartialName::segment_of(path, k));
            source.progress.advance(length);
            (k, length)
        });
        let segments = Segments::new(size, existing.collect::<Vec<_>>());
        Fill {
            source,
            path,
            size,
            connections,
            end: AtomicU64::new(segments.end_of_front(partial.len())),
            front: AtomicU64::new(partial.len()),
            helped: AtomicU64::new(0),
            segments,
        }
    }

    async fn run(self, partial: Partial) -> Result<Partial, DownloadError> {
        let Fill {
            source,
            path,
            size,
            mut segments,
            connections,
            end,
            front,
            helped,
        } = self;
        let shared = Shared {
            source,
            path,
            end: &end,
            front: &front,
            helped: &helped,
        };
        let mut helpers: FuturesUnordered<Helper<'_>> = FuturesUnordered::new();
        let mut pace = Pace::new(partial.len());
        let mut tick = tokio::time::interval(TICK);
        let mut main: Option<Step<'_>> = Some(shared.stream(partial));
        let mut waiting: Option<Partial> = None;
        let mut may_help = true;
        loop {
            if let Some(partial) = waiting.take() {
                let position = partial.len();
                match segments.at(position) {
                    _ if position >= size => return Ok(partial),
                    // Begun: what an earlier attempt has of it, and the front goes on behind that.
                    Some((k, State::Done | State::Begun)) => {
                        // Its file goes with it: should the front ever start over, so does this.
                        segments.set(k, State::Free);
                        main = Some(shared.absorb(partial, k));
                    }
                    Some((_, State::Running)) => waiting = Some(partial),
                    _ => {
                        end.store(segments.end_of_front(position), Ordering::Relaxed);
                        main = Some(shared.stream(partial));
                    }
                }
            }
            let wants_helper = tokio::select! {
                (partial, result) = step(&mut main), if main.is_some() => {
                    main = None;
                    result?;
                    waiting = Some(partial.ok_or_else(writer_gone)?);
                    false
                }
                Some((k, result)) = helpers.next(), if !helpers.is_empty() => match result {
                    Ok(()) => {
                        segments.set(k, State::Done);
                        // One more connection was faster, so try the next.
                        true
                    }
                    Err(DownloadError::Hub { .. }) => {
                        // No ranges, or no further connection for us (servers limit them): the main
                        // connection then fetches everything, and reports the error if there is one.
                        may_help = false;
                        segments.found(k, length_of(&PartialName::segment_of(path, k)));
                        end.store(segments.end_of_front(front.load(Ordering::Relaxed)), Ordering::Relaxed);
                        false
                    }
                    Err(error) => return Err(error),
                },
                _ = tick.tick() => {
                    let received = front.load(Ordering::Relaxed) + helped.load(Ordering::Relaxed);
                    let active = helpers.len() as u64 + u64::from(main.is_some());
                    // Under the user's rate limit more connections bring nothing.
                    pace.is_slow(received, active) && !source.hub.is_held_back()
                }
            };
            let position = front.load(Ordering::Relaxed);
            if wants_helper
                && may_help
                && let Ok(permit) = Arc::clone(&connections).try_acquire_owned()
                && let Some(k) = segments.claim(position)
            {
                end.fetch_min(segments.end_of_front(position), Ordering::Relaxed);
                helpers.push(shared.help(k, segments.length(k), permit));
            }
        }
    }
}

/// Length of a file; 0 where there is none.
fn length_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Waits for a step; only called when there is one.
async fn step(main: &mut Option<Step<'_>>) -> (Option<Partial>, Result<(), DownloadError>) {
    match main {
        Some(step) => step.await,
        None => std::future::pending().await,
    }
}

/// What the connections of one file share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    source: &'a Source<'a>,
    path: &'a Path,
    end: &'a AtomicU64,
    front: &'a AtomicU64,
    helped: &'a AtomicU64,
}

impl<'a> Shared<'a> {
    /// The main connection: from the front of the file to the first segment that is not its own.
    fn stream(self, partial: Partial) -> Step<'a> {
        Box::pin(async move {
            let span = Span {
                start: 0,
                end: self.end,
                position: self.front,
            };
            complete(self.source, &span, partial).await
        })
    }

    /// Appends what there is of a segment to the partial and removes it. Killed in between, both hold its
    /// bytes; the next process sees that the partial is past it.
    fn absorb(self, mut partial: Partial, k: u64) -> Step<'a> {
        let path = PartialName::segment_of(self.path, k);
        Box::pin(async move {
            let absorbed = threads::run(move || {
                let result = partial.append_file(&path);
                if result.is_ok() {
                    let _ = std::fs::remove_file(&path);
                }
                (partial, result)
            });
            match absorbed.await {
                Ok((partial, result)) => {
                    self.front.store(partial.len(), Ordering::Relaxed);
                    (Some(partial), result.map_err(DownloadError::from))
                }
                Err(error) => (None, Err(error.into())),
            }
        })
    }

    /// A helper: brings segment `k` of `length` bytes, then releases its connection.
    fn help(self, k: u64, length: u64, permit: OwnedSemaphorePermit) -> Helper<'a> {
        Box::pin(async move {
            let result = self.bring(k, length).await;
            drop(permit);
            (k, result)
        })
    }

    async fn bring(self, k: u64, length: u64) -> Result<(), DownloadError> {
        let start = k * SEGMENT;
        let end = AtomicU64::new(start + length);
        // Nothing is known about the hash of a segment: the whole file's decides.
        let checksum = Checksum::Unknown("segment".to_owned());
        let partial = open(
            &PartialName::segment_of(self.path, k),
            &checksum,
            Some(length),
        )
        .await?;
        let position = AtomicU64::new(start + partial.len());
        let span = Span {
            start,
            end: &end,
            position: &position,
        };
        let mut seen = position.load(Ordering::Relaxed);
        let mut work = std::pin::pin!(complete(self.source, &span, partial));
        loop {
            let done = tokio::select! {
                (partial, result) = &mut work => Some((partial, result)),
                () = tokio::time::sleep(TICK / 3) => None,
            };
            let now = position.load(Ordering::Relaxed);
            self.helped
                .fetch_add(now.saturating_sub(seen), Ordering::Relaxed);
            seen = now;
            if let Some((partial, result)) = done {
                result?;
                return if partial.is_some() {
                    Ok(())
                } else {
                    Err(writer_gone())
                };
            }
        }
    }
}
