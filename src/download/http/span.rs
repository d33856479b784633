//! A part of a content that one connection brings. Its end may come closer while bytes arrive, when
//! another connection takes the rest over.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Offsets in bytes.
pub struct Span {
    state: Mutex<State>,
}

struct State {
    position: u64,
    end: u64,
    /// It is the whole content and no other connection brings any of it.
    is_whole: bool,
}

impl Span {
    /// The bytes of a range; [`u64::MAX`] as its end when the size is unknown. `is_whole`: they are the
    /// whole content, and no other span is at work.
    pub fn new(range: Range<u64>, is_whole: bool) -> Self {
        Span {
            state: Mutex::new(State {
                position: range.start,
                end: range.end,
                is_whole,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is still to come.
    pub fn rest(&self) -> Range<u64> {
        let state = self.state();
        state.position..state.end.max(state.position)
    }

    /// Whether the connection may start over at the start of the content.
    pub fn is_whole(&self) -> bool {
        self.state().is_whole
    }

    /// Of `length` bytes that came, those that belong to the span: where, and how many.
    pub fn take(&self, length: usize) -> (u64, usize) {
        let mut state = self.state();
        let offset = state.position;
        let left = usize::try_from(state.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let taken = length.min(left);
        state.position += taken as u64;
        (offset, taken)
    }

    /// Back to the start of the content. Answers how many bytes come again.
    pub fn start_over(&self) -> u64 {
        std::mem::take(&mut self.state().position)
    }

    /// Gives up what comes `keep` bytes behind the position.
    pub fn cut(&self, keep: u64) -> Range<u64> {
        let mut state = self.state();
        let end = state.end;
        state.end = state.position.saturating_add(keep).min(end);
        state.is_whole = false;
        state.end..end
    }

    /// Takes over bytes that no other connection brings, if they come right behind the end and the
    /// connection is still before it.
    pub fn extend(&self, range: &Range<u64>) -> bool {
        let mut state = self.state();
        let fits = state.end == range.start && state.position < state.end;
        if fits {
            state.end = range.end;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_belongs_to_one_connection() {
        let span = Span::new(10..100, true);
        assert_eq!(span.take(30), (10, 30));
        assert_eq!(span.cut(20), 60..100);
        assert!(!span.is_whole());
        assert_eq!(span.take(30), (40, 20), "the rest is another connection's");
        assert_eq!(span.take(30), (60, 0));
        assert_eq!(span.rest(), 60..60);
        assert!(!span.extend(&(60..100)), "it has ended");
        let span = Span::new(0..50, true);
        span.take(10);
        assert!(!span.extend(&(60..70)) && span.extend(&(50..70)));
        assert_eq!(span.rest(), 10..70);
        assert_eq!(span.start_over(), 10);
        assert_eq!(span.rest(), 0..70);
        assert_eq!(span.cut(u64::MAX), 70..70, "nothing to give up");
    }
}
