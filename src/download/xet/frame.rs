//! A chunk as a xorb has it: a header, and packed bytes (docs/reference.md#xet-storage).
//!
//! The library's own reader keeps measurements in variables that all threads share without a lock, and
//! unpacks grouped chunks without a limit. Here the limits of the format are checked before memory is taken
//! for what a header claims, and unpacking stops at the length that it claims.

use std::io::Read;

use lz4_flex::frame::FrameDecoder;

use super::plan::{HEADER, LONGEST_CHUNK};

/// What the bytes of a chunk are packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    /// A frame of LZ4.
    Lz4,
    /// A frame of LZ4 with the bytes in four groups: all first bytes of four, all second ones, and so on.
    GroupedLz4,
}

/// The header of a chunk, within the limits of the format.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Bytes of the chunk, unpacked.
    pub unpacked: u32,
    packed: u32,
    scheme: Scheme,
}

const BAD_HEADER: &str = "a chunk's header is not of the format";

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// It breaks the limits of the format.
    pub fn read(bytes: &[u8; HEADER as usize]) -> Result<Self, &'static str> {
        let &[version, a, b, c, scheme, d, e, f] = bytes;
        let (packed, unpacked) = ([a, b, c, 0], [d, e, f, 0]);
        let (packed, unpacked) = (u32::from_le_bytes(packed), u32::from_le_bytes(unpacked));
        let scheme = match scheme {
            0 => Scheme::Plain,
            1 => Scheme::Lz4,
            2 => Scheme::GroupedLz4,
            _ => return Err(BAD_HEADER),
        };
        let is_possible = version == 0
            && u64::from(packed) <= 2 * LONGEST_CHUNK
            && (1..=LONGEST_CHUNK).contains(&u64::from(unpacked));
        let header = Header {
            unpacked,
            packed,
            scheme,
        };
        is_possible.then_some(header).ok_or(BAD_HEADER)
    }

    /// Bytes of the chunk in the xorb, with its header.
    pub fn whole(self) -> usize {
        HEADER as usize + self.packed as usize
    }

    /// The content of the chunk: in `packed` itself, or unpacked into `buffer`.
    ///
    /// # Errors
    /// The bytes are not what the header claims.
    pub fn unpack<'a>(
        self,
        packed: &'a [u8],
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], &'static str> {
        let length = self.unpacked as usize;
        let bytes = if self.scheme == Scheme::Plain {
            packed
        } else {
            buffer.clear();
            // One byte more, to tell a longer one.
            let mut frame = FrameDecoder::new(packed).take(u64::from(self.unpacked) + 1);
            let read = frame.read_to_end(buffer);
            read.map_err(|_| "a chunk cannot be unpacked")?;
            if self.scheme == Scheme::GroupedLz4 && buffer.len() == length {
                *buffer = in_order(buffer);
            }
            buffer
        };
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err("a chunk unpacks to another length than it claims"),
        }
    }
}

/// Bytes that stand in four groups, in their order. The first groups have the bytes behind the last whole four.
fn in_order(grouped: &[u8]) -> Vec<u8> {
    let (whole, more) = (grouped.len() / 4, grouped.len() % 4);
    let (first, rest) = grouped.split_at(whole + usize::from(more > 0));
    let (second, rest) = rest.split_at(whole + usize::from(more > 1));
    let (third, fourth) = rest.split_at(whole + usize::from(more > 2));
    let mut bytes = vec![0; grouped.len()];
    let (fours, end) = bytes.as_chunks_mut::<4>();
    let groups = first.iter().zip(second).zip(third.iter().zip(fourth));
    for (four, ((&a, &b), (&c, &d))) in fours.iter_mut().zip(groups) {
        *four = [a, b, c, d];
    }
    for (byte, group) in end.iter_mut().zip([first, second, third]) {
        *byte = group[whole];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use xet_core_structures::xorb_object::byte_grouping::bg4::bg4_split;
    use xet_core_structures::xorb_object::parse_chunk_header;

    use super::*;

    #[test]
    fn groups_are_those_of_the_library() {
        let bytes: Vec<u8> = (0..2000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for length in (0..70).chain([1000, 1001, 1002, 1003, 2000]) {
            let bytes = &bytes[..length];
            assert_eq!(in_order(&bg4_split(bytes)), bytes, "{length}");
        }
    }

    proptest::proptest! {
        /// The library takes no other headers, but for empty chunks and a scheme that no chunk has.
        #[test]
        fn headers_are_those_of_the_library(
            version in 0_u8..3, scheme in 0_u8..5, packed in 0..1_u32 << 19, unpacked in 0..1_u32 << 18,
        ) {
            let ([a, b, c, _], [d, e, f, _]) = (packed.to_le_bytes(), unpacked.to_le_bytes());
            let bytes = [version, a, b, c, scheme, d, e, f];
            match (Header::read(&bytes), parse_chunk_header(bytes)) {
                (Ok(ours), Ok(theirs)) => {
                    proptest::prop_assert_eq!(ours.unpacked, theirs.get_uncompressed_length());
                    proptest::prop_assert_eq!(ours.packed, theirs.get_compressed_length());
                }
                (Err(_), theirs) => proptest::prop_assert!(theirs.is_err() || unpacked == 0),
                (Ok(_), Err(error)) => panic!("{error}"),
            }
        }
    }
}
