//! Kills `rm`, `prune` and `doctor --fix` at every single change of the cache. Whichever change is the
//! last one, no client finds a problem that was not there before, what has to stay is unchanged, and
//! the same command completes the work.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use crate::cache::doctor::damaged;
use crate::cache::rm::assert_sound;
use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::endurance::in_two_sizes;
use crate::harness::oracle::Oracle;
use crate::harness::shim::shim;
use crate::harness::tree::{NodeKind, tree_of};

/// For every folder in `CACHES`, by name: what `scan_cache_dir` warns of.
const SCAN: &str = r#"
import json, os
from huggingface_hub import scan_cache_dir
root = os.environ["CACHES"]
print(json.dumps([[str(w) for w in scan_cache_dir(os.path.join(root, name)).warnings]
    for name in sorted(os.listdir(root))]))
"#;

/// Files and links with their contents. Locks and empty folders do not matter.
fn content(cache: &Path) -> Vec<String> {
    let nodes = tree_of(cache).into_iter();
    nodes
        .filter(|node| !node.path.starts_with(".locks") && !node.path.ends_with(".lock"))
        .filter(|node| node.kind != NodeKind::Folder)
        .map(|node| node.to_string())
        .collect()
}

/// A command that is killed at step 1, then, in another cache, at step 2, and so on.
struct Deaths {
    env: TestEnv,
    /// The caches after each kill, in the order of the steps; the last one without a kill.
    caches: Vec<PathBuf>,
    /// The cache when it is not killed.
    whole: Vec<String>,
}

/// `None` where there is no C compiler.
fn die_at_every_step(make: impl Fn(&Path), command: &[&str]) -> Option<Deaths> {
    let shim = shim()?;
    let env = TestEnv::new();
    let mut caches = Vec::new();
    for step in 1.. {
        let cache = env.path(format!("caches/{step:04}"));
        make(&cache);
        let place = ["--cache-dir".as_ref(), cache.as_os_str()];
        let words = command.iter().map(|word| word.as_ref()).chain(place);
        let run = env.hf(words).var("LD_PRELOAD", &shim);
        let output = run.var("HF_SHIM_KILL_AT", step.to_string()).run();
        if output.signal != Some(Signal::KILL.as_raw()) {
            output.ok();
            let whole = content(&cache);
            caches.push(cache);
            return Some(Deaths { env, caches, whole });
        }
        caches.push(cache);
    }
    unreachable!("some step is the last")
}

impl Deaths {
    /// Runs a command in every cache.
    fn in_each(&self, command: &[&str]) {
        for cache in &self.caches {
            let place = ["--cache-dir".as_ref(), cache.as_os_str()];
            let words = command.iter().map(|word| word.as_ref()).chain(place);
            self.env.run::<&OsStr>(words).ok();
        }
    }

    /// Neither client finds anything wrong in any of the caches.
    fn are_sound(&self) {
        for cache in &self.caches {
            let place = ["--cache-dir".as_ref(), cache.as_os_str()];
            let words = ["cache", "ls", "--show-warnings"].map(str::as_ref);
            let output = self.env.run(words.into_iter().chain(place)).ok();
            assert!(!output.stderr().contains("Warning"), "{cache:?}\n{output}");
        }
        for (cache, warnings) in self.caches.iter().zip(self.warnings()) {
            assert!(warnings.is_empty(), "{cache:?} {warnings:?}");
        }
    }

    /// What the modern client warns of in each of the caches; nothing where it is not installed.
    fn warnings(&self) -> Vec<Vec<String>> {
        let Some(modern) = Oracle::modern() else {
            return Vec::new();
        };
        let python = modern.python(&self.env, SCAN);
        let folder = self.env.path("caches");
        let output = python.var("CACHES", folder).run().ok();
        serde_json::from_value(output.json()).expect("lists of warnings")
    }

    /// Every cache has these lines of [`content`].
    fn all_have(&self, lines: &[String]) {
        for cache in &self.caches {
            let content = content(cache);
            for line in lines {
                assert!(content.contains(line), "{cache:?} lost {line}");
            }
        }
    }

