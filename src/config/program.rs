//! Which of its two names this program was called by.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The name of the Python client's older command line.
pub const LEGACY_NAME: &str = "huggingface-cli";

/// The name this program was called by. It decides the grammar of the command line, and where the two
/// Python clients differ it decides the output and the exit codes as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// `hf`, or any name that is not the legacy one.
    #[default]
    Hf,
    /// `huggingface-cli`, as huggingface_hub 0.36.2 has it.
    HuggingfaceCli,
}

impl Program {
    /// By the first word of a command line: a path to the program, with or without `.exe`.
    pub fn of(argv0: Option<&OsString>) -> Self {
        let name = argv0.and_then(|path| Path::new(path).file_name().and_then(OsStr::to_str));
        let name = name.unwrap_or_default().to_ascii_lowercase();
        match name.strip_suffix(".exe").unwrap_or(&name) {
            LEGACY_NAME => Program::HuggingfaceCli,
            _ => Program::Hf,
        }
    }

    /// The name that certainly starts it in this grammar.
    pub fn name(self) -> &'static str {
        match self {
            Program::Hf => "hf",
            Program::HuggingfaceCli => LEGACY_NAME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (argv0, expected) in [
            ("huggingface-cli", true),
            ("/usr/local/bin/huggingface-cli", true),
            ("./huggingface-cli", true),
            ("huggingface-cli.exe", true),
            ("HuggingFace-CLI.EXE", true),
            ("hf", false),
            ("hf.exe", false),
            ("/opt/huggingface-cli/hf", false),
            ("huggingface-cli-old", false),
            ("huggingface-cli.py", false),
            ("", false),
        ] {
            let is_legacy = Program::of(Some(&argv0.into())) == Program::HuggingfaceCli;
            assert_eq!(is_legacy, expected, "{argv0}");
        }
    }

    #[test]
    fn without_a_name() {
        assert_eq!(Program::of(None), Program::Hf);
    }
}
