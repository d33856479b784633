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
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use xet_core_structures::xorb_object::{CompressionScheme, serialize_chunk};

    use super::*;

    /// A content in memory: its bytes, and the chunks that were noted.
    #[derive(Default)]
    struct Memory {
        bytes: Mutex<Vec<u8>>,
        noted: Mutex<Vec<(u64, Chunk)>>,
        /// Notes beyond this many fail.
        most_notes: Option<usize>,
    }

    impl Place for Arc<Memory> {
        fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
            let mut all = self.bytes.lock().unwrap();
            let (start, end) = (offset as usize, offset as usize + bytes.len());
            if all.len() < end {
                all.resize(end, 0);
            }
            all[start..end].copy_from_slice(bytes);
            Ok(())
        }

        fn note_chunks(&self, mut offset: u64, chunks: &[Chunk]) -> Result<(), FsError> {
            let mut noted = self.noted.lock().unwrap();
            if self.most_notes.is_some_and(|most| noted.len() >= most) {
                let full = std::io::Error::from_raw_os_error(28);
                return Err(FsError::of("write", std::path::Path::new("x"))(full));
            }
            for chunk in chunks {
                noted.push((offset, *chunk));
                offset += u64::from(chunk.length);
            }
            Ok(())
        }
    }

    /// A chunk of these bytes as a xorb has it.
    fn packed(bytes: &[u8], scheme: CompressionScheme) -> Vec<u8> {
        let mut packed = Vec::new();
        serialize_chunk(bytes, &mut packed, scheme).unwrap();
        packed
    }

    /// Three chunks: plain, LZ4 and BG4, and where each begins.
    fn three() -> (Vec<Vec<u8>>, Vec<u8>) {
        let chunks = vec![
            (0..=255).collect::<Vec<u8>>(),
            vec![7; 5000],
            (0..3000_u32).flat_map(u32::to_le_bytes).collect(),
        ];
        let range = [
            packed(&chunks[0], CompressionScheme::None),
            packed(&chunks[1], CompressionScheme::LZ4),
            packed(&chunks[2], CompressionScheme::ByteGrouping4LZ4),
        ];
        assert_eq!((range[0][4], range[1][4], range[2][4]), (0, 1, 2));
        (chunks, range.concat())
    }

    fn fetch(length: usize, chunks: u32, uses: Vec<Use>, wanted: Range<u64>) -> Fetch {
        Fetch {
            url: "https://cdn.test/x".parse().unwrap(),
            bytes: 100..100 + length as u64,
            chunks,
            uses,
            wanted,
        }
    }

    fn part(chunks: Range<u32>, offset: u64, length: usize) -> Use {
        Use {
            chunks,
            offset,
            length: u32::try_from(length).unwrap(),
        }
    }

    /// Decodes a range that comes in pieces of this length.
    fn decoded(
        fetch: Fetch,
        range: &[u8],
        piece: usize,
        place: &Arc<Memory>,
    ) -> (Outcome, Result<(), DecodeError>) {
        let mut decoder = Decoder::new(fetch, Arc::clone(place), 6000);
        for piece in range.chunks(piece) {
            if let Err(error) = decoder.push(Bytes::copy_from_slice(piece)) {
                return (decoder.finish(false).0, Err(error));
            }
        }
        decoder.finish(true)
    }

    fn words(result: Result<(), DecodeError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn chunks_go_to_all_their_places() {
        let (chunks, range) = three();
        let lengths: Vec<usize> = chunks.iter().map(Vec::len).collect();
        let all = lengths.iter().sum::<usize>();
        for piece in [1, 7, 8, 9, 300, range.len()] {
            let place = Arc::new(Memory::default());
            let uses = vec![
                part(0..3, 0, all),
                part(1..2, all as u64 + 256, lengths[1]),
                part(0..1, all as u64, 256),
            ];
            let mut fetch = fetch(range.len(), 3, uses, 0..1 << 20);
            fetch.uses.sort_by_key(|part| part.chunks.start);
            let (outcome, result) = decoded(fetch, &range, piece, &place);
            assert_eq!(words(result), "good", "{piece}");
            let expected = [chunks.concat(), chunks[0].clone(), chunks[1].clone()].concat();
            assert!(*place.bytes.lock().unwrap() == expected);
            assert_eq!(outcome.written, expected.len() as u64);
            assert_eq!(outcome.missing, []);
            let mut noted = place.noted.lock().unwrap().clone();
            noted.sort_by_key(|(offset, _)| *offset);
            let mut offset = 0;
            for (at, chunk) in noted {
                assert_eq!(at, offset);
                let end = offset as usize + chunk.length as usize;
                assert_eq!(chunk.hash, chunk_hash(&expected[offset as usize..end]));
                offset = end as u64;
            }
            assert_eq!(offset, expected.len() as u64);
        }
    }

    #[test]
    fn chunks_that_begin_elsewhere_are_left_out() {
        let (chunks, range) = three();
        let all = chunks.iter().map(Vec::len).sum();
        let place = Arc::new(Memory::default());
        // The second chunk begins in the window, the first before it and the third behind it.
        let fetch = fetch(range.len(), 3, vec![part(0..3, 1000, all)], 1001..6256);
        let (outcome, result) = decoded(fetch, &range, 50, &place);
        assert_eq!(words(result), "good");
        assert_eq!((outcome.written, outcome.missing), (5000, vec![]));
        let noted = place.noted.lock().unwrap().clone();
        let places: Vec<_> = noted.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(places, [1256]);
    }

    #[test]
    fn what_came_of_a_broken_range_is_there() {
        let (chunks, range) = three();
        let all: usize = chunks.iter().map(Vec::len).sum();
        let fetch = || {
            let uses = vec![part(0..3, 0, all), part(2..3, all as u64, 12_000)];
            fetch(range.len(), 3, uses, 0..1 << 20)
        };
        for (came, is_cut, written) in [
            (range.len() - 1, true, 5256),
            (264, false, 256),
            (263, true, 0),
        ] {
            let place = Arc::new(Memory::default());
            let mut decoder = Decoder::new(fetch(), Arc::clone(&place), u64::MAX);
            decoder
                .push(Bytes::copy_from_slice(&range[..came]))
                .unwrap();
            let (outcome, result) = decoder.finish(is_cut);
            let expected = if is_cut {
                "the range ended too early"
            } else {
                "good"
            };
            assert_eq!(words(result), expected, "{came}");
            assert_eq!(outcome.written, written);
            let end = all as u64;
            assert_eq!(outcome.missing, [written..end, end..end + 12_000]);
            assert!(place.bytes.lock().unwrap()[..] == chunks.concat()[..written as usize]);
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let (chunks, range) = three();
        let all = chunks.iter().map(Vec::len).sum();
        let place = Arc::new(Memory {
            most_notes: Some(1),
            ..Memory::default()
        });
        let fetch = fetch(range.len(), 3, vec![part(0..3, 0, all)], 0..1 << 20);
        let mut decoder = Decoder::new(fetch, Arc::clone(&place), 1);
        let pushed = decoder.push(Bytes::from(range));
        assert!(matches!(pushed, Err(DecodeError::Disk(_))));
        let (outcome, result) = decoder.finish(false);
        assert!(matches!(result, Err(DecodeError::Disk(_))));
        assert_eq!(
            (outcome.written, outcome.missing.as_slice()),
            (256, std::slice::from_ref(&(256..all as u64)))
        );
    }

    /// The header of a chunk.
    fn header(version: u8, packed: u32, scheme: u8, unpacked: u32) -> Vec<u8> {
        let (packed, unpacked) = (packed.to_le_bytes(), unpacked.to_le_bytes());
        let mut header = vec![version];
        header.extend(&packed[..3]);
        header.push(scheme);
        header.extend(&unpacked[..3]);
        header
    }

    #[test]
    fn chunks_beyond_the_format_are_refused() {
        const BAD: &str = "a chunk's header is not of the format";
        const OTHER: &str = "a chunk unpacks to another length than it claims";
        let bomb = {
            let mut bytes = packed(&vec![0; 128 << 10], CompressionScheme::LZ4);
            bytes[5..8].copy_from_slice(&[0, 1, 0]);
            bytes
        };
        let grouped_bomb = {
            // Far more than a chunk may have, in a frame of a few hundred bytes.
            let zeros = vec![0; 50 << 20];
            let frame = CompressionScheme::LZ4.compress_from_slice(&zeros).unwrap();
            assert!(frame.len() < 256 << 10);
            [header(0, frame.len() as u32, 2, 1000), frame.to_vec()].concat()
        };
        let plain =
            |claimed, bytes: usize| [header(0, bytes as u32, 0, claimed), vec![1; bytes]].concat();
        for (chunk, expected) in [
            (plain(5, 5), "good"),
            (plain(6, 5), OTHER),
            (plain(4, 5), OTHER),
            (header(0, 0, 0, 0), BAD),
            (header(1, 5, 0, 5), BAD),
            (header(0, 5, 3, 5), BAD),
            (header(0, 5, 99, 5), BAD),
            (header(0, 5, 0, (128 << 10) + 1), BAD),
            (header(0, (256 << 10) + 1, 1, 5), BAD),
            (b"XETBLOB\0".to_vec(), BAD),
            (
                [header(0, 5, 1, 5), vec![9; 5]].concat(),
                "a chunk cannot be unpacked",
            ),
            (bomb, OTHER),
            (grouped_bomb, OTHER),
        ] {
            let mut range = chunk;
            range.resize(range.len().max(13), 0);
            let place = Arc::new(Memory::default());
            let fetch = fetch(range.len(), 1, vec![part(0..1, 0, 5)], 0..100);
            let (_, result) = decoded(fetch, &range, 1 << 20, &place);
            assert_eq!(words(result), expected, "{:?}", &range[..8]);
        }
    }

    #[test]
    fn unpacking_stops_at_the_claimed_length() {
        let zeros = vec![0; 50 << 20];
        for scheme in [CompressionScheme::LZ4, CompressionScheme::ByteGrouping4LZ4] {
            let frame = CompressionScheme::LZ4.compress_from_slice(&zeros).unwrap();
            let header = header(0, 100, scheme as u8, 1000);
            let header = read_header(header.first_chunk().unwrap()).unwrap();
            let mut buffer = Vec::new();
            let error = header.unpack(&frame, &mut buffer).unwrap_err();
            assert!(error.contains("another length"), "{error}");
            assert!(buffer.capacity() < 1 << 20, "{}", buffer.capacity());
        }
    }

    #[test]
    fn a_range_is_what_the_plan_says() {
        let (chunks, range) = three();
        let all = chunks.iter().map(Vec::len).sum();
        const LENGTHS: &str = "the chunks of a term have other lengths";
        for (length, count, uses, expected) in [
            (range.len(), 3, part(0..3, 0, all), "good"),
            (
                range.len() - 1,
                3,
                part(0..3, 0, all),
                "more bytes came than were asked for",
            ),
            (
                range.len() + 1,
                3,
                part(0..3, 0, all),
                "the range ended too early",
            ),
            (
                range.len(),
                4,
                part(0..3, 0, all),
                "the range ended too early",
            ),
            (
                range.len(),
                2,
                part(0..2, 0, 5256),
                "more chunks came than were promised",
            ),
            (range.len(), 3, part(0..3, 0, all - 1), LENGTHS),
            (range.len(), 3, part(0..3, 0, all + 1), LENGTHS),
            (range.len(), 3, part(0..2, 0, all), LENGTHS),
        ] {
            let place = Arc::new(Memory::default());
            let fetch = fetch(length, count, vec![uses], 0..1 << 20);
            let (_, result) = decoded(fetch, &range, 4096, &place);
            assert_eq!(words(result), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever comes, decoding ends, and what is noted has the hash that it is noted with.
        #[test]
        fn damaged_ranges(
            flips in proptest::collection::vec((0_usize..9000, 1_u8..=255), 0..3),
            piece in 1_usize..5000,
        ) {
            let (chunks, mut range) = three();
            let all = chunks.iter().map(Vec::len).sum();
            for (at, flip) in &flips {
                if let Some(byte) = range.get_mut(*at) {
                    *byte ^= flip;
                }
            }
            let place = Arc::new(Memory::default());
            let fetch = fetch(range.len(), 3, vec![part(0..3, 0, all)], 0..1 << 20);
            let (outcome, _) = decoded(fetch, &range, piece, &place);
            let bytes = place.bytes.lock().unwrap();
            let mut written = 0;
            for (offset, chunk) in place.noted.lock().unwrap().iter() {
                let end = *offset as usize + chunk.length as usize;
                prop_assert_eq!(chunk.hash, chunk_hash(&bytes[*offset as usize..end]));
                written += u64::from(chunk.length);
            }
            prop_assert_eq!(outcome.written, written);
            let missing: u64 = outcome.missing.iter().map(|part| part.end - part.start).sum();
            prop_assert_eq!(written + missing, all as u64);
        }
    }
}
