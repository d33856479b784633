//! Progress in a log: a plain line every ten seconds, where bars cannot be drawn.
//!
//! What a line says is pure ([`Meter`]); a thread of its own writes it, so that a stalled
//! download prints lines too.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::console::progress::bars::listing_line;
use crate::console::text;
use crate::types::progress::{Event, Progress};

/// Time between two lines, and before the first: shorter work prints none.
const INTERVAL: Duration = Duration::from_secs(10);

/// The rate is that of the last so many intervals.
const MEMORY: usize = 3;

/// Counts, and their text. Pure: the caller passes the time since the start.
#[derive(Debug, Default)]
struct Meter {
    files: u64,
    files_done: u64,
    bytes: u64,
    /// Of `bytes`: on disk, wherever they came from.
    bytes_done: u64,
    /// Bytes that came over the network, or were read. They alone make the rate.
    received: u64,
    /// When the work began.
    begun: Duration,
    /// When fetching began, if that was before the work was known.
    early: Option<Duration>,
    /// Times of the last lines and what had been received then.
    marks: VecDeque<(Duration, u64)>,
    is_shown: bool,
    /// Lines have the form of tqdm's where several files are fetched.
    is_download: bool,
}

impl Meter {
    fn begin(&mut self, now: Duration, files: u64, bytes: u64, done: u64) {
        let now = self.early.unwrap_or(now);
        *self = Meter {
            files,
            bytes,
            bytes_done: done,
            begun: now,
            marks: VecDeque::from([(now, 0)]),
            is_shown: self.is_shown,
            is_download: self.is_download,
            ..Meter::default()
        };
    }

    fn advance(&mut self, bytes: u64) {
        self.bytes_done += bytes;
        self.received += bytes;
    }

    /// The line for this moment; `None` before the work is known.
    fn line(&mut self, now: Duration) -> Option<String> {
        let &(since, before) = self.marks.front()?;
        let rate = rate(self.received.saturating_sub(before), now - since);
        if self.marks.len() == MEMORY {
            self.marks.pop_front();
        }
        self.marks.push_back((now, self.received));
        self.is_shown = true;
        let left = self.bytes.saturating_sub(self.bytes_done);
        if self.is_download && self.files > 1 {
            return Some(self.tqdm_line(now, rate, left.checked_div(rate)));
        }
        let mut line = format!("{}, {}", self.so_far(), text::rate(rate));
        if let Some(seconds) = left.checked_div(rate) {
            line.push_str(&format!(", {} left", text::time(seconds)));
        }
        Some(line)
    }

    /// The last line, when there were others.
    fn last_line(&self, now: Duration) -> Option<String> {
        let took = now - self.begun;
        let rate = rate(self.received, took);
        self.is_shown.then(|| {
            if self.is_download && self.files > 1 {
                return self.tqdm_line(now, rate, Some(0));
            }
            format!(
                "{} in {}, {} on average",
                self.so_far(),
                text::time(took.as_secs()),
                text::rate(rate)
            )
        })
    }

    /// The line as programs read it that run the Python client, which counts files
    /// (docs/reference.md#strings-that-programs-read): in it a hundred percent are reached when all is
    /// done.
    fn tqdm_line(&self, now: Duration, rate: u64, left: Option<u64>) -> String {
        const CELLS: usize = 10;
        let done = self.files_done.min(self.files);
        let percent = done * 100 / self.files;
        let filled = usize::try_from(percent).unwrap_or(0) * CELLS / 100;
        let clock = |seconds: u64| match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, minutes, seconds) => format!("{minutes:02}:{seconds:02}"),
            (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
        };
        format!(
            "Fetching {} files: {percent:>3}%|{}{}| {done}/{} [{}<{}, {}, {} of {}]",
            self.files,
            "█".repeat(filled),
            " ".repeat(CELLS - filled),
            self.files,
            clock((now - self.begun).as_secs()),
            left.map_or_else(|| "?".to_owned(), clock),
            text::rate(rate),
            text::size(self.bytes_done),
            text::size(self.bytes)
        )
    }

    fn so_far(&self) -> String {
        format!(
            "{} of {}, {} of {}",
            self.files_done,
            text::count(self.files, "file"),
            text::size(self.bytes_done),
            text::size(self.bytes)
        )
    }
}

