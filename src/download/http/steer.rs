//! How many connections a file gets: as many as make it come faster, found out by trying. Pure.
//!
//! A line is filled by one connection, or by sixteen where each is held to a rate (most storage networks
//! do that), and no number tells which. So the number is doubled as long as that brings more bytes in the
//! same time. Connections that do not help are given back, and it is tried again later: a fast line never
//! collapses under its own concurrency.

use std::time::{Duration, Instant};

/// How often the rate is looked at.
pub const TICK: Duration = Duration::from_millis(100);

/// Shortest time over which a rate is measured.
const LOOK: Duration = Duration::from_millis(180);

/// More connections have to bring this much more, or they are given back.
const GAIN: f64 = 1.15;

/// Times between two attempts: the first, doubled after each that did not help, up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a connection is asked for at once, in bytes: at least, before its rate is known, and at most.
/// Long enough that asking costs little, short enough that the hash, which needs the bytes in order, does
/// not wait long for one of them.
const SHORTEST: u64 = 8 << 20;
const USUAL: u64 = 16 << 20;
const LONGEST: u64 = 64 << 20;

/// Decides about one file.
#[derive(Debug)]
pub struct Steer {
    most: usize,
    wanted: usize,
    /// When the rate was looked at last, and bytes received until then.
    seen: (Instant, u64),
    /// Bytes per second, at the last look.
    rate: f64,
    trial: Option<Trial>,
    next_trial: Instant,
    pause: Duration,
}

/// More connections are tried.
#[derive(Debug)]
struct Trial {
    /// Connections before, and what they brought in bytes per second.
    before: (usize, f64),
    /// The first look after the change sees connections that only begin.
    has_settled: bool,
}

impl Steer {
    /// Begins with one connection; never more than `most`.
    pub fn new(most: usize, now: Instant) -> Self {
        Steer {
            most: most.max(1),
            wanted: 1,
            seen: (now, 0),
            rate: 0.0,
            trial: None,
            next_trial: now,
            pause: FIRST_PAUSE,
        }
    }

    /// How many connections there should be.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// Bytes for the next request of one of `active` connections.
    pub fn unit(&self, active: usize) -> u64 {
        if self.rate <= 0.0 {
            return USUAL;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
        let each = self.rate / active.max(1) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and bounded on the next line"
        )]
        let two_seconds = (2.0 * each) as u64;
        two_seconds.clamp(SHORTEST, LONGEST)
    }

    /// The server refuses a further connection, or ranges: `active` are left.
    pub fn refused(&mut self, active: usize) {
        self.most = active.max(1);
        self.wanted = self.wanted.min(self.most);
        self.trial = None;
    }

    /// Looks at the bytes that `active` connections received in all.
    pub fn look(&mut self, now: Instant, received: u64, active: usize) {
        let elapsed = now.saturating_duration_since(self.seen.0);
        if elapsed < LOOK {
            return;
        }
        let bytes = received.saturating_sub(self.seen.1);
        self.seen = (now, received);
        if bytes == 0 {
            // The first answer is not there yet, or nothing comes at all: that is not about numbers.
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
        let rate = bytes as f64 / elapsed.as_secs_f64();
        self.rate = rate;
        match &mut self.trial {
            Some(trial) if !trial.has_settled => trial.has_settled = true,
            Some(trial) => {
                let (before, slower) = trial.before;
                if active > before && rate > slower * GAIN {
                    // Worth it, so the next step at once.
                    self.wanted = active;
                    self.pause = FIRST_PAUSE;
                    self.next_trial = now;
                } else {
                    self.wanted = before;
                    self.next_trial = now + self.pause;
                    self.pause = (2 * self.pause).min(LONGEST_PAUSE);
                }
                self.trial = None;
                self.begin_trial(now, active);
            }
            None => self.begin_trial(now, active),
        }
    }

    fn begin_trial(&mut self, now: Instant, active: usize) {
        if now < self.next_trial || active < self.wanted || self.wanted >= self.most {
            return;
        }
        self.trial = Some(Trial {
            before: (self.wanted, self.rate),
            has_settled: false,
        });
        self.wanted = (2 * self.wanted).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a file on a line that brings `rate(connections)` bytes in each look, and returns how many
    /// connections it has after each.
    fn run(most: usize, looks: usize, rate: impl Fn(usize) -> u64) -> Vec<usize> {
        let mut now = Instant::now();
        let mut steer = Steer::new(most, now);
        let mut received = 0;
        let mut active = Vec::new();
        for _ in 0..looks {
            now += LOOK;
            received += rate(steer.wanted());
            steer.look(now, received, steer.wanted());
            active.push(steer.wanted());
        }
        active
    }

    #[test]
    fn connections_that_are_held_to_a_rate_are_many_soon() {
        let active = run(16, 20, |connections| 1_000_000 * connections as u64);
        assert_eq!(active[..7], [2, 2, 4, 4, 8, 8, 16]);
        assert_eq!(active.last(), Some(&16), "and stay");
    }

    #[test]
    fn a_line_that_one_connection_fills_keeps_one() {
        let active = run(16, 60, |_| 1_000_000);
        assert_eq!(active[..3], [2, 2, 1], "tried, and given back");
        let more = active
            .iter()
            .filter(|&&connections| connections > 1)
            .count();
        assert!(more <= 6, "tried ever more rarely: {active:?}");
    }

    #[test]
    fn a_line_that_collapses_is_left_alone() {
        let active = run(16, 30, |connections| match connections {
            1..=4 => 1_000_000 * connections as u64,
            _ => 1_500_000,
        });
        assert!(active.contains(&8), "tried once");
        assert_eq!(active.last(), Some(&4));
    }

    #[test]
    fn a_refusal_is_final() {
        let now = Instant::now();
        let mut steer = Steer::new(16, now);
        steer.look(now + LOOK, 1000, 1);
        assert_eq!(steer.wanted(), 2);
        steer.refused(1);
        for look in 2..100 {
            steer.look(now + look * LOOK, 1000 * u64::from(look), 1);
            assert_eq!(steer.wanted(), 1);
        }
    }

    #[test]
    fn silence_says_nothing_and_a_missing_permit_ends_a_trial() {
        let now = Instant::now();
        let mut steer = Steer::new(16, now);
        steer.look(now + LOOK, 0, 1);
        assert_eq!((steer.wanted(), steer.unit(1)), (1, USUAL));
        steer.look(now + 2 * LOOK, 1 << 20, 1);
        steer.look(now + 3 * LOOK, 2 << 20, 1);
        steer.look(now + 4 * LOOK, 9 << 20, 1);
        assert_eq!(steer.wanted(), 1, "faster, but not by a second connection");
        assert_eq!(steer.unit(1), LONGEST);
        assert_eq!(steer.unit(1000), SHORTEST);
    }
}
