//! One file over HTTP: ranges, resume, retries, hash.

use std::path::Path;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::DownloadError;
use super::partial::Partial;
use crate::hub::http::{Failure, Request};
use crate::hub::retry::MAX_RETRIES;
use crate::hub::{Hub, HubError};
use crate::listing::Checksum;
use crate::progress::Progress;
use crate::repo::RepoPath;
use crate::token::Token;

/// Files up to this size, in bytes, are written by the task that receives them; a larger one gets a
/// thread of its own for hashing and writing, so that the network never waits for the disk.
const INLINE_LIMIT: u64 = 1 << 20;

/// Chunks that may wait between network and disk. A chunk is at most a few hundred KiB, so this
/// bounds the memory of a download.
const QUEUE: usize = 16;

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
}

/// Why one attempt ended before the content was complete.
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

/// Fills the partial at `partial` until it holds the whole, verified content; the caller then
/// renames it. Goes on where an earlier attempt stopped. Bytes with a wrong hash are fetched once
/// more from the start.
///
/// # Errors
/// [`DownloadError`]; good bytes stay in the partial, bad ones do not.
pub async fn fetch(
    source: &Source<'_>,
    partial: &Path,
    progress: &dyn Progress,
) -> Result<(), DownloadError> {
    let mut partial = open(partial, source.checksum, source.size).await?;
    for is_last in [false, true] {
        partial = complete(source, partial, progress).await?;
        if partial.verify() {
            return Ok(());
        }
        if !is_last {
            progress.rewind(partial.len());
            partial.restart()?;
        }
    }
    partial.discard();
    Err(DownloadError::Corrupt {
        path: source.path.clone(),
        expected: source.checksum.to_string(),
    })
}

async fn open(
    path: &Path,
    checksum: &Checksum,
    size: Option<u64>,
) -> Result<Partial, DownloadError> {
    let is_large = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > INLINE_LIMIT);
    if !is_large {
        return Ok(Partial::open(path, checksum, size)?);
    }
    // Hashing gigabytes of an earlier attempt must not hold up the other files.
    let (path, checksum) = (path.to_path_buf(), checksum.clone());
    let opened = tokio::task::spawn_blocking(move || Partial::open(&path, &checksum, size)).await?;
    Ok(opened?)
}

/// Attempts until all bytes are there. An attempt that brought any resets the count of failures.
async fn complete(
    source: &Source<'_>,
    mut partial: Partial,
    progress: &dyn Progress,
) -> Result<Partial, DownloadError> {
    let mut retries = 0;
    loop {
        if partial.missing() == Some(0) {
            return Ok(partial);
        }
        let before = partial.len();
        let (after, result) = attempt(source, partial, progress).await;
        partial = after.ok_or_else(|| DownloadError::Task("the writer is gone".to_owned()))?;
        let failure = match result {
            Ok(()) => return Ok(partial),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::Attempt(failure)) => failure,
        };
        if partial.len() > before {
            retries = 0;
        }
        // An expired link is mended by asking the Hub for another one, which is what a retry does.
        let is_transient = failure.transient || matches!(failure.error, HubError::LinkExpired);
        if !is_transient || retries >= MAX_RETRIES {
            return Err(DownloadError::Hub {
                source: failure.error,
                path: Some(source.path.clone()),
            });
        }
        if !(matches!(failure.error, HubError::LinkExpired) && retries == 0) {
            source.hub.wait_before_retry(retries, &failure).await?;
        }
        retries += 1;
    }
}

