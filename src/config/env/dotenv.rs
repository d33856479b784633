//! The file of `--env-file`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::sys::read_once;

/// Longest file, in bytes.
const LONGEST_FILE: u64 = 1 << 20;
/// How long to wait for the content, when the file is a pipe.
const PATIENCE: Duration = Duration::from_secs(10);

/// Variables from the file of `--env-file`, below those of the environment.
#[derive(Clone)]
pub(super) struct EnvFile {
    pub(super) path: PathBuf,
    pub(super) vars: BTreeMap<String, String>,
}

/// The file of `--env-file` cannot be used. Nothing of its content is repeated: it holds secrets.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("cannot read the file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what a dotenv file should be.
    #[error("the file {} is no list of NAME=value lines", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl EnvFile {
    /// Reads a file. Its values may hold those of the environment, the longest of which has
    /// `longest_value` bytes.
    pub(super) fn read(path: PathBuf, longest_value: u64) -> Result<Self, EnvFileError> {
        let text = match read_once(&path, LONGEST_FILE, PATIENCE) {
            Ok(text) => text,
            Err(source) => return Err(EnvFileError::Read { path, source }),
        };
        if may_grow_beyond(&text, LONGEST_FILE, longest_value) {
            let source = io::Error::new(
                io::ErrorKind::InvalidData,
                "its values would be longer than 1 MiB",
            );
            return Err(EnvFileError::Read { path, source });
        }
        let mut vars = BTreeMap::new();
        for pair in dotenvy::from_read_iter(text.as_slice()) {
            let Ok((name, value)) = pair else {
                return Err(EnvFileError::Malformed { path });
            };
            // The last line of a name counts, as in a shell.
            vars.insert(name, value);
        }
        Ok(EnvFile { path, vars })
    }
}

/// Whether a value may come to have more than `limit` bytes. A line can repeat earlier values, or
/// those of the environment (up to `longest` bytes): forty short lines that each double the one before
/// fill any memory.
fn may_grow_beyond(text: &[u8], limit: u64, longest: u64) -> bool {
    let mut longest = longest;
    for line in text.split(|&byte| byte == b'\n') {
        let dollars = line.iter().filter(|&&byte| byte == b'$').count() as u64;
        let bound = dollars.saturating_mul(longest) + line.len() as u64;
        if dollars > 0 && bound > limit {
            return true;
        }
        longest = longest.max(bound);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_multiply_are_refused() {
        let chain = |times: usize, lines: usize| {
            let mut text = "V0=0123456789\n".to_owned();
            for line in 1..=lines {
                let value = format!("${{V{}}}", line - 1).repeat(times);
                text.push_str(&format!("V{line}={value}\n"));
            }
            text
        };
        for (text, expected) in [
            (chain(1, 1000), false),
            (chain(2, 5), false),
            (chain(2, 40), true),
            (chain(9, 9), true),
            (String::new(), false),
        ] {
            assert_eq!(
                may_grow_beyond(text.as_bytes(), 1 << 20, 100),
                expected,
                "{text}"
            );
        }
    }
}
