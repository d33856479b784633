use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    match Ini::parse(text) {
        Ok(ini) => {
            let sections: Vec<String> = ini
                .sections
                .iter()
                .map(|(name, options)| {
                    let names = options.iter().chain(&ini.defaults).map(|(name, _)| name);
                    let pairs: Vec<String> = names
                        .map(|option| format!("{option}={:?}", ini.get(name, option).unwrap()))
                        .collect();
                    format!("{name:?} {}", pairs.join(" "))
                })
                .collect();
            sections.join(" | ")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn reads_what_configparser_reads() {
    // Every expected value was checked with Python's configparser.
    for (text, expected) in [
        ("", ""),
        (
            "[a]\nhf_token = x\n\n[b]\nhf_token=y",
            "\"a\" hf_token=\"x\" | \"b\" hf_token=\"y\"",
        ),
        ("[a]\nHF_Token: x\n", "\"a\" hf_token=\"x\""),
        ("[ a b ]\nk = v\n", "\" a b \" k=\"v\""),
        ("[a]b] x\nk = v", "\"a]b\" k=\"v\""),
        ("[é ü:%]\nk = v", "\"é ü:%\" k=\"v\""),
        (
            "# c\n  ; c\n[a]\n# c\nk = v ; kept # kept\n",
            "\"a\" k=\"v ; kept # kept\"",
        ),
        (
            "[a]\nk = v\n  more\n\n  last\nj = w\n",
            "\"a\" k=\"v\\nmore\\n\\nlast\" j=\"w\"",
        ),
        ("[a]\nk = v\n# c\n  more\n", "\"a\" k=\"v\\nmore\""),
        ("[a]\nk =\n  v\n", "\"a\" k=\"\\nv\""),
        ("[a]\r\nk = v\r\n", "\"a\" k=\"v\""),
        ("[a]\rk = v", "\"a\" k=\"v\""),
        ("[a]\nk = a=b:c", "\"a\" k=\"a=b:c\""),
        (
            "[DEFAULT]\nd = 1\nk = 0\n[a]\nk = v\n",
            "\"a\" k=\"v\" d=\"1\" k=\"v\"",
        ),
        ("  [a]\n  k = v\n  j = w", "\"a\" k=\"v\" j=\"w\""),
        ("[a]\n [b]\nk = v", "\"a\"  | \"b\" k=\"v\""),
        ("\u{feff}[a]\nk = v", "\"a\" k=\"v\""),
        ("k = v", "line 1: there is no [section] above it"),
        ("\n[]\n", "line 2: there is no [section] above it"),
        ("[a]\nk = v\n[a]\n", "line 3: this section is there twice"),
        (
            "[a]\nk = v\nK : w\n",
            "line 3: this name is there twice in its section",
        ),
        (
            "[a]\nhf_token\n",
            "line 2: it is neither a [section] nor a name = value",
        ),
        (
            "[a]\n= v\n",
            "line 2: it is neither a [section] nor a name = value",
        ),
    ] {
        assert_eq!(shown(text), expected, "{text:?}");
    }
}

#[test]
fn writes_what_configparser_writes() {
    let mut ini = Ini::default();
    let options = |value: &str| vec![("hf_token".to_owned(), Zeroizing::new(value.to_owned()))];
    ini.set("my laptop", options("hf_b"));
    ini.set("Alpha", options("hf_%a"));
    ini.set("my laptop", options("hf_c"));
    assert_eq!(
        *ini.render(),
        "[Alpha]\nhf_token = hf_%a\n\n[my laptop]\nhf_token = hf_c\n\n"
    );
    assert!(ini.remove("Alpha"));
    assert!(!ini.remove("Alpha"));
    assert_eq!(format!("{ini:?}"), "[\"my laptop\"]");
}

#[test]
fn sections_are_found_after_one_was_removed() {
    let mut ini = Ini::parse("[a]\nk = 1\n[b]\nk = 2\n[c]\nk = 3\n").unwrap();
    assert!(ini.remove("b"));
    let found = ["a", "b", "c"].map(|name| ini.get(name, "k"));
    assert_eq!(found, [Some("1"), None, Some("3")]);
    ini.set("c", Options::new());
    ini.set("d", vec![("k".to_owned(), Zeroizing::new("4".to_owned()))]);
    assert_eq!((ini.get("c", "k"), ini.get("d", "k")), (None, Some("4")));
    assert_eq!(ini.names().collect::<Vec<_>>(), ["a", "c", "d"]);
}

/// Time must not grow with the square of the length: a hostile file has a megabyte and more.
#[test]
fn a_long_file_is_read_soon() {
    let sections: String = (0..40_000).map(|n| format!("[{n}]\n")).collect();
    let ini = Ini::parse(&sections).unwrap();
    assert_eq!(
        ini.names()
            .filter(|name| ini.get(name, "k").is_none())
            .count(),
        40_000
    );
    let options: String = (0..40_000).map(|n| format!("k{n} = v\n")).collect();
    assert!(Ini::parse(&format!("[a]\n{options}")).is_ok());
    assert!(Ini::parse(&format!("[DEFAULT]\n{options}")).is_ok());
    assert!(Ini::parse(&format!("[a]\nk = v\n{}", " more\n".repeat(40_000))).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*|([\\[\\]=:#; \ta-c\r\n]{0,60})") {
        if let Ok(ini) = Ini::parse(&text) {
            // What was once read is written so that it reads the same.
            let again = Ini::parse(&ini.render());
            prop_assert!(again.is_ok(), "{text:?}");
            for name in ini.names() {
                prop_assert!(ini.get(name, "hf_token").is_none_or(|value| value.len() <= text.len()));
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        sections in proptest::collection::btree_map(
            any::<String>().prop_filter("name", |name| fits_section_name(name)),
            any::<String>().prop_filter("value", |value| fits_value(value)),
            0..6,
        )
    ) {
        let mut ini = Ini::default();
        for (name, value) in &sections {
            ini.set(name, vec![("hf_token".to_owned(), Zeroizing::new(value.clone()))]);
        }
        let read = Ini::parse(&ini.render()).unwrap();
        prop_assert_eq!(read, ini);
    }
}
