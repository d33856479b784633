//! How fast files are hashed, against `sha256sum` run on as many cores, in the same run.
//!
//! `cargo bench --bench verify` writes 1.2 GB in 12 files under the target folder (once), all of it
//! then in the page cache, and prints medians and the ratio of speeds.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark makes files as it likes"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hf_cli::testing::Checksum;
use hf_cli::testing::Silent;
use hf_cli::testing::{Check, hash_all};

const FILES: u64 = 12;
const BYTES: u64 = 100_000_000;
const TURNS: usize = 5;

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify-bench");
    let files: Vec<PathBuf> = (0..FILES).map(|number| file(&folder, number)).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let nobody = Checksum::from_etag(&"0".repeat(64)).expect("64 digits");
    let checks: Vec<Check> = files
        .iter()
        .map(|file| Check::of_file(file, nobody.clone(), None))
        .collect();
    let ours = || {
        let start = Instant::now();
        let wrong = hash_all(&checks, &Silent);
        assert_eq!(wrong.wrong.len(), checks.len(), "nothing has the hash 0");
        start.elapsed()
    };
    let theirs = || {
        let start = Instant::now();
        let mut command = Command::new("xargs");
        let mut child = command
            .args(["-P", &cores.to_string(), "-n", "1", "sha256sum"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("xargs");
        let mut stdin = child.stdin.take().expect("stdin");
        for file in &files {
            writeln!(stdin, "{}", file.display()).expect("pipe");
        }
        drop(stdin);
        assert!(child.wait().expect("xargs").success());
        start.elapsed()
    };
    ours();
    theirs();
    let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        of_ours.push(ours());
        of_theirs.push(theirs());
    }
    let (ours, theirs) = (median(&mut of_ours), median(&mut of_theirs));
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = |time: Duration| (FILES * BYTES) as f64 / 1e6 / time.as_secs_f64();
    println!("{cores} cores, {} MB", FILES * BYTES / 1_000_000);
    println!("hf cache verify  {:>8.0} MB/s", rate(ours));
    println!("sha256sum        {:>8.0} MB/s", rate(theirs));
    println!(
        "hf / sha256sum   {:>8.2}   (target: at least 0.90)",
        rate(ours) / rate(theirs)
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn file(folder: &Path, number: u64) -> PathBuf {
    let path = folder.join(format!("{number}.bin"));
    if fs::metadata(&path).is_ok_and(|meta| meta.len() == BYTES) {
        return path;
    }
    fs::create_dir_all(folder).expect("folder");
    let mut random = fastrand::Rng::with_seed(number);
    let mut content = vec![0; usize::try_from(BYTES).expect("fits")];
    random.fill(&mut content);
    fs::write(&path, content).expect("file");
    path
}
