//! The parts of a large file that several connections bring: where they lie, on the disk and in the
//! file, and who is at which. Pure, but for the removal of leftovers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Length of a segment in bytes. Long enough that asking for it costs little, short enough that the
/// front of the file does not wait long for the segment it runs into.
pub const SEGMENT: u64 = 16 << 20;

/// Whether a file is large enough for several connections.
pub fn is_split(size: Option<u64>) -> bool {
    size.is_some_and(|size| size >= 2 * SEGMENT)
}

/// Name of segment `k`.
pub fn segment_path(partial: &Path, k: u64) -> PathBuf {
    let mut name = partial.as_os_str().to_owned();
    name.push(format!("-{k}"));
    PathBuf::from(name)
}

/// Removes what is left of segments: after the file is complete they are of no use.
pub fn remove_segments(partial: &Path, size: Option<u64>) {
    if !is_split(size) {
        return;
    }
    for k in 0..size.unwrap_or(0).div_ceil(SEGMENT) {
        // Most were appended and are gone; a leftover costs space and nothing else.
        let _ = std::fs::remove_file(segment_path(partial, k));
    }
}

/// How far a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody is at it; there may be bytes of an earlier attempt.
    Free,
    /// A helper is at it.
    Running,
    /// All bytes are there.
    Done,
}

/// The segments behind the front of the file. Pure.
#[derive(Debug)]
pub struct Segments {
    size: u64,
    states: BTreeMap<u64, State>,
}

impl Segments {
    /// Segments of a file of `size` bytes, of which `existing` are on disk with these lengths.
    pub fn new(size: u64, existing: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut segments = Segments {
            size,
            states: (0..size.div_ceil(SEGMENT))
                .map(|k| (k, State::Free))
                .collect(),
        };
        for (k, length) in existing {
            if length == segments.length(k) {
                segments.states.insert(k, State::Done);
            }
        }
        segments
    }

    /// Bytes of segment `k`.
    pub fn length(&self, k: u64) -> u64 {
        (self.size - k * SEGMENT).min(SEGMENT)
    }

    /// First byte, at or behind `front`, that the main connection need not bring.
    pub fn end_of_front(&self, front: u64) -> u64 {
        self.states
            .iter()
            .find(|&(&k, &state)| k * SEGMENT >= front && state != State::Free)
            .map_or(self.size, |(&k, _)| k * SEGMENT)
    }

    /// The segment for the next helper: the first free one that the main connection does not reach
    /// soon.
    pub fn claim(&mut self, front: u64) -> Option<u64> {
        let margin = front + SEGMENT / 2;
        let (&k, state) = self
            .states
            .iter_mut()
            .find(|&(&k, &mut state)| k * SEGMENT >= margin && state == State::Free)?;
        *state = State::Running;
        Some(k)
    }

    /// Notes how far a segment is.
    pub fn set(&mut self, k: u64, state: State) {
        self.states.insert(k, state);
    }

    /// The segment that begins at `front`, when it does, and its state.
    pub fn at(&self, front: u64) -> Option<(u64, State)> {
        let k = front / SEGMENT;
        let state = *self.states.get(&k)?;
        front.is_multiple_of(SEGMENT).then_some((k, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = SEGMENT;

    #[test]
    fn helpers_claim_ahead_of_the_front() {
        let mut segments = Segments::new(4 * S + 5, []);
        assert_eq!(segments.end_of_front(0), 4 * S + 5);
        assert_eq!(segments.claim(0), Some(1));
        assert_eq!(segments.end_of_front(0), S);
        assert_eq!(segments.claim(10), Some(2));
        assert_eq!(segments.claim(10), Some(3));
        assert_eq!(segments.claim(10), Some(4));
        assert_eq!(segments.length(4), 5);
        assert_eq!(segments.claim(10), None);
        segments.set(1, State::Done);
        assert_eq!(segments.at(S), Some((1, State::Done)));
        assert_eq!(segments.at(S + 1), None);
        assert_eq!(segments.at(2 * S), Some((2, State::Running)));
    }

    #[test]
    fn a_segment_that_the_front_reaches_soon_is_left_to_it() {
        let mut segments = Segments::new(4 * S, []);
        assert_eq!(segments.claim(S - 1), Some(2));
        assert_eq!(segments.end_of_front(S - 1), 2 * S);
    }

    #[test]
    fn complete_segments_of_an_earlier_attempt_count() {
        let segments = Segments::new(4 * S, [(1, S), (2, S - 1)]);
        assert_eq!(segments.at(S), Some((1, State::Done)));
        assert_eq!(segments.at(2 * S), Some((2, State::Free)));
        assert_eq!(segments.end_of_front(3), S);
    }
}
