//! What is downloaded from, and whether it is fast enough to measure others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cas::Cas;
use crate::hub::{Content, Hub, Repo, Settings};
use crate::process::{curl_config, has_curl};
use crate::{CASES, Case, Way};

/// Files of `bench/eight`.
pub const EIGHT: u64 = 8;
/// Files of `bench/small`.
pub const SMALL: u64 = 2000;

/// Repositories that only some cases need, with their numbers of small files.
const LARGE: [(&str, u64); 2] = [("bench/pages", 10_000), ("bench/many", 100_000)];

/// Xet storage cuts contents into pieces of this size, in bytes.
const XORB: usize = 64 << 20;

/// The Hubs, and the storage server when a case needs it.
pub struct Servers {
    hub: Hub,
    secure: Option<(Hub, TempDir)>,
    both_versions: Option<(Hub, TempDir)>,
    _storage: Option<Cas>,
    /// Homes of earlier runs; see [`Servers::make_way`].
    aside: TempDir,
}

/// Name of a file of `bench/small`.
pub fn small_name(n: u64) -> String {
    format!("d{}/file{n}.txt", n % 20)
}

impl Servers {
    /// Starts what is needed: servers for these ways, with these repositories.
    pub fn start(is_needed: impl Fn(Way) -> bool, has_repo: impl Fn(&str) -> bool) -> Self {
        let hub = example_hub(Settings::default());
        for (id, files) in LARGE.into_iter().filter(|(id, _)| has_repo(id)) {
            hub.add(small_files(id, files));
        }
        if has_repo("bench/huge") {
            let content = Content::synthetic(8 << 30, 3);
            hub.add(Repo::model("bench/huge").lfs("model.bin", content));
        }
        hub.add(Repo::model("bench/listed").made_up(200_000));
        let with_tls = |way, http2| is_needed(way).then(|| secure(http2));
        let (secure, both_versions) = (with_tls(Way::Https, false), with_tls(Way::Http2, true));
        let storage = is_needed(Way::Xet).then(|| stocked(&hub));
        Servers {
            hub,
            secure,
            both_versions,
            _storage: storage,
            aside: tempfile::tempdir().expect("folder"),
        }
    }

    /// Removes the home of the last run, or moves it aside until the end when it has many files: for
    /// some minutes after files were deleted, ext4 does not use their inodes again and looks past
    /// all of them for each new file (Linux, `recently_deleted` in fs/ext4/ialloc.c). With thousands
    /// of them that takes longer than what is to be measured.
    pub fn make_way(&self, home: &Path, case: &Case) {
        if !home.exists() {
            return;
        }
        let has_many = LARGE.iter().any(|(id, _)| *id == case.repo);
        if case.repo != "bench/small" && !has_many {
            fs::remove_dir_all(home).expect("remove the last run's files");
            return;
        }
        let count = fs::read_dir(self.aside.path()).expect("folder").count();
        let free = self.aside.path().join(count.to_string());
        fs::rename(home, free).expect("move the last run's files");
    }

    /// The Hub of a case.
    pub fn hub(&self, way: Way) -> &Hub {
        self.of_way(way).map_or(&self.hub, |(hub, _)| hub)
    }

    /// The Hub with certificates that a case wants.
    fn of_way(&self, way: Way) -> Option<&(Hub, TempDir)> {
        match way {
            Way::Https => self.secure.as_ref(),
            Way::Http2 => self.both_versions.as_ref(),
            Way::Http | Way::Xet => None,
        }
    }

    /// Whom a client has to trust, in a file.
    pub fn authority(&self, way: Way) -> Option<PathBuf> {
        let (_, folder) = self.of_way(way)?;
        Some(folder.path().join("ca.pem"))
    }

    /// Makes the Hub behave as the case wants.
    pub fn configure(&self, case: &Case) {
        self.hub(case.way).configure(|settings| {
            settings.latency = case.latency;
            settings.bandwidth = case.cap;
        });
    }

