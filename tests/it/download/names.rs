//! Odd file names in repositories: a name that cannot be stored is refused, and only when the file is
//! selected; all other files arrive, and their names are shown escaped.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Repo};
use crate::harness::tree::listing;

/// Where files go: the cache, or a folder.
const PLACES: [&[&str]; 2] = [&[], &["--local-dir", "here"]];

fn hub_with(name: &str) -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("d/good.txt", "good");
    hub.add(repo.listed_only(name, 4));
    hub
}

/// Names that would leave their folder, or that no file can have.
const HOSTILE: [&str; 8] = [
    "../../outside.txt",
    "/etc/outside.txt",
    "a/../../outside.txt",
    "a\\..\\..\\outside.txt",
    "C:/outside.txt",
    "\\\\server\\share\\outside.txt",
    "a\u{0}b",
    "a//b",
];

#[test]
fn hostile_names_stop_everything() {
    let long = "x".repeat(256);
    for name in HOSTILE.into_iter().chain([long.as_str()]) {
        let hub = hub_with(name);
        for place in PLACES {
            let env = TestEnv::for_hub(&hub);
            let before = listing(env.root());
            let command = ["download", "org/name"];
            let output = env.run(command.iter().chain(place)).fails(1);
            let error = output.stderr();
            assert!(
                error.contains("model org/name has a file whose name"),
                "{error}"
            );
            assert!(error.contains("the file name \""), "{error}");
            assert!(error.contains("--exclude"), "{error}");
            assert!(!error.contains('\u{0}'), "{error}");
            let after = listing(env.root());
            assert_eq!(
                after, before,
                "{name:?}: nothing is written, not even the good file"
            );
        }
        assert_eq!(hub.content_bytes_sent(), 0);
    }
}

#[test]
fn hostile_names_matter_only_when_they_are_selected() {
    let long = "x".repeat(256);
    for name in HOSTILE.into_iter().chain([long.as_str()]) {
        let hub = hub_with(name);
        for choice in [
            &["d/good.txt"][..],
            &["d/"],
            &["--include", "*good*"],
            &["--exclude", "*outside*", "--exclude", "[!d]*"],
        ] {
            for place in PLACES {
                let env = TestEnv::for_hub(&hub);
                let command = ["download", "org/name"];
                let arguments = command.iter().chain(choice).chain(place);
                let output = env.run(arguments).ok();
                assert!(!output.stderr().contains("stored"), "{output}");
                // A second time from the stored listing.
                let arguments = command.iter().chain(choice).chain(place);
                env.run(arguments).ok();
                let found = listing(env.root());
                assert!(found.contains("good.txt"), "{found}");
                assert!(!found.contains("outside"), "{found}");
                assert!(!found.contains(&long), "{found}");
            }
        }
    }
}

#[test]
fn the_hint_leaves_the_file_out() {
    let hub = hub_with("odd\\..\\x[1].bin");
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).fails(1);
    insta::assert_snapshot!(output.stderr(), @r#"
    Error: The model org/name has a file whose name cannot be stored: the file name "odd\\..\\x[1].bin" tries to leave its folder. Nothing was downloaded.
    Hint: leave it out with --exclude "odd?..?x?1?.bin", and tell the owner of the repository
    "#);
    env.run(["download", "org/name", "--exclude", "odd?..?x?1?.bin"])
        .ok();
}

#[test]
fn odd_names_arrive_and_are_shown_escaped() {
    let names = [
        "a:b.txt",
        "back\\slash.txt",
        "tab\tnew\nline.txt",
        "bell\u{7}esc\u{1b}[2J.txt",
        "mark\u{200e}\u{202e}txt.exe",
        "sub/c: d/\u{2066}.bin",
        "-rf",
        " blank ",
    ];
    let hub = Hub::start();
    let mut repo = Repo::model("org/name");
    for (number, name) in names.iter().enumerate() {
        let content = format!("content {number}");
        repo = match number % 2 {
            0 => repo.file(name, content.as_str()),
            _ => repo.lfs(name, content.as_str()),
        };
    }
    hub.add(repo);
    for place in PLACES {
        let env = TestEnv::for_hub(&hub);
        let command = ["download", "org/name"];
        for more in [&[][..], &["--dry-run"], &["--force-download"]] {
            let output = env.run(command.iter().chain(place).chain(more)).ok();
            assert!(
                !output
                    .stderr()
                    .contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{200e}']),
                "{output}"
            );
        }
        let output = env.run(command.iter().chain(place)).ok();
        let folder = output.stdout().trim_end().to_owned();
        for (number, name) in names.iter().enumerate() {
            let content = fs::read_to_string(format!("{folder}/{name}")).unwrap();
            assert_eq!(content, format!("content {number}"), "{name:?}");
        }
    }
    for name in names {
        let env = TestEnv::for_hub(&hub);
        let output = env.run(["download", "org/name", "--", name]).ok();
        assert_eq!(output.said(), "", "{name:?}");
        let offline = ["download", "org/name", "--offline", "--", name];
        env.run(offline).ok();
    }
}

#[test]
fn a_wrong_odd_name_is_shown_escaped() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("a.txt", "a"));
    let env = TestEnv::for_hub(&hub);
    let name = "no\u{1b}[2J\u{202e}such";
    for more in [&[][..], &["other"]] {
        let command = ["download", "org/name", name];
        let output = env.run(command.iter().chain(more)).fails(1);
        assert!(
            !output.stderr().contains(['\u{1b}', '\u{202e}']),
            "{output}"
        );
        assert!(output.stderr().contains("such"), "{output}");
    }
}

#[test]
fn the_cache_may_hold_what_a_local_folder_must_not() {
    let state = "--local-dir keeps";
    for (name, reason) in [
        (".cache/huggingface/download/d/good.txt.metadata", state),
        (".Cache/HuggingFace/x", state),
        (".cache", state),
        (".git/config", "lies inside a .git folder"),
        ("sub/.Git/hooks/post-checkout", "lies inside a .git folder"),
    ] {
        let hub = Hub::start();
        let repo = Repo::model("org/name").file("d/good.txt", "good");
        hub.add(repo.file(name, "evil"));
        let env = TestEnv::for_hub(&hub);
        let here = ["download", "org/name", "--local-dir", "here"];
        for more in [&[][..], &[name], &[name, "d/good.txt"]] {
            let output = env.run(here.iter().chain(more)).fails(1);
            assert!(output.stderr().contains(reason), "{output}");
            assert!(!env.work().join("here").exists());
        }
        env.run(here.iter().chain(&["--exclude", name])).ok();
        // In the cache it is a file like any other.
        let output = env.run(["download", "org/name", name]).ok();
        let content = fs::read_to_string(output.stdout().trim_end()).unwrap();
        assert_eq!(content, "evil");
        env.run(["download", "org/name"]).ok();
        env.run(["cache", "verify", "org/name", "--fail-on-missing-files"])
            .ok();
        env.run(["cache", "doctor"]).ok();
    }
}
