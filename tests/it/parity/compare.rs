//! The judge: two observations in, disagreements out, and whether the named differences account for them. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::differences::{ALL, Difference};
use super::observe::{Asked, Methods, Observed};

/// The form of what a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: equal but for colours.
    Human,
    /// Byte for byte.
    Agent,
    /// Byte for byte.
    Quiet,
    /// The same keys and values; ours may have more keys.
    Json,
}

impl Format {
    /// The form that a command line asks for.
    pub fn asked_for(args: &[String]) -> Self {
        let given = |names: &[&str]| args.iter().any(|arg| names.contains(&arg.as_str()));
        let joined = args.join(" ").replace("--format=", "--format ");
        let named = joined.split_once("--format ");
        match named.and_then(|(_, rest)| rest.split(' ').next()) {
            Some("json") => Self::Json,
            Some("agent") => Self::Agent,
            Some("quiet") => Self::Quiet,
            _ if given(&["--json"]) => Self::Json,
            _ if given(&["-q", "--quiet"]) => Self::Quiet,
            _ => Self::Human,
        }
    }
}

/// One thing in which the two clients differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// How they ended.
    Exit { ours: i32, theirs: i32 },
    /// What they printed on stdout.
    Stdout {
        format: Format,
        ours: String,
        theirs: String,
    },
    /// Sentences for people among it.
    Words { ours: String, theirs: String },
    /// A name on disk that one has, or that holds something else.
    File {
        path: String,
        ours: Option<String>,
        theirs: Option<String>,
    },
    /// Permission bits of a name on disk that is otherwise the same.
    Mode {
        path: String,
        ours: u32,
        theirs: u32,
    },
    /// An address that they asked not in the same way, or not equally often.
    Request {
        asked: Asked,
        ours: Methods,
        theirs: Methods,
    },
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit { ours, theirs } => write!(f, "exit code: ours {ours}, theirs {theirs}"),
            Self::Stdout {
                format,
                ours,
                theirs,
            } => write!(
                f,
                "stdout ({format:?}):\n  ours   {ours:?}\n  theirs {theirs:?}"
            ),
            Self::Words { ours, theirs } => {
                write!(f, "words:\n  ours   {ours:?}\n  theirs {theirs:?}")
            }
            Self::File { path, ours, theirs } => {
                let text = |side: &Option<String>| side.clone().unwrap_or("absent".to_owned());
                write!(f, "{path}: ours {}, theirs {}", text(ours), text(theirs))
            }
            Self::Mode { path, ours, theirs } => {
                write!(f, "{path}: mode ours {ours:04o}, theirs {theirs:04o}")
            }
            Self::Request {
                asked,
                ours,
                theirs,
            } => write!(f, "{asked}: ours {ours:?}, theirs {theirs:?}"),
        }
    }
}

/// Everything in which the two differ.
pub fn disagreements(format: Format, ours: &Observed, theirs: &Observed) -> Vec<Disagreement> {
    let mut found = Vec::new();
    if ours.code != theirs.code {
        found.push(Disagreement::Exit {
            ours: ours.code,
            theirs: theirs.code,
        });
    }
    found.extend(output(format, &ours.stdout, &theirs.stdout));
    found.extend(files(ours, theirs));
    found.extend(requests(ours, theirs));
    found
}

fn output(format: Format, ours: &str, theirs: &str) -> Vec<Disagreement> {
    let theirs = console::strip_ansi_codes(theirs);
    let same = match format {
        Format::Json => {
            let parsed = |text: &str| serde_json::from_str::<Value>(text);
            match (parsed(ours), parsed(&theirs)) {
                (Ok(ours), Ok(theirs)) => holds(&ours, &theirs),
                _ => ours == theirs,
            }
        }
        Format::Human | Format::Agent | Format::Quiet => ours == theirs,
    };
    if same {
        return Vec::new();
    }
    let ((ours, our_words), (theirs, their_words)) = match format {
        Format::Human | Format::Agent => (without_words(ours), without_words(&theirs)),
        Format::Json | Format::Quiet => {
            let whole = |text: &str| (text.to_owned(), String::new());
            (whole(ours), whole(&theirs))
        }
    };
    let mut found = Vec::new();
    if our_words != their_words {
        found.push(Disagreement::Words {
            ours: our_words,
            theirs: their_words,
        });
    }
    if ours != theirs {
        found.push(Disagreement::Stdout {
            format,
            ours,
            theirs,
        });
    }
    found
}