/// One request from the current offset on. The partial is lent to the writer and comes back, except
/// when that panicked.
async fn attempt(
    source: &Source<'_>,
    mut partial: Partial,
    progress: &dyn Progress,
) -> (Option<Partial>, Result<(), Trouble>) {
    let from = partial.len();
    let mut request = Request::new(Method::GET, source.url.clone())
        // A compressed transfer could not be resumed, nor checked against the announced size.
        .header("accept-encoding", "identity")
        .header("x-hf-download-counter", "1");
    if from > 0 {
        request = request.header("range", &format!("bytes={from}-"));
    }
    let answer = match source.hub.send_once(&request, source.token).await {
        Ok(answer) => answer,
        Err(failure) => {
            // The offset is behind the end: these bytes are not of this file.
            if from > 0 && is_status(&failure.error, StatusCode::RANGE_NOT_SATISFIABLE) {
                progress.rewind(from);
                let restarted = partial.restart().map_err(Trouble::from);
                return (
                    Some(partial),
                    restarted.and(Err(Trouble::Attempt(transient(failure.error)))),
                );
            }
            return (Some(partial), Err(Trouble::Attempt(failure)));
        }
    };
    match check_answer(
        answer.response.status(),
        answer.response.headers(),
        from,
        source.size,
    ) {
        Ok(Start::Continue) => {}
        Ok(Start::FromZero) => {
            progress.rewind(from);
            if let Err(error) = partial.restart() {
                return (Some(partial), Err(error.into()));
            }
        }
        Err(reason) => {
            let failure = transient(HubError::BadAnswer(reason));
            return (Some(partial), Err(Trouble::Attempt(failure)));
        }
    }
    if source.size.is_some_and(|size| size <= INLINE_LIMIT) {
        let result = receive_inline(source, answer.response, &mut partial, progress).await;
        return (Some(partial), result);
    }
    receive_with_writer(source, answer.response, partial, progress).await
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
    from: u64,
    size: Option<u64>,
) -> Result<Start, String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = text("content-encoding").filter(|encoding| *encoding != "identity") {
        return Err(format!(
            "it sent a body in the encoding {encoding:?} that was not asked for"
        ));
    }
    let start = match status {
        StatusCode::PARTIAL_CONTENT => {
            let range = text("content-range").and_then(parse_content_range);
            match range {
                Some((first, total))
                    if first == from && (total.is_none() || size.is_none() || total == size) =>
                {
                    Start::Continue
                }
                _ => return Err("it sent another range than the one asked for".to_owned()),
            }
        }
        _ if from > 0 => Start::FromZero,
        _ => Start::Continue,
    };
    let first = if start == Start::Continue { from } else { 0 };
    let announced = text("content-length").and_then(|length| length.parse::<u64>().ok());
    match (announced, size) {
        (Some(announced), Some(size)) if first + announced != size => Err(format!(
            "it announced {} bytes for a file of {size}",
            first + announced
        )),
        _ => Ok(start),
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
    mut response: Response,
    partial: &mut Partial,
    progress: &dyn Progress,
) -> Result<(), Trouble> {
    while let Some(chunk) = next_chunk(source, &mut response).await? {
        partial.append(&chunk)?;
        progress.advance(chunk.len() as u64);
        check_surplus(partial)?;
    }
    check_complete(partial)
}

async fn receive_with_writer(
    source: &Source<'_>,
    mut response: Response,
    mut partial: Partial,
    progress: &dyn Progress,
) -> (Option<Partial>, Result<(), Trouble>) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = receiver.blocking_recv() {
            let written = partial.append(&chunk).map_err(Trouble::from);
            if let Err(trouble) = written.and_then(|()| check_surplus(&partial)) {
                return (partial, Err(trouble));
            }
        }
        (partial, Ok(()))
    });
    let received = loop {
        match next_chunk(source, &mut response).await {
            Ok(Some(chunk)) => {
                let length = chunk.len() as u64;
                // A closed channel means that the writer failed: its own error says why.
                if sender.send(chunk).await.is_err() {
                    break Ok(());
                }
                progress.advance(length);
            }
            Ok(None) => break Ok(()),
            Err(trouble) => break Err(trouble),
        }
    };
    drop(sender);
    match writer.await {
        Ok((partial, written)) => {
            let result = written
                .and(received)
                .and_then(|()| check_complete(&partial));
            (Some(partial), result)
        }
        Err(error) => (None, Err(Trouble::Fatal(error.into()))),
    }
}

async fn next_chunk(
    source: &Source<'_>,
    response: &mut Response,
) -> Result<Option<Bytes>, Trouble> {
    response
        .chunk()
        .await
        .map_err(|error| Trouble::Attempt(Failure::network(&source.url, &error)))
}

/// More bytes than the file has: not this file, and perhaps without end.
fn check_surplus(partial: &Partial) -> Result<(), Trouble> {
    if partial.is_overfull() {
        return Err(Trouble::Attempt(transient(HubError::BadAnswer(
            "it sent more bytes than the file has".to_owned(),
        ))));
    }
    Ok(())
}

/// The body ended: is everything there?
fn check_complete(partial: &Partial) -> Result<(), Trouble> {
    match partial.missing() {
        Some(0) | None => Ok(()),
        Some(_) => Err(Trouble::Attempt(transient(HubError::BadAnswer(
            "the file ended too early".to_owned(),
        )))),
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
        from: u64,
    ) -> Result<Start, String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        check_answer(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            from,
            Some(10),
        )
    }

    #[test]
    fn answers() {
        for (status, headers, from, expected) in [
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
                checked(status, headers, from).ok(),
                expected,
                "{status} {headers:?} {from}"
            );
        }
    }
}
