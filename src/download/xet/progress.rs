//! How far the progress of Xet transfers is shown.
//!
//! The library hands over a file in pieces of up to 64 MiB, several of which are on their way at the
//! same time: on a slow line minutes can pass before the first is whole. It counts what comes over
//! the wire for all files together, so that count is shown until the pieces themselves catch up.

use crate::types::progress::Progress;

/// Counts of all transfers that share a session, in bytes.
#[derive(Debug, Default)]
pub struct Account {
    expected: u64,
    written: u64,
    shown: u64,
}

impl Account {
    /// A transfer that is to bring this many bytes begins.
    pub fn begin(&mut self, bytes: u64) {
        self.expected += bytes;
    }

    /// A transfer handed over this many bytes.
    pub fn write(&mut self, bytes: u64) {
        self.written += bytes;
    }

    /// A transfer ended before it brought this many bytes.
    pub fn fall_short(&mut self, bytes: u64) {
        self.expected = self.expected.saturating_sub(bytes);
    }

    /// Moves what is shown to where it belongs, given the bytes that came over the wire so far. They
    /// are no measure of the content (it is compressed, and parts may be fetched twice), hence the
    /// bounds: never less than was handed over, nor more than was promised.
    pub fn settle(&mut self, on_the_wire: u64, progress: &dyn Progress) {
        let wanted = self.written.max(on_the_wire.min(self.expected));
        if wanted >= self.shown {
            progress.advance(wanted - self.shown);
        } else {
            progress.rewind(self.shown - wanted);
        }
        self.shown = wanted;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicU64);

    impl Progress for Counter {
        fn begin(&self, _files: u64, _bytes: u64, _done_bytes: u64) {}
        fn advance(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
        fn rewind(&self, bytes: u64) {
            self.0.fetch_sub(bytes, Ordering::Relaxed);
        }
        fn file_done(&self) {}
        fn finish(&self) {}
    }

    type Event = fn(&mut Account);

    #[test]
    fn what_is_shown() {
        let steps: [(Event, u64, u64, &str); 8] = [
            (|a| a.begin(100), 0, 0, "nothing yet"),
            (|_| {}, 30, 30, "the wire runs ahead"),
            (|a| a.write(64), 30, 64, "compressed: the content leads"),
            (|_| {}, 500, 100, "never more than promised"),
            (
                |a| a.fall_short(36),
                500,
                64,
                "broken off: back to what is there",
            ),
            (|a| a.begin(36), 500, 100, "taken up again"),
            (|a| a.begin(50), 120, 120, "a second file"),
            (|a| a.write(86), 120, 150, "all is there"),
        ];
        let (mut account, counter) = (Account::default(), Counter::default());
        for (event, on_the_wire, shown, what) in steps {
            event(&mut account);
            account.settle(on_the_wire, &counter);
            assert_eq!(counter.0.load(Ordering::Relaxed), shown, "{what}");
        }
    }
}
