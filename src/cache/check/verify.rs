//! Compares the hashes of files on disk with a listing, or with what the cache itself knows (names of
//! blobs and `trees/`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cache::{last_used, layout};
use crate::sys::FsError;
use crate::types::hash::{ContentHasher, READ_SIZE};
use crate::types::listing::{Checksum, Listing};
use crate::types::progress::{Event, FileProgress, Progress};

/// Files of a folder: path in the repository → path on disk.
pub type LocalFiles = BTreeMap<String, PathBuf>;

/// A file and what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Path in the repository.
    pub path: String,
    /// Path on disk.
    pub file: PathBuf,
    /// The hash it should have.
    pub expected: Checksum,
}

/// What has to be hashed, and what differs before any hashing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct VerifyPlan {
    /// Files on both sides.
    pub checks: Vec<Check>,
    /// Listed and not on disk, sorted.
    pub missing: Vec<String>,
    /// On disk and not listed, sorted.
    pub extra: Vec<String>,
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

/// Compares a listing with a folder's files. Pure.
pub fn against_listing(listing: &Listing, local: &LocalFiles) -> VerifyPlan {
    let mut plan = VerifyPlan::default();
    for (path, entry) in listing {
        match local.get(path.as_str()) {
            Some(file) => plan.checks.push(Check {
                path: path.as_str().to_owned(),
                file: file.clone(),
                expected: entry.checksum(),
            }),
            None => plan.missing.push(path.as_str().to_owned()),
        }
    }
    let listed: BTreeSet<&str> = listing.keys().map(crate::types::RepoPath::as_str).collect();
    plan.extra = local
        .keys()
        .filter(|path| !listed.contains(path.as_str()))
        .cloned()
        .collect();
    plan
}

/// Compares a snapshot with what the cache itself knows: the stored listing where there is one, else
/// the names of the blobs that its links lead to. The second value lists the files without a known
/// hash.
pub fn against_cache(listing: Option<&Listing>, local: &LocalFiles) -> (VerifyPlan, Vec<String>) {
    if let Some(listing) = listing {
        return (against_listing(listing, local), Vec::new());
    }
    let (mut plan, mut unknown) = (VerifyPlan::default(), Vec::new());
    for (path, file) in local {
        match blob_checksum(file) {
            Some(expected) => plan.checks.push(Check {
                path: path.clone(),
                file: file.clone(),
                expected,
            }),
            None => unknown.push(path.clone()),
        }
    }
    (plan, unknown)
}

/// The hash in the name of the blob that a link leads to.
fn blob_checksum(file: &Path) -> Option<Checksum> {
    let target = fs::read_link(file).ok()?;
    let blob = layout::normalize(&file.parent()?.join(target));
    if blob.parent()?.file_name()? != layout::BLOBS {
        return None;
    }
    Checksum::from_etag(blob.file_name()?.to_str()?)
        .filter(|checksum| !matches!(checksum, Checksum::Unknown(_)))
}

/// All files of a snapshot, through links to files and not through links to folders. A link that leads
/// nowhere is no file.
///
/// # Errors
/// [`FsError`] when a folder cannot be read.
pub fn snapshot_files(root: &Path) -> Result<LocalFiles, FsError> {
    files_but(root, |_, _| false)
}

/// As [`snapshot_files`], of a local folder: Git's state and that of our downloads are no part of the
/// repository.
///
/// # Errors
/// As [`snapshot_files`].
pub fn folder_files(root: &Path) -> Result<LocalFiles, FsError> {
    files_but(root, |name, path| {
        name == ".git" || path == ".cache/huggingface"
    })
}

/// All files below a folder, without those for whose name or path `is_left_out` holds.
fn files_but(
    root: &Path,
    is_left_out: impl Fn(&OsStr, &str) -> bool,
) -> Result<LocalFiles, FsError> {
    let mut files = LocalFiles::new();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(FsError::of("read", &folder))?;
        for entry in entries {
            let entry = entry.map_err(FsError::of("read", &folder))?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry
                .file_type()
                .map_err(FsError::of("read", &entry.path()))?;
            if is_left_out(&entry.file_name(), &path) {
                continue;
            }
            if kind.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
            } else if entry.path().is_file() {
                files.insert(path, entry.path());
            }
        }
    }
    Ok(files)
}

