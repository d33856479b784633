//! Chunks that stand side by side in two contents, and which of their blocks a file system can share. Pure.

use std::ops::Range;

use super::reuse::Copy;

/// Shortest part, in bytes, that the system is asked to share or copy by itself: for less, a call and a
/// piece of a file more cost as much as the copy.
const SHORTEST: u64 = 256 << 10;

/// Copies that follow each other in both contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where it stands in the earlier content, in bytes.
    pub from: u64,
    /// Where it goes.
    pub to: Range<u64>,
    /// Lengths of its chunks.
    pub chunks: Vec<u32>,
}

/// Joins copies, in the order of the new content, as far as they follow each other; those that `is_wanted`
/// refuses, by their place in the new content, are left out.
pub fn runs(copies: &[Copy], is_wanted: impl Fn(&Range<u64>) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for copy in copies.iter().filter(|copy| is_wanted(&copy.place())) {
        match runs.last_mut() {
            Some(run)
                if run.to.end == copy.to && run.from + (run.to.end - run.to.start) == copy.from =>
            {
                run.to.end = copy.place().end;
                run.chunks.push(copy.length);
            }
            _ => runs.push(Run {
                from: copy.from,
                to: copy.place(),
                chunks: vec![copy.length],
            }),
        }
    }
    runs
}

impl Run {
    /// The part of it, by its place in the new content, that is made of whole blocks of the file system in both
    /// contents; `None` when the blocks do not meet, or when it is too short to be worth a call.
    pub fn whole_blocks(&self, block: u64) -> Option<Range<u64>> {
        if block == 0 || self.from % block != self.to.start % block {
            return None;
        }
        let start = self.to.start.checked_next_multiple_of(block)?;
        let end = self.to.end / block * block;
        (end.saturating_sub(start) >= SHORTEST).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_follow_each_other_are_joined() {
        let copy = |from, to, length| Copy { from, to, length };
        let copies = [
            copy(10, 0, 5),
            copy(15, 5, 5),
            // Follows in the new content alone, then in the earlier one alone.
            copy(30, 10, 5),
            copy(35, 20, 5),
            copy(40, 25, 1),
        ];
        let found = |unwanted: u64| {
            let runs = runs(&copies, |place| place.start != unwanted);
            let shown = runs.into_iter().map(|run| (run.from, run.to, run.chunks));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(
            found(99),
            [
                (10, 0..10, vec![5, 5]),
                (30, 10..15, vec![5]),
                (35, 20..26, vec![5, 1])
            ]
        );
        assert_eq!(found(5)[0], (10, 0..5, vec![5]));
        assert_eq!(found(5).len(), 3);
    }

    #[test]
    fn whole_blocks() {
        const MIB: u64 = 1 << 20;
        for (from, to, block, expected) in [
            (0, 0..MIB, 4096, Some(0..MIB)),
            // Moved by whole blocks; begun and ended within a block.
            (8192, 4096..MIB, 4096, Some(4096..MIB)),
            (8192 + 7, 4096 + 7..MIB + 5, 4096, Some(8192..MIB)),
            // Moved by something else.
            (8192 + 6, 4096 + 7..MIB, 4096, None),
            (1, 0..MIB, 4096, None),
            // Too short, or no whole block at all.
            (0, 0..SHORTEST - 1, 4096, None),
            (0, 0..SHORTEST, 4096, Some(0..SHORTEST)),
            (1, 1..SHORTEST + 4095, 4096, None),
            (10, 10..20, 4096, None),
            // Larger blocks, and a system that tells none.
            (65536, 0..MIB, 65536, Some(0..MIB)),
            (4096, 0..MIB, 65536, None),
            (0, 0..MIB, 0, None),
            (u64::MAX - 5, u64::MAX - 5..u64::MAX, 4096, None),
        ] {
            let run = Run {
                from,
                to: to.clone(),
                chunks: Vec::new(),
            };
            assert_eq!(run.whole_blocks(block), expected, "{from} {to:?} {block}");
        }
    }
}
