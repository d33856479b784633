//! The shared blob store together with the Python client: both make the same trees from the same start,
//! and each links what the other has published.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::oracle::Oracle;
use crate::harness::partial::is_any_left;
use crate::harness::process::{Invocation, Output};
use crate::harness::shim::shim;
use crate::harness::tree::{listing, tree_of};
use crate::harness::{Running, TestEnv};

/// Size of the content that repositories share, in bytes.
pub const SIZE: usize = 700_000;

/// A storage server and a Hub with three repositories that hold the same content, under other names.
pub struct Shared {
    pub cas: Cas,
    pub hub: Hub,
    /// Name of the content in Xet storage.
    pub hash: String,
    pub bytes: Vec<u8>,
}

/// Bytes without repetition.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes = std::iter::repeat_with(|| random.u8(..));
    bytes.take(size).collect()
}

pub fn shared() -> Shared {
    static FILLED: LazyLock<(Cas, String, String)> = LazyLock::new(|| {
        let cas = Cas::start();
        let common = cas.store(&noise(1, SIZE));
        let own = cas.store(&noise(2, 300_000));
        (cas, common, own)
    });
    let (filled, hash, own) = &*FILLED;
    let (cas, hub) = (filled.twin(), Hub::start());
    let bytes = noise(1, SIZE);
    let content = Content::memory(bytes.clone());
    let one = Repo::model("org/one").file("config.json", "{}");
    hub.add(one.xet("big.bin", content.clone(), hash));
    let two = Repo::model("org/two").xet("d/copy.bin", content.clone(), hash);
    hub.add(two.xet("own.bin", Content::memory(noise(2, 300_000)), own));
    hub.add(Repo::dataset("org/three").xet("x.bin", content, hash));
    hub.xet(Some(cas.endpoint()));
    Shared {
        cas,
        hub,
        hash: hash.clone(),
        bytes,
    }
}

impl Shared {
    /// A home whose cache gets a store.
    pub fn env(&self) -> TestEnv {
        let mut env = TestEnv::for_hub(&self.hub);
        env.set("HF_HUB_ENABLE_SHARED_BLOBS", "1");
        env
    }

    /// Path of the shared blob in a cache.
    pub fn shared_blob(&self, env: &TestEnv) -> PathBuf {
        env.cache()
            .join("blobs")
            .join(&self.hash[..2])
            .join(&self.hash)
    }

    pub fn manifest(&self, env: &TestEnv) -> String {
        let path = self
            .shared_blob(env)
            .with_file_name(format!("{}.refs", self.hash));
        fs::read_to_string(path).expect("manifest")
    }

    /// The etag of the content: the name of its blob in every repository.
    pub fn etag(&self) -> String {
        self.hub.repo("models/org/one").entry("big.bin").etag()
    }

    /// A blob of the content in a repository's folder.
    pub fn blob(&self, env: &TestEnv, folder: &str) -> PathBuf {
        env.cache().join(folder).join("blobs").join(self.etag())
    }

    /// The line of a repository's folder in the manifest.
    pub fn line(&self, folder: &str) -> String {
        format!("{folder}/blobs/{}\n", self.etag())
    }

    /// From now on every request for large content fails.
    pub fn dry_up(&self) {
        self.hub.xet(None);
        self.hub.clear_requests();
    }

    /// Requests for large content, and for access to the storage.
    pub fn fetched(&self) -> usize {
        self.hub.count(|r| {
            r.path.contains("/xet-read-token/")
                || r.content && !r.path.ends_with(".json") && r.method == "GET"
        })
    }

    /// A file of the common content has arrived under its name, as a link into the store.
    #[track_caller]
    pub fn is_linked(&self, env: &TestEnv, folder: &str) {
        let blob = self.blob(env, folder);
        let target =
            fs::read_link(&blob).unwrap_or_else(|e| panic!("{e}\n{}", listing(env.cache())));
        let expected = Path::new("../../blobs")
            .join(&self.hash[..2])
            .join(&self.hash);
        assert_eq!(target, expected);
        assert!(
            fs::read(&blob).expect("shared blob") == self.bytes,
            "{folder}"
        );
    }
}

/// The modern client with Xet.
pub fn python<'a>(modern: &Oracle, env: &'a TestEnv, line: &[&str]) -> Invocation<'a> {
    modern.hf(env, line).var("HF_HUB_DISABLE_XET", "0")
}

