//! What a faulty or hostile Hub may list or answer: names, collisions, pages, redirects.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Repo, Request, Settings};
use crate::harness::shim::shim;
use crate::harness::tree::listing;

/// Downloads a repository with a good file and these, into the cache and into a folder; both are
/// refused and nothing is written. Returns the error.
#[track_caller]
fn refuses(names: &[&str]) -> String {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("good.txt", "good");
    hub.add(
        names
            .iter()
            .fold(repo, |repo, name| repo.listed_only(name, 4)),
    );
    let mut errors = Vec::new();
    for place in [&[][..], &["--local-dir", "here"]] {
        let env = TestEnv::for_hub(&hub);
        let before = listing(env.root());
        let output = env
            .run(["download", "org/name"].iter().chain(place))
            .fails(1);
        assert_eq!(listing(env.root()), before, "nothing is written");
        errors.push(
            output
                .stderr()
                .replace(&env.root().display().to_string(), "[ROOT]"),
        );
    }
    assert_eq!(hub.content_bytes_sent(), 0);
    errors.swap_remove(0)
}

#[test]
fn endless_names_are_refused_and_shown_shortened() {
    let long = format!("{}end", "folder/".repeat(1500));
    let error = refuses(&[&long]);
    assert!(error.len() < 600, "{error}");
    assert!(
        error.contains("folder/folder") && error.contains("end\" is longer than 4,096 bytes"),
        "{error}"
    );
    let part = format!("a/{}", "x".repeat(300));
    let error = refuses(&[&part]);
    assert!(error.contains("a part longer than 255 bytes"), "{error}");
}

#[test]
fn a_path_that_is_too_long_below_this_folder_is_refused_before_anything_is_fetched() {
    // Within the limit alone, but not below any folder.
    let error = refuses(&[&format!("{}end", "folder/".repeat(584))]);
    assert!(error.contains("longer than the system allows"), "{error}");
    assert!(error.len() < 600, "{error}");
    // The name of its metadata is longer than the longest name: only the cache can hold it.
    let hub = Hub::start();
    let name = "y".repeat(255);
    hub.add(Repo::model("org/name").file(&name, "y"));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    let output = env
        .run(["download", "org/name", "--local-dir", "here"])
        .fails(1);
    assert!(
        output.stderr().contains("longer than the system allows"),
        "{output}"
    );
    assert!(!env.work().join("here").exists());
}

#[test]
fn a_file_that_is_a_folder_too_is_refused() {
    let error = refuses(&["a", "a-b", "a/b"]);
    assert!(
        error.contains("\"a\" as a file and as the folder of \"a/b\""),
        "{error}"
    );
}

#[test]
fn a_file_listed_twice_counts_once_unless_it_differs() {
    for (differing, code) in [(false, 0), (true, 1)] {
        let hub = Hub::start();
        hub.add(Repo::model("org/name").file("a", "a").file("d/b", "b"));
        let strikes = hub.fault(Fault::RepeatedRows { differing }.on("/tree/"));
        let env = TestEnv::for_hub(&hub);
        let output = env.run(["download", "org/name"]).fails(code);
        assert_eq!(strikes.count(), 1);
        if differing {
            assert!(
                output.stderr().contains("twice, with different contents"),
                "{output}"
            );
            assert_eq!(listing(env.hf_home()), "");
        }
    }
}

/// Names that Windows reserves or changes, and names that differ by case, are names like any other
/// here: all arrive. What Windows refuses has a unit test in `types/path.rs`.
#[test]
fn names_that_other_systems_reserve_are_fine_here() {
    let names = [
        "CON",
        "nul.txt",
        "aux",
        "sub/COM1.bin",
        "trailing.",
        "blank ",
        "A.txt",
        "a.txt",
        "D/x",
        "d/x",
    ];
    let hub = Hub::start();
    hub.add(
        names
            .iter()
            .fold(Repo::model("org/name"), |repo, name| repo.file(name, *name)),
    );
    for place in [&[][..], &["--local-dir", "here"]] {
        let env = TestEnv::for_hub(&hub);
        let output = env.run(["download", "org/name"].iter().chain(place)).ok();
        let folder = std::path::Path::new(output.stdout().trim_end());
        for name in names {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), name);
        }
        assert!(!listing(env.root()).contains(".hf-case"));
    }
}

/// Where upper and lower case are not told apart (macOS, Windows, ext4 with `casefold`) names that differ
/// by case alone are refused before one overwrites the other. Few kernels can mount such a file system,
/// so the shim simulates one.
#[test]
fn names_that_differ_by_case_alone_are_refused_where_case_is_ignored() {
    let Some(shim) = shim() else { return };
    let hub = Hub::start();
    let repo = Repo::model("org/name")
        .file("A.txt", "upper")
        .file("a.txt", "lower");
    hub.add(repo.file("b", "b"));
    for place in [&[][..], &["--local-dir", "here"]] {
        let env = TestEnv::for_hub(&hub);
        let before = listing(env.root());
        let run = |more: &[&'static str]| {
            env.hf(["download", "org/name"].iter().chain(place).chain(more))
                .var("LD_PRELOAD", &shim)
                .var("HF_SHIM_FOLD_CASE", "1")
                .run()
        };
        let output = run(&[]).fails(1);
        let error = output
            .stderr()
            .replace(&env.root().display().to_string(), "[ROOT]");
        assert!(
            error.starts_with("Error: The files A.txt and a.txt are one and the same below [ROOT]"),
            "{output}"
        );
        assert_eq!(hub.content_bytes_sent(), 0);
        assert_eq!(listing(env.root()), before, "nothing is written");
        run(&["--exclude", "A.txt"]).ok();
        hub.clear_requests();
    }
}

