//! Sets of bytes of a file. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of offsets, kept as ranges that neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// Start of each range, and the offset after its last byte.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds a range; parts of it may be there already. Answers how many bytes are new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let (mut start, mut end) = (range.start, range.end);
        let mut known = 0;
        // The last range that begins at or before the end may touch, and so may those before it.
        while let Some((&from, &to)) = self.ranges.range(..=end).next_back() {
            if to < start {
                break;
            }
            known += to.min(range.end).saturating_sub(from.max(range.start));
            start = start.min(from);
            end = end.max(to);
            self.ranges.remove(&from);
        }
        self.ranges.insert(start, end);
        (range.end - range.start) - known
    }

    /// Takes a range out, or what is there of it.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&from, &to)) = self.ranges.range(..range.end).next_back() {
            if to <= range.start {
                break;
            }
            self.ranges.remove(&from);
            if to > range.end {
                self.ranges.insert(range.end, to);
            }
            if from < range.start {
                self.ranges.insert(from, range.start);
            }
        }
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    /// What `within` has and this set has not, in order.
    pub fn missing(&self, within: Range<u64>) -> RangeSet {
        let mut rest = RangeSet::default();
        rest.insert(within);
        for range in self.iter() {
            rest.remove(range);
        }
        rest
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// The offset after the range that holds `offset`; `offset` itself when none does.
    pub fn end_of(&self, offset: u64) -> u64 {
        let before = self.ranges.range(..=offset).next_back();
        before.map_or(offset, |(_, &end)| end.max(offset))
    }

    /// Whether every byte of a range is there.
    pub fn contains(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.end_of(range.start) >= range.end
    }

    /// Whether any byte of a range is there.
    pub fn meets(&self, range: &Range<u64>) -> bool {
        let before = self.ranges.range(..range.end).next_back();
        !range.is_empty() && before.is_some_and(|(_, &end)| end > range.start)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Takes the first bytes out, at most `most` of them.
    pub fn take_first(&mut self, most: u64) -> Option<Range<u64>> {
        let (&start, &end) = self.ranges.first_key_value()?;
        let end = end.min(start.saturating_add(most));
        self.remove(start..end);
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Offsets up to 64 as bits.
    fn bits(set: &RangeSet) -> u64 {
        set.iter().map(bits_of).fold(0, |all, some| all | some)
    }

    fn bits_of(range: Range<u64>) -> u64 {
        range.fold(0, |all, bit| all | 1 << bit)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn any_changes(changes in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..20)) {
            let (mut set, mut model) = (RangeSet::default(), 0_u64);
            for (is_added, start, length) in changes {
                let range = start..(start + length).min(64);
                if is_added {
                    let new = bits_of(range.clone()) & !model;
                    prop_assert_eq!(set.insert(range.clone()), u64::from(new.count_ones()));
                    model |= bits_of(range);
                } else {
                    set.remove(range.clone());
                    model &= !bits_of(range);
                }
                prop_assert_eq!(bits(&set), model);
                prop_assert_eq!(set.meets(&(start..start + length)), bits_of(start..(start + length).min(64)) & model != 0);
                prop_assert_eq!(set.total(), u64::from(model.count_ones()));
                prop_assert_eq!(bits(&set.missing(3..50)), bits_of(3..50) & !model);
                let ranges: Vec<_> = set.iter().collect();
                prop_assert!(ranges.windows(2).all(|two| two[0].end < two[1].start), "{:?}", ranges);
                for offset in 0..64 {
                    let run = (offset..64).take_while(|bit| model & (1 << bit) != 0).count() as u64;
                    prop_assert_eq!(set.end_of(offset), offset + run);
                }
            }
        }
    }

    #[test]
    fn the_first_bytes_are_taken() {
        let mut set = RangeSet::default();
        set.insert(4..10);
        set.insert(20..22);
        assert_eq!(set.take_first(4), Some(4..8));
        assert_eq!(set.take_first(4), Some(8..10));
        assert_eq!(set.take_first(u64::MAX), Some(20..22));
        assert_eq!(set.take_first(4), None);
        assert!(set.is_empty() && set.contains(&(5..5)) && !set.contains(&(5..6)));
    }
}