/// Neither client finds anything wrong with the cache.
#[track_caller]
pub fn scans_clean(modern: Option<&Oracle>, env: &TestEnv) {
    env.run(["cache", "doctor"]).ok();
    is_sound(modern, env);
}

/// As [`scans_clean`], but for a blob or its link that a killed download has not yet put in place, and
/// that `--fix` puts there.
pub fn lacks_a_link_at_most(modern: Option<&Oracle>, env: &TestEnv) {
    let output = env.run(["cache", "doctor"]);
    let lost = ["lost-link: ", "lost-blob: "];
    let lost = lost.iter().filter(|name| output.stdout().contains(**name));
    let is_known = match lost.count() {
        0 => output.code == Some(0),
        1 => output.stderr().contains("it has 1 problem."),
        _ => output.stderr().contains("it has 2 problems."),
    };
    assert!(is_known, "{output}");
    is_sound(modern, env);
}

fn is_sound(modern: Option<&Oracle>, env: &TestEnv) {
    let check = |output: Output| {
        let text = output.ok().to_string().to_lowercase();
        assert!(
            !text.contains("warning") && !text.contains("inconsisten"),
            "{text}"
        );
    };
    check(env.run(["cache", "ls", "--show-warnings", "--no-truncate"]));
    if let Some(modern) = modern {
        check(modern.hf(env, ["cache", "ls", "--show-warnings"]).run());
    }
}

/// Names, kinds, contents and link targets of a cache; of the store also the modes. Other modes differ on
/// purpose (see `interop.rs`).
fn comparable(env: &TestEnv) -> Vec<String> {
    let nodes = tree_of(env.cache()).into_iter();
    nodes
        .map(|node| {
            let mode = if node.path.starts_with("blobs") {
                node.mode
            } else {
                0
            };
            format!("{mode:04o} {} {:?}", node.path, node.kind)
        })
        .collect()
}

/// Published, linked, linked in a snapshot, fetched again.
const LINES: [&[&str]; 4] = [
    &["download", "org/one", "big.bin"],
    &["download", "org/two", "d/copy.bin"],
    &["download", "org/three", "--repo-type", "dataset"],
    &["download", "org/two", "--force-download"],
];

#[test]
fn the_same_trees_as_the_python_client() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let shared = shared();
    for (variable, mode, expected) in [
        (None, 0o755, 0o444),
        (None, 0o700, 0o400),
        (None, 0o2770, 0o440),
        (Some("HF_HUB_DISABLE_SHARED_BLOBS"), 0o755, 0),
        (Some("HF_HUB_DISABLE_SYMLINKS"), 0o755, 0),
    ] {
        let (mut ours, mut theirs) = (shared.env(), shared.env());
        for env in [&mut ours, &mut theirs] {
            fs::create_dir(env.cache()).unwrap();
            fs::set_permissions(env.cache(), fs::Permissions::from_mode(mode)).unwrap();
            env.set("HF_HUB_DISABLE_XET", "0");
            variable.map(|name| env.set(name, "1"));
        }
        // The whole tree once, then only the differences.
        let is_first = (variable, mode) == (None, 0o755);
        for line in &LINES[..if is_first { LINES.len() } else { 2 }] {
            ours.run(*line).ok();
            python(&modern, &theirs, line).run().ok();
            assert_eq!(
                comparable(&ours),
                comparable(&theirs),
                "{variable:?} {mode:o} {line:?}"
            );
        }
        let shared_blob = shared.shared_blob(&ours);
        let mode = fs::metadata(shared_blob).map_or(0, |meta| meta.mode() & 0o7777);
        assert_eq!(mode, expected, "{variable:?}");
    }
}

