//! `hf cache ls` and `hf cache scan`: the same as the Python clients say of the same cache, and what
//! is ours beyond that.

use serde_json::{Value, json};

use crate::cache_made_up::{Health, make_up};
use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::oracle::Oracle;
use crate::harness::tree::tree_of;

/// Stdout up to the first empty line: the footer comes after it.
fn table(stdout: &str) -> &str {
    stdout
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .trim_end_matches('\n')
}

#[test]
fn scan_prints_the_table_of_the_legacy_client() {
    let Some(legacy) = Oracle::legacy() else {
        return;
    };
    for (seed, health) in (0..6).flat_map(|seed| [(seed, Health::Sound), (seed, Health::Damaged)]) {
        let env = TestEnv::new();
        make_up(&env.cache(), seed, health);
        for flags in [&[][..], &["-v"]] {
            let args = [&["cache", "scan"], flags].concat();
            let theirs = legacy.hf(&env, &args).run().ok();
            let ours = env.run(&args).ok();
            assert_eq!(table(ours.stdout()), table(theirs.stdout()), "seed {seed}");
        }
        let theirs = legacy.huggingface_cli(&env, ["scan-cache"]).run().ok();
        let ours = env.run(["scan-cache"]).ok();
        assert!(
            theirs.stdout().contains(table(ours.stdout())),
            "seed {seed}\n{theirs}\n{ours}"
        );
    }
}

#[test]
fn ls_says_what_the_modern_client_says() {
    let Some(modern) = Oracle::modern() else {
        return;
    };
    let selections: [&[&str]; 8] = [
        &[],
        &["--revisions"],
        &["--sort", "size"],
        &["--revisions", "--sort", "modified:asc"],
        &["--filter", "size>1k", "--sort", "name:desc"],
        &["--filter", "refs=main", "--sort", "accessed"],
        &["--revisions", "--filter", "modified>1d"],
        &["--limit", "2", "--filter", "type=model"],
    ];
    for seed in 0..3 {
        let health = [Health::Sound, Health::Damaged][seed as usize % 2];
        let mut env = TestEnv::new();
        env.set("COLUMNS", "200").set("NO_COLOR", "1");
        make_up(&env.cache(), seed + 100, health);
        for (number, selection) in selections.into_iter().enumerate() {
            // A Python process takes half a second: each selection meets each format with one seed.
            let text_format = ["human", "agent", "quiet"][(number + seed as usize) % 3];
            for format in [text_format, "json"] {
                let args = [&["cache", "ls"], selection, &["--format", format]].concat();
                let theirs = modern.hf(&env, &args).run().ok();
                let ours = env.run(&args).ok();
                let what = format!("seed {seed} {args:?}\n{theirs}\n{ours}");
                if format == "json" {
                    assert_eq!(
                        shared_keys(&ours.json(), &theirs.json()),
                        theirs.json(),
                        "{what}"
                    );
                } else {
                    assert_eq!(table(ours.stdout()), table(theirs.stdout()), "{what}");
                }
            }
        }
        let args = ["cache", "ls", "--show-warnings"];
        let warnings = |text: &str| text.lines().filter(|l| l.starts_with("Warning")).count();
        assert_eq!(
            warnings(env.run(args).ok().stderr()),
            warnings(modern.hf(&env, args).run().ok().stderr()),
            "seed {seed}"
        );
        let theirs = modern.hf(&env, ["cache", "ls"]).run().ok();
        let total = |text: &str| {
            let before = text.split(" on disk").next().unwrap_or_default();
            before.rsplit(' ').next().map(str::to_owned)
        };
        let ours = env.run(["cache", "ls"]).ok();
        assert_eq!(total(ours.stderr()), total(theirs.stdout()), "seed {seed}");
    }
}

/// Our rows with only the keys that theirs have, after checking that theirs come first.
fn shared_keys(ours: &Value, theirs: &Value) -> Value {
    let rows = |value: &Value| value.as_array().expect("a list").clone();
    let keys: Vec<String> = match rows(theirs).first() {
        Some(row) => row.as_object().expect("a row").keys().cloned().collect(),
        None => return ours.clone(),
    };
    let cut = |row: Value| -> Value {
        let row = row.as_object().expect("a row").clone();
        let first: Vec<String> = row.keys().take(keys.len()).cloned().collect();
        assert_eq!(first, keys);
        row.into_iter()
            .take(keys.len())
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    rows(ours).into_iter().map(cut).collect()
}

#[test]
fn json_adds_bytes_and_times() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    let repo = tree.model("org/name");
    let commit = repo.main([("a.bin", "12345"), ("sub/b.txt", "123")]);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for file in ["a.bin", "sub/b.txt"] {
        repo.times(&commit, file, time, time);
    }
    let rows = env.run(["cache", "ls", "--json"]).ok().json();
    assert_eq!(rows[0]["size"], "8.0");
    assert_eq!(rows[0]["size_bytes"], 8);
    assert_eq!(rows[0]["last_modified_at"], "2023-11-14T22:13:20Z");
    let rows = env
        .run(["cache", "ls", "--revisions", "--json"])
        .ok()
        .json();
    assert_eq!(rows[0]["revision"], json!(commit));
    assert_eq!(rows[0]["files"], 2);
    let rows = env.run(["cache", "scan", "--json"]).ok().json();
    assert_eq!(rows[0]["nb_files"], 2);
}

