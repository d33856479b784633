//! Requests of a shell, in the forms of all clients. Pure.
//!
//! | `_HF_COMPLETE` | Asked by | The line |
//! | --- | --- | --- |
//! | `bash`, `zsh`… | the shell functions of [`crate::commands::completions`] | arguments after `--` |
//! | `bash_complete`… | those of the Python client (2.4.0) | `COMP_WORDS`, `COMP_CWORD` |
//! | `complete_bash`… | those of Python clients 1.x | the same in bash, else `_TYPER_COMPLETE_ARGS` |
//! | `bash_source`, `source_bash`… | a line in a user's file | wants the shell function itself |

use std::ffi::OsString;

use super::words::{Line, glue, split};
use crate::commands::completions::Shell;
use crate::config::env::{self, Env};

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// For the shell function.
    Script(Shell),
    /// For what could follow.
    Complete {
        /// The line up to the cursor.
        line: Line,
        /// How the answer is to be spelled.
        form: Form,
    },
}

/// How an answer is spelled.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// For our function in bash, which replaces this end of the last word.
    Bash {
        /// That end, without quotes.
        piece: String,
    },
    /// For our other functions: a value and a description a line, a tab between.
    Described,
    /// Bare values, one a line: for our function in elvish.
    Bare,
    /// For the functions of the Python client.
    Click(Shell),
    /// For those of Python clients 1.x.
    Typer(Shell),
    /// Python clients 1.x in fish ask first whether there is anything: the exit code tells.
    IsAny,
}

/// Understands a question. `None` when it makes no sense.
pub fn parse(asked: &str, env: &Env, args: &[OsString]) -> Option<Request> {
    if let Some(shell) = Shell::named(asked) {
        return Some(ours(shell, args));
    }
    let (first, second) = asked.split_once('_')?;
    match (first, second) {
        (shell, "source") | ("source", shell) => Shell::named(shell).map(Request::Script),
        (shell, "complete") => click(Shell::named(shell)?, env),
        ("complete", shell) => typer(Shell::named(shell)?, env),
        _ => None,
    }
}

/// In bash the line as it stands and the piece of it to replace; elsewhere the words.
fn ours(shell: Shell, args: &[OsString]) -> Request {
    let mut words = args
        .iter()
        .skip(1)
        .skip_while(|arg| *arg == "--")
        .map(|arg| arg.to_string_lossy().into_owned());
    match shell {
        Shell::Bash => {
            let line = split(&words.next().unwrap_or_default());
            let piece = split(&words.next().unwrap_or_default());
            Request::Complete {
                form: Form::Bash {
                    piece: piece.words.join(" "),
                },
                line,
            }
        }
        Shell::Powershell => Request::Complete {
            line: split(&words.next().unwrap_or_default()),
            form: Form::Described,
        },
        // The word at the cursor comes as it was typed, the others without their quotes.
        Shell::Fish => {
            let mut words: Vec<String> = words.collect();
            let current = split(&words.pop().unwrap_or_default());
            words.push(current.words.join(" "));
            Request::Complete {
                line: Line::of(words),
                form: Form::Described,
            }
        }
        Shell::Zsh => Request::Complete {
            line: Line::of(words),
            form: Form::Described,
        },
        Shell::Elvish => Request::Complete {
            line: Line::of(words),
            form: Form::Bare,
        },
    }
}

fn click(shell: Shell, env: &Env) -> Option<Request> {
    Some(Request::Complete {
        line: comp_words(shell, env)?,
        form: Form::Click(shell),
    })
}

/// The words of `COMP_WORDS` up to the one at the cursor.
fn comp_words(shell: Shell, env: &Env) -> Option<Line> {
    let text = env.get(env::COMP_WORDS)?;
    let cursor = env.get(env::COMP_CWORD);
    let mut line = split(&text);
    if shell == Shell::Fish {
        // The line already ends at the cursor.
        return Some(line);
    }
    let index: usize = cursor?.trim().parse().ok()?;
    // `${COMP_WORDS[*]}` omits an empty last word.
    line.words.truncate(index + 1);
    while line.words.len() <= index {
        line.words.push(String::new());
    }
    if shell == Shell::Bash {
        line.words = glue(&line.words);
    }
    Some(line)
}