/// Bytes a second.
fn rate(bytes: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * 1000 / time.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// Where a line goes.
type Write = Arc<dyn Fn(&str) + Send + Sync>;

/// The meter, and whether its thread continues.
struct Shared {
    meter: Mutex<(Meter, bool)>,
    stop: Condvar,
    start: Instant,
}

/// Lines of progress.
pub struct Lines {
    shared: Arc<Shared>,
    /// When a line about the listing is due.
    listing_due: Mutex<Instant>,
    thread: Mutex<Option<JoinHandle<()>>>,
    interval: Duration,
    write: Write,
}

impl Lines {
    /// Lines that come every ten seconds from [`Event::Begun`] on.
    pub fn new(write: Write) -> Self {
        Self::every(INTERVAL, write)
    }

    fn every(interval: Duration, write: Write) -> Self {
        Lines {
            listing_due: Mutex::new(Instant::now() + interval),
            shared: Arc::new(Shared {
                meter: Mutex::default(),
                stop: Condvar::new(),
                start: Instant::now(),
            }),
            thread: Mutex::default(),
            interval,
            write,
        }
    }

    /// As lines of a download: see [`Meter::tqdm_line`].
    pub fn of_download(self) -> Self {
        self.note(|meter| meter.is_download = true);
        self
    }

    fn note(&self, change: impl FnOnce(&mut Meter)) {
        change(&mut self.shared.meter.lock().unwrap().0);
    }
}

impl Shared {
    /// Writes a line after each interval until it is stopped.
    fn tick(&self, interval: Duration, write: &Write) {
        let mut guard = self.meter.lock().unwrap();
        let mut due = Instant::now() + interval;
        while guard.1 {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                due += interval;
                let line = guard.0.line(self.start.elapsed());
                // The lock is released: threads that count bytes do not wait for a slow reader.
                drop(guard);
                if let Some(line) = line {
                    write(&line);
                }
                guard = self.meter.lock().unwrap();
            } else {
                guard = self.stop.wait_timeout(guard, left).unwrap().0;
            }
        }
    }
}

impl Lines {
    fn listing(&self, files: u64) {
        let mut due = self.listing_due.lock().unwrap();
        if Instant::now() >= *due {
            *due = Instant::now() + self.interval;
            drop(due);
            (self.write)(&listing_line(files));
        }
    }

    fn begin(&self, files: u64, bytes: u64, done: u64) {
        {
            let mut guard = self.shared.meter.lock().unwrap();
            let now = self.shared.start.elapsed();
            guard.0.begin(now, files, bytes, done);
            guard.1 = true;
        }
        let mut thread = self.thread.lock().unwrap();
        if thread.is_none() {
            let (shared, write) = (Arc::clone(&self.shared), Arc::clone(&self.write));
            let interval = self.interval;
            let tick = move || shared.tick(interval, &write);
            // Without it only the last line is written.
            *thread = std::thread::Builder::new().spawn(tick).ok();
        }
    }

    fn finish(&self) {
        let last = {
            let mut guard = self.shared.meter.lock().unwrap();
            guard.1 = false;
            let last = guard.0.last_line(self.shared.start.elapsed());
            guard.0.is_shown = false;
            last
        };
        self.shared.stop.notify_all();
        if let Some(thread) = self.thread.lock().unwrap().take() {
            // After a panic of the thread only lines are missing.
            let _ = thread.join();
        }
        if let Some(line) = last {
            (self.write)(&line);
        }
    }
}

impl Progress for Lines {
    fn event(&self, event: Event) {
        match event {
            Event::Listing { files } => self.listing(files),
            Event::Begun {
                files, bytes, done, ..
            } => self.begin(files, bytes, done),
            Event::Advanced { bytes, .. } => self.note(|meter| meter.advance(bytes)),
            Event::Found { bytes, .. } | Event::Copied { bytes, .. } => {
                self.note(|meter| meter.bytes_done += bytes);
            }
            Event::Rewound { bytes, .. } => self.note(|meter| {
                meter.bytes_done = meter.bytes_done.saturating_sub(bytes);
            }),
            Event::FileDone { .. } => self.note(|meter| meter.files_done += 1),
            Event::Early => {
                let now = self.shared.start.elapsed();
                self.note(|meter| meter.early = Some(now));
            }
            Event::Finished => self.finish(),
            Event::Listed | Event::FileBegun { .. } | Event::Notice(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