/// Old versions of the Python client destroy a store when they delete. So a store is made only on request,
/// and an existing one is used.
#[test]
fn a_store_is_used_and_made_only_on_request() {
    let shared = shared();
    let store = "blobs/.huggingface-shared-blobs";
    for (enabled, disabled, is_there, is_linked) in [
        (None, None, false, false),
        (Some("1"), None, false, true),
        (Some("0"), None, false, false),
        (None, None, true, true),
        (Some("1"), Some("1"), false, false),
        (Some("1"), Some("1"), true, false),
        (None, Some("0"), true, true),
    ] {
        let mut env = TestEnv::for_hub(&shared.hub);
        for (name, value) in [
            ("HF_HUB_ENABLE_SHARED_BLOBS", enabled),
            ("HF_HUB_DISABLE_SHARED_BLOBS", disabled),
        ] {
            value.map(|value| env.set(name, value));
        }
        if is_there {
            fs::create_dir_all(env.cache().join("blobs")).unwrap();
            fs::write(env.cache().join(store), "1\n").unwrap();
        }
        env.run(["download", "org/one"]).ok();
        let what = format!("{enabled:?} {disabled:?} {is_there}");
        let blob = shared.blob(&env, "models--org--one");
        assert_eq!(blob.is_symlink(), is_linked, "{what}");
        assert!(fs::read(blob).unwrap() == shared.bytes, "{what}");
        let marker = env.cache().join(store);
        assert_eq!(marker.exists(), is_there || is_linked, "{what}");
    }
}

/// After a power cut there must be no link without its line: the shared blob would be removed while it is
/// in use.
#[test]
fn a_new_user_is_flushed_to_disk() {
    let Some(shim) = shim() else { return };
    let shared = shared();
    let env = shared.env();
    env.run(["download", "org/one"]).ok();
    let log = env.path("flushed");
    let run = env.hf(["download", "org/two", "d/copy.bin"]);
    let run = run.var("LD_PRELOAD", shim);
    run.var("HF_SHIM_SYNC_LOG", &log).run().ok();
    let flushed = fs::read_to_string(log).expect("something was flushed");
    let manifest = format!("{}.refs", shared.hash);
    assert!(
        flushed.lines().any(|line| line.ends_with(&manifest)),
        "{flushed}"
    );
    shared.is_linked(&env, "models--org--two");
}

#[test]
fn each_links_what_the_other_has_published() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let shared = shared();
    let ours = shared.env();
    ours.run(["download", "org/one"]).ok();
    let theirs = shared.env();
    python(&modern, &theirs, &["download", "org/one"])
        .run()
        .ok();
    shared.dry_up();
    let two = ["download", "org/two", "d/copy.bin"];
    python(&modern, &ours, &two).run().ok();
    assert_eq!(shared.fetched(), 0, "{}", shared.hub.log_text());
    let output = theirs.run(two).ok();
    assert_eq!(output.said(), "");
    assert_eq!(shared.fetched(), 0, "{}", shared.hub.log_text());
    assert!(fs::read(output.stdout().trim_end()).unwrap() == shared.bytes);
    for env in [&ours, &theirs] {
        shared.is_linked(env, "models--org--one");
        shared.is_linked(env, "models--org--two");
        let lines = shared.line("models--org--one") + &shared.line("models--org--two");
        assert_eq!(shared.manifest(env), lines);
        scans_clean(Some(&modern), env);
    }
    assert_eq!(comparable(&ours), comparable(&theirs));
}

#[test]
fn the_plan_lists_links() {
    let shared = shared();
    let env = shared.env();
    let two = ["download", "org/two", "--dry-run"];
    let plan = env.run(two).ok();
    assert!(
        plan.stdout()
            .contains("Will download 2 files (out of 2) totalling 1.0M."),
        "{plan}"
    );
    env.run(["download", "org/one"]).ok();
    let before = listing(env.cache());
    let plan = env.run(two).ok();
    let words = "Will download 1 files (out of 2) totalling 300.0K.\nWill link 1 file (700.0K) from the shared store.\n";
    assert!(plan.stdout().contains(words), "{plan}");
    let rows = env.run(two.iter().chain(&["--json"])).ok().json();
    let row = |index: usize| {
        let row = &rows[index];
        (
            row["size"].clone(),
            row["will_download"].clone(),
            row["from_shared_store"].clone(),
        )
    };
    assert_eq!(rows[0]["file"], "d/copy.bin");
    assert_eq!(row(0), ("-".into(), false.into(), true.into()));
    assert_eq!(row(1), ("300.0K".into(), true.into(), false.into()));
    let forced = env.run(two.iter().chain(&["--force-download"])).ok();
    assert!(
        forced
            .stdout()
            .contains("Will download 2 files (out of 2) totalling 1.0M."),
        "{forced}"
    );
    assert_eq!(listing(env.cache()), before, "a plan writes nothing");
    if let Some(modern) = Oracle::modern() {
        let line: Vec<&str> = two.iter().chain(&["--json"]).copied().collect();
        let theirs = python(&modern, &env, &line).run().ok().json();
        for index in [0, 1] {
            assert_eq!(rows[index]["file"], theirs[index]["file"], "{theirs}");
            assert_eq!(rows[index]["size"], theirs[index]["size"], "{theirs}");
        }
    }
}

