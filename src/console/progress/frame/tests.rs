use super::*;

fn view() -> View {
    let file = |name: &str, done, size| FileView {
        name: name.to_owned(),
        done,
        size,
    };
    View {
        files: (40, 12),
        bytes: (14_500_000_000, 6_100_000_000),
        rate: Some(122_000_000),
        silent: None,
        named: vec![
            file(
                "model-00001-of-00002.safetensors",
                1_200_000_000,
                Some(4_900_000_000),
            ),
            file(
                "model-00002-of-00002.safetensors",
                4_899_000_000,
                Some(4_900_000_000),
            ),
            file("onnx/名前\u{1b}.bin", 700_000, Some(3_000_000)),
            file("unknown", 5_000_000, None),
        ],
    }
}

fn shown(view: &View, columns: usize) -> Vec<String> {
    let window = Window {
        columns,
        rows: 20,
        color: false,
    };
    let lines = lines(view, window);
    let lines: Vec<String> = lines.iter().map(|line| line.as_str().to_owned()).collect();
    for line in &lines {
        assert!(width(line) <= columns, "{columns}: {line}");
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn at_every_width() {
    let text: Vec<String> = [29, 50, 79, 119, 199]
        .iter()
        .map(|&columns| format!("{columns}\n{}", shown(&view(), columns).join("\n")))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    for columns in 1..250 {
        shown(&view(), columns);
    }
}

#[test]
fn moments() {
    let plain = View {
        named: Vec::new(),
        ..view()
    };
    let one = View {
        files: (1, 0),
        ..view()
    };
    let views = [
        (
            "at the start",
            View {
                rate: None,
                bytes: (14_500_000_000, 0),
                ..plain.clone()
            },
        ),
        (
            "stopped",
            View {
                silent: Some(12),
                ..plain.clone()
            },
        ),
        (
            "all there",
            View {
                bytes: (14_500_000_000, 14_500_000_000),
                ..plain.clone()
            },
        ),
        (
            "unknown sizes",
            View {
                bytes: (0, 700),
                ..plain.clone()
            },
        ),
        ("one file", one),
    ];
    let text: Vec<String> = views
        .iter()
        .map(|(what, view)| format!("{what}\n{}", shown(view, 79).join("\n")))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    assert!(!text.join("").contains("0 B/s"));
}

#[test]
fn colours_only_where_there_are_some() {
    let window = Window {
        columns: 79,
        rows: 20,
        color: true,
    };
    let line = lines(&view(), window).pop().unwrap();
    assert!(line.as_str().contains("\u{1b}[32m━"), "{:?}", line.as_str());
    assert!(line.as_str().contains("\u{1b}[90m━"), "{:?}", line.as_str());
    let plain = Window {
        color: false,
        ..window
    };
    assert!(
        !lines(&view(), plain)
            .iter()
            .any(|line| line.as_str().contains('\u{1b}'))
    );
}

#[test]
fn few_rows() {
    for (rows, expected) in [(1, 1), (2, 2), (3, 3), (50, 5)] {
        let window = Window {
            columns: 79,
            rows,
            color: false,
        };
        assert_eq!(lines(&view(), window).len(), expected);
    }
}
