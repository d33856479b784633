//! Whatever is at a path that this tool writes to, nothing outside of it changes: a link, live or
//! to nothing, a pipe, a folder, a device. The error names the path, or the obstacle is replaced.
//!
//! The paths are not listed here: each command is run once in a clean place, and every file that it
//! leaves there becomes a row of the table. Files that exist only while it runs are added by name.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use hf_cli::testing::Checksum;
use hf_cli::testing::LocalDir;

use crate::harness::cache::CacheTree;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::oracle::skip;
use crate::harness::tree::{NodeKind, listing, tree_of};
use crate::harness::{Output, TestEnv};

/// Long enough for a busy machine; a program that waits for the pipe never ends.
const LIMIT: Duration = Duration::from_secs(30);

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    Link,
    LinkToFolder,
    Dangling,
    Pipe,
    Folder,
    Device,
}

const PLANTS: [Plant; 6] = [
    Plant::Link,
    Plant::LinkToFolder,
    Plant::Dangling,
    Plant::Pipe,
    Plant::Folder,
    Plant::Device,
];

/// A command, and how to make the place it is run in.
struct Writer<'a> {
    name: &'static str,
    place: Box<dyn Fn() -> TestEnv + 'a>,
    args: Vec<&'static str>,
    /// Paths that are there only while it runs.
    fleeting: Vec<String>,
    /// Its exit code in a clean place.
    code: i32,
    /// Files whose own links are followed, as the user's.
    follows: &'static [&'static str],
}

impl Writer<'_> {
    fn run(&self, env: &TestEnv) -> Output {
        env.hf(&self.args).limit(LIMIT).run()
    }

    /// Paths of all that the command makes or changes, relative to the place.
    fn paths(&self) -> Vec<String> {
        let env = (self.place)();
        let before = tree_of(env.root());
        self.run(&env).fails(self.code);
        let after = tree_of(env.root());
        let files = after
            .iter()
            .filter(|node| !matches!(node.kind, NodeKind::Folder) && !before.contains(node))
            .map(|node| node.path.clone());
        let mut paths: Vec<String> = files.collect();
        paths.extend(self.fleeting.iter().cloned());
        paths
    }

    fn is_followed(&self, path: &str) -> bool {
        self.follows.iter().any(|end| path.ends_with(end))
    }

    /// Runs the command with an obstacle at a path, and sees that nothing outside changes.
    fn check(&self, path: &str, plant: Plant) {
        let env = (self.place)();
        let outside = env.path("outside");
        let precious = outside.join("precious");
        fs::create_dir(&outside).unwrap();
        fs::create_dir(outside.join("folder")).unwrap();
        fs::write(&precious, "precious").unwrap();
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
        let place = env.path(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if place.symlink_metadata().is_ok() {
            fs::remove_file(&place).unwrap();
        }
        match plant {
            Plant::Link => symlink(&precious, &place).unwrap(),
            Plant::LinkToFolder => symlink(outside.join("folder"), &place).unwrap(),
            Plant::Dangling => symlink(outside.join("absent"), &place).unwrap(),
            Plant::Pipe => node(&place, FileType::Fifo),
            Plant::Folder => fs::create_dir(&place).unwrap(),
            Plant::Device => node(&place, FileType::CharacterDevice),
        }
        let before = (listing(&outside), times(&precious));
        let output = self.run(&env);
        let after = (listing(&outside), times(&precious));
        let what = format!("{} with {plant:?} at {path}\n{output}", self.name);
        assert_eq!(before, after, "{what}");
        let name = Path::new(path).file_name().unwrap().to_string_lossy();
        let is_told = output.stderr().contains(&*name)
            // What the user's own link leads to.
            || self.is_followed(path) && output.stderr().contains("outside/folder");
        assert!(output.code == Some(self.code) || is_told, "{what}");
        assert!(!output.stderr().contains("panicked"), "{what}");
    }

    /// The whole table of one command.
    fn check_all(&self) {
        let paths = self.paths();
        assert!(!paths.is_empty(), "{} writes nothing", self.name);
        for path in &paths {
            for plant in PLANTS {
                if self.is_followed(path) && matches!(plant, Plant::Link | Plant::Dangling) {
                    continue;
                }
                if plant != Plant::Device || may_make_devices() {
                    self.check(path, plant);
                }
            }
        }
    }
}

