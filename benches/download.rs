//! How long downloads and the start take, beside the Python client and curl, against the same local
//! Hub, in turns, in the same run.
//!
//! `cargo bench --bench download [-- CASE …]` prints medians, ratios and our peak memory; a CASE is
//! part of a case's name. The Python client is used when the interop tests have installed it
//! (`target/oracle/2.4.0`), curl when it is on the path; what is missing is said. Python and curl
//! check no hash; we check every byte.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark is a process of its own"
)]

#[path = "../tests/it/harness/hub/mod.rs"]
mod hub;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hub::{Content, Hub, Repo, Settings};

/// One thing to measure.
struct Case {
    name: &'static str,
    /// Repository to download; empty: only print the version.
    repo: &'static str,
    /// Turns of ours and curl, and of Python.
    turns: (usize, usize),
    latency: Duration,
    /// Bytes per second of one connection.
    cap: Option<u64>,
    /// Whether the cache is there already.
    warm: bool,
}

const fn case(name: &'static str, repo: &'static str, turns: (usize, usize)) -> Case {
    Case {
        name,
        repo,
        turns,
        latency: Duration::ZERO,
        cap: None,
        warm: false,
    }
}

const CASES: [Case; 7] = [
    case("start: version", "", (21, 5)),
    case("one file of 1 GiB", "bench/big", (5, 3)),
    case("8 files of 128 MiB", "bench/eight", (5, 3)),
    case("2,000 files of 1-8 KiB", "bench/small", (5, 3)),
    Case {
        latency: Duration::from_millis(50),
        ..case("2,000 files, 50 ms latency", "bench/small", (3, 1))
    },
    Case {
        cap: Some(20_000_000),
        ..case("1 GiB, 20 MB/s a connection", "bench/big", (3, 1))
    },
    Case {
        warm: true,
        ..case("2,000 files, all cached", "bench/small", (15, 5))
    },
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let hub = furnished_hub();
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "", "hf", "Python", "curl", "hf/Python", "hf/curl", "hf memory"
    );
    for case in CASES {
        if wanted.is_empty() || wanted.iter().any(|part| case.name.contains(part.as_str())) {
            measure(&hub, &case);
        }
    }
}

fn furnished_hub() -> Hub {
    let hub = Hub::with(Settings::default());
    hub.add(Repo::model("bench/big").lfs("model.bin", Content::synthetic(1 << 30, 1)));
    let eight = (0..8u8).fold(Repo::model("bench/eight"), |repo, n| {
        repo.lfs(
            &format!("part-{n}.bin"),
            Content::synthetic(128 << 20, u64::from(n) + 2),
        )
    });
    hub.add(eight);
    let small = (0..2000u64).fold(Repo::model("bench/small"), |repo, n| {
        let size = 1024 + (n * 37) % 7168;
        repo.file(
            &format!("d{}/file{n}.txt", n % 20),
            Content::synthetic(size, n + 100),
        )
    });
    hub.add(small);
    hub
}

/// Times and, of the last run, the peak memory.
#[derive(Default)]
struct Runs {
    times: Vec<Duration>,
    peak_kib: u64,
}

impl Runs {
    fn median(&mut self) -> Option<Duration> {
        self.times.sort();
        self.times.get(self.times.len() / 2).copied()
    }
}

