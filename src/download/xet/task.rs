//! One fetch: receives a signed range and decodes it.
//!
//! It runs as a task of its own, so that several threads receive, and decodes on a thread of its own, so
//! that several cores unpack, hash and write. Between the two a few pieces wait; those and the chunk
//! that is being unpacked are all the memory that a fetch takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::decode::{DecodeError, Decoder, Outcome, Place};
use super::lines::{Broken, Lines};
use super::plan::Fetch;
use crate::hub::Body;
use crate::hub::http::Failure;
use crate::sys::threads;

/// Ranges up to this length, in bytes, are decoded by the task that receives them.
const INLINE: u64 = 1 << 20;

/// Pieces that may wait between the network and the decoder. Each has up to 400 KiB.
const QUEUE: usize = 4;

/// Content, in bytes, after which chunks are noted: as much is lost when the process is killed.
const NOTE_EVERY: u64 = 256 << 10;

/// How a fetch ended.
pub struct End {
    /// What came of it.
    pub outcome: Outcome,
    /// Failures of its part of the content before it.
    pub failures: u32,
    /// Why it is not complete.
    pub broken: Option<Broken>,
}

/// What a fetch needs.
pub struct Task<P> {
    /// The storage.
    pub lines: Arc<Lines>,
    /// Where chunks go.
    pub place: P,
    /// The content's bytes that are shown as arrived.
    pub shown: Arc<AtomicI64>,
    /// Dropped when nothing is written any more.
    pub alive: mpsc::Sender<()>,
    /// Failures of this part of the content so far.
    pub failures: u32,
}

/// What cut a range short.
enum Cut {
    Network(Failure),
    Decoder(DecodeError),
    Gone,
}

impl<P: Place + Send + 'static> Task<P> {
    /// Runs it. After a failure that may pass it waits, as long as the server says.
    pub async fn run(self, fetch: Fetch) -> End {
        let (lines, failures) = (Arc::clone(&self.lines), self.failures);
        let (outcome, cut) = self.fetch(fetch).await;
        let broken = match cut {
            None => None,
            Some(Cut::Decoder(DecodeError::Disk(error))) => Some(Broken::Fatal(error.into())),
            Some(Cut::Gone) => Some(Broken::Fatal(threads::Gone.into())),
            Some(Cut::Decoder(DecodeError::Malformed(detail))) => {
                lines
                    .storage
                    .client()
                    .trace(|| format!("Xet storage: {detail}"));
                Some(Broken::Storage {
                    reason: "it sent damaged data",
                    weight: 1,
                })
            }
            Some(Cut::Network(failure)) => {
                Some(lines.wait(failures, outcome.written, failure).await)
            }
        };
        End {
            outcome,
            failures,
            broken,
        }
    }

    async fn fetch(self, fetch: Fetch) -> (Outcome, Option<Cut>) {
        let Ok(_permit) = Arc::clone(&self.lines.permits).acquire_owned().await else {
            // Not reached: nothing closes the semaphore.
            return (nothing(&fetch), Some(Cut::Gone));
        };
        let body = match self.lines.storage.open(&fetch).await {
            Ok(body) => body,
            Err(failure) => return (nothing(&fetch), Some(Cut::Network(failure))),
        };
        let mut shown = Shown {
            counter: Arc::clone(&self.shown),
            content: fetch.content(),
            length: fetch.bytes.end - fetch.bytes.start,
            received: 0,
            shown: 0,
        };
        let unfinished = nothing(&fetch);
        let length = shown.length;
        let decoder = Decoder::new(fetch, self.place, NOTE_EVERY);
        let mut feed = Feed::new(decoder, length, self.alive);
        let received = receive(body, &mut feed, &mut shown).await;
        let answer = feed.finish(received.is_ok()).await;
        let (outcome, decoded) = answer.unwrap_or((unfinished, Ok(())));
        shown.settle(outcome.written);
        let cut = match (received, decoded) {
            (_, Err(error)) => Some(Cut::Decoder(error)),
            (Err(cut), Ok(())) => Some(cut),
            (Ok(()), Ok(())) if !outcome.missing.is_empty() => Some(Cut::Gone),
            (Ok(()), Ok(())) => None,
        };
        (outcome, cut)
    }
}

/// A range of which nothing came.
fn nothing(fetch: &Fetch) -> Outcome {
    let wanted = &fetch.wanted;
    let uses = fetch.uses.iter();
    let parts = uses.map(|part| part.offset.max(wanted.start)..part.end().min(wanted.end));
    Outcome {
        written: 0,
        missing: parts.filter(|part| !part.is_empty()).collect(),
    }
}