/// A listing of ten pages.
fn ten_pages() -> Hub {
    let hub = Hub::with(Settings {
        page_size: 5,
        ..Settings::default()
    });
    hub.add((0..50).fold(Repo::model("org/name"), |repo, n| {
        repo.file(&format!("f{n:02}"), format!("{n}"))
    }));
    hub
}

fn is_listing(request: &Request) -> bool {
    request.path.contains("/tree/")
}

#[test]
fn only_a_page_that_fails_is_requested_again() {
    let hub = ten_pages();
    let strikes = hub.fault(
        Fault::TreePageFails {
            page: 7,
            status: 502,
        }
        .times(1),
    );
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name"]).ok();
    assert_eq!(strikes.count(), 1);
    assert_eq!(hub.count(is_listing), 11, "{}", hub.log_text());
    let files = fs::read_dir(output.stdout().trim_end()).unwrap().count();
    assert_eq!(files, 50);
}

#[test]
fn a_page_that_always_fails_ends_the_download_before_anything_is_linked() {
    for (status, tries) in [(502, 6), (400, 1)] {
        let hub = ten_pages();
        hub.fault(Fault::TreePageFails { page: 7, status });
        let env = TestEnv::for_hub(&hub).fast_clock();
        let output = env.run(["download", "org/name"]).fails(1);
        assert!(
            output.stderr().contains(&format!("answered {status}")),
            "{output}"
        );
        assert_eq!(hub.count(is_listing), 6 + tries, "{}", hub.log_text());
        // Small files of the pages before may have come: they are contents without a name.
        let left = listing(env.cache());
        let is_name = |line: &str| {
            let below = |folder| line.contains(folder) && !line.ends_with(folder);
            below("/refs/") || below("/trees/") || below("/snapshots/")
        };
        assert!(!left.lines().any(is_name), "{left}");
    }
}

#[test]
fn endless_redirects_are_an_error() {
    // Ten are followed. The Hub's own redirect to the CDN is one of them.
    for (part, asked) in [
        ("/revision/", 11),
        ("/tree/", 11),
        ("/resolve/", 11),
        ("/repos/", 10),
    ] {
        let hub = Hub::start();
        hub.add(Repo::model("org/name").lfs("big.bin", Content::synthetic(100_000, 1)));
        let strikes = hub.fault(Fault::RedirectLoop.on(part));
        let env = TestEnv::for_hub(&hub);
        let output = env.run(["download", "org/name"]).fails(1);
        assert!(
            output.stderr().contains("redirects without end"),
            "{part}: {output}"
        );
        assert_eq!(strikes.count(), asked, "{part}: not tried again");
        assert!(
            !listing(env.cache()).contains("snapshots/"),
            "{}",
            listing(env.cache())
        );
    }
}

#[test]
fn redirects_to_other_schemes_are_not_followed() {
    let env = TestEnv::new();
    fs::write(env.path("secret"), "a local file").unwrap();
    let file = format!("file://{}", env.path("secret").display());
    for target in [
        file.as_str(),
        "ftp://127.0.0.1:9/x",
        "data:,x",
        "javascript:x",
        "unix:/x",
        "http:///",
    ] {
        for part in ["/revision/", "/tree/", "/resolve/"] {
            let hub = Hub::start();
            hub.user("alice")
                .token("hf_alice_token_0000", "read", "laptop");
            hub.add(Repo::model("org/name").file("f", "f"));
            let strikes = hub.fault(Fault::ForeignRedirect(target.to_owned()).on(part));
            let mut env = TestEnv::for_hub(&hub);
            env.set("HF_TOKEN", "hf_alice_token_0000");
            let output = env.run(["download", "org/name"]).fails(1);
            assert!(
                output.stderr().contains("redirects "),
                "{target} {part}: {output}"
            );
            assert_eq!(strikes.count(), 1, "{target} {part}: not tried again");
            assert!(!listing(env.cache()).contains("snapshots/"));
        }
    }
}

#[test]
fn a_listing_on_another_host_gets_no_token() {
    for part in ["/revision/", "/tree/"] {
        let (hub, trap) = (Hub::start(), Hub::start());
        hub.user("alice")
            .token("hf_alice_token_0000", "read", "laptop");
        hub.add(Repo::model("org/name").file("f", "f"));
        hub.fault(Fault::ForeignRedirect(format!("{}/trap", trap.endpoint())).on(part));
        let mut env = TestEnv::for_hub(&hub);
        env.set("HF_TOKEN", "hf_alice_token_0000");
        env.run(["download", "org/name"]).fails(1);
        let seen = trap.requests();
        assert!(!seen.is_empty(), "{part}");
        assert!(seen.iter().all(|request| request.authorization.is_none()));
        assert!(!listing(env.cache()).contains("snapshots/"));
    }
}