fn measure(hub: &Hub, case: &Case) {
    hub.configure(|settings| {
        settings.latency = case.latency;
        settings.bandwidth = case.cap;
    });
    let folder = tempfile::tempdir().expect("folder");
    let (mut ours, mut python, mut curl) = (Runs::default(), Runs::default(), Runs::default());
    if case.warm {
        run(
            hub,
            &our_command(case),
            &folder.path().join("ours"),
            case,
            &mut Runs::default(),
        );
        if let Some(command) = python_command(case) {
            run(
                hub,
                &command,
                &folder.path().join("python"),
                case,
                &mut Runs::default(),
            );
        }
    }
    for turn in 0..case.turns.0 {
        run(
            hub,
            &our_command(case),
            &folder.path().join("ours"),
            case,
            &mut ours,
        );
        if let Some(command) = curl_command(hub, case, folder.path()) {
            run(hub, &command, &folder.path().join("curl"), case, &mut curl);
        }
        if turn < case.turns.1
            && let Some(command) = python_command(case)
        {
            run(
                hub,
                &command,
                &folder.path().join("python"),
                case,
                &mut python,
            );
        }
    }
    let (ours_time, python, curl) = (ours.median(), python.median(), curl.median());
    let shown = |time: Option<Duration>| {
        time.map_or("-".to_owned(), |time| {
            format!("{:.3} s", time.as_secs_f64())
        })
    };
    let ratio = |other: Option<Duration>| match (ours_time, other) {
        (Some(ours), Some(other)) => format!("{:.3}", ours.as_secs_f64() / other.as_secs_f64()),
        _ => "-".to_owned(),
    };
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6} MiB",
        case.name,
        shown(ours_time),
        shown(python),
        shown(curl),
        ratio(python),
        ratio(curl),
        ours.peak_kib / 1024
    );
}

/// A program and its arguments.
type Line = Vec<String>;

fn line<const N: usize>(parts: [&str; N]) -> Line {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn our_command(case: &Case) -> Line {
    let hf = env!("CARGO_BIN_EXE_hf");
    if case.repo.is_empty() {
        line([hf, "version"])
    } else {
        line([hf, "download", case.repo])
    }
}

fn python_command(case: &Case) -> Option<Line> {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let hf = tmp.parent()?.join("oracle/2.4.0/bin/hf");
    let hf = hf.exists().then(|| hf.display().to_string())?;
    Some(if case.repo.is_empty() {
        line([&hf, "version"])
    } else {
        line([&hf, "download", case.repo])
    })
}

/// curl is given the finished list of addresses: it plans nothing, checks nothing and links nothing.
fn curl_command(hub: &Hub, case: &Case, folder: &Path) -> Option<Line> {
    let has_curl = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !has_curl || case.repo.is_empty() || case.warm {
        return None;
    }
    let names: Vec<String> = match case.repo {
        "bench/big" => vec!["model.bin".to_owned()],
        "bench/eight" => (0..8).map(|n| format!("part-{n}.bin")).collect(),
        _ => (0..2000)
            .map(|n| format!("d{}/file{n}.txt", n % 20))
            .collect(),
    };
    let out = folder.join("curl");
    let entries: Vec<String> = names
        .iter()
        .map(|name| {
            let url = format!("{}/{}/resolve/main/{name}", hub.endpoint(), case.repo);
            format!("url = \"{url}\"\noutput = \"{}\"", out.join(name).display())
        })
        .collect();
    let config = folder.join("curl.config");
    fs::write(&config, entries.join("\n")).expect("curl configuration");
    let config = config.display().to_string();
    Some(line([
        "curl",
        "-sSfLZ",
        "--parallel-max",
        "32",
        "--create-dirs",
        "--config",
        &config,
    ]))
}

/// Runs a command with its own empty home, unless the case wants it warm.
fn run(hub: &Hub, command: &Line, home: &PathBuf, case: &Case, runs: &mut Runs) {
    if !case.warm && home.exists() {
        fs::remove_dir_all(home).expect("remove the last run's files");
    }
    let start = Instant::now();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_HUB_DISABLE_XET", "1")
        .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    let status = format!("/proc/{}/status", child.id());
    let ended = loop {
        // The high-water mark only grows, so the last look is as good as any.
        let peak = fs::read_to_string(&status).ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        });
        runs.peak_kib = runs.peak_kib.max(peak.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("wait") {
            break ended;
        }
        // Fine enough for the start of a program, which takes milliseconds.
        std::thread::sleep(Duration::from_micros(if case.repo.is_empty() {
            100
        } else {
            2000
        }));
    };
    runs.times.push(start.elapsed());
    assert!(ended.success(), "{command:?} ended with {ended}");
}
