//! Which repositories and revisions a policy removes. Pure.
//!
//! The least recently used are removed first. "Used" is the later of the last read and the last write:
//! many file systems are mounted without times of reads, and a new download must not count as never
//! used.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::cache::remove::interrupted::Interrupted;
use crate::cache::remove::targets::{Selection, detached};
use crate::cache::scan::report::{Blob, CacheReport, CachedRepo, CachedRevision};

/// What to keep. Without any rule only detached revisions are removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Repositories that were not used for so many seconds go.
    pub older_than: Option<f64>,
    /// Of each repository only so many revisions stay, those written last. Detached ones go anyway
    /// and do not count.
    pub keep_last: Option<usize>,
    /// Repositories are removed until the rest has at most so many bytes. Damaged ones count and stay:
    /// their files may be the only copy.
    pub max_size: Option<u64>,
}

/// What the policy removes.
#[derive(Debug, Default)]
pub struct Eviction<'a> {
    /// What goes.
    pub selection: Selection<'a>,
    /// Bytes of content that stay, a shared blob once.
    pub remaining: u64,
    /// Whether repositories had to go, or had to stay, because of [`Policy::max_size`].
    pub is_over: bool,
}

/// Applies a policy. A pinned repository keeps everything. A revision whose download was interrupted is not detached;
/// it goes with its whole repository, and does not count for [`Policy::keep_last`]. `now` is in seconds since 1970.
pub fn evict<'a>(
    report: &'a CacheReport,
    policy: &Policy,
    is_pinned: impl Fn(&CachedRepo) -> bool,
    interrupted: &Interrupted,
    now: f64,
) -> Eviction<'a> {
    let mut selection = detached(report);
    interrupted.leave_out_of(&mut selection);
    for (index, repo) in report.repos.iter().enumerate() {
        if is_pinned(repo) {
            selection.repos.remove(&index);
            continue;
        }
        let all = 0..repo.revisions.len();
        if policy.older_than.is_some_and(|age| now - used(repo) > age) {
            selection.repos.entry(index).or_default().extend(all);
        } else if let Some(count) = policy.keep_last {
            // Revisions that are removed anyway do not count. A killed deletion leaves an empty folder
            // that was written last.
            let going = selection.repos.get(&index);
            let stays = |number: &usize| {
                !interrupted.has(index, *number)
                    && !going.is_some_and(|going| going.contains(number))
            };
            let kept = newest_first(repo).into_iter().filter(stays);
            let surplus: BTreeSet<usize> = kept.skip(count).collect();
            if !surplus.is_empty() {
                selection.repos.entry(index).or_default().extend(surplus);
            }
        }
    }
    let mut use_of = Usage::of(report, &selection);
    let is_over = policy.max_size.is_some_and(|limit| use_of.total > limit);
    if let Some(limit) = policy.max_size {
        let mut order: Vec<usize> = (0..report.repos.len()).collect();
        order.sort_by(|&a, &b| used(&report.repos[a]).total_cmp(&used(&report.repos[b])));
        for index in order {
            let repo = &report.repos[index];
            if use_of.total <= limit {
                break;
            }
            if !is_pinned(repo) && use_of.drop_repo(report, index) {
                let all = 0..repo.revisions.len();
                selection.repos.entry(index).or_default().extend(all);
            }
        }
    }
    Eviction {
        selection,
        remaining: use_of.total,
        is_over,
    }
}

/// When a repository was last used, in seconds since 1970.
fn used(repo: &CachedRepo) -> f64 {
    repo.accessed.max(repo.modified)
}

/// The numbers of a repository's revisions, the one written last first. Of equals, those with refs
/// first, and `main` before all.
fn newest_first(repo: &CachedRepo) -> Vec<usize> {
    let rank = |revision: &CachedRevision| {
        let is_main = revision.refs.iter().any(|name| name == "main");
        (is_main, !revision.refs.is_empty())
    };
    let mut numbers: Vec<usize> = (0..repo.revisions.len()).collect();
    numbers.sort_by(|&a, &b| {
        let (a, b) = (&repo.revisions[a], &repo.revisions[b]);
        b.modified
            .total_cmp(&a.modified)
            .then_with(|| rank(b).cmp(&rank(a)))
    });
    numbers
}

/// Bytes in use, kept up to date while repositories go.
struct Usage {
    /// Per repository: bytes of its own, and the shared blobs it uses.
    repos: Vec<(u64, HashSet<u32>)>,
    /// Shared blob → how many repositories use it.
    users: HashMap<u32, usize>,
    total: u64,
}

