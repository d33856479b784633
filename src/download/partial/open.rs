//! Opening a partial: what an earlier process left on disk, and how much of it counts.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::flush::Flushing;
use super::journal::{self, Header, Identity, Record, Told, encode, encode_header, key_of};
use super::ranges::RangeSet;
use super::recent::Recent;
use super::{Journal, Partial, State};
use crate::cache::layout::PartialName;
use crate::download::claim::Claim;
use crate::sys::facts::modified_nanos;
use crate::sys::{
    FileFacts, FsError, Mode, Opening, boot, open_regular, read_exact_at, sync_file, write_atomic,
};
use crate::types::listing::Checksum;
use crate::types::xet_hash::chunk_hash;

impl Partial {
    /// Opens the partial, or makes it. What its journal notes counts; without one nothing does. `size` is
    /// that of the content in bytes; the claim gives the right to write. Chunks whose hashes do not
    /// count are hashed again, so this may take a second for each few gigabytes.
    ///
    /// # Errors
    /// [`FsError`] naming the partial or its journal.
    pub fn open(
        path: &Path,
        checksum: &Checksum,
        size: Option<u64>,
        claim: Arc<Claim>,
    ) -> Result<Arc<Self>, FsError> {
        Partial::open_in(path, checksum, size, Some(claim), boot()).map(Arc::new)
    }

    pub(super) fn open_in(
        path: &Path,
        checksum: &Checksum,
        size: Option<u64>,
        claim: Option<Arc<Claim>>,
        boot: Option<[u8; 16]>,
    ) -> Result<Self, FsError> {
        let file = open_own(path).map_err(FsError::of("write", path))?;
        let header = header_of(checksum, size, boot);
        let metadata = file.metadata().map_err(FsError::of("read", path))?;
        let told = match metadata.len() {
            0 => None,
            length => read_journal(path, &header)?.map(|told| told.within(length)),
        };
        let mut partial = Partial {
            path: path.to_path_buf(),
            file,
            checksum: checksum.clone(),
            header,
            claim,
            state: Mutex::new(State {
                present: RangeSet::default(),
                pending: Vec::new(),
                pending_bytes: 0,
                pending_since: Instant::now(),
                journal: None,
                flushing: Flushing::new(),
                recent: Recent::default(),
                in_order: None,
                end: None,
                restarts: 0,
                follower: 0,
                is_closed: false,
                is_gone: false,
            }),
            noted: Condvar::new(),
        };
        match told.filter(|told| !told.present.is_empty()) {
            Some(told) => partial.take_up(told)?,
            None => partial.begin(metadata.len())?,
        }
        Ok(partial)
    }

    /// Nothing counts of the `length` bytes that are there.
    fn begin(&mut self, length: u64) -> Result<(), FsError> {
        remove_journal(&self.path);
        if length > 0 {
            self.file.set_len(0).map_err(self.cannot_write())?;
        }
        let in_order = self.fresh_hasher();
        self.state().in_order = in_order;
        Ok(())
    }

    /// Goes on with what a journal tells.
    fn take_up(&mut self, mut told: Told) -> Result<(), FsError> {
        let is_as_left = told.closed.is_some() && told.closed == identity(&self.file).ok();
        if !is_as_left {
            let wrong = self.wrong_chunks(&told)?;
            for range in wrong {
                told.present.remove(range.clone());
                told.chunks.remove(&range.start);
            }
        }
        // Written again rather than continued: that leaves out what does not count, and a second name
        // of the old journal, if a copy of the cache made one, keeps what it had.
        let mut bytes = encode_header(&self.header);
        for record in records_of(&told) {
            encode(&record, &mut bytes);
        }
        if told.is_of_another_boot {
            encode(&Record::Flushed(bytes.len() as u64), &mut bytes);
        }
        let path = self.journal_path();
        write_atomic(&path, &bytes, Mode::Umask)?;
        let opened = Opening::existing().append().open(&path);
        let file = opened.map_err(FsError::of("write", &path))?;
        let _ = sync_file(&file);
        let mut state = self.state();
        if !told.is_of_another_boot {
            state.flushing.bytes = told.present.total();
        }
        state.present = told.present;
        state.journal = Some(Journal {
            file,
            length: bytes.len() as u64,
        });
        Ok(())
    }

