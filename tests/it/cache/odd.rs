//! Caches made by accident: loops of links, names that are no text, times before 1970 and in the future,
//! files where folders should be. No command may hang, crash, or write control sequences to a terminal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::cache::{CacheTree, abandon};
use crate::harness::oracle::Oracle;
use crate::harness::tree::tree_of;
use crate::harness::{Output, TestEnv};

/// Every way to look at a cache.
const LOOKS: [&[&str]; 16] = [
    &["cache", "ls"],
    &["cache", "ls", "--show-warnings"],
    &["cache", "ls", "--revisions"],
    &["cache", "ls", "-q"],
    &["cache", "ls", "--format", "agent"],
    &["cache", "ls", "--json"],
    &[
        "cache",
        "ls",
        "--filter",
        "modified>1d",
        "--sort",
        "accessed",
    ],
    &["cache", "scan"],
    &["cache", "scan", "-v"],
    &["cache", "scan", "-vvv"],
    &["cache", "pin"],
    &["cache", "doctor"],
    &["cache", "doctor", "--json"],
    &["cache", "verify", "--all"],
    &["cache", "prune", "--dry-run"],
    &[
        "cache",
        "prune",
        "--older-than",
        "1d",
        "--max-size",
        "1k",
        "--dry-run",
        "--json",
    ],
];

/// Runs every look; the cache stays as it is, and nothing that moves a cursor is written.
fn look(env: &TestEnv) {
    let before = tree_of(env.cache());
    for args in LOOKS {
        let output = env.run(args);
        assert!(matches!(output.code, Some(0 | 1)), "{args:?}\n{output}");
        let text = output.to_string();
        let is_plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
        assert!(text.chars().all(is_plain), "{args:?}\n{text:?}");
        if args.contains(&"--json") && !output.stdout().is_empty() {
            rows(&output);
        }
    }
    assert_eq!(tree_of(env.cache()), before);
}

/// Rows as JSON. Bytes of a path that are no text are lone surrogates, as Python writes them; not every
/// parser takes those.
fn rows(output: &Output) -> Value {
    let text = output.stdout().replace("\\udcff", "\\ufffd");
    serde_json::from_str(&text.replace("\\udcfe", "\\ufffd")).expect("rows")
}

fn ids(env: &TestEnv) -> String {
    env.run(["cache", "ls", "-q"]).stdout().replace('\n', " ")
}

#[test]
fn loops_of_links_end() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let fine = tree.model("o/fine");
    let commit = fine.main([("f", "12345")]);
    // Loops that are harmless in a snapshot: links to folders are not followed.
    let snapshot = fine.root().join("snapshots").join(&commit);
    symlink(".", snapshot.join("here")).unwrap();
    symlink("../..", snapshot.join("up")).unwrap();
    symlink(env.cache(), snapshot.join("root")).unwrap();
    symlink("..", fine.root().join("refs/loop")).unwrap();
    symlink("../../..", fine.blob("loop")).unwrap();
    // And loops that lead nowhere.
    let blob = tree.model("o/blob-loop");
    let broken = blob.main([("f", "x")]);
    fs::remove_file(fs::canonicalize(blob.file(&broken, "f")).unwrap()).unwrap();
    let name = fs::read_link(blob.file(&broken, "f")).unwrap();
    let name = name.file_name().unwrap().to_str().unwrap();
    symlink(name, blob.blob(name)).unwrap();
    let reference = tree.model("o/ref-loop");
    reference.main([("f", "x")]);
    symlink("loop", reference.root().join("refs/loop")).unwrap();
    let folder = tree.model("o/snapshots-loop");
    fs::remove_dir(folder.root().join("snapshots")).unwrap();
    symlink("snapshots", folder.root().join("snapshots")).unwrap();
    symlink("models--o--itself", env.cache().join("models--o--itself")).unwrap();
    symlink(env.cache(), env.cache().join("models--o--root")).unwrap();
    look(&env);
    assert!(ids(&env).contains("model/o/fine "), "{}", ids(&env));
    let outside = tree_of(fine.root());
    let _ = env.run(["cache", "doctor", "--fix", "-y"]);
    assert_eq!(tree_of(fine.root()), outside);
    for id in ["blob-loop", "itself", "root", "snapshots-loop"] {
        let _ = env.run(["cache", "rm", &format!("model/o/{id}"), "-y"]);
        assert!(
            !env.cache().join(format!("models--o--{id}")).is_symlink(),
            "{id}"
        );
    }
    assert_eq!(
        tree_of(fine.root()),
        outside,
        "a link to the root was cut, not followed"
    );
    env.run(["cache", "rm", "model/o/fine", "-y"]).ok();
    assert!(env.cache().join("CACHEDIR.TAG").exists());
}

