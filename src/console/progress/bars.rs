//! Progress bars: files and bytes, rate and time left, drawn by `indicatif` on stderr.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::safe::Safe;
use crate::types::progress::{Event, Progress};

/// One bar for bytes and a line for files.
pub struct Bars {
    group: Arc<MultiProgress>,
    listing: OnceLock<ProgressBar>,
    files: ProgressBar,
    bytes: ProgressBar,
}

impl Bars {
    /// Bars that appear with [`Event::Begun`].
    pub fn new(group: Arc<MultiProgress>) -> Self {
        group.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let files = ProgressBar::hidden();
        let bytes = ProgressBar::hidden();
        Bars {
            group,
            listing: OnceLock::new(),
            files,
            bytes,
        }
    }
}

/// What is said while the Hub lists a repository.
pub fn listing_line(files: u64) -> String {
    format!("listing files… {}", HumanCount(files))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is fixed and valid")
        .progress_chars("━╸ ")
}

/// Animates a bar. Without a thread for that the bar moves when something happens; the library's own
/// way panics then.
fn tick(bar: &ProgressBar, interval: Duration) {
    let bar = bar.downgrade();
    let tick = move || {
        while let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            std::thread::sleep(interval);
        }
    };
    // Nothing is lost without it.
    let _ = std::thread::Builder::new().spawn(tick);
}

/// A moving line that says what is waited for.
pub fn spinner(group: &MultiProgress, text: &Safe) -> ProgressBar {
    group.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let bar = group.add(ProgressBar::new_spinner());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .expect("the template is fixed and valid"),
    );
    bar.set_message(text.as_str().to_owned());
    tick(&bar, Duration::from_millis(120));
    bar
}

impl Bars {
    fn begin(&self, files: u64, bytes: u64, done: u64) {
        self.files.set_length(files);
        self.files
            .set_style(style("{msg:<12} {wide_bar} {pos}/{len} files"));
        self.files.set_message("Fetching");
        self.bytes.set_length(bytes);
        self.bytes.set_style(style(
            "{msg:<12} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left",
        ));
        self.bytes.set_message("Downloading");
        self.bytes.set_position(done);
        // The estimator has to see what is there already before it forgets how fast that came.
        self.bytes.tick();
        self.bytes.reset_eta();
        self.group.add(self.files.clone());
        self.group.add(self.bytes.clone());
        tick(&self.bytes, Duration::from_millis(250));
        // Without a first tick it would only show when the first file is complete.
        self.files.tick();
    }
}

impl Progress for Bars {
    fn event(&self, event: Event) {
        match event {
            Event::Listing { files } => {
                let spinner = || spinner(&self.group, &Safe::default());
                let bar = self.listing.get_or_init(spinner);
                bar.set_message(listing_line(files));
            }
            Event::Listed => {
                if let Some(bar) = self.listing.get() {
                    bar.finish_and_clear();
                }
            }
            Event::Begun {
                files, bytes, done, ..
            } => self.begin(files, bytes, done),
            Event::Advanced { bytes, .. } | Event::Found { bytes, .. } => self.bytes.inc(bytes),
            Event::Rewound { bytes, .. } => self.bytes.dec(bytes),
            Event::FileDone { .. } => self.files.inc(1),
            Event::Finished => {
                self.bytes.finish_and_clear();
                self.files.finish_and_clear();
            }
            Event::FileBegun { .. } | Event::Notice(_) => {}
        }
    }
}
