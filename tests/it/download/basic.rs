//! `hf download` from a Hub without faults: which files arrive where, the requests, the output.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Origin, Repo, Settings};
use crate::harness::tree::{NodeKind, listing, tree_of};

/// `org/name` with folders, a name that needs encoding, a duplicate content, an LFS file, a pull
/// request and a tag.
pub fn example_hub() -> Hub {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{\"a\": 1}")
            .file("copy/config.json", "{\"a\": 1}")
            .file("empty.txt", "")
            .file("sub/deep/ünï cödé #1.txt", "text")
            .lfs("model.safetensors", Content::synthetic(3_000_000, 1))
            .tag("v1")
            .branch("refs/pr/1", |tree| tree.file("config.json", "{\"a\": 2}")),
    );
    hub.add(
        Repo::dataset("org/data")
            .file("data/train.csv", "a,b\n")
            .file("readme.md", "r"),
    );
    hub
}

fn snapshot(env: &TestEnv, hub: &Hub, revision: &str) -> std::path::PathBuf {
    env.cache()
        .join("models--org--name/snapshots")
        .join(hub.repo("models/org/name").commit(revision))
}

/// Requests of one kind, as `METHOD path`, with `COMMIT` for the commit.
fn asked(hub: &Hub) -> Vec<String> {
    let commit = hub.repo("models/org/name").commit("main");
    let line = |r: crate::harness::hub::Request| {
        format!(
            "{:?} {} {}",
            r.origin,
            r.method,
            r.path.replace(&commit, "COMMIT")
        )
    };
    hub.requests().into_iter().map(line).collect()
}

#[test]
fn a_repository_arrives_completely_with_one_get_a_file() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).ok();
    let snapshot = snapshot(&env, &hub, "main");
    assert_eq!(
        output.stdout(),
        format!("{}\n", snapshot.display()),
        "a pipe gets the bare path"
    );
    let repo = hub.repo("models/org/name");
    for path in [
        "config.json",
        "copy/config.json",
        "empty.txt",
        "sub/deep/ünï cödé #1.txt",
        "model.safetensors",
    ] {
        let file = snapshot.join(path);
        assert!(
            fs::read(&file).unwrap() == repo.entry(path).content.to_bytes(),
            "{path}"
        );
        let depth = path.matches('/').count() + 2;
        let target = format!("{}blobs/{}", "../".repeat(depth), repo.entry(path).etag());
        assert_eq!(fs::read_link(&file).unwrap(), Path::new(&target));
    }
    let reference = env.cache().join("models--org--name/refs/main");
    assert_eq!(fs::read_to_string(reference).unwrap(), repo.commit("main"));
    let mut asked = asked(&hub);
    let planning: Vec<String> = asked.drain(..2).collect();
    assert_eq!(
        planning,
        [
            "Hub GET /api/models/org/name/revision/main",
            "Hub GET /api/models/org/name/tree/COMMIT"
        ]
    );
    // An empty file needs no request.
    assert_eq!(
        asked
            .iter()
            .filter(|line| line.starts_with("Hub GET"))
            .count(),
        3,
        "{asked:#?}"
    );
    assert_eq!(
        asked
            .iter()
            .filter(|line| line.starts_with("Cdn GET"))
            .count(),
        1,
        "{asked:#?}"
    );
    assert_eq!(
        asked.len(),
        4,
        "no HEAD, and the same content only once: {asked:#?}"
    );
}

#[test]
fn the_second_download_fetches_nothing() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let first = env.run(["download", "org/name"]).ok();
    let before = tree_of(env.cache());
    hub.clear_requests();
    let second = env.run(["download", "org/name"]).ok();
    assert_eq!(first.stdout(), second.stdout());
    assert_eq!(
        asked(&hub),
        ["Hub GET /api/models/org/name/revision/main"],
        "by branch one request"
    );
    hub.clear_requests();
    let commit = hub.repo("models/org/name").commit("main");
    env.run(["download", "org/name", "--revision", &commit])
        .ok();
    env.run(["download", "org/name", "config.json", "--revision", &commit])
        .ok();
    assert_eq!(asked(&hub), [""; 0], "by commit none");
    assert_eq!(before, tree_of(env.cache()));
}

#[test]
fn one_file_needs_one_head_and_one_get() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let output = env
        .run(["download", "org/name", "config.json", "--quiet"])
        .ok();
    let file = snapshot(&env, &hub, "main").join("config.json");
    assert_eq!(output.stdout(), format!("{}\n", file.display()));
    assert_eq!(
        asked(&hub),
        [
            "Hub HEAD /org/name/resolve/main/config.json",
            "Hub GET /org/name/resolve/COMMIT/config.json"
        ]
    );
    hub.clear_requests();
    env.run(["download", "org/name", "model.safetensors"]).ok();
    let asked = asked(&hub);
    assert_eq!(
        asked[0],
        "Hub HEAD /org/name/resolve/main/model.safetensors"
    );
    assert!(
        asked.len() == 2 && asked[1].starts_with("Cdn GET "),
        "{asked:?}"
    );
    assert_eq!(
        fs::metadata(file.with_file_name("model.safetensors"))
            .unwrap()
            .len(),
        3_000_000
    );
}

