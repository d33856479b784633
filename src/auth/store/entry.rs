//! One named token, and how it stands in its section of `stored_tokens`.

use ring::digest;
use zeroize::Zeroizing;

use crate::auth::ini::{Ini, Options};
use crate::auth::issuer::Issuer;
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
    crate::types::hash::hex(&hash.as_ref()[..16])
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
