//! How long a scan takes, against `find` and the Python client on the same cache, in the same run.
//!
//! `cargo bench --bench scan [-- REPOS REVISIONS FILES]` builds a cache of 2,000 repositories with 2
//! revisions of 20 files under the target folder (once), reads it in turns with each program, and
//! prints medians, ratios and our peak memory. The Python client is used when the interop tests have
//! installed it (`target/oracle/2.4.0`), and its absence is said.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Turns; every program runs once in each.
const TURNS: usize = 9;
/// Turns of the Python client, which takes seconds.
const PYTHON_TURNS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, root] = args.as_slice()
        && flag == "--peak-memory"
    {
        peak_memory(Path::new(root));
        return;
    }
    let numbers: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let [repos, revisions, files] = numbers.try_into().unwrap_or([2000, 2, 20]);
    let root = cache(repos, revisions, files);
    println!("{repos} repositories x {revisions} revisions x {files} files, caches warm");

    let ours = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hf"));
        command.args(["cache", "ls", "--format", "quiet", "--cache-dir"]);
        command.arg(&root);
        command
    };
    let find = || {
        let mut command = Command::new("find");
        command.arg(&root).args(["-printf", "%s %A@ %T@ %l\n"]);
        command
    };
    time(ours());
    time(find());
    let (mut of_ours, mut of_find) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        of_ours.push(time(ours()));
        of_find.push(time(find()));
    }
    let (ours, find) = (median(&mut of_ours), median(&mut of_find));
    println!("hf cache ls   {ours:>9.1?}");
    println!("find -printf  {find:>9.1?}");
    println!(
        "hf / find     {:>9.2}   (target: at most 0.70)",
        ours.as_secs_f64() / find.as_secs_f64()
    );
    match python(&root) {
        Some(python) => println!(
            "scan_cache_dir of huggingface_hub 2.4.0 {python:.1?}\nhf / Python   {:>9.4}",
            ours.as_secs_f64() / python.as_secs_f64()
        ),
        None => println!("Python client: not installed, not compared"),
    }
    let output = Command::new(std::env::current_exe().expect("own path"))
        .arg("--peak-memory")
        .arg(&root)
        .output()
        .expect("own program");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn time(mut command: Command) -> Duration {
    command.env_remove("HF_HUB_CACHE").stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("program");
    assert!(status.success(), "{command:?}");
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn python(root: &Path) -> Option<Duration> {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let python = tmp.parent()?.join("oracle/2.4.0/bin/python");
    if !python.exists() {
        return None;
    }
    let code =
        "import sys; from huggingface_hub import scan_cache_dir; scan_cache_dir(sys.argv[1])";
    let mut times: Vec<Duration> = (0..PYTHON_TURNS)
        .map(|_| {
            let mut command = Command::new(&python);
            command.args(["-c", code]).arg(root);
            time(command)
        })
        .collect();
    Some(median(&mut times))
}

/// Scans in this process and prints its peak memory, which only the process itself can read.
fn peak_memory(root: &Path) {
    let report = hf_cli::cache::scan::scan(root, hf_cli::cache::scan::Detail::Totals);
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
