//! Servers with unusual behavior that HTTP allows.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Origin, Repo, Settings};
use crate::harness::partial::plant;

const SIZE: u64 = 3_000_000;

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("small.txt", "some text");
    hub.add(repo.lfs("big.bin", Content::synthetic(SIZE, 11)));
    hub
}

/// Downloads with these arguments; both files are right.
#[track_caller]
fn arrives(env: &TestEnv, hub: &Hub, arguments: &[&str]) {
    env.run(arguments).ok();
    let repo = hub.repo("models/org/name");
    let blobs = env.cache().join("models--org--name/blobs");
    for path in ["small.txt", "big.bin"] {
        let entry = repo.entry(path);
        let blob = blobs.join(entry.etag());
        if arguments.len() == 2 || arguments[2] == path {
            assert!(
                fs::read(blob).unwrap() == entry.content.to_bytes(),
                "{path}"
            );
        }
    }
}

const EVERYTHING: [&[&str]; 3] = [
    &["download", "org/name"],
    &["download", "org/name", "small.txt"],
    &["download", "org/name", "big.bin"],
];

#[test]
fn storage_that_sends_ranges_only() {
    let hub = hub();
    let strikes = hub.fault(Fault::WantsRange.on("big.bin"));
    for (round, arguments) in EVERYTHING.into_iter().enumerate() {
        let env = TestEnv::for_hub(&hub);
        arrives(&env, &hub, arguments);
        let asked =
            hub.count(|r| r.origin == Origin::Cdn && r.range.as_deref() == Some("bytes=0-"));
        assert_eq!(asked, strikes.count(), "{round}: {}", hub.log_text());
    }
    assert_eq!(strikes.count(), 2, "asked without a range once a download");
}

/// What answers `bytes=0-` may be the whole file, with 200.
#[test]
fn storage_that_wants_a_range_and_ignores_it() {
    let hub = hub();
    let refused = hub.fault(Fault::WantsRange.on("big.bin"));
    let ignored = hub.fault(Fault::IgnoreRange.on("big.bin").at(Origin::Cdn));
    let env = TestEnv::for_hub(&hub);
    arrives(&env, &hub, &["download", "org/name", "big.bin"]);
    assert_eq!((refused.count(), ignored.count()), (1, 1));
    assert_eq!(hub.content_bytes_sent(), SIZE, "{}", hub.log_text());
}

#[test]
fn a_bad_request_is_repeated_only_once() {
    let hub = hub();
    hub.fault(Fault::status(400).on("big.bin").at(Origin::Cdn));
    let env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name", "big.bin"]).fails(1);
    let asked = hub.count(|r| r.origin == Origin::Cdn);
    assert_eq!(asked, 2, "{}", hub.log_text());
}

#[test]
fn a_server_that_compresses_everything() {
    let hub = hub();
    let strikes = hub.fault(Fault::Gzip.on("/resolve/"));
    hub.fault(Fault::Gzip.on("/repos/").at(Origin::Cdn));
    for arguments in EVERYTHING {
        let env = TestEnv::for_hub(&hub);
        arrives(&env, &hub, arguments);
    }
    assert!(strikes.count() > 0);
}