impl Usage {
    /// What stays when a selection goes.
    fn of(report: &CacheReport, selection: &Selection<'_>) -> Usage {
        let none = BTreeSet::new();
        let mut usage = Usage {
            repos: Vec::new(),
            users: HashMap::new(),
            total: 0,
        };
        for (index, repo) in report.repos.iter().enumerate() {
            let gone = selection.repos.get(&index).unwrap_or(&none);
            let kept: HashSet<u32> = repo
                .revisions
                .iter()
                .enumerate()
                .filter(|(number, _)| !gone.contains(number))
                .flat_map(|(_, revision)| revision.files.iter().map(|file| file.blob))
                .collect();
            let kept = kept.into_iter().map(|blob| &repo.blobs[blob as usize]);
            let used = usage.add(kept);
            usage.repos.push(used);
        }
        for repo in report.damaged_repos() {
            usage.add(repo.blobs.iter());
        }
        let shared_blobs = usage.users.keys();
        usage.total += shared_blobs
            .map(|&shared_blob| size(report, shared_blob))
            .sum::<u64>();
        usage
    }

    /// Counts what a repository uses: bytes of its own, and shared blobs.
    fn add<'a>(&mut self, blobs: impl Iterator<Item = &'a Blob>) -> (u64, HashSet<u32>) {
        let (mut own, mut shared_blobs) = (0, HashSet::new());
        for blob in blobs {
            match blob.shared {
                Some(shared_blob) => drop(shared_blobs.insert(shared_blob)),
                None if blob.place.first() == Some(&b'/') => {}
                None => own += blob.size,
            }
        }
        for &shared_blob in &shared_blobs {
            *self.users.entry(shared_blob).or_default() += 1;
        }
        self.total += own;
        (own, shared_blobs)
    }

    /// Takes a repository out; returns whether anything was left of it.
    fn drop_repo(&mut self, report: &CacheReport, index: usize) -> bool {
        let (own, shared_blobs) = std::mem::take(&mut self.repos[index]);
        self.total -= own;
        for shared_blob in &shared_blobs {
            let users = self.users.get_mut(shared_blob).expect("counted before");
            *users -= 1;
            if *users == 0 {
                self.total -= size(report, *shared_blob);
            }
        }
        own > 0 || !shared_blobs.is_empty()
    }
}

