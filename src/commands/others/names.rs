//! The commands that only the Python clients have, and the command line that runs one of them. Pure.

use std::ffi::OsString;

/// A command of the Python clients that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub word: &'static str,
    /// The newest client (2.4.0) has it; the others are of 0.36.2.
    is_modern: bool,
    /// `huggingface-cli` of 0.36.2 has it.
    is_legacy: bool,
}

const fn other(word: &'static str, is_modern: bool, is_legacy: bool) -> Other {
    Other {
        word,
        is_modern,
        is_legacy,
    }
}

/// All of them: what `--help` of 2.4.0 and 0.36.2 lists, their aliases, and `git lfs`' hidden ones.
pub const OTHERS: [Other; 25] = [
    other("--skills", true, false),
    other("buckets", true, false),
    other("collections", true, false),
    other("cp", true, false),
    other("datasets", true, false),
    other("discussions", true, false),
    other("endpoints", true, false),
    other("ext", true, false),
    other("extensions", true, false),
    other("jobs", true, false),
    other("lfs-enable-largefiles", true, true),
    other("lfs-multipart-upload", true, true),
    other("models", true, false),
    other("papers", true, false),
    other("repo", false, true),
    other("repo-files", false, true),
    other("repos", true, false),
    other("sandbox", true, false),
    other("skills", true, false),
    other("spaces", true, false),
    other("sync", true, false),
    other("tag", false, true),
    other("upload", true, true),
    other("upload-large-folder", false, true),
    other("webhooks", true, false),
];

/// The command of this name.
pub fn find(word: &str) -> Option<Other> {
    OTHERS.into_iter().find(|one| one.word == word)
}

/// Names of the commands for `--help` and completion; `legacy`: of `huggingface-cli`.
pub fn words(legacy: bool) -> impl Iterator<Item = &'static str> {
    OTHERS
        .into_iter()
        .filter(move |one| if legacy { one.is_legacy } else { true })
        .map(|one| one.word)
        .filter(|word| !word.starts_with('-'))
}

/// Flags whose value is a secret, or may hold one.
const SECRETS: [&str; 5] = ["--token", "--secrets", "-s", "--hf-token", "--password"];

/// Stands for a secret.
const HIDDEN: &str = "<hidden>";

impl Other {
    /// The whole command that runs it without any installation: `args` are those of the user, the name of
    /// the program first. Secrets in it are hidden.
    pub fn command(&self, legacy: bool, args: &[OsString]) -> String {
        // `huggingface-cli` and some commands ended with version 1.
        let old = legacy || !self.is_modern;
        let package = match old {
            true => "huggingface_hub<1",
            false => "huggingface_hub",
        };
        let program = match legacy || self.word == "tag" {
            true => "huggingface-cli",
            false => "hf",
        };
        let mut words: Vec<String> = ["uvx", "--from", package, program]
            .map(str::to_owned)
            .into();
        let mut is_secret = false;
        for arg in args.iter().skip(1) {
            let arg = arg.to_string_lossy();
            words.push(match arg.split_once('=') {
                _ if is_secret => HIDDEN.to_owned(),
                Some((flag, _)) if SECRETS.contains(&flag) => format!("{flag}={HIDDEN}"),
                _ => without_tokens(&arg),
            });
            is_secret = !is_secret && SECRETS.contains(&&*arg);
        }
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        quoted.join(" ")
    }
}

/// A word without what looks like an access token: `hf_` and at least twenty letters or digits.
fn without_tokens(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find("hf_") {
        let (before, found) = rest.split_at(at);
        let tail = &found[3..];
        let length = tail
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(tail.len());
        text.push_str(before);
        text.push_str(if length >= 20 {
            HIDDEN
        } else {
            &found[..3 + length]
        });
        rest = &tail[length..];
    }
    text + rest
}

/// A word for a POSIX shell. Only what is safe everywhere stands bare.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> String {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        let legacy = words[0] == "huggingface-cli";
        let found = words.iter().find_map(|word| find(word)).unwrap();
        found.command(legacy, &args)
    }

    #[test]
    fn the_whole_command_without_secrets() {
        let token = format!("hf_{}", "a1".repeat(17));
        let assignment = format!("X={token}");
        for (words, expected) in [
            (
                &["hf", "upload", "o/n", ".", "a b", "it's"][..],
                r"uvx --from huggingface_hub hf upload o/n . 'a b' 'it'\''s'",
            ),
            (
                &["hf", "upload", "o/n", "--token", "s3cret", "x"],
                "uvx --from huggingface_hub hf upload o/n --token '<hidden>' x",
            ),
            (
                &["hf", "upload", "--token=s3cret", ""],
                "uvx --from huggingface_hub hf upload '--token=<hidden>' ''",
            ),
            (
                &["hf", "jobs", "run", "-e", &assignment, "hf_small", "*"],
                "uvx --from huggingface_hub hf jobs run -e 'X=<hidden>' hf_small '*'",
            ),
            (
                &["hf", "jobs", "run", "--secrets", "A=b", "img"],
                "uvx --from huggingface_hub hf jobs run --secrets '<hidden>' img",
            ),
            (
                &["hf", "repo", "create", "x"],
                "uvx --from 'huggingface_hub<1' hf repo create x",
            ),
            (
                &["hf", "upload-large-folder", "o/n", "d"],
                "uvx --from 'huggingface_hub<1' hf upload-large-folder o/n d",
            ),
            (
                &["hf", "tag", "o/n", "v1"],
                "uvx --from 'huggingface_hub<1' huggingface-cli tag o/n v1",
            ),
            (
                &["huggingface-cli", "upload", "o/n", "$(x)"],
                "uvx --from 'huggingface_hub<1' huggingface-cli upload o/n '$(x)'",
            ),
        ] {
            assert_eq!(command(words), expected);
        }
    }

    #[test]
    fn names_of_each_grammar() {
        assert!(words(false).any(|word| word == "jobs"));
        assert!(!words(true).any(|word| word == "jobs"));
        assert!(words(true).any(|word| word == "tag"));
        assert!(!words(false).any(|word| word == "--skills"));
    }
}
