//! Bytes over HTTP into a partial: one request after the other until a span of a file is there.
//!
//! A span is the whole file or a part of it; [`super::parallel`] runs several at a time. Everything that
//! can go wrong with a connection or an answer is handled here, for both.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::source::Source;
use super::span::Span;
use crate::download::DownloadError;
use crate::download::answer::{Start, check_answer};
use crate::download::partial::{Partial, SMALL};
use crate::hub::encoding::{Decoder, Encoding};
use crate::hub::http::{Failure, Request};
use crate::hub::retry::MAX_RETRIES;
use crate::hub::{Body, HubError, Method, StatusCode};
use crate::sys::{FsError, threads};

/// Chunks that may wait between network and disk. A chunk is up to some hundred KiB, so this bounds
/// the memory of a connection: 16 of them took 93 MiB for eight files, with no gain in speed.
const QUEUE: usize = 6;

/// How a connection ended before its span was complete.
#[derive(Debug)]
pub enum Ended {
    /// The disk, or another failure that no connection avoids.
    Failed(DownloadError),
    /// The server refuses, or fails again and again. Other connections may do better.
    Refused(DownloadError),
    /// The server sends the whole content or nothing, and this span is a part of it; or the bytes that
    /// are there are not of this content.
    NeedsWhole,
}

impl Ended {
    /// As an error for a connection that was the only one.
    pub fn into_error(self) -> DownloadError {
        match self {
            Ended::Failed(error) | Ended::Refused(error) => error,
            Ended::NeedsWhole => HubError::RangeIgnored.into(),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Failed(error) | Ended::Refused(error) => error.fmt(f),
            Ended::NeedsWhole => f.write_str("the server sends whole files only"),
        }
    }
}

/// Why one attempt ended before its span was complete.
enum Trouble {
    /// The disk, or another failure that a retry does not fix.
    Fatal(DownloadError),
    /// The network or the server.
    Attempt(Failure),
    /// See [`Ended::NeedsWhole`].
    NeedsWhole,
}

impl From<FsError> for Trouble {
    fn from(error: FsError) -> Self {
        Trouble::Fatal(error.into())
    }
}

/// Brings the bytes of a span, with as many requests as it takes. A request that brought bytes resets the
/// count of failures.
///
/// # Errors
/// [`Ended`]; what came is noted in the partial.
pub async fn complete(
    source: &Source<'_>,
    span: &Span,
    partial: &Arc<Partial>,
) -> Result<(), Ended> {
    let mut retries = 0;
    loop {
        let before = span.rest();
        if before.is_empty() {
            return Ok(());
        }
        let failure = match attempt(source, span, partial).await {
            Ok(()) => return Ok(()),
            Err(Trouble::Fatal(error)) => return Err(Ended::Failed(error)),
            Err(Trouble::NeedsWhole) => return Err(Ended::NeedsWhole),
            Err(Trouble::Attempt(failure)) => failure,
        };
        let position = span.rest().start;
        if position > before.start {
            retries = 0;
        }
        // An expired link is replaced by asking the Hub for another one, which is what a retry does.
        let is_new = source.learn(&failure.error, position);
        let has_expired = is_new || matches!(failure.error, HubError::LinkExpired);
        if !(failure.transient || has_expired) || retries >= MAX_RETRIES {
            return Err(Ended::Refused(DownloadError::Hub {
                source: failure.error,
                path: Some(source.path.clone()),
            }));
        }
        if !(has_expired && retries == 0) {
            let waited = source.hub.wait_before_retry(retries, failure).await;
            waited.map_err(|error| Ended::Refused(error.into()))?;
        }
        retries += 1;
    }
}

