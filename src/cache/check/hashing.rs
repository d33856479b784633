//! Hashes files on all cores, each content once.
//!
//! A file whose Xet hash is known is cut into parts, which any core takes. Any other file is one part: SHA-256
//! and Git's hash need the bytes in order. A file that does not have its Xet hash may be chunked in
//! another way than the library does it, so its SHA-256 decides then.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::cache::last_used;
use crate::sys::{FileFacts, FsError};
use crate::types::digest::{Digest, Sha256Digest};
use crate::types::hash::{ContentHasher, READ_SIZE};
use crate::types::listing::Checksum;
use crate::types::progress::{Event, FileProgress, Progress};
use crate::types::xet_hash::{ChunkHash, chunks_of, cuts, xet_hash};

/// A folder with files to check, which share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Path on disk.
    pub path: PathBuf,
    /// Path in the repository, with a final slash; empty for all of it.
    pub prefix: String,
    /// What stands before the path in reports.
    pub label: Arc<str>,
}

impl Folder {
    /// Path of a file in the repository.
    pub fn in_repo(&self, name: &OsStr) -> String {
        format!("{}{}", self.prefix, name.to_string_lossy())
    }
}

/// A file and what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    folder: Arc<Folder>,
    name: Box<OsStr>,
    /// The hash it should have.
    pub expected: Checksum,
    /// Its Xet hash, if that is to prove it: several cores can share the work.
    pub xet_hash: Option<Box<Sha256Digest>>,
}

impl Check {
    /// The file of this name in a folder.
    pub fn new(
        folder: Arc<Folder>,
        name: Box<OsStr>,
        expected: Checksum,
        xet_hash: Option<Box<Sha256Digest>>,
    ) -> Self {
        Check {
            folder,
            name,
            expected,
            xet_hash,
        }
    }

    /// The file at a path.
    pub fn of_file(path: &Path, expected: Checksum, xet_hash: Option<Sha256Digest>) -> Self {
        let folder = Folder {
            path: path.parent().map(Path::to_path_buf).unwrap_or_default(),
            prefix: String::new(),
            label: "".into(),
        };
        let name = path.file_name().unwrap_or_default();
        Check::new(
            Arc::new(folder),
            name.into(),
            expected,
            xet_hash.map(Box::new),
        )
    }

    /// Path in the repository, behind the label of its folder.
    pub fn path(&self) -> String {
        format!("{}{}", self.folder.label, self.folder.in_repo(&self.name))
    }

    /// Path on disk.
    pub fn file(&self) -> PathBuf {
        self.folder.path.join(&*self.name)
    }

    /// Whether the same content would prove both.
    fn expects_what(&self, other: &Check) -> bool {
        self.expected == other.expected && self.xet_hash == other.xet_hash
    }
}

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
    let (mut jobs, unreadable) = jobs(checks);
    // The largest first, so that the cores finish at about the same time.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.size));
    progress.event(Event::Begun {
        files: jobs.len() as u64,
        bytes: jobs.iter().map(|job| job.size).sum(),
        done: 0,
        there: 0,
    });
    let queue = Queue::new(jobs.len());
    let work = || queue.work(&jobs, cores, progress);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(jobs.iter().map(|job| job.most_parts(cores)).sum()) {
            // Without this thread the others do all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    progress.event(Event::Finished);
    let state = queue.state.into_inner();
    let mut found = state.unwrap_or_else(PoisonError::into_inner).found;
    found.unreadable.extend(unreadable);
    found.wrong.sort_by(|a, b| a.path.cmp(&b.path));
    found.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// One content to hash, with all checks that need its hash.
struct Job<'a> {
    first: &'a Check,
    others: Vec<&'a Check>,
    size: u64,
    /// The chunks of its parts, as far as they are hashed.
    parts: Mutex<Vec<Option<Chunks>>>,
    /// The job before it of the same file, which expects something else.
    before: Option<u32>,
    /// It was said that it cannot be read.
    is_told: AtomicBool,
}

type Chunks = Vec<(ChunkHash, u64)>;

/// A piece of work.
enum Unit<'a> {
    /// A whole file, not looked at yet.
    File(usize),
    /// A part of a file with a Xet hash.
    Part {
        job: usize,
        part: usize,
        range: Range<u64>,
        progress: FileProgress<'a>,
    },
}

