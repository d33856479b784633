//! The line that tells a person what a download did.

use crate::download::xet::noise;
use crate::harness::TestEnv;
use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::partial::plant;

/// A Hub with one large file, a small one and an empty one.
fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name")
        .file("a.txt", "a")
        .file("b/empty", "");
    hub.add(repo.lfs("big.bin", Content::synthetic(3_000_000, 3)));
    hub
}

/// What a terminal of this width shows after a download, without times and rates; the home folder is `~`.
#[track_caller]
fn shown(env: &TestEnv, arguments: &[&str], columns: u16) -> Vec<String> {
    let run = env.hf([&["download", "org/name"], arguments].concat());
    let mut terminal = run.terminal(24, columns);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    let home = env.path("").display().to_string();
    screen
        .lines()
        .map(|line| timeless(&line.replace(&home, "~/")))
        .collect()
}

/// A line without the time it took and the rate.
fn timeless(line: &str) -> String {
    let Some((before, after)) = line.split_once(" in ") else {
        return line.to_owned();
    };
    let end = after.find(", ").or(after.find(';')).unwrap_or(after.len());
    let (took, rest) = after.split_at(end);
    let rate = if took.contains(" MB/s)") {
        " (rate)"
    } else {
        ""
    };
    format!("{before} in TIME{rate}{rest}")
}

#[test]
fn a_person_is_told_what_a_download_did() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let commit = hub.repo("models/org/name").commit("main");
    let path = format!("  path: ~/hf/hub/models--org--name/snapshots/{commit}");
    let shown = |arguments: &[&str]| shown(&env, arguments, 200);
    assert_eq!(
        shown(&["a.txt"]),
        ["✓ 1 file, 1 B in TIME".to_owned(), format!("{path}/a.txt")]
    );
    assert_eq!(
        shown(&[]),
        [
            "✓ 2 files, 3.0 MB in TIME (rate); 1 was there".to_owned(),
            path.clone()
        ]
    );
    assert_eq!(
        shown(&[]),
        [
            "✓ All 3 files were there already; nothing was fetched".to_owned(),
            path.clone()
        ]
    );
    assert_eq!(
        shown(&["a.txt"])[0],
        "✓ The file was there already; nothing was fetched"
    );
    assert_eq!(
        shown(&["--force-download", "--progress", "none"])[0],
        "✓ 3 files, 3.0 MB in TIME (rate)"
    );
    assert_eq!(shown(&["-q"]), [path.trim_start_matches("  path: ")]);
    assert_eq!(shown(&["--json"]).len(), 1);
    assert_eq!(shown(&["--format", "agent"]).len(), 1);
    assert!(shown(&["--dry-run"])[0].starts_with("[dry-run]"));
}

#[test]
fn what_was_kept_from_an_interrupted_download_is_no_speed() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let entry = hub.repo("models/org/name").entry("big.bin");
    let bytes = entry.content.to_bytes();
    let blobs = env.cache().join("models--org--name/blobs");
    plant(&blobs, &entry.etag(), Some(3_000_000), &bytes[..1_000_000]);
    assert_eq!(
        shown(&env, &[], 200)[0],
        "✓ 3 files, 2.0 MB in TIME (rate), continued after 1.0 MB"
    );
}

/// What is copied from an earlier revision did not come over the network, and is told apart.
#[test]
fn what_was_copied_from_an_earlier_revision_is_no_speed() {
    let (cas, hub) = (Cas::start(), Hub::start());
    let old = noise(7, 9_000_000);
    let mut new = old.clone();
    new[4_000_000..5_000_000].copy_from_slice(&noise(8, 1_000_000));
    let hash = cas.store_new_parts(&old);
    hub.add(Repo::model("org/name").xet("m.bin", Content::memory(old), &hash));
    hub.xet(Some(cas.endpoint()));
    let env = TestEnv::for_hub(&hub);
    assert_eq!(shown(&env, &[], 200)[0], "✓ 1 file, 9.0 MB in TIME (rate)");
    let hash = cas.store_new_parts(&new);
    let repo = hub.repo("models/org/name");
    repo.update(|tree| tree.xet("m.bin", Content::memory(new), &hash));
    let line = shown(&env, &[], 200).swap_remove(0);
    let told = line.strip_prefix("✓ 1 file, ").expect(&line);
    // The rate may be one of kilobytes.
    let (came, rest) = told.split_once(" MB in TIME").expect(&line);
    let (_, copied) = rest.split_once(", ").expect(&line);
    let copied = copied
        .strip_suffix(" MB copied from files on disk")
        .expect(&line);
    let (came, copied): (f64, f64) = (came.parse().unwrap(), copied.parse().unwrap());
    assert!((1.0..1.5).contains(&came), "{line}");
    assert!((came + copied - 9.0).abs() < 0.11, "{line}");
}

#[test]
fn a_pipe_gets_the_path_alone() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for _ in 0..2 {
        let output = env.run(["download", "org/name"]).ok();
        assert_eq!(output.said(), "");
        assert_eq!(output.stdout().lines().count(), 1);
    }
    // The result alone is captured, a person sees the rest.
    let script = "P=$(\"$HF\" download org/name --force-download) && test -d \"$P\" && echo \"$P\"";
    let run = env.program("sh", ["-c", script]);
    let mut terminal = run.var("HF", env!("CARGO_BIN_EXE_hf")).terminal(24, 200);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(timeless(lines[0]), "✓ 3 files, 3.0 MB in TIME (rate)");
    assert!(lines[1].starts_with('/') && lines.len() == 2, "{screen}");
}

#[test]
fn what_is_used_without_the_hub_is_not_called_a_download() {
    let hub = hub();
    let mut env = TestEnv::for_hub(&hub);
    env.run(["download", "org/name"]).ok();
    env.set("HF_HUB_OFFLINE", "1");
    let commit = hub.repo("models/org/name").commit("main");
    assert_eq!(
        shown(&env, &[], 200),
        [
            "✓ What an earlier download left is used; nothing was fetched".to_owned(),
            format!("  path: ~/hf/hub/models--org--name/snapshots/{commit}")
        ]
    );
}
