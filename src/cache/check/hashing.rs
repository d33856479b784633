//! Hashes files on all cores, each content once.
//!
//! A file whose Xet hash is known is cut into parts, which any core takes. Any other file is one part: SHA-256
//! and Git's hash need the bytes in order. A file that does not have its Xet hash may be chunked in
//! another way than the library does it, so its SHA-256 decides then.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::checks::{Check, Group, groups};
use crate::sys::{FsError, open_to_check};
use crate::types::digest::Digest;
use crate::types::hash::{ContentHasher, READ_SIZE};
use crate::types::listing::Checksum;
use crate::types::progress::{Event, FileProgress, Progress};
use crate::types::xet_hash::{ChunkHash, chunks_of, cuts, xet_hash};

/// A file whose content is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Path in the repository.
    pub path: String,
    /// The right hash.
    pub expected: String,
    /// The hash it has.
    pub actual: String,
    /// `sha256` or `git-sha1`.
    pub algorithm: &'static str,
}

/// A file that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// As [`Check::path`] says it.
    pub path: String,
    /// Why.
    pub error: FsError,
}

/// What came of hashing.
#[derive(Debug, Default)]
pub struct Verified {
    /// Wrong files, by path.
    pub wrong: Vec<Mismatch>,
    /// Files that could not be read, by path: whether they are right is not known.
    pub unreadable: Vec<Unreadable>,
    /// Files that are right by their Xet hash. All others were judged by SHA-256 or Git's hash.
    pub by_xet_hash: usize,
}

impl Verified {
    fn add(&mut self, more: Verified) {
        self.wrong.extend(more.wrong);
        self.unreadable.extend(more.unreadable);
        self.by_xet_hash += more.by_xet_hash;
    }
}

/// Hashes all files on all cores, and each content only once.
pub fn hash_all(checks: &[Check], progress: &dyn Progress) -> Verified {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut files, unreadable) = groups(checks);
    // The largest first, so that the cores finish at about the same time.
    files.sort_by_key(|file| std::cmp::Reverse(file.size));
    progress.event(Event::Begun {
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.size).sum(),
        done: 0,
        there: 0,
    });
    let queue = Queue::new(files.len());
    let work = || queue.work(&files, cores, progress);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(files.iter().map(|file| file.most_parts(cores)).sum()) {
            // Without this thread the others do all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    progress.event(Event::Finished);
    let state = queue.state.into_inner();
    let mut found = state.unwrap_or_else(PoisonError::into_inner).found;
    let unreadable = unreadable.into_iter();
    found
        .unreadable
        .extend(unreadable.map(|(check, error)| unread(check, error)));
    found.wrong.sort_by(|a, b| a.path.cmp(&b.path));
    found.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

type Chunks = Vec<(ChunkHash, u64)>;

/// A piece of work.
enum Unit<'a> {
    /// A whole file, not looked at yet.
    File(usize),
    /// A part of a file with a Xet hash.
    Part {
        file: Arc<InParts<'a>>,
        part: usize,
        range: Range<u64>,
    },
}

/// A file that threads hash in parts.
struct InParts<'a> {
    /// Its number.
    file: usize,
    /// The chunks of its parts, as far as they are hashed.
    chunks: Mutex<Vec<Option<Chunks>>>,
    /// That it cannot be read is reported already.
    is_reported: AtomicBool,
    progress: FileProgress<'a>,
}

fn unread(check: &Check, error: io::Error) -> Unreadable {
    Unreadable {
        path: check.path(),
        error: FsError::of("read", &check.file())(error),
    }
}

/// Work that threads share.
struct Queue<'a> {
    state: Mutex<State<'a>>,
    /// Told of new work, and of the end.
    changed: Condvar,
}

struct State<'a> {
    /// Files that no thread has begun, by number.
    files: Range<usize>,
    /// Parts of files, which come before files that are not begun.
    parts: VecDeque<Unit<'a>>,
    /// Units being worked on, each of which may add others.
    running: usize,
    found: Verified,
}

