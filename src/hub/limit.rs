//! `--limit-rate`: one bucket that all connections of a client take their bytes from.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Idle time that a burst may use up afterwards.
const BURST: Duration = Duration::from_millis(100);

/// Longest and shortest piece, in bytes, that is let through at a time.
const PIECES: std::ops::RangeInclusive<u64> = 1000..=256_000;

/// A token bucket, kept as the time until which bytes are booked. Pure: the caller passes the time,
/// measured from any fixed moment.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    booked_until: Duration,
}

impl Bucket {
    /// A bucket that lets this many bytes pass in a second; at least one.
    pub fn new(bytes_per_second: u64) -> Self {
        Bucket {
            bytes_per_second: bytes_per_second.max(1),
            booked_until: Duration::ZERO,
        }
    }

    /// Books `bytes` at the time `now`; returns how long they have to wait.
    pub fn book(&mut self, now: Duration, bytes: u64) -> Duration {
        let start = self.booked_until.max(now.saturating_sub(BURST));
        #[expect(clippy::cast_precision_loss, reason = "a time needs no more")]
        let seconds = bytes as f64 / self.bytes_per_second as f64;
        self.booked_until = start + Duration::from_secs_f64(seconds);
        self.booked_until.saturating_sub(now)
    }

    /// Whether a connection waits at this time.
    pub fn is_full(&self, now: Duration) -> bool {
        self.booked_until > now
    }

    /// The most bytes to book at a time, so that the flow is even.
    pub fn piece(&self) -> usize {
        let piece = (self.bytes_per_second / 10).clamp(*PIECES.start(), *PIECES.end());
        usize::try_from(piece).unwrap_or(usize::MAX)
    }
}

/// A [`Bucket`] and a clock, shared by all connections.
#[derive(Debug)]
pub struct Limiter {
    bucket: Mutex<Bucket>,
    start: Instant,
}

impl Limiter {
    /// Limits to this many bytes a second in all.
    pub fn new(bytes_per_second: u64) -> Self {
        Limiter {
            bucket: Mutex::new(Bucket::new(bytes_per_second)),
            start: Instant::now(),
        }
    }

    /// The most bytes to let pass at a time.
    pub fn piece(&self) -> usize {
        self.bucket.lock().unwrap().piece()
    }

    /// Waits until these bytes may pass.
    pub async fn pass(&self, bytes: usize) {
        let wait = {
            let mut bucket = self.bucket.lock().unwrap();
            bucket.book(self.start.elapsed(), bytes as u64)
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether this limit slows connections down at the moment.
    pub fn is_holding_back(&self) -> bool {
        let bucket = self.bucket.lock().unwrap();
        bucket.is_full(self.start.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn waits() {
        let mut bucket = Bucket::new(1000);
        for (now_ms, bytes, wait_ms, what) in [
            (0, 500, 500, "nothing is free at the start"),
            (0, 500, 1000, "the next one waits behind it"),
            (1000, 100, 100, "in time"),
            (5000, 100, 0, "a pause gives a short burst"),
            (5000, 100, 100, "and no more than that"),
            (5050, 0, 50, "nothing takes nothing"),
        ] {
            let wait = bucket.book(Duration::from_millis(now_ms), bytes);
            assert_eq!(wait.as_millis(), wait_ms, "{what}");
        }
        assert!(bucket.is_full(Duration::from_millis(5050)));
        assert!(!bucket.is_full(Duration::from_millis(5100)));
    }

    #[test]
    fn pieces() {
        for (rate, piece) in [(1, 1000), (50_000, 5000), (20_000_000, 256_000)] {
            assert_eq!(Bucket::new(rate).piece(), piece);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_limit_for_all_connections() {
        let limiter = Arc::new(Limiter::new(1_000_000));
        let start = Instant::now();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let limiter = Arc::clone(&limiter);
                tokio::spawn(async move {
                    for _ in 0..10 {
                        limiter.pass(50_000).await;
                    }
                })
            })
            .collect();
        assert!(!limiter.is_holding_back());
        tokio::task::yield_now().await;
        assert!(limiter.is_holding_back());
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(start.elapsed().as_millis() / 10, 500, "5 MB at 1 MB/s");
    }
}
