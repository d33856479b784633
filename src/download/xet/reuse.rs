//! What a content has in common with an earlier one. Pure.
//!
//! Both plans name chunks of the same xorbs. A plan does not say how long each chunk is, so the chunks of the
//! earlier content, which is on disk, are found by cutting it again ([`crate::types::xet_hash`]); that tells
//! where each stands there. Where it stands in the new content follows when all chunks before it in its term,
//! or all behind it, are known as well.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::answer::{Answer, XorbHash};
use super::plan::{Flaw, Use, check};

/// Consecutive chunks of a xorb that stand together in a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The xorb's hash.
    pub xorb: XorbHash,
    /// Numbers of the chunks in the xorb.
    pub chunks: Range<u32>,
    /// Offset of the first one in the content, in bytes.
    pub offset: u64,
    /// Bytes of all of them.
    pub length: u64,
}

impl Term {
    /// Its place in the content.
    pub fn place(&self) -> Range<u64> {
        self.offset..self.offset + self.length
    }
}

/// The terms of a whole content of `size` bytes, in order.
///
/// # Errors
/// [`Flaw`]: the answer cannot be right.
pub fn terms(answer: &Answer, size: u64) -> Result<Vec<Term>, Flaw> {
    let (mut terms, mut offset) = (Vec::with_capacity(answer.terms.len()), 0);
    for term in &answer.terms {
        let part = Use {
            chunks: term.range.start..term.range.end,
            offset,
            length: term.unpacked_length,
        };
        check(&part)?;
        terms.push(Term {
            xorb: term.hash,
            offset,
            length: part.end() - offset,
            chunks: part.chunks,
        });
        offset = terms.last().map_or(0, |last| last.offset + last.length);
    }
    if offset != size || answer.offset_into_first_range != 0 {
        return Err(Flaw::Sum);
    }
    Ok(terms)
}

/// Terms of an earlier content with chunks that another content has too.
pub fn shared<'a, 'b>(
    earlier: &'a [Term],
    other: impl IntoIterator<Item = &'b Term>,
) -> Vec<&'a Term> {
    let mut wanted: HashMap<XorbHash, Vec<Range<u32>>> = HashMap::new();
    for term in other {
        wanted
            .entry(term.xorb)
            .or_default()
            .push(term.chunks.clone());
    }
    let meets = |a: &Range<u32>, b: &Range<u32>| a.start < b.end && b.start < a.end;
    let is_shared = |term: &&Term| {
        let ranges = wanted.get(&term.xorb);
        ranges.is_some_and(|ranges| ranges.iter().any(|range| meets(range, &term.chunks)))
    };
    earlier.iter().filter(is_shared).collect()
}

/// Most chunks whose places are remembered for one copy: they take 16 MiB, and stand for 256 GiB.
pub const MOST_CHUNKS: usize = 4 << 20;

/// Where chunks stand in an earlier content.
#[derive(Debug, Default)]
pub struct Known {
    xorbs: HashMap<XorbHash, BTreeMap<u32, Cut>>,
    chunks: usize,
}

/// A term of the earlier content, cut into its chunks.
#[derive(Debug)]
struct Cut {
    /// Offset of the first one in the content, in bytes.
    offset: u64,
    /// Where each one ends, counted from there.
    ends: Box<[u32]>,
}

impl Known {
    /// Adds the chunks of a term of the earlier content, as long as they were found to be. Others than the
    /// term says are not added: the content is cut in another way, or is not the one.
    pub fn add(&mut self, term: &Term, lengths: impl ExactSizeIterator<Item = u64> + Clone) {
        let is_right =
            lengths.len() == term.chunks.len() && lengths.clone().sum::<u64>() == term.length;
        if !is_right || u32::try_from(term.length).is_err() {
            return;
        }
        let mut end = 0;
        let ends = lengths.map(|length| {
            end += u32::try_from(length).unwrap_or(u32::MAX);
            end
        });
        let cut = Cut {
            offset: term.offset,
            ends: ends.collect(),
        };
        self.chunks += cut.ends.len();
        let of_xorb = self.xorbs.entry(term.xorb).or_default();
        let known = of_xorb.get(&term.chunks.start);
        if known.is_none_or(|known| known.ends.len() < cut.ends.len()) {
            of_xorb.insert(term.chunks.start, cut);
        }
    }

    /// Whether no more may be added.
    pub fn is_full(&self) -> bool {
        self.chunks >= MOST_CHUNKS
    }

