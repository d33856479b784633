//! The access token: a secret that cannot be printed by accident.

use std::fmt;

use zeroize::Zeroizing;

/// An access token. `Debug` is redacted, there is no `Display`, and the memory is wiped on drop;
/// [`Token::expose`] gives the characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

/// Why a text cannot be a token. It never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// A space, tab or line break inside the token.
    #[error("it contains blanks in the middle")]
    Blank,
    /// A character that cannot stand in an HTTP header, for example an invisible one.
    #[error("it contains a character that no token has (U+{0:04X})")]
    Character(u32),
}

impl Token {
    /// Cleans a value as it comes from a prompt, a file or a variable: CR, LF and surrounding
    /// blanks go, as in the Python client. `Ok(None)` means nothing was left: the source counts as
    /// unset.
    ///
    /// # Errors
    /// [`InvalidToken`] when what remains cannot be sent in a header.
    pub fn clean(raw: &str) -> Result<Option<Token>, InvalidToken> {
        let text: Zeroizing<String> =
            Zeroizing::new(raw.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
        let text = text.trim_matches([' ', '\t', '\u{b}', '\u{c}', '\u{a0}', '\u{feff}']);
        if text.is_empty() {
            return Ok(None);
        }
        for c in text.chars() {
            match c {
                ' ' | '\t' => return Err(InvalidToken::Blank),
                '!'..='~' => {}
                _ => return Err(InvalidToken::Character(c as u32)),
            }
        }
        Ok(Some(Token(Zeroizing::new(text.to_owned()))))
    }

    /// Cleans what a person pasted: besides what [`Token::clean`] removes, everything that tends to
    /// be copied along. Returns what was removed, to tell the person.
    ///
    /// # Errors
    /// [`InvalidToken`] when what remains is still no token.
    pub fn from_paste(raw: &str) -> Result<Option<(Token, Vec<&'static str>)>, InvalidToken> {
        let mut removed = Vec::new();
        // A copied line break may come with the indentation of the next line.
        let lines: Vec<&str> = raw
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        if lines.len() > 1 {
            removed.push("line breaks");
        }
        let joined = Zeroizing::new(lines.concat());
        let visible: Zeroizing<String> =
            Zeroizing::new(joined.chars().filter(|&c| !is_invisible(c)).collect());
        if visible.len() < joined.len() {
            removed.push("invisible characters");
        }
        let mut text = visible.trim();
        loop {
            let before = text;
            for (prefix, name) in [
                ("Authorization:", "the word Authorization"),
                ("Bearer", "the word Bearer"),
                ("export", "the word export"),
                ("HF_TOKEN=", "HF_TOKEN="),
            ] {
                if let Some(rest) = strip_word(text, prefix) {
                    removed.push(name);
                    text = rest.trim();
                }
            }
            let bare = text.trim_matches([
                '"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
            ]);
            if bare.len() < text.len() {
                removed.push("quotes");
                text = bare.trim();
            }
            if text == before {
                break;
            }
        }
        removed.dedup();
        Ok(Token::clean(text)?.map(|token| (token, removed)))
    }

    /// The characters themselves. Every call is a place where a token could leak.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// First three and last four characters, as `auth list` shows a token
    /// (docs/reference.md#auth-list). A short one is hidden whole: there the ends would be most of
    /// it.
    pub fn masked(&self) -> String {
        let text: &str = &self.0;
        if text.len() < 12 {
            return "****".to_owned();
        }
        format!("{}****{}", &text[..3], &text[text.len() - 4..])
    }

    /// What looks wrong about a token that was refused, in words that repeat nothing of it. Tokens
    /// from the settings page are `hf_` and 34 letters or digits.
    pub fn oddity(&self) -> Option<String> {
        let text: &str = &self.0;
        if !text.starts_with("hf_") {
            return Some("a token begins with hf_, and this one does not".to_owned());
        }
        let rest = &text[3..];
        if rest.contains('_') {
            return None;
        }
        if !rest.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Some("it contains a character that no token has".to_owned());
        }
        match rest.len() {
            34 => None,
            length => Some(format!(
                "a token has 37 characters, and this one has {}",
                length + 3
            )),
        }
    }

    /// Whether this is an organisation's API token, which the Hub no longer accepts for login.
    pub fn is_organization(&self) -> bool {
        self.0.starts_with("api_org")
    }
}

/// Characters that leave no mark on the screen and are in no token.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{a0}' | '\u{180e}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}')
        || (c.is_control() && c != '\t')
}

