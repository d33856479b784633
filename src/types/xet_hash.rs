//! The Xet hash of a content: a hash over the hashes of its chunks (docs/reference.md#xet-storage).
//!
//! Only the whole list of chunks proves a content, but each can be hashed by itself, on any core and in
//! any order. Where a content is cut into chunks depends on its bytes alone, so the cutting can
//! be shared by several cores as well ([`cuts`]).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::types::is_lower_hex;
use crate::types::xet_cut::{cut_for_certain, first_chunk};
pub use crate::types::xet_root::{ChunkHash, chunk_hash, xet_hash};

/// Bytes in which a place for a cut is looked for: behind a pair of ordinary chunks. It has about eight
/// chunks, and where no two of them are ordinary there is no cut.
const SCAN: usize = 512 << 10;

/// Bytes that are read at a time.
const READ: usize = 1 << 20;

/// Whether this is a Xet hash in hex digits.
pub fn is_xet_hash(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

/// Cuts a file of `size` bytes into parts of about `share` bytes that begin at chunks, for several cores.
///
/// # Errors
/// The system's reason.
pub fn cuts(file: &mut File, size: u64, share: u64) -> io::Result<Vec<Range<u64>>> {
    let mut starts = vec![0];
    if share > 2 * SCAN as u64 && share <= size / 2 {
        let mut scan = vec![0; SCAN];
        let mut place = share;
        // The last part has its share, too.
        while place + share < size {
            file.seek(SeekFrom::Start(place))?;
            file.read_exact(&mut scan)?;
            starts.extend(cut_for_certain(&scan).map(|cut| place + cut as u64));
            place += share;
        }
    }
    let ends = starts.iter().skip(1).copied().chain([size]);
    Ok(starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| start..end)
        .collect())
}

/// The chunks of a part of a file that begins at a chunk, with their lengths. `read` is called with
/// the number of bytes of each read.
///
/// # Errors
/// The system's reason; [`io::ErrorKind::UnexpectedEof`] where the file is shorter.
pub fn chunks_of(
    file: &mut File,
    part: Range<u64>,
    mut read: impl FnMut(u64),
) -> io::Result<Vec<(ChunkHash, u64)>> {
    let mut chunks = Vec::new();
    let mut buffer = vec![0; READ];
    // Bytes at the start of the buffer that belong to a chunk without an end.
    let mut begun = 0;
    let mut left = part.end - part.start;
    file.seek(SeekFrom::Start(part.start))?;
    while left > 0 {
        let room = (buffer.len() - begun).min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[begun..begun + room])?;
        read(room as u64);
        left -= room as u64;
        let (filled, mut start) = (begun + room, 0);
        while let Some(length) = first_chunk(&buffer[start..filled]) {
            chunks.push((chunk_hash(&buffer[start..start + length]), length as u64));
            start += length;
        }
        buffer.copy_within(start..filled, 0);
        // It is looked at again from its start.
        begun = filled - start;
    }
    if begun > 0 {
        chunks.push((chunk_hash(&buffer[..begun]), begun as u64));
    }
    Ok(chunks)
}

/// Whether the Xet hash of a file is this one, on one core. The whole file is read.
///
/// # Errors
/// The system's reason.
pub fn has_xet_hash(path: &Path, hash: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok(xet_hash(chunks_of(&mut file, 0..size, |_| ())?) == hash)
}

/// Bytes without repetition.
#[cfg(test)]
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use xet_data::deduplication::{Chunker, find_partitions};

    use super::*;

    // As `hf_xet.hash_files`, the Python client's library, computes it for the numbers up to a million.
    const NUMBERS: &str = "77d1371ef7e1abcbe931aa87e2701875197a8814a6c43c76e29590cfefe52611";

    fn numbers() -> Vec<u8> {
        (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn names_are_the_storages() {
        let mut file = file_of(&numbers());
        assert!(has_xet_hash(file.path(), NUMBERS).unwrap());
        file.as_file_mut().seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"x").unwrap();
        assert!(!has_xet_hash(file.path(), NUMBERS).unwrap());
        assert_eq!(xet_hash([]), "0".repeat(64));
        assert!(is_xet_hash(NUMBERS) && !is_xet_hash(&NUMBERS.to_uppercase()));
    }

    #[test]
    fn chunks_are_those_of_the_library() {
        for (seed, size) in [
            (1, 0),
            (1, 1),
            (2, 70_000),
            (3, 5 << 20),
            (4, (3 << 20) + 17),
        ] {
            let bytes = match seed {
                // Chunks of the greatest length.
                3 => vec![0; size],
                _ => noise(seed, size),
            };
            let mut chunker = Chunker::default();
            let mut expected = chunker.next_block(&bytes, false);
            expected.extend(chunker.finish());
            let file = file_of(&bytes);
            let mut counted = 0;
            let found = chunks_of(&mut file.reopen().unwrap(), 0..size as u64, |n| {
                counted += n
            });
            let lengths =
                |chunks: &[(ChunkHash, u64)]| chunks.iter().map(|c| c.1).collect::<Vec<_>>();
            let expected: Vec<_> = expected
                .iter()
                .map(|chunk| (chunk_hash(&chunk.data), chunk.data.len() as u64))
                .collect();
            let found = found.unwrap();
            assert_eq!(lengths(&found), lengths(&expected), "{size}");
            assert!(found == expected && counted == size as u64, "{size}");
        }
    }

    #[test]
    fn parts_have_the_chunks_of_the_whole() {
        let bytes = noise(5, 12 << 20);
        let file = file_of(&bytes);
        let size = bytes.len() as u64;
        let cut = |share| cuts(&mut file.reopen().unwrap(), size, share).unwrap();
        let parts = cut(2 << 20);
        assert!(parts.len() >= 4, "{parts:?}");
        let chunks = |part| chunks_of(&mut file.reopen().unwrap(), part, |_| ()).unwrap();
        let of_parts: Vec<_> = parts.into_iter().flat_map(chunks).collect();
        assert!(of_parts == chunks(0..size));
        for share in [
            SCAN * 2 + 1,
            2 << 20,
            3 << 20,
            4 << 20,
            (4 << 20) + 77,
            6 << 20,
        ] {
            let mut file = file.reopen().unwrap();
            let expected = find_partitions(&mut file, bytes.len(), 64 << 10, share, SCAN).unwrap();
            let starts: Vec<_> = cut(share as u64)
                .iter()
                .map(|part| part.start as usize)
                .collect();
            assert_eq!(starts, expected, "{share}");
        }
        let whole = 0..size;
        for share in [0, 1 << 20, 7 << 20, u64::MAX] {
            assert_eq!(cut(share), std::slice::from_ref(&whole));
        }
        let nothing = cuts(&mut file.reopen().unwrap(), 0, 0);
        assert_eq!(nothing.unwrap(), std::slice::from_ref(&(0..0)));
        let beyond = chunks_of(&mut file.reopen().unwrap(), 0..size + 1, |_| ());
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
