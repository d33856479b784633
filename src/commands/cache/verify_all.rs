//! `hf cache verify --all`: every file of the cache against what the cache itself says.

use std::path::Path;

use serde_json::{Value, json};

use super::tell::{by_xet_hash, problem_text, tell_unreadable, tell_wrong};
use super::{cache_root, shown};
use crate::cache::check::verify::{Unreadable, against_cache, hash_all, snapshot_files};
use crate::cache::scan::report::Problem;
use crate::cache::scan::{Detail, scan};
use crate::cache::trees;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::{Mode, ProgressStyle, text};
use crate::sys::reason;

/// How many files of a revision are named, and how many revisions get a line of their own.
const NAMED: usize = 3;
const MOST_LINES: usize = 20;

/// A revision in the cache, for a list of what is wrong.
struct Place {
    id: String,
    revision: String,
}

impl Place {
    /// `model/o/m 0123456789ab`.
    fn short(&self) -> String {
        let commit: String = self.revision.chars().take(12).collect();
        format!("{} {commit}", self.id)
    }

    /// What is the matter with a file, where it is, and why.
    fn file(&self, what: &str, path: &str, why: &str) -> Value {
        json!({
            "what": format!("{what}_file"),
            "where": format!("{} {} {path}", self.id, self.revision),
            "why": why,
            "id": self.id,
            "revision": self.revision,
            "file": path,
        })
    }
}

/// Names files by their revision: (revision, paths). A line has at most [`NAMED`] of them.
fn tell_files(places: &[(String, Vec<String>)], what: &str, context: &Context) {
    let places = places.iter().filter(|(_, paths)| !paths.is_empty());
    for (number, (place, paths)) in places.clone().enumerate() {
        if number == MOST_LINES {
            let more = text::count((places.count() - number) as u64, "more revision");
            context.console.warn(&format!(
                "Files of {more} are {what}. --json lists them all."
            ));
            return;
        }
        let mut named: Vec<String> = paths.iter().take(NAMED).map(|p| text::escape(p)).collect();
        if paths.len() > NAMED {
            named.push(format!("{} more", paths.len() - NAMED));
        }
        context.console.warn(&format!(
            "{}: {} {what}: {}.",
            text::escape(place),
            text::count(paths.len() as u64, "file"),
            named.join(", ")
        ));
    }
}

/// A damaged repository or unknown entry of the cache, in the same form.
fn damaged(problem: &Problem) -> Value {
    json!({
        "what": "damaged_entry",
        "where": String::from_utf8_lossy(&problem.folder),
        "why": problem.kind.word(),
        "id": problem.repo().map(|id| id.to_string()),
        "revision": null,
        "file": null,
    })
}

/// Checks every file against the listings and blob names of the cache. With `is_sha256` no Xet hash proves
/// anything.
///
/// # Errors
/// A wrong file or a damaged repository, or something that cannot be read.
pub fn verify_all(
    cache_dir: Option<&Path>,
    is_sha256: bool,
    style: ProgressStyle,
    context: &Context,
) -> Result<(), CliError> {
    let root = cache_root(cache_dir, context);
    let report = scan(&root, Detail::Totals)?;
    for problem in &report.problems {
        context.console.warn(&problem_text(problem));
    }
    let mut problems: Vec<Value> = report.problems.iter().map(damaged).collect();
    let (mut checks, mut prefixes, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    let (mut missing, mut unknown) = (Vec::new(), Vec::new());
    let mut revisions = 0;
    for repo in &report.repos {
        for revision in &repo.revisions {
            let tree = repo.layout.tree_named(&revision.name);
            revisions += 1;
            let place = Place {
                id: repo.id.to_string(),
                revision: revision.commit.clone(),
            };
            let prefix = format!("{} {} ", repo.id, revision.commit);
            let local = match snapshot_files(&revision.path(&repo.layout)) {
                Ok(local) => local.labelled(&prefix),
                Err(error) => {
                    unreadable.push(Unreadable {
                        path: prefix.clone(),
                        error,
                    });
                    prefixes.push((prefix, place));
                    continue;
                }
            };
            let (plan, not_known) = against_cache(trees::read(&tree).as_ref(), local);
            let plan = if is_sha256 { plan.without_xet() } else { plan };
            let absent = plan.missing.iter();
            problems
                .extend(absent.map(|path| place.file("missing", path, "its revision lists it")));
            let unproven = not_known.iter();
            problems
                .extend(unproven.map(|path| place.file("unchecked", path, "its hash is unknown")));
            missing.push((place.short(), plan.missing));
            unknown.push((place.short(), not_known));
            prefixes.push((prefix, place));
            match checks.is_empty() {
                true => checks = plan.checks,
                false => checks.extend(plan.checks),
            }
        }
    }
    let mut found = hash_all(&checks, context.console.progress(style).as_ref());
    found.unreadable.extend(unreadable);
    tell_wrong(&found.wrong, context);
    tell_files(&missing, "missing, though listed for the revision", context);
    tell_files(&unknown, "not checked, the hash being unknown", context);
    let placed = |text: &str| {
        let mut known = prefixes.iter();
        known.find_map(|(prefix, at)| Some((at, text.strip_prefix(prefix.as_str())?.to_owned())))
    };
    for file in &found.wrong {
        let Some((place, path)) = placed(&file.path) else {
            continue;
        };
        let (is, expected) = (&file.actual, &file.expected);
        let why = format!("its {} is {is} and should be {expected}", file.algorithm);
        problems.push(place.file("wrong", &path, &why));
    }
    for file in &found.unreadable {
        if let Some((place, path)) = placed(&file.path) {
            let why = format!("it cannot be read: {}", reason(&file.error.source));
            problems.push(place.file("unreadable", &path, &why));
        }
    }
    let mut facts = vec![
        ("checked", json!(checks.len())),
        ("repos", json!(report.repos.len())),
        ("revisions", json!(revisions)),
        ("path", crate::console::paths::path_value(&report.root)),
    ];
    facts.extend(by_xet_hash(&found));
    if context.console.mode() == Mode::Json {
        facts.push(("problems", json!(problems)));
    }
    let is_corrupt = !found.wrong.is_empty() || !report.problems.is_empty();
    let unreadable = tell_unreadable(&mut found, is_corrupt, context);
    if context.console.mode() == Mode::Json && (is_corrupt || unreadable.is_some()) {
        context.console.result("", facts.clone());
    }
    if is_corrupt {
        return Err(CliError::new(
            ErrorKind::Corrupt,
            format!(
                "The cache in {} has {} and {}.",
                shown(&report.root),
                text::count(found.wrong.len() as u64, "wrong file"),
                text::count(report.problems.len() as u64, "damaged or unknown entry")
            ),
        )
        .hint("`hf cache rm` removes a repository or file, `hf download` fetches it again"));
    }
    if let Some(error) = unreadable {
        return Err(error);
    }
    context
        .console
        .result("Every file of the cache is right.", facts);
    Ok(())
}
