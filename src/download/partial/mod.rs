//! A content on its way: `<etag>.hf-sparse`, and `<etag>.hf-journal` that says which bytes of it are there.
//!
//! # The protocol
//!
//! The partial is the file as it will be, with holes. A writer (a connection that fetches a range, a
//! thread that unpacks chunks of Xet storage) writes bytes at their place, in any order, and notes them
//! afterwards. Nothing is written twice and nothing is moved: a complete and proven partial is
//! renamed to the blob, and the journal is removed.
//!
//! The journal is written by appending alone. Its records ([`journal`]) have checksums, so a reader stops
//! at one that is cut short.
//!
//! * *Written*: a range, noted after its bytes were handed to the system. What a killed process wrote
//!   stays, so this is enough as long as the machine runs. Records are collected until they stand for
//!   [`BATCH`] bytes or the first is [`BATCH_TIME`] old; a killed process fetches these bytes again, beside
//!   what was in flight.
//! * *Flushed*: the journal up to some length is true of the disk as well. It is appended after the
//!   partial was flushed, in batches of [`flush::FLUSH`] bytes, on a thread of its own. The header names the boot
//!   of the machine; after another boot only what was flushed counts, so that a power cut never leaves a
//!   journal that names bytes which are not there.
//! * *Chunk*: a range with the hash of its content. A Xet hash is the root over the hashes of all chunks,
//!   so a journal whose chunks cover the content proves it without reading it again. A hash counts
//!   when the file is as the *closed* record says that its writer left it (inode, length, time, owner);
//!   otherwise the chunk is hashed again, and one that is wrong is not there.
//!
//! None of this is trusted for what a file contains: before it is published, the whole content is proven by
//! its SHA-256 (or Git's hash) or by its Xet hash. A wrong journal costs a second download, no more.
//! A partial without a journal of its content counts for nothing. Small contents, which are complete
//! before the first batch, never have a journal.
//!
//! The caller that opens the partial holds the lock of the content; see [`super::claim`].

mod flush;
mod journal;
mod open;
mod proof;
mod ranges;
mod recent;

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::flush::Flushing;
pub use self::journal::Chunk;
use self::journal::{Header, Record, Told, encode, encode_header};
pub use self::open::{adopt_prefix, discard, kept_bytes, noted};
use self::open::{identity, read_journal, remove_journal};
pub use self::proof::{Follower, prove};
pub use self::ranges::RangeSet;
use self::recent::Recent;
use super::claim::Claim;
use crate::cache::layout::PartialName;
use crate::sys::{FsError, Opening, threads, write_all_at};
use crate::types::hash::ContentHasher;
use crate::types::listing::Checksum;

/// Contents up to this length, in bytes, are written and hashed by the task that receives them; longer
/// ones get threads for it, so that the network never waits for the disk.
pub const SMALL: u64 = 1 << 20;

/// Bytes that may be noted in memory before the journal has them, and for how long.
const BATCH: u64 = 1 << 20;
const BATCH_TIME: Duration = Duration::from_millis(100);

/// An open partial. Threads share it; see the [module](self).
pub struct Partial {
    path: PathBuf,
    file: File,
    checksum: Checksum,
    header: Header,
    /// Held as long as a thread may write to the partial.
    claim: Option<Arc<Claim>>,
    state: Mutex<State>,
    /// Notified when bytes are noted, or nothing more will come.
    noted: Condvar,
}

/// What is known about the bytes of a partial.
struct State {
    present: RangeSet,
    /// Noted, and not in the journal yet.
    pending: Vec<Record>,
    /// Bytes that `pending` stands for, and when the first of them was noted.
    pending_bytes: u64,
    pending_since: Instant,
    journal: Option<Journal>,
    flushing: Flushing,
    /// What was written lately and comes soon in the order of the file, for the follower.
    recent: Recent,
    /// The hash of what was written in order from the start, for small contents.
    in_order: Option<(ContentHasher, u64)>,
    /// Length of a content whose size was not known, since it is complete.
    end: Option<u64>,
    /// Counts how often bytes were forgotten or written again, so that a follower begins again.
    restarts: u64,
    /// Number of the follower that is not to stop.
    follower: u64,
    /// The journal ends with how the partial was left.
    is_closed: bool,
    /// Published or discarded: there is nothing to keep.
    is_gone: bool,
}

