//! How far the progress of a Xet transfer is shown.
//!
//! The tasks of a transfer count what they receive, each byte on the wire as the bytes of content that
//! it stands for. The transfer shows the sum now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::download::http::source::Counted;

/// Shows the progress of one content.
pub struct Meter<'a> {
    counter: Arc<AtomicI64>,
    progress: &'a Counted<'a>,
}

impl<'a> Meter<'a> {
    /// Begins with this many bytes that are there.
    pub fn new(present: u64, progress: &'a Counted<'a>) -> Self {
        let present = i64::try_from(present).unwrap_or(i64::MAX);
        Meter {
            counter: Arc::new(AtomicI64::new(present)),
            progress,
        }
    }

    /// Counts bytes of the content that arrived.
    pub fn counter(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.counter)
    }

    /// Shows what is counted.
    pub fn show(&self) {
        let counted = self.counter.load(Ordering::Relaxed);
        self.progress.count_to(counted.max(0).unsigned_abs());
    }
}
