//! Why a name was refused.

/// Why a name was refused. The text names the value, escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {:?} {reason}", shortened(value))]
pub struct InvalidName {
    what: &'static str,
    value: String,
    reason: &'static str,
}

impl InvalidName {
    /// What is wrong with it, as the rest of a sentence.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

/// A name as it can be shown: of one that fills the screen, the two ends.
pub fn shortened(name: &str) -> std::borrow::Cow<'_, str> {
    const LONGEST: usize = 160;
    const END: usize = 40;
    let count = name.chars().count();
    if count <= LONGEST {
        return name.into();
    }
    let head: String = name.chars().take(LONGEST - END).collect();
    let tail: String = name.chars().skip(count - END).collect();
    format!("{head}…{tail}").into()
}

/// The error for a value of this kind, with the reason as a verb phrase.
pub(super) fn invalid(what: &'static str, value: &str, reason: &'static str) -> InvalidName {
    InvalidName {
        what,
        value: value.to_owned(),
        reason,
    }
}
