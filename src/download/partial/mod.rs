//! A content on its way: `<etag>.hf-sparse`, and `<etag>.hf-journal` that says which bytes of it are there.
//!
//! # The protocol
//!
//! The partial is the file as it will be, with holes. Whoever brings bytes (a connection that fetches a
//! range, a thread that unpacks chunks of Xet storage) writes them at their place, in any order, and
//! notes them afterwards. Nothing is written twice and nothing is moved: a complete and proven partial is
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
//!   so a journal whose chunks cover the content proves it without reading it again. A hash is believed
//!   when the file is as the *closed* record says that its writer left it (inode, length, time, owner);
//!   otherwise the chunk is hashed again, and one that is wrong is not there.
//!
//! None of this is trusted for what a file contains: before it is published, the whole content is proven by
//! its SHA-256 (or Git's hash) or by its Xet hash. A journal that lies costs a second download, no more.
//! A partial without a journal of its content counts for nothing. Small contents, which are complete
//! before the first batch, never have a journal.
//!
//! The lock of the content is held by whoever opens the partial; see [`super::claim`].

mod flush;
mod journal;
mod proof;
mod ranges;
mod recent;

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::flush::Flushing;
pub use self::journal::Chunk;
use self::journal::{Header, Identity, Record, Told, encode, encode_header, key_of};
pub use self::proof::{Follower, prove};
pub use self::ranges::RangeSet;
use self::recent::Recent;
use super::claim::Claim;
use crate::cache::layout::PartialName;
use crate::sys::{
    FsError, Mode, Opening, boot, open_regular, read_exact_at, sync_file, threads, write_all_at,
    write_atomic,
};
use crate::types::hash::ContentHasher;
use crate::types::listing::Checksum;
use crate::types::xet_hash::chunk_hash;

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
    /// Told when bytes are noted, or nothing more will come.
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
    /// Opens the partial, or makes it. What its journal notes counts; without one nothing does. `size` is
    /// that of the content in bytes; the claim gives the right to write. Chunks whose hashes cannot be
    /// believed are hashed again, so this may take a second for each few gigabytes.
    ///
    /// # Errors
    /// [`FsError`] naming the partial or its journal.
    pub fn open(
        path: &Path,
        checksum: &Checksum,
        size: Option<u64>,
        claim: Arc<Claim>,
    ) -> Result<Arc<Self>, FsError> {
        Partial::open_in(path, checksum, size, Some(claim), boot()).map(Arc::new)
    }

    fn open_in(
        path: &Path,
        checksum: &Checksum,
        size: Option<u64>,
        claim: Option<Arc<Claim>>,
        boot: Option<[u8; 16]>,
    ) -> Result<Self, FsError> {
        let file = open_own(path).map_err(FsError::of("write", path))?;
        let header = header_of(checksum, size, boot);
        let metadata = file.metadata().map_err(FsError::of("read", path))?;
        let told = match metadata.len() {
            0 => None,
            length => read_journal(path, &header)?.map(|told| told.within(length)),
        };
        let mut partial = Partial {
            path: path.to_path_buf(),
            file,
            checksum: checksum.clone(),
            header,
            claim,
            state: Mutex::new(State {
                present: RangeSet::default(),
                pending: Vec::new(),
                pending_bytes: 0,
                pending_since: Instant::now(),
                journal: None,
                flushing: Flushing::new(),
                recent: Recent::default(),
                in_order: None,
                end: None,
                restarts: 0,
                follower: 0,
                is_closed: false,
                is_gone: false,
            }),
            noted: Condvar::new(),
        };
        match told.filter(|told| !told.present.is_empty()) {
            Some(told) => partial.take_up(told, &metadata)?,
            None => partial.begin(metadata.len())?,
        }
        Ok(partial)
    }

    /// Nothing counts of the `length` bytes that are there.
    fn begin(&mut self, length: u64) -> Result<(), FsError> {
        remove_journal(&self.path);
        if length > 0 {
            self.file.set_len(0).map_err(self.cannot_write())?;
        }
        let in_order = self.fresh_hasher();
        self.state().in_order = in_order;
        Ok(())
    }

    /// Goes on with what a journal tells.
    fn take_up(&mut self, mut told: Told, metadata: &Metadata) -> Result<(), FsError> {
        let is_as_left = told.closed == Some(identity(metadata));
        if !is_as_left {
            let wrong = self.wrong_chunks(&told)?;
            for range in wrong {
                told.present.remove(range.clone());
                told.chunks.remove(&range.start);
            }
        }
        // Written again rather than continued: that leaves out what does not count, and a second name
        // of the old journal, if a copy of the cache made one, keeps what it had.
        let mut bytes = encode_header(&self.header);
        for record in records_of(&told) {
            encode(&record, &mut bytes);
        }
        if told.is_of_another_boot {
            encode(&Record::Flushed(bytes.len() as u64), &mut bytes);
        }
        let path = self.journal_path();
        write_atomic(&path, &bytes, Mode::Umask)?;
        let opened = Opening::existing().append().open(&path);
        let file = opened.map_err(FsError::of("write", &path))?;
        let _ = sync_file(&file);
        let mut state = self.state();
        if !told.is_of_another_boot {
            state.flushing.bytes = told.present.total();
        }
        state.present = told.present;
        state.journal = Some(Journal {
            file,
            length: bytes.len() as u64,
        });
        Ok(())
    }

    /// Chunks that do not have the content they are noted with.
    fn wrong_chunks(&self, told: &Told) -> Result<Vec<Range<u64>>, FsError> {
        let mut buffer = Vec::new();
        let mut wrong = Vec::new();
        for (&offset, chunk) in &told.chunks {
            buffer.resize(chunk.length as usize, 0);
            let is_there = match read_exact_at(&self.file, &mut buffer, offset) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
                Err(error) => return Err(FsError::of("read", &self.path)(error)),
            };
            if !is_there || chunk_hash(&buffer) != chunk.hash {
                wrong.push(offset..offset + u64::from(chunk.length));
            }
        }
        Ok(wrong)
    }

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
            && let Ok(metadata) = self.file.metadata()
        {
            let mut bytes = Vec::new();
            encode(&Record::Closed(identity(&metadata)), &mut bytes);
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

/// Bytes of a content that a partial has, by its journal; 0 without one. For plans and messages: nothing
/// is checked.
pub fn kept_bytes(path: &Path, checksum: &Checksum, size: Option<u64>) -> u64 {
    let Ok(length) = fs::symlink_metadata(path).map(|file| file.len()) else {
        return 0;
    };
    let told = match length {
        0 => None,
        _ => read_journal(path, &header_of(checksum, size, boot())).ok(),
    };
    let told = told.flatten().map(|told| told.within(length));
    told.map_or(0, |told| told.present.total())
}

/// The ranges that the journal of a partial notes, whatever content it is about.
pub fn noted(path: &Path) -> Vec<Range<u64>> {
    let bytes = fs::read(PartialName::journal_of(path)).unwrap_or_default();
    let told = journal::header_of(&bytes).and_then(|header| journal::read(&bytes, &header));
    told.map_or_else(Vec::new, |told| told.present.iter().collect())
}

/// Makes a file that holds the first bytes of a content a partial: one of an older client, or of an older
/// version of this program. The caller holds the lock, and there is no partial yet. A process that is
/// killed meanwhile leaves the old file or the partial.
///
/// # Errors
/// [`FsError`] naming the file that failed.
pub fn adopt_prefix(
    prefix: &Path,
    path: &Path,
    checksum: &Checksum,
    size: Option<u64>,
) -> Result<(), FsError> {
    let length = fs::metadata(prefix).map_err(FsError::of("read", prefix))?;
    let mut bytes = encode_header(&header_of(checksum, size, boot()));
    encode(&Record::Written(0..length.len()), &mut bytes);
    let journal = PartialName::journal_of(path);
    write_atomic(&journal, &bytes, Mode::Umask)?;
    fs::rename(prefix, path).map_err(FsError::of("rename", prefix))
}

/// Removes a partial and its journal.
pub fn discard(path: &Path) {
    // The journal first: without it the partial counts for nothing. Either may be gone already.
    remove_journal(path);
    let _ = fs::remove_file(path);
}

fn remove_journal(path: &Path) {
    let _ = fs::remove_file(PartialName::journal_of(path));
}

fn header_of(checksum: &Checksum, size: Option<u64>, boot: Option<[u8; 16]>) -> Header {
    Header {
        key: key_of(&checksum.etag()),
        size,
        boot,
    }
}

/// What the journal of a partial tells; `None` when there is none about this content.
fn read_journal(path: &Path, header: &Header) -> Result<Option<Told>, FsError> {
    let path = PartialName::journal_of(path);
    let read = open_regular(&path).and_then(|mut file| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(journal::read(&bytes, header)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FsError::of("read", &path)(error)),
    }
}

/// The shortest list of records that tells the same. All of it is on the disk if it was before.
fn records_of(told: &Told) -> Vec<Record> {
    let chunks = told.chunks.iter();
    let mut records: Vec<_> = chunks
        .map(|(&offset, &chunk)| Record::Chunk(offset, chunk))
        .collect();
    records.extend(told.present.iter().map(Record::Written));
    records
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity {
        inode: metadata.ino(),
        length: metadata.len(),
        modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        owner: metadata.uid(),
    }
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    let since_1970 = |time: std::time::SystemTime| {
        let duration = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        i128::try_from(duration.as_nanos()).ok()
    };
    Identity {
        inode: 0,
        length: metadata.len(),
        modified: metadata.modified().ok().and_then(since_1970).unwrap_or(0),
        owner: 0,
    }
}

/// Opens the file, or makes it. One that has another name as well is left to that: whoever copied the
/// cache by hard links, or put one here, means the content to stay.
fn open_own(path: &Path) -> io::Result<File> {
    let file = Opening::update().open(path)?;
    if !has_other_names(&file)? {
        return Ok(file);
    }
    fs::remove_file(path)?;
    Opening::new_file().open(path)
}

#[cfg(unix)]
fn has_other_names(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink() > 1)
}

#[cfg(not(unix))]
fn has_other_names(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests;
