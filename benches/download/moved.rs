//! How many bytes a new revision moves that shares most of its content with what is in the cache.
//!
//! The Hub and the storage are those of the other cases; a relay in front of the storage counts what it sends,
//! plans included. Nothing is timed.

use std::path::Path;

use crate::cas::Cas;
use crate::hub::{Content, Hub, Repo};
use crate::process::{client, in_home, python_client};
use crate::stall::Relay;

/// Xet storage cuts contents into pieces of this size, in bytes.
const XORB: usize = 64 << 20;

/// One series of revisions.
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// Size of the first revision in bytes.
    size: usize,
    /// Revisions after it.
    revisions: usize,
    /// How much of a revision is new, in thousandths: one part, elsewhere in each.
    new: usize,
    /// Whether what is moved is compared with the whole content, or with what is new of it.
    of_all: bool,
    /// What the project promises.
    goal: &'static str,
}

/// All series.
pub const SERIES: [Series; 2] = [
    Series {
        name: "moved: 1 GiB, 5 % changed in the middle",
        size: 1 << 30,
        revisions: 1,
        new: 50,
        of_all: true,
        goal: "<= 8 % of the content",
    },
    Series {
        name: "moved: 10 revisions of 256 MiB, 10 % new in each",
        size: 256 << 20,
        revisions: 10,
        new: 100,
        of_all: false,
        goal: "<= 1.2 x what is new",
    },
];

impl Series {
    /// Runs our program, and the Python client where it is there, and prints what was moved.
    pub fn measure(&self) {
        let (storage, hub) = (Cas::start(), Hub::start());
        let relay = Relay::before(storage.endpoint());
        let mut content = vec![0; self.size];
        fastrand::Rng::with_seed(1).fill(&mut content);
        let hash = storage.store_new(XORB, &content);
        let first = Content::memory(content.clone());
        hub.add(Repo::model("bench/series").xet("model.bin", first, &hash));
        hub.xet(Some(&relay.address()));
        let folder = tempfile::tempdir().expect("folder");
        let mut clients = vec![("hf", env!("CARGO_BIN_EXE_hf").to_owned(), 0)];
        clients.extend(python_client().map(|hf| ("Python", hf, 0)));
        let fetch = |name: &str, program: &str| {
            let before = relay.passed();
            let home = folder.path().join(name);
            download(program, &home, &hub.endpoint());
            relay.passed() - before
        };
        for (name, program, _) in &clients {
            fetch(name, program);
        }
        let mut new = 0;
        for revision in 0..self.revisions {
            new += self.change(&mut content, revision);
            let hash = storage.store_new(XORB, &content);
            let next = Content::memory(content.clone());
            let repo = hub.repo("models/bench/series");
            repo.update(|tree| tree.xet("model.bin", next, &hash));
            for (name, program, moved) in &mut clients {
                *moved += fetch(name, program);
            }
        }
        let base = match self.of_all {
            true => self.size,
            false => new,
        };
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = |moved: u64| moved as f64 / base as f64;
        let told = clients.iter().map(|(name, _, moved)| {
            format!(
                "{name} {} MB = {:.3} x {} MB",
                moved / 1_000_000,
                ratio(*moved),
                base / 1_000_000
            )
        });
        let told: Vec<String> = told.collect();
        println!("{:<52} {}  goal {}", self.name, told.join(", "), self.goal);
    }

    /// Replaces a part of the content; answers its length. Every other time it gets longer by some bytes, so
    /// that all behind it moves.
    fn change(&self, content: &mut Vec<u8>, revision: usize) -> usize {
        let length = content.len() / 1000 * self.new;
        let room = content.len() - length;
        // In the middle first, then elsewhere.
        let start = room / 2 + room / 23 * (revision * 7 % 11) - room / 4 * revision.min(1);
        let mut new = vec![0; length + 100 * (revision % 2)];
        fastrand::Rng::with_seed(revision as u64 + 2).fill(&mut new);
        let added = new.len();
        content.splice(start..start + length, new);
        added
    }
}

fn download(program: &str, home: &Path, endpoint: &str) {
    let line = client(program, "bench/series");
    let status = in_home(&line, home, endpoint, true).status();
    let status = status.expect("start");
    assert!(status.success(), "{program} ended with {status}");
}
