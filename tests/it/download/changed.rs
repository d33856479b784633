//! What is on disk already is copied and does not come from Xet storage again: parts of an earlier revision, of
//! another file of the repository, and of another file of the same download.

use std::fs;
use std::path::Path;

use crate::download::xet::{noise, over_http};
use crate::harness::TestEnv;
use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Fault, Hub, Repo};
use crate::harness::oracle::{installed, root, tell_skipped};
use crate::harness::partial::{all_below, kept};
use crate::harness::stall::Relay;

const SIZE: usize = 18_000_000;

/// A storage server, a relay that counts what it sends, and a Hub with `m.bin`.
struct Series {
    cas: Cas,
    relay: Relay,
    hub: Hub,
    content: Vec<u8>,
}

impl Series {
    fn start() -> Self {
        Self::with(noise(7, SIZE))
    }

    fn with(content: Vec<u8>) -> Self {
        let (cas, hub) = (Cas::start(), Hub::start());
        let relay = Relay::before(cas.endpoint());
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
        self.fetch_with(env, path, &["--include", path])
    }

    /// The same for a file that is named alone.
    fn fetch_alone(&self, env: &TestEnv, path: &str) -> u64 {
        self.fetch_with(env, "", &[path])
    }

    fn fetch_with(&self, env: &TestEnv, path: &str, arguments: &[&str]) -> u64 {
        self.fetch_saying(env, path, arguments, "")
    }

    /// As [`Series::fetch_with`], with these words on stderr.
    fn fetch_saying(&self, env: &TestEnv, path: &str, arguments: &[&str], words: &str) -> u64 {
        let before = self.relay.passed();
        let output = env
            .run([&["download", "org/name"], arguments].concat())
            .ok();
        let printed = output.stdout();
        let file = Path::new(printed.trim_end()).join(path);
        let file = file.to_str().unwrap().trim_end_matches('/');
        let bytes = fs::read(file).unwrap();
        assert!(bytes == self.content, "{output}");
        assert_eq!(over_http(&self.hub), 0, "{output}");
        let said = output.said();
        assert!(
            said.contains(words) && said.is_empty() == words.is_empty(),
            "{output}"
        );
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

/// Requests that ask what a file is.
fn heads(hub: &Hub) -> usize {
    hub.count(|request| request.method == "HEAD")
}

/// No listing is kept then: the Hub is asked for the earlier revision's Xet hash, which is one request more.
#[test]
fn a_file_that_is_downloaded_alone_is_compared_as_well() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    assert!(series.fetch_alone(&env, "m.bin") >= SIZE as u64);
    assert_eq!(heads(&series.hub), 1);
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    let sent = series.fetch_alone(&env, "m.bin");
    assert!(sent < SIZE as u64 * 8 / 100, "{sent}");
    assert_eq!(heads(&series.hub), 1 + 2, "{}", series.hub.log_text());
    // A listing tells as much.
    let env = TestEnv::for_hub(&series.hub);
    series.fetch(&env, "m.bin");
    let new = changed(&series.content, 50, 9);
    series.publish("m.bin", new);
    series.hub.clear_requests();
    let sent = series.fetch_alone(&env, "m.bin");
    assert!(sent < SIZE as u64 * 8 / 100, "{sent}");
    assert_eq!(heads(&series.hub), 1);
    // What is there as a whole is asked about by its name alone.
    assert_eq!(series.fetch_alone(&env, "m.bin"), 0);
    assert_eq!(heads(&series.hub), 2);
}

/// What the Hub says of the earlier revision is compared with what is there.
#[test]
fn an_earlier_revision_that_the_hub_does_not_know_is_not_used() {
    let faults: [fn() -> Fault; 3] = [
        || Fault::status(404),
        || {
            Fault::Headers(vec![(
                "x-linked-etag",
                b"\"0000000000000000000000000000000000000000000000000000000000000000\"",
            )])
        },
        || Fault::Headers(vec![("x-xet-hash", b"")]),
    ];
    let mut series = Series::start();
    let envs = faults.map(|fault| {
        let env = TestEnv::for_hub(&series.hub);
        series.fetch_alone(&env, "m.bin");
        (env, fault)
    });
    let old = series.hub.repo("models/org/name").commit("main");
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    for (env, fault) in &envs {
        let struck = series.hub.fault(fault().on(old.clone().leak()));
        let sent = series.fetch_alone(env, "m.bin");
        assert!(sent >= SIZE as u64, "{sent}");
        assert_eq!(struck.count(), 1);
        series.hub.clear_faults();
    }
}

#[test]
fn a_file_in_a_folder_of_the_users_is_an_earlier_revision_until_it_is_changed() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    let folder = env.path("folder");
    let to_folder = ["m.bin", "--local-dir", folder.to_str().unwrap()];
    assert!(series.fetch_with(&env, "", &to_folder) >= SIZE as u64);
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    let sent = series.fetch_with(&env, "", &to_folder);
    assert!(sent < SIZE as u64 * 8 / 100, "{sent}");
    let mut bytes = fs::read(folder.join("m.bin")).unwrap();
    bytes[SIZE / 4] ^= 1;
    fs::write(folder.join("m.bin"), bytes).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let file = fs::File::options().append(true).open(folder.join("m.bin"));
    file.unwrap().set_modified(later).unwrap();
    let new = changed(&series.content, 50, 9);
    series.publish("m.bin", new);
    let sent = series.fetch_saying(&env, "", &to_folder, "its content is replaced");
    // All of it, and not a part of it a second time because of the changed byte.
    let all = SIZE as u64..SIZE as u64 * 102 / 100;
    assert!(all.contains(&sent), "{sent}");
}

