//! Paths of files as a server names them, and what is refused.

use std::fmt;
use std::str::FromStr;

use super::{InvalidName, invalid};

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
    use crate::repo::shortened;

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
