//! Bodies that are compressed although the request did not allow it. A proxy in between may do that; the
//! content is correct after decompression, and its hash proves it.

use std::io::{self, Write};

use flate2::write::{GzDecoder, ZlibDecoder};
use reqwest::header::HeaderMap;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls `deflate`.
    Zlib,
}

impl Encoding {
    /// The encoding that an answer names, if it is one that can be unpacked here.
    pub fn of(headers: &HeaderMap) -> Option<Encoding> {
        let name = headers.get("content-encoding")?.to_str().ok()?;
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Zlib),
            _ => None,
        }
    }

    /// Unpacks a body of this encoding.
    pub fn decoder(self) -> Decoder {
        match self {
            Encoding::Gzip => Decoder::Gzip(GzDecoder::new(Vec::new())),
            Encoding::Zlib => Decoder::Zlib(ZlibDecoder::new(Vec::new())),
        }
    }
}

/// The encoding of an answer that cannot be unpacked here; `None` when its body can be read.
pub fn unknown(headers: &HeaderMap) -> Option<String> {
    let named = headers.get("content-encoding")?.as_bytes();
    let named = String::from_utf8_lossy(named).trim().to_ascii_lowercase();
    let is_plain = named.is_empty() || named == "identity";
    // A server could send a header of any length.
    (!is_plain && Encoding::of(headers).is_none()).then(|| named.chars().take(40).collect())
}

/// A body being unpacked.
#[derive(Debug)]
pub enum Decoder {
    /// See [`Encoding::Gzip`].
    Gzip(GzDecoder<Vec<u8>>),
    /// See [`Encoding::Zlib`].
    Zlib(ZlibDecoder<Vec<u8>>),
}

impl Decoder {
    /// The plain bytes that these bytes bring.
    ///
    /// # Errors
    /// They are not of this encoding.
    pub fn decode(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Decoder::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Decoder::Zlib(decoder) => {
                decoder.write_all(bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }

    /// The plain bytes that were still held back, when the body is over.
    ///
    /// # Errors
    /// The body broke off.
    pub fn finish(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Decoder::Gzip(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Decoder::Zlib(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn packed(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn what_was_packed_is_unpacked_whatever_the_pieces() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        for encoding in [Encoding::Gzip, Encoding::Zlib] {
            let packed = packed(encoding, &plain);
            for piece in [1, 1000, packed.len()] {
                let mut decoder = encoding.decoder();
                let mut out = Vec::new();
                for bytes in packed.chunks(piece) {
                    out.extend(decoder.decode(bytes).unwrap());
                }
                out.extend(decoder.finish().unwrap());
                assert!(out == plain, "{encoding:?} {piece}");
            }
            let mut decoder = encoding.decoder();
            let half = decoder.decode(&packed[..packed.len() / 2]).unwrap();
            assert!(half.len() < plain.len());
            assert!(decoder.finish().is_err(), "it broke off");
            assert!(encoding.decoder().decode(b"plain text").is_err());
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1024))]

        /// Any bytes, and packed ones with damage anywhere, in pieces of any size: what comes out is the
        /// beginning of what was packed, or an error.
        #[test]
        fn any_body_is_unpacked_or_refused(
            plain in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500),
            (cut, at, flip) in (0_usize..600, 0_usize..600, 0_u8..=255),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100),
            piece in 1_usize..70,
        ) {
            for encoding in [Encoding::Gzip, Encoding::Zlib] {
                let whole = packed(encoding, &plain);
                let mut damaged = whole[..cut.min(whole.len())].to_vec();
                if let Some(byte) = damaged.get_mut(at) {
                    *byte ^= flip;
                }
                let is_whole = damaged == whole;
                for bytes in [&damaged, &noise] {
                    let (mut decoder, mut out) = (encoding.decoder(), Vec::new());
                    let mut is_right = true;
                    for bytes in bytes.chunks(piece) {
                        match decoder.decode(bytes) {
                            Ok(more) => out.extend(more),
                            Err(_) => is_right = false,
                        }
                    }
                    match decoder.finish() {
                        Ok(more) => out.extend(more),
                        Err(_) => is_right = false,
                    }
                    if is_whole && std::ptr::eq(bytes, &raw const damaged) {
                        proptest::prop_assert!(is_right && out == plain);
                    }
                }
            }
        }
    }

    #[test]
    fn names() {
        for (name, expected, unreadable) in [
            ("gzip", Some(Encoding::Gzip), None),
            ("X-GZIP", Some(Encoding::Gzip), None),
            ("deflate", Some(Encoding::Zlib), None),
            (" BR ", None, Some("br")),
            ("zstd", None, Some("zstd")),
            ("Identity", None, None),
            ("", None, None),
            ("gzip, gzip", None, Some("gzip, gzip")),
        ] {
            let headers = [("content-encoding".parse().unwrap(), name.parse().unwrap())];
            let headers: HeaderMap = headers.into_iter().collect();
            assert_eq!(Encoding::of(&headers), expected, "{name}");
            assert_eq!(unknown(&headers).as_deref(), unreadable, "{name}");
        }
    }
}
