//! Bytes over HTTP into partials: one request after the other until a span of a file is there.
//!
//! A span is the whole file or a part of it; [`super::parallel`] runs several at a time. Everything
//! that can go wrong with a connection or an answer is handled here, for both.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::DownloadError;
use super::partial::Partial;
use crate::fs::FsError;
use crate::hub::http::{Failure, Request};
use crate::hub::retry::MAX_RETRIES;
use crate::hub::{Body, Hub, HubError};
use crate::listing::Checksum;
use crate::progress::Progress;
use crate::repo::RepoPath;
use crate::threads;
use crate::token::Token;

/// Spans up to this length, in bytes, are written by the task that receives them; a longer one gets
/// a thread of its own for hashing and writing, so that the network never waits for the disk.
pub const INLINE_LIMIT: u64 = 1 << 20;

/// Chunks that may wait between network and disk. A chunk is up to some hundred KiB, so this bounds
/// the memory of a connection: 16 of them took 93 MiB for eight files, with no gain in speed.
const QUEUE: usize = 6;

/// What to fetch and from where.
pub struct Source<'a> {
    /// The Hub.
    pub hub: &'a Hub,
    /// Sent to Hub hosts only.
    pub token: Option<&'a Token>,
    /// The file's resolve URL, at a commit.
    pub url: Url,
    /// The file, for messages.
    pub path: &'a RepoPath,
    /// Proof of the content.
    pub checksum: &'a Checksum,
    /// Size of the content in bytes, when known.
    pub size: Option<u64>,
    /// Told of every byte.
    pub progress: &'a dyn Progress,
    /// The signed link that the Hub redirected to last, while it is good: the next request for a
    /// part of this file goes there without asking the Hub again.
    pub link: Mutex<Option<Url>>,
}

impl Source<'_> {
    fn address(&self) -> Url {
        let link = self.link.lock().unwrap();
        link.as_ref().unwrap_or(&self.url).clone()
    }

    fn remember(&self, link: Option<Url>) {
        *self.link.lock().unwrap() = link;
    }
}

/// Part of a content: where a partial's bytes belong. Offsets in bytes.
pub struct Span<'a> {
    /// First byte.
    pub start: u64,
    /// Byte after the last one; [`u64::MAX`] when the size is unknown. It may come closer while
    /// bytes arrive: another connection then brings the rest.
    pub end: &'a AtomicU64,
    /// Where the partial has got to, for those who watch.
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
    /// The disk, or something else that trying again does not mend.
    Fatal(DownloadError),
    /// The network or the server.
    Attempt(Failure),
}

impl From<crate::fs::FsError> for Trouble {
    fn from(error: crate::fs::FsError) -> Self {
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
        // An expired link is mended by asking the Hub for another one, which is what a retry does.
        let has_expired = matches!(failure.error, HubError::LinkExpired);
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
    let offset = span.offset(&partial);
    let answer = match source
        .hub
        .send_once(&request(source, span, offset), source.token)
        .await
    {
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
    let usable = match check_answer(status, headers, offset, source.size) {
        Ok(Start::Continue) => Ok(()),
        Ok(Start::FromZero) if span.start == 0 => restart(source, &mut partial),
        Ok(Start::FromZero) => Err(Trouble::Attempt(Failure::fatal(HubError::RangeIgnored))),
        Err(reason) => Err(Trouble::Attempt(transient(HubError::BadAnswer(reason)))),
    };
    if let Err(trouble) = usable {
        return (Some(partial), Err(trouble));
    }
    let body = source.hub.body(answer.response);
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
        .header("accept-encoding", "identity")
        .header("x-hf-download-counter", "1");
    let end = span.end.load(Ordering::Relaxed);
    let is_to_the_end = source.size.is_none_or(|size| end >= size);
    match (offset, is_to_the_end) {
        (0, true) => request,
        (_, true) => request.header("range", &format!("bytes={offset}-")),
        (_, false) => request.header("range", &format!("bytes={offset}-{}", end - 1)),
    }
}

fn restart(source: &Source<'_>, partial: &mut Partial) -> Result<(), Trouble> {
    source.progress.rewind(partial.len());
    Ok(partial.restart()?)
}

/// Where the bytes of an answer belong.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// At the offset that was asked for.
    Continue,
    /// At the start: the server ignored the range.
    FromZero,
}

/// Decides whether an answer can be used. The error is a reason in words.
fn check_answer(
    status: StatusCode,
    headers: &HeaderMap,
    offset: u64,
    size: Option<u64>,
) -> Result<Start, String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = text("content-encoding").filter(|encoding| *encoding != "identity") {
        return Err(format!(
            "it sent a body in the encoding {encoding:?} that was not asked for"
        ));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return match text("content-range").and_then(parse_content_range) {
            Some((first, total))
                if first == offset && (total.is_none() || size.is_none() || total == size) =>
            {
                Ok(Start::Continue)
            }
            _ => Err("it sent another range than the one asked for".to_owned()),
        };
    }
    let announced = text("content-length").and_then(|length| length.parse::<u64>().ok());
    match (announced, size) {
        (Some(announced), Some(size)) if announced != size => Err(format!(
            "it announced {announced} bytes for a file of {size}"
        )),
        _ if offset > 0 => Ok(Start::FromZero),
        _ => Ok(Start::Continue),
    }
}

