//! How many bytes a download moves that is killed again and again before it ends.
//!
//! A relay in front of the storage, or the Hub itself, counts what was sent: also what a killed client had not
//! read yet. Nothing is timed.

use std::path::Path;
use std::time::Duration;

use crate::cas::Cas;
use crate::hub::{Content, Hub, Repo, Settings};
use crate::process::{client, in_home, python_client};
use crate::stall::Relay;

/// Size of the file in bytes.
const SIZE: u64 = 1 << 30;
/// Kills of one download, after equal parts of the file.
const COUNT: u64 = 20;
/// Bytes a second of one connection: a fast line, on which the kills come while bytes are on their way.
const RATE: u64 = 100_000_000;
/// Xet storage cuts contents into pieces of this size, in bytes.
const XORB: usize = 64 << 20;

/// One way of downloading.
pub struct Kills {
    /// Its name.
    pub name: &'static str,
    is_xet: bool,
}

/// Both ways.
pub const KILLS: [Kills; 2] = [
    Kills {
        name: "kills: 20 in 1 GiB over HTTP",
        is_xet: false,
    },
    Kills {
        name: "kills: 20 in 1 GiB from Xet",
        is_xet: true,
    },
];

impl Kills {
    /// Runs our program, and the Python client where it is there, and prints what was moved.
    pub fn measure(&self) {
        let mut content = vec![0; usize::try_from(SIZE).expect("size")];
        fastrand::Rng::with_seed(1).fill(&mut content);
        let hub = Hub::with(Settings {
            bandwidth: Some(RATE),
            ..Settings::default()
        });
        let storage = self.is_xet.then(|| {
            let storage = Cas::start();
            let hash = storage.store_in(XORB, &content);
            let content = Content::memory(content.clone());
            hub.add(Repo::model("bench/killed").xet("model.bin", content, &hash));
            let relay = Relay::before(storage.endpoint());
            hub.xet(Some(&relay.address()));
            (storage, relay)
        });
        if storage.is_none() {
            hub.add(Repo::model("bench/killed").lfs("model.bin", Content::memory(content)));
        }
        let sent = || {
            let over_xet = storage.as_ref().map_or(0, |(_, relay)| relay.passed());
            over_xet + hub.content_bytes_sent()
        };
        let folder = tempfile::tempdir().expect("folder");
        let mut told = Vec::new();
        let ours = env!("CARGO_BIN_EXE_hf").to_owned();
        for (name, program) in [("hf", Some(ours)), ("Python", python_client())] {
            let Some(program) = program else { continue };
            let before = sent();
            self.download(&program, &folder.path().join(name), &hub.endpoint(), &sent);
            #[expect(clippy::cast_precision_loss, reason = "a ratio")]
            let ratio = (sent() - before) as f64 / SIZE as f64;
            told.push(format!("{name} {ratio:.2} x the file"));
        }
        println!("{:<36} {}  goal <= 1.15 x", self.name, told.join(", "));
    }

    /// Kills the download after each part, and lets it end then.
    fn download(&self, program: &str, home: &Path, endpoint: &str, sent: &dyn Fn() -> u64) {
        let start = || {
            let line = client(program, "bench/killed");
            let mut command = in_home(&line, home, endpoint, self.is_xet);
            command.spawn().expect("start")
        };
        for _ in 0..COUNT {
            let (mut running, before) = (start(), sent());
            while sent() - before < SIZE / (COUNT + 1) {
                let ended = running.try_wait().expect("wait");
                assert!(ended.is_none(), "{program} ended with {ended:?}");
                std::thread::sleep(Duration::from_millis(1));
            }
            running.kill().expect("kill");
            running.wait().expect("wait");
        }
        let status = start().wait().expect("wait");
        assert!(status.success(), "{program} ended with {status}");
    }
}
