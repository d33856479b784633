//! The body of an answer as it comes: at the pace of [`super::limit`], checked by [`super::stall`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use reqwest::Response;
use tokio::time::Instant;
use url::Url;

use super::error::HubError;
use super::failure::Failure;
use super::limit::Limiter;
use super::stall::{Pace, Stall, StallPolicy, StallTimer};
use crate::types::host;

/// Most bytes of an error page that are read.
const ERROR_PAGE: usize = 64 << 10;

/// A body being received.
pub struct Body {
    response: Response,
    url: Url,
    /// The proxy in between, as it may be shown.
    proxy: Option<String>,
    /// Whether requests share connections; set to false when this one fails.
    is_sharing: Option<Arc<AtomicBool>>,
    stall: Arc<StallPolicy>,
    limiter: Option<Arc<Limiter>>,
    timer: StallTimer,
    /// Received, and held back by the limiter.
    rest: Bytes,
}

impl Body {
    pub(super) fn new(
        response: Response,
        stall: Arc<StallPolicy>,
        limiter: Option<Arc<Limiter>>,
    ) -> Self {
        Body {
            url: response.url().clone(),
            proxy: None,
            is_sharing: None,
            timer: stall.timer(),
            response,
            stall,
            limiter,
            rest: Bytes::new(),
        }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, is silent or too slow. Another one may be better.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.rest.is_empty() {
            let received = self.receive().await;
            if let (Err(_), Some(is_sharing)) = (&received, &self.is_sharing) {
                is_sharing.store(false, Ordering::Relaxed);
            }
            match received? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        let Some(limiter) = &self.limiter else {
            return Ok(Some(std::mem::take(&mut self.rest)));
        };
        let piece = self.rest.split_to(self.rest.len().min(limiter.piece()));
        limiter.pass(piece.len()).await;
        Ok(Some(piece))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Failure> {
        let start = Instant::now();
        let Ok(received) = tokio::time::timeout(self.timer.left(), self.response.chunk()).await
        else {
            return Err(self.stalled());
        };
        let chunk = received
            .map_err(|error| Failure::network(&self.url, &error).through(self.proxy.as_deref()))?;
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.timer.arrived(start.elapsed(), length) == Pace::Good {
            self.stall.was_good();
        }
        Ok(chunk)
    }

    fn stalled(&self) -> Failure {
        let (bytes, within) = match self.timer.expired() {
            Stall::Silent => (0, self.stall.timeout()),
            Stall::Trickle(bytes) => {
                self.stall.was_slow(&self.timer);
                (bytes, self.timer.window())
            }
        };
        let failure = Failure {
            error: HubError::Stalled {
                host: host(&self.url),
                bytes,
                seconds: within.as_secs(),
            },
            transient: true,
            server_wait: None,
        };
        failure.through(self.proxy.as_deref())
    }

    /// The flag to clear when the body breaks off.
    #[must_use]
    pub(super) fn sharing(mut self, is_sharing: Arc<AtomicBool>) -> Self {
        self.is_sharing = Some(is_sharing);
        self
    }

    /// Names the proxy in the error when the body breaks off.
    #[must_use]
    pub(super) fn through(mut self, proxy: Option<String>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Keeps the connection even when it is very slow: the body cannot be resumed from the middle, and
    /// earlier connections were slow as well.
    #[must_use]
    pub fn with_lenient_timer(mut self) -> Self {
        self.timer = self.stall.lenient_timer();
        self
    }

    /// Where it comes from.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The start of an error page, or the part of it that arrives: an incomplete page does not change
    /// the error.
    pub async fn error_page(mut self) -> String {
        let mut page = Vec::new();
        let patience = self.stall.timeout();
        let _ = tokio::time::timeout(patience, async {
            while page.len() < ERROR_PAGE {
                match self.chunk().await {
                    Ok(Some(chunk)) => page.extend_from_slice(&chunk),
                    Ok(None) | Err(_) => break,
                }
            }
        })
        .await;
        String::from_utf8_lossy(&page).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    /// A body of `count` bytes that come one by one, `pause` apart, forever apart when it is `None`.
    fn trickle(count: usize, pause: Option<Duration>, patience: &Arc<StallPolicy>) -> Body {
        let bytes = futures_util::stream::unfold(0, move |sent| async move {
            if sent == count {
                return None;
            }
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), sent + 1))
        });
        let response = hyper::http::Response::new(reqwest::Body::wrap_stream(bytes));
        Body::new(response.into(), Arc::clone(patience), None)
    }

    async fn received(mut body: Body) -> Result<usize, HubError> {
        let mut length = 0;
        while let Some(chunk) = body.chunk().await.map_err(|failure| failure.error)? {
            length += chunk.len();
        }
        Ok(length)
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_page_is_read_as_far_as_it_comes() {
        let patience = Arc::new(StallPolicy::new(Duration::from_secs(10)));
        let whole = trickle(100, Some(Duration::from_millis(1)), &patience);
        assert_eq!(whole.error_page().await, "x".repeat(100));
        assert_eq!(trickle(1, None, &patience).error_page().await, "");
        let long = trickle(2 * ERROR_PAGE, Some(Duration::ZERO), &patience);
        assert_eq!(long.error_page().await.len(), ERROR_PAGE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_always_trickles_arrives_once_it_is_waited_for() {
        let patience = Arc::new(StallPolicy::new(Duration::from_secs(10)));
        // A thousand bytes at twenty a second: below every pace that other connections have to keep.
        let slow = || trickle(1000, Some(Duration::from_millis(50)), &patience);
        for attempt in 0..2 {
            let dropped = received(slow()).await;
            assert!(
                matches!(dropped, Err(HubError::Stalled { .. })),
                "{attempt}: {dropped:?}"
            );
        }
        assert_eq!(received(slow().with_lenient_timer()).await.unwrap(), 1000);
        let silent = received(trickle(1, None, &patience).with_lenient_timer()).await;
        assert!(
            matches!(silent, Err(HubError::Stalled { bytes: 0, .. })),
            "patience with slowness is none with silence: {silent:?}"
        );
    }
}