#[test]
fn names_that_are_no_text_are_shown_and_removed() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let odd = OsStr::from_bytes(b"\xff\x1b[2J\xfe");
    let join = |path: PathBuf| {
        let mut path = path.into_os_string();
        path.push(odd);
        PathBuf::from(path)
    };
    let repo = tree.model("o/name");
    let commit = repo.main([("f", "12345")]);
    let snapshot = repo.root().join("snapshots").join(&commit);
    fs::write(repo.blob("b"), "123").unwrap();
    symlink("../../blobs/b", join(snapshot.join("file"))).unwrap();
    fs::write(join(repo.root().join("refs/ref")), &commit).unwrap();
    fs::create_dir(join(repo.root().join("snapshots/detached"))).unwrap();
    fs::write(join(repo.root().join("snapshots/detached")).join("f"), "1").unwrap();
    let unfinished = join(repo.root().join("blobs/x")).with_extension("incomplete");
    for path in [&join(repo.root().join("blobs/foreign")), &unfinished] {
        fs::write(path, "1").unwrap();
        abandon(path);
    }
    let twin = join(env.cache().join("models--o--twin"));
    fs::create_dir_all(twin.join("snapshots/c")).unwrap();
    fs::write(twin.join("snapshots/c/f"), "1").unwrap();
    let dangling = join(env.cache().join("datasets--o--bad"));
    fs::create_dir_all(dangling.join("snapshots/c")).unwrap();
    symlink(
        join(PathBuf::from("../../blobs/gone")),
        dangling.join("snapshots/c/f"),
    )
    .unwrap();
    fs::write(join(env.cache().join("stray")), "x").unwrap();
    look(&env);
    let rows = rows(&env.run(["cache", "ls", "--json"]).ok());
    let named: Vec<&str> = rows
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["problem"].is_null())
        .filter_map(|r| r["id"].as_str())
        .collect();
    assert_eq!(
        named,
        ["model/o/name", "model/o/twin\u{fffd}\u{1b}[2J\u{fffd}"]
    );
    env.run(["cache", "pin", "model/o/name"]).ok();
    env.run(["cache", "rm", named[1], "-y"]).ok();
    assert!(!twin.exists());
    // The policy removes the detached revision, the rest is removed by name.
    env.run(["cache", "unpin", "model/o/name"]).ok();
    env.run(["cache", "prune", "-y"]).ok();
    assert!(!join(repo.root().join("snapshots/detached")).exists());
    assert!(!unfinished.exists());
    let _ = env.run(["cache", "doctor", "--fix", "-y"]);
    assert!(join(repo.root().join("blobs/foreign")).exists());
    assert!(dangling.join("snapshots/c/f").symlink_metadata().is_err());
    assert_eq!(fs::read(join(snapshot.join("file"))).unwrap(), b"123");
    let output = env
        .run(["cache", "rm", "model/o/name", "-y", "--json"])
        .ok();
    assert_eq!(output.json()["freed_bytes"], 9);
}

#[test]
fn control_characters_in_every_name() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let evil = "a\u{1b}]0;t\u{7}\r\n\u{202e}b";
    let repo = tree.model(&format!("o/{evil}"));
    let commit = repo.main([("f", "1"), (evil, "2")]);
    repo.refer(evil, &commit).partial(evil, "1");
    tree.stray_file(evil, "x")
        .stray_folder(&format!("models-{evil}"));
    tree.dataset(&format!("o/{evil}")).without_snapshots();
    look(&env);
    let target = format!("model/o/{evil}");
    for command in [["cache", "pin"], ["cache", "unpin"]] {
        let output = env.run([command.as_slice(), &[&target]].concat()).ok();
        assert!(
            !output.to_string().contains(['\u{1b}', '\u{7}']),
            "{output:?}"
        );
    }
    let output = env.run(["cache", "rm", &target, "-y"]).ok();
    assert!(
        !output.to_string().contains(['\u{1b}', '\u{7}']),
        "{output:?}"
    );
    assert!(!repo.root().exists());
}

#[test]
fn times_before_1970_and_after_now() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let century = Duration::from_secs(100 * 365 * 86_400);
    let ages = [
        ("o/before", UNIX_EPOCH - Duration::from_secs(86_400 * 365)),
        ("o/after", UNIX_EPOCH + century),
        ("o/zero", UNIX_EPOCH),
    ];
    let commits = ages.map(|(id, _)| tree.model(id).main([("f", id)]));
    let age = || {
        for ((id, time), commit) in ages.iter().zip(&commits) {
            tree.model(id).times(commit, "f", *time, *time);
        }
    };
    age();
    look(&env);
    // Some of the looks read the files.
    age();
    look(&env);
    let rows = env.run(["cache", "ls", "--json"]).ok().json();
    let of = |id: &str, key: &str| -> Value {
        let rows = rows.as_array().expect("rows");
        rows.iter().find(|row| row["repo_id"] == id).expect("row")[key].clone()
    };
    assert_eq!(of("o/before", "last_modified_at"), "1969-01-01T00:00:00Z");
    assert_eq!(of("o/zero", "last_modified_at"), "1970-01-01T00:00:00Z");
    if let Some(modern) = Oracle::modern() {
        let theirs = modern.hf(&env, ["cache", "ls", "--json"]).run().ok().json();
        for row in theirs.as_array().expect("rows") {
            let id = row["repo_id"].as_str().expect("id");
            for key in ["last_accessed", "last_modified"] {
                assert_eq!(of(id, key), row[key], "{id} {key}");
            }
        }
    }
    let output = env.run(["cache", "ls", "--sort", "modified", "-q"]).ok();
    assert_eq!(
        output.stdout(),
        "model/o/after\nmodel/o/zero\nmodel/o/before\n"
    );
    age();
    env.run(["cache", "prune", "--older-than", "1d", "-y"]).ok();
    assert_eq!(ids(&env), "model/o/after ");
}

