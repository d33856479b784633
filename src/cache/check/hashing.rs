//! Hashes files on all cores, each content once.
//!
//! A file whose Xet hash is known is cut into parts, which any core takes. Any other file is one part: SHA-256
//! and Git's hash need the bytes in order. A file that does not have its Xet hash may be chunked in
//! another way than the library does it, so its SHA-256 decides then.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::cache::last_used;
use crate::sys::FsError;
use crate::types::digest::{Digest, Sha256Digest};
use crate::types::hash::{ContentHasher, READ_SIZE};
use crate::types::listing::Checksum;
use crate::types::progress::{Event, FileProgress, Progress};
use crate::types::xet_hash::{ChunkHash, chunks_of, cuts, xet_hash};

/// A file and what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Path in the repository.
    pub path: String,
    /// Path on disk.
    pub file: PathBuf,
    /// The hash it should have.
    pub expected: Checksum,
    /// Its Xet hash, if that is to prove it: several cores can share the work.
    pub xet_hash: Option<Sha256Digest>,
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

/// What came of hashing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Wrong files, by path.
    pub wrong: Vec<Mismatch>,
    /// Files that are right by their Xet hash. All others were judged by SHA-256 or Git's hash.
    pub by_xet_hash: usize,
}

/// Hashes all files on all cores, and each content only once.
///
/// # Errors
/// [`FsError`] for the first file that cannot be read.
pub fn hash_all(checks: &[Check], progress: &dyn Progress) -> Result<Verified, FsError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut jobs = jobs(checks)?;
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
    let mut found = state.unwrap_or_else(PoisonError::into_inner).found?;
    found.wrong.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// One content to hash, with all checks that need its hash.
struct Job<'a> {
    checks: Vec<&'a Check>,
    size: u64,
    /// The chunks of its parts, as far as they are hashed.
    parts: Mutex<Vec<Option<Chunks>>>,
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

/// Groups checks by content: the same blob with the same expectation is hashed once.
fn jobs(checks: &[Check]) -> Result<Vec<Job<'_>>, FsError> {
    type Content<'a> = (PathBuf, &'a Checksum, Option<Sha256Digest>);
    let mut by_content: HashMap<Content<'_>, usize> = HashMap::new();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for check in checks {
        let read = FsError::of("read", &check.file);
        let real = fs::canonicalize(&check.file);
        let size = fs::metadata(&check.file).map(|meta| meta.len());
        let (real, size) = real.and_then(|real| Ok((real, size?))).map_err(read)?;
        let content = (real, &check.expected, check.xet_hash);
        let index = *by_content.entry(content).or_insert_with(|| {
            jobs.push(Job {
                checks: Vec::new(),
                size,
                parts: Mutex::default(),
            });
            jobs.len() - 1
        });
        jobs[index].checks.push(check);
    }
    Ok(jobs)
}

/// Work that threads share.
struct Queue<'a> {
    state: Mutex<State<'a>>,
    /// Told of new work, and of the end.
    changed: Condvar,
}

struct State<'a> {
    units: VecDeque<Unit<'a>>,
    /// Units being worked on, each of which may add others.
    running: usize,
    found: Result<Verified, FsError>,
}

