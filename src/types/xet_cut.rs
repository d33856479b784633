//! Where contents are cut into chunks for Xet storage: where a rolling hash over the last 64 bytes says so
//! (docs/reference.md#xet-storage). It depends on the bytes alone.

/// The size that contents are cut into chunks for, in bytes.
const TARGET: usize = 64 << 10;

/// No chunk but the last of a content is shorter.
pub const SHORTEST: usize = TARGET / 8;

/// No chunk is longer.
pub const LONGEST: usize = TARGET * 2;

/// A cut is where these bits of the rolling hash are zero: the upper ones, on which most bytes have an effect.
const MASK: u64 = ((TARGET - 1) as u64) << 48;

/// Bytes that the rolling hash looks back on.
const WINDOW: usize = 64;

/// The length of the first chunk of a content that begins with these bytes; `None` if it does not end in them.
pub fn first_chunk(bytes: &[u8]) -> Option<usize> {
    let mut hasher = gearhash::Hasher::default();
    let longest = bytes.len().min(LONGEST);
    // The hash has to have seen a whole window at the first place for a cut.
    let mut end = longest.min(SHORTEST - WINDOW - 1);
    while let Some(length) = hasher.next_match(&bytes[end..longest], MASK) {
        end += length;
        if end >= SHORTEST {
            return Some(end);
        }
    }
    (longest == LONGEST).then_some(LONGEST)
}

/// A place in these bytes where a chunk begins, whatever stands before them.
///
/// Places are looked for without a shortest chunk. Behind two chunks that are neither short nor nearly of the
/// greatest length, every way to cut what is before has come to the same place: this is the library's rule.
pub fn cut_for_certain(bytes: &[u8]) -> Option<usize> {
    let ordinary = SHORTEST + 1..LONGEST - SHORTEST;
    let mut hasher = gearhash::Hasher::default();
    let (mut start, mut before) = (0, 0);
    loop {
        let longest = bytes.len().min(start + LONGEST);
        let length = match hasher.next_match(&bytes[start..longest], MASK) {
            Some(length) => length,
            None if longest - start == LONGEST => LONGEST,
            None => return None,
        };
        hasher.set_hash(0);
        start += length;
        // The first chunk begins somewhere inside one.
        if ordinary.contains(&before) && ordinary.contains(&length) {
            return Some(start);
        }
        before = match start == length {
            true => 0,
            false => length,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use xet_data::deduplication::{Chunker, find_partitions};

    use super::*;
    use crate::types::xet_hash::noise;

    /// Contents of many kinds: noise, repetition, and both in turns.
    fn contents() -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(9);
        let mut contents = vec![Vec::new(), vec![0; 1 << 20], vec![0x5a; 300_000]];
        for seed in 0..24 {
            let mut bytes = noise(seed, random.usize(1..2 << 20));
            for _ in 0..random.usize(0..6) {
                let start = random.usize(..bytes.len());
                let end = bytes.len().min(start + random.usize(..400_000));
                bytes[start..end].fill(random.u8(..));
            }
            // Short periods meet the hash again and again.
            let period = random.usize(1..5000).min(bytes.len());
            let pattern = bytes[..period].to_vec();
            contents.push(pattern.into_iter().cycle().take(700_000).collect());
            contents.push(bytes);
        }
        contents
    }

    #[test]
    fn chunks_end_where_the_library_ends_them() {
        for (number, bytes) in contents().iter().enumerate() {
            let mut start = 0;
            loop {
                let mut chunker = Chunker::new(TARGET);
                let expected = chunker.next_boundary(&bytes[start..]);
                assert_eq!(
                    first_chunk(&bytes[start..]),
                    expected,
                    "{number} at {start}"
                );
                let Some(length) = expected else { break };
                start += length;
            }
        }
        for length in [
            0,
            1,
            SHORTEST - 66,
            SHORTEST - 65,
            SHORTEST - 64,
            SHORTEST,
            LONGEST - 1,
        ] {
            assert_eq!(first_chunk(&vec![0; length]), None, "{length}");
        }
        assert_eq!(first_chunk(&vec![0; LONGEST]), Some(LONGEST));
    }

    /// Bytes at whose end the rolling hash, from its start, has its first cut.
    fn ends_in_a_cut<const N: usize>() -> [u8; N] {
        let mut random = fastrand::Rng::with_seed(3);
        let mut bytes = [0; N];
        while gearhash::Hasher::default().next_match(&bytes, MASK) != Some(N) {
            random.fill(&mut bytes);
        }
        bytes
    }

    #[test]
    fn each_chunk_starts_the_hash() {
        // Behind each cut stand three bytes that are a chunk by themselves. So no two chunks in a row are ordinary.
        let mut bytes = vec![0; 20_000];
        bytes.extend(ends_in_a_cut::<WINDOW>());
        bytes.extend(ends_in_a_cut::<3>());
        assert_eq!(cut_for_certain(&bytes.repeat(20)), None);
        bytes.truncate(20_000 + WINDOW);
        assert_eq!(cut_for_certain(&bytes.repeat(20)), Some(3 * bytes.len()));
    }

    #[test]
    fn the_shortest_chunk() {
        let window = ends_in_a_cut::<WINDOW>();
        for (length, is_cut) in [
            (SHORTEST - 1, false),
            (SHORTEST, true),
            (SHORTEST + 1, true),
        ] {
            let mut bytes = vec![0; length - WINDOW];
            bytes.extend(window);
            bytes.extend([0; 1000]);
            let expected = Chunker::new(TARGET).next_boundary(&bytes);
            assert_eq!(expected, is_cut.then_some(length));
            assert_eq!(first_chunk(&bytes), expected);
        }
    }

    #[test]
    fn certain_cuts_are_those_of_the_library() {
        const SCAN: usize = 512 << 10;
        let mut found = 0;
        for (number, bytes) in contents().into_iter().enumerate() {
            let (before, length) = (256 << 10, 900 << 10);
            let Some(scan) = bytes.get(before..before + SCAN) else {
                continue;
            };
            let certain = cut_for_certain(scan).map(|cut| before + cut);
            found += usize::from(certain.is_some());
            let mut file = Cursor::new(bytes.repeat(2));
            let expected = find_partitions(&mut file, length, TARGET, before, SCAN).unwrap();
            assert_eq!(expected.get(1).copied(), certain, "{number}");
        }
        assert!(found > 5, "{found}");
    }
}
