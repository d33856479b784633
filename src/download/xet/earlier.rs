//! Copies what contents on disk have in common with the one that is fetched.
//!
//! Such a content is an earlier revision of the file, another file of the repository, or one of the same
//! download that came first. What they share is read from there, which costs no traffic; where the file system
//! can, it shares the blocks. Each chunk is hashed as it stands in the partial and noted as if it had come from
//! the storage, so the root over all chunks proves the content as always; when that is wrong, all of it is
//! fetched.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reuse::{Known, Term, copies, shared};
use super::runs::{Run, runs};
use crate::download::partial::{Chunk, Partial, RangeSet};
use crate::sys::{FsError, block_size, copy_range, open_regular, read_exact_at, threads};
use crate::types::xet_hash::{chunk_hash, chunks_of};

/// Shortest content, in bytes, for which another plan is worth a request.
pub const WORTH: u64 = 4 << 20;

/// A content that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its Xet hash.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is.
    pub blob: PathBuf,
    /// Nothing but the form of its name says that it may be related.
    pub is_guess: bool,
}

/// Copies what a content of `size` bytes in the file `blob`, made of the terms `old`, has of the content made of
/// `new`. Whatever is wrong with the file, or with its plan, only means that less is copied.
///
/// # Errors
/// [`FsError`] when the partial cannot be written.
pub(super) fn carry_over(
    new: &[Term],
    (old, size, blob): (&[Term], u64, &Path),
    partial: &Arc<Partial>,
) -> Result<(), FsError> {
    let missing = partial.missing();
    let is_open = |term: &&Term| missing.meets(&term.place());
    let open: Vec<&Term> = new.iter().filter(is_open).collect();
    let Some((known, blob)) = find(&open, old, size, blob) else {
        return Ok(());
    };
    let mut copying = Copying {
        block: block_size(partial.file()),
        blob,
        partial,
        buffer: Vec::new(),
    };
    for term in open {
        let wanted = |place: &Range<u64>| missing.contains(place);
        for run in runs(&copies(term, &known), wanted) {
            if threads::is_unwanted() || !copying.run(&run)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where the chunks that both have stand in the content on disk; `None` when it cannot be read.
fn find(new: &[&Term], old: &[Term], size: u64, blob: &Path) -> Option<(Known, File)> {
    let mut blob = open_regular(blob).ok()?;
    if blob.metadata().ok()?.len() != size {
        return None;
    }
    let mut known = Known::default();
    for term in shared(old, new.iter().copied()) {
        if known.is_full() || threads::is_unwanted() {
            break;
        }
        let chunks = chunks_of(&mut blob, term.place(), |_| ()).ok()?;
        known.add(term, chunks.iter().map(|(_, length)| *length));
    }
    Some((known, blob))
}

/// Copies from one file into a partial.
struct Copying<'a> {
    blob: File,
    partial: &'a Arc<Partial>,
    /// Size of the file system's blocks in bytes; 0 once it has refused to share or copy them.
    block: u64,
    buffer: Vec<u8>,
}

impl Copying<'_> {
    /// Copies a run; `false` when the file cannot be read: it was changed meanwhile, and the rest is fetched.
    fn run(&mut self, run: &Run) -> Result<bool, FsError> {
        match self.by_the_system(run) {
            Some(done) => self.note(run, done),
            None => self.by_reading(run),
        }
    }

    /// Lets the system copy or share whole blocks; returns which part of the partial it filled.
    fn by_the_system(&mut self, run: &Run) -> Option<Range<u64>> {
        let part = run.whole_blocks(self.block)?;
        let from = run.from + (part.start - run.to.start);
        let (blob, partial) = (&self.blob, self.partial.file());
        match copy_range((blob, from), (partial, part.start), part.end - part.start) {
            Ok(()) => Some(part),
            Err(_) => {
                // Another file system, an old kernel, a full disk: what reading and writing makes of it counts.
                self.block = 0;
                None
            }
        }
    }

    /// Writes what the system did not fill of a run, and notes its chunks as they are in the partial now.
    fn note(&mut self, run: &Run, filled: Range<u64>) -> Result<bool, FsError> {
        for edge in [run.to.start..filled.start, filled.end..run.to.end] {
            let from = run.from + (edge.start - run.to.start);
            self.buffer.resize((edge.end - edge.start) as usize, 0);
            if read_exact_at(&self.blob, &mut self.buffer, from).is_err() {
                return Ok(false);
            }
            self.partial.write_at(edge.start, &self.buffer)?;
        }
        let mut at = run.to.start;
        for &length in &run.chunks {
            self.buffer.resize(length as usize, 0);
            let read = read_exact_at(self.partial.file(), &mut self.buffer, at);
            read.map_err(FsError::of("read", self.partial.path()))?;
            at = self.note_chunk(at, length)?;
        }
        Ok(true)
    }

    fn by_reading(&mut self, run: &Run) -> Result<bool, FsError> {
        let (mut from, mut at) = (run.from, run.to.start);
        for &length in &run.chunks {
            self.buffer.resize(length as usize, 0);
            if read_exact_at(&self.blob, &mut self.buffer, from).is_err() {
                return Ok(false);
            }
            self.partial.write_at(at, &self.buffer)?;
            at = self.note_chunk(at, length)?;
            from += u64::from(length);
        }
        Ok(true)
    }

    /// Notes the chunk in the buffer, which stands at this offset; returns where it ends.
    fn note_chunk(&self, at: u64, length: u32) -> Result<u64, FsError> {
        let chunk = Chunk {
            length,
            hash: chunk_hash(&self.buffer),
        };
        self.partial.note_chunks(at, &[chunk])?;
        Ok(at + u64::from(length))
    }
}

/// The parts of a content that these others have, or may have: whole terms.
pub(super) fn parts_of<'a>(new: &[Term], others: impl IntoIterator<Item = &'a [Term]>) -> RangeSet {
    let mut parts = RangeSet::default();
    for other in others {
        for term in shared(new, other) {
            parts.insert(term.place());
        }
    }
    parts
}
