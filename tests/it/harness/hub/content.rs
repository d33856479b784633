//! What a file holds and how it is named by its hash.
//!
//! Content is in memory, on disk, or generated while it is sent. Every kind can be read at any offset, so that ranges
//! and resumed downloads cost nothing, and its hashes are computed once, on first use.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use bytes::{Bytes, BytesMut};
use ring::digest;

/// Length of the block that synthetic content repeats: a prime just above 1 MiB, so that no offset a client may split a
/// download at (they are powers of two) sees the same bytes as another: swapped or repeated parts change the hash.
const BLOCK: usize = 1_048_583;

/// Largest piece handed to the socket at once, in bytes.
const PIECE: u64 = 1 << 20;

/// Bytes of one file.
#[derive(Clone, Debug)]
pub struct Content {
    source: Source,
    len: u64,
    digests: Arc<Digests>,
}

#[derive(Clone, Debug)]
enum Source {
    Memory(Bytes),
    Disk(Arc<File>),
    Synthetic { seed: u64, block: Bytes },
}

#[derive(Debug, Default)]
struct Digests {
    sha256: OnceLock<String>,
    git: OnceLock<String>,
}

impl Content {
    /// Content held in memory.
    pub fn memory(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(bytes.len() as u64, Source::Memory(bytes))
    }

    /// A file on disk, read while it is sent. Panics if it cannot be opened.
    pub fn disk(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let file = File::open(&path).unwrap_or_else(|e| panic!("open {}: {e}", path.display()));
        let len = file.metadata().expect("file metadata").len();
        Self::new(len, Source::Disk(Arc::new(file)))
    }

    /// `len` bytes that depend on `seed` alone, made while they are sent.
    pub fn synthetic(len: u64, seed: u64) -> Self {
        match usize::try_from(len) {
            // A block for each of a hundred thousand small files would fill the memory.
            Ok(small) if small <= BLOCK => Self::memory(random(seed, small)),
            _ => {
                let block = block(seed);
                Self::new(len, Source::Synthetic { seed, block })
            }
        }
    }

    fn new(len: u64, source: Source) -> Self {
        Self {
            source,
            len,
            digests: Arc::default(),
        }
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The next piece from `at` on: at most `most` bytes, never past the end, empty at the end.
    pub fn piece(&self, at: u64, most: u64) -> Bytes {
        let size = most.min(PIECE).min(self.len.saturating_sub(at)) as usize;
        match &self.source {
            Source::Memory(bytes) => bytes.slice(at as usize..at as usize + size),
            Source::Disk(file) => {
                let mut buffer = BytesMut::zeroed(size);
                file.read_exact_at(&mut buffer, at)
                    .expect("the file under a served repository was shortened");
                buffer.freeze()
            }
            Source::Synthetic { block, .. } => {
                let start = (at % BLOCK as u64) as usize;
                block.slice(start..BLOCK.min(start + size))
            }
        }
    }

    /// All of it in one piece of memory.
    pub fn to_bytes(&self) -> Bytes {
        if let Source::Memory(bytes) = &self.source {
            return bytes.clone();
        }
        let mut all = Vec::with_capacity(self.len as usize);
        self.for_each_piece(|piece| all.extend_from_slice(piece));
        all.into()
    }

    /// SHA-256 in hex: the name of a large file on the Hub.
    pub fn sha256(&self) -> String {
        let compute = || self.hash(&digest::SHA256, &[]);
        self.digests
            .sha256
            .get_or_init(|| match self.source {
                Source::Synthetic { seed, .. } => remembered(self.len, seed, compute),
                _ => compute(),
            })
            .clone()
    }

    /// Git's blob id in hex: SHA-1 over `blob <size>\0` and the content.
    pub fn git_id(&self) -> String {
        let header = format!("blob {}\0", self.len);
        let algorithm = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        self.digests
            .git
            .get_or_init(|| self.hash(algorithm, header.as_bytes()))
            .clone()
    }

    fn hash(&self, algorithm: &'static digest::Algorithm, header: &[u8]) -> String {
        let mut context = digest::Context::new(algorithm);
        context.update(header);
        self.for_each_piece(|piece| context.update(piece));
        hex(context.finish().as_ref())
    }

    fn for_each_piece(&self, mut use_piece: impl FnMut(&[u8])) {
        let mut at = 0;
        while at < self.len {
            let piece = self.piece(at, PIECE);
            use_piece(&piece);
            at += piece.len() as u64;
        }
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::memory(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Content {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::memory(text)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::memory(bytes)
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::memory(bytes)
    }
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-1 in hex of the parts joined.
pub fn sha1_hex(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    hex(context.finish().as_ref())
}

/// One block for `seed`.
fn block(seed: u64) -> Bytes {
    static BLOCKS: LazyLock<Mutex<HashMap<u64, Bytes>>> = LazyLock::new(Mutex::default);
    let mut blocks = BLOCKS.lock().expect("block table");
    let make = || Bytes::from(random(seed, BLOCK));
    blocks.entry(seed).or_insert_with(make).clone()
}

/// So many pseudo-random bytes for `seed` (splitmix64, public domain constants).
fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The hash of synthetic content is asked for by many tests and takes a while at a gibibyte: keep it for the process.
fn remembered(len: u64, seed: u64, compute: impl FnOnce() -> String) -> String {
    static KNOWN: LazyLock<Mutex<HashMap<(u64, u64), String>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().expect("hash table");
    known.entry((len, seed)).or_insert_with(compute).clone()
}

/// SHA-256 in hex of everything `reader` gives.
pub fn sha256_of(mut reader: impl Read) -> std::io::Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex(context.finish().as_ref())),
            n => context.update(&buffer[..n]),
        }
    }
}
