//! The parts of a large file that several connections bring: where they lie, on the disk and in the
//! file, and which of them a helper fetches. Pure, except for removing leftovers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cache::layout::PartialName;

/// Length of a segment in bytes. Long enough that asking for it costs little, short enough that the
/// front of the file does not wait long for the segment it runs into.
pub const SEGMENT: u64 = 16 << 20;

/// Largest file, in bytes, that is brought by several connections: its million segments are kept in
/// memory. No server has a larger one, although it may announce one.
const LARGEST: u64 = SEGMENT << 20;

/// Whether a file is large enough for several connections.
pub fn is_split(size: Option<u64>) -> bool {
    size.is_some_and(|size| (2 * SEGMENT..=LARGEST).contains(&size))
}

/// Names of all segments that a content of this size could have.
pub fn segment_paths(partial: &Path, size: Option<u64>) -> impl Iterator<Item = PathBuf> {
    let segments = match is_split(size) {
        true => size.unwrap_or(0).div_ceil(SEGMENT),
        false => 0,
    };
    (0..segments).map(move |k| PartialName::segment_of(partial, k))
}

/// Removes what is left of segments: after the file is complete they are of no use.
pub fn remove_segments(partial: &Path, size: Option<u64>) {
    for path in segment_paths(partial, size) {
        // Most were appended and are gone; a leftover costs space and nothing else.
        let _ = std::fs::remove_file(path);
    }
}

/// How far a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No helper fetches it, and no byte of it is there.
    Free,
    /// No helper fetches it; its first bytes are there, from an earlier attempt.
    Begun,
    /// A helper fetches it.
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
            segments.found(k, length);
        }
        segments
    }

    /// Notes that no helper fetches segment `k`, of which `length` bytes are on disk. A file longer than
    /// the segment is useless, and is emptied when it is opened.
    pub fn found(&mut self, k: u64, length: u64) {
        let state = match length {
            0 => State::Free,
            length if length == self.length(k) => State::Done,
            length if length < self.length(k) => State::Begun,
            _ => State::Free,
        };
        self.states.insert(k, state);
    }

    /// Bytes of segment `k`.
    pub fn length(&self, k: u64) -> u64 {
        (self.size - k * SEGMENT).min(SEGMENT)
    }

    /// First byte, at or behind `front`, that the main connection need not bring: it is there
    /// already, or a helper fetches it.
    pub fn end_of_front(&self, front: u64) -> u64 {
        self.states
            .iter()
            .find(|&(&k, &state)| k * SEGMENT >= front && state != State::Free)
            .map_or(self.size, |(&k, _)| k * SEGMENT)
    }

    /// The segment for the next helper: the first one, free or begun, that the main connection does
    /// not reach soon.
    pub fn claim(&mut self, front: u64) -> Option<u64> {
        let margin = front + SEGMENT / 2;
        let (&k, state) = self.states.iter_mut().find(|(k, state)| {
            *k * SEGMENT >= margin && matches!(state, State::Free | State::Begun)
        })?;
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
    fn sizes() {
        for (size, expected) in [
            (None, false),
            (Some(2 * S - 1), false),
            (Some(2 * S), true),
            (Some(100_000_000_000), true),
            (Some(u64::MAX), false),
        ] {
            assert_eq!(is_split(size), expected, "{size:?}");
        }
    }

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
        assert_eq!(segments.at(2 * S), Some((2, State::Begun)));
        assert_eq!(segments.end_of_front(3), S);
    }

    #[test]
    fn begun_segments_end_the_front_and_may_be_claimed() {
        let mut segments = Segments::new(4 * S, [(2, 5), (3, S + 1)]);
        assert_eq!(
            segments.end_of_front(0),
            2 * S,
            "its bytes are not fetched again"
        );
        assert_eq!(
            segments.end_of_front(2 * S + 5),
            4 * S,
            "too long is worthless"
        );
        assert_eq!(segments.claim(S), Some(2));
        assert_eq!(segments.at(2 * S), Some((2, State::Running)));
        segments.found(2, 0);
        assert_eq!(segments.at(2 * S), Some((2, State::Free)));
    }
}
