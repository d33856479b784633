//! `hf cache doctor`: finds everything, mends what can be mended, and touches nothing else.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::cache_made_up::{Health, make_up};
use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::tree::tree_of;

fn findings(env: &TestEnv, code: i32) -> Vec<Value> {
    let rows = env.run(["cache", "doctor", "--json"]).fails(code).json();
    let short = |row: &Value| {
        let path = row["path"].as_str().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        json!([row["ailment"], name, row["size_bytes"]])
    };
    rows.as_array().expect("a list").iter().map(short).collect()
}

#[test]
fn every_ailment_is_found_and_mended() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let repo = tree.model("org/name");
    let commit = repo.main([("kept", "12345"), ("lost", "1"), ("also-lost", "2")]);
    repo.lose_blob(&commit, "lost")
        .lose_blob(&commit, "also-lost");
    repo.refer("gone", &"0".repeat(40))
        .refer("newline", &format!("{commit}\n"));
    repo.partial("abc", "12");
    fs::write(repo.blob("orphan"), "1234567").unwrap();
    fs::write(repo.blob(".hf-0123.tmp"), "123").unwrap();
    symlink("../../blobs/x", repo.blob(".abc.0123abcd.shared")).unwrap();
    fs::create_dir_all(env.cache().join(".locks/.hf-0456.tmp/snapshots")).unwrap();
    let before = tree_of(env.cache());
    let expected = [
        json!(["dangling-ref", "gone", 40]),
        json!(["dangling-ref", "newline", 41]),
        json!(["broken-link", "also-lost", 0]),
        json!(["broken-link", "lost", 0]),
        json!(["orphan-blob", "orphan", 7]),
        json!(["leftover", ".hf-0456.tmp", 0]),
        json!(["leftover", ".abc.0123abcd.shared", 0]),
        json!(["leftover", ".hf-0123.tmp", 3]),
    ];
    assert_eq!(findings(&env, 1), expected);
    env.hf(["cache", "doctor", "--fix"])
        .stdin("n\n")
        .run()
        .fails(1);
    assert_eq!(
        tree_of(env.cache()),
        before,
        "looking and refusing change nothing"
    );

    let output = env.run(["cache", "doctor", "--fix", "-y", "--json"]).ok();
    assert_eq!(output.json()["removed"], 8);
    assert_eq!(findings(&env, 0), Vec::<Value>::new());
    let rows = env.run(["cache", "ls", "--json"]).ok().json();
    assert_eq!(
        (&rows[0]["size_bytes"], &rows[0]["refs"]),
        (&json!(5), &json!(["main"]))
    );
    assert!(repo.blob("abc.incomplete").exists(), "downloads can go on");
}

#[test]
fn what_cannot_be_mended_is_told_and_stays() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    tree.stray_file("notes.txt", "mine")
        .stray_folder("my-folder");
    tree.model("org/bare").without_snapshots();
    let before = tree_of(env.cache());
    let found: Vec<Value> = findings(&env, 1).iter().map(|row| row[1].clone()).collect();
    assert_eq!(found, ["snapshots", "my-folder", "notes.txt"]);
    let output = env.run(["cache", "doctor", "--fix", "-y"]).fails(1);
    assert!(
        output.stderr().contains("nothing that --fix could remove"),
        "{output}"
    );
    assert_eq!(tree_of(env.cache()), before);
}

#[test]
fn a_sound_cache_is_said_to_be_sound() {
    for seed in 300..310 {
        let env = TestEnv::new();
        make_up(&env.cache(), seed, Health::Sound);
        let output = env.run(["cache", "doctor"]).ok();
        assert_eq!(output.stdout(), "No results found.\n", "seed {seed}");
    }
}

#[test]
fn links_by_other_names_of_the_cache_count() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    let commit = repo.main([("f", "x"), ("g", "y")]);
    symlink(env.cache(), env.path("alias")).unwrap();
    let file = repo.file(&commit, "f");
    let blob = fs::canonicalize(&file).unwrap();
    let alias = env
        .path("alias")
        .join(blob.strip_prefix(env.cache()).unwrap());
    fs::remove_file(&file).unwrap();
    symlink(alias, &file).unwrap();
    assert_eq!(findings(&env, 0), Vec::<Value>::new());
    let snapshot = repo.root().join("snapshots").join(&commit);
    fs::rename(&snapshot, env.path("moved")).unwrap();
    symlink(env.path("moved"), &snapshot).unwrap();
    assert!(
        !findings(&env, 0).iter().any(|row| row[0] == "orphan-blob"),
        "its links were not seen"
    );
}

#[test]
fn a_download_under_way_is_not_disturbed() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    repo.main([("f", "x")]);
    fs::write(repo.blob("not-linked-yet"), "1234").unwrap();
    let locks = env.cache().join(".locks/models--org--name");
    fs::create_dir_all(&locks).unwrap();
    let lock = File::create(locks.join("not-linked-yet.lock")).unwrap();
    lock.lock().unwrap();
    let output = env.run(["cache", "doctor", "--fix", "-y"]).ok();
    assert!(
        output.stderr().contains("is being downloaded into"),
        "{output}"
    );
    assert!(repo.blob("not-linked-yet").exists());
    drop(lock);
    env.run(["cache", "doctor", "--fix", "-y"]).ok();
    assert!(!repo.blob("not-linked-yet").exists());
}
