//! The journal of an unfinished download, and what happens when it lies: nothing wrong is published, and
//! what is right is not fetched again. What is on disk is made by a killed download of the real program.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hf_cli::testing::{PartialName, noted};

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo, Settings};
use crate::harness::partial::{is_any_left, kept, plant};
use crate::harness::tree::listing;

const SIZE: u64 = 6_000_000;

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").lfs("big.bin", Content::synthetic(SIZE, 3));
    hub.add(repo.lfs("other.bin", Content::synthetic(SIZE, 4)));
    hub
}

/// Kills a download of a file when half of it has come, and answers where its partial is.
fn killed(hub: &Hub, env: &TestEnv, file: &str) -> PathBuf {
    hub.configure(|settings: &mut Settings| settings.bandwidth = Some(4_000_000));
    let etag = hub.repo("models/org/name").entry(file).etag();
    let blobs = env.cache().join("models--org--name/blobs");
    let partial = blobs.join(PartialName::common(&etag));
    let mut running = env.hf(["download", "org/name", file]).spawn();
    running.wait_until("half of it", |_| kept(&partial) > SIZE / 2);
    assert_eq!(running.kill().signal, Some(9));
    hub.configure(|settings: &mut Settings| settings.bandwidth = None);
    hub.clear_requests();
    partial
}

/// Downloads `big.bin` to its end and answers how many bytes that took.
#[track_caller]
fn finish(hub: &Hub, env: &TestEnv) -> u64 {
    let output = env.run(["download", "org/name", "big.bin"]).ok();
    let content = hub.repo("models/org/name").entry("big.bin").content;
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content.to_bytes());
    let left = listing(env.cache());
    let is_about_big =
        |line: &&str| !line.contains(&hub.repo("models/org/name").entry("other.bin").etag());
    let left: Vec<&str> = left.lines().filter(is_about_big).collect();
    assert!(!is_any_left(&left.join("\n")), "{left:#?}");
    hub.content_bytes_sent()
}

fn journal(partial: &Path) -> PathBuf {
    PartialName::journal_of(partial)
}

#[test]
fn what_a_killed_download_noted_is_not_fetched_again() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let partial = killed(&hub, &env, "big.bin");
    let there = kept(&partial);
    assert_eq!(finish(&hub, &env), SIZE - there, "{}", hub.log_text());
}

#[test]
fn a_journal_that_is_cut_short_tells_what_is_left_of_it() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    // In two records at least, however many the killed download writes.
    const FIRST: usize = 1_000_000;
    let big = hub.repo("models/org/name").entry("big.bin");
    let blobs = env.cache().join("models--org--name/blobs");
    let start = &big.content.to_bytes()[..FIRST];
    plant(&blobs, &big.etag(), Some(SIZE), start);
    let partial = killed(&hub, &env, "big.bin");
    let (journal, before) = (journal(&partial), kept(&partial));
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    let there = kept(&partial);
    assert!((FIRST as u64..before).contains(&there), "{there} {before}");
    assert_eq!(finish(&hub, &env), SIZE - there, "{}", hub.log_text());
}

#[test]
fn a_journal_of_another_content_or_of_nothing_counts_for_nothing() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let other = fs::read(journal(&killed(&hub, &env, "other.bin"))).unwrap();
    for text in [&other[..], b"", b"no journal", &[0; 4096]] {
        let partial = killed(&hub, &env, "big.bin");
        fs::write(journal(&partial), text).unwrap();
        assert_eq!(finish(&hub, &env), SIZE, "{}", hub.log_text());
        fs::remove_dir_all(env.cache().join("models--org--name/snapshots")).unwrap();
        let etag = hub.repo("models/org/name").entry("big.bin").etag();
        fs::remove_file(env.cache().join("models--org--name/blobs").join(etag)).unwrap();
    }
}

#[test]
fn bytes_that_are_not_as_noted_are_found_and_all_is_fetched() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let partial = killed(&hub, &env, "big.bin");
    let there = kept(&partial);
    let range = noted(&partial).remove(0);
    let file = File::options().write(true).open(&partial).unwrap();
    file.write_all_at(b"another program was here", (range.start + range.end) / 2)
        .unwrap();
    assert_eq!(
        finish(&hub, &env),
        SIZE - there + SIZE,
        "{}",
        hub.log_text()
    );
}

#[test]
fn a_partial_that_was_cut_has_what_is_left_of_it() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let partial = killed(&hub, &env, "big.bin");
    let file = File::options().write(true).open(&partial).unwrap();
    file.set_len(1_000_000).unwrap();
    assert_eq!(finish(&hub, &env), SIZE - 1_000_000, "{}", hub.log_text());
    // And nothing when it is gone, whatever the journal says.
    let env = TestEnv::for_hub(&hub);
    fs::remove_file(killed(&hub, &env, "big.bin")).unwrap();
    assert_eq!(finish(&hub, &env), SIZE, "{}", hub.log_text());
}

#[test]
fn after_another_boot_what_was_not_flushed_is_fetched_again() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let partial = killed(&hub, &env, "big.bin");
    let journal = journal(&partial);
    // The boot stands behind the magic, a key and the size, and the header has a checksum.
    let mut bytes = fs::read(&journal).unwrap();
    let header = b"hf-journal 1\n".len() + 16 + 8 + 16;
    bytes[header - 1] ^= 1;
    let crc = crc32fast::hash(&bytes[..header]);
    bytes[header..header + 4].copy_from_slice(&crc.to_le_bytes());
    fs::write(&journal, bytes).unwrap();
    // Six megabytes are too few to have been flushed on the way.
    assert_eq!(finish(&hub, &env), SIZE, "{}", hub.log_text());
}

#[test]
fn the_partial_of_version_0_1_is_taken_up_and_its_segments_go() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let entry = hub.repo("models/org/name").entry("big.bin");
    let blobs = env.cache().join("models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let old = blobs.join(format!("{}.hf-part", entry.etag()));
    fs::write(&old, &entry.content.to_bytes()[..2_000_000]).unwrap();
    let segment = blobs.join(format!("{}.hf-part-1", entry.etag()));
    fs::write(&segment, "a part of it").unwrap();
    assert_eq!(finish(&hub, &env), SIZE - 2_000_000, "{}", hub.log_text());
    assert!(!segment.exists());
    // One that another client made needless goes with the next download.
    fs::write(&old, "some bytes").unwrap();
    fs::write(&segment, "more").unwrap();
    finish(&hub, &env);
    // A partial of today is better than one of version 0.1.
    fs::remove_dir_all(env.cache().join("models--org--name/snapshots")).unwrap();
    fs::remove_file(blobs.join(entry.etag())).unwrap();
    let bytes = entry.content.to_bytes();
    plant(&blobs, &entry.etag(), Some(SIZE), &bytes[..3_000_000]);
    fs::write(&old, "some bytes").unwrap();
    hub.clear_requests();
    assert_eq!(finish(&hub, &env), SIZE - 3_000_000, "{}", hub.log_text());
}
