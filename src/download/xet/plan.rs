//! What to fetch for a part of a content, from the storage's answer. Pure.
//!
//! The answer has *terms* and *ranges*. A term says that the content goes on with some chunks of a xorb
//! (the storage's unit, up to 64 MiB); a range is a signed link to some consecutive chunks of a
//! xorb. A range may serve several terms, and a term may come twice. Here each range that is
//! needed becomes one [`Fetch`], which knows the places of its chunks in the content.
//!
//! No part of an answer is trusted: a contradiction is a [`Flaw`] before anything is fetched. How
//! long each chunk is shows only when it comes, so [`super::decode`] checks the rest.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use url::Url;

use super::answer::{Answer, SignedLink};

/// Most bytes of a chunk, unpacked: twice the size that chunks are cut for.
pub const LONGEST_CHUNK: u64 = 128 << 10;

/// Bytes before a chunk in a xorb.
pub const HEADER: u64 = 8;

/// Most bytes of a chunk in a xorb. The format lets a packed chunk be longer than it is unpacked.
const LONGEST_PACKED: u64 = HEADER + 2 * LONGEST_CHUNK;

/// Bytes of content for each term, at least, beyond the first few thousand. Chunks are cut at 8 KiB or
/// more, but for the last of a file.
const SHORTEST_TERMS: u64 = 4 << 10;
const MOST_SHORT_TERMS: u64 = 4096;

/// A part of a content that a plan is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Offsets in the content, in bytes.
    pub range: Range<u64>,
    /// Whether the chunk across its start is taken as well. Inside a larger part it belongs to the
    /// window before.
    pub has_first: bool,
    /// How often it was asked for without a byte.
    pub failures: u32,
}

/// Cuts what is missing of a content into windows of at most `longest` bytes, in order.
pub fn windows(missing: &[Range<u64>], longest: u64) -> VecDeque<Window> {
    let mut windows = VecDeque::new();
    for part in missing {
        let mut start = part.start;
        while start < part.end {
            let end = part.end.min(start.saturating_add(longest.max(1)));
            windows.push_back(Window {
                range: start..end,
                has_first: start == part.start,
                failures: 0,
            });
            start = end;
        }
    }
    windows
}

/// One signed range, and where its chunks go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The signed link.
    pub url: Url,
    /// The range of bytes exactly as it is signed; the end is exclusive.
    pub bytes: Range<u64>,
    /// Number of chunks in it.
    pub chunks: u32,
    /// Where they go, by their first chunk.
    pub uses: Vec<Use>,
    /// Chunks that begin elsewhere in the content are left out.
    pub wanted: Range<u64>,
}

impl Fetch {
    /// Bytes of content that it brings, at most.
    pub fn content(&self) -> u64 {
        let of_use = |part: &Use| {
            let end = part.end().min(self.wanted.end);
            end.saturating_sub(part.offset.max(self.wanted.start))
        };
        self.uses.iter().map(of_use).sum()
    }
}

/// Consecutive chunks of a fetch that stand together in the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// First chunk, and the one after the last, counted from the start of the fetch.
    pub chunks: Range<u32>,
    /// Offset of the first one in the content.
    pub offset: u64,
    /// Bytes of all of them, unpacked.
    pub length: u32,
}

impl Use {
    /// Offset in the content behind the last chunk.
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It gives another number of bytes.
    #[error("the terms do not add up to what was asked for")]
    Sum,
    /// A term without chunks, or with more or fewer bytes than its chunks can have.
    #[error("a term has an impossible length")]
    Term,
    /// More terms than so many bytes ever have.
    #[error("it has too many terms")]
    Terms,
    /// A term whose chunks no range has.
    #[error("a term has no range")]
    NoRange,
    /// A range that cannot hold its chunks.
    #[error("a range has an impossible length")]
    Range,
    /// A link that is none, or that shows the content to the whole network.
    #[error("a link is no https address")]
    Link,
}

