//! The records of a journal: how they are written, and what they say when they are read again. Pure.
//!
//! A record is a letter, the bytes that belong to it (numbers are little-endian), and a CRC-32 of both.
//! Reading ends at the first record that is cut short or does not have its CRC: a process was killed or
//! the power failed while it was written, and what comes behind it was never noted.

use std::collections::BTreeMap;
use std::ops::Range;

use super::ranges::RangeSet;
use crate::types::xet_hash::ChunkHash;

/// First bytes of a journal, with the version of its format.
const MAGIC: &[u8] = b"hf-journal 1\n";

/// Number for a size that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Which content a journal is about, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Hash of the content, as text; see [`key_of`].
    pub key: [u8; 16],
    /// Size of the content in bytes.
    pub size: Option<u64>,
    /// The boot of the machine during which the records were written, where the system tells.
    pub boot: Option<[u8; 16]>,
}

/// What identifies a file and its state, to see whether another program touched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Inode number.
    pub inode: u64,
    /// Length in bytes.
    pub length: u64,
    /// Time of the last change of its content, in nanoseconds since 1970.
    pub modified: i128,
    /// User who owns it.
    pub owner: u32,
}

/// A chunk of Xet storage that lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its length in bytes.
    pub length: u32,
    /// Its hash, see [`crate::types::xet_hash::chunk_hash`].
    pub hash: ChunkHash,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// These bytes were written.
    Written(Range<u64>),
    /// This chunk was written at this offset.
    Chunk(u64, Chunk),
    /// What the first so many bytes of the journal name was flushed to the disk.
    Flushed(u64),
    /// The writer stopped in order, and left the file like this.
    Closed(Identity),
}

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Bytes that are in the file.
    pub present: RangeSet,
    /// Chunks in the file, by offset.
    pub chunks: BTreeMap<u64, Chunk>,
    /// How the file was left, when the writer stopped in order and nothing was noted since.
    pub closed: Option<Identity>,
    /// Length in bytes of the part of the journal that can be read.
    pub length: u64,
    /// Another boot wrote it, so all of this was flushed.
    pub is_of_another_boot: bool,
}

impl Told {
    /// Adds what a record says.
    pub fn apply(&mut self, record: &Record) {
        self.closed = None;
        match record {
            Record::Written(range) => {
                self.present.insert(range.clone());
            }
            Record::Chunk(offset, chunk) => {
                self.present
                    .insert(*offset..*offset + u64::from(chunk.length));
                self.chunks.insert(*offset, *chunk);
            }
            Record::Flushed(_) => {}
            Record::Closed(identity) => self.closed = Some(*identity),
        }
    }

    /// Forgets what lies behind the end of the file or of the content: those bytes are not there.
    pub fn within(mut self, length: u64) -> Told {
        self.present.remove(length..u64::MAX);
        let present = &self.present;
        self.chunks
            .retain(|&offset, chunk| present.contains(&(offset..offset + u64::from(chunk.length))));
        self
    }
}

/// The key of a content: a short hash of its etag or of whatever else names it.
pub fn key_of(name: &str) -> [u8; 16] {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&digest.as_ref()[..16]);
    key
}

/// The start of a journal.
pub fn encode_header(header: &Header) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(header.key);
    bytes.extend(header.size.unwrap_or(UNKNOWN).to_le_bytes());
    bytes.extend(header.boot.unwrap_or_default());
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// Length of a header in bytes.
const HEADER: usize = MAGIC.len() + 16 + 8 + 16 + 4;

/// Appends a record to a buffer.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    let start = into.len();
    match record {
        Record::Written(range) => {
            into.push(b'W');
            into.extend(range.start.to_le_bytes());
            into.extend((range.end - range.start).to_le_bytes());
        }
        Record::Chunk(offset, chunk) => {
            into.push(b'C');
            into.extend(offset.to_le_bytes());
            into.extend(chunk.length.to_le_bytes());
            into.extend(chunk.hash);
        }
        Record::Flushed(length) => {
            into.push(b'F');
            into.extend(length.to_le_bytes());
        }
        Record::Closed(identity) => {
            into.push(b'S');
            into.extend(identity.inode.to_le_bytes());
            into.extend(identity.length.to_le_bytes());
            into.extend(identity.modified.to_le_bytes());
            into.extend(identity.owner.to_le_bytes());
        }
    }
    let crc = crc32fast::hash(&into[start..]);
    into.extend(crc.to_le_bytes());
}