    /// Says how fast the Hub is when nothing is written to the disk.
    pub fn check(&self) {
        if !has_curl() {
            println!("Hub: not measured, for there is no curl");
            return;
        }
        let big = self.fetch_to_nowhere("bench/big", &["model.bin".to_owned()]);
        let names: Vec<String> = (0..SMALL).map(small_name).collect();
        let small = self.fetch_to_nowhere("bench/small", &names);
        let verdict = |is_enough| if is_enough { "enough" } else { "TOO SLOW" };
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let (bytes, files) = (
            (1u64 << 30) as f64 / 1e9 / big.as_secs_f64(),
            SMALL as f64 / small.as_secs_f64(),
        );
        println!(
            "Hub as curl sees it: {bytes:.1} GB/s of one file (needed: 2; {}), {files:.0} small files a second (needed: 5000; {})",
            verdict(bytes >= 2.0),
            verdict(files >= 5000.0)
        );
    }

    /// The best of three.
    fn fetch_to_nowhere(&self, repo: &str, names: &[String]) -> Duration {
        let case = CASES.iter().find(|case| case.repo == repo);
        let case = case.expect("a case of this repository");
        let folder = tempfile::tempdir().expect("folder");
        let config = folder.path().join("curl.config");
        let nowhere = |_: &str| Path::new("/dev/null").to_path_buf();
        curl_config(self, case, names, nowhere, &config);
        let runs = (0..3).map(|_| {
            let start = Instant::now();
            let mut command = Command::new("curl");
            command.args(["-sSfLZ", "--parallel-max", "32", "--config"]);
            // It shows its progress in parallel mode, silent or not.
            command.arg(&config).stderr(Stdio::null());
            let status = command.status().expect("curl");
            assert!(status.success(), "curl ended with {status}");
            start.elapsed()
        });
        runs.min().expect("three")
    }
}

/// A Hub that speaks https, and the folder with its certificate.
fn secure(http2: bool) -> (Hub, TempDir) {
    let hub = example_hub(Settings {
        tls: true,
        http2,
        ..Settings::default()
    });
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("ca.pem"), hub.ca_pem()).expect("certificate");
    (hub, folder)
}

fn example_hub(settings: Settings) -> Hub {
    let hub = Hub::with(settings);
    hub.add(Repo::model("bench/big").lfs("model.bin", Content::synthetic(1 << 30, 1)));
    let eight = (0..EIGHT).fold(Repo::model("bench/eight"), |repo, n| {
        repo.lfs(
            &format!("part-{n}.bin"),
            Content::synthetic(128 << 20, n + 2),
        )
    });
    hub.add(eight);
    hub.add(small_files("bench/small", SMALL));
    hub
}

fn small_files(id: &str, files: u64) -> Repo {
    (0..files).fold(Repo::model(id), |repo, n| {
        let size = 1024 + (n * 37) % 7168;
        repo.file(&small_name(n), Content::synthetic(size, n + 100))
    })
}

/// A storage server with the repositories of the Xet cases, which the Hub then knows.
fn stocked(hub: &Hub) -> Cas {
    let storage = Cas::start();
    for (id, sizes) in [
        ("bench/xet48", &[48_000_000][..]),
        ("bench/xet256", &[256_000_000]),
        ("bench/xet1024", &[1 << 30]),
        ("bench/xet4", &[80_000_000; 4]),
    ] {
        let files = sizes.iter().enumerate();
        let repo = files.fold(Repo::model(id), |repo, (n, &size)| {
            let mut bytes = vec![0; size];
            // Without repetition: nothing is stored twice.
            fastrand::Rng::with_seed((size + n) as u64).fill(&mut bytes);
            let hash = storage.store_in(XORB, &bytes);
            repo.xet(&format!("{n}.bin"), Content::memory(bytes), &hash)
        });
        hub.add(repo);
    }
    hub.xet(Some(storage.endpoint()));
    storage
}