fn times(path: &Path) -> (i64, i64) {
    let meta = fs::metadata(path).unwrap();
    (meta.mtime(), meta.mtime_nsec())
}

fn node(path: &Path, kind: FileType) {
    // The number of /dev/null.
    let device = match kind {
        FileType::CharacterDevice => rustix::fs::makedev(1, 3),
        _ => 0,
    };
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), device).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this process may make device nodes; says so when it may not.
fn may_make_devices() -> bool {
    static MAY: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let device = rustix::fs::makedev(1, 3);
        let (path, kind) = (folder.path().join("null"), FileType::CharacterDevice);
        let made = mknodat(CWD, &path, kind, Mode::from_raw_mode(0o666), device);
        made.is_ok() || skip::<()>("devices in the way: only root may make them").is_some()
    });
    *MAY
}

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("o/m").file("config.json", "{}");
    hub.add(repo.lfs("d/weights.bin", Content::synthetic(70_000, 3)));
    hub
}

fn etags(hub: &Hub) -> [String; 2] {
    let repo = hub.repo("models/o/m");
    ["config.json", "d/weights.bin"].map(|path| repo.entry(path).etag())
}

#[test]
fn nothing_in_the_way_of_a_download_is_written_through() {
    let hub = hub();
    let fleeting = etags(&hub).map(|etag| format!("hf/hub/models--o--m/blobs/{etag}.hf-sparse"));
    let writer = Writer {
        name: "download",
        place: Box::new(|| TestEnv::for_hub(&hub)),
        args: vec!["download", "o/m"],
        fleeting: fleeting.to_vec(),
        code: 0,
        follows: &[],
    };
    writer.check_all();
    let writer = Writer {
        name: "download of a file that is not there",
        args: vec!["download", "o/m", "absent.json"],
        fleeting: Vec::new(),
        code: 1,
        ..writer
    };
    writer.check_all();
}

#[test]
fn nothing_in_the_way_of_a_local_folder_is_written_through() {
    let hub = hub();
    let place = || TestEnv::for_hub(&hub);
    let args = vec!["download", "o/m", "--local-dir", "here"];
    let writer = Writer {
        name: "download --local-dir",
        place: Box::new(place),
        args,
        fleeting: Vec::new(),
        code: 0,
        follows: &[],
    };
    writer.check_all();
    // Its partials are named by a hash, and the journal of a large one stands beside it.
    let repo = hub.repo("models/o/m");
    for path in ["config.json", "d/weights.bin"] {
        let checksum = Checksum::from_etag(&repo.entry(path).etag()).unwrap();
        let folder = LocalDir::new("work/here".into());
        let partial = folder.partial(&path.parse().unwrap(), &checksum);
        for plant in PLANTS {
            if plant != Plant::Device || may_make_devices() {
                writer.check(partial.to_str().unwrap(), plant);
            }
        }
    }
}

#[test]
fn nothing_in_the_way_of_the_journal_of_a_large_file_is_written_through() {
    let hub = Hub::start();
    hub.add(Repo::model("o/m").lfs("large.bin", Content::synthetic(36 << 20, 5)));
    let etag = hub.repo("models/o/m").entry("large.bin").etag();
    let writer = Writer {
        name: "download of a large file",
        place: Box::new(|| TestEnv::for_hub(&hub)),
        args: vec!["download", "o/m"],
        fleeting: Vec::new(),
        code: 0,
        follows: &[],
    };
    let part = format!("hf/hub/models--o--m/blobs/{etag}.hf-journal");
    for plant in [Plant::Link, Plant::Dangling, Plant::Pipe] {
        writer.check(&part, plant);
    }
}

