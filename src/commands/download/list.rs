//! The list of `--from-file`: a repository a line, with what `hf download` takes behind it. Pure.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::types::RepoType;
use crate::types::target::{Form, form};

/// One line of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// The repository as it is written, without `@` and revision.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: Option<String>,
    /// Kind of repository.
    pub repo_type: Option<RepoType>,
    /// Files, folders with a final slash.
    pub names: Vec<String>,
    /// What to download.
    pub include: Vec<String>,
    /// What to leave out.
    pub exclude: Vec<String>,
    /// A folder of its own.
    pub local_dir: Option<PathBuf>,
}

/// A line that cannot be read, and why: a sentence without its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Its number, from 1.
    pub line: usize,
    /// The reason.
    pub reason: String,
}

/// All entries of a list.
///
/// # Errors
/// The first line that does not follow the grammar.
pub fn parse(text: &str) -> Result<Vec<Entry>, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let wrong = |reason: String| Wrong {
            line: number,
            reason,
        };
        let words = words(line).map_err(wrong)?;
        if !words.is_empty() {
            entries.push(entry(number, words).map_err(wrong)?);
        }
    }
    Ok(entries)
}

/// Splits a line at blanks. Quotes keep blanks together, `#` at the start of a word begins a comment.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn entry(line: usize, words: Vec<String>) -> Result<Entry, String> {
    let mut entry = Entry {
        line,
        ..Entry::default()
    };
    let mut repo: Option<String> = None;
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-') else {
            match repo {
                None => repo = Some(word),
                Some(_) => entry.names.push(word),
            }
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let is_value = |next: &String| !next.starts_with('-');
        let mut next = || value.clone().or_else(|| words.next_if(is_value));
        let missing = || format!("no value follows -{name}");
        match name {
            "-include" | "-exclude" => {
                let patterns = match name {
                    "-include" => &mut entry.include,
                    _ => &mut entry.exclude,
                };
                patterns.push(next().ok_or_else(missing)?);
                if value.is_none() {
                    patterns.extend(std::iter::from_fn(|| words.next_if(is_value)));
                }
            }
            "-revision" => set(&mut entry.revision, next().ok_or_else(missing)?, name)?,
            "-local-dir" => set(
                &mut entry.local_dir,
                next().ok_or_else(missing)?.into(),
                name,
            )?,
            "-repo-type" | "-type" => {
                let value = next().ok_or_else(missing)?;
                let kind = RepoType::from_str(&value, false).map_err(|_| {
                    format!("{value:?} is no kind of repository: model, dataset, space or kernel")
                })?;
                set(&mut entry.repo_type, kind, name)?;
            }
            _ => {
                return Err(format!(
                    "-{name} is not known here; a line takes --revision, --repo-type, --include, --exclude and --local-dir"
                ));
            }
        }
    }
    entry.repo = repo.ok_or("it names no repository")?;
    if let (Form::Plain | Form::Typed, Some((repo, revision))) =
        (form(&entry.repo), entry.repo.split_once('@'))
    {
        let (repo, revision) = (repo.to_owned(), revision.to_owned());
        set(&mut entry.revision, revision, "-revision")
            .map_err(|_| "it names a revision twice".to_owned())?;
        entry.repo = repo;
    }
    Ok(entry)
}

fn set<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("-{name} is given twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).to_vec()
    }

    #[test]
    fn lines() {
        let list = "\u{feff}# models\n\n  org/a   # a comment\r\norg/b@v1.0 config.json onnx/\n\
            datasets/o/d --revision refs/pr/1 --include *.json '*.with blank' --exclude=x\n\
            hf://o/n@main/f.txt\n--type space o/s --local-dir \"a b\"\n\to/c#1 a#b\n";
        let entries = parse(list).unwrap();
        let of = |line: usize, repo: &str| Entry {
            line,
            repo: repo.to_owned(),
            ..Entry::default()
        };
        assert_eq!(
            entries,
            [
                of(3, "org/a"),
                Entry {
                    revision: Some("v1.0".to_owned()),
                    names: texts(["config.json", "onnx/"]),
                    ..of(4, "org/b")
                },
                Entry {
                    revision: Some("refs/pr/1".to_owned()),
                    include: texts(["*.json", "*.with blank"]),
                    exclude: texts(["x"]),
                    ..of(5, "datasets/o/d")
                },
                of(6, "hf://o/n@main/f.txt"),
                Entry {
                    repo_type: Some(RepoType::Space),
                    local_dir: Some("a b".into()),
                    ..of(7, "o/s")
                },
                Entry {
                    names: texts(["a#b"]),
                    ..of(8, "o/c#1")
                },
            ]
        );
        assert_eq!(parse("\n# nothing\n").unwrap(), []);
    }

    #[test]
    fn mistakes_have_a_line_and_a_reason() {
        for (list, line, reason) in [
            ("a/b\nc/d 'e", 2, "a quote is not closed"),
            ("--revision main", 1, "it names no repository"),
            ("a/b --revision", 1, "no value follows --revision"),
            ("a/b --include --exclude x", 1, "no value follows --include"),
            ("a/b@v1 --revision v2", 1, "it names a revision twice"),
            (
                "a/b --revision v1 --revision v2",
                1,
                "--revision is given twice",
            ),
            (
                "a/b --repo-type file",
                1,
                "\"file\" is no kind of repository: model, dataset, space or kernel",
            ),
            (
                "\n\na/b -x",
                3,
                "-x is not known here; a line takes --revision, --repo-type, --include, --exclude and --local-dir",
            ),
            (
                "a/b --token=x",
                1,
                "--token is not known here; a line takes --revision, --repo-type, --include, --exclude and --local-dir",
            ),
        ] {
            let reason = reason.to_owned();
            assert_eq!(parse(list), Err(Wrong { line, reason }), "{list}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1024))]

        #[test]
        fn any_text_is_a_list_or_refused(
            text in "\\PC*|([a-z/@#\"' \t\r\n=-]|--include |--local-dir |org/name){0,40}",
        ) {
            let lines = text.lines().count();
            match parse(&text) {
                Ok(entries) => proptest::prop_assert!(entries.len() <= lines),
                Err(wrong) => proptest::prop_assert!((1..=lines).contains(&wrong.line)),
            }
        }
    }
}