/// Hashes all files on all cores, and each content only once. Returns what is wrong, by path.
///
/// # Errors
/// [`FsError`] for the first file that cannot be read.
pub fn hash_all(checks: &[Check], progress: &dyn Progress) -> Result<Vec<Mismatch>, FsError> {
    let mut jobs = jobs(checks)?;
    // The largest first, so that the cores finish at about the same time.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.size));
    progress.event(Event::Begun {
        files: jobs.len() as u64,
        bytes: jobs.iter().map(|job| job.size).sum(),
        done: 0,
    });
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Ok(Vec::new()));
    let work = || {
        let mut buffer = vec![0; READ_SIZE];
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = job.run(&mut buffer, progress);
            let mut found = found.lock().unwrap();
            match (result, found.as_mut()) {
                (Ok(mismatches), Ok(all)) => all.extend(mismatches),
                (Err(error), Ok(_)) => *found = Err(error),
                (_, Err(_)) => return,
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(jobs.len()) {
            // Without this thread the others do all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    progress.event(Event::Finished);
    let mut mismatches = found.into_inner().unwrap()?;
    mismatches.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(mismatches)
}

/// One content to hash, with all checks that need its hash.
struct Job<'a> {
    checks: Vec<&'a Check>,
    size: u64,
}

/// Groups checks by content: the same blob with the same expectation is hashed once.
fn jobs(checks: &[Check]) -> Result<Vec<Job<'_>>, FsError> {
    let mut by_content: HashMap<(PathBuf, &Checksum), usize> = HashMap::new();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for check in checks {
        let read = FsError::of("read", &check.file);
        let real = fs::canonicalize(&check.file);
        let size = fs::metadata(&check.file).map(|meta| meta.len());
        let (real, size) = real.and_then(|real| Ok((real, size?))).map_err(read)?;
        let index = *by_content
            .entry((real, &check.expected))
            .or_insert_with(|| {
                jobs.push(Job {
                    checks: Vec::new(),
                    size,
                });
                jobs.len() - 1
            });
        jobs[index].checks.push(check);
    }
    Ok(jobs)
}

impl Job<'_> {
    fn run(&self, buffer: &mut [u8], progress: &dyn Progress) -> Result<Vec<Mismatch>, FsError> {
        let first = self.checks[0];
        let progress = FileProgress::begin(progress, &first.path, Some(self.size), 0);
        let mut hasher = ContentHasher::new(&first.expected, Some(self.size));
        let hashed: io::Result<()> = (|| {
            let mut file = last_used::open_unmarked(&first.file)?;
            advise_sequential(&file);
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
            Checksum::Unknown(_) => return Ok(Vec::new()),
        };
        let Some(actual) = hasher.finish() else {
            return Ok(Vec::new());
        };
        if actual == first.expected.etag() {
            return Ok(Vec::new());
        }
        Ok(self
            .checks
            .iter()
            .map(|check| Mismatch {
                path: check.path.clone(),
                expected: check.expected.etag().to_owned(),
                actual: actual.clone(),
                algorithm,
            })
            .collect())
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
    use crate::types::listing::FileEntry;
    use crate::types::progress::Silent;

    /// `hello\n` and its hashes, by `sha256sum` and `git hash-object`.
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn entry(blob_id: &str) -> FileEntry {
        FileEntry {
            size: 6,
            blob_id: blob_id.to_owned(),
            lfs: None,
            xet_hash: None,
        }
    }

    #[test]
    fn listings_and_folders() {
        let listing = Listing::from([
            ("a".parse().unwrap(), entry(GIT)),
            ("gone".parse().unwrap(), entry(GIT)),
        ]);
        let local = ["a", "new"].map(|name| (name.to_owned(), PathBuf::from(name)));
        let plan = against_listing(&listing, &LocalFiles::from(local));
        assert_eq!(plan.checks.len(), 1);
        assert_eq!(plan.checks[0].expected, Checksum::GitSha1(GIT.to_owned()));
        assert_eq!(
            (plan.missing, plan.extra),
            (vec!["gone".into()], vec!["new".into()])
        );
    }

    #[test]
    fn blobs_prove_themselves_and_are_hashed_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs");
        let snapshot = folder.path().join("snapshots/c");
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(snapshot.join(".git")).unwrap();
        fs::write(snapshot.join(".git/config"), "not ours").unwrap();
        fs::write(snapshot.join("copy"), "who knows").unwrap();
        for (name, text) in [(SHA256, "hello\n"), (GIT, "hellO\n")] {
            fs::write(blobs.join(name), text).unwrap();
            for file in ["1", "2"] {
                let link = snapshot.join(format!("{}{file}", &name[..4]));
                std::os::unix::fs::symlink(format!("../../blobs/{name}"), link).unwrap();
            }
        }
        std::os::unix::fs::symlink("nowhere", snapshot.join("broken")).unwrap();
        let local = folder_files(&snapshot).unwrap();
        let (plan, unknown) = against_cache(None, &local);
        assert_eq!(unknown, ["copy"]);
        assert_eq!(jobs(&plan.checks).unwrap().len(), 2);
        let wrong = hash_all(&plan.checks, &Silent).unwrap();
        let paths: Vec<&str> = wrong.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["ce011", "ce012"]);
        assert_eq!(
            (wrong[0].algorithm, wrong[0].expected.as_str()),
            ("git-sha1", GIT)
        );
        assert_ne!(wrong[0].actual, GIT);
    }
}