fn typer(shell: Shell, env: &Env) -> Option<Request> {
    let line = match env.get(env::TYPER_COMPLETE_ARGS) {
        Some(text) if shell != Shell::Bash => split(&text),
        _ => comp_words(shell, env)?,
    };
    let form = match env.get(env::TYPER_COMPLETE_FISH_ACTION).as_deref() {
        Some("is-args") if shell == Shell::Fish => Form::IsAny,
        _ => Form::Typer(shell),
    };
    Some(Request::Complete { line, form })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(asked: &str, pairs: &[(&str, &str)], args: &[&str]) -> Option<(String, Form)> {
        let env = Env::from_pairs("/home/u", pairs.iter().copied());
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        match parse(asked, &env, &args)? {
            Request::Complete { line, form } => Some((line.words.join("|"), form)),
            Request::Script(shell) => panic!("{shell:?}"),
        }
    }

    #[test]
    fn each_generation_is_understood() {
        let comp = |words, index| vec![("COMP_WORDS", words), ("COMP_CWORD", index)];
        let typer = |words| vec![("_TYPER_COMPLETE_ARGS", words)];
        for (asked, pairs, args, expected) in [
            ("bash", vec![], &["hf", "--", "hf ca", "ca"][..], "hf|ca"),
            ("zsh", vec![], &["hf", "--", "hf", "a b", ""], "hf|a b|"),
            (
                "fish",
                vec![],
                &["hf", "--", "hf", "a b", "'c d"],
                "hf|a b|c d",
            ),
            (
                "powershell",
                vec![],
                &["hf", "--", "hf cache "],
                "hf|cache|",
            ),
            (
                "bash_complete",
                comp("hf cache ", "2"),
                &["hf"],
                "hf|cache|",
            ),
            (
                "bash_complete",
                comp("hf cache rm x", "1"),
                &["hf"],
                "hf|cache",
            ),
            (
                "bash_complete",
                comp("hf cache rm hf : //x", "5"),
                &["hf"],
                "hf|cache|rm|hf://x",
            ),
            ("zsh_complete", comp("hf a", "1"), &["hf"], "hf|a"),
            ("fish_complete", comp("hf cache ", ""), &["hf"], "hf|cache|"),
            ("fish_complete", comp("hf cac", "cac"), &["hf"], "hf|cac"),
            (
                "powershell_complete",
                comp("hf cache", "2"),
                &["hf"],
                "hf|cache|",
            ),
            ("complete_bash", comp("hf a", "1"), &["hf"], "hf|a"),
            ("complete_zsh", typer("hf cache "), &["hf"], "hf|cache|"),
            ("complete_fish", typer("hf cac"), &["hf"], "hf|cac"),
            ("complete_pwsh", typer("hf cac"), &["hf"], "hf|cac"),
        ] {
            let (found, _) = words(asked, &pairs, args).unwrap();
            assert_eq!(found, expected, "{asked}");
        }
        let asks = [
            ("_TYPER_COMPLETE_ARGS", "hf "),
            ("_TYPER_COMPLETE_FISH_ACTION", "is-args"),
        ];
        assert_eq!(
            words("complete_fish", &asks, &["hf"]).unwrap().1,
            Form::IsAny
        );
    }

    #[test]
    fn nonsense_is_nothing() {
        for asked in [
            "",
            "x",
            "tcsh",
            "bash_x",
            "x_bash",
            "bash_complete",
            "complete_zsh",
            "_",
        ] {
            assert_eq!(words(asked, &[], &["hf"]), None, "{asked}");
        }
        let no_number = [("COMP_WORDS", "hf a"), ("COMP_CWORD", "a")];
        assert_eq!(words("bash_complete", &no_number, &["hf"]), None);
    }

    #[test]
    fn scripts_are_asked_for_in_both_orders() {
        let env = Env::from_pairs("/", []);
        for asked in ["zsh_source", "source_zsh"] {
            let found = parse(asked, &env, &[]);
            assert_eq!(found, Some(Request::Script(Shell::Zsh)), "{asked}");
        }
    }
}