async fn receive<P: Place + Send + 'static>(
    mut body: Body,
    feed: &mut Feed<P>,
    shown: &mut Shown,
) -> Result<(), Cut> {
    while let Some(bytes) = body.chunk().await.map_err(Cut::Network)? {
        shown.received(bytes.len() as u64);
        if !feed.push(bytes).await {
            // Its own error says why.
            break;
        }
    }
    Ok(())
}

type Answer = (Outcome, Result<(), DecodeError>);

/// The way of the received bytes to their decoder.
enum Feed<P> {
    /// Decoded here: a short range, or the system gives no thread.
    Here {
        decoder: Box<Decoder<P>>,
        failed: Option<DecodeError>,
    },
    Thread {
        /// `None` is the end of the range.
        sender: mpsc::Sender<Option<Bytes>>,
        answer: oneshot::Receiver<Answer>,
    },
}

impl<P: Place + Send + 'static> Feed<P> {
    fn new(decoder: Decoder<P>, length: u64, alive: mpsc::Sender<()>) -> Self {
        let here = |decoder| Feed::Here {
            decoder: Box::new(decoder),
            failed: None,
        };
        if length <= INLINE {
            return here(decoder);
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        match threads::start((decoder, receiver, alive), decode) {
            Ok(answer) => Feed::Thread { sender, answer },
            Err((decoder, _, _)) => here(decoder),
        }
    }

    /// Whether it takes more.
    async fn push(&mut self, bytes: Bytes) -> bool {
        match self {
            Feed::Here { decoder, failed } => {
                *failed = decoder.push(bytes).err();
                failed.is_none()
            }
            Feed::Thread { sender, .. } => sender.send(Some(bytes)).await.is_ok(),
        }
    }

    /// What came of it; `None` when the decoder panicked.
    async fn finish(self, is_whole: bool) -> Option<Answer> {
        match self {
            Feed::Here { decoder, failed } => Some(finish(*decoder, failed, is_whole)),
            Feed::Thread { sender, answer } => {
                if is_whole {
                    // It may have failed and gone.
                    let _ = sender.send(None).await;
                }
                drop(sender);
                answer.await.ok()
            }
        }
    }
}

fn finish<P: Place>(decoder: Decoder<P>, failed: Option<DecodeError>, is_whole: bool) -> Answer {
    let (outcome, result) = decoder.finish(is_whole && failed.is_none());
    (outcome, failed.map_or(result, Err))
}

/// The decoder's side of a [`Feed`].
fn decode<P: Place>(
    (mut decoder, mut receiver, alive): (
        Decoder<P>,
        mpsc::Receiver<Option<Bytes>>,
        mpsc::Sender<()>,
    ),
) -> Answer {
    let (mut is_whole, mut failed) = (false, None);
    while let Some(piece) = receiver.blocking_recv() {
        let Some(bytes) = piece else {
            is_whole = true;
            break;
        };
        if let Err(error) = decoder.push(bytes) {
            failed = Some(error);
            break;
        }
    }
    let answer = finish(decoder, failed, is_whole);
    drop(alive);
    answer
}

/// Counts the bytes on the wire as bytes of the content: each as many as the range unpacks to.
struct Shown {
    counter: Arc<AtomicI64>,
    /// Bytes of content that the range brings.
    content: u64,
    /// Bytes on the wire.
    length: u64,
    received: u64,
    shown: u64,
}

impl Shown {
    fn received(&mut self, bytes: u64) {
        self.received = (self.received + bytes).min(self.length);
        let share = u128::from(self.content) * u128::from(self.received);
        let share = share / u128::from(self.length.max(1));
        self.settle(u64::try_from(share).unwrap_or(u64::MAX));
    }

    /// So much of it is there, or on its way.
    fn settle(&mut self, bytes: u64) {
        let more = i64::try_from(bytes).unwrap_or(i64::MAX)
            - i64::try_from(self.shown).unwrap_or(i64::MAX);
        self.counter.fetch_add(more, Ordering::Relaxed);
        self.shown = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_is_shown_in_bytes_of_content() {
        let counter = Arc::new(AtomicI64::new(5));
        let mut shown = Shown {
            counter: Arc::clone(&counter),
            content: 1000,
            length: 300,
            received: 0,
            shown: 0,
        };
        for (bytes, expected) in [(0, 5), (30, 105), (3, 115), (267, 1005), (9, 1005)] {
            shown.received(bytes);
            assert_eq!(counter.load(Ordering::Relaxed), expected, "{bytes}");
        }
        shown.settle(700);
        assert_eq!(counter.load(Ordering::Relaxed), 705);
    }
}
