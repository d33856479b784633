//! What the storage answers when it is asked for a plan (docs/reference.md#xet-storage).

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The hash of a xorb. It serves as a name only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XorbHash([u8; 32]);

/// From its bytes, in the order of its digits.
impl From<[u8; 32]> for XorbHash {
    fn from(bytes: [u8; 32]) -> Self {
        XorbHash(bytes)
    }
}

impl<'de> Deserialize<'de> for XorbHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = XorbHash;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("64 hex digits")
            }

            fn visit_str<E: Error>(self, digits: &str) -> Result<XorbHash, E> {
                let mut bytes = [0; 32];
                match hex::decode_to_slice(digits, &mut bytes) {
                    Ok(()) => Ok(XorbHash(bytes)),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(digits), &self)),
                }
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

/// From `start`; whether `end` is inclusive depends on what it counts.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub struct Span<T> {
    /// The first one.
    pub start: T,
    /// The last one, or the one after it.
    pub end: T,
}

/// Consecutive chunks of a xorb, as the content goes on with them.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct AnswerTerm {
    /// The xorb.
    pub hash: XorbHash,
    /// Bytes of the chunks together, unpacked.
    pub unpacked_length: u32,
    /// Numbers of the chunks in the xorb; the end is exclusive.
    pub range: Span<u32>,
}

/// What a part of a content is made of.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Answer {
    /// Bytes of the first term before the part.
    pub offset_into_first_range: u64,
    /// In the order of the content.
    pub terms: Vec<AnswerTerm>,
    /// Links for each xorb.
    pub xorbs: HashMap<XorbHash, Vec<SignedLink>>,
}

/// A signed link, and what it may be asked for.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct SignedLink {
    /// The link.
    pub url: String,
    /// The ranges.
    pub ranges: Vec<SignedRange>,
}

/// Consecutive chunks of a xorb.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct SignedRange {
    /// Their numbers; the end is exclusive.
    pub chunks: Span<u32>,
    /// The bytes of the xorb that hold them; the end is inclusive.
    pub bytes: Span<u64>,
}

/// An answer of version 1: a link for each range.
#[derive(Debug, serde::Deserialize)]
pub struct OldAnswer {
    offset_into_first_range: u64,
    terms: Vec<AnswerTerm>,
    fetch_info: HashMap<XorbHash, Vec<OldLink>>,
}

#[derive(Debug, serde::Deserialize)]
struct OldLink {
    range: Span<u32>,
    url: String,
    url_range: Span<u64>,
}

impl From<OldAnswer> for Answer {
    fn from(old: OldAnswer) -> Self {
        let link = |link: OldLink| SignedLink {
            url: link.url,
            ranges: vec![SignedRange {
                chunks: link.range,
                bytes: link.url_range,
            }],
        };
        let xorbs = old.fetch_info.into_iter();
        let xorbs = xorbs.map(|(hash, links)| (hash, links.into_iter().map(link).collect()));
        Answer {
            offset_into_first_range: old.offset_into_first_range,
            terms: old.terms,
            xorbs: xorbs.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use xet_client::cas_types::{QueryReconstructionResponse, QueryReconstructionResponseV2};

    use super::*;

    /// What the library's type for it says, written by the library.
    fn both<T: serde::Serialize + serde::de::DeserializeOwned>(
        text: serde_json::Value,
    ) -> serde_json::Value {
        serde_json::to_value(serde_json::from_value::<T>(text).unwrap()).unwrap()
    }

    #[test]
    fn answers_are_those_of_the_library() {
        let hash = format!(
            "{}{}",
            "0123456789abcdef".repeat(2),
            "fedcba9876543210".repeat(2)
        );
        let terms = json!([{"hash": hash, "unpacked_length": 9, "range": {"start": 3, "end": 4}}]);
        let new = both::<QueryReconstructionResponseV2>(json!({
            "offset_into_first_range": 7, "terms": terms, "xorbs": {&hash: [
                {"url": "u", "ranges": [{"chunks": {"start": 2, "end": 9}, "bytes": {"start": 0, "end": 199}}]},
            ]},
        }));
        let old = both::<QueryReconstructionResponse>(json!({
            "offset_into_first_range": 7, "terms": terms, "fetch_info": {&hash: [
                {"range": {"start": 2, "end": 9}, "url": "u", "url_range": {"start": 0, "end": 199}},
            ]},
        }));
        let new: Answer = serde_json::from_value(new).unwrap();
        let old: OldAnswer = serde_json::from_value(old).unwrap();
        assert_eq!(format!("{new:?}"), format!("{:?}", Answer::from(old)));
        let digits: Vec<u8> = hex::decode(&hash).unwrap();
        assert_eq!(new.terms[0].hash.0.as_slice(), digits);
        assert_eq!(
            (
                new.terms[0].range.start,
                new.xorbs[&new.terms[0].hash][0].ranges[0].bytes.end
            ),
            (3, 199)
        );
    }

    #[test]
    fn hashes_have_64_digits() {
        let read = |text: &str| serde_json::from_value::<XorbHash>(json!(text));
        assert_eq!(read(&"aB".repeat(32)).unwrap(), XorbHash([0xab; 32]));
        for bad in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("expected 64 hex digits"), "{error}");
        }
    }
}