    /// Every cache has become the same as the one whose process was not killed.
    fn are_the_same(&self) {
        let (last, rest) = self.caches.split_last().expect("at least one");
        for cache in rest {
            let (ours, expected) = (content(cache), content(last));
            let more: Vec<_> = ours
                .iter()
                .filter(|line| !expected.contains(line))
                .collect();
            let less: Vec<_> = expected
                .iter()
                .filter(|line| !ours.contains(line))
                .collect();
            assert!(
                ours == expected,
                "{cache:?}\nmore: {more:#?}\nless: {less:#?}"
            );
        }
    }
}

/// One of each thing that deletions treat: revisions that share a blob, with refs, listings
/// and notes; a repository not used for long; unfinished downloads; a shared store.
fn worn(root: &Path) {
    let tree = CacheTree::at(root);
    let repo = tree.model("org/kept");
    let old = repo.commit([("shared", "12345"), ("sub/old.bin", "1"), ("old", "22")]);
    let new = repo.main([("shared", "12345"), ("sub/new.bin", "333")]);
    repo.listing(&old, []).no_exist(&old, "sub/none");
    repo.listing(&new, []).no_exist(&new, "none");
    repo.refer("old", &old);
    repo.partial("abc", "12").partial("def.0123abcd", "123");
    let idle = tree.dataset("org/idle");
    let commit = idle.main([("a", "1"), ("sub/b", "22")]);
    idle.listing(&commit, []).refer("refs/pr/1", &commit);
    let (used, unused) = ("ab".repeat(32), "cd".repeat(32));
    tree.stray_file("blobs/.huggingface-shared-blobs", "1\n")
        .stray_file(&format!("blobs/ab/{used}"), "shared content")
        .stray_file(&format!("blobs/cd/{unused}"), "unused")
        .stray_file(&format!("blobs/cd/{unused}.refs"), "models--gone/blobs/x\n");
    let stored = "e".repeat(40);
    let mut lines = String::new();
    for (repo, commit) in [(&repo, &new), (&idle, &commit)] {
        symlink(format!("../../blobs/ab/{used}"), repo.blob(&stored)).unwrap();
        symlink(format!("../../blobs/{stored}"), repo.file(commit, "stored")).unwrap();
        let folder = repo.root().file_name().unwrap().to_str().unwrap();
        lines += &format!("{folder}/blobs/{stored}\n");
    }
    tree.stray_file(&format!("blobs/ab/{used}.refs"), &lines);
    let long_ago = SystemTime::now() - Duration::from_secs(86_400 * 90);
    for path in ["a", "sub/b"] {
        idle.times(&commit, path, long_ago, long_ago);
    }
}

#[test]
fn prune_can_be_killed_at_any_step() {
    let command = ["cache", "prune", "-y", "--keep-last", "1"];
    let Some(deaths) = die_at_every_step(worn, &command) else {
        return;
    };
    assert!(deaths.caches.len() > 10, "{}", deaths.caches.len());
    deaths.are_sound();
    deaths.all_have(&deaths.whole);
    deaths.in_each(&command);
    deaths.in_each(&["cache", "doctor", "--fix", "-y"]);
    deaths.are_the_same();
}

#[test]
fn rm_can_be_killed_at_any_step() {
    let start = TestEnv::new();
    worn(&start.cache());
    let main = start.cache().join("models--org--kept/refs/main");
    let main = fs::read_to_string(main).unwrap();
    // Only a revision of one repository is removed: no ref names a missing snapshot at any time.
    for target in ["dataset/org/idle", "model/org/kept", &main] {
        let command = ["cache", "rm", target, "-y"];
        let Some(deaths) = die_at_every_step(worn, &command) else {
            return;
        };
        assert!(deaths.caches.len() > 10, "{}", deaths.caches.len());
        deaths.are_sound();
        deaths.in_each(&command);
        // Twice: a blob that the first run removes may have been the user of a shared blob.
        deaths.in_each(&["cache", "doctor", "--fix", "-y"]);
        deaths.in_each(&["cache", "doctor", "--fix", "-y"]);
        deaths.are_the_same();
    }
}

