//! Several values behind one `--include` or `--exclude` (docs/reference.md#command-line). Pure.
//!
//! Most scripts were written for a client whose `--include a b` takes both words. The Python client of today
//! takes one value, and `b` for the name of a file, so the same line downloads something else. No
//! author means that; so once the repository is known, all words behind the flag belong to it. Before the
//! repository a flag takes one value: the next word may be the repository.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

const FLAGS: [&str; 2] = ["include", "exclude"];

/// A flag that was given several values, and all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several {
    /// `--include` or `--exclude`.
    pub flag: String,
    /// Its values.
    pub values: Vec<String>,
}

/// A command line with one value behind each flag, and the flags that had several. `grammar` is that of
/// `hf`.
pub fn one_each(args: &[OsString], grammar: &Command) -> (Vec<OsString>, Vec<Several>) {
    let mut rest = args.iter().cloned().peekable();
    let mut line: Vec<OsString> = rest.next().into_iter().collect();
    let mut several = Vec::new();
    let mut command = grammar;
    let mut is_repo_known = false;
    while let Some(word) = rest.next() {
        line.push(word.clone());
        let is_download = command.get_name() == "download";
        let Some(option) = option_of(&word) else {
            if word == "--" {
                break;
            }
            match is_download {
                true => is_repo_known = true,
                false => {
                    command = word
                        .to_str()
                        .and_then(|name| command.find_subcommand(name))
                        .unwrap_or(command)
                }
            }
            continue;
        };
        if !takes_next(option, &word, command, grammar) {
            continue;
        }
        line.extend(rest.next());
        let flag = option
            .strip_prefix("--")
            .filter(|name| FLAGS.contains(name));
        if let (Some(_), true, true) = (flag, is_download, is_repo_known) {
            let first = line.last().cloned().unwrap_or_default();
            let mut values = vec![first];
            while let Some(more) = rest.next_if(|next| next != "--" && option_of(next).is_none()) {
                line.extend([word.clone(), more.clone()]);
                values.push(more);
            }
            if values.len() > 1 {
                let text = |value: &OsString| value.to_string_lossy().into_owned();
                several.push(Several {
                    flag: option.to_owned(),
                    values: values.iter().map(text).collect(),
                });
            }
        }
    }
    line.extend(rest);
    (line, several)
}

/// The name of an option, without a value behind `=`; `None` for other words.
fn option_of(word: &OsStr) -> Option<&str> {
    let text = word.to_str()?;
    let name = text.split('=').next().unwrap_or(text);
    (text.len() > 1 && text.starts_with('-') && text != "--").then_some(name)
}

/// Whether the word behind an option is its value.
fn takes_next(option: &str, word: &OsStr, command: &Command, grammar: &Command) -> bool {
    if word != option {
        return false;
    }
    let is_it = |arg: &&Arg| match option.strip_prefix("--") {
        Some(name) => arg
            .get_long_and_visible_aliases()
            .is_some_and(|all| all.contains(&name)),
        None => arg.get_short().is_some_and(|short| option.ends_with(short)),
    };
    let known = command.get_arguments().chain(grammar.get_arguments());
    known
        .filter(|arg| !arg.is_positional())
        .find(is_it)
        .is_some_and(|arg| arg.get_action().takes_values())
}

impl Several {
    /// What is said about it, in one line.
    pub fn told(&self) -> String {
        let quoted: Vec<String> = self
            .values
            .iter()
            .map(|value| format!("{value:?}"))
            .collect();
        format!(
            "{} takes all of {}; the Python client takes the first of them, and the others for names of files.",
            self.flag,
            quoted.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::help::grammar;

    fn read(line: &str) -> (String, Vec<Several>) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let (line, several) = one_each(&words, &grammar());
        let line: Vec<&str> = line.iter().map(|word| word.to_str().unwrap()).collect();
        (line.join(" "), several)
    }

    #[test]
    fn words_behind_a_flag() {
        for (line, expected) in [
            (
                "hf download o/m --include *.a *.b",
                "hf download o/m --include *.a --include *.b",
            ),
            (
                "hf download o/m --exclude *.a *.b --include c d.json --revision r x",
                "hf download o/m --exclude *.a --exclude *.b --include c --include d.json --revision r x",
            ),
            (
                "hf --format json download --revision r o/m f --include a b -q c",
                "hf --format json download --revision r o/m f --include a --include b -q c",
            ),
            (
                "hf download o/m --include a b -- c",
                "hf download o/m --include a --include b -- c",
            ),
            (
                "hf download --include *.a o/m *.b",
                "hf download --include *.a o/m *.b",
            ),
            (
                "hf download --include *.a o/m --exclude x y",
                "hf download --include *.a o/m --exclude x --exclude y",
            ),
            (
                "hf download o/m --include=*.a b",
                "hf download o/m --include=*.a b",
            ),
            ("hf download o/m --include", "hf download o/m --include"),
            (
                "hf download o/m --include a --include b",
                "hf download o/m --include a --include b",
            ),
            (
                "hf download --repo-type dataset o/m --include a - b",
                "hf download --repo-type dataset o/m --include a --include - --include b",
            ),
            (
                "hf download --token t --include a b",
                "hf download --token t --include a b",
            ),
            ("hf cache ls --include a b", "hf cache ls --include a b"),
            ("hf nope --include a b", "hf nope --include a b"),
            ("hf", "hf"),
        ] {
            assert_eq!(read(line).0, expected, "{line}");
        }
    }

    #[test]
    fn what_differs_from_the_python_client_is_told() {
        let (_, several) = read("hf download o/m --include a b --exclude c --exclude d e");
        let told: Vec<(&str, usize)> = several
            .iter()
            .map(|one| (one.flag.as_str(), one.values.len()))
            .collect();
        assert_eq!(told, [("--include", 2), ("--exclude", 2)]);
        assert_eq!(
            several[0].told(),
            "--include takes all of \"a\", \"b\"; the Python client takes the first of them, and the others for names of files."
        );
    }
}
