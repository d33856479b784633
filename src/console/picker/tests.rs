use super::*;

fn entries() -> Vec<Entry> {
    (0..5)
        .map(|number| Entry {
            heading: (number % 2 == 0).then(|| format!("group {number}")),
            label: format!("entry {number}"),
        })
        .collect()
}

#[test]
fn keys() {
    let entries = entries();
    for (keys, expected, ticked) in [
        (&[Key::Char(' '), Key::Enter][..], Step::Accepted, &[0][..]),
        (
            &[Key::ArrowDown, Key::Char(' '), Key::End, Key::Char(' ')],
            Step::Toggled,
            &[1, 4],
        ),
        (&[Key::Char(' '), Key::Char(' ')], Step::Toggled, &[]),
        (&[Key::Char('a')], Step::Toggled, &[0, 1, 2, 3, 4]),
        (&[Key::Char('a'), Key::Char('a')], Step::Toggled, &[]),
        (&[Key::ArrowDown, Key::Char('r')], Step::Toggled, &[0, 1]),
        (&[Key::End, Key::Char('r')], Step::Toggled, &[4]),
        (
            &[Key::Char(' '), Key::Char('r'), Key::Char('r')],
            Step::Toggled,
            &[],
        ),
        (
            &[Key::PageDown, Key::ArrowUp, Key::Char(' ')],
            Step::Toggled,
            &[2],
        ),
        (&[Key::ArrowUp, Key::CtrlC], Step::Interrupted, &[]),
        (&[Key::Escape], Step::Cancelled, &[]),
        (&[Key::Char('z')], Step::Moved, &[]),
    ] {
        let mut picker = Picker {
            entries: &entries,
            cursor: 0,
            ticked: BTreeSet::new(),
        };
        let last = keys.iter().map(|key| picker.press(key, 3)).last();
        assert_eq!(last, Some(expected), "{keys:?}");
        assert_eq!(picker.ticked, ticked.iter().copied().collect(), "{keys:?}");
    }
}

fn texts(lines: Vec<(Style, Safe)>) -> Vec<String> {
    let texts = lines.into_iter().map(|(_, text)| text);
    texts.map(|text| text.as_str().to_owned()).collect()
}

#[test]
fn a_long_list_scrolls_with_the_cursor_and_never_wraps() {
    let entries = entries();
    let mut picker = Picker {
        entries: &entries,
        cursor: 4,
        ticked: BTreeSet::from([3]),
    };
    assert_eq!(
        texts(picker.lines(3, 80)),
        ["  … 6 more above", "group 4", "> [ ] entry 4"]
    );
    assert_eq!(texts(picker.lines(1, 8)), ["> [ ] e"]);
    assert_eq!(picker.lines(100, 80).len(), 8);
    picker.cursor = 0;
    assert_eq!(
        texts(picker.lines(4, 80)),
        [
            "group 0",
            "> [ ] entry 0",
            "  [ ] entry 1",
            "  … 5 more below"
        ]
    );
}

#[test]
fn every_size_of_screen_is_kept_to_and_shows_the_cursor() {
    let entries = entries();
    for cursor in 0..5 {
        let picker = Picker {
            entries: &entries,
            cursor,
            ticked: BTreeSet::new(),
        };
        for rows in 1..16 {
            for columns in [1, 2, 10, 80] {
                let lines = texts(picker.screen("Question?", "nothing", (rows, columns)));
                assert!(lines.len() <= usize::from(rows), "{rows} {lines:?}");
                let wide = |line: &String| line.chars().count() < usize::from(columns).max(1);
                assert!(
                    lines.iter().all(|l| wide(l) || l.is_empty()),
                    "{columns} {lines:?}"
                );
                let is_seen = lines.iter().any(|line| line.starts_with('>'));
                assert!(is_seen || columns < 2, "{cursor} {rows} {lines:?}");
            }
        }
    }
}
