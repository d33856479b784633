//! Names of the field, validated once at the edge: repository, revision, commit, path.

use std::fmt;
use std::str::FromStr;

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

/// Path of a file inside a repository, `/`-separated, checked so that joining it to a folder can
/// never lead out of that folder or confuse a terminal (REFERENCE 5, "File names from the server").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

impl RepoPath {
    /// The path, `/`-separated.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between slashes.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// So that maps by path can be asked with a text: both are compared as texts.
impl std::borrow::Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for RepoPath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = |reason| Err(invalid("file name", text, reason));
        if text.is_empty() {
            return bad("is empty");
        }
        if text.starts_with('/') {
            return bad("is absolute");
        }
        if text.contains('\\') {
            return bad("contains a backslash");
        }
        if text.chars().any(|c| c.is_control() || is_bidi(c)) {
            return bad("contains a control or direction-changing character");
        }
        if text.len() > 4096 {
            return bad("is longer than 4,096 bytes");
        }
        for part in text.split('/') {
            match part {
                "" => return bad("has an empty part"),
                "." | ".." => return bad("tries to leave its folder"),
                _ if part.len() > 255 => return bad("has a part longer than 255 bytes"),
                _ => {}
            }
            // Windows reads `D:name` as a path on another drive.
            let bytes = part.as_bytes();
            if bytes.len() >= 2 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic() {
                return bad("starts with a drive letter");
            }
            if part.eq_ignore_ascii_case(".git") {
                return bad("lies inside a .git folder");
            }
            if let (true, Some(reason)) = (cfg!(windows), windows_objection(part)) {
                return bad(reason);
            }
        }
        let mut lower = text.split('/').map(str::to_ascii_lowercase);
        if lower.next().as_deref() == Some(".cache")
            && lower.next().as_deref() == Some("huggingface")
        {
            return bad("lies inside .cache/huggingface, where download state is kept");
        }
        Ok(RepoPath(text.to_owned()))
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why Windows could not store a file of this name, or would store it under another one. Other
/// systems can, and do: `aux.py` and `nul` are names like any other there.
fn windows_objection(part: &str) -> Option<&'static str> {
    if part.ends_with(['.', ' ']) {
        return Some("ends with a dot or blank, which Windows drops");
    }
    if part.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Some("contains a character that Windows does not allow");
    }
    // Devices, with any extension (Microsoft, "Naming Files, Paths, and Namespaces").
    let stem = part.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let numbered = ["COM", "LPT"].iter().any(|device| {
        let number = stem.strip_prefix(device).unwrap_or_default();
        number.chars().count() == 1 && number.contains(|c| matches!(c, '1'..='9' | '¹' | '²' | '³'))
    });
    let is_device = numbered || ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str());
    is_device.then_some("is the name of a device on Windows")
}

/// Characters that change the direction of the text around them (Unicode, Bidi_Control).
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Control characters and the bidirectional and invisible format characters that make a name look
/// like another one.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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

    #[test]
    fn server_paths() {
        for good in [
            "config.json",
            "a/b/c.bin",
            "sp ace/é.txt",
            "..a/b..",
            ".gitattributes",
            ".cache/x",
            "نمی\u{200c}دانم.txt",
        ] {
            assert!(good.parse::<RepoPath>().is_ok(), "{good}");
        }
        let long = format!("{}x", "a/".repeat(5000));
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "C:/x",
            "c:",
            "a/D:x",
            "a\\..\\b",
            "\\\\srv\\x",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            ".git/config",
            "a/.GIT/hooks/x",
            ".cache/huggingface/x",
            &long,
        ] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_windows_cannot_store() {
        for bad in [
            "CON",
            "con",
            "nul.txt",
            "AUX.tar.gz",
            "prn ",
            "COM1",
            "lpt9.log",
            "COM\u{b9}",
            "a.",
            "a ",
            "a:b",
            "a?",
            "<",
        ] {
            assert!(windows_objection(bad).is_some(), "{bad}");
        }
        for good in [
            "CONFIG",
            "console.txt",
            "COM",
            "COM0",
            "com10",
            "null",
            "a.b",
            ".a",
            "aux_",
        ] {
            assert_eq!(windows_objection(good), None, "{good}");
        }
        for name in ["CON", "nul.txt", "a.", "a "] {
            assert_eq!(
                name.parse::<RepoPath>().is_ok(),
                cfg!(not(windows)),
                "{name}"
            );
        }
    }

    #[test]
    fn endless_names_are_shown_shortened() {
        let error = "é/"
            .repeat(5000)
            .parse::<RepoPath>()
            .unwrap_err()
            .to_string();
        assert!(error.chars().count() < 300, "{error}");
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn refusals_escape_the_name() {
        let error = "a\u{1b}[2Jb".parse::<RepoPath>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
