//! The browser login: a code on this screen, a confirmation in a browser on any machine (RFC 8628).
//! Also the conversion of what it granted.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::stored::Grant;
use crate::hub::oauth::{DeviceCode, Granted, OAuthError};
use crate::hub::{Hub, HubError};

/// What `slow_down` adds to the pause between two polls (RFC 8628, 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Shortest pause, whatever the server says: a zero would poll without end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// A browser login that failed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The user did not confirm in time.
    #[error("the code expired before the login was confirmed")]
    Expired,
    /// The user said no.
    #[error("the login was denied in the browser")]
    Denied,
    /// The server refused for another reason, or gave no code.
    #[error(transparent)]
    OAuth(OAuthError),
}

/// What happens while the user is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// The Hub does not answer at the moment; polling goes on.
    Trouble(String),
    /// It answers again.
    Recovered,
}

/// Waits until the user has confirmed, polling as often as the server allows. Network trouble and
/// server errors do not end the wait; the end of the code's life does.
///
/// # Errors
/// [`DeviceError`].
pub async fn wait(
    hub: &Hub,
    client_id: &str,
    code: &DeviceCode,
    tell: impl FnMut(Waiting),
) -> Result<Granted, DeviceError> {
    let ask = async || hub.device_token(client_id, &code.device_code).await;
    poll(ask, code.interval, code.lifetime, tell).await
}

async fn poll(
    ask: impl AsyncFn() -> Result<Granted, OAuthError>,
    mut pause: Duration,
    lifetime: Duration,
    mut tell: impl FnMut(Waiting),
) -> Result<Granted, DeviceError> {
    let start = Instant::now();
    let mut in_trouble = false;
    loop {
        // The user needs a moment anyway, and a first poll at once is answered with "slow down".
        let left = lifetime.saturating_sub(start.elapsed());
        sleep(pause.max(SHORTEST_PAUSE).min(left)).await;
        if start.elapsed() >= lifetime {
            return Err(DeviceError::Expired);
        }
        let trouble = match ask().await {
            Ok(granted) => return Ok(granted),
            Err(OAuthError::Refused { code, description }) => {
                match code.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => pause = pause.saturating_add(SLOW_DOWN),
                    "expired_token" => return Err(DeviceError::Expired),
                    "access_denied" => return Err(DeviceError::Denied),
                    _ => {
                        let refused = OAuthError::Refused { code, description };
                        return Err(DeviceError::OAuth(refused));
                    }
                }
                None
            }
            Err(OAuthError::Hub(error)) if is_passing(&error) => Some(error.to_string()),
            Err(error) => return Err(DeviceError::OAuth(error)),
        };
        match (trouble, in_trouble) {
            (Some(reason), false) => {
                in_trouble = true;
                tell(Waiting::Trouble(reason));
            }
            (None, true) => {
                in_trouble = false;
                tell(Waiting::Recovered);
            }
            _ => {}
        }
    }
}

/// Whether asking again may bring another answer.
fn is_passing(error: &HubError) -> bool {
    matches!(
        error,
        HubError::Unreachable { .. }
            | HubError::Stalled { .. }
            | HubError::Status { .. }
            | HubError::BadAnswer(_)
    )
}

/// What to keep of a granted token. `now` is in seconds since 1970.
pub fn grant(granted: Granted, now: i64) -> Grant {
    let lifetime = granted
        .lifetime
        .and_then(|lifetime| i64::try_from(lifetime.as_secs()).ok());
    Grant {
        token: granted.access_token,
        refresh_token: granted.refresh_token,
        expires_at: lifetime.map(|seconds| now.saturating_add(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::types::token::Token;

    /// Plays these answers one after the other; returns the outcome, the seconds at which each was
    /// asked for, and the events.
    async fn played(answers: &[&str]) -> (Result<Granted, DeviceError>, Vec<u64>, Vec<Waiting>) {
        played_with(answers, 5, 60).await
    }

    /// As [`played`], with another interval and lifetime, in seconds.
    async fn played_with(
        answers: &[&str],
        interval: u64,
        lifetime: u64,
    ) -> (Result<Granted, DeviceError>, Vec<u64>, Vec<Waiting>) {
        let start = Instant::now();
        let asked = RefCell::new(Vec::new());
        let mut told = Vec::new();
        let ask = async || {
            let turn = asked.borrow().len();
            asked.borrow_mut().push(start.elapsed().as_secs());
            match answers[turn.min(answers.len() - 1)] {
                "ok" => Ok(Granted {
                    access_token: Token::clean("hf_oauth_x").unwrap().unwrap(),
                    refresh_token: None,
                    lifetime: Some(Duration::from_secs(100)),
                }),
                "down" => Err(OAuthError::Hub(HubError::Unreachable {
                    host: "h".to_owned(),
                    reason: crate::hub::Reason::NoAnswer,
                })),
                code => Err(OAuthError::Refused {
                    code: code.to_owned(),
                    description: String::new(),
                }),
            }
        };
        let (interval, lifetime) = (Duration::from_secs(interval), Duration::from_secs(lifetime));
        let outcome = poll(ask, interval, lifetime, |event| told.push(event)).await;
        (outcome, asked.into_inner(), told)
    }

    #[tokio::test(start_paused = true)]
    async fn asks_as_often_as_it_may() {
        let (outcome, asked, told) = played(&[
            "authorization_pending",
            "slow_down",
            "authorization_pending",
            "ok",
        ])
        .await;
        assert_eq!(grant(outcome.unwrap(), 1000).expires_at, Some(1100));
        assert_eq!(asked, [5, 10, 20, 30]);
        assert!(told.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn survives_blips_and_tells_once() {
        let (outcome, asked, told) =
            played(&["down", "down", "authorization_pending", "down", "ok"]).await;
        assert!(outcome.is_ok());
        assert_eq!(asked.len(), 5);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[1], Waiting::Recovered);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_it_should() {
        let (outcome, asked, _) = played(&["authorization_pending"]).await;
        assert!(matches!(outcome, Err(DeviceError::Expired)));
        assert_eq!(asked.len(), 11);
        let (outcome, ..) = played(&["down"]).await;
        assert!(matches!(outcome, Err(DeviceError::Expired)));
        // However long the pauses are said to be, the end of the code's life is the end.
        let start = Instant::now();
        let (outcome, asked, _) = played_with(&["authorization_pending"], u64::MAX, 60).await;
        assert!(matches!(outcome, Err(DeviceError::Expired)));
        assert_eq!((asked.len(), start.elapsed().as_secs()), (0, 60));
        let (outcome, asked, _) = played_with(&["slow_down"], 0, 60).await;
        assert!(matches!(outcome, Err(DeviceError::Expired)));
        assert_eq!(asked, [0, 5, 15, 30, 50]);
        let (outcome, ..) = played(&["expired_token"]).await;
        assert!(matches!(outcome, Err(DeviceError::Expired)));
        let (outcome, ..) = played(&["access_denied"]).await;
        assert!(matches!(outcome, Err(DeviceError::Denied)));
        let (outcome, asked, _) = played(&["invalid_client"]).await;
        assert!(matches!(outcome, Err(DeviceError::OAuth(_))));
        assert_eq!(asked.len(), 1);
    }
}
