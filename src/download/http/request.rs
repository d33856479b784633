//! Bytes over HTTP into partials: one request after the other until a span of a file is there.
//!
//! A span is the whole file or a part of it; [`crate::download::http::parallel`] runs several at a time. Everything
//! that can go wrong with a connection or an answer is handled here, for both.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::hub::{Method, StatusCode};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::download::DownloadError;
use crate::download::answer::{Start, check_answer};
use crate::download::http::source::Source;
use crate::download::partial::Partial;
use crate::hub::encoding::{Decoder, Encoding};
use crate::hub::http::{Failure, Request};
use crate::hub::retry::MAX_RETRIES;
use crate::hub::{Body, HubError};
use crate::sys::FsError;
use crate::sys::threads;

/// Spans up to this length, in bytes, are written by the task that receives them; a longer one gets
/// a thread of its own for hashing and writing, so that the network never waits for the disk.
pub const INLINE_LIMIT: u64 = 1 << 20;

/// Chunks that may wait between network and disk. A chunk is up to some hundred KiB, so this bounds
/// the memory of a connection: 16 of them took 93 MiB for eight files, with no gain in speed.
const QUEUE: usize = 6;

/// Part of a content: where a partial's bytes belong. Offsets in bytes.
pub struct Span<'a> {
    /// First byte.
    pub start: u64,
    /// Byte after the last one; [`u64::MAX`] when the size is unknown. It may come closer while
    /// bytes arrive: another connection then brings the rest.
    pub end: &'a AtomicU64,
    /// Current end of the partial, for other tasks to read.
    pub position: &'a AtomicU64,
}

impl Span<'_> {
    fn offset(&self, partial: &Partial) -> u64 {
        self.start + partial.len()
    }

    /// Bytes from `offset` to the end.
    fn missing_from(&self, offset: u64) -> u64 {
        self.end.load(Ordering::Relaxed).saturating_sub(offset)
    }
}

/// Why one attempt ended before its span was complete.
enum Trouble {
    /// The disk, or another failure that a retry does not fix.
    Fatal(DownloadError),
    /// The network or the server.
    Attempt(Failure),
}

impl From<crate::sys::FsError> for Trouble {
    fn from(error: crate::sys::FsError) -> Self {
        Trouble::Fatal(error.into())
    }
}

/// Fills a partial until its span is there, with as many requests as it takes. A request that
/// brought bytes resets the count of failures. The partial comes back unless its writer panicked.
///
/// A server that ignores ranges can only fill a span that starts at zero; for another one this ends
/// with [`HubError::RangeIgnored`].
pub async fn complete(
    source: &Source<'_>,
    span: &Span<'_>,
    mut partial: Partial,
) -> (Option<Partial>, Result<(), DownloadError>) {
    let mut retries = 0;
    loop {
        if span.missing_from(span.offset(&partial)) == 0 {
            return (Some(partial), Ok(()));
        }
        let before = partial.len();
        let (after, result) = attempt(source, span, partial).await;
        let Some(after) = after else {
            let error = DownloadError::Task("the writer is gone".to_owned());
            return (None, result.map_err(|_| error));
        };
        partial = after;
        let failure = match result {
            Ok(()) => return (Some(partial), Ok(())),
            Err(Trouble::Fatal(error)) => return (Some(partial), Err(error)),
            Err(Trouble::Attempt(failure)) => failure,
        };
        if partial.len() > before {
            retries = 0;
        }
        // An expired link is replaced by asking the Hub for another one, which is what a retry does.
        let is_new = source.learn(&failure.error, span.offset(&partial));
        let has_expired = is_new || matches!(failure.error, HubError::LinkExpired);
        if !(failure.transient || has_expired) || retries >= MAX_RETRIES {
            let error = DownloadError::Hub {
                source: failure.error,
                path: Some(source.path.clone()),
            };
            return (Some(partial), Err(error));
        }
        if !(has_expired && retries == 0)
            && let Err(error) = source.hub.wait_before_retry(retries, failure).await
        {
            return (Some(partial), Err(error.into()));
        }
        retries += 1;
    }
}