    /// Chunks that do not have the content they are noted with.
    fn wrong_chunks(&self, told: &Told) -> Result<Vec<Range<u64>>, FsError> {
        let mut buffer = Vec::new();
        let mut wrong = Vec::new();
        for (&offset, chunk) in &told.chunks {
            buffer.resize(chunk.length as usize, 0);
            let is_there = match read_exact_at(&self.file, &mut buffer, offset) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
                Err(error) => return Err(FsError::of("read", &self.path)(error)),
            };
            if !is_there || chunk_hash(&buffer) != chunk.hash {
                wrong.push(offset..offset + u64::from(chunk.length));
            }
        }
        Ok(wrong)
    }
}

/// Bytes of a content that a partial has, by its journal; 0 without one. For plans and messages: nothing
/// is checked.
pub fn kept_bytes(path: &Path, checksum: &Checksum, size: Option<u64>) -> u64 {
    let Ok(length) = fs::symlink_metadata(path).map(|file| file.len()) else {
        return 0;
    };
    let told = match length {
        0 => None,
        _ => read_journal(path, &header_of(checksum, size, boot())).ok(),
    };
    let told = told.flatten().map(|told| told.within(length));
    told.map_or(0, |told| told.present.total())
}

/// The ranges that the journal of a partial notes, whatever content it is about.
pub fn noted(path: &Path) -> Vec<Range<u64>> {
    let bytes = fs::read(PartialName::journal_of(path)).unwrap_or_default();
    let told = journal::header_of(&bytes).and_then(|header| journal::read(&bytes, &header));
    told.map_or_else(Vec::new, |told| told.present.iter().collect())
}

/// Makes a file that holds the first bytes of a content a partial: one of an older client, or of an older
/// version of this program. The caller holds the lock, and there is no partial yet. A process that is
/// killed meanwhile leaves the old file or the partial.
///
/// # Errors
/// [`FsError`] naming the file that failed.
pub fn adopt_prefix(
    prefix: &Path,
    path: &Path,
    checksum: &Checksum,
    size: Option<u64>,
) -> Result<(), FsError> {
    let length = fs::metadata(prefix).map_err(FsError::of("read", prefix))?;
    let mut bytes = encode_header(&header_of(checksum, size, boot()));
    encode(&Record::Written(0..length.len()), &mut bytes);
    let journal = PartialName::journal_of(path);
    write_atomic(&journal, &bytes, Mode::Umask)?;
    fs::rename(prefix, path).map_err(FsError::of("rename", prefix))
}

/// Removes a partial and its journal.
pub fn discard(path: &Path) {
    // The journal first: without it the partial counts for nothing. Either may be gone already.
    remove_journal(path);
    let _ = fs::remove_file(path);
}

pub(super) fn remove_journal(path: &Path) {
    let _ = fs::remove_file(PartialName::journal_of(path));
}

fn header_of(checksum: &Checksum, size: Option<u64>, boot: Option<[u8; 16]>) -> Header {
    Header {
        key: key_of(&checksum.etag()),
        size,
        boot,
    }
}

/// What the journal of a partial tells; `None` when there is none about this content.
pub(super) fn read_journal(path: &Path, header: &Header) -> Result<Option<Told>, FsError> {
    let path = PartialName::journal_of(path);
    let read = open_regular(&path).and_then(|mut file| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(journal::read(&bytes, header)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FsError::of("read", &path)(error)),
    }
}

/// The shortest list of records that tells the same. All of it is on the disk if it was before.
fn records_of(told: &Told) -> Vec<Record> {
    let chunks = told.chunks.iter();
    let mut records: Vec<_> = chunks
        .map(|(&offset, &chunk)| Record::Chunk(offset, chunk))
        .collect();
    records.extend(told.present.iter().map(Record::Written));
    records
}

pub(super) fn identity(file: &File) -> io::Result<Identity> {
    let (facts, metadata) = (FileFacts::of(file)?, file.metadata()?);
    Ok(Identity {
        inode: facts.identity.1,
        length: metadata.len(),
        modified: modified_nanos(&metadata).unwrap_or(0),
        owner: facts.owner,
    })
}

/// Opens the file, or makes it. One that has another name as well keeps its content under that name,
/// as in a copy of the cache by hard links, and a new file is made here.
fn open_own(path: &Path) -> io::Result<File> {
    let file = Opening::update().open(path)?;
    if FileFacts::of(&file)?.names <= 1 {
        return Ok(file);
    }
    drop(file);
    fs::remove_file(path)?;
    Opening::new_file().open(path)
}
