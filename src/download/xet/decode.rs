//! Chunks out of the bytes of a signed range, as they come.
//!
//! Each chunk is unpacked, hashed and written at its places, and then noted. So of a range that breaks
//! off what came is there, and a range of 64 MiB needs no more memory than its longest chunk. The
//! limits of the format are checked before memory is taken for what a header claims, and unpacking stops
//! at the length that it claims ([`super::frame`]).

use std::ops::Range;

use bytes::{Buf, Bytes};

use super::frame::Header;
use super::plan::{Fetch, HEADER, Use};
use crate::download::partial::Chunk;
use crate::sys::FsError;
use crate::types::xet_hash::chunk_hash;

/// Where chunks go: a partial, or memory in tests.
pub trait Place {
    /// Writes bytes at an offset of the content.
    ///
    /// # Errors
    /// The disk's.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FsError>;

    /// Notes that these chunks are written, one behind the other from this offset.
    ///
    /// # Errors
    /// The disk's.
    fn note_chunks(&self, offset: u64, chunks: &[Chunk]) -> Result<(), FsError>;
}

/// Why decoding ended.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] FsError),
    /// The bytes are no chunks, or not those of the plan.
    #[error("{0}")]
    Malformed(&'static str),
}

const TOO_LONG: DecodeError = DecodeError::Malformed("more bytes came than were asked for");
const LENGTHS: DecodeError = DecodeError::Malformed("the chunks of a term have other lengths");

/// Decodes one range.
pub struct Decoder<P> {
    place: P,
    fetch: Fetch,
    /// Bytes that may still come.
    left: u64,
    /// Chunks decoded.
    decoded: u32,
    /// The beginning of a chunk that has not come as a whole.
    begun: Vec<u8>,
    unpacked: Vec<u8>,
    /// Index of the first use whose chunks have not begun.
    next: usize,
    active: Vec<Active>,
    /// Bytes of content after which chunks are noted.
    note_every: u64,
    written: u64,
    /// What a finished use leaves undone.
    missing: Vec<Range<u64>>,
}

/// A use whose chunks are coming.
struct Active {
    /// The chunk after its last one.
    last: u32,
    /// Where its next chunk goes, and its end.
    left: Range<u64>,
    /// Written and not noted.
    batch: Vec<Chunk>,
    batch_start: u64,
    batch_bytes: u64,
}

/// What came of a range.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes of content written and noted.
    pub written: u64,
    /// Parts of the content that the range should have brought, in no order.
    pub missing: Vec<Range<u64>>,
}

impl<P: Place> Decoder<P> {
    /// A decoder for a range. Chunks are noted at the latest after `note_every` bytes of content.
    pub fn new(fetch: Fetch, place: P, note_every: u64) -> Self {
        Decoder {
            place,
            left: fetch.bytes.end - fetch.bytes.start,
            fetch,
            decoded: 0,
            begun: Vec::new(),
            unpacked: Vec::new(),
            next: 0,
            active: Vec::new(),
            note_every,
            written: 0,
            missing: Vec::new(),
        }
    }

