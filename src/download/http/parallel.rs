//! One file over as many connections as make it come faster.
//!
//! The first connection asks for all that is missing. When [`super::steer`] wants more of them, it keeps
//! what comes next and the others get the rest, from the front of the file on and in pieces, so that the
//! hash can follow. Each writes to its place in the partial; a process that is killed at any moment leaves
//! what [`crate::download::partial`] describes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request::{Ended, complete};
use super::source::Source;
use super::span::Span;
use super::steer::{Steer, TICK};
use crate::download::DownloadError;
use crate::download::partial::{Partial, RangeSet};

/// Most connections of all files together. Sixteen at 20 MB/s fill a 2.5 Gbit/s line.
pub const CONNECTIONS: usize = 16;

/// Permits for connections, shared by all files of a download.
pub type Connections = Arc<Semaphore>;

/// Smallest file, in bytes, that is brought by several connections: a smaller one is complete before
/// the second one delivers.
const SPLIT: u64 = 32 << 20;

/// Fewest bytes worth taking over from a connection that is not done.
const WORTH: u64 = 2 << 20;

/// Brings all bytes that the partial lacks. They are not proven yet.
///
/// # Errors
/// [`DownloadError`]; what came stays in the partial.
pub async fn fill(
    source: &Source<'_>,
    partial: &Arc<Partial>,
    connections: &Connections,
) -> Result<(), DownloadError> {
    let is_split = source.size.is_some_and(|size| size >= SPLIT);
    let filled = match is_split {
        true => Fill::new(source, partial, connections).run().await,
        false => in_order(source, partial).await,
    };
    match filled {
        // Proof would wait for them.
        Ok(()) if source.size.is_some() && !partial.missing().is_empty() => Err(
            DownloadError::Task("the connections ended before all bytes were there".to_owned()),
        ),
        Ok(()) => Ok(()),
        Err(Ended::Failed(error) | Ended::Refused(error)) => Err(error),
        Err(Ended::NeedsWhole) => {
            source.progress.count_to(0);
            partial.restart()?;
            let all = Span::new(0..source.size.unwrap_or(u64::MAX), true);
            complete(source, &all, partial)
                .await
                .map_err(Ended::into_error)
        }
    }
}

/// What is missing, one range after the other.
async fn in_order(source: &Source<'_>, partial: &Arc<Partial>) -> Result<(), Ended> {
    let is_whole = partial.present() == 0;
    for range in partial.missing().iter() {
        complete(source, &Span::new(range, is_whole), partial).await?;
    }
    Ok(())
}

/// A running connection: its number, and how it ended.
type Work<'a> = Pin<Box<dyn Future<Output = (u64, Result<(), Ended>)> + Send + 'a>>;

/// One file being filled by several connections.
struct Fill<'a> {
    source: &'a Source<'a>,
    partial: &'a Arc<Partial>,
    connections: &'a Connections,
    steer: Steer,
    /// What no connection brings yet.
    todo: RangeSet,
    /// Connections, by number, in the order in which they began.
    spans: BTreeMap<u64, Arc<Span>>,
    begun: u64,
}

impl<'a> Fill<'a> {
    fn new(
        source: &'a Source<'a>,
        partial: &'a Arc<Partial>,
        connections: &'a Connections,
    ) -> Self {
        Fill {
            source,
            partial,
            connections,
            steer: Steer::new(CONNECTIONS, Instant::now()),
            todo: partial.missing(),
            spans: BTreeMap::new(),
            begun: 0,
        }
    }

    async fn run(mut self) -> Result<(), Ended> {
        let mut work: FuturesUnordered<Work<'a>> = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            while let Some(begun) = self.begin() {
                work.push(begun);
            }
            if work.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some((number, ended)) = work.next() => self.ended(number, ended)?,
                _ = tick.tick() => self.look(),
            }
        }
    }

    /// The next connection, if there should be one more and there is anything for it to do.
    fn begin(&mut self) -> Option<Work<'a>> {
        let active = self.spans.len();
        if active >= self.steer.wanted() {
            return None;
        }
        // A file's first connection is never refused.
        let permit = match active {
            0 => None,
            _ => Some(Arc::clone(self.connections).try_acquire_owned().ok()?),
        };
        let range = self.claim()?;
        let is_whole = active == 0 && range == (0..self.source.size.unwrap_or(u64::MAX));
        let span = Arc::new(Span::new(range, is_whole));
        self.begun += 1;
        let number = self.begun;
        self.spans.insert(number, Arc::clone(&span));
        Some(self.bring(number, span, permit))
    }

    fn bring(
        &self,
        number: u64,
        span: Arc<Span>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Work<'a> {
        let (source, partial) = (self.source, self.partial);
        Box::pin(async move {
            let ended = complete(source, &span, partial).await;
            drop(permit);
            (number, ended)
        })
    }

    /// What a further connection is to bring: the first bytes that no other one does, or else the part of
    /// another one's that it would come to last.
    fn claim(&mut self) -> Option<std::ops::Range<u64>> {
        if self.spans.is_empty() && self.steer.wanted() == 1 {
            return self.todo.take_first(u64::MAX);
        }
        let unit = self.steer.unit(self.spans.len() + 1);
        if self.todo.is_empty() {
            let length = |span: &Span| {
                let rest = span.rest();
                rest.end - rest.start
            };
            let longest = self.spans.values().max_by_key(|span| length(span))?;
            let length = length(longest);
            if length < 2 * WORTH {
                return None;
            }
            let keep = if length > 2 * unit { unit } else { length / 2 };
            self.todo.insert(longest.cut(keep));
        }
        self.todo.take_first(unit)
    }

    fn ended(&mut self, number: u64, ended: Result<(), Ended>) -> Result<(), Ended> {
        let span = self.spans.remove(&number);
        let refusal = match ended {
            Ok(()) => return Ok(()),
            Err(refusal @ (Ended::Refused(_) | Ended::NeedsWhole)) if self.active() > 0 => refusal,
            Err(ended) => return Err(ended),
        };
        // No ranges, or no further connection for us (servers limit them): the others bring it all, and
        // report the error if there is one.
        self.source.hub.trace(|| {
            format!(
                "{}: one connection less: {refusal}",
                self.source.path.as_str()
            )
        });
        self.steer.refused(self.active());
        if let Some(span) = span {
            self.todo.insert(span.rest());
        }
        // A connection that ends where this range begins goes on with it: it asked for these bytes once.
        for span in self.spans.values() {
            let behind = span.rest().end;
            let next = self.todo.iter().find(|range| range.start == behind);
            if let Some(next) = next
                && span.extend(&next)
            {
                self.todo.remove(next);
            }
        }
        Ok(())
    }

    fn active(&self) -> usize {
        self.spans.len()
    }

    fn look(&mut self) {
        // Under the user's rate limit more connections bring nothing, and a server that compresses sends
        // nothing but whole files.
        if self.source.hub.is_held_back() || self.source.compresses() {
            return;
        }
        let received = self.source.progress.received();
        self.steer.look(Instant::now(), received, self.active());
        while self.spans.len() > self.steer.wanted() {
            // The last one: the others are nearer to the front.
            let Some((_, span)) = self.spans.pop_last() else {
                return;
            };
            self.todo.insert(span.cut(0));
        }
    }
}
