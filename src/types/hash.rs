//! Proof of content: SHA-256 or Git's blob hash, computed while bytes pass by.

use std::io::{self, Read};

use ring::digest;
use sha1::{Digest, Sha1};

use crate::types::listing::Checksum;

/// Size of the reads when a file is hashed, in bytes: large enough to keep system calls rare, small
/// enough to stay in the processor's cache.
pub const READ_SIZE: usize = 256 * 1024;

/// Hashes a content whose [`Checksum`] is known beforehand.
pub struct ContentHasher {
    state: State,
    expected: Checksum,
}

enum State {
    Sha256(Box<digest::Context>),
    Sha1(Box<Sha1>),
    Nothing,
}

impl ContentHasher {
    /// A hasher for a content of `size` bytes. Git hashes the size before the content, so without
    /// it a [`Checksum::GitSha1`] cannot be checked and everything matches, as with
    /// [`Checksum::Unknown`].
    pub fn new(checksum: &Checksum, size: Option<u64>) -> Self {
        let state = match (checksum, size) {
            (Checksum::Sha256(_), _) => {
                State::Sha256(Box::new(digest::Context::new(&digest::SHA256)))
            }
            (Checksum::GitSha1(_), Some(size)) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {size}\0"));
                State::Sha1(Box::new(hasher))
            }
            (Checksum::GitSha1(_) | Checksum::Unknown(_), _) => State::Nothing,
        };
        ContentHasher {
            state,
            expected: checksum.clone(),
        }
    }

    /// Takes the next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(context) => context.update(bytes),
            State::Sha1(hasher) => hasher.update(bytes),
            State::Nothing => {}
        }
    }

    /// Takes all that a reader gives and returns how many bytes that was.
    ///
    /// # Errors
    /// The reader's.
    pub fn update_from(&mut self, mut reader: impl Read) -> io::Result<u64> {
        let mut buffer = vec![0; READ_SIZE];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(n) => {
                    self.update(&buffer[..n]);
                    total += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the content was the expected one.
    pub fn matches(self) -> bool {
        let (actual, expected) = self.compare();
        actual.is_none_or(|actual| actual == expected)
    }

    /// The hash of the content; `None` when it is of a kind that cannot be computed.
    pub fn finish(self) -> Option<Checksum> {
        self.compare().0
    }

    fn compare(self) -> (Option<Checksum>, Checksum) {
        let actual = match self.state {
            State::Sha256(context) => {
                let bytes = <[u8; 32]>::try_from(context.finish().as_ref());
                Some(Checksum::Sha256(bytes.unwrap_or_default().into()))
            }
            State::Sha1(hasher) => Some(Checksum::GitSha1(
                <[u8; 20]>::from(hasher.finalize()).into(),
            )),
            State::Nothing => None,
        };
        (actual, self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(etag: &str, size: Option<u64>, content: &[u8]) -> bool {
        let mut hasher = ContentHasher::new(&Checksum::from_etag(etag).unwrap(), size);
        assert_eq!(hasher.update_from(content).unwrap(), content.len() as u64);
        hasher.matches()
    }

    #[test]
    fn known_hashes() {
        // `printf 'hello\n' | git hash-object --stdin` and `| sha256sum`.
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert!(matches(git, Some(6), b"hello\n"));
        assert!(!matches(git, Some(6), b"hellO\n"));
        assert!(matches(sha256, None, b"hello\n"));
        assert!(!matches(sha256, None, b"hellO\n"));
        assert!(matches("other-1", None, b"anything"));
    }
}
