//! Names of the field, validated once at the edge: repository, revision, commit, path.

mod path;

use std::fmt;
use std::str::FromStr;

pub use self::path::{RepoPath, is_deceptive};

/// Kind of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum RepoType {
    /// A model: the default everywhere.
    Model,
    /// A dataset.
    Dataset,
    /// A Space.
    Space,
    /// A compute kernel.
    Kernel,
}

impl RepoType {
    /// All types, in the order of listings.
    pub const ALL: [RepoType; 4] = [
        RepoType::Model,
        RepoType::Dataset,
        RepoType::Space,
        RepoType::Kernel,
    ];

    /// `model`, `dataset`…
    pub fn as_str(self) -> &'static str {
        match self {
            RepoType::Model => "model",
            RepoType::Dataset => "dataset",
            RepoType::Space => "space",
            RepoType::Kernel => "kernel",
        }
    }

    /// `models`, `datasets`…: the segment of API routes and the prefix of cache folders.
    pub fn plural(self) -> &'static str {
        match self {
            RepoType::Model => "models",
            RepoType::Dataset => "datasets",
            RepoType::Space => "spaces",
            RepoType::Kernel => "kernels",
        }
    }

    /// What stands before the id in a web or resolve URL: nothing for a model.
    pub fn url_prefix(self) -> &'static str {
        match self {
            RepoType::Model => "",
            RepoType::Dataset => "datasets/",
            RepoType::Space => "spaces/",
            RepoType::Kernel => "kernels/",
        }
    }

    /// The type whose plural this is.
    pub fn from_plural(text: &str) -> Option<RepoType> {
        RepoType::ALL.into_iter().find(|t| t.plural() == text)
    }
}

impl fmt::Display for RepoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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

fn invalid(what: &'static str, value: &str, reason: &'static str) -> InvalidName {
    InvalidName {
        what,
        value: value.to_owned(),
        reason,
    }
}

/// `name` or `namespace/name` (rules of REFERENCE 5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoId(String);

impl RepoId {
    /// The id as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepoId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = |reason| Err(invalid("repository id", text, reason));
        if text.matches('/').count() > 1 {
            return bad("has more than one slash; write namespace/name");
        }
        for part in text.split('/') {
            if part.is_empty() {
                return bad("has an empty part");
            }
            if part.len() > 96 {
                return bad("has a part of more than 96 characters");
            }
            if !part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            {
                return bad("may hold only letters, digits, '-', '_' and '.'");
            }
            if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
                return bad("may not start or end with '-' or '.'");
            }
        }
        if text.contains("--") || text.contains("..") {
            return bad("may not contain '--' or '..'");
        }
        if text.ends_with(".git") {
            return bad("may not end with '.git'");
        }
        Ok(RepoId(text.to_owned()))
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository: its type and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repo {
    /// Model, dataset…
    pub repo_type: RepoType,
    /// `namespace/name`.
    pub id: RepoId,
}

impl Repo {
    /// Path of the web page below the endpoint: `datasets/ns/name`, for a model `ns/name`.
    pub fn web_path(&self) -> String {
        format!("{}{}", self.repo_type.url_prefix(), self.id)
    }
}

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
    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitHash {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() == 40 && is_lower_hex(text) {
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

/// Whether a text holds nothing but `0-9a-f`.
pub fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_ids() {
        for good in ["gpt2", "org/name", "a.b_c-d/E.f", "0/1"] {
            assert!(good.parse::<RepoId>().is_ok(), "{good}");
        }
        let long = "a".repeat(97);
        for bad in [
            "", "/", "a/", "/a", "a/b/c", "a--b", "a..b", "-a", "a-", ".a", "a.", "a b", "é",
            "a.git", "o/a.git", &long, "a\n",
        ] {
            assert!(bad.parse::<RepoId>().is_err(), "{bad}");
        }
    }

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
