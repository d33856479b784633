//! Branches, tags and commits.

use std::fmt;
use std::str::FromStr;

use super::name::{InvalidName, invalid};

/// A branch, tag, pull request ref or commit, as the user typed it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(String);

impl Revision {
    /// The default branch.
    pub fn main() -> Self {
        Revision("main".to_owned())
    }

    /// The revision as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The commit this revision names directly, when it is a full hash.
    pub fn as_commit(&self) -> Option<CommitHash> {
        self.0.parse().ok()
    }
}

impl From<&CommitHash> for Revision {
    fn from(commit: &CommitHash) -> Self {
        Revision(commit.as_str().to_owned())
    }
}

impl FromStr for Revision {
    type Err = InvalidName;

    /// A revision becomes a path below `refs/`, so what would leave that folder is refused.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = |reason| Err(invalid("revision", text, reason));
        if text.is_empty() {
            return bad("is empty");
        }
        if text
            .chars()
            .any(|c| c.is_control() || matches!(c, '\\' | ' ' | '~' | '^' | ':' | '?' | '*' | '['))
        {
            return bad("has a character that no git revision has");
        }
        if text
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return bad("has an empty or dotted part");
        }
        Ok(Revision(text.to_owned()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A full commit hash: 40 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitHash(String);

impl CommitHash {
    /// Digits of a whole hash.
    pub const DIGITS: usize = 40;
    /// Fewest digits that can stand for a commit, where its first digits are enough.
    pub const FEWEST_DIGITS: usize = 4;

    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitHash {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() == Self::DIGITS && is_lower_hex(text) {
            Ok(CommitHash(text.to_owned()))
        } else {
            Err(invalid("commit", text, "is not 40 lower-case hex digits"))
        }
    }
}

impl fmt::Display for CommitHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a word may be a commit or the beginning of one.
pub fn is_commit_prefix(word: &str) -> bool {
    (CommitHash::FEWEST_DIGITS..=CommitHash::DIGITS).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a text holds nothing but `0-9a-f`.
pub fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions() {
        for good in ["main", "v1.0", "refs/pr/1", "feature/x", "e5"] {
            assert!(good.parse::<Revision>().is_ok(), "{good}");
        }
        for bad in ["", "..", "a/../b", "/a", "a//b", "a\0", "a\\b", "a/"] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(commit.parse::<Revision>().unwrap().as_commit().is_some());
        assert!(Revision::main().as_commit().is_none());
    }
}
