//! Progress bars on a terminal: counts the events and shows them as `frame` says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use console::truncate_str;

use super::frame::{self, FileView, View};
use super::screen::{Screen, Shown, Window};
use crate::console::safe::Safe;
use crate::console::text;
use crate::types::progress::{Event, FileId, Progress};

/// The rate is that of so much time.
const MEMORY: Duration = Duration::from_secs(5);

/// Time between two marks.
const STEP: Duration = Duration::from_millis(250);

/// Nothing is said about the rate sooner.
const FIRST: Duration = Duration::from_millis(500);

/// Longest silence of a server that is not mentioned.
const SILENCE: Duration = Duration::from_secs(3);

/// Smaller files come and go too quickly to be read, in bytes.
const NAMED: u64 = 1_000_000;

/// Counts of all files. Pure: the caller passes the time since the start.
#[derive(Debug, Default)]
struct Counts {
    files: (u64, u64),
    bytes: (u64, u64),
    /// Bytes that came over the network, or were read.
    received: u64,
    last: Duration,
    /// When fetching began, if that was before the work was known.
    early: Option<Duration>,
    marks: VecDeque<(Duration, u64)>,
    open: HashMap<FileId, FileView>,
}

impl Counts {
    fn begin(&mut self, now: Duration, files: u64, (bytes, done, there): (u64, u64, u64)) {
        *self = Counts {
            files: (files, 0),
            bytes: (bytes.saturating_add(there), done.saturating_add(there)),
            last: now,
            marks: VecDeque::from([(self.early.unwrap_or(now), 0)]),
            ..Counts::default()
        };
    }

    fn add(&mut self, file: FileId, bytes: u64) {
        self.bytes.1 = self.bytes.1.saturating_add(bytes);
        if let Some(view) = self.open.get_mut(&file) {
            view.done = view.done.saturating_add(bytes);
        }
    }

    fn count(&mut self, event: Event, now: Duration) {
        match event {
            Event::Begun {
                files,
                bytes,
                done,
                there,
            } => self.begin(now, files, (bytes, done, there)),
            Event::FileBegun {
                file,
                path,
                size,
                done,
                ..
            } => {
                let view = FileView {
                    name: path,
                    done,
                    size,
                };
                self.open.insert(file, view);
            }
            Event::Advanced { file, bytes } => {
                self.add(file, bytes);
                self.received = self.received.saturating_add(bytes);
                self.last = now;
            }
            Event::Found { file, bytes } | Event::Copied { file, bytes } => self.add(file, bytes),
            Event::Rewound { file, bytes } => {
                self.bytes.1 = self.bytes.1.saturating_sub(bytes);
                if let Some(view) = self.open.get_mut(&file) {
                    view.done = view.done.saturating_sub(bytes);
                }
            }
            Event::FileDone { file } => {
                self.files.1 += 1;
                self.open.remove(&file);
                self.last = now;
            }
            Event::Early => self.early = Some(now),
            Event::Finished | Event::Listing { .. } | Event::Listed | Event::Notice(_) => {}
        }
    }

    /// What is shown at this moment.
    fn view(&mut self, now: Duration) -> View {
        if self
            .marks
            .back()
            .is_some_and(|(mark, _)| now - *mark >= STEP)
        {
            self.marks.push_back((now, self.received));
        }
        while self.marks.len() > 2
            && self
                .marks
                .get(1)
                .is_some_and(|(mark, _)| now - *mark > MEMORY)
        {
            self.marks.pop_front();
        }
        let (since, before) = self.marks.front().copied().unwrap_or_default();
        let took = now - since;
        let came = u128::from(self.received - before) * 1000 / took.as_millis().max(1);
        let quiet = now - self.last;
        let mut named: Vec<&FileView> = self.open.values().collect();
        if self.files.0 > 1 {
            named.retain(|file| file.size.unwrap_or(file.done) >= NAMED);
        }
        named.sort_by(|a, b| (b.size, &a.name).cmp(&(a.size, &b.name)));
        View {
            files: self.files,
            bytes: self.bytes,
            rate: (took >= FIRST).then(|| u64::try_from(came).unwrap_or(u64::MAX)),
            silent: (quiet >= SILENCE).then_some(quiet.as_secs()),
            named: named.into_iter().take(8).cloned().collect(),
        }
    }
}

/// Bars of one download or check.
pub(in crate::console) struct Bars {
    screen: Arc<Screen>,
    counts: Arc<Mutex<Counts>>,
    listing: Mutex<Option<(Arc<Mutex<String>>, Shown)>>,
    bars: Mutex<Option<Shown>>,
    start: Instant,
}

impl Bars {
    /// Bars that appear with [`Event::Begun`].
    pub fn new(screen: Arc<Screen>) -> Self {
        Bars {
            screen,
            counts: Arc::default(),
            listing: Mutex::default(),
            bars: Mutex::default(),
            start: Instant::now(),
        }
    }

    fn listing(&self, files: u64) {
        let text = listing_line(files);
        let mut listing = self.listing.lock().unwrap();
        match &*listing {
            Some((shown, _)) => *shown.lock().unwrap() = text,
            None => *listing = Some(spinner(&self.screen, text)),
        }
    }

    fn show(&self) {
        let (counts, start) = (Arc::clone(&self.counts), self.start);
        let region = move |window| {
            let view = counts.lock().unwrap().view(start.elapsed());
            frame::lines(&view, window)
        };
        let shown = self.screen.show(region);
        let before = self.bars.lock().unwrap().replace(shown);
        drop(before);
    }
}

