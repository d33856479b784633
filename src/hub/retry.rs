//! When to try again, and how long to wait: backoff, and one rate-limit gate for all workers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

/// Retries of a request that brings no progress (docs/reference.md#retries).
pub const MAX_RETRIES: u32 = 5;
/// First wait; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The longest wait that a server may ask for.
pub const LONGEST_SERVER_WAIT: Duration = Duration::from_secs(3600);

/// Whether an idempotent request that got this status is worth repeating.
pub fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Wait before retry number `retry` (from 0), where the server names none. `jitter` in 0..1 spreads
/// clients that failed together over the upper half of the wait.
pub fn backoff(retry: u32, jitter: f64) -> Duration {
    let wait = FIRST_WAIT
        .saturating_mul(1 << retry.min(8))
        .min(LONGEST_WAIT);
    wait.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// The wait that the server asks for: `Retry-After` in seconds, else the `t` of `RateLimit`, each
/// plus one second because both are rounded down (docs/reference.md#rate-limits).
pub fn server_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = text("retry-after").and_then(|value| value.trim().parse::<u64>().ok());
    let seconds = retry_after.or_else(|| text("ratelimit").and_then(reset_seconds))?;
    Some(Duration::from_secs(seconds.saturating_add(1)))
}

/// The `t` parameter of `"api";r=0;t=55` when nothing remains (`r=0`).
fn reset_seconds(ratelimit: &str) -> Option<u64> {
    let parameter = |name: &str| {
        ratelimit.split(';').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            (key.trim() == name).then(|| value.trim().parse::<u64>().ok())?
        })
    };
    if parameter("r").is_some_and(|remaining| remaining > 0) {
        return None;
    }
    parameter("t")
}

/// One gate for all workers of a process: when the Hub tells one of them to slow down, all wait.
#[derive(Debug, Default)]
pub struct RateGate {
    opens_at: Mutex<Option<Instant>>,
}

impl RateGate {
    /// Closes the gate for this long, unless it is closed for longer already. Returns whether this
    /// call closed it: then the caller tells the user.
    pub fn close_for(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut opens_at = self.opens_at.lock().unwrap();
        let was_open = opens_at.is_none_or(|at| at <= Instant::now());
        if opens_at.is_none_or(|at| at < until) {
            *opens_at = Some(until);
        }
        was_open
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        loop {
            let opens_at = *self.opens_at.lock().unwrap();
            match opens_at {
                Some(at) if at > Instant::now() => tokio::time::sleep_until(at).await,
                _ => return,
            }
        }
    }
}

/// How long the first of several requests that fail together waits for the others before it tells the user.
pub const GATHER: Duration = Duration::from_millis(200);

/// Failures that are told together: one line for each cause, until the request that told of it tries again.
/// When a server disappears, every connection fails, each at its own pace.
#[derive(Debug, Default)]
pub struct Rounds(Mutex<HashMap<String, Round>>);

#[derive(Debug)]
struct Round {
    ends: Instant,
    requests: usize,
}

impl Rounds {
    /// Counts a failed request that waits for this long. Returns whether it is the first one with this cause, which
    /// names the server: then the caller tells the user.
    pub fn begin(&self, cause: &str, wait: Duration) -> bool {
        let now = Instant::now();
        let mut rounds = self.0.lock().unwrap();
        rounds.retain(|_, round| round.ends > now);
        if let Some(round) = rounds.get_mut(cause) {
            round.requests += 1;
            return false;
        }
        let round = Round {
            ends: now + wait,
            requests: 1,
        };
        rounds.insert(cause.to_owned(), round);
        true
    }

    /// How many requests have failed in the round of this cause so far.
    pub fn requests(&self, cause: &str) -> usize {
        let rounds = self.0.lock().unwrap();
        rounds.get(cause).map_or(1, |round| round.requests)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn waits_double_to_a_limit() {
        let waits: Vec<f64> = (0..6).map(|n| backoff(n, 1.0).as_secs_f64()).collect();
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]);
        assert_eq!(backoff(0, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn the_server_is_listened_to() {
        for (pairs, seconds) in [
            (&[("retry-after", "7")][..], Some(8)),
            (&[("ratelimit", "\"api\";r=0;t=55")], Some(56)),
            (&[("ratelimit", "\"api\";r=3;t=55")], None),
            (&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None),
            (&[], None),
            (
                &[("retry-after", "1"), ("ratelimit", "\"api\";r=0;t=55")],
                Some(2),
            ),
        ] {
            assert_eq!(
                server_wait(&headers(pairs)).map(|wait| wait.as_secs()),
                seconds,
                "{pairs:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_gate_for_all() {
        let gate = RateGate::default();
        let start = Instant::now();
        assert!(gate.close_for(Duration::from_secs(42)));
        assert!(!gate.close_for(Duration::from_secs(10)), "already closed");
        gate.pass().await;
        assert_eq!(start.elapsed().as_secs(), 42);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_at_the_gate_waits_for_what_is_said_meanwhile() {
        let gate = RateGate::default();
        let start = Instant::now();
        gate.close_for(Duration::from_secs(10));
        tokio::join!(gate.pass(), gate.pass(), async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            gate.close_for(Duration::from_secs(30));
            // A shorter wait opens nothing.
            gate.close_for(Duration::from_secs(1));
        });
        assert_eq!(start.elapsed().as_secs(), 34);
        assert!(gate.close_for(Duration::from_secs(1)), "open again");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_fail_together_are_one_round() {
        let rounds = Rounds::default();
        let seconds = Duration::from_secs;
        assert!(rounds.begin("a", seconds(2)));
        assert!(!rounds.begin("a", seconds(4)), "the same round");
        assert!(rounds.begin("b", seconds(1)), "another cause");
        tokio::time::sleep(seconds(1)).await;
        assert!(!rounds.begin("a", seconds(1)));
        assert_eq!((rounds.requests("a"), rounds.requests("b")), (3, 1));
        tokio::time::sleep(seconds(1)).await;
        assert!(rounds.begin("a", seconds(1)), "the first one tries again");
        assert_eq!(rounds.requests("a"), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Whatever a server writes into these headers, the wait is a whole number of seconds that
        /// it wrote, and one more.
        #[test]
        fn any_wait(
            after in proptest::option::of(prop_oneof!["[ -~]{0,30}", "[0-9]{1,30}", "-?[0-9]{1,3}(\\.[0-9])?"]),
            limit in proptest::option::of(prop_oneof!["[ -~]{0,60}", "\"api\" ?; ?r=[0-9]{1,2} ?; ?t=[0-9]{1,25}"]),
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in [("retry-after", &after), ("ratelimit", &limit)] {
                if let Some(value) = value.as_ref().and_then(|value| value.parse().ok()) {
                    map.insert(name, value);
                }
            }
            if let Some(wait) = server_wait(&map) {
                prop_assert!(wait.as_secs() >= 1 && wait.subsec_nanos() == 0);
                let written = (wait.as_secs() - 1).to_string();
                let texts = [after.unwrap_or_default(), limit.unwrap_or_default()].concat();
                prop_assert!(wait.as_secs() == u64::MAX || texts.contains(&written), "{} {}", texts, written);
            }
        }
    }
}
