//! How long a scan takes, against `find` and both Python clients on the same cache, in the same run.
//!
//! `cargo bench --bench scan [-- REPOS REVISIONS FILES]` builds a cache of 2,000 repositories with 2
//! revisions of 20 files under the target folder (once), reads it in turns with each program, and
//! prints medians, ratios and our peak memory. `-- --growth` reads caches of 20,000, 80,000 and 200,000
//! links with `hf` alone: time and memory for a link have to stay what they are. The Python clients are used when the interop tests have
//! installed them (`target/oracle/2.4.0`, `0.36.2`), and their absence is said.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark makes files as it likes"
)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Turns; every program runs once in each.
const TURNS: usize = 9;
/// Turns of the Python clients, which take seconds.
const PYTHON_TURNS: usize = 3;
/// The versions we compare with.
const MODERN: &str = "2.4.0";
const LEGACY: &str = "0.36.2";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, root] = args.as_slice()
        && flag == "--peak-memory"
    {
        peak_memory(Path::new(root));
        return;
    }
    if args.iter().any(|arg| arg == "--growth") {
        growth();
        return;
    }
    let numbers: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let [repos, revisions, files] = numbers.try_into().unwrap_or([2000, 2, 20]);
    let root = cache(repos, revisions, files);
    println!("{repos} repositories x {revisions} revisions x {files} files, caches warm");

    let programs = programs(&root);
    let mut times = vec![Vec::new(); programs.len()];
    for program in &programs {
        // Once for the page cache.
        program.run();
    }
    for turn in 0..TURNS {
        for (program, times) in programs.iter().zip(&mut times) {
            if turn < program.turns {
                times.push(program.run());
            }
        }
    }
    let ours = median(&mut times[0]).as_secs_f64();
    println!(
        "{:<44} {:>10} {:>10} {:>10}",
        "", "median", "hf / this", "this / hf"
    );
    for (program, times) in programs.iter().zip(&mut times) {
        let theirs = median(times);
        let seconds = theirs.as_secs_f64();
        println!(
            "{:<44} {theirs:>10.1?} {:>10.3} {:>10.1}   {}",
            program.name,
            ours / seconds,
            seconds / ours,
            program.goal
        );
    }
    for version in [MODERN, LEGACY] {
        if !oracle(version, "python").exists() {
            println!("huggingface_hub {version}: not installed, not compared");
        }
    }
    print!("{}", peak_memory_of(&root));
}