fn size(report: &CacheReport, shared_blob: u32) -> u64 {
    let store = report.store.as_ref();
    store.map_or(0, |store| store.shared_blobs[shared_blob as usize].size)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::cache::scan::{Detail, scan};

    const DAY: f64 = 86_400.0;

    /// Repositories of 10 bytes a revision, last used so many days ago; the last revision of `b` is
    /// detached.
    fn cache() -> (tempfile::TempDir, CacheReport) {
        let folder = tempfile::tempdir().unwrap();
        for (repo, commit, days, has_ref) in [
            ("models--a", "a1", 30, true),
            ("models--a", "a2", 20, true),
            ("models--b", "b1", 10, true),
            ("models--b", "b2", 5, false),
            ("models--c", "c1", 1, true),
        ] {
            let repo = folder.path().join(repo);
            let snapshot = repo.join("snapshots").join(commit);
            std::fs::create_dir_all(&snapshot).unwrap();
            std::fs::create_dir_all(repo.join("refs")).unwrap();
            let file = std::fs::File::create(snapshot.join("f")).unwrap();
            std::io::Write::write_all(&mut &file, b"0123456789").unwrap();
            let time = SystemTime::now() - Duration::from_secs(86_400 * days);
            let times = std::fs::FileTimes::new();
            file.set_times(times.set_accessed(time).set_modified(time))
                .unwrap();
            if has_ref {
                std::fs::write(repo.join("refs").join(commit), commit).unwrap();
            }
        }
        let report = scan(folder.path(), Detail::Files).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        (folder, report)
    }

    #[test]
    fn a_write_counts_as_a_use_when_no_read_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let days = |days: u64| SystemTime::now() - Duration::from_secs(86_400 * days);
        for (name, read, written) in [("a", 90, 2), ("b", 2, 90), ("c", 90, 91)] {
            let snapshot = folder.path().join(format!("models--{name}/snapshots/c"));
            std::fs::create_dir_all(&snapshot).unwrap();
            let file = std::fs::File::create(snapshot.join("f")).unwrap();
            std::io::Write::write_all(&mut &file, b"0123456789").unwrap();
            let times = std::fs::FileTimes::new();
            file.set_times(times.set_accessed(days(read)).set_modified(days(written)))
                .unwrap();
            let refs = folder.path().join(format!("models--{name}/refs"));
            std::fs::create_dir_all(&refs).unwrap();
            std::fs::write(refs.join("main"), "c").unwrap();
        }
        let report = scan(folder.path(), Detail::Files).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs_f64();
        for (policy, expected) in [
            (
                Policy {
                    older_than: Some(30.0 * DAY),
                    ..Policy::default()
                },
                "{2: {0}}",
            ),
            // Least used first.
            (
                Policy {
                    max_size: Some(20),
                    ..Policy::default()
                },
                "{2: {0}}",
            ),
        ] {
            let eviction = evict(&report, &policy, |_| false, &Interrupted::default(), now);
            let found = format!("{:?}", eviction.selection.repos);
            assert_eq!(found, expected, "{policy:?}");
        }
    }

    #[test]
    fn a_damaged_repository_counts_and_stays() {
        let (folder, _) = cache();
        let damaged = folder.path().join("models--x");
        std::fs::create_dir_all(damaged.join("snapshots/x1")).unwrap();
        std::fs::write(damaged.join("snapshots/x1/f"), "0123456789abcde").unwrap();
        std::os::unix::fs::symlink("../../blobs/gone", damaged.join("snapshots/x1/g")).unwrap();
        let report = scan(folder.path(), Detail::Files).unwrap();
        assert_eq!(report.problems.len(), 1);
        for (limit, expected, remaining, is_over) in [
            (55, "{1: {1}}", 55, false),
            (54, "{0: {0, 1}, 1: {1}}", 35, true),
            (25, "{0: {0, 1}, 1: {0, 1}}", 25, true),
            (0, "{0: {0, 1}, 1: {0, 1}, 2: {0}}", 15, true),
        ] {
            let policy = Policy {
                max_size: Some(limit),
                ..Policy::default()
            };
            let eviction = evict(&report, &policy, |_| false, &Interrupted::default(), 0.0);
            let repos = format!("{:?}", eviction.selection.repos);
            assert_eq!(
                (repos.as_str(), eviction.remaining, eviction.is_over),
                (expected, remaining, is_over),
                "{limit}"
            );
            assert!(eviction.selection.damaged.is_empty());
        }
    }

    #[test]
    fn policies() {
        let (_folder, report) = cache();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let policy = |older_than: Option<f64>, keep_last, max_size| Policy {
            older_than: older_than.map(|days| days * DAY),
            keep_last,
            max_size,
        };
        for (policy, pinned, expected, remaining) in [
            (policy(None, None, None), "", "{1: {1}}", 40),
            (
                policy(Some(15.0), None, None),
                "",
                "{0: {0, 1}, 1: {1}}",
                20,
            ),
            (policy(Some(15.0), None, None), "a", "{1: {1}}", 40),
            (
                policy(Some(0.5), None, None),
                "b",
                "{0: {0, 1}, 2: {0}}",
                20,
            ),
            (policy(None, Some(1), None), "", "{0: {0}, 1: {1}}", 30),
            (
                policy(None, Some(0), None),
                "c",
                "{0: {0, 1}, 1: {0, 1}}",
                10,
            ),
            (policy(None, None, Some(40)), "", "{1: {1}}", 40),
            (policy(None, None, Some(39)), "", "{0: {0, 1}, 1: {1}}", 20),
            (
                policy(None, None, Some(15)),
                "",
                "{0: {0, 1}, 1: {0, 1}}",
                10,
            ),
            (policy(None, None, Some(15)), "a", "{1: {0, 1}, 2: {0}}", 20),
            (
                policy(None, Some(1), Some(25)),
                "",
                "{0: {0, 1}, 1: {1}}",
                20,
            ),
        ] {
            let eviction = evict(
                &report,
                &policy,
                |repo| repo.id.id == pinned,
                &Interrupted::default(),
                now,
            );
            assert_eq!(
                (
                    format!("{:?}", eviction.selection.repos).as_str(),
                    eviction.remaining
                ),
                (expected, remaining),
                "{policy:?} pinned {pinned:?}"
            );
        }
    }

    /// A shared blob counts once, and goes with the last repository that uses it.
    #[test]
    fn shared_blobs_count_once() {
        let (folder, _) = cache();
        let root = folder.path();
        let hash = "ab".repeat(32);
        std::fs::create_dir_all(root.join("blobs/ab")).unwrap();
        std::fs::write(root.join("blobs/.huggingface-shared-blobs"), "1\n").unwrap();
        std::fs::write(root.join("blobs/ab").join(&hash), [0; 100]).unwrap();
        for snapshot in ["models--a/snapshots/a1", "models--c/snapshots/c1"] {
            let blobs = root.join(snapshot).join("../../blobs");
            std::fs::create_dir_all(&blobs).unwrap();
            let shared = format!("../../blobs/ab/{hash}");
            std::os::unix::fs::symlink(shared, blobs.join("e")).unwrap();
            let file = root.join(snapshot).join("g");
            std::os::unix::fs::symlink("../../blobs/e", file).unwrap();
        }
        let report = scan(root, Detail::Files).unwrap();
        let store = report.store.as_ref().expect("a store");
        assert_eq!(store.shared_blobs.len(), 1);
        for (limit, expected, remaining) in [
            (140, "{1: {1}}", 140),
            // The shared blob was written just now, by both of the others.
            (139, "{1: {0, 1}}", 130),
            (129, "{0: {0, 1}, 1: {0, 1}}", 110),
            (109, "{0: {0, 1}, 1: {0, 1}, 2: {0}}", 0),
        ] {
            let policy = Policy {
                max_size: Some(limit),
                ..Policy::default()
            };
            let eviction = evict(&report, &policy, |_| false, &Interrupted::default(), 0.0);
            let repos = format!("{:?}", eviction.selection.repos);
            assert_eq!(
                (repos.as_str(), eviction.remaining),
                (expected, remaining),
                "{limit}"
            );
        }
    }
}