/// What a line of stdout starts with that is a sentence for people and has a place in the results.
const SENTENCES: [&str; 7] = [
    "✓ ",
    "[dry-run] ",
    // The older clients.
    "⚠",
    "Scanned ",
    "Done in ",
    "There is no cache",
    "Cache directory not found",
];

/// Splits such lines off. The Python client prints a prompt without an end of line before some.
fn without_words(text: &str) -> (String, String) {
    let (mut rest, mut words) = (String::new(), String::new());
    for line in text.split_inclusive('\n') {
        let begins = SENTENCES.iter().filter_map(|start| line.find(start)).min();
        let (before, sentence) = line.split_at(begins.unwrap_or(line.len()));
        rest.push_str(before);
        if !before.is_empty() && !sentence.is_empty() {
            rest.push('\n');
        }
        words.push_str(&without_duration(sentence));
    }
    (rest, words)
}

/// How long a scan took is another number each time.
fn without_duration(sentence: &str) -> String {
    let took = sentence
        .strip_prefix("Done in ")
        .and_then(|rest| rest.split_once("s. "));
    match took {
        Some((seconds, rest)) if seconds.parse::<f64>().is_ok() => {
            format!("Done in [TIME]s. {rest}")
        }
        _ => sentence.to_owned(),
    }
}

/// Whether `ours` has everything that `theirs` has.
fn holds(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => theirs
            .iter()
            .all(|(key, theirs)| ours.get(key).is_some_and(|ours| holds(ours, theirs))),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| holds(a, b))
        }
        (ours, theirs) => ours == theirs,
    }
}

fn files(ours: &Observed, theirs: &Observed) -> Vec<Disagreement> {
    let paths: BTreeSet<&String> = ours.files.keys().chain(theirs.files.keys()).collect();
    let compare = |path: &String| {
        let (ours, theirs) = (ours.files.get(path), theirs.files.get(path));
        let path = path.clone();
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours.what == theirs.what => (ours.mode != theirs.mode)
                .then_some(Disagreement::Mode {
                    path,
                    ours: ours.mode,
                    theirs: theirs.mode,
                }),
            (ours, theirs) => Some(Disagreement::File {
                path,
                ours: ours.map(|file| file.what.clone()),
                theirs: theirs.map(|file| file.what.clone()),
            }),
        }
    };
    paths.into_iter().filter_map(compare).collect()
}

fn requests(ours: &Observed, theirs: &Observed) -> Vec<Disagreement> {
    let all: BTreeSet<&Asked> = ours.requests.keys().chain(theirs.requests.keys()).collect();
    let compare = |asked: &Asked| {
        let methods = |side: &Observed| side.requests.get(asked).cloned().unwrap_or_default();
        let (ours, theirs) = (methods(ours), methods(theirs));
        (ours != theirs).then(|| Disagreement::Request {
            asked: asked.clone(),
            ours,
            theirs,
        })
    };
    all.into_iter().filter_map(compare).collect()
}

/// What is wrong with a scenario: disagreements that no declared difference accounts for, and declared differences that
/// do not show.
pub fn verdict(scenario: &str, found: &[Disagreement], declared: &[&Difference]) -> Vec<String> {
    let unexplained = found
        .iter()
        .filter(|one| !declared.iter().any(|known| known.explains(scenario, one)))
        .map(|one| match accounts_for(scenario, one) {
            Some(known) => format!("not declared, could be {}: {one}", known.name),
            None => format!("not declared: {one}"),
        });
    let unseen = declared
        .iter()
        .filter(|known| !found.iter().any(|one| known.explains(scenario, one)))
        .map(|known| format!("declared, but it does not show: {}", known.name));
    unexplained.chain(unseen).collect()
}

/// The first difference of the list that accounts for it.
pub fn accounts_for(scenario: &str, one: &Disagreement) -> Option<&'static Difference> {
    ALL.iter().find(|known| known.explains(scenario, one))
}

