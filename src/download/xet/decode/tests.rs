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