/// Groups checks by content: the same file with the same expectation is hashed once, whatever names it has.
/// Also answers the files that cannot be looked at.
fn jobs(checks: &[Check]) -> (Vec<Job<'_>>, Vec<Unreadable>) {
    /// Device and inode to the last job of that file.
    type Last = HashMap<(u64, u64), u32>;
    let (mut last, mut jobs, mut unreadable) = (Last::new(), Vec::<Job<'_>>::new(), Vec::new());
    for check in checks {
        let file = check.file();
        let (size, identity) = match fs::metadata(&file) {
            Ok(found) => (found.len(), identity(&file, &found)),
            Err(error) => {
                unreadable.push(unread(check, error));
                continue;
            }
        };
        let before = identity.and_then(|identity| last.get(&identity).copied());
        let mut same = before;
        while let Some(at) = same
            && !jobs[at as usize].first.expects_what(check)
        {
            same = jobs[at as usize].before;
        }
        if let Some(at) = same {
            jobs[at as usize].others.push(check);
            continue;
        }
        if let (Some(identity), Ok(at)) = (identity, u32::try_from(jobs.len())) {
            last.insert(identity, at);
        }
        jobs.push(Job {
            first: check,
            others: Vec::new(),
            size,
            parts: Mutex::default(),
            before,
            is_told: AtomicBool::new(false),
        });
    }
    (jobs, unreadable)
}

/// Which file it is, links followed; `None` where the system does not say.
fn identity(path: &Path, found: &fs::Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    let facts = {
        let _ = path;
        FileFacts::from(found)
    };
    #[cfg(not(unix))]
    let facts = {
        let _ = found;
        FileFacts::of(&File::open(path).ok()?).ok()?
    };
    Some(facts.identity)
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
    fn new(jobs: usize) -> Self {
        Queue {
            state: Mutex::new(State {
                files: 0..jobs,
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

    fn work(&self, jobs: &[Job<'_>], cores: usize, progress: &'a dyn Progress) {
        let mut buffer = vec![0; READ_SIZE];
        while let Some(unit) = self.next() {
            let (index, result) = match unit {
                Unit::File(index) => {
                    let begun = self.begin(jobs, index, cores, progress, &mut buffer);
                    (index, begun)
                }
                Unit::Part {
                    job,
                    part,
                    range,
                    progress,
                } => (job, jobs[job].hash_part(part, range, progress, &mut buffer)),
            };
            let more = result.unwrap_or_else(|error| jobs[index].unreadable(&error));
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
        jobs: &[Job<'_>],
        index: usize,
        cores: usize,
        progress: &'a dyn Progress,
        buffer: &mut [u8],
    ) -> io::Result<Verified> {
        let job = &jobs[index];
        let path = job.first.path();
        let progress = FileProgress::begin_present(progress, path, Some(job.size), 0);
        if job.first.xet_hash.is_none() {
            return job.hash_whole(progress, buffer);
        }
        let share = job.size / (job.most_parts(cores) as u64);
        let ranges = cuts(&mut job.open()?, job.size, share)?;
        *job.parts() = vec![None; ranges.len()];
        let units = ranges.into_iter().enumerate();
        let units = units.map(|(part, range)| Unit::Part {
            job: index,
            part,
            range,
            progress,
        });
        let mut state = self.state();
        for unit in units.rev() {
            state.parts.push_front(unit);
        }
        Ok(Verified::default())
    }
}

impl Job<'_> {
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

    fn parts(&self) -> MutexGuard<'_, Vec<Option<Chunks>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<File> {
        let file = last_used::open_unmarked(&self.first.file())?;
        advise_sequential(&file);
        Ok(file)
    }

    /// All files with this content.
    fn checks(&self) -> impl Iterator<Item = &Check> {
        [self.first].into_iter().chain(self.others.iter().copied())
    }

    /// None of them could be read, or not to the end. Of a file in parts it is said once.
    fn unreadable(&self, error: &io::Error) -> Verified {
        if self.is_told.swap(true, Ordering::Relaxed) {
            return Verified::default();
        }
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

    /// Hashes a part, and judges the file after the last one.
    fn hash_part(
        &self,
        part: usize,
        range: Range<u64>,
        progress: FileProgress<'_>,
        buffer: &mut [u8],
    ) -> io::Result<Verified> {
        let chunks = self
            .open()
            .and_then(|mut file| chunks_of(&mut file, range, |bytes| progress.advance(bytes)));
        let chunks = match chunks {
            // It became shorter since it was measured.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Vec::new(),
            chunks => chunks?,
        };
        let all = {
            let mut parts = self.parts();
            parts[part] = Some(chunks);
            if parts.iter().any(Option::is_none) {
                return Ok(Verified::default());
            }
            std::mem::take(&mut *parts)
        };
        let hash = xet_hash(all.into_iter().flatten().flatten());
        if Digest::from_hex(&hash).as_ref() == self.first.xet_hash.as_deref() {
            progress.done();
            return Ok(Verified {
                by_xet_hash: 1 + self.others.len(),
                ..Verified::default()
            });
        }
        progress.rewind(self.size);
        self.hash_whole(progress, buffer)
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

/// Asks the system to read ahead. Failing changes nothing.
fn advise_sequential(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn one_content_is_hashed_once() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, expected: &str, xet_hash: Option<&str>| {
            let file = folder.path().join(name);
            fs::write(&file, "x").unwrap();
            let expected = Checksum::from_etag(expected).unwrap();
            Check::of_file(&file, expected, xet_hash.and_then(Digest::from_hex))
        };
        let checks = [
            check("a", "1", None),
            check("a", "2", None),
            check("a", "1", None),
            check("a", "1", Some(&"0".repeat(64))),
            check("b", "1", None),
            check("a", "2", None),
            check("a", "1", None),
        ];
        let (jobs, unreadable) = jobs(&checks);
        assert!(unreadable.is_empty());
        let numbers: Vec<usize> = jobs.iter().map(|job| job.checks().count()).collect();
        assert_eq!(numbers, [3, 2, 1, 1]);
    }

    /// A million links are checked within 150 MiB, of which each name has 48 bytes.
    #[test]
    fn a_file_takes_little_memory() {
        assert!(size_of::<Check>() <= 72);
        assert!(size_of::<Job<'_>>() <= 88);
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