/// `text` without a leading word in any case. A word of letters ends at a blank or at the end.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = (text.get(..word.len())?, &text[word.len()..]);
    let ends = !word.ends_with(char::is_alphabetic)
        || rest.is_empty()
        || rest.starts_with(char::is_whitespace);
    (ends && head.eq_ignore_ascii_case(word)).then_some(rest)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_removes_line_breaks_and_outer_blanks() {
        for (raw, expected) in [
            ("hf_abc\n", Some("hf_abc")),
            ("  hf_abc\r\n ", Some("hf_abc")),
            ("hf_\nabc", Some("hf_abc")),
            ("\u{feff}hf_abc", Some("hf_abc")),
            ("", None),
            (" \n\t", None),
        ] {
            let token = Token::clean(raw).unwrap();
            assert_eq!(token.as_ref().map(Token::expose), expected, "{raw:?}");
        }
        assert_eq!(Token::clean("hf_a b"), Err(InvalidToken::Blank));
        assert_eq!(
            Token::clean("hf_a\u{200b}b"),
            Err(InvalidToken::Character(0x200b))
        );
    }

    #[test]
    fn pasted_text_is_cleaned_and_what_was_removed_is_named() {
        for (raw, removed) in [
            ("hf_abc", &[][..]),
            (" hf_abc \r\n", &[]),
            ("\"hf_abc\"", &["quotes"]),
            ("\u{201c}hf_abc\u{201d}\n", &["quotes"]),
            ("Bearer hf_abc", &["the word Bearer"]),
            (
                "Authorization: bearer hf_abc",
                &["the word Authorization", "the word Bearer"],
            ),
            ("'Bearer hf_abc'", &["quotes", "the word Bearer"]),
            (
                "export HF_TOKEN=\"hf_abc\"",
                &["the word export", "HF_TOKEN=", "quotes"],
            ),
            ("hf_a\n   bc", &["line breaks"]),
            ("hf_a\u{200b}bc\u{feff}", &["invisible characters"]),
            ("\u{1b}hf_abc", &["invisible characters"]),
        ] {
            let (token, named) = Token::from_paste(raw).unwrap().unwrap();
            assert_eq!(token.expose(), "hf_abc", "{raw:?}");
            assert_eq!(named, removed, "{raw:?}");
        }
        for nothing in ["", " \n", "\"\"", "Bearer ", "\u{200b}"] {
            assert!(
                matches!(Token::from_paste(nothing), Ok(None)),
                "{nothing:?}"
            );
        }
        assert!(Token::from_paste("hf_abc def").is_err());
        assert!(Token::from_paste("hf_é").is_err());
    }

    #[test]
    fn what_looks_wrong() {
        let oddity = |text: String| Token::clean(&text).unwrap().unwrap().oddity();
        assert_eq!(oddity(format!("hf_{}", "a".repeat(34))), None);
        assert_eq!(oddity(format!("hf_oauth_{}", "a".repeat(9))), None);
        for bad in ["h_abc", "sk-abc", "hf_abc", "hf_a-c"] {
            assert!(oddity(bad.to_owned()).is_some(), "{bad}");
        }
    }

    proptest::proptest! {
        /// Whatever a file, a variable or a clipboard holds: an error, nothing, or what fits a header.
        #[test]
        fn any_text_is_a_token_or_none(text in "\\PC*|[ -~\\s\u{feff}\u{200b}\"'`]{0,80}|(Bearer |export |HF_TOKEN=|\"|Authorization:){0,6}[a-z é]{0,9}") {
            let found = [
                Token::clean(&text).ok().flatten(),
                Token::from_paste(&text).ok().flatten().map(|(token, _)| token),
            ];
            for token in found.into_iter().flatten() {
                proptest::prop_assert!(token.expose().bytes().all(|byte| byte.is_ascii_graphic()));
                proptest::prop_assert!(!token.expose().is_empty());
                let again = Token::clean(token.expose());
                proptest::prop_assert_eq!(again, Ok(Some(token.clone())));
                let shown = format!("{} {:?}", token.masked(), token.oddity());
                proptest::prop_assert!(token.expose().len() < 12 || !shown.contains(token.expose()));
            }
        }
    }

    #[test]
    fn nothing_prints_the_secret() {
        let token = Token::clean("hf_verysecretvalue").unwrap().unwrap();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        assert_eq!(token.masked(), "hf_****alue");
        assert_eq!(Token::clean("hf_short").unwrap().unwrap().masked(), "****");
    }
}
