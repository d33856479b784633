use super::*;
use crate::types::progress::FileProgress;

const SECOND: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn lines() {
    let mut meter = Meter::default();
    assert_eq!(meter.line(SECOND(1)), None, "nothing is known yet");
    meter.begin(SECOND(2), 40, 14_500_000_000, 0);
    let mut done = 0;
    for (seconds, bytes, files, expected) in [
        (
            12,
            2_100_000_000,
            12,
            "12 of 40 files, 2.1G of 14.5G, 210 MB/s, 59 s left",
        ),
        (
            22,
            4_200_000_000,
            20,
            "20 of 40 files, 4.2G of 14.5G, 210 MB/s, 49 s left",
        ),
        (
            32,
            4_200_000_000,
            20,
            "20 of 40 files, 4.2G of 14.5G, 140 MB/s, 1 min 13 s left",
        ),
        (
            42,
            4_200_000_000,
            20,
            "20 of 40 files, 4.2G of 14.5G, 70 MB/s, 2 min 27 s left",
        ),
        (
            52,
            4_200_000_000,
            20,
            "20 of 40 files, 4.2G of 14.5G, 0 B/s",
        ),
    ] {
        meter.advance(bytes - done);
        (done, meter.files_done) = (bytes, files);
        assert_eq!(meter.line(SECOND(seconds)).as_deref(), Some(expected));
    }
    meter.advance(14_500_000_000 - done);
    meter.files_done = 40;
    assert_eq!(
        meter.last_line(SECOND(102)).as_deref(),
        Some("40 of 40 files, 14.5G of 14.5G in 1 min 40 s, 145 MB/s on average")
    );
}

#[test]
fn a_download_of_several_files_has_the_lines_of_tqdm() {
    let mut meter = Meter {
        is_download: true,
        ..Meter::default()
    };
    meter.begin(SECOND(2), 40, 14_500_000_000, 0);
    meter.advance(2_100_000_000);
    meter.files_done = 12;
    assert_eq!(
        meter.line(SECOND(12)).as_deref(),
        Some("Fetching 40 files:  30%|███       | 12/40 [00:10<00:59, 210 MB/s, 2.1G of 14.5G]")
    );
    meter.advance(14_500_000_000 - 2_100_000_000);
    meter.files_done = 40;
    assert_eq!(
        meter.last_line(SECOND(3_702)).as_deref(),
        Some("Fetching 40 files: 100%|██████████| 40/40 [1:01:40<00:00, 3.9 MB/s, 14.5G of 14.5G]")
    );
    meter.begin(SECOND(0), 1, 10, 0);
    assert_eq!(
        meter.line(SECOND(10)).as_deref(),
        Some("0 of 1 file, 0.0 of 10.0, 0 B/s")
    );
}

#[test]
fn a_long_listing_is_told_of_now_and_then() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let write = move |line: &str| kept.lock().unwrap().push(line.to_owned());
    let progress = Lines::every(Duration::from_millis(30), Arc::new(write));
    progress.listing(1000);
    assert!(lines.lock().unwrap().is_empty(), "not at once");
    std::thread::sleep(Duration::from_millis(40));
    progress.listing(340_000);
    progress.listing(341_000);
    assert_eq!(*lines.lock().unwrap(), ["listing files… 340,000"]);
}

#[test]
fn a_quick_download_says_nothing() {
    let mut meter = Meter::default();
    meter.begin(SECOND(0), 1, 10, 0);
    assert_eq!(meter.last_line(SECOND(3)), None);
}

#[test]
fn what_was_there_is_not_counted_as_speed() {
    let mut meter = Meter::default();
    meter.begin(SECOND(0), 1, 2_000_000, 1_000_000);
    meter.advance(100_000);
    assert_eq!(
        meter.line(SECOND(10)).as_deref(),
        Some("0 of 1 file, 1.1M of 2.0M, 10 kB/s, 1 min 30 s left")
    );
}

#[test]
fn what_is_found_or_copied_on_the_way_is_not_counted_as_speed() {
    let lines = Lines::every(INTERVAL, Arc::new(|_: &str| ()));
    lines.event(Event::Begun {
        files: 1,
        bytes: 2_000_000,
        done: 0,
        there: 0,
    });
    let file = FileProgress::begin(&lines, "f", Some(2_000_000), 0);
    file.found(500_000);
    file.copied(400_000);
    file.advance(100_000);
    let mut guard = lines.shared.meter.lock().unwrap();
    guard.0.begun = Duration::ZERO;
    guard.0.marks = VecDeque::from([(Duration::ZERO, 0)]);
    let line = guard.0.line(SECOND(10));
    let last = guard.0.last_line(SECOND(10));
    drop(guard);
    assert_eq!(
        line.as_deref(),
        Some("0 of 1 file, 1.0M of 2.0M, 10 kB/s, 1 min 40 s left")
    );
    assert_eq!(
        last.as_deref(),
        Some("0 of 1 file, 1.0M of 2.0M in 10 s, 10 kB/s on average")
    );
    lines.event(Event::Finished);
}

#[test]
fn the_thread_writes_and_ends() {
    let (sender, lines) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let write = move |line: &str| {
        // The receiver may be gone.
        let _ = sender.lock().unwrap().send(line.to_owned());
    };
    let progress = Lines::every(Duration::from_millis(5), Arc::new(write));
    progress.event(Event::Begun {
        files: 2,
        bytes: 100,
        done: 0,
        there: 0,
    });
    let first = FileProgress::begin(&progress, "a", Some(100), 0);
    first.advance(100);
    first.done();
    // Lines appear although nothing happens.
    assert!(
        lines
            .recv()
            .unwrap()
            .starts_with("1 of 2 files, 100.0 of 100.0, ")
    );
    assert!(lines.recv().is_ok());
    FileProgress::begin(&progress, "b", Some(0), 0).done();
    progress.event(Event::Finished);
    drop(progress);
    let rest: Vec<String> = lines.iter().collect();
    assert!(
        rest.iter()
            .any(|line| line.starts_with("2 of 2 files") && line.ends_with("on average"))
    );
}
