//! `hf cache ls` and `hf cache scan`: the same output as the Python clients for the same cache, and our
//! additions.

use serde_json::{Value, json};

use crate::cache::made_up::{Health, make_up};
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
        let is_sound = health == Health::Sound;
        let mut env = TestEnv::new();
        env.set("COLUMNS", "200").set("NO_COLOR", "1");
        make_up(&env.cache(), seed + 100, health);
        for (number, selection) in selections.into_iter().enumerate() {
            // A Python process takes half a second: each selection meets each format with one seed.
            let text_format = ["human", "agent", "quiet"][(number + seed as usize) % 3];
            for format in [text_format, "json"] {
                // Ours lists damaged repositories, which may fill a limit.
                if !is_sound && (format != "json" || selection.contains(&"--limit")) {
                    continue;
                }
                let args = [&["cache", "ls"], selection, &["--format", format]].concat();
                let theirs = modern.hf(&env, &args).run().ok();
                let ours = env.run(&args).ok();
                let what = format!("seed {seed} {args:?}\n{theirs}\n{ours}");
                if format == "json" {
                    assert_eq!(
                        shared_keys(&sound(&ours.json()), &theirs.json()),
                        theirs.json(),
                        "{what}"
                    );
                } else {
                    assert_eq!(table(ours.stdout()), table(theirs.stdout()), "{what}");
                }
            }
        }
        if !is_sound {
            continue;
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

/// The rows of what is not damaged.
fn sound(rows: &Value) -> Value {
    let rows = rows.as_array().expect("a list").iter();
    rows.filter(|row| row["problem"].is_null())
        .cloned()
        .collect()
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
fn a_missing_cache_is_an_error_for_ls_and_a_message_for_scan() {
    let env = TestEnv::new();
    let output = env.run(["cache", "ls"]).fails(1);
    assert_eq!(output.stdout(), "");
    assert!(output.stderr().contains("There is no cache at"), "{output}");
    let output = env.run(["cache", "scan"]).ok();
    assert!(
        output.stdout().starts_with("Cache directory not found: "),
        "{output}"
    );
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
    for piece in ["abc.hf-sparse", "abc.hf-journal", "abc.0123abcd.incomplete"] {
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
fn a_person_sees_shares() {
    let env = TestEnv::new();
    let cache = CacheTree::at(env.cache());
    cache.model("o/large").main([("f", &"x".repeat(900))]);
    cache.model("o/small").main([("f", &"y".repeat(100))]);
    let mut terminal = env.hf(["cache", "ls"]).terminal(24, 120);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    assert!(screen.contains("█████████ 90%"), "{screen}");
    let piped = env.run(["cache", "ls"]).ok();
    assert!(!piped.stdout().contains('%'), "{piped}");
    assert!(!piped.stdout().contains("PROBLEM"), "{piped}");
}

/// A cache of one sound repository and one for each problem that a repository can have, all of a
/// thousand bytes; returns the problem of each.
fn damaged(env: &TestEnv) -> Vec<(&'static str, &'static str)> {
    let cache = CacheTree::at(env.cache());
    cache.model("o/sound").main([("f", &"s".repeat(1000))]);
    let main = |repo: &crate::harness::cache::CachedRepo, digit: &str| {
        repo.main([("big.bin", &digit.repeat(995)), ("small", &digit.repeat(5))])
    };
    let ghost = cache.model("o/ghost-ref");
    main(&ghost, "1");
    ghost.refer("gone", &"0".repeat(40));
    let broken = cache.dataset("o/broken-link");
    let commit = main(&broken, "2");
    std::os::unix::fs::symlink("../../blobs/gone", broken.file(&commit, "f")).unwrap();
    let moved = cache.model("o/moved");
    let commit = main(&moved, "3");
    for file in ["big.bin", "small"] {
        let link = moved.file(&commit, file);
        let blob = std::fs::canonicalize(&link).unwrap();
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(
            std::path::Path::new("/old/models--o--moved/blobs").join(blob.file_name().unwrap()),
            &link,
        )
        .unwrap();
    }
    let bare = cache.space("o/bare");
    main(&bare, "4");
    bare.without_snapshots();
    let stray = cache.model("o/stray");
    main(&stray, "5");
    stray.stray_snapshot("file");
    let refs = cache.model("o/refs");
    main(&refs, "6");
    refs.refs_as_file();
    vec![
        ("dataset/o/broken-link", "broken-link"),
        ("model/o/ghost-ref", "dangling-ref"),
        ("model/o/moved", "broken-link"),
        ("model/o/refs", "stray-file"),
        ("model/o/sound", ""),
        ("model/o/stray", "stray-file"),
        ("space/o/bare", "missing-snapshots"),
    ]
}

#[test]
fn damaged_repositories_are_listed_with_what_they_hold() {
    let mut env = TestEnv::new();
    env.set("COLUMNS", "200");
    let expected = damaged(&env);
    let before = tree_of(env.cache());
    let rows = env.run(["cache", "ls", "--json"]).ok().json();
    let found: Vec<(&str, &str)> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            assert_eq!(row["size_bytes"], 1000, "{row}");
            let id = row["id"].as_str().unwrap_or_default();
            (id, row["problem"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(found, expected);
    for format in ["human", "agent"] {
        let output = env.run(["cache", "ls", "--format", format]).ok();
        for (id, problem) in &expected {
            let line = output.stdout().lines().find(|line| line.starts_with(id));
            let line = line.unwrap_or_else(|| panic!("{id}\n{output}"));
            assert!(line.contains("1.0K") && line.contains(problem), "{line}");
        }
        assert!(output.stderr().contains("7 repos with"), "{output}");
        assert!(output.stderr().contains("7.0K on disk"), "{output}");
        let hint = "6 of these are damaged: `hf cache doctor` says how";
        assert!(output.stderr().contains(hint), "{output}");
        assert!(!output.stderr().contains("Warning"), "{output}");
    }
    let output = env.run(["cache", "ls", "--show-warnings"]).ok();
    assert_eq!(
        output.stderr().matches("is damaged: ").count(),
        6,
        "{output}"
    );
    let rows = env
        .run(["cache", "ls", "--revisions", "--json"])
        .ok()
        .json();
    let whole = rows.as_array().expect("rows").iter();
    let whole = whole.filter(|row| row["size_bytes"] == 1000).count();
    assert_eq!(
        (rows[0]["problem"].as_str(), whole),
        (Some("broken-link"), 5)
    );
    assert_eq!(tree_of(env.cache()), before);
}

/// `hf cache ls -q | xargs hf cache rm` must not remove what can be repaired.
#[test]
fn quiet_and_the_legacy_table_leave_damaged_repositories_out() {
    let env = TestEnv::new();
    damaged(&env);
    for (args, expected) in [
        (&["cache", "ls", "-q"][..], "model/o/sound\n"),
        (&["cache", "ls", "-q", "--limit", "1"], "model/o/sound\n"),
        (&["cache", "ls", "-q", "--filter", "type=dataset"], ""),
    ] {
        assert_eq!(env.run(args).ok().stdout(), expected, "{args:?}");
    }
    let quiet = env.run(["cache", "ls", "-q", "--revisions"]).ok();
    assert_eq!(quiet.stdout().lines().count(), 1, "{quiet}");
    let scan = env.run(["cache", "scan"]).ok();
    assert!(
        scan.stdout().contains("o/sound") && !scan.stdout().contains("o/moved"),
        "{scan}"
    );
    env.run(["cache", "doctor", "--fix", "-y"]).ok();
    let quiet = env.run(["cache", "ls", "-q"]).ok();
    assert_eq!(quiet.stdout().lines().count(), 7, "{quiet}");
}

/// Filters, sort keys and limits apply to them as to the others.
#[test]
fn damaged_repositories_are_chosen_like_all_others() {
    let env = TestEnv::new();
    damaged(&env);
    for (args, expected) in [
        (&["--filter", "type=space"][..], 1),
        (&["--filter", "size>1k"], 0),
        (&["--filter", "refs=main"], 5),
        (&["--limit", "3"], 3),
        (&["--sort", "name:desc"], 7),
    ] {
        let args = [&["cache", "ls", "--json"], args].concat();
        let rows = env.run(&args).ok().json();
        assert_eq!(rows.as_array().map(Vec::len), Some(expected), "{args:?}");
    }
}