/// One request from the current offset on. The partial is lent to the writer and comes back, except
/// when that panicked.
async fn attempt(
    source: &Source<'_>,
    span: &Span<'_>,
    mut partial: Partial,
) -> (Option<Partial>, Result<(), Trouble>) {
    if source.compresses() && span.start == 0 {
        // The bytes of an earlier answer cannot be continued.
        if let Err(trouble) = restart(source, &mut partial) {
            return (Some(partial), Err(trouble));
        }
    }
    let offset = span.offset(&partial);
    let answer = match source.hub.send_once(&request(source, span, offset)).await {
        Ok(answer) => answer,
        Err(failure) => {
            // Whatever went wrong, the next attempt begins at the Hub.
            source.remember(None);
            // The offset is behind the end: these bytes are not of this file.
            if !partial.is_empty() && is_status(&failure.error, StatusCode::RANGE_NOT_SATISFIABLE) {
                let restarted = restart(source, &mut partial);
                return (
                    Some(partial),
                    restarted.and(Err(Trouble::Attempt(transient(failure.error)))),
                );
            }
            return (Some(partial), Err(Trouble::Attempt(failure)));
        }
    };
    if answer.is_foreign {
        source.remember(Some(answer.response.url().clone()));
    }
    let (status, headers) = (answer.response.status(), answer.response.headers());
    let encoding = Encoding::of(headers);
    if encoding.is_some() {
        source.learned.compresses.store(true, Ordering::Relaxed);
    }
    let usable = match check_answer(status, headers, offset, source.size) {
        _ if encoding.is_some() && span.start > 0 => {
            Err(Trouble::Attempt(Failure::fatal(HubError::RangeIgnored)))
        }
        Ok(Start::Continue) => Ok(()),
        Ok(Start::FromZero) if span.start == 0 => restart(source, &mut partial),
        Ok(Start::FromZero) => Err(Trouble::Attempt(Failure::fatal(HubError::RangeIgnored))),
        Err(reason) => Err(Trouble::Attempt(transient(HubError::BadAnswer(reason)))),
    };
    if let Err(trouble) = usable {
        return (Some(partial), Err(trouble));
    }
    let body = source.hub.body(answer.response);
    if let Some(encoding) = encoding {
        let decoded = receive_decoded(source, span, body, encoding.decoder(), &mut partial).await;
        return (Some(partial), decoded);
    }
    if span.missing_from(span.offset(&partial)) <= INLINE_LIMIT {
        let result = receive_inline(source, span, body, &mut partial).await;
        return (Some(partial), result);
    }
    receive_with_writer(source, span, body, partial).await
}

fn request(source: &Source<'_>, span: &Span<'_>, offset: u64) -> Request {
    let request = Request::new(Method::GET, source.address())
        .of_file()
        // A compressed transfer could not be resumed, nor checked against the announced size.
        .header("accept-encoding", "identity");
    let end = span.end.load(Ordering::Relaxed);
    let request = request.expecting(source.size.map(|size| end.min(size).saturating_sub(offset)));
    let is_to_the_end = source.size.is_none_or(|size| end >= size);
    match (offset, is_to_the_end) {
        (0, _) if source.compresses() => request,
        (0, true) if !source.asks_for_ranges() => request,
        (_, true) => request.header("range", &format!("bytes={offset}-")),
        (_, false) => request.header("range", &format!("bytes={offset}-{}", end - 1)),
    }
}

fn restart(source: &Source<'_>, partial: &mut Partial) -> Result<(), Trouble> {
    source.progress.rewind(partial.len());
    Ok(partial.restart()?)
}

async fn receive_inline(
    source: &Source<'_>,
    span: &Span<'_>,
    mut body: Body,
    partial: &mut Partial,
) -> Result<(), Trouble> {
    let mut incoming = Incoming::new(source, span, partial);
    while let Some(chunk) = incoming.next(&mut body).await? {
        partial.append(&chunk)?;
    }
    incoming.ended()
}

