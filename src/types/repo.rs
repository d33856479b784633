//! Repositories: their kind and their id.

use std::fmt;
use std::str::FromStr;

use super::name::{InvalidName, invalid};

/// Kind of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
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

/// `name` or `namespace/name` (rules of docs/reference.md#repository-ids).
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
}