/// The header of a journal, whatever it is about.
pub fn header_of(bytes: &[u8]) -> Option<Header> {
    let fields = bytes.get(MAGIC.len()..HEADER)?;
    let size = u64::from_le_bytes(fields[16..24].try_into().ok()?);
    let boot: [u8; 16] = fields[24..40].try_into().ok()?;
    let header = Header {
        key: fields[..16].try_into().ok()?,
        size: (size != UNKNOWN).then_some(size),
        boot: (boot != [0; 16]).then_some(boot),
    };
    (encode_header(&header) == bytes[..HEADER]).then_some(header)
}

/// Reads a journal; `None` when it is not one about this content. Within the boot that wrote it, all that
/// it notes as written counts; otherwise, or where the system does not tell boots apart, only what it
/// notes as flushed: the bytes of the rest may have been lost with the power.
pub fn read(bytes: &[u8], expected: &Header) -> Option<Told> {
    let as_written = header_of(bytes)?;
    if (as_written.key, as_written.size) != (expected.key, expected.size) {
        return None;
    }
    let records = records(&bytes[HEADER..], HEADER);
    let length = records.last().map_or(HEADER, |&(end, _)| end);
    let is_same_boot = expected.boot.is_some() && as_written.boot == expected.boot;
    let counts = match is_same_boot {
        true => length as u64,
        false => flushed(&records),
    };
    let mut told = Told::default();
    for (end, record) in &records {
        if *end as u64 <= counts {
            told.apply(record);
        }
    }
    if !is_same_boot {
        told.closed = None;
    }
    told.length = length as u64;
    told.is_of_another_boot = !is_same_boot;
    Some(told.within(expected.size.unwrap_or(u64::MAX)))
}

/// How much of the journal was flushed, by its last word about that.
fn flushed(records: &[(usize, Record)]) -> u64 {
    let last = records.iter().rev().find_map(|(_, record)| match record {
        Record::Flushed(length) => Some(*length),
        _ => None,
    });
    last.unwrap_or(0)
}

/// The records that can be read, each with the offset in the journal where it ends.
fn records(mut bytes: &[u8], mut at: usize) -> Vec<(usize, Record)> {
    let mut records = Vec::new();
    while let Some((record, length)) = decode(bytes) {
        at += length;
        bytes = &bytes[length..];
        records.push((at, record));
    }
    records
}

