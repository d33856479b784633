//! A file on its way: bytes from the start of the content, in order, hashed as they are written.
//!
//! The length of the file is the whole state, so a process that is killed at any moment leaves
//! something to go on from. Nothing in it is trusted before the hash of the whole content is right.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::whole::has_hash;
use crate::sys::{FsError, Opening};
use crate::types::hash::ContentHasher;
use crate::types::listing::Checksum;

/// An open partial file. The caller holds the lock of its blob.
pub struct Partial {
    path: PathBuf,
    file: File,
    hasher: ContentHasher,
    checksum: Checksum,
    size: Option<u64>,
    len: u64,
}

impl Partial {
    /// Opens the partial, or makes it. Bytes of an earlier attempt are hashed again; more of them
    /// than the content has are worthless and dropped. `size` is that of the content in bytes.
    ///
    /// # Errors
    /// [`FsError`] naming the partial.
    pub fn open(path: &Path, checksum: &Checksum, size: Option<u64>) -> Result<Self, FsError> {
        let mut file = open_own(path).map_err(FsError::of("write", path))?;
        let mut hasher = ContentHasher::new(checksum, size);
        let mut len = hasher
            .update_from(&mut file)
            .map_err(FsError::of("read", path))?;
        if size.is_some_and(|size| len > size) {
            file.set_len(0).map_err(FsError::of("write", path))?;
            file.seek(SeekFrom::Start(0))
                .map_err(FsError::of("write", path))?;
            hasher = ContentHasher::new(checksum, size);
            len = 0;
        }
        Ok(Partial {
            path: path.to_path_buf(),
            file,
            hasher,
            checksum: checksum.clone(),
            size,
            len,
        })
    }

    /// Bytes so far: the offset to continue at.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes still to come; `None` when the size of the content is unknown.
    pub fn missing(&self) -> Option<u64> {
        self.size.map(|size| size.saturating_sub(self.len))
    }

    /// Whether there are more bytes than the content has.
    pub fn is_overfull(&self) -> bool {
        self.size.is_some_and(|size| self.len > size)
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`FsError`] naming the partial, which then ends somewhere in these bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file
            .write_all(bytes)
            .map_err(FsError::of("write", &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Appends the whole of another file.
    ///
    /// # Errors
    /// [`FsError`] naming the file that failed.
    pub fn append_file(&mut self, path: &Path) -> Result<(), FsError> {
        use std::io::Read;
        let mut file = crate::sys::open_regular(path).map_err(FsError::of("read", path))?;
        let mut buffer = vec![0; crate::types::hash::READ_SIZE];
        loop {
            match file.read(&mut buffer).map_err(FsError::of("read", path))? {
                0 => return Ok(()),
                n => self.append(&buffer[..n])?,
            }
        }
    }

    /// Forgets all bytes.
    ///
    /// # Errors
    /// [`FsError`] naming the partial.
    pub fn restart(&mut self) -> Result<(), FsError> {
        self.file
            .set_len(0)
            .map_err(FsError::of("write", &self.path))?;
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(FsError::of("write", &self.path))?;
        self.hasher = ContentHasher::new(&self.checksum, self.size);
        self.len = 0;
        Ok(())
    }

    /// Whether all bytes are there and they are the right ones. Resets the hash state: afterwards
    /// the partial is renamed away, or restarted.
    pub fn verify(&mut self) -> bool {
        if self.size.is_none() && matches!(self.checksum, Checksum::GitSha1(_)) {
            // Git hashes the length first, and it is known only now. Such files are small.
            return has_hash(&self.path, &self.checksum, self.len);
        }
        let hasher = std::mem::replace(
            &mut self.hasher,
            ContentHasher::new(&self.checksum, self.size),
        );
        self.size.is_none_or(|size| size == self.len) && hasher.matches()
    }

    /// Removes the file.
    pub fn discard(self) {
        // It may be gone already; an empty or wrong partial does no harm either.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the file, or makes it. One that has another name as well is left to that: whoever copied the
/// cache by hard links, or put one here, means the content to stay.
fn open_own(path: &Path) -> io::Result<File> {
    let file = Opening::update().open(path)?;
    if !has_other_names(&file)? {
        return Ok(file);
    }
    std::fs::remove_file(path)?;
    Opening::new_file().open(path)
}

#[cfg(unix)]
fn has_other_names(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink() > 1)
}

#[cfg(not(unix))]
fn has_other_names(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    // `printf 'hello world' | sha256sum`
    const SHA256: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

    fn open(path: &Path) -> Partial {
        Partial::open(path, &Checksum::from_etag(SHA256).unwrap(), Some(11)).unwrap()
    }

    #[test]
    fn a_second_process_goes_on_where_the_first_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.hf-part");
        let mut first = open(&path);
        first.append(b"hello").unwrap();
        drop(first);
        let mut second = open(&path);
        assert_eq!(second.len(), 5);
        second.append(b" world").unwrap();
        assert!(second.verify());
    }

    #[test]
    fn the_length_need_not_be_known_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.hf-part");
        // `printf 'hello world' | git hash-object --stdin`
        let git = Checksum::from_etag("95d09f2b10159347eece71399a7e2e907ea3df4f").unwrap();
        for checksum in [Checksum::from_etag(SHA256).unwrap(), git] {
            let mut partial = Partial::open(&path, &checksum, None).unwrap();
            partial.append(b"hello").unwrap();
            assert!(!partial.verify());
            partial.restart().unwrap();
            partial.append(b"hello world").unwrap();
            assert!(partial.verify());
            partial.discard();
        }
    }

    #[test]
    fn wrong_or_surplus_bytes_are_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.hf-part");
        std::fs::write(&path, "hellO").unwrap();
        let mut partial = open(&path);
        partial.append(b" world").unwrap();
        assert!(!partial.verify());
        partial.restart().unwrap();
        partial.append(b"hello").unwrap();
        assert!(!partial.verify(), "too short");
        std::fs::write(&path, "hello world and more").unwrap();
        assert_eq!(open(&path).len(), 0, "longer than the content can be");
    }
}
