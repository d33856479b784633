//! What a download did, in a line: files and bytes that came, how long that took, what was there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::console::text;
use crate::types::progress::{Event, FileId, Progress};

/// Counts the events of one download.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

impl Tally {
    /// An observer that counts, and tells another one.
    pub fn beside(&self, next: Arc<dyn Progress>) -> Arc<dyn Progress> {
        let this = self.clone();
        Arc::new(move |event: Event| {
            this.0.lock().unwrap().count(&event, Instant::now());
            next.event(event);
        })
    }

    /// Notes how many files a plan has: no event says so when all of them are there.
    pub fn expect(&self, files: u64) {
        self.0.lock().unwrap().files = files;
    }

    /// Adds what another download did.
    pub fn absorb(&self, other: &Tally) {
        let other = other.0.lock().unwrap();
        let mut counts = self.0.lock().unwrap();
        counts.files += other.files;
        counts.fetched += other.fetched;
        counts.received = counts.received.saturating_add(other.received);
        counts.kept = counts.kept.saturating_add(other.kept);
        counts.took += other.took;
    }

    /// The line; `None` when nothing was planned.
    pub fn summary(&self) -> Option<String> {
        self.0.lock().unwrap().summary()
    }
}

/// One file.
#[derive(Default)]
struct File {
    /// It was to be fetched.
    is_fetched: bool,
    /// Another process brought it, or a part of it.
    is_found: bool,
    /// Bytes that came over the network.
    received: u64,
}

/// What is known of a download. Pure: the caller passes the time.
#[derive(Default)]
struct Counts {
    files: u64,
    /// Files that came over the network, and their bytes.
    fetched: u64,
    received: u64,
    /// Bytes of unfinished downloads, kept from an earlier run.
    kept: u64,
    open: HashMap<FileId, File>,
    begun: Option<Instant>,
    took: Duration,
}

impl Counts {
    fn count(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Begun { files, .. } => {
                self.files = *files;
                self.begun.get_or_insert(now);
            }
            Event::FileBegun {
                file,
                done,
                is_fetched,
                ..
            } => {
                if *is_fetched {
                    self.kept = self.kept.saturating_add(*done);
                }
                let is_fetched = *is_fetched;
                let entry = File {
                    is_fetched,
                    ..File::default()
                };
                self.open.insert(*file, entry);
            }
            Event::Advanced { file, bytes } => {
                self.received = self.received.saturating_add(*bytes);
                let entry = self.open.entry(*file).or_default();
                entry.received = entry.received.saturating_add(*bytes);
            }
            Event::Found { file, .. } => self.open.entry(*file).or_default().is_found = true,
            Event::FileDone { file } => {
                let entry = self.open.remove(file).unwrap_or_default();
                let came = entry.received > 0 || (entry.is_fetched && !entry.is_found);
                self.fetched += u64::from(came);
            }
            Event::Finished => self.took = self.begun.map_or(self.took, |begun| now - begun),
            // Bytes that come twice came twice.
            Event::Rewound { .. } | Event::Listing { .. } | Event::Listed | Event::Notice(_) => {}
        }
    }

    fn summary(&self) -> Option<String> {
        let there = self.files.saturating_sub(self.fetched);
        if self.files == 0 {
            return None;
        }
        if self.fetched == 0 {
            return Some(match there {
                1 => "The file was there already; nothing was fetched".to_owned(),
                there => format!("All {there} files were there already; nothing was fetched"),
            });
        }
        let mut line = format!(
            "{}, {} in {}",
            text::count(self.fetched, "file"),
            text::bytes(self.received),
            text::short_time(self.took)
        );
        if self.received >= RATED {
            line.push_str(&format!(" ({})", text::rate(self.rate())));
        }
        if self.kept > 0 {
            let kept = text::bytes(self.kept);
            line.push_str(&format!(", continued after {kept}"));
        }
        match there {
            0 => {}
            1 => line.push_str("; 1 was there"),
            there => line.push_str(&format!("; {there} were there")),
        }
        Some(line)
    }

    fn rate(&self) -> u64 {
        let milliseconds = self.took.as_millis().max(1);
        u64::try_from(u128::from(self.received) * 1000 / milliseconds).unwrap_or(u64::MAX)
    }
}

/// The rate of fewer bytes says more about the Hub's answers than about the network.
const RATED: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::progress::FileProgress;

    /// The line after these files: bytes received, kept from before, found meanwhile; `None`: it was there.
    fn line(files: &[Option<(u64, u64, u64)>], took: f64) -> Option<String> {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let start = Instant::now();
        counts.lock().unwrap().begun = Some(start);
        let counting = Arc::clone(&counts);
        let observer = move |event: Event| {
            counting
                .lock()
                .unwrap()
                .count(&event, start + Duration::from_secs_f64(took));
        };
        observer.event(Event::Begun {
            files: files.len() as u64,
            bytes: 0,
            done: 0,
            there: 0,
        });
        for file in files {
            match *file {
                Some((received, kept, found)) => {
                    let file = FileProgress::begin(&observer, "f", None, kept);
                    file.found(found);
                    file.advance(received);
                    file.done();
                }
                None => FileProgress::begin_present(&observer, "f", Some(5), 5).done(),
            }
        }
        observer.event(Event::Finished);
        let counts = counts.lock().unwrap();
        counts.summary()
    }

    #[test]
    fn lines() {
        let mut many = vec![Some((1_100_000_000 / 10, 0, 0)); 10];
        many.extend([Some((0, 0, 0)), Some((0, 0, 0))]);
        many.extend([None; 8]);
        for (files, took, expected) in [
            (
                &many[..],
                9.0,
                Some("12 files, 1.1 GB in 9 s (122 MB/s); 8 were there"),
            ),
            (
                &[Some((2_000_000, 0, 0))],
                2.0,
                Some("1 file, 2.0 MB in 2 s (1.0 MB/s)"),
            ),
            (&[Some((900, 0, 0))], 0.04, Some("1 file, 900 B in 0.1 s")),
            (
                &[Some((600_000_000, 500_000_000, 0)), None],
                5.2,
                Some("1 file, 600 MB in 5 s (115 MB/s), continued after 500 MB; 1 was there"),
            ),
            (
                &[None, None],
                1.0,
                Some("All 2 files were there already; nothing was fetched"),
            ),
            (
                &[Some((0, 0, 77))],
                1.0,
                Some("The file was there already; nothing was fetched"),
            ),
            (&[], 1.0, None),
        ] {
            assert_eq!(line(files, took).as_deref(), expected);
        }
    }
}
