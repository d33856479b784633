//! The only text that reaches a terminal: nothing in it but our own styles moves the cursor, changes
//! colours, controls the terminal or looks like other text.
//!
//! Streams write only [`Safe`], and only this module makes it: whatever callers pass, a name from a
//! server, a path, a variable or a whole message that contains one, is escaped here. Callers may escape earlier (so that a name cannot break a line): escaped text stays as it is.

use clap::builder::StyledStr;

use super::text::{escape, is_deceptive, push_escaped};

/// Styles of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Red,
    Green,
    Yellow,
    Cyan,
    Gray,
    Bold,
    Inverse,
}

impl Paint {
    /// The parameter of the control sequence that selects it (ECMA-48, SGR).
    fn code(self) -> &'static str {
        match self {
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Cyan => "36",
            Paint::Gray => "90",
            Paint::Bold => "1",
            Paint::Inverse => "7",
        }
    }
}

/// Text that may go to a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Safe(String);

impl Safe {
    /// Text whose line breaks and tabs are meant.
    pub fn lines(text: &str) -> Self {
        // Most text is: a listing of a million files is shown in a fifth less time.
        if text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
        {
            return Safe(text.to_owned());
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' | '\t' => out.push(c),
                c => push_escaped(&mut out, c),
            }
        }
        Safe(out)
    }

    /// Text of one line: a line break in it comes from outside and is escaped.
    pub fn line(text: &str) -> Self {
        Safe(escape(text))
    }

    /// clap's words, with its styles or without. Of control sequences only those pass that clap itself
    /// uses: styles that hide nothing.
    pub fn styled(text: &StyledStr, color: bool) -> Self {
        if !color {
            return Safe::lines(&text.to_string());
        }
        let text = text.ansi().to_string();
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            let taken = match style_at(rest) {
                Some(style) => {
                    out.push_str(style);
                    style.len()
                }
                None => {
                    match c {
                        '\n' | '\t' => out.push(c),
                        c => push_escaped(&mut out, c),
                    }
                    c.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        Safe(out)
    }

    /// The same in a style, when there is one.
    pub fn painted(self, paint: Option<Paint>) -> Self {
        match paint {
            Some(paint) => Safe(format!("\u{1b}[{}m{}\u{1b}[0m", paint.code(), self.0)),
            None => self,
        }
    }

    /// Lines that replace those below the cursor, which stays where it is, on the first of them
    /// (ECMA-48: EL, ED and CUU).
    pub fn frame(lines: &[Safe]) -> Self {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("{}\x1b[K", line.0))
            .collect();
        let up = match lines.len() {
            0 | 1 => String::new(),
            more => format!("\x1b[{}A", more - 1),
        };
        Safe(format!("\r{}\x1b[J\r{up}", lines.join("\r\n")))
    }

    /// One after the other.
    pub fn then(mut self, next: Safe) -> Self {
        self.0.push_str(&next.0);
        self
    }

    /// The first characters, at most so many. For what was not painted yet.
    pub fn cut(self, characters: usize) -> Self {
        Safe(self.0.chars().take(characters).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        debug_assert!(
            !self
                .0
                .chars()
                .any(|c| is_deceptive(c) && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}')),
            "nothing gets past the constructors"
        );
        &self.0
    }
}

/// The harmless style that begins here: bold, dim, underlined, one of the sixteen colours, or the end
/// of those.
fn style_at(text: &str) -> Option<&str> {
    let (parameters, _) = text.strip_prefix("\u{1b}[")?.split_once('m')?;
    let is_harmless = parameters.split(';').all(|parameter| {
        matches!(
            parameter.parse::<u8>(),
            Ok(0..=2 | 4 | 22 | 24 | 31..=37 | 39 | 90..=97)
        )
    });
    is_harmless.then(|| &text[.."\u{1b}[".len() + parameters.len() + 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRICKS: &str =
        "a\u{1b}]52;c;eA==\u{7}\r\u{1b}[2J\u{9b}31m\u{202e}\u{200e}\u{ad}\u{e0041}b";
    const SHOWN: &str = "a\\x1b]52;c;eA==\\x07\\r\\x1b[2J\\x9b31m\\u202e\\u200e\\xad\\U000e0041b";

    #[test]
    fn tricks_are_spelled_out() {
        assert_eq!(Safe::line(TRICKS).as_str(), SHOWN);
        assert_eq!(Safe::lines(TRICKS).as_str(), SHOWN);
        assert_eq!(Safe::line("a\n\tb").as_str(), "a\\n\\tb");
        assert_eq!(Safe::lines("a\n\tb").as_str(), "a\n\tb");
        let painted = Safe::line(TRICKS).painted(Some(Paint::Red));
        assert_eq!(painted.as_str(), format!("\u{1b}[31m{SHOWN}\u{1b}[0m"));
        assert_eq!(Safe::line("x").then(Safe::line("\r")).as_str(), "x\\r");
        assert_eq!(Safe::line("\u{1b}x").cut(3).as_str(), "\\x1");
    }

    #[test]
    fn of_clap_only_styles_pass() {
        for (text, expected) in [
            (
                "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no",
                "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no",
            ),
            ("\u{1b}[1;33mtip\u{1b}[39m", "\u{1b}[1;33mtip\u{1b}[39m"),
            // Hidden, blinking and inverse text, other colours, other sequences.
            ("\u{1b}[8mx", "\\x1b[8mx"),
            ("\u{1b}[1;8mx", "\\x1b[1;8mx"),
            ("\u{1b}[38;5;0mx", "\\x1b[38;5;0mx"),
            ("\u{1b}[2Jm", "\\x1b[2Jm"),
            ("\u{1b}[30mx", "\\x1b[30mx"),
            ("\u{1b}[", "\\x1b["),
        ] {
            assert_eq!(
                Safe::styled(&StyledStr::from(text), true).as_str(),
                expected
            );
        }
        let plain = Safe::styled(&StyledStr::from("\u{1b}[1mx\u{1b}[0m\u{202e}"), false);
        assert_eq!(plain.as_str(), "x\\u202e");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Nothing gets through, and what is escaped stays as it is.
        #[test]
        fn any_text(text in prop_oneof![".{0,60}", "[\\x00-\\u{10ffff}]{0,60}", "(\u{1b}\\[[0-9;]{0,6}[a-zA-Z]|[\u{0}-\u{20}\u{80}-\u{a0}]|x){0,20}"]) {
            let line = Safe::line(&text);
            prop_assert!(!line.as_str().chars().any(is_deceptive));
            prop_assert_eq!(&Safe::line(line.as_str()), &line);
            prop_assert_eq!(&Safe::lines(line.as_str()), &line);
            let lines = Safe::lines(&text);
            prop_assert_eq!(lines.as_str().matches('\n').count(), text.matches('\n').count());
            let styled = Safe::styled(&StyledStr::from(text.clone()), true);
            let mut rest = styled.as_str();
            while let Some(at) = rest.find('\u{1b}') {
                prop_assert!(style_at(&rest[at..]).is_some());
                rest = &rest[at + 1..];
            }
        }
    }
}
