//! How long downloads and the start take, beside the Python client and curl, against the same local
//! Hub, in turns, in the same run.
//!
//! `cargo bench --bench download [-- CASE …]` first says, with curl, that the Hub is fast enough to
//! measure others; then it prints for each case medians, ratios, the mean CPU time of a run and the
//! peak memory. A CASE is part of a case's name. The Python client is used when the interop tests have
//! installed it (`target/oracle/2.4.0`), curl when it is on the path; what is missing shows as `-`.
//! Python and curl check no hash over HTTP; we check every byte. After the cases come pairs, of which the
//! same way of naming chooses (`-- flushing HTTP/2`): our own program in two ways, in turns. Last come series of
//! revisions (`-- moved`): the bytes that a new revision moves when most of it is in the cache; and of kills
//! (`-- kills`): the bytes that a download moves which is killed twenty times.
//!
//! The servers run in this process and share the machine with the clients. On a machine with other
//! work CPU time tells more than the clock.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark is a process of its own"
)]

#[path = "../../tests/it/harness/cas.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cas;
#[path = "../../tests/it/harness/hub/mod.rs"]
mod hub;
mod kills;
mod moved;
mod process;
mod servers;
#[path = "../../tests/it/harness/stall.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod stall;

use std::path::Path;
use std::time::Duration;

use kills::KILLS;
use moved::SERIES;
use process::{Line, Runs, curl, ours, python, under};
use servers::Servers;

/// One thing to measure.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Repository to download; empty: only print the version.
    repo: &'static str,
    /// More arguments.
    more: &'static [&'static str],
    /// Turns of ours and curl, and of Python.
    turns: (usize, usize),
    latency: Duration,
    /// Bytes per second of one connection.
    cap: Option<u64>,
    /// Whether the cache is there already.
    warm: bool,
    /// Whether we may flush what we wrote to the disk: without, flushing does nothing.
    flushes: bool,
    way: Way,
    /// What the project promises.
    goal: &'static str,
}

/// How the content comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Http,
    Https,
    /// Https where the server speaks HTTP/2 as well.
    Http2,
    Xet,
}

const fn case(
    name: &'static str,
    repo: &'static str,
    turns: (usize, usize),
    goal: &'static str,
) -> Case {
    Case {
        name,
        repo,
        more: &[],
        turns,
        latency: Duration::ZERO,
        cap: None,
        warm: false,
        flushes: true,
        way: Way::Http,
        goal,
    }
}

const CASES: [Case; 15] = [
    case("start: version", "", (21, 5), ""),
    case(
        "one file of 1 GiB",
        "bench/big",
        (5, 3),
        ">= 2.5 x Python, <= 1.11 x curl",
    ),
    case("8 files of 128 MiB", "bench/eight", (5, 3), ">= 3 x Python"),
    case(
        "one file of 8 GiB",
        "bench/huge",
        (1, 1),
        "<= 1.1 x SHA-256 on many cores",
    ),
    case(
        "2,000 files of 1-8 KiB",
        "bench/small",
        (5, 3),
        ">= 15 x Python, <= 1.5 x curl",
    ),
    Case {
        latency: Duration::from_millis(50),
        ..case(
            "2,000 files, 50 ms latency",
            "bench/small",
            (3, 1),
            ">= 8 x Python",
        )
    },
    Case {
        cap: Some(20_000_000),
        ..case(
            "1 GiB, 20 MB/s a connection",
            "bench/big",
            (3, 1),
            ">= 7 x Python",
        )
    },
    Case {
        warm: true,
        ..case(
            "2,000 files, all cached",
            "bench/small",
            (15, 5),
            ">= 50 x Python",
        )
    },
    // The Python client asks for each file by itself, which takes minutes in these two.
    Case {
        warm: true,
        ..case(
            "100,000 files, all cached",
            "bench/many",
            (5, 0),
            "<= 0.5 s",
        )
    },
    Case {
        more: &["--dry-run"],
        ..case(
            "200,000 files, dry run",
            "bench/listed",
            (3, 0),
            "<= 80 MiB, <= 3 s",
        )
    },
    Case {
        way: Way::Https,
        ..case("1 GiB over https", "bench/big", (5, 3), "")
    },
    Case {
        way: Way::Xet,
        ..case("48 MB from Xet", "bench/xet48", (7, 7), ">= 1.5 x Python")
    },
    Case {
        way: Way::Xet,
        ..case("256 MB from Xet", "bench/xet256", (5, 5), ">= 1.5 x Python")
    },
    Case {
        way: Way::Xet,
        ..case("1 GiB from Xet", "bench/xet1024", (3, 3), ">= 1.5 x Python")
    },
    Case {
        way: Way::Xet,
        ..case("4 files of 80 MB from Xet", "bench/xet4", (5, 5), "")
    },
];

