//! Progress bars on terminals of every width, seen through a terminal emulator.

use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo};
use crate::harness::partial::plant;
use crate::harness::terminal::Terminal;

/// Bytes a second of each connection, so slow that no test sees the end of a file.
const SLOW: u64 = 100_000;

const NAME: &str = "model-00001-of-00002.safetensors";

/// A slow Hub with two files that are worth a line and one that is not.
fn hub() -> Hub {
    let hub = Hub::start();
    let repo = Repo::model("org/name").file("a.txt", "a");
    let repo = repo.lfs(NAME, Content::synthetic(8_000_000, 1));
    hub.add(repo.lfs("b.bin", Content::synthetic(4_000_000, 2)));
    hub.configure(|settings| settings.bandwidth = Some(SLOW));
    hub
}

/// Lines of the screen that are bars.
fn bars(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    screen
        .lines()
        .filter(|line| line.contains(['━', '─']))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn expect_lines(terminal: &Terminal, lines: usize, columns: usize) {
    let what = format!("{lines} bars within {columns} columns");
    terminal.wait_until(&what, |terminal| {
        let shown = bars(terminal);
        shown.len() == lines && shown.iter().all(|line| line.chars().count() < columns)
    });
}

#[test]
fn the_largest_files_and_all_files_at_every_width() {
    let hub = hub();
    for (columns, lines) in [(200, 3), (120, 3), (80, 3), (30, 1)] {
        let env = TestEnv::for_hub(&hub);
        let mut terminal = env.hf(["download", "org/name"]).terminal(24, columns);
        expect_lines(&terminal, lines, columns.into());
        let shown = bars(&terminal);
        if lines == 3 {
            assert!(
                shown[0].starts_with("model-00001") || shown[0].starts_with('…'),
                "{shown:?}"
            );
            assert!(
                shown[0].contains("/8.0 MB") && shown[1].starts_with("b.bin"),
                "{shown:?}"
            );
            assert!(
                shown[2].starts_with("1/3 files") || shown[2].starts_with("0/3 files"),
                "{shown:?}"
            );
            terminal.expect(" left");
        }
        assert!(!terminal.transcript().contains(" 0 B/s"));
        terminal.send("\x03");
        assert_eq!(terminal.exit_code(), 130);
        let screen = terminal.screen();
        assert!(
            bars(&terminal).is_empty() && screen.contains("Stopped."),
            "{screen}"
        );
        assert!(!screen.contains("files "), "{screen}");
    }
}

#[test]
fn a_resize_leaves_nothing_behind() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let script = "echo before; \"$HF\" download org/name; echo after";
    let run = env.program("sh", ["-c", script]);
    let mut terminal = run.var("HF", env!("CARGO_BIN_EXE_hf")).terminal(24, 120);
    expect_lines(&terminal, 3, 120);
    for columns in [60, 34, 200, 80] {
        terminal.resize(24, columns);
        let lines = if columns < 40 { 1 } else { 3 };
        expect_lines(&terminal, lines, columns.into());
    }
    // Fewer rows than files: the total stays.
    terminal.resize(3, 80);
    terminal.wait_until("two lines", |terminal| {
        let shown = bars(terminal);
        shown.len() == 2 && shown[1].contains("/3 files")
    });
    terminal.resize(24, 80);
    expect_lines(&terminal, 3, 80);
    terminal.terminate();
}

#[test]
fn what_is_there_counts_and_a_limit_is_what_it_shows() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let entry = hub.repo("models/org/name").entry(NAME);
    let bytes = entry.content.to_bytes();
    let blobs = env.cache().join("models--org--name/blobs");
    plant(&blobs, &entry.etag(), Some(8_000_000), &bytes[..6_000_000]);
    hub.configure(|settings| settings.bandwidth = None);
    env.run(["download", "org/name", "b.bin"]).ok();
    let arguments = ["download", "org/name", "--limit-rate", "50k"];
    let mut terminal = env.hf(arguments).terminal(24, 120);
    // Of 12 MB 4 were complete and 6 kept.
    terminal.wait_until("what is there", |terminal| {
        (83..=90).any(|percent| terminal.screen().contains(&format!("{percent}%  10.")))
    });
    // The bucket lets a tenth of a second pass at once.
    terminal.wait_until("the limit as the rate", |terminal| {
        let screen = terminal.screen();
        (44..=56).any(|rate| screen.contains(&format!(" {rate} kB/s")))
    });
    assert!(!terminal.transcript().contains(" 0 B/s"));
    terminal.send("\x03");
    assert_eq!(terminal.exit_code(), 130);
}

#[test]
fn colour_where_it_is_wanted() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let start = |set: &str| {
        let script = format!("{set} exec \"$HF\" download org/name --limit-rate 100k");
        let run = env.program("sh", ["-c", &script]);
        run.var("HF", env!("CARGO_BIN_EXE_hf")).terminal(24, 120)
    };
    for (set, has_bars, has_color) in [
        ("", true, true),
        ("NO_COLOR=1", true, false),
        ("TERM=dumb", false, false),
    ] {
        let mut terminal = start(set);
        match has_bars {
            true => terminal.expect("/3 files"),
            false => {
                terminal.wait_until("the download", |_| hub.count(|r| r.path.contains(NAME)) > 0)
            }
        }
        terminal.send("\x03");
        assert_eq!(terminal.exit_code(), 130);
        let shown = terminal.transcript();
        let bars = shown.split("Error").next().unwrap();
        assert_eq!(
            bars.contains("\x1b[32m━") || bars.contains("\x1b[90m━"),
            has_color,
            "{set}"
        );
        assert_eq!(bars.contains("files"), has_bars, "{set}");
        hub.clear_requests();
    }
}
