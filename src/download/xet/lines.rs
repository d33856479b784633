//! Connections to the storage, and what becomes of their failures.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::client::{Storage, describe};
use crate::download::DownloadError;
use crate::hub::HubError;
use crate::hub::http::Failure;

/// Failures of a part without a byte that are tolerated. Silence, which takes long to notice, counts
/// twice.
pub const FAILURES: u32 = 2;

/// The storage and the right to connections to it, for all files of a download.
pub struct Lines {
    /// The storage.
    pub storage: Storage,
    /// One for each fetch in flight.
    pub permits: Arc<Semaphore>,
    /// Fetches in flight at most.
    pub in_flight: usize,
}

/// Why a fetch ended early.
pub enum Broken {
    /// The disk, or another failure that HTTP does not avoid either.
    Fatal(DownloadError),
    /// The storage.
    Storage {
        /// In words.
        reason: &'static str,
        /// How much it counts among the failures of a part.
        weight: u32,
    },
}

impl Lines {
    /// Waits before a part is asked for again, if another attempt is to come.
    pub async fn wait(&self, failures: u32, written: u64, failure: Failure) -> Broken {
        let client = self.storage.client();
        client.trace(|| format!("Xet storage: {}", failure.error));
        let reason = describe(&failure.error);
        let is_silence = matches!(
            reason,
            "its server sends nothing" | "its server does not answer in time"
        );
        let mut weight = if is_silence { 2 } else { 1 };
        let is_last = written == 0 && failures + weight > FAILURES;
        let is_expired = matches!(failure.error, HubError::LinkExpired);
        if !failure.transient && !is_expired {
            weight = FAILURES + 1;
        } else if !is_last
            && !is_expired
            && client.wait_before_retry(failures, failure).await.is_err()
        {
            // It asks for more than an hour.
            weight = FAILURES + 1;
        }
        Broken::Storage { reason, weight }
    }
}
