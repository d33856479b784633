//! `hf cache verify --all`: every file of the cache against what the cache itself says.

use std::path::Path;

use serde_json::{Value, json};

use super::tell::{by_xet_hash, problem_text, tell_wrong};
use super::{cache_root, shown};
use crate::cache::check::verify::{against_cache, hash_all, snapshot_files};
use crate::cache::scan::report::Problem;
use crate::cache::scan::{Detail, scan};
use crate::cache::trees;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::{Mode, ProgressStyle, text};

/// A revision in the cache, for a list of what is wrong.
struct Place {
    id: String,
    revision: String,
}

impl Place {
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
    let (mut checks, mut prefixes) = (Vec::new(), Vec::new());
    let (mut missing, mut unknown, mut revisions) = (0, 0, 0);
    for repo in &report.repos {
        for revision in &repo.revisions {
            let tree = repo.layout.tree_named(&revision.name);
            let local = snapshot_files(&revision.path(&repo.layout))?;
            let (plan, not_known) = against_cache(trees::read(&tree).as_ref(), &local);
            let plan = if is_sha256 { plan.without_xet() } else { plan };
            missing += plan.missing.len();
            unknown += not_known.len();
            revisions += 1;
            let place = Place {
                id: repo.id.to_string(),
                revision: revision.commit.clone(),
            };
            let absent = plan.missing.iter();
            problems
                .extend(absent.map(|path| place.file("missing", path, "its revision lists it")));
            let unproven = not_known.iter();
            problems
                .extend(unproven.map(|path| place.file("unchecked", path, "its hash is unknown")));
            let prefix = format!("{} {} ", repo.id, revision.commit);
            prefixes.push((prefix.clone(), place));
            checks.extend(plan.checks.into_iter().map(|mut check| {
                check.path.insert_str(0, &prefix);
                check
            }));
        }
    }
    let found = hash_all(&checks, context.console.progress(style).as_ref())?;
    let wrong = &found.wrong;
    tell_wrong(wrong, context);
    for (count, what) in [
        (missing, "missing, though listed for its revision"),
        (unknown, "not checked: the hash is unknown"),
    ] {
        if count > 0 {
            let files = text::count(count as u64, "file");
            context.console.warn(&format!("{files} {what}."));
        }
    }
    for file in wrong {
        let mut known = prefixes.iter();
        let place =
            known.find_map(|(prefix, at)| Some((at, file.path.strip_prefix(prefix.as_str())?)));
        let Some((place, path)) = place else { continue };
        let (is, expected) = (&file.actual, &file.expected);
        let why = format!("its {} is {is} and should be {expected}", file.algorithm);
        problems.push(place.file("wrong", path, &why));
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
    if !wrong.is_empty() || !report.problems.is_empty() {
        if context.console.mode() == Mode::Json {
            context.console.result("", facts);
        }
        return Err(CliError::new(
            ErrorKind::Corrupt,
            format!(
                "The cache in {} has {} and {}.",
                shown(&report.root),
                text::count(wrong.len() as u64, "wrong file"),
                text::count(report.problems.len() as u64, "damaged or unknown entry")
            ),
        )
        .hint("`hf cache rm` removes a repository or file, `hf download` fetches it again"));
    }
    context
        .console
        .result("Every file of the cache is right.", facts);
    Ok(())
}
