//! The Xet hash of a content: a hash over the hashes of its chunks.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use xet_core_structures::merklehash::file_hash;
use xet_data::deduplication::Chunker;

use crate::types::hash::READ_SIZE;

/// Whether the Xet hash of a file is this one. The whole file is read, at about the speed of SHA-256.
///
/// # Errors
/// The system's reason.
pub fn has_xet_hash(path: &Path, hash: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; READ_SIZE];
    let mut chunker = Chunker::default();
    let mut chunks = Vec::new();
    loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let cut = chunker.next_block(&buffer[..length], false);
        chunks.extend(
            cut.iter()
                .map(|chunk| (chunk.hash, chunk.data.len() as u64)),
        );
    }
    let last = chunker.finish();
    chunks.extend(last.map(|chunk| (chunk.hash, chunk.data.len() as u64)));
    Ok(file_hash(&chunks).hex() == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_storages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        // Long enough for many chunks.
        let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, bytes).unwrap();
        // As `hf_xet.hash_files`, the Python client's library, computes it.
        let name = "77d1371ef7e1abcbe931aa87e2701875197a8814a6c43c76e29590cfefe52611";
        assert!(has_xet_hash(&path, name).unwrap());
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"x").unwrap();
        assert!(!has_xet_hash(&path, name).unwrap());
    }
}