/// What a scan in a process of its own tells of its memory.
fn peak_memory_of(root: &Path) -> String {
    let output = Command::new(std::env::current_exe().expect("own path"))
        .arg("--peak-memory")
        .arg(root)
        .output()
        .expect("own program");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Our time and memory as the cache grows.
#[expect(clippy::cast_precision_loss, reason = "a rate is not that exact")]
fn growth() {
    for repos in [500, 2000, 5000] {
        let root = cache(repos, 2, 20);
        let ours = &programs(&root)[0];
        // Once for the page cache.
        ours.run();
        let mut times: Vec<Duration> = (0..TURNS).map(|_| ours.run()).collect();
        let (time, links) = (median(&mut times), repos * 2 * 20);
        let each = time.as_secs_f64() * 1e6 / links as f64;
        println!("{links:>7} links  {time:>9.1?}  {each:.2} us a link");
        print!("               {}", peak_memory_of(&root));
    }
}

/// A program that reads the whole cache.
struct Program {
    name: String,
    line: Vec<OsString>,
    turns: usize,
    goal: &'static str,
}

impl Program {
    fn run(&self) -> Duration {
        let mut command = Command::new(&self.line[0]);
        command
            .args(&self.line[1..])
            .env_remove("HF_HUB_CACHE")
            .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().expect("program");
        assert!(status.success(), "{command:?}");
        start.elapsed()
    }
}

/// Ours first; of the Python clients those that are installed.
fn programs(root: &Path) -> Vec<Program> {
    let hf = Path::new(env!("CARGO_BIN_EXE_hf"));
    let ls = ["cache", "ls", "--format", "quiet", "--cache-dir", ROOT];
    let find = ["-H", ROOT, "-printf", "%s %A@ %T@ %l\n"];
    let code =
        "import sys; from huggingface_hub import scan_cache_dir; scan_cache_dir(sys.argv[1])";
    let row = |name: &str, program: &Path, args: &[&str], turns, goal| {
        let own = |arg: &&str| match *arg {
            ROOT => root.as_os_str().to_owned(),
            arg => OsString::from(arg),
        };
        let line = std::iter::once(program.as_os_str().to_owned());
        Program {
            name: name.to_owned(),
            line: line.chain(args.iter().map(own)).collect(),
            turns,
            goal,
        }
    };
    let mut programs = vec![
        row("hf cache ls", hf, &ls, TURNS, ""),
        row(
            "hf cache scan",
            hf,
            &["cache", "scan", "--dir", ROOT],
            TURNS,
            "",
        ),
        row(
            "find -printf",
            Path::new("find"),
            &find,
            TURNS,
            "hf: at most 0.70 of it",
        ),
    ];
    let (modern, legacy) = (oracle(MODERN, "hf"), oracle(LEGACY, "huggingface-cli"));
    if modern.exists() {
        let name = format!("hf cache ls of huggingface_hub {MODERN}");
        let goal = "hf: at least 8 x faster";
        programs.push(row(&name, &modern, &ls, PYTHON_TURNS, goal));
        let name = format!("scan_cache_dir alone, {MODERN}");
        let python = oracle(MODERN, "python");
        programs.push(row(&name, &python, &["-c", code, ROOT], PYTHON_TURNS, ""));
    }
    if legacy.exists() {
        let name = format!("scan-cache of huggingface_hub {LEGACY}");
        let args = ["scan-cache", "--dir", ROOT];
        programs.push(row(&name, &legacy, &args, PYTHON_TURNS, ""));
    }
    programs
}

/// Stands for the cache in an argument list.
const ROOT: &str = "<root>";

/// A program of an installed Python client.
fn oracle(version: &str, program: &str) -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = tmp.parent().expect("the target folder");
    target
        .join("oracle")
        .join(version)
        .join("bin")
        .join(program)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Scans in this process and prints its peak memory, which only the process itself can read.
fn peak_memory(root: &Path) {
    let report = hf_cli::testing::scan(root, hf_cli::testing::Detail::Totals);
    let repos = report.expect("scan").repos.len();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .map_or("unknown here", str::trim);
    println!("peak memory    {peak} for {repos} repositories (target: at most 48 MiB = 49152 kB)");
}

/// The cache to read. Half of a revision's files are those of the revision before, as after a real
/// update. A marker written last says that it is complete.
fn cache(repos: usize, revisions: usize, files: usize) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("scan-bench-{repos}-{revisions}-{files}"));
    let complete = root.with_extension("complete");
    if complete.exists() {
        return root;
    }
    // What an interrupted run left is of no use, and may not be there.
    let _ = fs::remove_dir_all(&root);
    for repo in 0..repos {
        let folder = root.join(format!("models--org{}--name{repo}", repo % 50));
        let (blobs, refs) = (folder.join("blobs"), folder.join("refs"));
        fs::create_dir_all(&blobs).expect("folder");
        fs::create_dir_all(&refs).expect("folder");
        let mut commit = String::new();
        for revision in 0..revisions {
            commit = format!("{:040x}", (repo * 1000 + revision + 1) * 7919);
            let snapshot = folder.join("snapshots").join(&commit);
            fs::create_dir_all(snapshot.join("sub")).expect("folder");
            for file in 0..files {
                let first_seen = if file % 2 == 0 { 0 } else { revision };
                let name = format!("{:064x}", (repo * 1000 + first_seen) * 1000 + file + 1);
                let blob = blobs.join(&name);
                if !blob.exists() {
                    fs::write(blob, "x".repeat(file)).expect("blob");
                }
                let (path, up) = if file % 5 == 0 {
                    (format!("sub/file{file}.bin"), "../../../")
                } else {
                    (format!("file{file}.bin"), "../../")
                };
                symlink(format!("{up}blobs/{name}"), snapshot.join(path)).expect("link");
            }
        }
        fs::write(refs.join("main"), commit).expect("ref");
    }
    fs::write(complete, "").expect("marker");
    root
}
