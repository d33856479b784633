//! An answer as each of the shell functions reads it. Pure.

use super::Answer;
use super::candidates::Candidate;
use super::request::Form;
use super::words::{Line, quote};
use crate::commands::completions::Shell;

/// Spells the candidates out.
pub fn spell(found: &[Candidate], line: &Line, form: &Form) -> Answer {
    let text = match form {
        Form::Bash { piece } => lines(found, |one| in_bash(&one.value, line, piece)),
        Form::Described => lines(found, |one| match &one.help {
            Some(help) => format!("{}\t{help}", one.value),
            None => one.value.clone(),
        }),
        Form::Bare => lines(found, |one| one.value.clone()),
        Form::Click(shell) => click(found, line, *shell),
        Form::Typer(shell) => typer(found, line, *shell),
        Form::IsAny => String::new(),
    };
    Answer {
        text,
        success: *form != Form::IsAny || !found.is_empty(),
    }
}

fn lines(found: &[Candidate], spell: impl Fn(&Candidate) -> String) -> String {
    found.iter().map(|one| spell(one) + "\n").collect()
}

/// What bash puts in place of `piece`, the end of the word since the last `:` or `=`.
fn in_bash(value: &str, line: &Line, piece: &str) -> String {
    let kept = line.current().strip_suffix(piece).unwrap_or_default();
    let rest = value.strip_prefix(kept).unwrap_or(value);
    if line.in_quotes {
        rest.to_owned()
    } else {
        quote(rest)
    }
}

/// The end of a word since the last `:` or `=`, where bash cuts it.
fn bash_piece(current: &str) -> &str {
    &current[current.rfind([':', '=']).map_or(0, |at| at + 1)..]
}

fn click(found: &[Candidate], line: &Line, shell: Shell) -> String {
    let current = line.current();
    if found.iter().any(|one| one.is_path) {
        // They leave paths to the shell.
        return match shell {
            Shell::Zsh | Shell::Powershell => format!("dir\n{current}\n_\n"),
            _ => format!("dir,{current}\n"),
        };
    }
    let help = |one: &Candidate| one.help.clone().unwrap_or_else(|| "_".to_owned());
    lines(found, |one| match shell {
        // Read by `read` without -r, which takes one level of backslashes away.
        Shell::Bash => {
            let word = in_bash(&one.value, line, bash_piece(current));
            format!("plain,{}", word.replace('\\', "\\\\"))
        }
        Shell::Zsh if one.help.is_some() => {
            format!("plain\n{}\n{}", one.value.replace(':', "\\:"), help(one))
        }
        Shell::Zsh | Shell::Powershell => format!("plain\n{}\n{}", one.value, help(one)),
        _ => match &one.help {
            Some(help) => format!("plain,{}\t{help}", one.value),
            None => format!("plain,{}", one.value),
        },
    })
}

fn typer(found: &[Candidate], line: &Line, shell: Shell) -> String {
    match shell {
        Shell::Bash => lines(found, |one| {
            in_bash(&one.value, line, bash_piece(line.current()))
        }),
        Shell::Zsh => typer_zsh(found),
        Shell::Powershell => lines(found, |one| {
            format!("{}:::{}", one.value, one.help.as_deref().unwrap_or(" "))
        }),
        _ => lines(found, |one| match &one.help {
            Some(help) => format!("{}\t{help}", one.value),
            None => one.value.clone(),
        }),
    }
}

/// A command that zsh evaluates: whatever could be more than text there is escaped.
fn typer_zsh(found: &[Candidate]) -> String {
    if found.is_empty() {
        return "_files\n".to_owned();
    }
    let escape = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                // The argument stands in single quotes, its parts in double ones.
                '\'' => out.push_str("'\"'\"'"),
                '"' | '\\' | '$' | '`' => out.extend(['\\', c]),
                ':' => out.push_str(r"\\:"),
                c => out.push(c),
            }
        }
        out
    };
    let parts: Vec<String> = found
        .iter()
        .map(|one| {
            let value = escape(&one.value);
            match &one.help {
                Some(help) => format!("\"{value}\":\"{}\"", escape(help)),
                None => format!("\"{value}\""),
            }
        })
        .collect();
    format!("_arguments '*: :(({}))'\n", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::complete::words::split;

    fn candidates() -> Vec<Candidate> {
        [("a b", None), ("x:y", Some("What it's for: \"z\""))]
            .map(|(value, help)| Candidate {
                value: value.to_owned(),
                help: help.map(str::to_owned),
                is_path: false,
            })
            .into()
    }

    fn spelled(line: &str, form: &Form) -> String {
        spell(&candidates(), &split(line), form).text
    }

    #[test]
    fn every_form() {
        let bash = |piece: &str| Form::Bash {
            piece: piece.to_owned(),
        };
        let help = "What it's for: \"z\"";
        for (line, form, expected) in [
            ("hf ", bash(""), "a\\ b\nx:y\n".to_owned()),
            ("hf x:", bash(""), "a\\ b\ny\n".to_owned()),
            ("hf 'a", bash("a"), "a b\nx:y\n".to_owned()),
            ("hf ", Form::Described, format!("a b\nx:y\t{help}\n")),
            (
                "hf ",
                Form::Click(Shell::Bash),
                "plain,a\\\\ b\nplain,x:y\n".to_owned(),
            ),
            (
                "hf x:",
                Form::Click(Shell::Bash),
                "plain,a\\\\ b\nplain,y\n".to_owned(),
            ),
            (
                "hf ",
                Form::Click(Shell::Zsh),
                format!("plain\na b\n_\nplain\nx\\:y\n{help}\n"),
            ),
            (
                "hf ",
                Form::Click(Shell::Fish),
                format!("plain,a b\nplain,x:y\t{help}\n"),
            ),
            ("hf ", Form::Typer(Shell::Bash), "a\\ b\nx:y\n".to_owned()),
            (
                "hf ",
                Form::Typer(Shell::Powershell),
                format!("a b::: \nx:y:::{help}\n"),
            ),
            ("hf ", Form::IsAny, String::new()),
        ] {
            assert_eq!(spelled(line, &form), expected, "{line} {form:?}");
        }
    }

    #[test]
    fn nothing_found() {
        let nothing = |form| spell(&[], &split("hf zz"), &form);
        assert_eq!(nothing(Form::Typer(Shell::Zsh)).text, "_files\n");
        assert!(!nothing(Form::IsAny).success);
        assert!(nothing(Form::Click(Shell::Bash)).success);
    }
}
