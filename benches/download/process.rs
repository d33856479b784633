//! The programs that are measured, and one run of one of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::servers::{EIGHT, SMALL, Servers, small_name};
use crate::{Case, Way};

/// A program and its arguments.
pub type Line = Vec<String>;

fn line<const N: usize>(parts: [&str; N]) -> Line {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// What was measured of one program.
#[derive(Default)]
pub struct Runs {
    times: Vec<Duration>,
    cpu: f64,
    /// Highest of all runs.
    pub peak_kib: u64,
}

impl Runs {
    /// Seconds by the clock.
    pub fn median(&mut self) -> Option<f64> {
        self.times.sort();
        let median = self.times.get(self.times.len() / 2);
        median.map(Duration::as_secs_f64)
    }

    /// Seconds of all processors, user and system together.
    pub fn mean_cpu(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
        let count = self.times.len() as f64;
        (count > 0.0).then(|| self.cpu / count)
    }
}

pub fn ours(case: &Case) -> Line {
    let mut line = under().unwrap_or_default();
    line.extend(client(env!("CARGO_BIN_EXE_hf"), case.repo));
    line.extend(case.more.iter().map(|&more| more.to_owned()));
    line
}

/// What our program is to run under, from `HF_BENCH_UNDER`: docs/pictures/timeline looks at it with perf. It then
/// runs once and alone.
pub fn under() -> Option<Line> {
    let words = std::env::var("HF_BENCH_UNDER").ok()?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

pub fn python(case: &Case) -> Option<Line> {
    python_client().map(|hf| client(&hf, case.repo))
}

/// The Python client, when the interop tests have installed it.
pub fn python_client() -> Option<String> {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let hf = tmp.parent()?.join("oracle/2.4.0/bin/hf");
    hf.exists().then(|| hf.display().to_string())
}

/// The download of a repository by this program; without one, its version.
pub fn client(hf: &str, repo: &str) -> Line {
    if repo.is_empty() {
        line([hf, "version"])
    } else {
        line([hf, "download", repo])
    }
}

/// Whether there is a curl.
pub fn has_curl() -> bool {
    let mut command = Command::new("curl");
    let status = command.arg("--version").stdout(Stdio::null()).status();
    status.is_ok()
}

/// curl is given the finished list of addresses: it plans nothing, checks nothing and links nothing.
pub fn curl(servers: &Servers, case: &Case, folder: &Path) -> Option<Line> {
    let downloads = !case.repo.is_empty() && !case.warm && case.more.is_empty();
    if !has_curl() || !downloads || case.way == Way::Xet {
        return None;
    }
    let names: Vec<String> = match case.repo {
        "bench/big" | "bench/huge" => vec!["model.bin".to_owned()],
        "bench/eight" => (0..EIGHT).map(|n| format!("part-{n}.bin")).collect(),
        _ => (0..SMALL).map(small_name).collect(),
    };
    let out = folder.join("curl");
    let config = folder.join("curl.config");
    curl_config(servers, case, &names, |name| out.join(name), &config);
    let mut command = line(["curl", "-sSfLZ", "--parallel-max", "32", "--create-dirs"]);
    if let Some(authority) = servers.authority(case.way) {
        command.extend(line(["--cacert", &authority.display().to_string()]));
    }
    command.extend(line(["--config", &config.display().to_string()]));
    Some(command)
}

/// Writes what curl is to fetch and where it goes.
pub fn curl_config(
    servers: &Servers,
    case: &Case,
    names: &[String],
    out: impl Fn(&str) -> PathBuf,
    config: &Path,
) {
    let endpoint = servers.hub(case.way).endpoint();
    let entries: Vec<String> = names
        .iter()
        .map(|name| {
            let url = format!("{endpoint}/{}/resolve/main/{name}", case.repo);
            format!("url = \"{url}\"\noutput = \"{}\"", out(name).display())
        })
        .collect();
    fs::write(config, entries.join("\n")).expect("curl configuration");
}

/// Runs a command with its own empty home, unless the case wants it warm.
pub fn run(servers: &Servers, command: &Line, home: &Path, case: &Case, runs: &mut Runs) {
    if !case.warm {
        servers.make_way(home, case);
    }
    let cpu = cpu_of_children();
    let start = Instant::now();
    let endpoint = servers.hub(case.way).endpoint();
    let mut child = in_home(command, home, &endpoint, case.way == Way::Xet)
        .envs(
            servers
                .authority(case.way)
                .map(|file| ("SSL_CERT_FILE", file)),
        )
        .envs((!case.flushes).then(|| ("LD_PRELOAD", no_flushing())))
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
        // Fine enough for what takes milliseconds.
        let is_short = case.repo.is_empty() || case.warm;
        std::thread::sleep(Duration::from_micros(if is_short { 100 } else { 2000 }));
    };
    runs.times.push(start.elapsed());
    runs.cpu += cpu_of_children() - cpu;
    assert!(ended.success(), "{command:?} ended with {ended}");
}

/// A command with its own home, for the Hub at this address.
pub fn in_home(command: &Line, home: &Path, endpoint: &str, has_xet: bool) -> Command {
    let mut started = Command::new(&command[0]);
    started
        .args(&command[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", endpoint)
        .env("HF_HUB_DISABLE_XET", if has_xet { "0" } else { "1" })
        .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    started
}

/// A library that lets a program flush nothing: its calls succeed at once.
fn no_flushing() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (source, library) = (folder.join("no-flush.c"), folder.join("no-flush.so"));
        let calls = ["fsync", "fdatasync", "syncfs", "sync_file_range"];
        let calls = calls.map(|call| format!("int {call}(int fd) {{ (void)fd; return 0; }}\n"));
        fs::write(&source, calls.concat()).expect("source");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(&source);
        assert!(cc.status().expect("cc").success(), "cc failed");
        library
    })
}

/// CPU seconds of all children that ended (proc(5): `cutime` and `cstime`, in hundredths).
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    f64::from(ticks) / 100.0
}