impl<'a> Queue<'a> {
    fn new(jobs: usize) -> Self {
        Queue {
            state: Mutex::new(State {
                units: (0..jobs).map(Unit::File).collect(),
                running: 0,
                found: Ok(Verified::default()),
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next unit; `None` when there is no work left, or one has failed.
    fn next(&self) -> Option<Unit<'a>> {
        let mut state = self.state();
        loop {
            if state.found.is_err() {
                return None;
            }
            if let Some(unit) = state.units.pop_front() {
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
            let result = match unit {
                Unit::File(index) => self.begin(jobs, index, cores, progress, &mut buffer),
                Unit::Part {
                    job,
                    part,
                    range,
                    progress,
                } => jobs[job].hash_part(part, range, progress, &mut buffer),
            };
            let mut state = self.state();
            state.running -= 1;
            match (result, &mut state.found) {
                (Ok(more), Ok(found)) => {
                    found.by_xet_hash += more.by_xet_hash;
                    found.wrong.extend(more.wrong);
                }
                (Err(error), found @ Ok(_)) => *found = Err(error),
                (_, Err(_)) => {}
            }
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
    ) -> Result<Verified, FsError> {
        let job = &jobs[index];
        let path = &job.checks[0].path;
        let progress = FileProgress::begin_present(progress, path, Some(job.size), 0);
        if job.checks[0].xet_hash.is_none() {
            return job.hash_whole(progress, buffer);
        }
        let share = job.size / (job.most_parts(cores) as u64);
        let ranges = job
            .open()
            .and_then(|mut file| cuts(&mut file, job.size, share))
            .map_err(FsError::of("read", &job.checks[0].file))?;
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
            state.units.push_front(unit);
        }
        Ok(Verified::default())
    }
}

impl Job<'_> {
    /// How many parts are worth while. A part for each core ends late when one core is slower.
    fn most_parts(&self, cores: usize) -> usize {
        /// Shortest part, in bytes.
        const SHARE: u64 = 16 << 20;
        match &self.checks[0].xet_hash {
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
        let file = last_used::open_unmarked(&self.checks[0].file)?;
        advise_sequential(&file);
        Ok(file)
    }

    /// Hashes a part, and judges the file after the last one.
    fn hash_part(
        &self,
        part: usize,
        range: Range<u64>,
        progress: FileProgress<'_>,
        buffer: &mut [u8],
    ) -> Result<Verified, FsError> {
        let chunks = self
            .open()
            .and_then(|mut file| chunks_of(&mut file, range, |bytes| progress.advance(bytes)));
        let chunks = match chunks {
            // It became shorter since it was measured.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Vec::new(),
            chunks => chunks.map_err(FsError::of("read", &self.checks[0].file))?,
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
        if Digest::from_hex(&hash) == self.checks[0].xet_hash {
            progress.done();
            return Ok(Verified {
                wrong: Vec::new(),
                by_xet_hash: self.checks.len(),
            });
        }
        progress.rewind(self.size);
        self.hash_whole(progress, buffer)
    }

    fn hash_whole(
        &self,
        progress: FileProgress<'_>,
        buffer: &mut [u8],
    ) -> Result<Verified, FsError> {
        let first = self.checks[0];
        let mut hasher = ContentHasher::new(&first.expected, Some(self.size));
        let hashed: io::Result<()> = (|| {
            let mut file = self.open()?;
            loop {
                match io::Read::read(&mut file, buffer)? {
                    0 => return Ok(()),
                    count => {
                        hasher.update(&buffer[..count]);
                        progress.advance(count as u64);
                    }
                }
            }
        })();
        hashed.map_err(FsError::of("read", &first.file))?;
        progress.done();
        let algorithm = match &first.expected {
            Checksum::Sha256(_) => "sha256",
            Checksum::GitSha1(_) => "git-sha1",
            Checksum::Unknown(_) => return Ok(Verified::default()),
        };
        let actual = hasher.finish();
        let Some(actual) = actual.filter(|actual| *actual != first.expected) else {
            return Ok(Verified::default());
        };
        let wrong = self.checks.iter().map(|check| Mismatch {
            path: check.path.clone(),
            expected: check.expected.to_string(),
            actual: actual.to_string(),
            algorithm,
        });
        Ok(Verified {
            wrong: wrong.collect(),
            by_xet_hash: 0,
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
            Check {
                path: name.to_owned(),
                file,
                expected: Checksum::from_etag(expected).unwrap(),
                xet_hash: xet_hash.and_then(Digest::from_hex),
            }
        };
        let checks = [
            check("a", "1", None),
            check("a", "1", None),
            check("a", "2", None),
            check("a", "1", Some(&"0".repeat(64))),
            check("b", "1", None),
        ];
        assert_eq!(jobs(&checks).unwrap().len(), 4);
    }

    #[test]
    fn the_xet_hash_proves_and_sha256_decides_where_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, noise(1, 34 << 20)).unwrap();
        let (sha256, xet) = hashes(&path);
        let check = |name: &str, expected: &Checksum, xet_hash: Option<&str>| Check {
            path: name.to_owned(),
            file: path.clone(),
            expected: expected.clone(),
            xet_hash: xet_hash.and_then(Digest::from_hex),
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
        let found = hash_all(&checks, &Silent).unwrap();
        assert_eq!(found.by_xet_hash, 2);
        let wrong: Vec<_> = found.wrong.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(wrong, ["wrong", "wrong by SHA-256"]);
        // One byte in the middle.
        let mut bytes = fs::read(&path).unwrap();
        bytes[20 << 20] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found = hash_all(&checks[..1], &Silent).unwrap();
        assert_eq!((found.by_xet_hash, found.wrong.len()), (0, 1));
        assert_eq!(found.wrong[0].algorithm, "sha256");
        fs::write(&path, "").unwrap();
        let (sha256, xet) = hashes(&path);
        let found = hash_all(&[check("empty", &sha256, Some(&xet))], &Silent);
        assert_eq!(found.unwrap().by_xet_hash, 1);
        fs::remove_file(&path).unwrap();
        assert!(hash_all(&checks, &Silent).is_err());
    }
}