#[test]
fn nothing_in_the_way_of_the_shared_store_is_written_through() {
    let shared = crate::download::shared::shared();
    let fleeting = [".lock", ".refs", ""]
        .map(|end| format!("hf/hub/blobs/{}/{}{end}", &shared.hash[..2], shared.hash));
    let writer = Writer {
        name: "download into the shared store",
        place: Box::new(|| {
            let mut env = TestEnv::for_hub(&shared.hub);
            env.set("HF_HUB_ENABLE_SHARED_BLOBS", "1");
            env
        }),
        args: vec!["download", "org/one"],
        fleeting: fleeting.to_vec(),
        code: 0,
        follows: &[],
    };
    writer.check_all();
}

#[test]
fn nothing_in_the_way_of_tokens_is_written_through() {
    let hub = Hub::start();
    hub.user("alice")
        .token("hf_laptoplaptoplaptoplaptoplaptoplapt", "read", "laptop");
    let follows = &["hf/token", "hf/stored_tokens"][..];
    let place = || TestEnv::for_hub(&hub);
    let writer = Writer {
        name: "auth login",
        place: Box::new(place),
        args: vec![
            "auth",
            "login",
            "--token",
            "hf_laptoplaptoplaptoplaptoplaptoplapt",
            "--force",
        ],
        fleeting: vec!["hf/stored_tokens.lock".to_owned()],
        code: 0,
        follows,
    };
    writer.check_all();
    let logged_in = || {
        let env = place();
        writer.run(&env).ok();
        env
    };
    for (name, args) in [
        (
            "auth logout",
            vec!["auth", "logout", "--token-name", "laptop"],
        ),
        (
            "auth switch",
            vec!["auth", "switch", "--token-name", "laptop"],
        ),
    ] {
        let writer = Writer {
            name,
            place: Box::new(logged_in),
            args,
            fleeting: vec!["hf/stored_tokens.lock".to_owned()],
            code: 0,
            follows,
        };
        for plant in [Plant::Link, Plant::Dangling, Plant::Pipe] {
            writer.check("hf/stored_tokens.lock", plant);
        }
    }
    let writer = Writer {
        name: "a renewal",
        place: Box::new(|| crate::auth::renew::logged_in(&hub, 60)),
        args: vec!["auth", "token"],
        fleeting: vec!["hf/stored_tokens.lock".to_owned()],
        code: 0,
        follows,
    };
    writer.check_all();
    assert!(hub.refreshes().0 > 0);
}

#[test]
fn nothing_in_the_way_of_other_files_is_written_through() {
    let cached = || {
        let env = TestEnv::new();
        let cache = crate::harness::cache::CacheTree::at(env.cache());
        cache.model("o/m").main([("a", "text")]);
        env
    };
    let rows: [(&str, &[&str], &'static [&'static str]); 4] = [
        ("a pin", &["cache", "pin", "model/o/m"], &[]),
        ("man pages", &["man", "--out", "pages"], &[]),
        ("bash", &["--install-completion", "bash"], &[".bashrc"]),
        ("fish", &["--install-completion", "fish"], &["hf.fish"]),
    ];
    for (name, args, follows) in rows {
        let writer = Writer {
            name,
            place: Box::new(cached),
            args: args.to_vec(),
            fleeting: Vec::new(),
            code: 0,
            follows,
        };
        if name == "man pages" {
            // Some forty pages, all written alike.
            for plant in PLANTS {
                if plant != Plant::Device || may_make_devices() {
                    writer.check("work/pages/hf.1", plant);
                }
            }
            continue;
        }
        writer.check_all();
    }
}

