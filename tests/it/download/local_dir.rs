//! `hf download --local-dir`: plain files, their metadata, and what is not fetched again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::harness::hub::{Content, Hub, Repo, Settings};
use crate::harness::oracle::Oracle;
use crate::harness::partial::{all_below, is_any_left, kept};
use crate::harness::tree::{NodeKind, listing, tree_of};
use crate::harness::{Held, TestEnv};

fn hub() -> Hub {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .file("sub/deep/x.txt", "text")
            .lfs("model.bin", Content::synthetic(300_000, 3)),
    );
    hub
}

fn download(env: &TestEnv, more: &[&str]) -> PathBuf {
    let output = env
        .run(
            ["download", "org/name", "--local-dir", "out"]
                .iter()
                .chain(more),
        )
        .ok();
    PathBuf::from(output.stdout().trim_end())
}

/// Bytes of content that the Hub sends while `act` runs.
fn sent(hub: &Hub, act: impl FnOnce()) -> u64 {
    let before = hub.content_bytes_sent();
    act();
    hub.content_bytes_sent() - before
}

#[test]
fn files_arrive_as_files_and_nothing_is_fetched_twice() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let folder = download(&env, &[]);
    assert_eq!(folder, env.work().join("out").canonicalize().unwrap());
    assert_eq!(
        fs::read_to_string(folder.join("sub/deep/x.txt")).unwrap(),
        "text"
    );
    assert!(
        tree_of(&folder)
            .iter()
            .all(|node| !matches!(node.kind, NodeKind::Link { .. }))
    );
    assert!(!env.cache().exists(), "the shared cache is not touched");
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 0);
    let commit = hub.repo("models/org/name").commit("main");
    hub.clear_requests();
    download(&env, &["--revision", &commit]);
    assert_eq!(hub.requests().len(), 0, "a full commit needs no request");
    let one = download(&env, &["config.json"]);
    assert_eq!(one, folder.join("config.json"));
}

#[test]
fn a_new_commit_fetches_what_changed() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let folder = download(&env, &[]);
    let commit = hub
        .repo("models/org/name")
        .update(|tree| tree.file("config.json", "new"));
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 3);
    assert_eq!(
        fs::read_to_string(folder.join("config.json")).unwrap(),
        "new"
    );
    let metadata =
        fs::read_to_string(folder.join(".cache/huggingface/download/model.bin.metadata")).unwrap();
    assert!(
        metadata.starts_with(&commit),
        "metadata of unchanged files is refreshed: {metadata}"
    );
}

/// Leftovers of a process that was killed while it wrote metadata, a listing or the tag.
#[test]
fn leftovers_of_a_killed_download_are_removed() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let folder = download(&env, &[]);
    let state = folder.join(".cache/huggingface");
    let before = listing(&folder);
    let places = [
        ".hf-0123.tmp",
        "trees/.hf-abcd.tmp",
        "download/.hf-4567.tmp",
    ];
    for place in places {
        fs::write(state.join(place), "half").unwrap();
    }
    // A file that another process still writes, and files of the user.
    let (live, mine) = (
        state.join("download/.hf-89ef.tmp"),
        folder.join(".hf-aaaa.tmp"),
    );
    let held = Held::at(&live);
    fs::write(&mine, "mine").unwrap();
    download(&env, &[]);
    assert!(live.exists() && mine.exists(), "{}", listing(&folder));
    drop(held);
    download(&env, &[]);
    fs::remove_file(mine).unwrap();
    assert_eq!(listing(&folder), before);
}

/// What a process leaves that is killed when it has just put a file in its place: the journal, and no metadata.
#[test]
fn the_journal_of_a_file_that_is_in_its_place_is_removed() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").lfs("big.bin", Content::synthetic(6_000_000, 3)));
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(1_000_000));
    let env = TestEnv::for_hub(&hub);
    let command = ["download", "org/name", "--local-dir", "out"];
    let state = env.work().join("out/.cache/huggingface/download");
    let mut running = env.hf(command).spawn();
    running.wait_until("something is noted", |_| {
        let files = fs::read_dir(&state).into_iter().flatten().flatten();
        let mut paths = files.map(|file| file.path());
        paths.any(|path| {
            path.extension().is_some_and(|end| end == "hf-sparse") && kept(&path) > 300_000
        })
    });
    let _ = running.kill();
    let journal = all_below(&state)[0].with_extension("hf-journal");
    let left = fs::read(&journal).unwrap();
    hub.configure(|settings: &mut Settings| settings.bandwidth = None);
    let folder = download(&env, &[]);
    let whole = listing(&folder);
    assert!(!is_any_left(&whole), "{whole}");
    fs::write(&journal, left).unwrap();
    fs::remove_file(state.join("big.bin.metadata")).unwrap();
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 0);
    assert!(!is_any_left(&listing(&folder)), "{}", listing(&folder));
}

#[test]
fn files_that_the_user_changed_or_added_are_checked() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let folder = download(&env, &[]);
    let touch = |path: &Path| {
        let later = SystemTime::now() + Duration::from_secs(10);
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(later)
            .unwrap();
    };
    // The same content with another time: hashed, and kept.
    touch(&folder.join("model.bin"));
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 0);
    // Other content of the same size: hashed, and replaced.
    fs::write(folder.join("model.bin"), vec![b'x'; 300_000]).unwrap();
    touch(&folder.join("model.bin"));
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 300_000);
    let expected = hub
        .repo("models/org/name")
        .entry("model.bin")
        .content
        .to_bytes();
    assert!(fs::read(folder.join("model.bin")).unwrap() == expected);
    // Deleted: fetched.
    fs::remove_file(folder.join("config.json")).unwrap();
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 2);
    assert_eq!(
        sent(&hub, || drop(download(&env, &["--force-download"]))),
        300_006
    );
}

