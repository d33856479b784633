//! Flushing of a partial while it is written, so that little is left to flush at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Partial;
use super::journal::{Record, encode};
use crate::sys::sync_file;

/// Bytes after which a long download is flushed.
pub const FLUSH: u64 = 64 << 20;

/// When a partial is flushed next.
pub struct Flushing {
    /// Bytes noted since the last flush began.
    pub bytes: u64,
    /// When the last flush ended, and how long it took.
    since: Instant,
    took: Duration,
    is_running: bool,
}

impl Flushing {
    /// Nothing was flushed so far.
    pub fn new() -> Self {
        Flushing {
            bytes: 0,
            since: Instant::now(),
            took: Duration::ZERO,
            is_running: false,
        }
    }

    /// Whether enough was noted. A slow disk is left to the writers for half of the time.
    pub fn is_due(&self) -> bool {
        !self.is_running && self.bytes >= FLUSH && self.since.elapsed() >= self.took
    }

    /// A flush begins.
    pub fn begin(&mut self) {
        self.is_running = true;
        self.bytes = 0;
    }

    /// The flush that began then is over.
    fn end(&mut self, begun: Instant) {
        self.is_running = false;
        self.took = begun.elapsed();
        self.since = Instant::now();
    }
}

impl Partial {
    /// Flushes the partial and says so in the journal. Where that fails, nothing counts as flushed.
    pub(super) fn flush(self: Arc<Self>) {
        let begun = Instant::now();
        let named = self.state().journal.as_ref().map(|journal| journal.length);
        let is_flushed = sync_file(&self.file).is_ok();
        let mut state = self.state();
        if let (Some(length), true, false) = (named, is_flushed, state.is_gone) {
            let mut bytes = Vec::new();
            encode(&Record::Flushed(length), &mut bytes);
            let _ = self.append(&mut state, &bytes);
            let journal = state
                .journal
                .as_ref()
                .and_then(|it| it.file.try_clone().ok());
            drop(state);
            let _ = journal.map(|journal| sync_file(&journal));
            state = self.state();
        }
        state.flushing.end(begun);
    }
}
