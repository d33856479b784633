//! A new revision of a file that is in the cache: only what changed comes from Xet storage.

use std::fs;

use crate::download::xet::{noise, over_http};
use crate::harness::TestEnv;
use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::partial::{all_below, kept};
use crate::harness::stall::Relay;

const SIZE: usize = 24_000_000;

/// A storage server, a relay that counts what it sends, and a Hub with `m.bin`.
struct Series {
    cas: Cas,
    relay: Relay,
    hub: Hub,
    content: Vec<u8>,
}

impl Series {
    fn start() -> Self {
        let (cas, hub) = (Cas::start(), Hub::start());
        let relay = Relay::before(cas.endpoint());
        let content = noise(7, SIZE);
        let hash = cas.store_new_parts(&content);
        hub.add(Repo::model("org/name").xet("m.bin", Content::memory(content.clone()), &hash));
        hub.xet(Some(&relay.address()));
        Series {
            cas,
            relay,
            hub,
            content,
        }
    }

    /// Publishes another content at a path.
    fn publish(&mut self, path: &str, content: Vec<u8>) {
        let hash = self.cas.store_new_parts(&content);
        self.content.clone_from(&content);
        let repo = self.hub.repo("models/org/name");
        repo.update(|tree| tree.xet(path, Content::memory(content), &hash));
    }

    /// Downloads a file of the newest commit, which must arrive; answers the bytes that the storage sent.
    fn fetch(&self, env: &TestEnv, path: &str) -> u64 {
        let before = self.relay.passed();
        let output = env.run(["download", "org/name", "--include", path]).ok();
        let bytes = fs::read(format!("{}/{path}", output.stdout().trim_end())).unwrap();
        assert!(bytes == self.content, "{output}");
        assert_eq!(over_http(&self.hub), 0, "{output}");
        assert_eq!(output.said(), "", "{output}");
        self.relay.passed() - before
    }
}

/// With `share` of a thousand replaced in the middle, and some bytes more.
fn changed(content: &[u8], share: usize, seed: u64) -> Vec<u8> {
    let middle = content.len() / 2;
    let new = noise(seed, content.len() * share / 1000);
    let mut changed = content[..middle].to_vec();
    changed.extend(&new);
    changed.extend(&content[middle + new.len() - 100..]);
    changed
}

#[test]
fn only_what_changed_is_fetched() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    assert!(series.fetch(&env, "m.bin") >= SIZE as u64);
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    let sent = series.fetch(&env, "m.bin");
    assert!(
        sent > SIZE as u64 / 25 && sent < SIZE as u64 * 8 / 100,
        "{sent}"
    );
}

#[test]
fn a_series_of_revisions_costs_what_is_new() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    series.fetch(&env, "m.bin");
    for step in 1..3 {
        let new = changed(&series.content, 100, step);
        // In another folder, under the same name.
        let path = format!("step-{step}/m.bin");
        series.publish(&path, new);
        let sent = series.fetch(&env, &path);
        assert!(sent < SIZE as u64 * 12 / 100, "step {step}: {sent}");
    }
}

/// Nothing of it is trusted: what is wrong in the end is fetched as if there had been nothing.
#[test]
fn an_earlier_content_that_is_damaged_does_no_harm() {
    let mut series = Series::start();
    let damages = ["a byte", "cut short", "longer", "a link to nothing"];
    let envs = damages.map(|damage| {
        let env = TestEnv::for_hub(&series.hub);
        series.fetch(&env, "m.bin");
        let etag = series.hub.repo("models/org/name").entry("m.bin").etag();
        let blob = env.cache().join("models--org--name/blobs").join(etag);
        let mut bytes = fs::read(&blob).unwrap();
        match damage {
            "a byte" => bytes[SIZE / 4] ^= 1,
            "cut short" => bytes.truncate(SIZE / 2),
            _ => bytes.push(0),
        }
        fs::remove_file(&blob).unwrap();
        match damage {
            "a link to nothing" => std::os::unix::fs::symlink("nothing", &blob).unwrap(),
            _ => fs::write(&blob, &bytes).unwrap(),
        }
        env
    });
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    for (env, damage) in envs.iter().zip(damages) {
        let sent = series.fetch(env, "m.bin");
        assert!(sent >= SIZE as u64, "{damage}: {sent}");
    }
}

#[test]
fn a_forced_download_copies_nothing() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    series.fetch(&env, "m.bin");
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    let before = series.relay.passed();
    env.run(["download", "org/name", "--force-download"]).ok();
    assert!(series.relay.passed() - before >= SIZE as u64);
}

/// What was copied before the process was killed is neither copied nor fetched again.
#[test]
fn a_killed_download_goes_on_from_what_was_copied() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    series.fetch(&env, "m.bin");
    let new = changed(&series.content, 300, 8);
    series.publish("m.bin", new);
    // What is new takes some 15 seconds from here.
    let slow = series.cas.throttled(500_000);
    let relay = Relay::before(slow.endpoint());
    series.hub.xet(Some(&relay.address()));
    let mut running = env.hf(["download", "org/name"]).spawn();
    let kept = || {
        all_below(env.cache())
            .iter()
            .map(|it| kept(it))
            .sum::<u64>()
    };
    running.wait_until("it has copied", |_| kept() > SIZE as u64 / 4);
    drop(running.kill());
    series.hub.xet(Some(&series.relay.address()));
    let sent = relay.passed() + series.fetch(&env, "m.bin");
    assert!(sent < SIZE as u64 * 4 / 10, "{sent}");
}

/// The storage may have forgotten the earlier content.
#[test]
fn without_the_plan_of_the_earlier_content_all_is_fetched() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    series.fetch(&env, "m.bin");
    let (cas, new) = (Cas::start(), changed(&series.content, 50, 8));
    let relay = Relay::before(cas.endpoint());
    series.hub.xet(Some(&relay.address()));
    (series.cas, series.relay) = (cas, relay);
    series.publish("m.bin", new);
    assert!(series.fetch(&env, "m.bin") >= SIZE as u64);
}
