//! Fetching while the listing is still coming: what comes early, what waits, and that nothing leads to a
//! content before the whole listing has been checked.

use std::fs;

use rustix::process::Signal;

use crate::download::errors::in_namespace;
use crate::harness::TestEnv;
use crate::harness::http::get;
use crate::harness::hub::{Content, Fault, Hub, Repo, Request, Settings, Strikes};
use crate::harness::oracle::mounts;
use crate::harness::partial::is_any_left;
use crate::harness::tree::listing;

/// Rows on a page of the listing.
const PAGE: usize = 10;
/// Small files on the first page: a row is for their folder, and one for the large file.
const EARLY: u64 = 8;
const SIZE: u64 = 1000;

fn name(number: usize) -> String {
    format!("page-{}/file-{number:02}.txt", number / PAGE)
}

/// Three pages of small files, and a large one on the first.
fn repo() -> Repo {
    with_small_files(
        Repo::model("org/name").lfs("page-0/file-00.bin", Content::synthetic(2_000_000, 1)),
        SIZE,
    )
}

fn with_small_files(repo: Repo, size: u64) -> Repo {
    (0..3 * PAGE - 1).fold(repo, |repo, number| {
        let content = Content::synthetic(size, 100 + number as u64);
        repo.file(&name(number), content)
    })
}

/// The second page of the listing comes when this many bytes of the first page's files have come.
fn hub_that_waits(repo: Repo, bytes: u64) -> Hub {
    let hub = hub_of(repo);
    wait_at(&hub, bytes);
    hub
}

/// Answers whether the second page was asked for.
fn wait_at(hub: &Hub, bytes: u64) -> Strikes {
    hub.fault(
        Fault::Waits {
            part: "page-0/",
            bytes,
        }
        .on("cursor=10"),
    )
}

fn hub_of(repo: Repo) -> Hub {
    let hub = Hub::with(Settings {
        page_size: PAGE,
        ..Settings::default()
    });
    hub.add(repo);
    hub
}

/// What the cache has of the repository below this folder.
fn below(env: &TestEnv, folder: &str) -> Vec<String> {
    let folder = env.cache().join("models--org--name").join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// How many contents are complete.
fn complete(env: &TestEnv) -> u64 {
    let blobs = below(env, "blobs");
    blobs.iter().filter(|name| !name.contains('.')).count() as u64
}

#[track_caller]
fn arrived(env: &TestEnv, hub: &Hub) {
    let repo = hub.repo("models/org/name");
    let folder = env.cache().join("models--org--name/snapshots");
    let folder = folder.join(repo.commit("main"));
    for number in 0..3 * PAGE - 1 {
        let name = name(number);
        let content = repo.entry(&name).content.to_bytes();
        assert!(fs::read(folder.join(&name)).unwrap() == content, "{name}");
    }
    assert!(folder.join("page-0/file-00.bin").is_file());
    let left = listing(env.cache());
    assert!(!is_any_left(&left), "{left}");
}

fn is_listing(request: &Request) -> bool {
    request.path.contains("/tree/")
}

/// Where in the log the last page was asked for, and where the first content was.
fn order(hub: &Hub) -> (usize, usize) {
    let requests = hub.requests();
    let listed = requests.iter().rposition(is_listing).unwrap();
    let fetched = requests.iter().position(|request| request.content);
    (listed, fetched.expect("some content"))
}

#[test]
fn small_files_of_a_page_come_while_the_next_one_is_awaited() {
    // All small ones of the first page: the large one is there too, and waits for the plan.
    let hub = hub_that_waits(repo(), EARLY * SIZE);
    let env = TestEnv::for_hub(&hub);
    let mut terminal = env.hf(["download", "org/name"]).terminal(24, 200);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.transcript());
    arrived(&env, &hub);
    // Each content came once, and each counts as fetched.
    assert_eq!(hub.content_bytes_sent(), 2_000_000 + 29 * SIZE);
    let told = terminal.screen();
    assert!(told.contains("30 files, 2.0 MB in "), "{told}");
    let requests = hub.requests();
    let listed = requests.iter().rposition(is_listing).unwrap();
    let large = requests.iter().position(|r| r.path.contains("file-00.bin"));
    assert!(listed < large.unwrap(), "{}", hub.log_text());
    // The listing is stored: nothing is asked again.
    hub.clear_requests();
    env.run(["download", "org/name"]).ok();
    assert_eq!(hub.count(is_listing), 0);
    assert_eq!(hub.content_bytes_sent(), 0);
}

