//! Caches made up from a seed, for comparing with the Python clients: every kind of repository,
//! revisions that share files, copies instead of links, a shared store, detached revisions,
//! unfinished downloads, and, on request, things that should not be there.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fastrand::Rng;

/// Ages in seconds, at least a quarter of an hour before their wording changes, so that no delay shows.
const AGES: [u64; 7] = [
    10_000,
    80_000,
    300_000,
    800_000,
    3_000_000,
    10_000_000,
    100_000_000,
];
/// An empty blob would have the hash of nothing for its name.
const SIZES: [usize; 6] = [2, 1, 999, 1_000, 12_345, 123_456];

/// What a made-up cache holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing that a client would warn about.
    Sound,
    /// Every other repository has something wrong with it.
    Damaged,
}

/// Makes up a cache at `root`.
pub fn make_up(root: &Path, seed: u64, health: Health) {
    let mut random = Rng::with_seed(seed);
    fs::create_dir_all(root.join(".locks")).expect("folder");
    put(&root.join("CACHEDIR.TAG"), "x");
    let shared_blobs = if random.bool() {
        store(root, &mut random)
    } else {
        Vec::new()
    };
    for number in 0..random.usize(2..8) {
        let kind = random.choice(["models", "datasets", "spaces"]).unwrap();
        let owner = random.choice(["", "Org--", "org--", "ö--"]).unwrap();
        let repo = root.join(format!("{kind}--{owner}name{number}"));
        let blobs = blobs(root, &repo, shared_blobs.clone(), &mut random);
        let commits = snapshots(&repo, &blobs, &mut random);
        remove_orphans(&repo, &blobs);
        if random.u8(..5) == 0 {
            put(&repo.join("blobs/abc.incomplete"), "abc");
            crate::harness::cache::abandon(&repo.join("blobs/abc.incomplete"));
        }
        if health == Health::Damaged && random.bool() {
            damage(root, &repo, commits.first(), number, &mut random);
        }
    }
    settle(root);
}

/// Gives folders times whose wording does not change while a test runs: those of a repository without files are its own.
/// Written long ago; read in the future, which clients call "a few seconds ago", because the kernel would renew a past
/// time at the next look into the folder.
pub fn settle(folder: &Path) {
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.symlink_metadata().expect("entry").is_dir() {
            settle(&path);
        }
    }
    let now = SystemTime::now();
    let times = FileTimes::new()
        .set_accessed(now + Duration::from_secs(86_400))
        .set_modified(now - Duration::from_secs(300_000));
    let folder = File::open(folder).expect("folder");
    folder.set_times(times).expect("times");
}

fn store(root: &Path, random: &mut Rng) -> Vec<String> {
    put(&root.join("blobs/.huggingface-shared-blobs"), "1\n");
    let hashes: Vec<String> = (0..3).map(|_| hex(64, random)).collect();
    for hash in &hashes {
        let shared_blob = root.join("blobs").join(&hash[..2]).join(hash);
        put(&shared_blob, "z".repeat(random.usize(..5000)));
        put(&shared_blob.with_file_name(format!("{hash}.refs")), "");
    }
    hashes
}

fn blobs(root: &Path, repo: &Path, mut shared_blobs: Vec<String>, random: &mut Rng) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..random.usize(..6) {
        let name = hex(if random.bool() { 40 } else { 64 }, random);
        let blob = repo.join("blobs").join(&name);
        match shared_blobs.pop().filter(|_| random.bool()) {
            Some(hash) => {
                let prefix = &hash[..2];
                link(&blob, &format!("../../blobs/{prefix}/{hash}"));
                let users = root.join(format!("blobs/{prefix}/{hash}.refs"));
                let line = blob.strip_prefix(root).expect("inside").display();
                let text = fs::read_to_string(&users).expect("manifest");
                put(&users, format!("{text}{line}\n"));
            }
            None => put(&blob, "y".repeat(random.choice(SIZES).unwrap())),
        }
        age(&blob, random);
        names.push(name);
    }
    names
}

fn snapshots(repo: &Path, blobs: &[String], random: &mut Rng) -> Vec<String> {
    fs::create_dir_all(repo.join("snapshots")).expect("folder");
    let commits: Vec<String> = (0..random.usize(..4)).map(|_| hex(40, random)).collect();
    for commit in &commits {
        let snapshot = repo.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).expect("folder");
        for number in 0..random.usize(..6) {
            let folder = random.choice(["", "a/", "a/b/", ".h/"]).unwrap();
            let file = snapshot.join(format!("{folder}f{number}"));
            let up = "../".repeat(2 + folder.matches('/').count());
            match (random.u8(..10), random.choice(blobs)) {
                (0..7, Some(blob)) => link(&file, &format!("{up}blobs/{blob}")),
                (7, Some(blob)) => link(&file, repo.join("blobs").join(blob).to_str().unwrap()),
                _ => {
                    put(&file, "c".repeat(random.usize(..3000)));
                    age(&file, random);
                }
            }
        }
        for _ in 0..random.usize(..3) {
            let name = random.choice(["main", "v1", "refs/pr/1", "x/y"]).unwrap();
            put(&repo.join("refs").join(name), commit);
        }
    }
    commits
}

/// Removes blobs that no snapshot links to: clients leave none, and count none.
fn remove_orphans(repo: &Path, blobs: &[String]) {
    let mut linked = Vec::new();
    targets(&repo.join("snapshots"), &mut linked);
    for name in blobs {
        let target = Path::new("blobs").join(name);
        if !linked.iter().any(|link| link.ends_with(&target)) {
            fs::remove_file(repo.join("blobs").join(name)).expect("blob");
        }
    }
}

/// Where the links below a folder lead. Reads no file: that would renew the times that files were given.
fn targets(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if let Ok(target) = fs::read_link(&path) {
            found.push(target);
        } else if path.is_dir() {
            targets(&path, found);
        }
    }
}

fn damage(root: &Path, repo: &Path, commit: Option<&String>, number: usize, random: &mut Rng) {
    match random.u8(..7) {
        0 => put(&repo.join("refs/bad"), hex(40, random)),
        1 => put(&repo.join("snapshots/file"), "x"),
        2 => link(
            &repo.join("snapshots").join(hex(40, random)).join("f"),
            "../../blobs/gone",
        ),
        3 => put(
            &repo.join("refs/newline"),
            format!("{}\n", commit.map_or("", String::as_str)),
        ),
        4 => put(&root.join(format!("stray{number}")), "x"),
        5 => fs::create_dir_all(root.join(format!("models-x{number}"))).expect("folder"),
        _ => fs::create_dir_all(root.join(format!("things--x{number}"))).expect("folder"),
    }
}

fn hex(digits: usize, random: &mut Rng) -> String {
    (0..digits).map(|_| random.digit(16)).collect()
}

fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    fs::write(path, text).expect("file");
}

fn link(path: &PathBuf, target: &str) {
    fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    symlink(target, path).expect("link");
}

fn age(path: &Path, random: &mut Rng) {
    let mut ago = || {
        let seconds = random.choice(AGES).unwrap();
        SystemTime::now() - Duration::from_secs(seconds)
    };
    let times = FileTimes::new().set_accessed(ago()).set_modified(ago());
    File::open(path)
        .expect("file")
        .set_times(times)
        .expect("times");
}