/// Runs a command with a link of another user at a path that is a folder of ours.
fn check_foreign(env: &TestEnv, path: &str, args: &[&str]) {
    let outside = env.path("outside");
    fs::create_dir_all(&outside).unwrap();
    let place = env.path(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    symlink(&outside, &place).unwrap();
    std::os::unix::fs::lchown(&place, Some(4242), None).unwrap();
    let output = env.hf(args).limit(LIMIT).run();
    assert_eq!(listing(&outside), "", "{path}: {output}");
    // A download continues without a lock that it cannot take, and says so.
    let is_lock = path.contains(".locks");
    assert!(output.code != Some(0) || is_lock, "{path}: {output}");
    let name = place.file_name().unwrap().to_string_lossy();
    assert!(output.stderr().contains(&*name), "{path}: {output}");
    assert!(output.stderr().contains("another user"), "{path}: {output}");
}

#[test]
fn links_of_another_user_lead_nowhere() {
    if !is_root() {
        skip::<()>("links of another user: only root may make them");
        return;
    }
    let hub = hub();
    let commit = hub.repo("models/o/m").commit("main");
    let snapshot = format!("hf/hub/models--o--m/snapshots/{commit}");
    for path in [
        "hf",
        "hf/hub",
        "hf/hub/.locks",
        "hf/hub/.locks/models--o--m",
        "hf/hub/models--o--m",
        "hf/hub/models--o--m/blobs",
        "hf/hub/models--o--m/snapshots",
        "hf/hub/models--o--m/refs",
        &snapshot,
        &format!("{snapshot}/d"),
    ] {
        let env = TestEnv::for_hub(&hub);
        if path == "hf" {
            fs::remove_dir(env.hf_home()).unwrap();
        }
        check_foreign(&env, path, &["download", "o/m"]);
    }
    for path in [
        "work/here",
        "work/here/d",
        "work/here/.cache",
        "work/here/.cache/huggingface",
        "work/here/.cache/huggingface/download",
    ] {
        let env = TestEnv::for_hub(&hub);
        check_foreign(&env, path, &["download", "o/m", "--local-dir", "here"]);
    }
}

#[test]
fn nothing_is_deleted_through_a_link_of_another_user() {
    if !is_root() {
        skip::<()>("links of another user: only root may make them");
        return;
    }
    let commands: [&[&str]; 5] = [
        &["cache", "rm", "model/o/m", "-y"],
        &["cache", "prune", "--max-size", "0k", "-y"],
        &["cache", "doctor", "--fix", "-y"],
        &["cache", "pin", "model/o/m"],
        &["cache", "unpin", "model/o/m"],
    ];
    for command in commands {
        let env = TestEnv::new();
        let outside = env.path("outside");
        CacheTree::at(&outside).model("o/m").main([("f", "x")]);
        fs::create_dir_all(env.hf_home()).unwrap();
        symlink(&outside, env.cache()).unwrap();
        std::os::unix::fs::lchown(env.cache(), Some(4242), None).unwrap();
        let before = listing(&outside);
        let output = env.hf(command.iter().copied()).limit(LIMIT).run();
        assert_eq!(output.code, Some(1), "{command:?}: {output}");
        assert!(
            output.stderr().contains("another user"),
            "{command:?}: {output}"
        );
        assert_eq!(listing(&outside), before, "{command:?}");
        let read = env.run(["cache", "ls", "-q"]).ok();
        assert_eq!(read.stdout(), "model/o/m\n", "reading does no harm");
    }
}

#[test]
fn the_users_own_links_to_folders_are_followed() {
    let hub = hub();
    for path in [
        "hf/hub",
        "hf/hub/.locks",
        "hf/hub/models--o--m",
        "hf/hub/models--o--m/blobs",
        "work/here",
        "work/here/.cache",
    ] {
        let env = TestEnv::for_hub(&hub);
        let (elsewhere, place) = (env.path("elsewhere"), env.path(path));
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(&elsewhere, &place).unwrap();
        let mut args = vec!["download", "o/m"];
        if path.starts_with("work") {
            args.extend(["--local-dir", "here"]);
        }
        env.run(args).ok();
        assert!(place.is_symlink(), "{path}");
        assert_ne!(listing(&elsewhere), "", "{path}");
    }
}

#[test]
fn a_partial_with_another_name_is_left_to_that() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let [_, etag] = etags(&hub);
    let partial = env
        .cache()
        .join(format!("models--o--m/blobs/{etag}.hf-sparse"));
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(env.path("backup"), "some bytes").unwrap();
    fs::hard_link(env.path("backup"), &partial).unwrap();
    env.run(["download", "o/m"]).ok();
    assert_eq!(fs::read(env.path("backup")).unwrap(), b"some bytes");
}