#[test]
fn a_compressed_body_is_not_continued_in_the_middle() {
    let hub = hub();
    hub.fault(Fault::Gzip.on("big.bin"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let entry = hub.repo("models/org/name").entry("big.bin");
    let blobs = env.cache().join("models--org--name/blobs");
    let bytes = entry.content.to_bytes();
    let size = Some(bytes.len() as u64);
    plant(&blobs, &entry.etag(), size, &bytes[..1_000_000]);
    arrives(&env, &hub, &["download", "org/name", "big.bin"]);
}

#[test]
fn a_compressed_body_of_a_large_file() {
    let hub = Hub::with(Settings {
        bandwidth: Some(60_000_000),
        ..Settings::default()
    });
    let repo = Repo::model("org/name").file("small.txt", "some text");
    hub.add(repo.lfs("big.bin", Content::synthetic(36_000_000, 11)));
    hub.fault(Fault::Gzip.on("/repos/").at(Origin::Cdn));
    let env = TestEnv::for_hub(&hub);
    arrives(&env, &hub, &["download", "org/name", "big.bin"]);
}

#[test]
fn a_body_in_an_unknown_encoding_is_requested_once_more() {
    let zstd = || Fault::Headers(vec![("Content-Encoding", b"zstd")]).on("/repos/");
    let hub = hub();
    hub.fault(zstd().at(Origin::Cdn).times(1));
    let big = ["download", "org/name", "big.bin"];
    arrives(&TestEnv::for_hub(&hub), &hub, &big);
    let asked = |hub: &Hub| {
        let requests = hub.requests().into_iter();
        let of_content = requests.filter(|request| request.origin == Origin::Cdn);
        let ways = of_content.map(|request| {
            let mut headers = request.headers.iter();
            headers.any(|(name, value)| name == "cache-control" && value.contains("no-transform"))
        });
        ways.collect::<Vec<_>>()
    };
    assert_eq!(asked(&hub), [false, true], "{}", hub.log_text());
    hub.clear_faults();
    hub.clear_requests();
    hub.fault(zstd().at(Origin::Cdn));
    let output = TestEnv::for_hub(&hub).run(big).fails(1);
    let error = output.stderr();
    assert!(error.contains("compressed as \"zstd\""), "{output}");
    assert!(error.contains("NO_PROXY"), "{output}");
    assert_eq!(asked(&hub), [false, true], "no further attempts");
}

#[test]
fn a_damaged_compressed_body_is_refused() {
    let hub = hub();
    hub.fault(
        Fault::Headers(vec![("Content-Encoding", b"gzip")])
            .on("/repos/")
            .at(Origin::Cdn),
    );
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name", "big.bin"]).fails(1);
    assert!(output.stderr().contains("compressed body"), "{output}");
}

#[test]
fn the_length_in_an_answer_without_a_body_proves_nothing() {
    for length in [0, 4, 4_000] {
        let hub = hub();
        hub.fault(Fault::HeadLength(length).on("small.txt"));
        let env = TestEnv::for_hub(&hub);
        let small = ["download", "org/name", "small.txt"];
        arrives(&env, &hub, &small);
        // The file is right, whatever the header says.
        hub.clear_requests();
        let output = env.run(small).ok();
        assert_eq!(output.said(), "");
        assert_eq!(hub.content_bytes_sent(), 0, "{}", hub.log_text());
        let blob = hub.repo("models/org/name").entry("small.txt").etag();
        let blob = env.cache().join("models--org--name/blobs").join(blob);
        fs::write(&blob, "some").unwrap();
        arrives(&env, &hub, &small);
        let here = ["download", "org/name", "small.txt", "--local-dir", "here"];
        env.run(here).ok();
        let file = env.work().join("here/small.txt");
        assert_eq!(fs::read_to_string(&file).unwrap(), "some text");
        fs::remove_dir_all(env.work().join("here/.cache")).unwrap();
        hub.clear_requests();
        env.run(here).ok();
        assert_eq!(hub.content_bytes_sent(), 0, "its hash tells");
        fs::remove_dir_all(env.work().join("here/.cache")).unwrap();
        fs::write(&file, "some other").unwrap();
        env.run(here).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), "some text");
    }
}

#[test]
fn wrong_bytes_of_unknown_length_are_refused() {
    let hub = hub();
    hub.fault(Fault::HeadLength(0).on("small.txt"));
    hub.fault(Fault::WrongBytes.on("small.txt"));
    let env = TestEnv::for_hub(&hub).fast_clock();
    let output = env.run(["download", "org/name", "small.txt"]).fails(1);
    assert!(output.stderr().contains("wrong bytes"), "{output}");
}
