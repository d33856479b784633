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
    let planned =
        |answer: &Answer, range: Range<u64>, size| plan(answer, &window(range), size, true).err();
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