struct Journal {
    file: File,
    /// Length in bytes.
    length: u64,
}

impl Partial {
    /// Where the content goes on its way.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open partial itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Bytes that are there.
    pub fn present(&self) -> u64 {
        self.state().present.total()
    }

    /// What is missing, in order. A content of unknown size lacks all behind what came in order.
    pub fn missing(&self) -> RangeSet {
        let state = self.state();
        match self.header.size {
            Some(size) => state.present.missing(0..size),
            None => {
                let mut rest = RangeSet::default();
                rest.insert(state.present.end_of(0)..u64::MAX);
                rest
            }
        }
    }

    /// Writes bytes at their place. They count when they are noted.
    ///
    /// # Errors
    /// [`FsError`] naming the partial.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        write_all_at(&self.file, bytes, offset).map_err(self.cannot_write())?;
        if self.is_small() {
            let mut state = self.state();
            if let Some((hasher, at)) = &mut state.in_order
                && *at == offset
            {
                hasher.update(bytes);
                *at += bytes.len() as u64;
            } else {
                state.in_order = None;
            }
        }
        Ok(())
    }

    /// Writes bytes at their place and notes them. As long as the follower needs them soon, it has them from
    /// here and need not read them.
    ///
    /// # Errors
    /// [`FsError`] naming the partial or its journal.
    pub fn write_and_note(self: &Arc<Self>, offset: u64, bytes: Bytes) -> Result<(), FsError> {
        let end = offset + bytes.len() as u64;
        self.write_at(offset, &bytes)?;
        if !self.is_small() {
            self.state().recent.add(offset, bytes);
        }
        self.note(offset..end)
    }

    /// Notes that the bytes of a range were written.
    ///
    /// # Errors
    /// [`FsError`] naming the journal.
    pub fn note(self: &Arc<Self>, range: Range<u64>) -> Result<(), FsError> {
        let mut state = self.state();
        let continued = state.pending.iter_mut().find_map(|record| match record {
            Record::Written(before) if before.end == range.start => Some(before),
            _ => None,
        });
        match continued {
            Some(before) => before.end = range.end,
            None => state.pending.push(Record::Written(range.clone())),
        }
        self.count(state, range)
    }

    /// Notes chunks that were written one after the other from `offset` on.
    ///
    /// # Errors
    /// [`FsError`] naming the journal.
    pub fn note_chunks(self: &Arc<Self>, offset: u64, chunks: &[Chunk]) -> Result<(), FsError> {
        let mut end = offset;
        let mut state = self.state();
        for chunk in chunks {
            state.pending.push(Record::Chunk(end, *chunk));
            end += u64::from(chunk.length);
        }
        self.count(state, offset..end)
    }

    /// What all kinds of notes have in common.
    fn count(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        range: Range<u64>,
    ) -> Result<(), FsError> {
        if state.is_gone {
            return Ok(());
        }
        let length = range.end - range.start;
        let new = state.present.insert(range);
        if new < length {
            // A server began again; what is hashed may be what it sent before.
            state.restarts += 1;
            state.recent = Recent::default();
        }
        state.is_closed = false;
        if state.pending_bytes == 0 {
            state.pending_since = Instant::now();
        }
        state.pending_bytes += new;
        state.flushing.bytes += new;
        self.noted.notify_all();
        let is_due = state.pending_bytes >= BATCH || state.pending_since.elapsed() >= BATCH_TIME;
        let is_complete = self
            .header
            .size
            .is_some_and(|size| state.present.contains(&(0..size)));
        if !is_due || (is_complete && state.journal.is_none()) {
            return Ok(());
        }
        self.write_pending(&mut state)?;
        if state.flushing.is_due() {
            state.flushing.begin();
            drop(state);
            // Without a thread for it, nothing is flushed before the end.
            let _ = threads::start(Arc::clone(self), |partial| partial.flush());
        }
        Ok(())
    }

    /// Appends what is pending to the journal, which is made if need be.
    fn write_pending(&self, state: &mut State) -> Result<(), FsError> {
        let mut bytes = Vec::new();
        for record in std::mem::take(&mut state.pending) {
            encode(&record, &mut bytes);
        }
        state.pending_bytes = 0;
        self.append(state, &bytes)
    }

    fn append(&self, state: &mut State, bytes: &[u8]) -> Result<(), FsError> {
        let path = self.journal_path();
        let failed = |error| FsError::of("write", &path)(error);
        if state.journal.is_none() {
            // Anything that has this name is a leftover.
            remove_journal(&self.path);
            let mut file = Opening::new_file().append().open(&path).map_err(failed)?;
            let header = encode_header(&self.header);
            file.write_all(&header).map_err(failed)?;
            let length = header.len() as u64;
            state.journal = Some(Journal { file, length });
        }
        if let Some(journal) = &mut state.journal {
            journal.file.write_all(bytes).map_err(failed)?;
            journal.length += bytes.len() as u64;
        }
        Ok(())
    }

    /// All chunks in file order, when they cover the whole content.
    ///
    /// # Errors
    /// [`FsError`] naming the journal.
    pub fn chunks(&self) -> Result<Option<Vec<Chunk>>, FsError> {
        let state = self.state();
        let mut told = match &state.journal {
            Some(_) => read_journal(&self.path, &self.header)?.unwrap_or_default(),
            None => Told::default(),
        };
        for record in &state.pending {
            told.apply(record);
        }
        let mut end = 0;
        let mut all = Vec::with_capacity(told.chunks.len());
        for (offset, chunk) in told.chunks {
            if offset != end {
                return Ok(None);
            }
            end += u64::from(chunk.length);
            all.push(chunk);
        }
        Ok((self.header.size == Some(end)).then_some(all))
    }

    /// Forgets all bytes.
    ///
    /// # Errors
    /// [`FsError`] naming the partial.
    pub fn restart(&self) -> Result<(), FsError> {
        let mut state = self.state();
        state.present = RangeSet::default();
        state.pending.clear();
        state.pending_bytes = 0;
        state.journal = None;
        state.end = None;
        state.in_order = self.fresh_hasher();
        state.recent = Recent::default();
        state.restarts += 1;
        self.noted.notify_all();
        // First, so that it never names bytes that are no longer there.
        remove_journal(&self.path);
        self.file.set_len(0).map_err(self.cannot_write())
    }

    /// Says how long a content of unknown size is: all of it was noted.
    pub fn ends_at(&self, end: u64) {
        self.state().end = Some(end);
        self.noted.notify_all();
    }

    /// Writes what a later process needs to go on, and how the partial is left. A partial of which nothing
    /// is there is removed.
    fn keep(&self) {
        let mut state = self.state();
        if state.is_gone || state.is_closed {
            return;
        }
        if state.present.is_empty() {
            state.is_gone = true;
            remove_journal(&self.path);
            let _ = fs::remove_file(&self.path);
            return;
        }
        // A failure costs the next process some bytes.
        if self.write_pending(&mut state).is_ok()
            && let Ok(identity) = identity(&self.file)
        {
            let mut bytes = Vec::new();
            encode(&Record::Closed(identity), &mut bytes);
            state.is_closed = self.append(&mut state, &bytes).is_ok();
        }
    }

    /// Stops in order: a later process goes on from what is there. A partial of this process alone is
    /// removed, since no other one would find it.
    pub fn close(&self) {
        let is_common = self.claim.as_ref().is_none_or(|claim| claim.is_common());
        match is_common {
            true => self.keep(),
            false if !self.state().is_gone => self.discard(),
            false => {}
        }
    }

    /// Removes the journal of a partial that was renamed to its blob.
    pub fn published(&self) {
        let mut state = self.state();
        state.is_gone = true;
        // An old one was removed when the partial was opened.
        if state.journal.take().is_some() {
            remove_journal(&self.path);
        }
    }

    /// Removes the partial and its journal.
    pub fn discard(&self) {
        self.state().is_gone = true;
        discard(&self.path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a thread that panicked left is as good as what a killed process leaves.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_small(&self) -> bool {
        self.header.size.is_none_or(|size| size <= SMALL)
    }

    fn fresh_hasher(&self) -> Option<(ContentHasher, u64)> {
        self.is_small()
            .then(|| (ContentHasher::new(&self.checksum, self.header.size), 0))
    }

    fn journal_path(&self) -> PathBuf {
        PartialName::journal_of(&self.path)
    }

    fn cannot_write(&self) -> impl FnOnce(io::Error) -> FsError {
        FsError::of("write", &self.path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
