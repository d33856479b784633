//! The access token: a secret that cannot be printed by accident.

use std::fmt;

use zeroize::Zeroizing;

/// An access token. `Debug` is redacted, there is no `Display`, and the memory is wiped on drop;
/// whoever needs the characters says so with [`Token::expose`].
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

    /// The characters themselves. Every call is a place to look at when asking where a token goes.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// First three and last four characters, as `auth list` shows a token (REFERENCE 3). A short
    /// one is hidden whole: there the ends would be most of it.
    pub fn masked(&self) -> String {
        let text: &str = &self.0;
        if text.len() < 12 {
            return "****".to_owned();
        }
        format!("{}****{}", &text[..3], &text[text.len() - 4..])
    }

    /// Whether this is an organisation's API token, which the Hub no longer accepts for login.
    pub fn is_organization(&self) -> bool {
        self.0.starts_with("api_org")
    }
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
    fn nothing_prints_the_secret() {
        let token = Token::clean("hf_verysecretvalue").unwrap().unwrap();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        assert_eq!(token.masked(), "hf_****alue");
        assert_eq!(Token::clean("hf_short").unwrap().unwrap().masked(), "****");
    }
}
