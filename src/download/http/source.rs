//! One file to be fetched, and what is known about its server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use url::Url;

use crate::hub::{Hub, HubError, StatusCode};
use crate::types::RepoPath;
use crate::types::listing::Checksum;
use crate::types::progress::FileProgress;

/// What to fetch and from where.
pub struct Source<'a> {
    /// The Hub.
    pub hub: &'a Hub,
    /// The file's resolve URL, at a commit.
    pub url: Url,
    /// The file, for messages.
    pub path: &'a RepoPath,
    /// Proof of the content.
    pub checksum: &'a Checksum,
    /// Size of the content in bytes, when known.
    pub size: Option<u64>,
    /// Gets the events of every byte.
    pub progress: Counted<'a>,
    /// The signed link that the Hub redirected to last, while it is good: the next request for a
    /// part of this file goes there without asking the Hub again.
    pub link: Mutex<Option<Url>>,
    /// What is known about the server of this file.
    pub learned: Learned,
}

/// The progress of a file, and how many bytes of it were counted so far.
pub struct Counted<'a> {
    progress: FileProgress<'a>,
    counted: AtomicU64,
    received: AtomicU64,
}

impl<'a> Counted<'a> {
    /// The progress of a file that began with `done` bytes.
    pub fn new(progress: FileProgress<'a>, done: u64) -> Self {
        Counted {
            progress,
            counted: AtomicU64::new(done),
            received: AtomicU64::new(0),
        }
    }

    /// `bytes` more arrived.
    pub fn advance(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.counted.fetch_add(bytes, Ordering::Relaxed);
        self.progress.advance(bytes);
    }

    /// `bytes` that were counted come again.
    pub fn rewind(&self, bytes: u64) {
        self.counted.fetch_sub(bytes, Ordering::Relaxed);
        self.progress.rewind(bytes);
    }

    /// Counts as many bytes as are on disk, of which more may be there than this process brought.
    pub fn find(&self, bytes: u64) {
        let before = self.counted.swap(bytes, Ordering::Relaxed);
        self.progress.found(bytes.saturating_sub(before));
        self.progress.rewind(before.saturating_sub(bytes));
    }

    /// Counts as many bytes as are there, where the new ones were copied on this machine.
    pub fn copy_to(&self, bytes: u64) {
        let before = self.counted.swap(bytes, Ordering::Relaxed);
        self.progress.copied(bytes.saturating_sub(before));
        self.progress.rewind(before.saturating_sub(bytes));
    }

    /// Counts as many bytes as are there, whatever was counted before.
    pub fn count_to(&self, bytes: u64) {
        let before = self.counted.swap(bytes, Ordering::Relaxed);
        self.progress.advance(bytes.saturating_sub(before));
        self.progress.rewind(before.saturating_sub(bytes));
    }

    /// Bytes that arrived since the file began.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// What a server requires, known from its answers.
#[derive(Debug, Default)]
pub struct Learned {
    /// It refuses to send a file that is not asked for as a range.
    wants_range: AtomicBool,
    /// It compresses whatever it sends, so that a part of it is of no use.
    pub(super) compresses: AtomicBool,
}

/// Files larger than this, in bytes, are asked for as a range even from their start: storage
/// networks refuse to send more than some 20 to 50 GB in another way.
const WHOLE: u64 = 10 << 30;

impl Source<'_> {
    pub(super) fn address(&self) -> Url {
        let link = self.link.lock().unwrap();
        link.as_ref().unwrap_or(&self.url).clone()
    }

    pub(super) fn remember(&self, link: Option<Url>) {
        *self.link.lock().unwrap() = link;
    }

    /// Whether a failure at this offset is news about the server, so that the next request is another
    /// one and need not wait.
    pub(super) fn learn(&self, error: &HubError, offset: u64) -> bool {
        match error {
            HubError::Status { status, .. } if *status == StatusCode::BAD_REQUEST => {
                offset == 0 && !self.asks_for_ranges() && {
                    self.learned.wants_range.store(true, Ordering::Relaxed);
                    true
                }
            }
            _ => false,
        }
    }

    pub(super) fn compresses(&self) -> bool {
        self.learned.compresses.load(Ordering::Relaxed)
    }

    pub(super) fn asks_for_ranges(&self) -> bool {
        self.learned.wants_range.load(Ordering::Relaxed)
            || self.size.is_some_and(|size| size > WHOLE)
    }
}