/// Under another name, and after it another file that was made of two: their plans are asked for as a guess.
#[test]
fn a_renamed_file_and_one_that_was_cut_otherwise_are_found() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    series.fetch(&env, "m.bin");
    let new = changed(&series.content, 50, 8);
    series.publish("renamed.bin", new);
    let sent = series.fetch(&env, "renamed.bin");
    assert!(sent < SIZE as u64 * 8 / 100, "{sent}");

    let second = noise(9, SIZE);
    let whole = [series.content.clone(), second.clone()].concat();
    series.publish("part-2.bin", second);
    series.fetch(&env, "part-2.bin");
    series.publish("whole.bin", whole);
    let sent = series.fetch(&env, "whole.bin");
    assert!(sent < SIZE as u64 / 100, "{sent}");
    // Of another kind: nothing is asked for.
    let new = changed(&series.content, 50, 10);
    series.publish("model.txt", new);
    assert!(series.fetch(&env, "model.txt") >= SIZE as u64);
}

/// Files of one commit that have parts in common, whichever is fetched first.
#[test]
fn what_two_files_of_a_download_share_is_fetched_once() {
    let common = noise(1, SIZE);
    let first = [noise(2, SIZE / 4), common.clone()].concat();
    let second = [common, noise(3, SIZE / 3)].concat();
    let mut series = Series::with(first.clone());
    series.publish("other.bin", second.clone());
    for arguments in [&[][..], &["--max-workers", "1"], &["--local-dir", "folder"]] {
        let env = TestEnv::for_hub(&series.hub);
        let before = series.relay.passed();
        let output = env
            .run([&["download", "org/name"], arguments].concat())
            .ok();
        let folder = env.work().join(output.stdout().trim_end());
        assert!(fs::read(folder.join("m.bin")).unwrap() == first, "{output}");
        assert!(
            fs::read(folder.join("other.bin")).unwrap() == second,
            "{output}"
        );
        let sent = series.relay.passed() - before;
        let all = (SIZE + SIZE / 4 + SIZE / 3) as u64;
        assert!(sent < all * 105 / 100, "{arguments:?}: {sent} of {all}");
        assert_eq!((output.said(), over_http(&series.hub)), ("".into(), 0));
    }
}

/// The same content at two places of a folder has no blob that could serve both.
#[test]
fn a_content_that_comes_twice_in_a_folder_is_fetched_once() {
    let mut series = Series::start();
    let content = series.content.clone();
    series.publish("copy/m.bin", content);
    let env = TestEnv::for_hub(&series.hub);
    let folder = env.path("folder");
    let arguments = ["--local-dir", folder.to_str().unwrap()];
    let sent = series.fetch_with(&env, "copy/m.bin", &arguments);
    assert!(fs::read(folder.join("m.bin")).unwrap() == series.content);
    assert!(sent < SIZE as u64 * 11 / 10, "{sent}");
}

/// A file waits for another one that has parts of it. When that comes over HTTP in the end, both are right.
#[test]
fn a_storage_that_breaks_off_leaves_no_file_waiting() {
    let common = noise(1, SIZE);
    let first = [noise(2, SIZE / 4), common.clone()].concat();
    let second = [common, noise(3, SIZE / 3)].concat();
    let mut series = Series::with(first.clone());
    series.publish("other.bin", second.clone());
    let env = TestEnv::for_hub(&series.hub);
    let slow = series.cas.throttled(2_000_000);
    let relay = Relay::before(slow.endpoint());
    series.hub.xet(Some(&relay.address()));
    let mut running = env.hf(["download", "org/name"]).spawn();
    let kept = || {
        let partials = all_below(env.cache());
        partials.iter().map(|it| kept(it)).sum::<u64>()
    };
    running.wait_until("something came", |_| kept() > 0);
    drop((relay, slow));
    let output = running.wait().ok();
    let folder = Path::new(output.stdout().trim_end());
    assert!(fs::read(folder.join("m.bin")).unwrap() == first, "{output}");
    assert!(
        fs::read(folder.join("other.bin")).unwrap() == second,
        "{output}"
    );
}

