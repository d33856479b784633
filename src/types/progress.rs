//! How a download reports its progress, without knowing how it is shown.

/// Watches a download. Called from many threads; sizes are in bytes.
pub trait Progress: Send + Sync {
    /// The Hub is listing the repository, which has so many files as far as is known.
    fn listing(&self, _files: u64) {}
    /// The listing is complete, or given up.
    fn listed(&self) {}
    /// The work is known: this many files and bytes, of which `done_bytes` are already on disk.
    fn begin(&self, files: u64, bytes: u64, done_bytes: u64);
    /// `bytes` more have arrived and are written.
    fn advance(&self, bytes: u64);
    /// Bytes that were counted turned out to be wrong and are fetched again.
    fn rewind(&self, bytes: u64);
    /// One file is complete and published.
    fn file_done(&self);
    /// The work is over, with success or failure.
    fn finish(&self);
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _files: u64, _bytes: u64, _done_bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn rewind(&self, _bytes: u64) {}
    fn file_done(&self) {}
    fn finish(&self) {}
}