#[test]
fn what_is_there_is_not_fetched_and_what_comes_early_counts_as_fetched() {
    let hub = hub_that_waits(repo(), (EARLY - 1) * SIZE);
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", &name(1)]).ok();
    hub.clear_requests();
    let mut terminal = env.hf(["download", "org/name"]).terminal(24, 200);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.transcript());
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), 2_000_000 + 28 * SIZE);
    let told = terminal.screen();
    assert!(told.contains("29 files, 2.0 MB in "), "{told}");
    assert!(told.contains("; 1 was there"), "{told}");
}

#[test]
fn nothing_leads_to_a_content_before_the_whole_listing_is_checked() {
    let hub = hub_of(repo());
    hub.add(Repo::model("org/other").file("go-on.txt", "go on"));
    let waits = Fault::Waits {
        part: "go-on.txt",
        bytes: 1,
    };
    hub.fault(waits.on("cursor=10"));
    hub.fault(Fault::TreePageFails {
        page: 3,
        status: 400,
    });
    let env = TestEnv::for_hub(&hub);
    let mut running = env.hf(["download", "org/name"]).spawn();
    running.wait_until("the first page's files are there", |_| {
        complete(&env) == EARLY
    });
    get(
        &format!("{}/org/other/resolve/main/go-on.txt", hub.endpoint()),
        &[],
    );
    running.wait().fails(1);
    assert_eq!(below(&env, "snapshots"), [""; 0]);
    assert_eq!(below(&env, "refs"), [""; 0]);
    assert_eq!(below(&env, "trees"), [""; 0]);
    // What is complete stays: only the rest is fetched.
    let kept = complete(&env);
    assert!(kept >= EARLY, "{kept}");
    hub.clear_faults();
    hub.clear_requests();
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert!(hub.content_bytes_sent() <= 2_000_000 + (29 - kept) * SIZE);
}

#[test]
fn a_listing_that_turns_out_to_be_impossible_gets_no_links() {
    for bad in ["page-0/file-03.txt/x", "page-9/../x"] {
        let hub = hub_that_waits(repo().file(bad, "bad"), 5 * SIZE);
        let env = TestEnv::for_hub(&hub);
        env.run(["download", "org/name"]).fails(1);
        assert_eq!(below(&env, "snapshots"), [""; 0], "{bad}");
        assert_eq!(below(&env, "refs"), [""; 0], "{bad}");
    }
}

#[test]
fn a_failure_that_brings_nothing_leaves_nothing() {
    let hub = hub_of(repo());
    hub.fault(Fault::NeverAnswer.on("/resolve/").optional());
    let listing_fails = Fault::TreePageFails {
        page: 2,
        status: 400,
    };
    hub.fault(listing_fails);
    let env = TestEnv::for_hub(&hub);
    let before = listing(env.root());
    env.run(["download", "org/name"]).fails(1);
    assert_eq!(listing(env.root()), before);
}

#[test]
fn a_name_that_the_disk_cannot_have_leaves_nothing_either() {
    let long = vec!["z".repeat(200); 20].join("/");
    let hub = hub_of(repo().file(&long, "too long"));
    hub.fault(Fault::NeverAnswer.on("/resolve/").optional());
    let env = TestEnv::for_hub(&hub);
    let before = listing(env.root());
    let output = env.run(["download", "org/name"]).fails(1);
    assert!(
        output.stderr().contains("its path would be longer"),
        "{output}"
    );
    assert_eq!(listing(env.root()), before);
}

#[test]
fn only_what_is_wanted_comes_and_a_name_that_may_be_a_pattern_waits() {
    let hub = hub_of(repo());
    let waits = Fault::Waits {
        part: "page-0/file-01.txt",
        bytes: SIZE,
    };
    hub.fault(waits.on("cursor=10"));
    let env = TestEnv::for_hub(&hub);
    env.run([
        "download",
        "org/name",
        "--include",
        "*1.txt",
        "--exclude",
        "page-2/*",
    ])
    .ok();
    assert_eq!(hub.content_bytes_sent(), 2 * SIZE, "{}", hub.log_text());
    // A file may be called so, on a later page; then the name is no pattern.
    let hub = hub_of(repo().file("page-0/file-0?.txt", "literal"));
    let env = TestEnv::for_hub(&hub);
    env.run([
        "download",
        "org/name",
        "page-0/file-0?.txt",
        "page-1/file-11.txt",
    ])
    .ok();
    let (listed, fetched) = order(&hub);
    assert!(listed < fetched, "{}", hub.log_text());
    assert_eq!(hub.content_bytes_sent(), SIZE + 7, "{}", hub.log_text());
}