/// The first record and its length in bytes.
fn decode(bytes: &[u8]) -> Option<(Record, usize)> {
    let length = match bytes.first()? {
        b'W' => 17,
        b'C' => 45,
        b'F' => 9,
        b'S' => 37,
        _ => return None,
    };
    let (body, rest) = (bytes.get(..length)?, bytes.get(length..length + 4)?);
    if crc32fast::hash(body).to_le_bytes() != rest {
        return None;
    }
    let number = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap_or_default());
    let short = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap_or_default());
    let record = match body[0] {
        b'W' => Record::Written(number(1)..number(1).checked_add(number(9))?),
        b'C' => {
            let chunk = Chunk {
                length: short(9),
                hash: body[13..45].try_into().ok()?,
            };
            number(1).checked_add(u64::from(chunk.length))?;
            Record::Chunk(number(1), chunk)
        }
        b'F' => Record::Flushed(number(1)),
        _ => Record::Closed(Identity {
            inode: number(1),
            length: number(9),
            modified: i128::from_le_bytes(body[17..33].try_into().ok()?),
            owner: short(33),
        }),
    };
    Some((record, length + 4))
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "one range is often all there is"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            key: key_of("abc"),
            size: Some(1000),
            boot: Some([7; 16]),
        }
    }

    fn journal(records: &[Record]) -> Vec<u8> {
        let mut bytes = encode_header(&header());
        for record in records {
            encode(record, &mut bytes);
        }
        bytes
    }

    fn chunk(length: u32) -> Chunk {
        Chunk {
            length,
            hash: [3; 32],
        }
    }

    fn present(told: &Told) -> Vec<Range<u64>> {
        told.present.iter().collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let identity = Identity {
            inode: 5,
            length: 300,
            modified: -3,
            owner: 1000,
        };
        let mut records = vec![
            Record::Written(0..100),
            Record::Chunk(100, chunk(50)),
            Record::Written(200..300),
            Record::Closed(identity),
        ];
        let told = read(&journal(&records), &header()).unwrap();
        assert_eq!(present(&told), [0..150, 200..300]);
        assert_eq!(told.chunks, BTreeMap::from([(100, chunk(50))]));
        assert_eq!(told.closed, Some(identity));
        assert_eq!(told.length as usize, journal(&records).len());
        records.push(Record::Written(400..500));
        let told = read(&journal(&records), &header()).unwrap();
        assert_eq!(told.closed, None, "it was opened again since");
        let short = told.within(120);
        assert_eq!((present(&short), short.chunks.len()), (vec![0..120], 0));
    }

    #[test]
    fn only_a_journal_of_this_content_counts() {
        let bytes = journal(&[Record::Written(0..100)]);
        let expected = header();
        let others = [
            Header {
                key: key_of("abd"),
                ..expected.clone()
            },
            Header {
                size: None,
                ..expected.clone()
            },
            Header {
                size: Some(999),
                ..expected.clone()
            },
        ];
        for other in others {
            assert_eq!(read(&bytes, &other), None, "{other:?}");
        }
        assert_eq!(read(b"", &expected), None);
        assert_eq!(
            read(
                b"something else, and long enough to have a header of a journal",
                &expected
            ),
            None
        );
    }

    #[test]
    fn after_a_boot_only_what_was_flushed_counts() {
        let mut bytes = journal(&[Record::Written(0..100)]);
        let flushed = bytes.len() as u64;
        encode(&Record::Written(100..200), &mut bytes);
        encode(&Record::Flushed(flushed), &mut bytes);
        encode(&Record::Written(200..300), &mut bytes);
        let all = read(&bytes, &header()).unwrap();
        assert_eq!(present(&all), [0..300]);
        for boot in [Some([8; 16]), None] {
            let after = Header { boot, ..header() };
            assert_eq!(
                present(&read(&bytes, &after).unwrap()),
                [0..100],
                "{boot:?}"
            );
        }
        let none = read(
            &journal(&[Record::Written(0..100)]),
            &Header {
                boot: None,
                ..header()
            },
        );
        assert_eq!(present(&none.unwrap()), []);
    }

    #[test]
    fn a_boot_that_is_not_known_is_never_the_same() {
        let unknown = Header {
            boot: None,
            ..header()
        };
        let mut bytes = encode_header(&unknown);
        encode(&Record::Written(0..100), &mut bytes);
        assert_eq!(present(&read(&bytes, &unknown).unwrap()), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Cut anywhere, or with a byte changed anywhere: what is read is a part of what was noted.
        #[test]
        fn any_damage(cut in 0_usize..400, at in 0_usize..400, flip in 0_u8..=255) {
            let records = [
                Record::Written(0..100),
                Record::Chunk(100, chunk(50)),
                Record::Flushed(70),
                Record::Written(300..400),
                Record::Closed(Identity { inode: 1, length: 2, modified: 3, owner: 4 }),
                Record::Written(500..600),
            ];
            let whole = journal(&records);
            let all = read(&whole, &header()).unwrap();
            let mut bytes = whole.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            bytes.truncate(cut);
            if let Some(told) = read(&bytes, &header()) {
                prop_assert!(told.present.iter().all(|range| all.present.contains(&range)));
                prop_assert!(told.length as usize <= bytes.len());
                let is_whole = flip == 0 || at >= bytes.len();
                prop_assert!(is_whole || (told.length as usize) <= at.max(HEADER));
            }
        }

        #[test]
        fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, &header());
            let mut journal = journal(&[]);
            journal.append(&mut bytes);
            let _ = read(&journal, &header());
        }
    }
}
