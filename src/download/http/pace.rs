//! Whether connections are held to a rate, so that another one would bring more.

use std::time::Duration;

use tokio::time::Instant;

/// How often the rate is looked at.
pub const TICK: Duration = Duration::from_millis(150);

/// A connection faster than this, in bytes per second, is not being held back: another one would
/// only share what there is.
const FAST: u64 = 100_000_000;

/// Tells whether connections are being held back.
pub struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Begins at this number of bytes received.
    pub fn new(bytes: u64) -> Self {
        Pace {
            since: Instant::now(),
            bytes,
        }
    }

    /// Looks at the bytes received in all; true when they come slower than `active` unhindered
    /// connections would bring them.
    pub fn is_slow(&mut self, bytes: u64, active: u64) -> bool {
        let elapsed = self.since.elapsed();
        if elapsed < TICK / 2 {
            return false;
        }
        let received = bytes.saturating_sub(self.bytes);
        *self = Pace::new(bytes);
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
        let rate = received as f64 / elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        let fast = (FAST * active.max(1)) as f64;
        rate < fast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_what_falls_short_of_so_many_connections() {
        let after = |ticks: u32| Pace {
            since: Instant::now() - ticks * TICK,
            bytes: 1000,
        };
        // What two unhindered connections bring in four ticks.
        let bytes = 1000 + 2 * FAST * 4 * u64::try_from(TICK.as_millis()).unwrap() / 1000;
        for (active, slow) in [(0, false), (1, false), (3, true), (16, true)] {
            assert_eq!(after(4).is_slow(bytes, active), slow, "{active}");
        }
        assert!(!after(0).is_slow(1000, 16), "too early to tell");
        let mut pace = after(4);
        pace.is_slow(bytes, 1);
        assert_eq!(pace.bytes, bytes, "each look is at what is new");
    }
}