/// On a file system that can, what was copied takes no room. XFS shares blocks of 4 KiB.
#[test]
fn blocks_are_shared_where_the_file_system_can() {
    let able = root("a mount of XFS").and_then(|()| installed(["mkfs.xfs", "mount", "unshare"]));
    let Some(()) = able else { return };
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    let (image, mount) = (env.path("image"), env.path("mount"));
    fs::create_dir(&mount).unwrap();
    let file = fs::File::create(&image).unwrap();
    file.set_len(400 << 20).unwrap();
    // Of the same length, so that what follows the change stands where it stood.
    let mut new = series.content.clone();
    let middle = new.len() / 2;
    new[middle..middle + 500_000].copy_from_slice(&noise(8, 500_000));
    let script =
        "mkfs.xfs -q -f -m reflink=1 \"$IMAGE\" 2>/dev/null && mount -o loop \"$IMAGE\" \"$MOUNT\"";
    let try_out = format!("{script} || exit 77");
    let in_namespace = |script: &str| {
        let run = env.program("unshare", ["--mount", "sh", "-c", script]);
        let run = run.var("HF", env!("CARGO_BIN_EXE_hf"));
        run.var("IMAGE", &image).var("MOUNT", &mount).run()
    };
    if in_namespace(&try_out).code != Some(0) {
        return tell_skipped("the kernel mounts no XFS from a file");
    }
    let script = "set -e; mount -o loop \"$IMAGE\" \"$MOUNT\"
        \"$HF\" download org/name m.bin --cache-dir \"$MOUNT\"/hub > \"$MOUNT\"/path; sync
        sha256sum < \"$(cat \"$MOUNT\"/path)\"; stat -f -c '%f %S' \"$MOUNT\"";
    let used = |series: &Series| {
        let before = series.relay.passed();
        let output = in_namespace(script).ok();
        let printed = output.stdout();
        let words: Vec<&str> = printed.split_whitespace().collect();
        let entry = series.hub.repo("models/org/name").entry("m.bin");
        assert_eq!(words[0], entry.etag(), "{output}");
        let number = |word: &str| word.parse::<u64>().unwrap();
        (
            number(words[2]) * number(words[3]),
            series.relay.passed() - before,
        )
    };
    let (free, _) = used(&series);
    series.publish("m.bin", new);
    let (left, sent) = used(&series);
    assert!(sent < SIZE as u64 * 8 / 100, "{sent}");
    let taken = free.saturating_sub(left);
    assert!(taken < SIZE as u64 / 5, "{taken} of {SIZE}");
}

/// A dry run tells what would be copied, and asks for few plans; where nothing can be copied it asks for none.
#[test]
fn a_dry_run_tells_what_comes_over_the_network() {
    let mut series = Series::start();
    let env = TestEnv::for_hub(&series.hub);
    let dry =
        |arguments: &[&str]| env.run([&["download", "org/name", "--dry-run"], arguments].concat());
    dry(&[]).ok();
    assert_eq!(series.relay.passed(), 0, "there is nothing to compare with");
    series.fetch_alone(&env, "m.bin");
    let new = changed(&series.content, 50, 8);
    series.publish("m.bin", new);
    let before = series.relay.passed();
    let size = series.content.len() as u64;
    for arguments in [&[][..], &["m.bin"], &["--include", "*.bin"]] {
        let output = dry(&[arguments, &["--json"]].concat()).ok();
        let row = &output.json()[0];
        assert_eq!(row["bytes"], size, "{output}");
        let copied = row["copied_bytes"].as_u64().unwrap();
        assert!(
            (size * 92 / 100..size * 96 / 100).contains(&copied),
            "{output}"
        );
    }
    let output = dry(&[]).ok();
    let lines: Vec<&str> = output.stdout().lines().collect();
    assert_eq!(
        lines[0],
        "[dry-run] Will download 1 files (out of 1) totalling 18.0M."
    );
    let told = lines[1].strip_prefix("About ").expect(lines[1]);
    assert!(
        told.ends_with(" will be copied from files on disk."),
        "{output}"
    );
    assert!(told.starts_with("0.") || told.starts_with("1."), "{output}");
    assert!(series.relay.passed() - before < 100_000, "plans alone");
    let output = dry(&["--force-download", "--json"]).ok();
    assert_eq!(output.json()[0]["copied_bytes"], 0);
    let list = "org/name\n";
    let run = env.hf(["download", "--from-file", "-", "--dry-run", "--json"]);
    let output = run.stdin(list).run().ok();
    let copied = &output.json()[0]["files"][0]["copied_bytes"];
    assert!(copied.as_u64().unwrap() > size * 9 / 10, "{output}");
    // The download keeps the word.
    let copied = dry(&["--json"]).json()[0]["copied_bytes"].as_u64().unwrap();
    let sent = series.fetch(&env, "m.bin");
    assert!(
        sent.abs_diff(size - copied) < size / 50,
        "{sent} of {size}, {copied} copied"
    );
}
