//! Brings what is missing of one content from the storage.
//!
//! The missing parts are cut into windows. A plan is asked for each, its fetches are run, and what a
//! fetch did not bring is asked for again, as a window of its own: with new links, and in ranges as fine
//! as what is missing. So a range that breaks off in the middle loses one chunk, and links that have
//! expired cost one request. A part that fails several times without a byte ends the transfer.
//!
//! [`super::task`] runs each fetch.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::NoPlan;
use super::decode::Place;
use super::lines::{Broken, FAILURES, Lines};
use super::plan::{Fetch, Window, windows};
use super::progress::Meter;
use super::task::{End, Task};
use crate::download::DownloadError;
use crate::types::progress::Notice;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// Plans that are asked for at the same time.
const PLANS: usize = 4;

/// Windows are small enough that all connections have something to do, and no smaller than this, since each
/// costs a request; nor larger, so that a plan stays small.
const SHORTEST_WINDOW: u64 = 32 << 20;
const LONGEST_WINDOW: u64 = 256 << 20;

/// Shortest time between two notices about broken ranges.
const QUIET: Duration = Duration::from_secs(5);

/// Why a transfer ended early. What came is there and noted.
#[derive(Debug)]
pub enum Trouble {
    /// The disk, or another failure that HTTP does not avoid either.
    Fatal(DownloadError),
    /// The storage, for this reason.
    Storage(String),
}

/// What is to be brought.
pub struct Content<'a> {
    /// Its Xet hash.
    pub hash: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Its name for messages.
    pub name: &'a str,
}

/// A fetch, and how often its part of the content has failed.
struct Ready {
    fetch: Fetch,
    failures: u32,
}

/// Brings the missing parts of a content to their place. It returns when no thread writes any more.
///
/// # Errors
/// [`Trouble`].
pub async fn bring<P: Place + Clone + Send + 'static>(
    lines: &Arc<Lines>,
    content: &Content<'_>,
    missing: &[Range<u64>],
    place: &P,
    meter: &Meter<'_>,
) -> Result<(), Trouble> {
    let total: u64 = missing.iter().map(|part| part.end - part.start).sum();
    let share = total / (2 * lines.in_flight.max(1) as u64);
    let (alive, mut ended) = mpsc::channel(1);
    let mut transfer = Transfer {
        lines,
        content,
        place,
        queue: windows(missing, share.clamp(SHORTEST_WINDOW, LONGEST_WINDOW)),
        ready: VecDeque::new(),
        planning: JoinSet::new(),
        running: JoinSet::new(),
        told: None,
        alive,
    };
    let result = transfer.run(meter).await;
    transfer.planning.shutdown().await;
    transfer.running.shutdown().await;
    // Each decoder has a sender: the last one is gone when none runs.
    drop(transfer);
    let _: Option<()> = ended.recv().await;
    result
}

struct Transfer<'a, P> {
    lines: &'a Arc<Lines>,
    content: &'a Content<'a>,
    place: &'a P,
    /// To be planned.
    queue: VecDeque<Window>,
    /// To be fetched.
    ready: VecDeque<Ready>,
    planning: JoinSet<(Window, Result<Vec<Fetch>, NoPlan>)>,
    running: JoinSet<End>,
    /// When the last warning about a broken range was shown.
    told: Option<Instant>,
    alive: mpsc::Sender<()>,
}

impl<P: Place + Clone + Send + 'static> Transfer<'_, P> {
    async fn run(&mut self, meter: &Meter<'_>) -> Result<(), Trouble> {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            self.start(meter);
            if self.planning.is_empty() && self.running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some(planned) = self.planning.join_next() => {
                    let (window, fetches) = planned.map_err(fatal)?;
                    let fetches = fetches.map_err(|why| self.no_plan(&why))?;
                    let failures = window.failures;
                    let fetches = fetches.into_iter();
                    self.ready.extend(fetches.map(|fetch| Ready { fetch, failures }));
                }
                Some(end) = self.running.join_next() => self.ended(end.map_err(fatal)?)?,
                _ = ticks.tick() => meter.show(),
            }
        }
    }

    /// Starts plans and fetches, as many as may run.
    fn start(&mut self, meter: &Meter<'_>) {
        while self.running.len() < self.lines.in_flight
            && let Some(ready) = self.ready.pop_front()
        {
            let task = Task {
                lines: Arc::clone(self.lines),
                place: self.place.clone(),
                shown: meter.counter(),
                alive: self.alive.clone(),
                failures: ready.failures,
            };
            self.running.spawn(task.run(ready.fetch));
        }
        while self.ready.len() + self.planning.len() < self.lines.in_flight
            && self.planning.len() < PLANS
            && let Some(window) = self.queue.pop_front()
        {
            let (lines, hash) = (Arc::clone(self.lines), self.content.hash.to_owned());
            let size = self.content.size;
            self.planning.spawn(async move {
                let fetches = lines.storage.plan(&hash, &window, size).await;
                (window, fetches)
            });
        }
    }

    fn no_plan(&self, why: &NoPlan) -> Trouble {
        let line = || format!("Xet storage, {}: {why}", self.content.name);
        self.lines.storage.client().trace(line);
        Trouble::Storage(why.words())
    }

    /// Asks again for what a fetch did not bring.
    fn ended(&mut self, end: End) -> Result<(), Trouble> {
        let (reason, weight) = match end.broken {
            None => return Ok(()),
            Some(Broken::Fatal(error)) => return Err(Trouble::Fatal(error)),
            Some(Broken::Storage { reason, weight }) => (reason, weight),
        };
        let failures = match end.outcome.written {
            0 => end.failures.saturating_add(weight),
            _ => 0,
        };
        if failures > FAILURES {
            return Err(Trouble::Storage(reason.to_owned()));
        }
        let (client, name) = (self.lines.storage.client(), self.content.name);
        if self.told.is_none_or(|told| told.elapsed() > QUIET) {
            self.told = Some(Instant::now());
            client.tell(Notice::Waiting(format!(
                "Xet storage broke off {name} ({reason}); asking it for the rest"
            )));
        }
        let again = windows(&end.outcome.missing, LONGEST_WINDOW);
        for mut window in again.into_iter().rev() {
            window.failures = failures;
            self.queue.push_front(window);
        }
        Ok(())
    }
}

fn fatal(error: tokio::task::JoinError) -> Trouble {
    Trouble::Fatal(error.into())
}