impl<'a> Queue<'a> {
    fn new(files: usize) -> Self {
        Queue {
            state: Mutex::new(State {
                files: 0..files,
                parts: VecDeque::new(),
                running: 0,
                found: Verified::default(),
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next unit; `None` when there is no work left.
    fn next(&self) -> Option<Unit<'a>> {
        let mut state = self.state();
        loop {
            let unit = state.parts.pop_front();
            if let Some(unit) = unit.or_else(|| state.files.next().map(Unit::File)) {
                state.running += 1;
                return Some(unit);
            }
            if state.running == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self, files: &[Group<'_>], cores: usize, progress: &'a dyn Progress) {
        let mut buffer = vec![0; READ_SIZE];
        while let Some(unit) = self.next() {
            let more = match unit {
                Unit::File(index) => self
                    .begin(files, index, cores, progress, &mut buffer)
                    .unwrap_or_else(|error| files[index].unreadable(&error)),
                Unit::Part { file, part, range } => {
                    let group = &files[file.file];
                    let hashed = file.hash(group, part, range, &mut buffer);
                    hashed.unwrap_or_else(|error| file.unreadable(group, &error))
                }
            };
            let mut state = self.state();
            state.running -= 1;
            state.found.add(more);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Begins a file: hashes it, or cuts it into parts for all.
    fn begin(
        &self,
        files: &[Group<'_>],
        index: usize,
        cores: usize,
        progress: &'a dyn Progress,
        buffer: &mut [u8],
    ) -> io::Result<Verified> {
        let file = &files[index];
        let path = file.first.path();
        let progress = FileProgress::begin_present(progress, path, Some(file.size), 0);
        if file.first.xet_hash.is_none() {
            return file.hash_whole(progress, buffer);
        }
        let share = file.size / (file.most_parts(cores) as u64);
        let ranges = cuts(&mut file.open()?, file.size, share)?;
        let in_parts = Arc::new(InParts {
            file: index,
            chunks: Mutex::new(vec![None; ranges.len()]),
            is_reported: AtomicBool::new(false),
            progress,
        });
        let units = ranges.into_iter().enumerate();
        let units = units.map(|(part, range)| Unit::Part {
            file: Arc::clone(&in_parts),
            part,
            range,
        });
        let mut state = self.state();
        for unit in units.rev() {
            state.parts.push_front(unit);
        }
        Ok(Verified::default())
    }
}

impl InParts<'_> {
    /// Hashes a part, and judges the file after the last one.
    fn hash(
        &self,
        group: &Group<'_>,
        part: usize,
        range: Range<u64>,
        buffer: &mut [u8],
    ) -> io::Result<Verified> {
        let chunks = group
            .open()
            .and_then(|mut file| chunks_of(&mut file, range, |bytes| self.progress.advance(bytes)));
        let chunks = match chunks {
            // It became shorter since it was measured.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Vec::new(),
            chunks => chunks?,
        };
        let all = {
            let mut parts = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
            parts[part] = Some(chunks);
            if parts.iter().any(Option::is_none) {
                return Ok(Verified::default());
            }
            std::mem::take(&mut *parts)
        };
        let hash = xet_hash(all.into_iter().flatten().flatten());
        if Digest::from_hex(&hash).as_ref() == group.first.xet_hash.as_deref() {
            self.progress.done();
            return Ok(Verified {
                by_xet_hash: group.checks().count(),
                ..Verified::default()
            });
        }
        self.progress.rewind(group.size);
        group.hash_whole(self.progress, buffer)
    }

    /// As [`Group::unreadable`], for the first part that says so.
    fn unreadable(&self, group: &Group<'_>, error: &io::Error) -> Verified {
        match self.is_reported.swap(true, Ordering::Relaxed) {
            true => Verified::default(),
            false => group.unreadable(error),
        }
    }
}

impl Group<'_> {
    /// How many parts are worth while. A part for each core ends late when one core is slower.
    fn most_parts(&self, cores: usize) -> usize {
        /// Shortest part, in bytes.
        const SHARE: u64 = 16 << 20;
        match &self.first.xet_hash {
            Some(_) => {
                let parts = usize::try_from(self.size / SHARE).unwrap_or(usize::MAX);
                parts.clamp(1, 4 * cores)
            }
            None => 1,
        }
    }

    fn open(&self) -> io::Result<File> {
        open_to_check(&self.first.file())
    }

    /// None of its files could be read, or not to the end.
    fn unreadable(&self, error: &io::Error) -> Verified {
        let again = || match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        let unreadable = self.checks().map(|check| unread(check, again()));
        Verified {
            unreadable: unreadable.collect(),
            ..Verified::default()
        }
    }

    fn hash_whole(&self, progress: FileProgress<'_>, buffer: &mut [u8]) -> io::Result<Verified> {
        let expected = &self.first.expected;
        let mut hasher = ContentHasher::new(expected, Some(self.size));
        let mut file = self.open()?;
        loop {
            match io::Read::read(&mut file, buffer)? {
                0 => break,
                count => {
                    hasher.update(&buffer[..count]);
                    progress.advance(count as u64);
                }
            }
        }
        progress.done();
        let algorithm = match expected {
            Checksum::Sha256(_) => "sha256",
            Checksum::GitSha1(_) => "git-sha1",
            Checksum::Unknown(_) => return Ok(Verified::default()),
        };
        let actual = hasher.finish();
        let Some(actual) = actual.filter(|actual| actual != expected) else {
            return Ok(Verified::default());
        };
        let wrong = self.checks().map(|check| Mismatch {
            path: check.path(),
            expected: check.expected.to_string(),
            actual: actual.to_string(),
            algorithm,
        });
        Ok(Verified {
            wrong: wrong.collect(),
            ..Verified::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::checks::Folder;
    use super::*;
    use crate::types::digest::Sha256Digest;
    use crate::types::progress::Silent;
    use crate::types::xet_hash::noise;

    /// SHA-256 and Xet hash of a file.
    fn hashes(path: &std::path::Path) -> (Checksum, String) {
        let mut hasher = ContentHasher::new(&Checksum::Sha256([0; 32].into()), None);
        let size = hasher.update_from(File::open(path).unwrap()).unwrap();
        let chunks = chunks_of(&mut File::open(path).unwrap(), 0..size, |_| ()).unwrap();
        let sha256 = hasher.finish().unwrap();
        (sha256, xet_hash(chunks))
    }

    #[test]
    fn what_cannot_be_read_does_not_hide_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("wrong"), "x").unwrap();
        fs::write(path("right"), "").unwrap();
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("long"), noise(1, 1 << 20)).unwrap();
        let (sha256, _) = hashes(&path("right"));
        let check = |name: &str| Check::of_file(&path(name), sha256.clone(), None);
        let xet = Some(Box::new(Sha256Digest::from([0; 32])));
        let in_parts = Check {
            xet_hash: xet.clone(),
            ..check("folder")
        };
        let checks = [
            check("gone"),
            check("folder"),
            check("wrong"),
            check("right"),
            in_parts,
        ];
        let found = hash_all(&checks, &Silent);
        let wrong: Vec<&str> = found.wrong.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(wrong, ["wrong"]);
        let unreadable = found.unreadable.iter().map(|file| file.path.as_str());
        assert_eq!(unreadable.collect::<Vec<_>>(), ["folder", "folder", "gone"]);
    }

    #[test]
    fn the_xet_hash_proves_and_sha256_decides_where_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, noise(1, 34 << 20)).unwrap();
        let (sha256, xet) = hashes(&path);
        // The label tells them apart.
        let check = |label: &str, expected: &Checksum, xet_hash: Option<&str>| {
            let xet_hash = xet_hash.and_then(Digest::from_hex);
            let check = Check::of_file(&path, expected.clone(), xet_hash);
            let folder = Folder {
                label: format!("{label}: ").into(),
                ..Folder::clone(&check.folder)
            };
            Check {
                folder: Arc::new(folder),
                ..check
            }
        };
        let other = "0".repeat(64);
        let odd = Checksum::Sha256([0; 32].into());
        let checks = [
            check("right", &sha256, Some(&xet)),
            check("right again", &sha256, Some(&xet)),
            check("by SHA-256", &sha256, None),
            check("chunked in another way", &sha256, Some(&other)),
            check("wrong", &odd, Some(&other)),
            check("wrong by SHA-256", &odd, None),
        ];
        let found = hash_all(&checks, &Silent);
        assert_eq!(found.by_xet_hash, 2);
        let wrong: Vec<_> = found.wrong.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(wrong, ["wrong by SHA-256: large", "wrong: large"]);
        // One byte in the middle.
        let mut bytes = fs::read(&path).unwrap();
        bytes[20 << 20] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found = hash_all(&checks[..1], &Silent);
        assert_eq!((found.by_xet_hash, found.wrong.len()), (0, 1));
        assert_eq!(found.wrong[0].algorithm, "sha256");
        fs::write(&path, "").unwrap();
        let (sha256, xet) = hashes(&path);
        let found = hash_all(&[check("empty", &sha256, Some(&xet))], &Silent);
        assert_eq!(found.by_xet_hash, 1);
        fs::remove_file(&path).unwrap();
        assert_eq!(hash_all(&checks, &Silent).unreadable.len(), checks.len());
    }
}