    /// Takes the next bytes of the range.
    ///
    /// # Errors
    /// [`DecodeError`]: nothing more must be pushed.
    pub fn push(&mut self, mut bytes: Bytes) -> Result<(), DecodeError> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(TOO_LONG)?;
        while !bytes.is_empty() {
            if self.begun.is_empty() {
                // A chunk that is there as a whole is not copied.
                if let Some(header) = bytes.first_chunk().map(read_header).transpose()?
                    && let Some(packed) = bytes.get(HEADER as usize..header.whole())
                {
                    self.chunk(header, packed)?;
                    bytes.advance(header.whole());
                    continue;
                }
            }
            let header = self.begun.first_chunk().map(read_header).transpose()?;
            let wanted = header.map_or(HEADER as usize, Header::whole);
            let taken = bytes.len().min(wanted - self.begun.len());
            self.begun.extend_from_slice(&bytes[..taken]);
            bytes.advance(taken);
            if let Some(header) = header
                && self.begun.len() == wanted
            {
                let begun = std::mem::take(&mut self.begun);
                self.chunk(header, &begun[HEADER as usize..])?;
                self.begun = begun;
                self.begun.clear();
            }
        }
        Ok(())
    }

    /// Ends the range, whether all of it came or not: notes what is written.
    pub fn finish(mut self, is_whole: bool) -> (Outcome, Result<(), DecodeError>) {
        let mut result = Ok(());
        if is_whole && (self.left > 0 || self.decoded < self.fetch.chunks) {
            result = Err(DecodeError::Malformed("the range ended too early"));
        }
        let wanted = self.fetch.wanted.clone();
        let mut missing = std::mem::take(&mut self.missing);
        for mut active in std::mem::take(&mut self.active) {
            if let Err(error) = self.note(&mut active) {
                missing.push(active.batch_start..active.left.end);
                result = Err(error.into());
            } else {
                missing.push(active.left);
            }
        }
        let waiting = self.fetch.uses[self.next..].iter();
        missing.extend(waiting.map(|part| part.offset..part.end()));
        let cut = |part: Range<u64>| part.start.max(wanted.start)..part.end.min(wanted.end);
        let missing = missing.into_iter().map(cut).filter(|part| !part.is_empty());
        let outcome = Outcome {
            missing: missing.collect(),
            written: self.written,
        };
        (outcome, result)
    }

    fn chunk(&mut self, header: Header, packed: &[u8]) -> Result<(), DecodeError> {
        if self.decoded == self.fetch.chunks {
            return Err(DecodeError::Malformed(
                "more chunks came than were promised",
            ));
        }
        let mut unpacked = std::mem::take(&mut self.unpacked);
        let bytes = header.unpack(packed, &mut unpacked);
        let bytes = bytes.map_err(DecodeError::Malformed)?;
        let chunk = Chunk {
            length: header.unpacked,
            hash: chunk_hash(bytes),
        };
        let begun = |part: &&Use| part.chunks.start <= self.decoded;
        let count = self.fetch.uses[self.next..]
            .iter()
            .take_while(begun)
            .count();
        for part in &self.fetch.uses[self.next..self.next + count] {
            self.active.push(Active {
                last: part.chunks.end,
                left: part.offset..part.end(),
                batch: Vec::new(),
                batch_start: part.offset,
                batch_bytes: 0,
            });
        }
        self.next += count;
        self.decoded += 1;
        let mut active = std::mem::take(&mut self.active);
        let placed = active
            .iter_mut()
            .try_for_each(|active| self.put(active, chunk, bytes));
        // What is done is noted already.
        active.retain(|active| active.last > self.decoded || !active.left.is_empty());
        self.active = active;
        self.unpacked = unpacked;
        placed
    }

    /// Writes a chunk at its place in one use.
    fn put(&mut self, active: &mut Active, chunk: Chunk, bytes: &[u8]) -> Result<(), DecodeError> {
        let (offset, length) = (active.left.start, u64::from(chunk.length));
        let end = offset + length;
        let is_last = active.last == self.decoded;
        if end > active.left.end || is_last != (end == active.left.end) {
            return Err(LENGTHS);
        }
        if self.fetch.wanted.contains(&offset) {
            self.place.write_at(offset, bytes)?;
            active.batch.push(chunk);
            active.batch_bytes += length;
        } else {
            self.note(active)?;
            active.batch_start = end;
        }
        active.left.start = end;
        if is_last || active.batch_bytes >= self.note_every {
            self.note(active)?;
        }
        Ok(())
    }

    fn note(&mut self, active: &mut Active) -> Result<(), FsError> {
        if !active.batch.is_empty() {
            self.place.note_chunks(active.batch_start, &active.batch)?;
            self.written += active.batch_bytes;
        }
        active.batch.clear();
        active.batch_start += active.batch_bytes;
        active.batch_bytes = 0;
        Ok(())
    }
}

fn read_header(bytes: &[u8; HEADER as usize]) -> Result<Header, DecodeError> {
    Header::read(bytes).map_err(DecodeError::Malformed)
}

#[cfg(test)]
mod tests;