    /// Offset and length of a chunk, in bytes.
    fn of(&self, term: &Term, number: u32) -> Option<(u64, u32)> {
        let before = self.xorbs.get(&term.xorb)?.range(..=number);
        let (first, cut) = before.last()?;
        let index = usize::try_from(number - first).ok()?;
        let end = *cut.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| cut.ends[before]);
        Some((cut.offset + u64::from(start), end - start))
    }
}

/// A chunk to be copied. Offsets and length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// Where it stands in the earlier content.
    pub from: u64,
    /// Where it goes.
    pub to: u64,
    /// Its length.
    pub length: u32,
}

impl Copy {
    /// Its place in the new content.
    pub fn place(&self) -> Range<u64> {
        self.to..self.to + u64::from(self.length)
    }
}

/// The chunks of a term of a new content that the earlier one has, in order.
pub fn copies(term: &Term, known: &Known) -> Vec<Copy> {
    let mut copies = Vec::new();
    let end = term.offset + term.length;
    let (mut first, mut to) = (term.chunks.start, term.offset);
    while first < term.chunks.end
        && let Some((from, length)) = known.of(term, first)
        && u64::from(length) <= end - to
    {
        copies.push(Copy { from, to, length });
        to += u64::from(length);
        first += 1;
    }
    let (mut last, mut limit, front) = (term.chunks.end, end, copies.len());
    while last > first
        && let Some((from, length)) = known.of(term, last - 1)
        && u64::from(length) <= limit - to
    {
        limit -= u64::from(length);
        copies.push(Copy {
            from,
            to: limit,
            length,
        });
        last -= 1;
    }
    copies[front..].reverse();
    copies
}