/// First byte and total size of `bytes 5-9/10` (RFC 9110, 14.4); the total may be `*`.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" {
        None
    } else {
        Some(total.parse().ok()?)
    };
    Some((first.trim().parse().ok()?, total))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(
        status: u16,
        headers: &[(&'static str, &'static str)],
        offset: u64,
    ) -> Result<Start, String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        check_answer(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            offset,
            Some(10),
        )
    }

    #[test]
    fn answers() {
        for (status, headers, offset, expected) in [
            (
                200,
                &[("content-length", "10")][..],
                0,
                Some(Start::Continue),
            ),
            (200, &[], 0, Some(Start::Continue)),
            (200, &[("content-length", "11")], 0, None),
            (200, &[("content-length", "10")], 4, Some(Start::FromZero)),
            (
                206,
                &[("content-range", "bytes 4-9/10"), ("content-length", "6")],
                4,
                Some(Start::Continue),
            ),
            (
                206,
                &[("content-range", "bytes 4-6/10"), ("content-length", "3")],
                4,
                Some(Start::Continue),
            ),
            (
                206,
                &[("content-range", "bytes 4-9/*")],
                4,
                Some(Start::Continue),
            ),
            (206, &[("content-range", "bytes 0-9/10")], 4, None),
            (206, &[("content-range", "bytes 4-9/11")], 4, None),
            (206, &[], 4, None),
            (200, &[("content-encoding", "gzip")], 0, None),
            (
                200,
                &[("content-encoding", "identity")],
                0,
                Some(Start::Continue),
            ),
        ] {
            assert_eq!(
                checked(status, headers, offset).ok(),
                expected,
                "{status} {headers:?} {offset}"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1024))]

        /// Whatever a server writes there, its bytes are used only where they were asked for.
        #[test]
        fn any_content_range(
            text in proptest::prop_oneof![
                "[ -~]{0,40}",
                "bytes ?\\*?[0-9]{0,22} ?-[0-9]{0,22} ?/ ?(\\*|[0-9]{0,22})",
            ],
            offset in 0_u64..20,
        ) {
            if let Some((first, total)) = parse_content_range(&text) {
                proptest::prop_assert!(text.contains(&first.to_string()));
                proptest::prop_assert!(total.is_none_or(|total| text.contains(&total.to_string())));
            }
            let Ok(value) = text.parse() else { return Ok(()) };
            let headers = HeaderMap::from_iter([(reqwest::header::CONTENT_RANGE, value)]);
            let answer = check_answer(StatusCode::PARTIAL_CONTENT, &headers, offset, Some(20));
            proptest::prop_assert_eq!(
                answer.is_ok(),
                parse_content_range(&text).is_some_and(|(first, total)| {
                    first == offset && total.is_none_or(|total| total == 20)
                })
            );
        }
    }
}