/// Receives a compressed body, from the start of the file.
async fn receive_decoded(
    source: &Source<'_>,
    span: &Span<'_>,
    mut body: Body,
    mut decoder: Decoder,
    partial: &mut Partial,
) -> Result<(), Trouble> {
    let bad = |reason: String| Trouble::Attempt(transient(HubError::BadAnswer(reason)));
    loop {
        let received = body.chunk().await.map_err(Trouble::Attempt)?;
        let is_last = received.is_none();
        let plain = match received {
            Some(chunk) => decoder.decode(&chunk),
            None => decoder.finish(),
        };
        let mut plain =
            plain.map_err(|error| bad(format!("its compressed body is damaged: {error}")))?;
        let missing = span.missing_from(span.offset(partial));
        plain.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
        partial.append(&plain)?;
        source.progress.advance(plain.len() as u64);
        let offset = span.offset(partial);
        span.position.store(offset, Ordering::Relaxed);
        let is_complete = source.size.is_some() && span.missing_from(offset) == 0;
        match source.size {
            _ if is_complete => return Ok(()),
            Some(_) if is_last => return Err(bad("the file ended too early".to_owned())),
            None if is_last => return Ok(()),
            _ => {}
        }
    }
}

async fn receive_with_writer(
    source: &Source<'_>,
    span: &Span<'_>,
    mut body: Body,
    partial: Partial,
) -> (Option<Partial>, Result<(), Trouble>) {
    let mut incoming = Incoming::new(source, span, &partial);
    let (sender, receiver) = mpsc::channel::<Bytes>(QUEUE);
    let writer = match threads::start((partial, receiver), write_all) {
        Ok(writer) => writer,
        Err((mut partial, _)) => {
            let received = receive_inline(source, span, body, &mut partial).await;
            return (Some(partial), received);
        }
    };
    let received = loop {
        match incoming.next(&mut body).await {
            // A closed channel means that the writer failed: its own error says why.
            Ok(Some(chunk)) => {
                if sender.send(chunk).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break incoming.ended(),
            Err(trouble) => break Err(trouble),
        }
    };
    drop(sender);
    match writer.await {
        Ok((partial, written)) => (Some(partial), written.map_err(Trouble::from).and(received)),
        Err(_) => (None, Err(Trouble::Fatal(threads::Gone.into()))),
    }
}

/// The writer's side: appends what comes until nothing more does.
fn write_all(
    (mut partial, mut receiver): (Partial, mpsc::Receiver<Bytes>),
) -> (Partial, Result<(), FsError>) {
    while let Some(chunk) = receiver.blocking_recv() {
        if let Err(error) = partial.append(&chunk) {
            return (partial, Err(error));
        }
    }
    (partial, Ok(()))
}

/// The bytes of one answer, cut at the end of the span, counted.
struct Incoming<'a> {
    source: &'a Source<'a>,
    span: &'a Span<'a>,
    offset: u64,
}

impl<'a> Incoming<'a> {
    fn new(source: &'a Source<'a>, span: &'a Span<'a>, partial: &Partial) -> Self {
        Incoming {
            source,
            span,
            offset: span.offset(partial),
        }
    }

    /// The next bytes; `None` at the end of the span or of the answer.
    async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, Trouble> {
        let missing = self.span.missing_from(self.offset);
        if missing == 0 {
            return Ok(None);
        }
        let Some(mut chunk) = body.chunk().await.map_err(Trouble::Attempt)? else {
            return Ok(None);
        };
        // Looked at again: the end may have come closer while we waited.
        let missing = usize::try_from(self.span.missing_from(self.offset)).unwrap_or(usize::MAX);
        chunk.truncate(missing);
        self.offset += chunk.len() as u64;
        self.span.position.store(self.offset, Ordering::Relaxed);
        self.source.progress.advance(chunk.len() as u64);
        Ok(Some(chunk))
    }

    /// The answer ended: is the span there?
    fn ended(&self) -> Result<(), Trouble> {
        if self.source.size.is_none() || self.span.missing_from(self.offset) == 0 {
            return Ok(());
        }
        let error = HubError::BadAnswer("the file ended too early".to_owned());
        Err(Trouble::Attempt(transient(error)))
    }
}

fn transient(error: HubError) -> Failure {
    Failure {
        error,
        transient: true,
        server_wait: None,
    }
}

fn is_status(error: &HubError, wanted: StatusCode) -> bool {
    matches!(error, HubError::Status { status, .. } if *status == wanted)
}
