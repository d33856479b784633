//! By what a difference is recognised: properties that several entries of the list share.

use super::compare::Disagreement;
use super::observe::Methods;

/// The exit codes differ in exactly this way.
pub fn exit(one: &Disagreement, ours: i32, theirs: i32) -> bool {
    *one == Disagreement::Exit { ours, theirs }
}

/// We succeed, get a result and leave more on disk, where they fail: what must show in that case.
pub fn we_succeed(one: &Disagreement) -> bool {
    match one {
        Disagreement::Exit { ours, theirs } => (*ours, *theirs) == (0, 1),
        Disagreement::Stdout { ours, theirs, .. } => theirs.is_empty() && !ours.is_empty(),
        Disagreement::Words { theirs, .. } => theirs.is_empty(),
        Disagreement::File { ours, .. } => ours.is_some(),
        Disagreement::Mode { .. } => false,
        Disagreement::Request { ours, theirs, .. } => total(ours) > total(theirs),
    }
}

/// We fail where they succeed, and leave nothing of it.
pub fn we_refuse(one: &Disagreement) -> bool {
    match one {
        Disagreement::Exit { ours, theirs } => *ours != 0 && *theirs == 0,
        Disagreement::Stdout { ours, .. } => ours.is_empty(),
        Disagreement::File { theirs, .. } => theirs.is_some(),
        Disagreement::Words { .. } | Disagreement::Mode { .. } => false,
        Disagreement::Request { ours, theirs, .. } => total(ours) <= total(theirs),
    }
}

pub fn total(methods: &Methods) -> usize {
    methods.values().sum()
}

/// The address of a file's content.
pub fn is_file(path: &str) -> bool {
    path.contains("/resolve/") || path.starts_with("/api/resolve-cache/")
}

/// A path on disk that only they have.
pub fn only_they_leave(one: &Disagreement) -> Option<&str> {
    match one {
        Disagreement::File {
            path, ours: None, ..
        } => Some(path),
        _ => None,
    }
}

/// A path on disk that only we have.
pub fn only_we_leave(one: &Disagreement) -> Option<&str> {
    match one {
        Disagreement::File {
            path, theirs: None, ..
        } => Some(path),
        _ => None,
    }
}

/// The content of `stored_tokens` without the lines that name a Hub.
pub fn without_hub(content: &str) -> String {
    content.replace("endpoint = [HUB]\\n", "")
}

/// Whether a line is part of a result: `  key: value` for people, `key=value` for agents.
fn is_result(line: &str) -> bool {
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if line.starts_with("[ROOT]") {
        return true;
    }
    let shown = line
        .strip_prefix("  ")
        .and_then(|line| line.split_once(": "));
    let word = line.split(' ').next().unwrap_or_default().split_once('=');
    shown.or(word).is_some_and(|(key, _)| is_name(key))
}

/// What they print and we do not is talk; all that we print they print as well.
pub fn only_talk_is_missing(ours: &str, theirs: &str) -> bool {
    let mut rest = ours.lines().peekable();
    let missing = theirs.lines().filter(|line| {
        // A prompt has no line of its own: what is printed next follows it.
        let same = rest.peek().is_some_and(|ours| line.ends_with(*ours));
        if same {
            rest.next();
        }
        !same
    });
    let talk = missing.filter(|line| is_result(line)).count() == 0;
    talk && rest.next().is_none()
}

/// The same table, in which they cut cells and we did not: each line begins with the same cell.
pub fn is_uncut(ours: &str, theirs: &str) -> bool {
    let is_same = |(ours, theirs): (&str, &str)| {
        let first = theirs.split_whitespace().next().unwrap_or_default();
        ours.starts_with(first.trim_end_matches("..."))
    };
    // A sentence follows the table.
    let theirs = theirs.split("\n\n").next().unwrap_or_default();
    theirs.contains("...")
        && !ours.contains("...")
        && ours.lines().count() == theirs.lines().count()
        && ours.lines().zip(theirs.lines()).all(is_same)
}

/// The text without the line about deprecation that 0.36.2 begins with.
pub fn without_deprecation(words: &str) -> String {
    let lines = words.split_inclusive('\n');
    lines.filter(|line| !line.starts_with('⚠')).collect()
}