/// As the Python client does. But who changed a file should see that the change goes.
#[test]
fn a_changed_file_is_replaced_and_named() {
    let hub = hub();
    let command = ["download", "org/name", "--local-dir", "out"];
    let line = |named: &str| {
        format!(
            "Warning: {named} is not as it was downloaded, or comes from elsewhere: its content is replaced."
        )
    };
    let later = SystemTime::now() + Duration::from_secs(10);
    // Edited later, edited within the second in which it came, and without any note of a download.
    for (text, time, is_noted) in [
        ("edited, longer", Some(later), true),
        ("TEXT", Some(later), true),
        ("edited at once", None, true),
        ("by hand", None, false),
        ("HAND", None, false),
    ] {
        for is_cached in [false, true] {
            let env = TestEnv::for_hub(&hub);
            if is_cached {
                env.run(["download", "org/name"]).ok();
            }
            let first = env.run(command).ok();
            assert!(!first.stderr().contains("replaced"), "{first}");
            let folder = env.work().join("out");
            let file = folder.join("sub/deep/x.txt");
            let came = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, text).unwrap();
            let opened = fs::File::options().write(true).open(&file).unwrap();
            opened.set_modified(time.unwrap_or(came)).unwrap();
            if !is_noted {
                let noted = ".cache/huggingface/download/sub/deep/x.txt.metadata";
                fs::remove_file(folder.join(noted)).unwrap();
            }
            let dry = env.run([&command[..], &["--dry-run"]].concat()).ok();
            assert!(!dry.stderr().contains("replaced"), "{dry}");
            let output = env.run(command).ok();
            let warnings = output.stderr().lines();
            let warnings: Vec<&str> = warnings.filter(|it| it.contains("Warning")).collect();
            assert_eq!(warnings, [line("sub/deep/x.txt")], "{text} {is_cached}");
            assert_eq!(fs::read_to_string(&file).unwrap(), "text", "{output}");
            let again = env.run(command).ok();
            assert!(!again.stderr().contains("Warning"), "{again}");
        }
    }
}

/// An update, and a file of which nothing is lost, need no word.
#[test]
fn what_only_a_download_has_written_is_replaced_without_a_word() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let folder = download(&env, &[]);
    hub.repo("models/org/name").update(|tree| {
        tree.file("config.json", "longer")
            .file("sub/deep/x.txt", "TEXT")
    });
    fs::write(folder.join("model.bin"), "").unwrap();
    let output = env.run(["download", "org/name", "--local-dir", "out"]).ok();
    assert!(
        !output.stderr().contains("comes from elsewhere"),
        "{output}"
    );
    // Many are one line.
    let many = ["config.json", "sub/deep/x.txt"];
    for path in many {
        fs::write(folder.join(path), "edited by hand").unwrap();
    }
    let output = env.run(["download", "org/name", "--local-dir", "out"]).ok();
    let line = "Warning: config.json, sub/deep/x.txt are not as they were downloaded, or come from elsewhere: their content is replaced.";
    assert!(output.stderr().lines().any(|it| it == line), "{output}");
}

#[test]
fn the_cache_is_a_source() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    assert_eq!(sent(&hub, || drop(download(&env, &[]))), 0);
    assert!(
        fs::symlink_metadata(env.work().join("out/model.bin"))
            .unwrap()
            .is_file()
    );
    // Nothing is written anywhere else: the current folder takes no files.
    let other = env.path("other");
    let copy = [
        "download",
        "org/name",
        "--local-dir",
        other.to_str().unwrap(),
    ];
    let copied = || drop(env.hf(copy).folder("/proc").run().ok());
    assert_eq!(sent(&hub, copied), 0);
    assert!(other.join("model.bin").is_file());
}

#[test]
fn without_the_hub_a_complete_folder_is_used_with_a_warning() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    let commit = hub.repo("models/org/name").commit("main");
    let folder = download(&env, &[]);
    env.set("HF_HUB_OFFLINE", "1");
    let output = env.run(["download", "org/name", "--local-dir", "out"]).ok();
    assert!(output.stderr().contains("Warning"), "{output}");
    fs::remove_file(folder.join("config.json")).unwrap();
    env.run([
        "download",
        "org/name",
        "--local-dir",
        "out",
        "--revision",
        &commit,
    ])
    .fails(1);
    env.run(["download", "org/name", "--local-dir", "empty"])
        .fails(1);
}

/// The folder as it is compared with the Python client's: without times and locks.
fn comparable(folder: &Path) -> Vec<String> {
    let nodes = tree_of(folder)
        .into_iter()
        .filter(|node| !node.path.ends_with(".lock"));
    nodes
        .map(|node| match node.path.strip_suffix(".metadata") {
            Some(path) => {
                let text = fs::read_to_string(folder.join(&node.path)).unwrap();
                let lines: Vec<&str> = text.lines().take(2).collect();
                format!("{path}: {lines:?}")
            }
            None => format!("{} {:?}", node.path, node.kind),
        })
        .collect()
}

#[test]
fn the_python_client_agrees_on_the_folder() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let hub = hub();
    let (ours, theirs) = (TestEnv::for_hub(&hub), TestEnv::for_hub(&hub));
    let folder = download(&ours, &[]);
    modern
        .hf(&theirs, ["download", "org/name", "--local-dir", "out"])
        .run()
        .ok();
    assert_eq!(comparable(&folder), comparable(&theirs.work().join("out")));
    // Each uses the other's folder without fetching a byte.
    let fetched = sent(&hub, || {
        modern
            .hf(&ours, ["download", "org/name", "--local-dir", "out"])
            .run()
            .ok();
        download(&theirs, &[]);
    });
    assert_eq!(fetched, 0, "{}", listing(&folder));
}