#[test]
fn formats_of_the_result() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let path = snapshot(&env, &hub, "main").display().to_string();
    let run = |format: &str| env.run(["download", "org/name", "--format", format]).ok();
    assert_eq!(run("quiet").stdout(), format!("{path}\n"));
    assert_eq!(run("agent").stdout(), format!("path={path}\n"));
    assert_eq!(run("json").stdout(), format!("{{\"path\": \"{path}\"}}\n"));
    assert_eq!(
        run("human").stdout(),
        format!("✓ Downloaded\n  path: {path}\n")
    );
    let before = env.run(["--json", "download", "org/name"]).ok();
    assert_eq!(before.json(), json!({ "path": path }));
}

#[test]
fn files_folders_and_patterns_choose() {
    let hub = example_hub();
    for (arguments, expected) in [
        (
            &["config.json", "empty.txt"][..],
            &["config.json", "empty.txt"][..],
        ),
        (&["sub/"], &["sub/deep/ünï cödé #1.txt"]),
        (
            &["sub/", "empty.txt"],
            &["empty.txt", "sub/deep/ünï cödé #1.txt"],
        ),
        (
            &["--include", "*.json"],
            &["config.json", "copy/config.json"],
        ),
        (
            &["--include", "*.json", "--exclude", "copy/*"],
            &["config.json"],
        ),
        (
            &["--exclude", "*.safetensors", "--exclude", "*.json"],
            &["empty.txt", "sub/deep/ünï cödé #1.txt"],
        ),
    ] {
        let env = TestEnv::for_hub(&hub);
        env.run(["download", "org/name"].iter().chain(arguments))
            .ok();
        let snapshot = snapshot(&env, &hub, "main");
        let found: Vec<String> = tree_of(&snapshot)
            .into_iter()
            .filter(|node| snapshot.join(&node.path).is_file())
            .map(|node| node.path)
            .collect();
        assert_eq!(found, expected, "{arguments:?}");
    }
}

#[test]
fn types_revisions_and_addresses() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let pr = snapshot(&env, &hub, "refs/pr/1").join("config.json");
    for arguments in [
        &["org/name", "config.json", "--revision", "refs/pr/1"][..],
        &["hf://org/name@refs/pr/1/config.json"],
        &["models/org/name", "config.json", "--revision", "refs/pr/1"],
        &["https://huggingface.co/org/name/blob/refs%2Fpr%2F1/config.json?download=true"],
    ] {
        let output = env.run(["download"].iter().chain(arguments)).ok();
        assert_eq!(
            output.stdout().trim_end(),
            pr.to_str().unwrap(),
            "{arguments:?}"
        );
    }
    assert_eq!(fs::read_to_string(&pr).unwrap(), "{\"a\": 2}");
    assert!(
        env.cache()
            .join("models--org--name/refs/refs/pr/1")
            .is_file()
    );
    for arguments in [
        &["org/data", "--repo-type", "dataset"][..],
        &["org/data", "--type", "dataset"],
        &["datasets/org/data"],
        &["hf://datasets/org/data/data/"],
    ] {
        let output = env.run(["download"].iter().chain(arguments)).ok();
        assert!(
            Path::new(output.stdout().trim_end())
                .join("data/train.csv")
                .is_file(),
            "{arguments:?}"
        );
    }
    env.run(["download", "datasets/org/data", "--type", "dataset"])
        .fails(2);
    env.run(["download", "hf://org/name", "--revision", "main"])
        .fails(1);
    env.run([
        "download",
        "org/name",
        "--cache-dir",
        "a",
        "--local-dir",
        "b",
    ])
    .fails(1);
    env.run(["download", "org/name", "sub/", "--include", "*"])
        .fails(1);
    env.run(["download"]).fails(2);
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", "config.json"]).ok();
    let before = listing(env.root());
    let output = env.run(["download", "org/name", "--dry-run"]).ok();
    insta::assert_snapshot!(output.snapshot(&env), @r"
    exit: 0
    ----- stdout
    [dry-run] Will download 3 files (out of 5) totalling 3.0M.
    FILE                     SIZE
    ------------------------ ----
    config.json              -   
    copy/config.json         -   
    empty.txt                0.0 
    model.safetensors        3.0M
    sub/deep/ünï cödé #1.txt 4.0 
    ----- stderr
    ");
    let rows = env
        .run(["download", "org/name", "--dry-run", "--json"])
        .ok()
        .json();
    let sizes: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["size"].as_str().unwrap())
        .collect();
    assert_eq!(sizes, ["-", "-", "0.0", "3.0M", "4.0"]);
    assert_eq!(rows[3]["bytes"], 3_000_000);
    assert_eq!(listing(env.root()), before, "nothing was written");
}

