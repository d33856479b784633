//! Paths of files as a server names them, and what is refused.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::name::{InvalidName, invalid};

/// Path of a file inside a repository, `/`-separated, checked so that joining it to a folder can
/// never lead out of that folder (docs/reference.md#file-names). Whatever else the file
/// system can hold is accepted, control characters included: they are escaped when it is shown. A clone
/// shares the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Arc<str>);

impl RepoPath {
    /// The path, `/`-separated.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why a folder of the user's must not have this file, which the cache may hold: in a `.git`
    /// folder it would change what git runs, and in the state of `--local-dir` it could pretend that
    /// other files are complete.
    pub fn local_objection(&self) -> Option<&'static str> {
        if self.parts().any(|part| part.eq_ignore_ascii_case(".git")) {
            return Some("lies inside a .git folder");
        }
        self.is_download_state()
            .then_some("lies where --local-dir keeps the state of its downloads")
    }

    /// Whether this is where `--local-dir` keeps its own state, or would stand in its way.
    fn is_download_state(&self) -> bool {
        let mut parts = self.parts();
        let is = |part: Option<&str>, name: &str| {
            part.is_none_or(|part| part.eq_ignore_ascii_case(name))
        };
        is(parts.next(), ".cache") && is(parts.next(), "huggingface")
    }

    /// The parts between slashes.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// Lets a map with paths as keys be searched by text: both compare as text.
impl std::borrow::Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for RepoPath {
    fn as_ref(&self) -> &str {
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
        if text.starts_with("\\\\") || has_drive(text) {
            return bad("is absolute on Windows");
        }
        if text.contains('\0') {
            return bad("contains a NUL character");
        }
        if text.len() > 4096 {
            return bad("is longer than 4,096 bytes");
        }
        // A folder may be shared with Windows, where a backslash separates as well.
        if text.split(['/', '\\']).any(|part| part == "..") {
            return bad("tries to leave its folder");
        }
        for part in text.split('/') {
            match part {
                "" => return bad("has an empty part"),
                "." => return bad("has a part that is a dot"),
                _ if part.len() > 255 => return bad("has a part longer than 255 bytes"),
                _ => {}
            }
            if let (true, Some(reason)) = (cfg!(windows), windows_objection(part)) {
                return bad(reason);
            }
        }
        Ok(RepoPath(text.into()))
    }
}

/// For people: what could deceive them is escaped. [`RepoPath::as_str`] is the path itself.
impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if is_deceptive(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// `C:` alone or before a slash of either kind: the root of a drive. `a:b` is a name like others.
fn has_drive(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [letter, b':'] | [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

/// Why Windows could not store a file of this name, or would store it under another one. Other
/// systems can, and do: `aux.py` and `nul` are names like any other there.
fn windows_objection(part: &str) -> Option<&'static str> {
    if part.ends_with(['.', ' ']) {
        return Some("ends with a dot or blank, which Windows drops");
    }
    if part.contains(|c: char| c.is_control() || "\\<>:\"|?*".contains(c)) {
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
    use crate::types::shortened;

    #[test]
    fn server_paths() {
        for good in [
            "config.json",
            "a/b/c.bin",
            "sp ace/é.txt",
            "..a/b..",
            ".gitattributes",
            ".cache/x",
            ".cache/huggingface/x",
            ".git/config",
            "نمی\u{200c}دانم.txt",
            #[cfg(not(windows))]
            "a:b",
            #[cfg(not(windows))]
            "a/D:x",
            #[cfg(not(windows))]
            "back\\slash",
            #[cfg(not(windows))]
            "tab\tline\n\u{1b}[2J\u{202e}\u{200e}",
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
            "C:\\x",
            "a\\..\\b",
            "..\\b",
            "\\\\srv\\x",
            "a\0b",
            &"x".repeat(256),
            &long,
        ] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_local_folder_must_not_have() {
        for (path, expected) in [
            (".git", true),
            (".git/config", true),
            ("a/.GIT/hooks/x", true),
            (".gitattributes", false),
            ("a.git/x", false),
            (".cache", true),
            (".cache/huggingface", true),
            (".Cache/HuggingFace/download/x", true),
            (".cache/other", false),
            ("d/.cache/huggingface/x", false),
            (".cached", false),
        ] {
            let path: RepoPath = path.parse().unwrap();
            assert_eq!(path.local_objection().is_some(), expected, "{path}");
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
    fn what_is_shown_is_escaped() {
        let path: RepoPath = "a\u{1b}[2J\u{202e}é\t.txt".parse().unwrap();
        assert_eq!(path.to_string(), "a\\u{1b}[2J\\u{202e}é\\t.txt");
        let error = "a\u{1b}[2J\0b".parse::<RepoPath>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
