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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::download::xet::answer::OldAnswer;

    fn window(range: Range<u64>) -> Window {
        Window {
            range,
            has_first: true,
            failures: 0,
        }
    }

    fn xorb(digit: &str) -> String {
        digit.repeat(64)
    }

    /// An answer: terms as (xorb, first chunk, end, bytes), ranges as (xorb, first chunk, end, first
    /// byte, last byte).
    fn answer(
        skip: u64,
        terms: &[(&str, u32, u32, u32)],
        ranges: &[(&str, u32, u32, u64, u64)],
    ) -> Answer {
        let terms: Vec<_> = terms
            .iter()
            .map(|(digit, start, end, length)| {
                json!({
                    "hash": xorb(digit), "unpacked_length": length,
                    "range": {"start": start, "end": end},
                })
            })
            .collect();
        let mut xorbs: HashMap<String, Vec<serde_json::Value>> = HashMap::new();
        for (digit, start, end, first, last) in ranges {
            xorbs.entry(xorb(digit)).or_default().push(json!({
                "url": format!("https://cdn.test/{digit}?sig={start}"),
                "ranges": [{
                    "chunks": {"start": start, "end": end},
                    "bytes": {"start": first, "end": last},
                }],
            }));
        }
        let answer = json!({"offset_into_first_range": skip, "terms": terms, "xorbs": xorbs});
        serde_json::from_value(answer).unwrap()
    }

    /// What each fetch brings: link, bytes, and its uses as (chunks, offset, length).
    type Shown = (String, Range<u64>, Vec<(Range<u32>, u64, u32)>);

    fn shown(fetches: &[Fetch]) -> Vec<Shown> {
        let uses = |fetch: &Fetch| {
            let uses = fetch.uses.iter();
            uses.map(|part| (part.chunks.clone(), part.offset, part.length))
                .collect()
        };
        fetches
            .iter()
            .map(|fetch| {
                let link = fetch.url.path().to_owned() + fetch.url.query().unwrap_or_default();
                (link, fetch.bytes.clone(), uses(fetch))
            })
            .collect()
    }

    #[test]
    fn each_range_is_fetched_once_and_knows_all_its_places() {
        let terms = [
            ("a", 2, 4, 100),
            ("b", 0, 1, 50),
            ("a", 3, 6, 200),
            ("a", 2, 4, 100),
            ("a", 9, 10, 7),
        ];
        let ranges = [
            ("a", 9, 10, 900, 920),
            ("b", 0, 3, 0, 99),
            ("a", 2, 6, 200, 599),
            ("c", 0, 1, 0, 99),
        ];
        let fetches = plan(&answer(0, &terms, &ranges), &window(0..457), 457, true).unwrap();
        assert_eq!(
            shown(&fetches),
            [
                (
                    "/asig=2".to_owned(),
                    200..600,
                    vec![(0..2, 0, 100), (0..2, 350, 100), (1..4, 150, 200)]
                ),
                ("/bsig=0".to_owned(), 0..100, vec![(0..1, 100, 50)]),
                ("/asig=9".to_owned(), 900..921, vec![(0..1, 450, 7)]),
            ]
        );
        let content: Vec<u64> = fetches.iter().map(Fetch::content).collect();
        assert_eq!(content, [400, 50, 7]);
        assert_eq!(fetches[0].chunks, 4);
    }

    #[test]
    fn windows_of_a_content() {
        let cut = |missing: &[Range<u64>], longest| -> Vec<(Range<u64>, bool)> {
            let windows = windows(missing, longest).into_iter();
            windows
                .map(|window| (window.range, window.has_first))
                .collect()
        };
        assert_eq!(cut(&[], 10), []);
        let part = 0..10;
        assert_eq!(cut(std::slice::from_ref(&part), 10), [(part, true)]);
        assert_eq!(
            cut(&[0..25, 30..31, 40..50], 10),
            [
                (0..10, true),
                (10..20, false),
                (20..25, false),
                (30..31, true),
                (40..50, true)
            ]
        );
    }

    #[test]
    fn a_chunk_across_a_border_belongs_to_one_window() {
        // The content's bytes 80 to 180 are asked for, and the first chunk begins at 50.
        let answer = answer(
            30,
            &[("a", 1, 3, 100), ("a", 3, 5, 80), ("b", 0, 1, 10)],
            &[("a", 1, 5, 100, 400), ("b", 0, 1, 0, 99)],
        );
        let mut window = window(80..180);
        let fetches = plan(&answer, &window, 300, true).unwrap();
        assert_eq!(fetches.len(), 1, "b begins behind the window");
        assert_eq!(
            (fetches[0].wanted.clone(), fetches[0].content()),
            (50..180, 130)
        );
        window.has_first = false;
        let fetches = plan(&answer, &window, 300, true).unwrap();
        assert_eq!(
            (fetches[0].wanted.clone(), fetches[0].content()),
            (80..180, 100)
        );
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        let good = || answer(0, &[("a", 0, 2, 100)], &[("a", 0, 2, 0, 99)]);
        let planned = |answer: &Answer, range: Range<u64>, size| {
            plan(answer, &window(range), size, true).err()
        };
        let whole = |answer: Answer| planned(&answer, 0..100, 100);
        assert_eq!(whole(good()), None);
        assert_eq!(planned(&good(), 0..99, 99), Some(Flaw::Sum), "too long");
        assert_eq!(planned(&good(), 0..101, 101), Some(Flaw::Sum), "too short");
        assert_eq!(planned(&good(), 0..100, 101), None, "a part");
        let a = [("a", 0, 2, 0, 99)];
        let of_terms = |skip, terms: &[(&str, u32, u32, u32)]| whole(answer(skip, terms, &a));
        let of_range = |range| whole(answer(0, &[("a", 0, 2, 100)], &[range]));
        for (found, expected) in [
            (of_terms(1, &[("a", 0, 2, 100)]), Flaw::Sum),
            (of_terms(u64::MAX, &[("a", 0, 2, 100)]), Flaw::Sum),
            (of_terms(0, &[]), Flaw::Sum),
            (of_terms(0, &[("a", 0, 2, u32::MAX)]), Flaw::Term),
            (of_terms(0, &[("a", 0, u32::MAX, u32::MAX); 3]), Flaw::Sum),
            (
                of_terms(0, &[("a", 0, 1, 100), ("a", 1, 2, 100)]),
                Flaw::Sum,
            ),
            (of_terms(0, &[("a", 0, 2, 1)]), Flaw::Term),
            (of_terms(0, &[("a", 2, 2, 100)]), Flaw::Term),
            (of_terms(0, &[("a", 2, 0, 100)]), Flaw::Term),
            (of_terms(0, &[("a", 1, 3, 100)]), Flaw::NoRange),
            (of_terms(0, &[("b", 0, 2, 100)]), Flaw::NoRange),
            (of_range(("a", 1, 3, 0, 99)), Flaw::NoRange),
            (of_range(("a", 0, 2, 99, 0)), Flaw::Range),
            (of_range(("a", 0, 2, 0, u64::MAX)), Flaw::Range),
            (of_range(("a", 0, 2, 0, 16)), Flaw::Range),
            (of_range(("a", 0, 2, 0, 2 * LONGEST_PACKED)), Flaw::Range),
        ] {
            assert_eq!(found, Some(expected));
        }
        for (link, is_secure, expected) in [
            ("https://cdn.test/x", true, None),
            ("http://cdn.test/x", false, None),
            ("http://cdn.test/x", true, Some(Flaw::Link)),
            ("file:///etc/passwd", false, Some(Flaw::Link)),
            ("nothing", false, Some(Flaw::Link)),
        ] {
            let mut answer = good();
            for signed in answer.xorbs.values_mut().flatten() {
                link.clone_into(&mut signed.url);
            }
            let found = plan(&answer, &window(0..100), 100, is_secure).err();
            assert_eq!(found, expected, "{link}");
        }
    }

    #[test]
    fn ranges_may_overlap() {
        let answer = answer(
            0,
            &[("a", 0, 9, 90), ("a", 5, 6, 10), ("a", 8, 12, 40)],
            &[
                ("a", 0, 9, 0, 899),
                ("a", 5, 6, 500, 599),
                ("a", 8, 12, 800, 1199),
            ],
        );
        let fetches = plan(&answer, &window(0..140), 140, true).unwrap();
        let found: Vec<_> = fetches.iter().map(|fetch| fetch.bytes.clone()).collect();
        assert_eq!(found, [0..900, 800..1200]);
    }

    #[test]
    fn plans_of_version_1() {
        let answer: OldAnswer = serde_json::from_value(json!({
            "offset_into_first_range": 0,
            "terms": [{"hash": xorb("a"), "unpacked_length": 9, "range": {"start": 3, "end": 4}}],
            "fetch_info": {xorb("a"): [
                {"range": {"start": 0, "end": 9}, "url": "https://cdn.test/a?sig=0",
                 "url_range": {"start": 0, "end": 199}},
            ]},
        }))
        .unwrap();
        let fetches = plan(&answer.into(), &window(0..9), 9, true).unwrap();
        assert_eq!(
            shown(&fetches),
            [("/asig=0".to_owned(), 0..200, vec![(3..4, 0, 9)])]
        );
    }

    #[test]
    fn a_million_terms_are_cheap() {
        let count = 1_000_000;
        let one = answer(
            0,
            &[("a", 7, 8, 10_000), ("a", 0, 100, 100_000)],
            &[("a", 0, 100, 0, 9999)],
        );
        let mut answer = one.clone();
        answer.terms = one.terms.iter().cycle().take(count).cloned().collect();
        let size = count as u64 / 2 * 110_000;
        let few = plan(&answer, &window(0..1 << 28), size, true);
        assert_eq!(few, Err(Flaw::Terms));
        // Work for each pair of them would not end.
        let fetches = plan(&answer, &window(0..size), size, true).unwrap();
        assert_eq!((fetches.len(), fetches[0].uses.len()), (1, count));
        assert_eq!(fetches[0].content(), size);
    }

    /// Numbers as they are in right answers, and any others.
    fn number() -> impl proptest::strategy::Strategy<Value = u32> {
        use proptest::prelude::*;
        prop_oneof![4 => 0_u32..12, 2 => 1_u32..200_000, 1 => any::<u32>()]
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4096))]

        /// Whatever the storage answers: an error, or fetches that stay within the content and the chunks.
        #[test]
        fn any_answer_is_a_plan_or_refused(
            skip in number(),
            terms in proptest::collection::vec((0_usize..3, number(), number(), number()), 0..6),
            ranges in proptest::collection::vec(
                (0_usize..3, number(), number(), proptest::prelude::any::<u64>(), number()), 0..6),
            (start, length, size) in (number(), number(), proptest::prelude::any::<u64>()),
            is_secure: bool,
        ) {
            const XORBS: [&str; 3] = ["a", "b", "c"];
            let terms: Vec<_> = terms
                .iter()
                .map(|&(xorb, start, chunks, bytes)| (XORBS[xorb], start, start.saturating_add(chunks), bytes))
                .collect();
            let ranges: Vec<_> = ranges
                .iter()
                .map(|&(xorb, start, chunks, first, bytes)| {
                    let last = first.saturating_add(bytes.into());
                    (XORBS[xorb], start, start.saturating_add(chunks), first, last)
                })
                .collect();
            let start = u64::from(start);
            let window = window(start..start + u64::from(length));
            for size in [size, window.range.end] {
                let Ok(fetches) = plan(&answer(skip.into(), &terms, &ranges), &window, size, is_secure)
                else {
                    continue;
                };
                for fetch in &fetches {
                    proptest::prop_assert!(fetch.bytes.start < fetch.bytes.end);
                    for part in &fetch.uses {
                        proptest::prop_assert!(part.end() <= size);
                        proptest::prop_assert!(part.chunks.start < part.chunks.end);
                        proptest::prop_assert!(part.chunks.end <= fetch.chunks);
                    }
                }
                let content: u64 = fetches.iter().map(Fetch::content).sum();
                proptest::prop_assert!(content >= window.range.end - window.range.start);
            }
        }
    }
}
