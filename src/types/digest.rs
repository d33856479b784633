//! Hashes as bytes. In hex digits, as the Hub and the cache write them, they take two to three times the
//! memory: that counts in a listing of a million files.

use std::fmt;
use std::ops::Deref;

/// Most digits of a [`Hex`]: those of 32 bytes.
const MOST_DIGITS: usize = 64;

/// A hash of `N` bytes, at most 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest<const N: usize>([u8; N]);

/// A SHA-1, which Git's blob hash is.
pub type Sha1Digest = Digest<20>;

/// A SHA-256.
pub type Sha256Digest = Digest<32>;

impl<const N: usize> Digest<N> {
    /// Reads exactly `2 * N` lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * N {
            return None;
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Digest(bytes))
    }

    /// The digits, in lower case.
    pub fn hex(&self) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [b'0'; MOST_DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Hex {
            digits,
            length: (2 * N).min(MOST_DIGITS),
        }
    }
}

/// The value of a lower-case hex digit.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl<const N: usize> From<[u8; N]> for Digest<N> {
    fn from(bytes: [u8; N]) -> Self {
        Digest(bytes)
    }
}

impl<const N: usize> fmt::Display for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl<const N: usize> fmt::Debug for Digest<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The hex digits of a hash, as text that needs no allocation.
#[derive(Clone, Copy)]
pub struct Hex {
    digits: [u8; MOST_DIGITS],
    length: usize,
}

impl Deref for Hex {
    type Target = str;

    fn deref(&self) -> &str {
        // They are ASCII, so this never fails.
        std::str::from_utf8(&self.digits[..self.length]).unwrap_or_default()
    }
}

/// A text that is a hash in most cases: derefs to `str`.
#[derive(Clone, Copy)]
pub enum HashText<'a> {
    /// The digits of a hash.
    Hex(Hex),
    /// Any other text.
    Other(&'a str),
}

impl Deref for HashText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            HashText::Hex(hex) => hex,
            HashText::Other(text) => text,
        }
    }
}

impl fmt::Display for HashText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

/// The Xet hash that a server gives for a content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XetHash {
    /// 64 hex digits.
    Hash(Sha256Digest),
    /// Of a form that no Xet storage knows. Other clients refuse to read it, so it is not stored.
    Odd(Box<str>),
}

impl XetHash {
    /// The hash as text.
    pub fn text(&self) -> HashText<'_> {
        match self {
            XetHash::Hash(hash) => HashText::Hex(hash.hex()),
            XetHash::Odd(text) => HashText::Other(text),
        }
    }

    /// Whether it has the form of a Xet hash.
    pub fn is_valid(&self) -> bool {
        matches!(self, XetHash::Hash(_))
    }
}

impl From<&str> for XetHash {
    fn from(text: &str) -> Self {
        match Digest::from_hex(text) {
            Some(hash) => XetHash::Hash(hash),
            None => XetHash::Odd(text.into()),
        }
    }
}

impl From<String> for XetHash {
    fn from(text: String) -> Self {
        XetHash::from(text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_bytes() {
        let text = "00ff0123456789abcdef00112233445566778899";
        let digest = Sha1Digest::from_hex(text).unwrap();
        assert_eq!(
            (&*digest.hex(), digest.to_string()),
            (text, text.to_owned())
        );
        let text = format!("{text}{}", "0f".repeat(12));
        let digest = Sha256Digest::from_hex(&text).unwrap();
        assert_eq!(&*digest.hex(), text);
        assert_eq!(Sha256Digest::from([15; 32]).to_string(), "0f".repeat(32));
        for bad in [
            "",
            &text[1..],
            &format!("{text}0"),
            &text.to_uppercase(),
            &text.replace("0f", "0g"),
            &format!("é{}", &text[2..]),
        ] {
            assert_eq!(Sha256Digest::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_digits() {
        let [low, high] = ["09", "a0"].map(|two| Sha1Digest::from_hex(&two.repeat(20)).unwrap());
        assert!(low < high && low.hex().as_bytes() < high.hex().as_bytes());
    }

    #[test]
    fn xet_hashes_of_any_form_keep_their_text() {
        for (text, is_valid) in [
            ("a".repeat(64), true),
            ("A".repeat(64), false),
            ("x".to_owned(), false),
            (String::new(), false),
        ] {
            let hash = XetHash::from(text.as_str());
            assert_eq!((&*hash.text(), hash.is_valid()), (text.as_str(), is_valid));
        }
    }
}