#[test]
fn the_shared_blob_is_removed_with_its_last_user() {
    let shared = shared();
    let modern = Oracle::modern();
    let env = shared.env();
    for _ in 0..2 {
        env.run(["download", "org/one"]).ok();
        env.run(["download", "org/two", "d/copy.bin"]).ok();
        env.run(["cache", "rm", "model/org/one", "-y"]).ok();
        shared.is_linked(&env, "models--org--two");
        assert_eq!(shared.manifest(&env), shared.line("models--org--two"));
        env.run(["cache", "prune", "-y"]).ok();
        shared.is_linked(&env, "models--org--two");
        let last = ["cache", "rm", "model/org/two", "-y"];
        match &modern {
            Some(modern) => python(modern, &env, &last).run().ok(),
            None => env.run(last).ok(),
        };
        assert!(
            !shared.shared_blob(&env).exists(),
            "{}",
            listing(env.cache())
        );
        scans_clean(modern.as_ref(), &env);
    }
}

#[test]
fn other_variables_do_not_change_the_store() {
    let shared = shared();
    for variable in [
        "HF_HUB_DISABLE_SHARED_BLOBS",
        "HF_HUB_DISABLE_XET",
        "HF_HUB_DISABLE_SYMLINKS",
    ] {
        let mut env = shared.env();
        env.run(["download", "org/one"]).ok();
        let store = listing(env.cache().join("blobs"));
        env.set(variable, "1");
        let plan = env.run(["download", "org/two", "--dry-run"]).ok();
        assert!(
            plan.stdout().contains("Will download 2 files (out of 2)"),
            "{plan}"
        );
        let output = env.run(["download", "org/two"]).ok();
        let file = Path::new(output.stdout().trim_end()).join("d/copy.bin");
        assert!(fs::read(&file).unwrap() == shared.bytes, "{variable}");
        assert_eq!(listing(env.cache().join("blobs")), store, "{variable}");
        // An existing content is used, whatever the variables say.
        shared.is_linked(&env, "models--org--one");
        let requests = shared.fetched();
        env.run(["download", "org/one"]).ok();
        assert_eq!(shared.fetched(), requests, "{variable}");
    }
    let env = shared.env();
    env.run(["download", "org/one", "--local-dir", "out"]).ok();
    assert!(!env.cache().join("blobs").exists());
}

/// Three programs that fetch the same content into one cache at the same time.
#[test]
fn three_programs_at_once_publish_one_shared_blob() {
    let shared = shared();
    let modern = Oracle::modern();
    let env = shared.env();
    // Another test covers the marker of the store: the Python client may fail over it.
    env.run(["download", "org/two", "own.bin"]).ok();
    let slow = shared.cas.throttled(1_000_000);
    shared.hub.xet(Some(slow.endpoint()));
    let mut running: Vec<Running> = Vec::new();
    for repo in ["org/one", "org/two"] {
        running.push(env.hf(["download", repo]).spawn());
    }
    let three = ["download", "org/three", "--repo-type", "dataset"];
    running.push(match &modern {
        Some(modern) => python(modern, &env, &three).spawn(),
        None => env.hf(three).spawn(),
    });
    for program in running {
        program.wait().ok();
    }
    let folders = [
        "datasets--org--three",
        "models--org--one",
        "models--org--two",
    ];
    for folder in folders {
        shared.is_linked(&env, folder);
    }
    let manifest = shared.manifest(&env);
    let mut lines: Vec<&str> = manifest.lines().collect();
    lines.sort_unstable();
    let expected = folders.map(|folder| shared.line(folder));
    assert_eq!(lines, expected.each_ref().map(|line| line.trim_end()));
    let left = listing(env.cache());
    assert!(
        !left.contains(".hf.shared") && !is_any_left(&left),
        "{left}"
    );
    scans_clean(modern.as_ref(), &env);
}