#[test]
fn other_ways_of_downloading_wait_for_the_plan() {
    for arguments in [
        &["--force-download"][..],
        &["--local-dir", "here"],
        &["--max-workers", "2"],
    ] {
        let hub = hub_of(repo());
        let env = TestEnv::for_hub(&hub);
        env.run([&["download", "org/name"], arguments].concat())
            .ok();
        let (listed, fetched) = order(&hub);
        assert!(listed < fetched, "{arguments:?} {}", hub.log_text());
    }
    let hub = hub_of(repo());
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", "--dry-run"]).ok();
    assert_eq!(hub.content_bytes_sent(), 0, "{}", hub.log_text());
}

#[test]
fn files_with_one_content_are_fetched_once() {
    let twins = (0..PAGE).fold(repo(), |repo, number| {
        let content = Content::synthetic(SIZE, 100 + number as u64);
        repo.file(&format!("twin/{number}"), content)
    });
    let hub = hub_that_waits(twins, EARLY * SIZE);
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), 2_000_000 + 29 * SIZE);
}

#[test]
fn a_file_that_fails_early_fails_once_the_plan_is_made() {
    let hub = hub_that_waits(repo(), SIZE);
    hub.fault(Fault::status(403).on("page-0/file-04.txt"));
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name"]).fails(1);
    assert_eq!(output.stderr().matches("Error:").count(), 1, "{output}");
    assert_eq!(below(&env, "refs"), [""; 0]);
    hub.clear_faults();
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
}

#[test]
fn wrong_bytes_are_no_content() {
    let hub = hub_that_waits(repo(), 5 * SIZE);
    hub.fault(Fault::WrongBytes.on("page-0/file-0").times(3));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    assert_eq!(hub.content_bytes_sent(), 2_000_000 + (29 + 3) * SIZE);
}

#[test]
fn what_came_before_an_interruption_counts() {
    for signal in [Signal::INT, Signal::KILL] {
        let hub = hub_of(repo());
        let asked = wait_at(&hub, 1 << 40);
        let env = TestEnv::for_hub(&hub);
        let mut running = env.hf(["download", "org/name"]).spawn();
        running.wait_until(
            "the first page's files are there, the next is awaited",
            |_| complete(&env) == EARLY && asked.count() == 1,
        );
        running.signal(signal);
        let code = running.wait().code;
        assert!(matches!(code, None | Some(130)), "{code:?}");
        assert_eq!(below(&env, "snapshots"), [""; 0]);
        hub.clear_faults();
        hub.clear_requests();
        env.run(["download", "org/name"]).ok();
        arrived(&env, &hub);
        assert_eq!(
            hub.content_bytes_sent(),
            2_000_000 + (29 - EARLY) * SIZE,
            "{signal:?}"
        );
    }
}

#[test]
fn a_disk_that_is_too_small_stays_free() {
    let Some(()) = mounts() else {
        return;
    };
    // The large file alone does not fit: what is known after the first page is enough to tell.
    let hub = hub_of(repo());
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.cache()).unwrap();
    let small = "mount -t tmpfs -o size=1m tmpfs \"$CACHE\"";
    let and_look = format!("{small} && {{ \"$HF\" download org/name; find \"$CACHE\" >&2; }}");
    let output = in_namespace(&env, &and_look, "version").ok();
    assert!(output.stderr().contains("1.0M are free"), "{output}");
    assert!(
        !output.stderr().contains("models--"),
        "nothing is left: {output}"
    );
    assert_eq!(hub.content_bytes_sent(), 0, "{}", hub.log_text());
}

#[test]
fn what_came_early_needs_no_room_any_more() {
    let Some(()) = mounts() else {
        return;
    };
    // All files take 725 kB of a megabyte, and nearly half of them come before the plan is made.
    const LARGER: u64 = 25_000;
    let hub = hub_of(with_small_files(Repo::model("org/name"), LARGER));
    for (page, files) in [("cursor=10", 9), ("cursor=20", 16)] {
        let waits = Fault::Waits {
            part: "/page-",
            bytes: files * LARGER,
        };
        hub.fault(waits.on(page));
    }
    let env = TestEnv::for_hub(&hub);
    fs::create_dir_all(env.cache()).unwrap();
    let small = "mount -t tmpfs -o size=1m tmpfs \"$CACHE\"";
    in_namespace(&env, small, "download org/name").ok();
    assert_eq!(hub.content_bytes_sent(), 29 * LARGER);
}
