//! `hf cache verify --all`: every file of the cache against what the cache itself says.

use std::path::Path;

use serde_json::json;

use super::tell::{by_xet_hash, problem_text, tell_wrong};
use super::{cache_root, shown};
use crate::cache::check::verify::{against_cache, hash_all, snapshot_files};
use crate::cache::scan::{Detail, scan};
use crate::cache::trees;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::{ProgressStyle, text};

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
    let (mut checks, mut missing, mut unknown, mut revisions) = (Vec::new(), 0, 0, 0);
    for repo in &report.repos {
        for revision in &repo.revisions {
            let tree = repo.layout.tree_named(&revision.name);
            let local = snapshot_files(&revision.path(&repo.layout))?;
            let (plan, not_known) = against_cache(trees::read(&tree).as_ref(), &local);
            let plan = if is_sha256 { plan.without_xet() } else { plan };
            missing += plan.missing.len();
            unknown += not_known.len();
            revisions += 1;
            let prefix = format!("{} {} ", repo.id, revision.commit);
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
    if !wrong.is_empty() || !report.problems.is_empty() {
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
    let mut facts = vec![
        ("checked", json!(checks.len())),
        ("repos", json!(report.repos.len())),
        ("revisions", json!(revisions)),
        ("path", crate::console::paths::path_value(&report.root)),
    ];
    facts.extend(by_xet_hash(&found));
    context
        .console
        .result("Every file of the cache is right.", facts);
    Ok(())
}