#[test]
fn a_file_where_the_cache_should_be_and_no_cache_at_all() {
    let env = TestEnv::new();
    let commands: [(&[&str], i32); 12] = [
        (&["cache", "ls"], 1),
        (&["cache", "ls", "--json"], 1),
        (&["cache", "scan"], 0),
        (&["cache", "scan", "-v"], 0),
        (&["scan-cache"], 0),
        (&["cache", "rm", "model/o/n", "-y"], 1),
        (&["cache", "prune", "-y"], 1),
        (&["cache", "pin", "model/o/n"], 1),
        (&["cache", "unpin", "model/o/n"], 1),
        (&["cache", "doctor", "--fix", "-y"], 1),
        (&["cache", "verify", "--all"], 1),
        (&["cache", "verify", "o/n"], 1),
    ];
    for (command, code) in commands {
        let output = env.run(command).fails(code);
        let said = output.stdout().to_owned() + output.stderr();
        let words = [
            "The cache has no",
            "no cache at",
            "Cache directory not found",
        ];
        assert!(words.iter().any(|words| said.contains(words)), "{output}");
        assert!(!env.cache().exists(), "{command:?} made it");
    }
    fs::write(env.cache(), "a file").unwrap();
    for (command, _) in commands {
        let output = env.run(command).fails(1);
        let is_named = output.stderr().contains("is a file and should be a folder");
        assert!(is_named || command.contains(&"o/n"), "{output}");
    }
    assert_eq!(fs::read_to_string(env.cache()).unwrap(), "a file");
}

#[test]
fn wrong_filters_sorts_and_sizes_say_what_is_right() {
    let env = TestEnv::new();
    CacheTree::at(env.cache());
    for (args, said) in [
        (&["ls", "--filter", "size"][..], "size>1GB, accessed>30d"),
        (&["ls", "--filter", ""], "filter"),
        (&["ls", "--filter", "size==3"], "use = for equality"),
        (&["ls", "--filter", "type>model"], "only = works"),
        (
            &["ls", "--filter", "colour=red"],
            "accessed, modified, refs, size, type",
        ),
        (&["ls", "--filter", "size>1.5G"], "k, m, g, t or p"),
        (
            &["ls", "--filter", "accessed>1 fortnight"],
            "s, m, h, d, w, mo or y",
        ),
        (&["ls", "--sort", "age"], "accessed, modified, name, size"),
        (&["ls", "--sort", "size:up"], ":asc or :desc"),
        (&["ls", "--limit", "-1"], "--limit"),
        (&["prune", "--max-size", "200"], "200GB"),
        (&["prune", "--max-size", "lots"], "200GB"),
        (&["prune", "--max-size", "-1G"], "200GB"),
        (&["prune", "--older-than", "30"], "30d"),
        (&["prune", "--older-than", "1x"], "s, m, h, d, w, mo or y"),
        (&["prune", "--keep-last", "-1"], "--keep-last"),
        (&["delete", "--sort", "age"], "lastUsed"),
    ] {
        let output = env.run([&["cache"], args].concat()).fails(2);
        assert_eq!(output.stdout(), "", "{args:?}");
        assert!(output.stderr().contains(said), "{args:?}\n{output}");
    }
}

/// What is no file at a ref's place is read by no command: a pipe without a writer would never end.
#[test]
fn a_ref_that_is_no_file_is_passed_over_at_once() {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let kinds = [
        (FileType::Fifo, 0),
        (FileType::Socket, 0),
        // The same device as /dev/zero, whose text never ends.
        (FileType::CharacterDevice, makedev(1, 5)),
    ];
    for (kind, device) in kinds {
        let env = TestEnv::new();
        let repo = CacheTree::at(env.cache()).model("o/m");
        repo.main([("f", "x")]);
        let place = repo.root().join("refs/odd");
        if mknodat(CWD, &place, kind, Mode::from_raw_mode(0o666), device).is_err() {
            // Only root can.
            assert_eq!(kind, FileType::CharacterDevice);
            continue;
        }
        look(&env);
        let before = tree_of(env.cache());
        let download = ["download", "o/m", "--revision", "odd", "--offline"];
        let output = env.run(download).fails(1);
        assert!(output.stderr().contains("odd"), "{output}");
        for args in [
            &["cache", "rm", "model/o/m", "--dry-run"][..],
            &["cache", "verify", "o/m", "--revision", "main", "--offline"],
            &["download", "o/m", "--offline"],
        ] {
            env.run(args).ok();
        }
        assert_eq!(tree_of(env.cache()), before, "{kind:?}");
    }
}