/// One thing that is done in two ways, by us alone.
struct Pair {
    name: &'static str,
    ways: [(&'static str, Case); 2],
}

const PAIRS: [Pair; 6] = [
    flushing("flushing: one file of 1 GiB", "bench/big"),
    flushing("flushing: 2,000 files of 1-8 KiB", "bench/small"),
    versions("HTTP/2: 2,000 files", 0),
    versions("HTTP/2: 2,000 files, 10 ms latency", 10),
    versions("HTTP/2: 2,000 files, 50 ms latency", 50),
    EARLY,
];

/// What it gives that small files come while the listing is still coming. A chosen number of workers, here as
/// many as by default, switches that off.
const EARLY: Pair = {
    let early = Case {
        latency: Duration::from_millis(50),
        ..case(
            "early: 10,000 files, 50 ms latency",
            "bench/pages",
            (3, 0),
            "",
        )
    };
    let late = Case {
        more: &["--max-workers", "64"],
        ..early
    };
    Pair {
        name: early.name,
        ways: [("during the listing", early), ("after it", late)],
    }
};

/// What it costs that a file is flushed to the disk before it is published.
const fn flushing(name: &'static str, repo: &'static str) -> Pair {
    let flushed = case(name, repo, (7, 0), "");
    let unflushed = Case {
        flushes: false,
        ..flushed
    };
    Pair {
        name,
        ways: [("flushed", flushed), ("not flushed", unflushed)],
    }
}

/// The same server with both versions of HTTP, and with the older one alone.
const fn versions(name: &'static str, milliseconds: u64) -> Pair {
    let newer = Case {
        way: Way::Http2,
        latency: Duration::from_millis(milliseconds),
        ..case(name, "bench/small", (7, 0), "")
    };
    let older = Case {
        way: Way::Https,
        ..newer
    };
    Pair {
        name,
        ways: [("HTTP/2", newer), ("HTTP/1.1", older)],
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let cases: Vec<&Case> = CASES.iter().filter(|case| is_wanted(case.name)).collect();
    let is_alone = under().is_some();
    let pairs = PAIRS.iter();
    let pairs: Vec<&Pair> = pairs
        .filter(|pair| is_wanted(pair.name) && !is_alone)
        .collect();
    let ways = || {
        let of_pairs = pairs.iter().flat_map(|pair| &pair.ways);
        let of_pairs = of_pairs.map(|(_, case)| case.way);
        cases.iter().map(|case| case.way).chain(of_pairs)
    };
    if !cases.is_empty() || !pairs.is_empty() {
        let is_needed = |repo: &str| {
            let of_pairs = pairs.iter().flat_map(|pair| &pair.ways);
            let mut all = cases.iter().copied().chain(of_pairs.map(|(_, case)| case));
            all.any(|case| case.repo == repo)
        };
        let servers = Servers::start(|way| ways().any(|needed| needed == way), is_needed);
        if !is_alone {
            servers.check();
        }
        run(&servers, &cases, &pairs);
    }
    for series in SERIES.iter().filter(|series| is_wanted(series.name)) {
        series.measure();
    }
    for kills in KILLS.iter().filter(|kills| is_wanted(kills.name)) {
        kills.measure();
    }
}

fn run(servers: &Servers, cases: &[&Case], pairs: &[&Pair]) {
    if !cases.is_empty() {
        table(servers, cases);
    }
    for pair in pairs {
        compare(servers, pair);
    }
}

fn table(servers: &Servers, cases: &[&Case]) {
    println!(
        "\n{:<28} {:>8} {:>8} {:>8} {:>9} {:>7} {:>13} {:>13}  goal",
        "seconds, CPU s, peak MiB",
        "hf",
        "Python",
        "curl",
        "Python/hf",
        "hf/curl",
        "CPU hf/Py",
        "MiB hf/Py"
    );
    for case in cases {
        measure(servers, case);
    }
}

/// Both ways in turns, each first in every other turn.
fn compare(servers: &Servers, pair: &Pair) {
    let folder = tempfile::tempdir().expect("folder");
    let mut runs = [Runs::default(), Runs::default()];
    for turn in 0..pair.ways[0].1.turns.0 {
        for number in [turn % 2, 1 - turn % 2] {
            let case = &pair.ways[number].1;
            servers.configure(case);
            let home = folder.path().join(number.to_string());
            process::run(servers, &ours(case), &home, case, &mut runs[number]);
        }
    }
    for (number, (_, case)) in pair.ways.iter().enumerate() {
        servers.make_way(&folder.path().join(number.to_string()), case);
    }
    let [(one, _), (other, _)] = pair.ways;
    let times = runs
        .each_mut()
        .map(|runs| runs.median().unwrap_or(f64::NAN));
    let cpu = runs
        .each_ref()
        .map(|runs| runs.mean_cpu().unwrap_or(f64::NAN));
    println!(
        "{:<36} {one} {:.3} s (CPU {:.2}), {other} {:.3} s (CPU {:.2}): {one}/{other} {:.2}",
        pair.name,
        times[0],
        cpu[0],
        times[1],
        cpu[1],
        times[0] / times[1]
    );
}

fn measure(servers: &Servers, case: &Case) {
    servers.configure(case);
    let folder = tempfile::tempdir().expect("folder");
    if under().is_some() {
        let mut runs = Runs::default();
        let home = folder.path().join("ours");
        process::run(servers, &ours(case), &home, case, &mut runs);
        return row(case, &mut runs, &mut Runs::default(), &mut Runs::default());
    }
    let mut runners = [
        (Some(ours(case)), "ours", case.turns.0, Runs::default()),
        (
            curl(servers, case, folder.path()),
            "curl",
            case.turns.0,
            Runs::default(),
        ),
        (python(case), "python", case.turns.1, Runs::default()),
    ];
    let run = |command: &Line, home: &Path, runs: &mut Runs| {
        process::run(servers, command, home, case, runs);
    };
    if case.warm {
        for (command, name, _, _) in &runners {
            if let Some(command) = command {
                run(command, &folder.path().join(name), &mut Runs::default());
            }
        }
    }
    for turn in 0..case.turns.0 {
        for (command, name, turns, runs) in &mut runners {
            if let Some(command) = command.as_ref().filter(|_| turn < *turns) {
                run(command, &folder.path().join(name), runs);
            }
        }
    }
    for (_, name, ..) in &runners {
        servers.make_way(&folder.path().join(name), case);
    }
    let [(.., mut ours), (.., mut curl), (.., mut python)] = runners;
    row(case, &mut ours, &mut curl, &mut python);
}

fn row(case: &Case, ours: &mut Runs, curl: &mut Runs, python: &mut Runs) {
    let seconds =
        |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
    let ratio = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => format!("{:.2}", one / other),
        _ => "-".to_owned(),
    };
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>9} {:>7} {:>13} {:>13}  {}",
        case.name,
        seconds(ours.median()),
        seconds(python.median()),
        seconds(curl.median()),
        ratio(python.median(), ours.median()),
        ratio(ours.median(), curl.median()),
        format!(
            "{}/{}",
            seconds(ours.mean_cpu()),
            seconds(python.mean_cpu())
        ),
        format!("{}/{}", ours.peak_kib / 1024, python.peak_kib / 1024),
        case.goal
    );
}