/// Bytes of a new content that these others have, computed from the plans alone: where only a part of a
/// term is shared, chunks count as if they were of the same length.
pub fn common<'a>(new: &[Term], others: impl IntoIterator<Item = &'a [Term]>) -> u64 {
    let mut covered: HashMap<XorbHash, Vec<Range<u32>>> = HashMap::new();
    for term in new {
        covered.entry(term.xorb).or_default();
    }
    for term in others.into_iter().flatten() {
        if let Some(ranges) = covered.get_mut(&term.xorb) {
            ranges.push(term.chunks.clone());
        }
    }
    for ranges in covered.values_mut() {
        ranges.sort_by_key(|range| range.start);
    }
    let bytes = |term: &Term| {
        let ranges = &covered[&term.xorb];
        let (mut front, mut back) = (term.chunks.start, term.chunks.end);
        for range in ranges {
            if range.start <= front {
                front = front.max(range.end);
            }
        }
        for range in ranges.iter().rev() {
            if range.end >= back {
                back = back.min(range.start);
            }
        }
        let shared = match front >= back {
            true => term.chunks.len(),
            false => (front - term.chunks.start) as usize + (term.chunks.end - back) as usize,
        };
        let bytes = u128::from(term.length) * shared as u128 / term.chunks.len().max(1) as u128;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    };
    new.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xorb(number: u8) -> XorbHash {
        XorbHash::from([number; 32])
    }

    /// Terms as (xorb, first chunk, end), each chunk of a xorb `100 + its number` bytes long.
    fn content(parts: &[(u8, u32, u32)]) -> Vec<Term> {
        let mut offset = 0;
        let term = |&(number, start, end): &(u8, u32, u32)| {
            let length = (start..end).map(|chunk| 100 + u64::from(chunk)).sum();
            offset += length;
            Term {
                xorb: xorb(number),
                chunks: start..end,
                offset: offset - length,
                length,
            }
        };
        parts.iter().map(term).collect()
    }

    fn known(terms: &[&Term]) -> Known {
        let mut known = Known::default();
        for term in terms {
            let lengths: Vec<u64> = term.chunks.clone().map(|it| 100 + u64::from(it)).collect();
            known.add(term, lengths.into_iter());
        }
        known
    }

    /// The chunks of the new content that are copied, by number, and whether each has its place.
    fn copied(old: &[(u8, u32, u32)], new: &[(u8, u32, u32)]) -> Vec<u32> {
        let (old, new) = (content(old), content(new));
        let known = known(&shared(&old, &new));
        let place = |terms: &[Term], offset: u64| {
            let term = terms.iter().rfind(|term| term.offset <= offset).unwrap();
            let (mut at, mut chunk) = (term.offset, term.chunks.start);
            while at < offset {
                at += 100 + u64::from(chunk);
                chunk += 1;
            }
            assert_eq!(at, offset, "a chunk begins there");
            (term.xorb, chunk)
        };
        let copies = new.iter().flat_map(|term| copies(term, &known));
        let chunks = copies.map(|copy| {
            let (from, to) = (place(&old, copy.from), place(&new, copy.to));
            assert_eq!(from, to, "the same chunk");
            assert_eq!(copy.length, 100 + to.1);
            to.1
        });
        chunks.collect()
    }

    #[test]
    fn chunks_are_copied_where_both_contents_have_them() {
        // The same.
        assert_eq!(copied(&[(1, 0, 4)], &[(1, 0, 4)]), [0, 1, 2, 3]);
        // Changed in the middle: the front, and the back.
        assert_eq!(
            copied(&[(1, 0, 10)], &[(1, 0, 3), (2, 0, 2), (1, 6, 10)]),
            [0, 1, 2, 6, 7, 8, 9]
        );
        // A part from within, which begins and ends elsewhere.
        assert_eq!(copied(&[(1, 0, 10)], &[(2, 0, 1), (1, 4, 6)]), [4, 5]);
        // More than there was: what joins the front, and what joins the back.
        assert_eq!(
            copied(&[(1, 0, 3), (1, 7, 9)], &[(1, 0, 9)]),
            [0, 1, 2, 7, 8]
        );
        // Not what has unknown chunks before and behind it.
        assert_eq!(copied(&[(1, 3, 5)], &[(1, 0, 9)]), [0_u32; 0]);
        // In another order, and twice.
        assert_eq!(
            copied(&[(1, 0, 2), (2, 5, 7)], &[(2, 5, 7), (1, 0, 2), (2, 6, 7)]),
            [5, 6, 0, 1, 6]
        );
        // Nothing in common, or the same xorb with other chunks.
        assert_eq!(copied(&[(1, 0, 4)], &[(2, 0, 4), (1, 4, 6)]), [0_u32; 0]);
    }

    #[test]
    fn what_is_cut_in_another_way_is_not_used() {
        let terms = content(&[(1, 0, 3)]);
        for lengths in [vec![100, 101], vec![100, 101, 103], vec![101, 101, 102]] {
            let mut known = Known::default();
            known.add(&terms[0], lengths.iter().copied());
            assert!(known.xorbs.is_empty(), "{lengths:?}");
        }
    }

    #[test]
    fn a_term_is_never_left() {
        // Two answers that contradict each other: longer chunks than the term has bytes for.
        let mut new = content(&[(1, 0, 3)]);
        new[0].length = 250;
        let old = content(&[(1, 0, 3)]);
        let copies = copies(&new[0], &known(&shared(&old, &new)));
        let is_inside = |copy: &Copy| copy.to + u64::from(copy.length) <= 250;
        assert!(copies.iter().all(is_inside), "{copies:?}");
    }

    #[test]
    fn what_is_common_is_told_from_the_plans() {
        let bytes = |new: &[(u8, u32, u32)], others: &[&[(u8, u32, u32)]]| {
            let others: Vec<_> = others.iter().map(|other| content(other)).collect();
            common(&content(new), others.iter().map(Vec::as_slice))
        };
        // Whole terms are exact.
        assert_eq!(bytes(&[(1, 0, 2), (2, 3, 5)], &[&[(1, 0, 9)]]), 201);
        assert_eq!(
            bytes(
                &[(1, 0, 2), (2, 3, 5)],
                &[&[(1, 0, 9)], &[(2, 0, 4), (2, 4, 7)]]
            ),
            408
        );
        // Front and back of a term, by the share of its chunks.
        assert_eq!(bytes(&[(1, 0, 4)], &[&[(1, 0, 1)]]), 406 / 4);
        assert_eq!(bytes(&[(1, 0, 4)], &[&[(1, 0, 1), (1, 2, 9)]]), 406 * 3 / 4);
        assert_eq!(
            bytes(&[(1, 0, 4)], &[&[(1, 2, 9), (1, 3, 5), (1, 0, 2)]]),
            406
        );
        // What has unknown chunks on both sides cannot be copied.
        assert_eq!(bytes(&[(1, 0, 4)], &[&[(1, 1, 3)]]), 0);
        assert_eq!(bytes(&[(1, 0, 4)], &[&[(2, 0, 4), (1, 4, 9)], &[]]), 0);
        assert_eq!(bytes(&[], &[&[(1, 0, 4)]]), 0);
    }
}