#[test]
fn force_fetches_again() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    let before = listing(env.cache());
    let sent = hub.content_bytes_sent();
    env.run(["download", "org/name", "--force-download"]).ok();
    assert_eq!(hub.content_bytes_sent(), 2 * sent);
    assert_eq!(listing(env.cache()), before);
    env.run([
        "download",
        "org/name",
        "config.json",
        "--force-download",
        "--no-force-download",
    ])
    .ok();
    assert_eq!(hub.content_bytes_sent(), 2 * sent);
}

#[test]
fn a_new_commit_replaces_the_ref_and_shares_blobs() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let first = env.run(["download", "org/name"]).ok();
    let sent = hub.content_bytes_sent();
    let commit = hub
        .repo("models/org/name")
        .update(|tree| tree.file("config.json", "new"));
    let second = env.run(["download", "org/name"]).ok();
    assert_ne!(first.stdout(), second.stdout());
    assert_eq!(hub.content_bytes_sent() - sent, 3, "only what is new");
    assert_eq!(
        fs::read_to_string(env.cache().join("models--org--name/refs/main")).unwrap(),
        commit
    );
    assert!(
        Path::new(first.stdout().trim_end())
            .join("config.json")
            .is_file(),
        "the old snapshot stays"
    );
}

#[test]
fn without_symlinks_files_are_real() {
    let hub = example_hub();
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_HUB_DISABLE_SYMLINKS", "1");
    env.run(["download", "org/name"]).ok();
    let tree = tree_of(env.cache().join("models--org--name"));
    assert!(
        tree.iter()
            .all(|node| !matches!(node.kind, NodeKind::Link { .. }))
    );
    assert!(
        !tree.iter().any(|node| node.path.starts_with("blobs/")),
        "{tree:#?}"
    );
    hub.clear_requests();
    env.run(["download", "org/name"]).ok();
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn redirects_within_the_hub_are_followed_with_the_token() {
    let hub = example_hub();
    hub.configure(|settings: &mut Settings| {
        settings.resolve_cache = true;
        settings.weak_etags = true;
    });
    hub.user("alice").token("hf_alice", "read", "laptop");
    hub.add(
        Repo::model("org/old")
            .private()
            .allow("alice")
            .file("f", "f")
            .lfs("l", "large"),
    );
    let renamed = hub.repo("models/org/old").rename("org/new");
    drop(renamed);
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", "hf_alice");
    env.run(["download", "org/old"]).ok();
    assert!(
        env.cache().join("models--org--old/snapshots").is_dir(),
        "the id as typed names the folder"
    );
    env.run(["download", "org/name"]).ok();
    // The second of three answers says what the file is.
    hub.configure(|settings: &mut Settings| settings.bare_cached_copies = true);
    env.run(["cache", "rm", "org/old", "-y"]).ok();
    env.run(["download", "org/old", "f"]).ok();
    env.run(["download", "org/old", "l"]).ok();
    assert_eq!(hub.leaked_tokens().len(), 0);
    assert!(hub.count(|r| r.origin == Origin::Cdn) > 0);
}

#[test]
fn listings_of_many_pages_are_followed() {
    let hub = Hub::with(Settings {
        page_size: 7,
        ..Settings::default()
    });
    let repo = (0..40).fold(Repo::model("org/name"), |repo, n| {
        repo.file(&format!("d{}/f{n}", n % 3), format!("{n}"))
    });
    hub.add(repo);
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    let files = tree_of(snapshot(&env, &hub, "main"));
    assert_eq!(
        files
            .iter()
            .filter(|node| matches!(node.kind, NodeKind::Link { .. }))
            .count(),
        40
    );
    assert!(hub.count(|r| r.path.contains("/tree/")) >= 6);
}

#[test]
fn lines_written_for_older_clients_work() {
    let hub = example_hub();
    let env = TestEnv::for_hub(&hub);
    let old = [
        "download",
        "org/name",
        "./config.json",
        "--resume-download",
        "--local-dir-use-symlinks",
        "False",
        "--local-dir",
        "here",
    ];
    let output = env.run(old).ok();
    assert!(env.work().join("here/config.json").is_file(), "{output}");
    for flag in ["--resume-download", "--local-dir-use-symlinks"] {
        let told = format!("{flag} is deprecated and has no effect.");
        assert_eq!(output.stderr().matches(&told).count(), 1, "{output}");
    }
    // A pattern too may begin where the user is.
    let command = [
        "download",
        "org/name",
        "--include",
        "./*.json",
        "--local-dir",
        "there",
    ];
    env.run(command).ok();
    assert!(env.work().join("there/config.json").is_file());
    // Several patterns behind one flag are one choice, and this is told.
    let env = TestEnv::for_hub(&hub);
    let output = env
        .run([
            "download",
            "org/name",
            "--exclude",
            "*.json",
            "*.safetensors",
        ])
        .ok();
    let snapshot = std::path::Path::new(output.stdout().trim_end());
    assert!(!snapshot.join("config.json").exists(), "{output}");
    assert!(snapshot.read_dir().unwrap().count() > 0, "{output}");
    assert!(
        output.stderr().contains("--exclude takes all of"),
        "{output}"
    );
}
