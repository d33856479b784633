//! What is kept of a login: a named token, and how it stands in its section of `stored_tokens`.

use ring::digest;
use zeroize::Zeroizing;

use super::ini::{self, Ini, Options};
use super::issuer::Issuer;
use crate::types::token::Token;

/// Option names in a section.
const HF_TOKEN: &str = "hf_token";
const REFRESH_TOKEN: &str = "refresh_token";
const EXPIRES_AT: &str = "expires_at";
/// Ours: the Hub that gave the login. The Python clients keep it while they write other sections,
/// and drop it with the section that they write.
const ENDPOINT: &str = "endpoint";
/// Ours: [`fingerprint`] of the token that the last renewal replaced.
const REPLACED: &str = "replaced_token";

/// A token that expires within this many seconds is renewed (docs/reference.md#renewal).
const MARGIN: i64 = 24 * 3600;

/// Where a token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Storage {
    /// `token` and `stored_tokens` in HF_HOME.
    // The Python clients share these files.
    File,
    /// Secret Service or Keychain.
    // Only this tool reads it.
    Keyring,
}

impl Storage {
    /// `file` or `keyring`.
    pub fn as_str(self) -> &'static str {
        match self {
            Storage::File => "file",
            Storage::Keyring => "keyring",
        }
    }
}

/// What a login brings: a token, and for a browser login what renews it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The access token.
    pub token: Token,
    /// Exchanged for a new token before this one expires.
    pub refresh_token: Option<Token>,
    /// When the token expires, in seconds since 1970.
    pub expires_at: Option<i64>,
}

impl From<Token> for Grant {
    /// A token from the settings page: the Hub alone knows when it ends.
    fn from(token: Token) -> Self {
        Grant {
            token,
            refresh_token: None,
            expires_at: None,
        }
    }
}

/// One named token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// Section name: what the user called it on the settings page, or `oauth-<user>`.
    pub name: String,
    /// The token; `None` when the section has none, or none that could be sent.
    pub token: Option<Token>,
    /// What a browser login renews it with.
    pub refresh_token: Option<Token>,
    /// When it stops being valid, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// The Hub that gave it.
    pub issuer: Issuer,
    /// [`fingerprint`] of the token that it replaced when it was renewed.
    pub replaced: Option<String>,
}

/// What a token can be known again by when it is gone, and not be found out from: half of its
/// SHA-256, in hex digits.
pub fn fingerprint(token: &Token) -> String {
    let hash = digest::digest(&digest::SHA256, token.expose().as_bytes());
    hex::encode(&hash.as_ref()[..16])
}

impl StoredToken {
    /// Whether a renewal put this token in the place of `old`.
    pub fn replaces(&self, old: &Token) -> bool {
        self.token.is_some() && self.replaced.as_ref() == Some(&fingerprint(old))
    }

    /// The section of this name.
    pub(super) fn read(ini: &Ini, name: &str) -> StoredToken {
        let token = |option| {
            ini.get(name, option)
                .and_then(|text| Token::clean(text).ok().flatten())
        };
        StoredToken {
            name: name.to_owned(),
            token: token(HF_TOKEN),
            refresh_token: token(REFRESH_TOKEN),
            expires_at: ini.get(name, EXPIRES_AT).and_then(seconds),
            issuer: Issuer::stored(ini.get(name, ENDPOINT)),
            replaced: ini.get(name, REPLACED).map(str::to_owned),
        }
    }

    /// What to write into its section.
    pub(super) fn options(&self) -> Options {
        let secret = |token: &Token| token.expose().to_owned();
        let all = [
            (HF_TOKEN, self.token.as_ref().map(secret)),
            (REFRESH_TOKEN, self.refresh_token.as_ref().map(secret)),
            (EXPIRES_AT, self.expires_at.map(|at| at.to_string())),
            (ENDPOINT, self.issuer.to_store().map(str::to_owned)),
            (REPLACED, self.replaced.clone()),
        ];
        let known = all.into_iter();
        known
            .filter_map(|(name, value)| Some((name.to_owned(), Zeroizing::new(value?))))
            .collect()
    }
}

/// A name that a section can have: control characters become blanks, and what `configparser` cannot
/// store (nothing, or its own `DEFAULT`) gets another name.
pub fn section_name(wanted: &str) -> String {
    let clean: String = wanted
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match clean.trim() {
        "" => "token".to_owned(),
        name if ini::fits_section_name(name) => name.to_owned(),
        name => format!("{name}-token"),
    }
}

/// Whether a token should be renewed. `now` is in seconds since 1970.
pub fn is_due(entry: &StoredToken, now: i64) -> bool {
    let is_late = |at: i64| at.saturating_sub(MARGIN) <= now;
    entry.refresh_token.is_some() && entry.expires_at.is_some_and(is_late)
}

/// A number of seconds, whatever it looks like: whole, with a fraction, or beyond all bounds.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let fraction = || {
        let number = text.parse::<f64>().ok().filter(|number| !number.is_nan())?;
        #[expect(clippy::cast_possible_truncation, reason = "it stops at both ends")]
        Some(number as i64)
    };
    text.parse().ok().or_else(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::clean(text).unwrap().unwrap()
    }

    #[test]
    fn due_in_the_last_day_whatever_the_numbers() {
        let entry = |expires_at| StoredToken {
            name: "x".to_owned(),
            token: Some(token("hf_x")),
            refresh_token: Some(token("r")),
            expires_at,
            issuer: Default::default(),
            replaced: None,
        };
        for (expires_at, now, expected) in [
            (None, 0, false),
            (Some(MARGIN + 10), 9, false),
            (Some(MARGIN + 10), 10, true),
            (Some(-5), 0, true),
            (Some(i64::MIN), 0, true),
            (Some(i64::MAX), 0, false),
            (Some(i64::MAX), i64::MAX, true),
            (Some(i64::MIN), i64::MIN, true),
        ] {
            assert_eq!(
                is_due(&entry(expires_at), now),
                expected,
                "{expires_at:?} {now}"
            );
        }
        let bare = StoredToken {
            refresh_token: None,
            ..entry(Some(0))
        };
        assert!(!is_due(&bare, 10), "there is nothing to renew it with");
    }
}
