//! What a download did, in a line: files and bytes that came, how long that took, what was copied and what
//! was there.

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

    /// Notes that the Hub could not be asked, and what an earlier download left is used.
    pub fn uses_earlier(&self) {
        self.0.lock().unwrap().is_earlier = true;
    }

    /// Adds what another download did.
    pub fn absorb(&self, other: &Tally) {
        let other = other.0.lock().unwrap();
        let mut counts = self.0.lock().unwrap();
        counts.files += other.files;
        counts.fetched += other.fetched;
        counts.received = counts.received.saturating_add(other.received);
        counts.kept = counts.kept.saturating_add(other.kept);
        counts.copied = counts.copied.saturating_add(other.copied);
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
    /// Bytes that were copied from other files.
    copied: u64,
    /// Bytes that are there, wherever they came from.
    done: u64,
}

/// What is known of a download. Pure: the caller passes the time.
#[derive(Default)]
struct Counts {
    files: u64,
    /// What an earlier download left is used.
    is_earlier: bool,
    /// Files that came over the network, and their bytes.
    fetched: u64,
    received: u64,
    /// Bytes of unfinished downloads, kept from an earlier run.
    kept: u64,
    /// Bytes that were copied from other files.
    copied: u64,
    open: HashMap<FileId, File>,
    begun: Option<Instant>,
    took: Duration,
}

impl Counts {
    fn count(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Early => {
                self.begun.get_or_insert(now);
            }
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
                let entry = File {
                    is_fetched: *is_fetched,
                    done: *done,
                    ..File::default()
                };
                self.open.insert(*file, entry);
            }
            Event::Advanced { file, bytes } => {
                self.received = self.received.saturating_add(*bytes);
                let entry = self.entry(*file, *bytes);
                entry.received = entry.received.saturating_add(*bytes);
            }
            Event::Found { file, bytes } => self.entry(*file, *bytes).is_found = true,
            Event::Copied { file, bytes } => {
                let entry = self.entry(*file, *bytes);
                entry.copied = entry.copied.saturating_add(*bytes);
            }
            // Bytes that come twice came twice; what was copied and is wrong is of no use.
            Event::Rewound { file, bytes } => {
                let entry = self.open.entry(*file).or_default();
                entry.done = entry.done.saturating_sub(*bytes);
                entry.copied = entry.copied.min(entry.done);
            }
            Event::FileDone { file } => {
                let entry = self.open.remove(file).unwrap_or_default();
                let came =
                    entry.received > 0 || entry.copied > 0 || (entry.is_fetched && !entry.is_found);
                self.fetched += u64::from(came);
                self.copied = self.copied.saturating_add(entry.copied);
            }
            Event::Finished => self.took = self.begun.map_or(self.took, |begun| now - begun),
            Event::Listing { .. } | Event::Listed | Event::Notice(_) => {}
        }
    }

    /// A file of which `bytes` more are there.
    fn entry(&mut self, file: FileId, bytes: u64) -> &mut File {
        let entry = self.open.entry(file).or_default();
        entry.done = entry.done.saturating_add(bytes);
        entry
    }

    fn summary(&self) -> Option<String> {
        let there = self.files.saturating_sub(self.fetched);
        if self.files == 0 {
            let line = "What an earlier download left is used; nothing was fetched";
            return self.is_earlier.then(|| line.to_owned());
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
        if self.copied > 0 {
            let copied = text::bytes(self.copied);
            line.push_str(&format!(", {copied} copied from files on disk"));
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

    #[test]
    fn what_is_copied_is_told_and_not_counted_as_speed() {
        let told = |wrong: u64| {
            let tally = Tally::default();
            let observer = tally.beside(Arc::new(|_: Event| ()));
            observer.event(Event::Begun {
                files: 1,
                bytes: 0,
                done: 0,
                there: 0,
            });
            let file = FileProgress::begin(&*observer, "f", Some(1_000_000_000), 0);
            file.copied(950_000_000);
            file.advance(500_000);
            file.rewind(wrong);
            file.advance(wrong);
            file.done();
            tally.0.lock().unwrap().took = Duration::from_secs(2);
            tally.summary().unwrap()
        };
        assert_eq!(
            told(0),
            "1 file, 500 kB in 2 s, 950 MB copied from files on disk"
        );
        // All of it was wrong, and came over the network in the end.
        assert_eq!(told(950_500_000), "1 file, 951 MB in 2 s (476 MB/s)");
    }

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
            (&[Some((900, 0, 0))], 0.04, Some("1 file, 900 B in 0.04 s")),
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