/// The fetches for a window of a content of `size` bytes, in the order of the content.
///
/// # Errors
/// [`Flaw`]: the answer cannot be right.
pub fn plan(
    answer: &Answer,
    window: &Window,
    size: u64,
    is_secure: bool,
) -> Result<Vec<Fetch>, Flaw> {
    let length = window.range.end - window.range.start;
    if answer.terms.len() as u64 > MOST_SHORT_TERMS + length / SHORTEST_TERMS {
        return Err(Flaw::Terms);
    }
    let base = window
        .range
        .start
        .checked_sub(answer.offset_into_first_range);
    let base = base.ok_or(Flaw::Sum)?;
    let wanted = match window.has_first {
        true => base..window.range.end,
        false => window.range.clone(),
    };
    let (mut xorbs, mut fetches) = (HashMap::new(), Vec::new());
    let mut offset = base;
    for term in &answer.terms {
        let chunks = term.range.start..term.range.end;
        let part = Use {
            length: term.unpacked_length,
            offset,
            chunks,
        };
        check(&part)?;
        // It grows by 4 GiB at a time and ends beyond any size.
        offset = part.end();
        if offset > size {
            return Err(Flaw::Sum);
        }
        if part.end() <= wanted.start || part.offset >= wanted.end {
            continue;
        }
        let ranges = match xorbs.get_mut(&term.hash) {
            Some(ranges) => ranges,
            None => {
                let signed = answer.xorbs.get(&term.hash).ok_or(Flaw::NoRange)?;
                xorbs.entry(term.hash).or_insert(Ranges::new(signed))
            }
        };
        ranges.add(part, &mut fetches, &wanted, is_secure)?;
    }
    if offset < window.range.end {
        return Err(Flaw::Sum);
    }
    for fetch in &mut fetches {
        fetch.uses.sort_by_key(|part| part.chunks.start);
    }
    Ok(fetches)
}

/// A term cannot have fewer bytes than chunks, nor more than fit into them.
pub(super) fn check(part: &Use) -> Result<(), Flaw> {
    let chunks = part.chunks.end.checked_sub(part.chunks.start);
    let chunks = u64::from(chunks.unwrap_or(0));
    let possible = chunks..=chunks * LONGEST_CHUNK;
    if chunks == 0 || !possible.contains(&u64::from(part.length)) {
        return Err(Flaw::Term);
    }
    Ok(())
}

/// The signed ranges of one xorb.
struct Ranges<'a> {
    ranges: Vec<Signed<'a>>,
}

struct Signed<'a> {
    url: &'a str,
    chunks: Range<u32>,
    /// The end is inclusive.
    bytes: (u64, u64),
    /// Which of those up to this one reaches furthest.
    furthest: usize,
    /// Its place among the fetches, once it is used.
    fetch: Option<usize>,
}

impl<'a> Ranges<'a> {
    fn new(signed: &'a [SignedLink]) -> Self {
        let ranges = signed.iter().flat_map(|link| {
            link.ranges.iter().map(|range| Signed {
                url: &link.url,
                chunks: range.chunks.start..range.chunks.end,
                bytes: (range.bytes.start, range.bytes.end),
                furthest: 0,
                fetch: None,
            })
        });
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_by_key(|range| range.chunks.start);
        let mut furthest = 0;
        for index in 0..ranges.len() {
            if ranges[index].chunks.end > ranges[furthest].chunks.end {
                furthest = index;
            }
            ranges[index].furthest = furthest;
        }
        Ranges { ranges }
    }

    /// Adds a use to the fetch of the range that has its chunks.
    fn add(
        &mut self,
        mut part: Use,
        fetches: &mut Vec<Fetch>,
        wanted: &Range<u64>,
        is_secure: bool,
    ) -> Result<(), Flaw> {
        let begun = |range: &Signed<'_>| range.chunks.start <= part.chunks.start;
        let index = self.ranges.partition_point(begun).checked_sub(1);
        let furthest = self.ranges[index.ok_or(Flaw::NoRange)?].furthest;
        let range = &mut self.ranges[furthest];
        if range.chunks.end < part.chunks.end {
            return Err(Flaw::NoRange);
        }
        let first = range.chunks.start;
        part.chunks = part.chunks.start - first..part.chunks.end - first;
        let index = match range.fetch {
            Some(index) => index,
            None => {
                fetches.push(range.fetch(wanted.clone(), is_secure)?);
                *range.fetch.insert(fetches.len() - 1)
            }
        };
        fetches[index].uses.push(part);
        Ok(())
    }
}

impl Signed<'_> {
    fn fetch(&self, wanted: Range<u64>, is_secure: bool) -> Result<Fetch, Flaw> {
        let chunks = self.chunks.end.checked_sub(self.chunks.start);
        let chunks = chunks.ok_or(Flaw::Range)?;
        let end = self.bytes.1.checked_add(1).ok_or(Flaw::Range)?;
        let length = end.checked_sub(self.bytes.0).ok_or(Flaw::Range)?;
        let count = u64::from(chunks);
        if !(count * (HEADER + 1)..=count * LONGEST_PACKED).contains(&length) {
            return Err(Flaw::Range);
        }
        let url = Url::parse(self.url).map_err(|_| Flaw::Link)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_web || is_secure && url.scheme() != "https" {
            return Err(Flaw::Link);
        }
        Ok(Fetch {
            url,
            bytes: self.bytes.0..end,
            chunks,
            uses: Vec::new(),
            wanted,
        })
    }
}

#[cfg(test)]
mod tests;