impl Progress for Bars {
    fn event(&self, event: Event) {
        match event {
            Event::Listing { files } => return self.listing(files),
            Event::Listed => return drop(self.listing.lock().unwrap().take()),
            Event::Finished => return drop(self.bars.lock().unwrap().take()),
            _ => {}
        }
        let has_begun = matches!(event, Event::Begun { .. });
        self.counts
            .lock()
            .unwrap()
            .count(event, self.start.elapsed());
        match has_begun {
            true => self.show(),
            false => self.screen.touch(),
        }
    }
}

/// What is said while the Hub lists a repository.
pub fn listing_line(files: u64) -> String {
    format!("listing files… {}", text::thousands(files))
}

/// A moving line that says what is waited for and for how long, and its text, which may change.
pub(in crate::console) fn spinner(
    screen: &Arc<Screen>,
    text: String,
) -> (Arc<Mutex<String>>, Shown) {
    let (text, start) = (Arc::new(Mutex::new(text)), Instant::now());
    let said = Arc::clone(&text);
    let shown = screen.show(move |window| {
        let text = said.lock().unwrap().clone();
        vec![spinner_line(&text, start.elapsed(), window)]
    });
    (text, shown)
}

/// The line of a spinner: its text is cut where the window is narrow, the time is not.
fn spinner_line(text: &str, waited: Duration, window: Window) -> Safe {
    const STEPS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    let step = usize::try_from(waited.as_millis() / 100).unwrap_or(0) % STEPS.len();
    let time = format!(" ({})", text::time(waited.as_secs()));
    let room = window.columns.saturating_sub(2 + time.len());
    let text = text::escape(text);
    let line = format!("{} {}{time}", STEPS[step], truncate_str(&text, room, "…"));
    Safe::line(&line).cut(window.columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::progress::FileProgress;

    const SECOND: fn(u64) -> Duration = Duration::from_secs;

    /// Counts the events of `work` at this time.
    fn told(counts: &mut Counts, now: Duration, work: impl FnOnce(&dyn Progress)) {
        let shared = Mutex::new(std::mem::take(counts));
        work(&|event: Event| shared.lock().unwrap().count(event, now));
        *counts = shared.into_inner().unwrap();
    }

    #[test]
    fn what_is_there_counts_in_the_total_and_not_in_the_rate() {
        let mut counts = Counts::default();
        told(&mut counts, SECOND(1), |progress| {
            progress.event(Event::Begun {
                files: 3,
                bytes: 10_000_000,
                done: 4_000_000,
                there: 90_000_000,
            });
            FileProgress::begin_present(progress, "there", Some(90_000_000), 90_000_000).done();
            let file = FileProgress::begin(progress, "resumed", Some(10_000_000), 4_000_000);
            file.found(600_000);
            file.copied(400_000);
        });
        let view = counts.view(SECOND(1));
        assert_eq!(view.bytes, (100_000_000, 95_000_000));
        assert_eq!((view.files, view.rate), ((3, 1), None));
        assert_eq!(view.named[0].done, 5_000_000);
        assert_eq!(counts.view(SECOND(2)).rate, Some(0));
        let file = *counts.open.keys().next().unwrap();
        counts.count(
            Event::Advanced {
                file,
                bytes: 2_000_000,
            },
            SECOND(2),
        );
        counts.count(
            Event::Rewound {
                file,
                bytes: 500_000,
            },
            SECOND(2),
        );
        let view = counts.view(SECOND(3));
        assert_eq!(view.bytes.1, 96_500_000);
        assert_eq!(view.rate, Some(1_000_000));
    }

    #[test]
    fn the_rate_forgets_and_silence_is_told() {
        let mut counts = Counts::default();
        told(&mut counts, SECOND(0), |progress| {
            progress.event(Event::Begun {
                files: 1,
                bytes: 100_000_000,
                done: 0,
                there: 0,
            });
            FileProgress::begin(progress, "f", Some(100_000_000), 0).advance(50_000_000);
        });
        assert_eq!(counts.view(SECOND(1)).rate, Some(50_000_000));
        for second in 2..8 {
            counts.view(SECOND(second));
        }
        let view = counts.view(SECOND(8));
        assert_eq!((view.rate, view.silent), (Some(0), Some(8)));
        assert_eq!(counts.view(SECOND(8)).named.len(), 1);
    }

    #[test]
    fn small_files_have_no_line_and_large_ones_come_first() {
        let mut counts = Counts::default();
        told(&mut counts, SECOND(0), |progress| {
            progress.event(Event::Begun {
                files: 4,
                bytes: 0,
                done: 0,
                there: 0,
            });
            for (name, size) in [
                ("b", 5_000_000),
                ("small", 999_999),
                ("a", 5_000_000),
                ("c", 6_000_000),
            ] {
                FileProgress::begin(progress, name, Some(size), 0);
            }
        });
        let view = counts.view(SECOND(1));
        let names: Vec<&str> = view.named.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }

    #[test]
    fn a_spinner_fits() {
        let text = "Waiting for your confirmation in the browser; Ctrl-C cancels";
        for (columns, expected) in [
            (
                79,
                "⠋ Waiting for your confirmation in the browser; Ctrl-C cancels (1 min 5 s)",
            ),
            (29, "⠋ Waiting for yo… (1 min 5 s)"),
        ] {
            let window = Window {
                columns,
                rows: 1,
                color: false,
            };
            let line = spinner_line(text, SECOND(65), window);
            assert_eq!(line.as_str(), expected);
        }
        for columns in 1..80 {
            let window = Window {
                columns,
                rows: 1,
                color: false,
            };
            assert!(
                spinner_line(text, SECOND(65), window)
                    .as_str()
                    .chars()
                    .count()
                    <= columns
            );
        }
    }
}
