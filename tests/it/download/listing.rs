//! Listings of very many files: memory, progress, and the stored listing.
//!
//! `HF_LISTING_FILES=1000000` runs it with a million, which takes half a minute and more.

use std::fs;

use crate::harness::endurance::in_two_sizes;
use crate::harness::hub::{Hub, Repo, Request};
use crate::harness::{Running, TestEnv};

fn files(usual: usize) -> usize {
    let given = std::env::var("HF_LISTING_FILES").ok();
    given.map_or(usual, |files| files.parse().expect("a number"))
}

/// Waits for the end; returns the output and the peak of resident memory, in bytes.
fn measured(mut running: Running) -> (crate::harness::Output, u64) {
    let status = format!("/proc/{}/status", running.id());
    let mut peak = 0;
    while !running.ended() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        // Until the program has its own name, its memory may still be that of the tests.
        let text = text.strip_prefix("Name:\thf\n").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (running.wait(), peak)
}

/// Most bytes a file, over what the program needs anyway: a million files have 400 MiB, the program itself
/// included.
const A_FILE: u64 = 400;

#[track_caller]
fn is_modest(what: &str, (peak, base): (u64, u64), files: usize) {
    let each = peak.saturating_sub(base) / files as u64;
    let line = format!(
        "{what}: {files} files, {} MiB, {each} bytes a file\n",
        peak >> 20
    );
    drop(std::io::Write::write_all(
        &mut std::io::stderr(),
        line.as_bytes(),
    ));
    assert!(base > 1 << 20, "measured at all");
    // Connections and threads take some as well.
    let most = base + A_FILE * files as u64 + (4 << 20);
    assert!(peak <= most, "{line}");
}

in_two_sizes!(a_listing_of_very_many_files_takes_little_memory_and_is_shown: 20_000, 100_000);

fn a_listing_of_very_many_files_takes_little_memory_and_is_shown(usual: usize) {
    let files = files(usual);
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("real.txt", "real")
            .made_up(files),
    );
    hub.add(Repo::model("org/tiny").file("real.txt", "real"));
    let is_listing = |request: &Request| request.path.contains("/tree/");
    let env = TestEnv::for_hub(&hub);
    let limit = std::time::Duration::from_secs(600);
    let start = |arguments: &[&str]| env.hf(arguments).limit(limit).spawn();
    let tiny = [
        "download",
        "org/tiny",
        "--dry-run",
        "--json",
        "--include",
        "*",
    ];
    let (output, base) = measured(start(&tiny));
    output.ok();
    let choice = [
        "--include",
        "real.txt",
        "--include",
        "*/record-000000042.bin",
    ];
    let dry: Vec<&str> = ["download", "org/name", "--dry-run", "--json"]
        .into_iter()
        .chain(choice)
        .collect();
    let (output, peak) = measured(start(&dry));
    assert_eq!(output.ok().json().as_array().unwrap().len(), 2);
    is_modest("dry run", (peak, base), files);
    assert!(hub.count(is_listing) >= files / 1000);
    // Each of them in a row, which is never in memory with the others.
    for (command, lines) in [
        (&["download", "org/name", "--dry-run", "--json"][..], 1),
        (&["download", "org/name", "--dry-run"], files + 4),
        (&["ls", "org/name", "--json"], 1),
        (&["ls", "org/name"], files + 3),
        (&["ls", "org/name", "-q"], files + 1),
    ] {
        let (output, peak) = measured(start(command));
        let output = output.ok();
        assert_eq!(output.stdout().lines().count(), lines, "{command:?}");
        if lines == 1 {
            let rows = output.json();
            assert_eq!(rows.as_array().unwrap().len(), files + 1);
        }
        is_modest(&command.join(" "), (peak, base), files);
    }
    // Fetched and stored.
    let real = ["download", "org/name", "--include", "real.txt"];
    let (output, peak) = measured(start(&real));
    output.ok();
    is_modest("download", (peak, base), files);
    // Read from the stored listing.
    hub.clear_requests();
    let (output, peak) = measured(start(&real));
    output.ok();
    is_modest("again", (peak, base), files);
    assert_eq!(hub.count(is_listing), 0);
    let fresh = TestEnv::for_hub(&hub);
    let shown = ["download", "org/name", "--dry-run", "--include", "real.txt"];
    let terminal = fresh.hf(shown).terminal(24, 100);
    terminal.expect("listing files… ");
    terminal.expect(",000");
}