#[test]
fn doctor_can_be_killed_at_any_step() {
    let make = |root: &Path| {
        worn(root);
        let tree = damaged(root);
        let repo = tree.model("org/whole");
        fs::write(repo.blob(&"0".repeat(40)), "1234567").unwrap();
        fs::write(repo.blob(".hf-0123.tmp"), "123").unwrap();
        fs::create_dir_all(root.join(".locks/.hf-0456.tmp/snapshots/c")).unwrap();
    };
    let command = ["cache", "doctor", "--fix", "-y"];
    let Some(deaths) = die_at_every_step(make, &command) else {
        return;
    };
    assert!(deaths.caches.len() > 10, "{}", deaths.caches.len());
    // The final content, except what the command writes itself, is valid at all times.
    let written = ["set-aside", "newline/refs/main", "org--bare/snapshots"];
    let is_kept = |line: &&String| !written.iter().any(|part| line.contains(part));
    let kept: Vec<String> = deaths.whole.iter().filter(is_kept).cloned().collect();
    deaths.all_have(&kept);
    let start = deaths.env.path("start");
    make(&start);
    let count = |cache: &Path| {
        // Those that are not damaged.
        let words = ["cache", "ls", "-q", "--cache-dir"].map(str::as_ref);
        let output = deaths.env.run(words.into_iter().chain([cache.as_os_str()]));
        output.ok().stdout().lines().count()
    };
    let at_first = count(&start);
    for cache in &deaths.caches {
        assert!(count(cache) >= at_first, "{cache:?} shows less than before");
    }
    deaths.in_each(&command);
    deaths.are_sound();
    deaths.all_have(&kept);
    deaths.are_the_same();
}

in_two_sizes!(dying_half_way_leaves_a_sound_cache: 3..6, 0..12);

/// Kills the process at many different moments and looks at what is left.
fn dying_half_way_leaves_a_sound_cache(rounds: std::ops::Range<usize>) {
    let modern = Oracle::modern();
    for round in rounds {
        let env = TestEnv::new();
        let repo = env.cache().join("models--big");
        fs::create_dir_all(repo.join("blobs")).unwrap();
        fs::create_dir_all(repo.join("refs")).unwrap();
        for commit in 0..3 {
            let snapshot = repo.join(format!("snapshots/{commit:040}"));
            fs::create_dir_all(&snapshot).unwrap();
            fs::write(
                repo.join(format!("refs/r{commit}")),
                format!("{commit:040}"),
            )
            .unwrap();
            for file in 0..400 {
                let name = format!("{:064}", file + commit * 200);
                fs::write(repo.join("blobs").join(&name), "x").unwrap();
                symlink(
                    format!("../../blobs/{name}"),
                    snapshot.join(format!("f{file}")),
                )
                .unwrap();
            }
        }
        let target = if round % 2 == 0 {
            "model/big".to_owned()
        } else {
            format!("{:040}", 0)
        };
        let gone = round * 100;
        let places = [
            repo.join("blobs"),
            repo.join(format!("snapshots/{:040}", 0)),
        ];
        let count = || -> usize {
            let names = |place: &PathBuf| fs::read_dir(place).map_or(0, Iterator::count);
            places.iter().map(names).sum()
        };
        let start = count();
        let mut running = env.hf(["cache", "rm", &target, "-y"]).spawn();
        while !running.ended() && count() + gone > start {}
        let _ = running.kill();
        assert_sound(&env);
        if let (Some(modern), 0..4) = (&modern, round) {
            let theirs = modern.hf(&env, ["cache", "ls"]).run().ok();
            assert!(!theirs.stderr().contains("inconsistenc"), "{theirs}");
        }
        let again = env.run(["cache", "rm", &target, "-y"]).ok();
        assert!(!again.stderr().contains("Error"), "{again}");
        assert_sound(&env);
    }
}