/// Rules that every run of ours must keep, whatever the Python client does; returns those that it broke.
pub fn broken_rules(args: &[String], ours: &Observed, on_terminal: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let talk = [&ours.stdout, &ours.stderr];
    let prints_token = args.first().is_some_and(|arg| arg == "auth")
        && args.get(1).is_some_and(|arg| arg == "token");
    if !prints_token && talk.iter().any(|text| text.contains("hf_secret")) {
        wrong.push("a token was shown".to_owned());
    }
    if !on_terminal && talk.iter().any(|text| text.contains('\u{1b}')) {
        wrong.push("a control sequence reached a pipe".to_owned());
    }
    if ours.code != 0 && ours.stderr.is_empty() {
        wrong.push("it failed without a message".to_owned());
    }
    if ours.stderr.contains("panicked") {
        wrong.push("it panicked".to_owned());
    }
    let leaks = ours.requests.keys().filter(|asked| asked.cdn);
    for asked in leaks.filter(|asked| asked.token.is_some()) {
        wrong.push(format!("a token went to the CDN: {asked}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::differences::named;
    use super::super::observe::File;
    use super::*;

    fn observed(code: i32, stdout: &str) -> Observed {
        Observed {
            code,
            stdout: stdout.to_owned(),
            ..Observed::default()
        }
    }

    #[test]
    fn an_undeclared_difference_fails_and_so_does_one_that_shows_no_longer() {
        let usage = named("USAGE_IS_2");
        let found = disagreements(Format::Human, &observed(2, ""), &observed(0, ""));
        assert_eq!(
            verdict("hf download", &found, &[usage]),
            Vec::<String>::new()
        );
        let undeclared = verdict("hf download", &found, &[]);
        assert_eq!(
            undeclared,
            ["not declared, could be USAGE_IS_2: exit code: ours 2, theirs 0"]
        );
        let unseen = verdict("hf download", &[], &[usage]);
        assert_eq!(unseen, ["declared, but it does not show: USAGE_IS_2"]);
        let found = disagreements(Format::Human, &observed(3, ""), &observed(0, ""));
        assert_eq!(verdict("hf download", &found, &[usage]).len(), 2);
    }

    #[test]
    fn output_is_compared_by_its_form() {
        let same = |format, ours: &str, theirs: &str| output(format, ours, theirs).is_empty();
        let (more, fewer) = ("{\"a\": 1, \"b\": 2}\n", "{\"a\": 1}\n");
        assert!(same(Format::Json, more, fewer));
        assert!(!same(Format::Json, fewer, more));
        assert!(!same(Format::Json, "[{}, {}]", "[{}]"));
        assert!(!same(Format::Json, "", fewer));
        assert!(!same(Format::Quiet, "a\n", "a"));
        assert!(same(Format::Human, "a\n", "\u{1b}[1ma\u{1b}[0m\n"));
        assert!(!same(Format::Agent, "a\n", "\u{1b}[1ma\u{1b}[0m\n b"));
        let words = output(
            Format::Human,
            "✓ Done.\n  a: 1\n",
            "Go? [y/N]: ✓ Ok\n  a: 1\n",
        );
        assert!(matches!(
            &words[..],
            [Disagreement::Words { .. }, Disagreement::Stdout { .. }]
        ));
    }

    #[test]
    fn files_and_requests_are_compared_both_ways() {
        let (mut ours, mut theirs) = (Observed::default(), Observed::default());
        let file = |what: &str, mode| File {
            what: what.to_owned(),
            mode,
        };
        let asked = |token: Option<&str>| Asked {
            cdn: false,
            path: "/x".to_owned(),
            token: token.map(str::to_owned),
        };
        let once = Methods::from([("GET".to_owned(), 1)]);
        ours.files.insert("only ours".to_owned(), file("a", 0o644));
        theirs
            .files
            .insert("only theirs".to_owned(), file("a", 0o644));
        ours.files.insert("content".to_owned(), file("a", 0o644));
        theirs.files.insert("content".to_owned(), file("b", 0o644));
        ours.files.insert("mode".to_owned(), file("a", 0o644));
        theirs.files.insert("mode".to_owned(), file("a", 0o600));
        ours.requests.insert(asked(None), once.clone());
        theirs.requests.insert(asked(Some("hf_secret")), once);
        let found = disagreements(Format::Human, &ours, &theirs);
        assert_eq!(found.len(), 6, "{found:?}");
        assert_eq!(disagreements(Format::Human, &ours, &ours), Vec::new());
    }

    #[test]
    fn broken_rules_are_seen() {
        let args = ["auth".to_owned(), "whoami".to_owned()];
        assert_eq!(broken_rules(&args, &observed(0, "alice"), false).len(), 0);
        assert_eq!(
            broken_rules(&args, &observed(0, "hf_secret_1"), false).len(),
            1
        );
        assert_eq!(
            broken_rules(&args, &observed(1, "\u{1b}[1m"), false).len(),
            2
        );
        let mut leaking = observed(0, "");
        let asked = Asked {
            cdn: true,
            path: "/x".to_owned(),
            token: Some("hf_secret".to_owned()),
        };
        leaking.requests.insert(asked, Methods::new());
        assert_eq!(broken_rules(&args, &leaking, false).len(), 1);
    }
}
