//! The body of an answer as it comes: at the pace of [`super::limit`], watched by [`super::stall`].

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::Instant;
use url::Url;

use super::error::HubError;
use super::failure::{Failure, host};
use super::limit::Limiter;
use super::stall::{Pace, Patience, Stall, Watch};

/// Most bytes of an error page that are looked at.
const ERROR_PAGE: usize = 64 << 10;

/// Most bytes of a JSON answer. A listing of a million files without pages is half as long.
const JSON: usize = 512 << 20;

/// A body being received.
pub struct Body {
    response: Response,
    url: Url,
    patience: Arc<Patience>,
    limiter: Option<Arc<Limiter>>,
    watch: Watch,
    /// Received, not yet let through.
    rest: Bytes,
}

impl Body {
    pub(super) fn new(
        response: Response,
        patience: Arc<Patience>,
        limiter: Option<Arc<Limiter>>,
    ) -> Self {
        Body {
            url: response.url().clone(),
            watch: patience.watch(),
            response,
            patience,
            limiter,
            rest: Bytes::new(),
        }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, fell silent or trickles. Another one may be better.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.rest.is_empty() {
            match self.receive().await? {
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
        let Ok(received) = tokio::time::timeout(self.watch.left(), self.response.chunk()).await
        else {
            return Err(self.stalled());
        };
        let chunk = received.map_err(|error| Failure::network(&self.url, &error))?;
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.watch.arrived(start.elapsed(), length) == Pace::Good {
            self.patience.was_good();
        }
        Ok(chunk)
    }

    fn stalled(&self) -> Failure {
        let (bytes, within) = match self.watch.expired() {
            Stall::Silent => (0, self.patience.timeout()),
            Stall::Trickle(bytes) => {
                self.patience.was_slow(&self.watch);
                (bytes, self.watch.window())
            }
        };
        Failure {
            error: HubError::Stalled {
                host: host(&self.url),
                bytes,
                seconds: within.as_secs(),
            },
            transient: true,
            server_wait: None,
        }
    }

    /// Keeps the connection even when it is very slow: its bytes cannot be asked for again from the
    /// middle on, and others were slow before.
    #[must_use]
    pub fn patiently(mut self) -> Self {
        self.watch = self.patience.last_watch();
        self
    }

    /// The whole body of a JSON answer.
    ///
    /// # Errors
    /// As [`Body::chunk`]; [`HubError::BadAnswer`] when it has no end.
    pub async fn json(mut self) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if whole.len() + chunk.len() > JSON {
                let reason = "it sent more JSON than any listing has".to_owned();
                return Err(Failure::fatal(HubError::BadAnswer(reason)));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// The start of an error page, as far as it comes. That it does not arrive whole changes nothing
    /// about the error.
    pub async fn error_page(mut self) -> String {
        let mut page = Vec::new();
        let patience = self.patience.timeout();
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
