//! How far the progress of Xet transfers is shown.
//!
//! The library hands over a file in pieces of up to 64 MiB, several of which are in transit at the
//! same time: on a slow line minutes can pass before the first is complete. It counts what comes over
//! the wire for all files together, so that count is shown until the pieces themselves catch up.

use std::sync::Mutex;

use crate::download::http::source::Counted;

/// Counts in bytes: of one transfer, or of all that share a session.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    expected: u64,
    written: u64,
    shown: u64,
}

/// Shows the progress of one transfer.
pub struct Meter<'a> {
    all: &'a Mutex<Counts>,
    own: Counts,
    progress: &'a Counted<'a>,
}

impl<'a> Meter<'a> {
    /// A transfer begins that is to bring this many bytes. `all` counts it and the others.
    pub fn begin(all: &'a Mutex<Counts>, bytes: u64, progress: &'a Counted<'a>) -> Self {
        all.lock().unwrap().expected += bytes;
        let own = Counts {
            expected: bytes,
            ..Counts::default()
        };
        Meter { all, own, progress }
    }

    /// The transfer handed over this many bytes.
    pub fn write(&mut self, bytes: u64, on_the_wire: u64) {
        self.own.written += bytes;
        self.all.lock().unwrap().written += bytes;
        self.show(on_the_wire);
    }

    /// The transfer ended with this many bytes missing.
    pub fn end(mut self, missing: u64, on_the_wire: u64) {
        self.own.expected = self.own.expected.saturating_sub(missing);
        {
            let mut all = self.all.lock().unwrap();
            all.expected = all.expected.saturating_sub(missing);
        }
        self.show(on_the_wire);
    }

    /// Shows what belongs to this transfer of the bytes that came over the wire so far for all. They
    /// are no measure of the content (it is compressed, and parts may be fetched twice), hence the
    /// bounds: never less than was handed over, nor more than was promised.
    pub fn show(&mut self, on_the_wire: u64) {
        let mut all = self.all.lock().unwrap();
        let total = all.written.max(on_the_wire.min(all.expected));
        let of_others = all.shown.saturating_sub(self.own.shown);
        let share = total.saturating_sub(of_others);
        let wanted = share.min(self.own.expected).max(self.own.written);
        all.shown = of_others + wanted;
        drop(all);
        let before = std::mem::replace(&mut self.own.shown, wanted);
        match wanted.checked_sub(before) {
            Some(more) => self.progress.advance(more),
            None => self.progress.rewind(before - wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::types::progress::{Event, FileId, FileProgress};

    /// Sums of what is shown, by file.
    #[derive(Default)]
    struct Shown(Mutex<Vec<(FileId, i64)>>);

    impl Shown {
        fn note(&self, event: Event) {
            let (file, bytes) = match event {
                Event::FileBegun { file, .. } => (file, 0),
                Event::Advanced { file, bytes } => (file, i64::try_from(bytes).unwrap()),
                Event::Rewound { file, bytes } => (file, -i64::try_from(bytes).unwrap()),
                _ => return,
            };
            self.0.lock().unwrap().push((file, bytes));
        }

        /// In the order in which the files began.
        fn of_files(&self) -> Vec<i64> {
            let mut sums: HashMap<FileId, i64> = HashMap::new();
            for (file, bytes) in self.0.lock().unwrap().iter() {
                *sums.entry(*file).or_default() += bytes;
            }
            let mut sums: Vec<_> = sums.into_iter().collect();
            sums.sort_unstable();
            sums.into_iter().map(|(_, sum)| sum).collect()
        }
    }

    #[test]
    fn what_is_shown() {
        let shown = Shown::default();
        let observer = |event: Event| shown.note(event);
        let all = Mutex::default();
        let a = &Counted::new(FileProgress::begin(&observer, "a", None, 0), 0);
        let b = &Counted::new(FileProgress::begin(&observer, "b", None, 0), 0);
        let mut meter = Meter::begin(&all, 100, a);
        for (written, on_the_wire, expected, what) in [
            (0, 0, 0, "nothing yet"),
            (0, 30, 30, "the wire runs ahead"),
            (64, 30, 64, "compressed: the content leads"),
            (0, 500, 100, "never more than promised"),
        ] {
            meter.write(written, on_the_wire);
            assert_eq!(shown.of_files(), [expected, 0], "{what}");
        }
        meter.end(36, 500);
        assert_eq!(shown.of_files(), [64, 0], "broken off: what is there");
        let mut meter = Meter::begin(&all, 36, a);
        meter.show(500);
        assert_eq!(shown.of_files(), [100, 0], "the rest is asked for");
        let mut second = Meter::begin(&all, 50, b);
        second.show(120);
        assert_eq!(shown.of_files(), [100, 20], "a second file");
        meter.write(36, 120);
        second.write(50, 120);
        assert_eq!(shown.of_files(), [100, 50], "all is there");
        meter.end(0, 120);
        second.end(0, 120);
        assert_eq!(shown.of_files(), [100, 50]);
    }

    #[test]
    fn a_file_never_shows_the_bytes_of_another() {
        let shown = Shown::default();
        let observer = |event: Event| shown.note(event);
        let all = Mutex::default();
        let a = &Counted::new(FileProgress::begin(&observer, "a", None, 0), 0);
        let b = &Counted::new(FileProgress::begin(&observer, "b", None, 0), 0);
        let (mut small, mut large) = (Meter::begin(&all, 10, a), Meter::begin(&all, 90, b));
        small.show(60);
        large.show(60);
        assert_eq!(shown.of_files(), [10, 50]);
        small.write(10, 60);
        small.end(0, 60);
        large.end(90, 60);
        assert_eq!(shown.of_files(), [10, 0], "nothing of it was handed over");
    }
}