#[test]
fn a_missing_cache_is_an_error_for_ls_and_an_answer_for_scan() {
    let env = TestEnv::new();
    let output = env.run(["cache", "ls"]).fails(1);
    assert_eq!(output.stdout(), "");
    assert!(output.stderr().contains("There is no cache at"), "{output}");
    let output = env.run(["cache", "scan"]).ok();
    assert!(output.stdout().contains("There is no cache at"), "{output}");
    assert!(!env.cache().exists());
}

#[test]
fn wrong_words_are_usage_errors() {
    let env = TestEnv::new();
    CacheTree::at(env.cache());
    for args in [
        &["cache"][..],
        &["cache", "ls", "--filter", "size"],
        &["cache", "ls", "--filter", "size==3"],
        &["cache", "ls", "--sort", "age"],
        &["cache", "ls", "--limit", "-1"],
        &["cache", "ls", "--limit", "many"],
        &["cache", "nonsense"],
    ] {
        let output = env.run(args).fails(2);
        assert_eq!(output.stdout(), "", "{args:?}");
    }
}

#[test]
fn an_empty_cache_and_an_empty_selection() {
    let env = TestEnv::new();
    CacheTree::at(env.cache());
    for (format, expected) in [
        ("human", "No results found.\n"),
        ("agent", "No results found.\n"),
        ("json", "[]\n"),
        ("quiet", ""),
    ] {
        let output = env.run(["cache", "ls", "--format", format]).ok();
        assert_eq!(output.stdout(), expected);
    }
}

#[test]
fn names_from_the_disk_are_escaped_and_nothing_is_written() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    tree.model("org/na\u{1b}[2Jme").main([("f", "x")]);
    tree.stray_file("evil\u{1b}]0;title\u{7}", "x");
    let before = tree_of(env.cache());
    for args in [
        &["cache", "ls", "--show-warnings"][..],
        &["cache", "scan", "-vvv"],
        &["cache", "ls", "--format", "agent"],
        &["cache", "ls", "-q"],
    ] {
        let output = env.run(args).ok();
        assert!(
            !output.to_string().contains(['\u{1b}', '\u{7}']),
            "{output:?}"
        );
    }
    assert_eq!(tree_of(env.cache()), before);
}

#[test]
fn pieces_of_one_file_are_one_unfinished_download() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).model("org/name");
    repo.main([("f", "x")]);
    for piece in ["abc.hf-part", "abc.hf-part-1", "abc.0123abcd.incomplete"] {
        repo.abandoned(piece, "12");
    }
    repo.partial("other", "34");
    for args in [&["cache", "ls"][..], &["cache", "prune", "--dry-run"]] {
        let output = env.run(args).ok();
        let said = output.stderr();
        assert!(said.contains("2 unfinished downloads"), "{output}");
    }
}

#[test]
fn a_person_sees_shares_and_damaged_repositories() {
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    cache.model("o/large").main([("f", &"x".repeat(900))]);
    cache.model("o/small").main([("f", &"y".repeat(100))]);
    cache.dataset("o/broken").without_snapshots();
    let mut terminal = env.hf(["cache", "ls"]).terminal(24, 120);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    assert!(screen.contains("█████████ 90%"), "{screen}");
    assert!(
        screen.contains("dataset/o/broken") && screen.contains("damaged"),
        "{screen}"
    );
    let piped = env.run(["cache", "ls"]).ok();
    assert!(!piped.stdout().contains('%'), "{piped}");
    assert!(!piped.stdout().contains("damaged"), "{piped}");
    assert!(piped.stderr().contains("damaged"), "{piped}");
    let quiet = env.run(["cache", "ls", "-q"]).ok();
    assert_eq!(quiet.stdout(), "model/o/large\nmodel/o/small\n");
    env.run(["cache", "rm", "dataset/o/broken", "--yes"]).ok();
    assert!(!env.cache().join("datasets--o--broken").exists());
}
