//! When a connection is too slow to keep.
//!
//! A silent server is easy to notice. One that sends a few bytes a second is not, and a download from
//! it can take days. So a connection has to bring [`FLOOR`] bytes for each second of the
//! stall timeout, or it is dropped and another one continues at the offset.
//!
//! A line may really be that slow, and then a new connection is no better. So the pace asked for
//! halves with each connection that was dropped for its pace, and is asked for in full again when
//! one keeps it: a slow but steady line costs a few reconnections, and no download fails for its
//! pace alone.
//!
//! Only time in which we wait for the network counts. Waiting for the disk or for `--limit-rate` is
//! not the network's fault.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Least bytes for each second of the stall timeout.
pub const FLOOR: u64 = 1000;

/// How often the pace asked for halves at most: down to 16 bytes a second.
const MOST_HALVINGS: u32 = 6;

/// The speed that connections of one client must have; learned from the line that they share.
#[derive(Debug)]
pub struct StallPolicy {
    timeout: Duration,
    halvings: AtomicU32,
}

impl StallPolicy {
    /// Replaces connections that bring too little for this long.
    pub fn new(timeout: Duration) -> Self {
        StallPolicy {
            timeout,
            halvings: AtomicU32::new(0),
        }
    }

    /// The stall timeout: also the longest silence.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A timer for a new connection.
    pub fn timer(&self) -> StallTimer {
        let halvings = self.halvings.load(Ordering::Relaxed);
        StallTimer::new(self.timeout, halvings)
    }

    /// A timer with the lowest demand, for a connection whose bytes would all be lost with it.
    pub fn lenient_timer(&self) -> StallTimer {
        StallTimer::new(self.timeout, MOST_HALVINGS)
    }

    /// A connection was dropped for its pace.
    pub fn was_slow(&self, watch: &StallTimer) {
        // Several that were dropped at the same time tell no more than one.
        let halvings = (watch.halvings + 1).min(MOST_HALVINGS);
        self.halvings.fetch_max(halvings, Ordering::Relaxed);
    }

    /// A connection kept the full pace.
    pub fn was_good(&self) {
        self.halvings.store(0, Ordering::Relaxed);
    }
}

/// What came of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It is too early to tell.
    Open,
    /// The full pace is kept.
    Good,
    /// The pace is kept that is asked for after others were slow too.
    Enough,
}

/// Why a connection is not worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// Nothing came for the whole timeout.
    Silent,
    /// This many bytes came.
    Trickle(u64),
}

/// Measures one connection. Pure: the caller passes the time.
#[derive(Debug)]
pub struct StallTimer {
    timeout: Duration,
    halvings: u32,
    /// Waited since the floor was reached last.
    waited: Duration,
    /// Received since then.
    bytes: u64,
}

impl StallTimer {
    fn new(timeout: Duration, halvings: u32) -> Self {
        StallTimer {
            timeout,
            halvings,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    fn floor(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a timeout is at most some days"
        )]
        let floor = (self.timeout.as_secs_f64() * FLOOR as f64) as u64;
        floor.max(1)
    }

    /// How long the floor may take to be reached.
    pub fn window(&self) -> Duration {
        self.timeout.saturating_mul(1 << self.halvings)
    }

    /// How long the next bytes may take.
    pub fn left(&self) -> Duration {
        let left = self.window().saturating_sub(self.waited);
        left.min(self.timeout)
    }

    /// `bytes` came after waiting for `waited`.
    pub fn arrived(&mut self, waited: Duration, bytes: u64) -> Pace {
        self.waited += waited;
        self.bytes += bytes;
        if self.bytes < self.floor() {
            return Pace::Open;
        }
        let is_good = self.waited <= self.timeout;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        if is_good { Pace::Good } else { Pace::Enough }
    }

    /// Nothing came within [`StallTimer::left`].
    pub fn expired(&self) -> Stall {
        // A whole timeout without a byte is silence, whatever came before.
        let was_silent = self.left() == self.timeout;
        if was_silent {
            Stall::Silent
        } else {
            Stall::Trickle(self.bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// Seconds until a connection that brings `bytes` every `every` milliseconds is dropped, within
    /// an hour.
    fn dropped_after(patience: &StallPolicy, every: u64, bytes: u64) -> Option<(u64, Stall)> {
        let mut watch = patience.timer();
        let every = Duration::from_millis(every);
        let mut clock = Duration::ZERO;
        while clock.as_secs() < 3600 {
            let left = watch.left();
            if left < every {
                let stall = watch.expired();
                if stall != Stall::Silent {
                    patience.was_slow(&watch);
                }
                return Some(((clock + left).as_secs(), stall));
            }
            clock += every;
            if watch.arrived(every, bytes) == Pace::Good {
                patience.was_good();
            }
        }
        None
    }

    #[test]
    fn the_first_connection() {
        for (every, bytes, expected) in [
            (100, 100, None),
            (1000, 1000, None),
            (9_999, 10_000, None),
            (1000, 3, Some((10, Stall::Trickle(30)))),
            (250, 1, Some((10, Stall::Trickle(40)))),
            (1000, 900, Some((10, Stall::Trickle(9000)))),
            (3_600_000, 1, Some((10, Stall::Silent))),
        ] {
            let seen = dropped_after(&StallPolicy::new(TIMEOUT), every, bytes);
            assert_eq!(seen, expected, "{bytes} bytes every {every} ms");
        }
    }

    #[test]
    fn a_slow_line_is_soon_left_in_peace() {
        let patience = StallPolicy::new(TIMEOUT);
        let drops = std::iter::from_fn(|| dropped_after(&patience, 1000, 200));
        let seconds: Vec<u64> = drops.map(|(seconds, _)| seconds).collect();
        assert_eq!(seconds, [10, 20, 40], "then 10 kB within 80 s are enough");
        assert_eq!(
            dropped_after(&patience, 60_000, 1),
            Some((10, Stall::Silent)),
            "silence and slowness are different errors"
        );
    }

    #[test]
    fn one_bad_connection_among_good_ones_gets_no_patience() {
        let patience = StallPolicy::new(TIMEOUT);
        for _ in 0..3 {
            assert_eq!(
                dropped_after(&patience, 1000, 1),
                Some((10, Stall::Trickle(10)))
            );
            assert_eq!(dropped_after(&patience, 100, 5000), None);
        }
    }

    #[test]
    fn many_at_once_count_as_one() {
        let patience = StallPolicy::new(TIMEOUT);
        let watches: Vec<StallTimer> = (0..16).map(|_| patience.timer()).collect();
        watches.iter().for_each(|watch| patience.was_slow(watch));
        assert_eq!(patience.timer().halvings, 1);
    }
}