/// One request from the current position on.
async fn attempt(source: &Source<'_>, span: &Span, partial: &Arc<Partial>) -> Result<(), Trouble> {
    if source.compresses() {
        // The bytes of an earlier answer cannot be continued.
        start_over(source, span)?;
    }
    let offset = span.rest().start;
    let answer = match source.hub.send_once(&request(source, span)).await {
        Ok(answer) => answer,
        Err(failure) => {
            // Whatever went wrong, the next attempt begins at the Hub.
            source.remember(None);
            if offset > 0 && is_status(&failure.error, StatusCode::RANGE_NOT_SATISFIABLE) {
                // The offset is behind the end: these bytes are not of this file.
                start_over(source, span)?;
                return Err(Trouble::Attempt(transient(failure.error)));
            }
            return Err(Trouble::Attempt(failure));
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
    match check_answer(status, headers, offset, source.size) {
        _ if encoding.is_some() && !span.is_whole() => return Err(Trouble::NeedsWhole),
        Ok(Start::Continue) => {}
        Ok(Start::FromZero) => start_over(source, span)?,
        Err(reason) => return Err(Trouble::Attempt(transient(HubError::BadAnswer(reason)))),
    }
    let body = source.hub.body(answer.response);
    if let Some(encoding) = encoding {
        return receive_decoded(source, span, body, encoding.decoder(), partial).await;
    }
    let rest = span.rest();
    if rest.end - rest.start <= SMALL {
        return receive_inline(source, span, body, partial).await;
    }
    receive_with_writer(source, span, body, partial).await
}

fn request(source: &Source<'_>, span: &Span) -> Request {
    let request = Request::new(Method::GET, source.address())
        .of_file()
        // A compressed transfer could not be resumed, nor checked against the announced size.
        .header("accept-encoding", "identity");
    let rest = span.rest();
    let (offset, end) = (rest.start, rest.end);
    let request = request.expecting(source.size.map(|size| end.min(size).saturating_sub(offset)));
    let is_to_the_end = source.size.is_none_or(|size| end >= size);
    match (offset, is_to_the_end) {
        (0, _) if source.compresses() => request,
        (0, true) if !source.asks_for_ranges() => request,
        (_, true) => request.header("range", &format!("bytes={offset}-")),
        (_, false) => request.header("range", &format!("bytes={offset}-{}", end - 1)),
    }
}

/// Begins again at the start of the content, which only a connection that brings all of it can do.
fn start_over(source: &Source<'_>, span: &Span) -> Result<(), Trouble> {
    if !span.is_whole() {
        return Err(Trouble::NeedsWhole);
    }
    source.progress.rewind(span.start_over());
    Ok(())
}

async fn receive_inline(
    source: &Source<'_>,
    span: &Span,
    mut body: Body,
    partial: &Arc<Partial>,
) -> Result<(), Trouble> {
    while let Some((offset, chunk)) = next(source, span, &mut body).await? {
        partial.write_and_note(offset, chunk)?;
    }
    ended(source, span, partial)
}

/// Receives a compressed body, from the start of the file.
async fn receive_decoded(
    source: &Source<'_>,
    span: &Span,
    mut body: Body,
    mut decoder: Decoder,
    partial: &Arc<Partial>,
) -> Result<(), Trouble> {
    let bad = |reason: String| Trouble::Attempt(transient(HubError::BadAnswer(reason)));
    loop {
        let received = body.chunk().await.map_err(Trouble::Attempt)?;
        let is_last = received.is_none();
        let plain = match received {
            Some(chunk) => decoder.decode(&chunk),
            None => decoder.finish(),
        };
        let plain =
            plain.map_err(|error| bad(format!("its compressed body is damaged: {error}")))?;
        let (offset, taken) = span.take(plain.len());
        source.progress.advance(taken as u64);
        partial.write_and_note(offset, Bytes::from(plain).slice(..taken))?;
        if is_last || (source.size.is_some() && span.rest().is_empty()) {
            return ended(source, span, partial);
        }
    }
}

async fn receive_with_writer(
    source: &Source<'_>,
    span: &Span,
    mut body: Body,
    partial: &Arc<Partial>,
) -> Result<(), Trouble> {
    let (sender, receiver) = mpsc::channel::<(u64, Bytes)>(QUEUE);
    let Ok(writer) = threads::start((Arc::clone(partial), receiver), write_all) else {
        return receive_inline(source, span, body, partial).await;
    };
    let received = loop {
        match next(source, span, &mut body).await {
            // A closed channel means that the writer failed: its own error says why.
            Ok(Some(chunk)) => {
                if sender.send(chunk).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(trouble) => break Err(trouble),
        }
    };
    drop(sender);
    let written = writer.await;
    written.map_err(|_| Trouble::Fatal(threads::Gone.into()))??;
    received?;
    ended(source, span, partial)
}

/// The writer's side: writes what comes until nothing more does.
fn write_all(
    (partial, mut receiver): (Arc<Partial>, mpsc::Receiver<(u64, Bytes)>),
) -> Result<(), FsError> {
    while let Some((offset, chunk)) = receiver.blocking_recv() {
        partial.write_and_note(offset, chunk)?;
    }
    Ok(())
}

/// The next bytes, and where they belong; `None` at the end of the span or of the answer.
async fn next(
    source: &Source<'_>,
    span: &Span,
    body: &mut Body,
) -> Result<Option<(u64, Bytes)>, Trouble> {
    if span.rest().is_empty() {
        return Ok(None);
    }
    let Some(mut chunk) = body.chunk().await.map_err(Trouble::Attempt)? else {
        return Ok(None);
    };
    let (offset, taken) = span.take(chunk.len());
    chunk.truncate(taken);
    source.progress.advance(taken as u64);
    Ok(Some((offset, chunk)))
}

/// The answer ended: is the span there?
fn ended(source: &Source<'_>, span: &Span, partial: &Partial) -> Result<(), Trouble> {
    let rest = span.rest();
    if source.size.is_none() {
        partial.ends_at(rest.start);
        return Ok(());
    }
    if rest.is_empty() {
        return Ok(());
    }
    let error = HubError::BadAnswer("the file ended too early".to_owned());
    Err(Trouble::Attempt(transient(error)))
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
