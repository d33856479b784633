//! What the commands of the group tell a person: plans, what is left alone, what failed, what is damaged.

use std::path::Path;

use super::shown;
use crate::cache::check::verify::{Mismatch, Verified};
use crate::cache::remove::{DeletePlan, Extent, Outcome, Spared, Unfinished, Use, unfinished};
use crate::cache::scan::report::{CacheReport, CachedRepo, CachedRevision, Problem, ProblemKind};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, sentence};
use crate::console::{Mode, text};
use crate::types::is_commit_prefix;

/// A problem in words, with the command that fixes it where the folder has the name of a repository.
pub(super) fn problem_text(problem: &Problem) -> String {
    let what = format!("{} {}", problem.path.display(), problem.kind);
    let is_unreadable = matches!(problem.kind, ProblemKind::Unreadable(_));
    match problem.repo() {
        Some(id) if !is_unreadable => {
            let id = text::escape(&id.to_string());
            format!(
                "{id} is damaged: {}. `hf cache doctor --fix` repairs what it can, `hf cache rm {id}` removes it.",
                text::escape(&what)
            )
        }
        _ => format!("{} It is left out.", sentence(&text::escape(&what))),
    }
}

/// Whether damaged repositories are among the rows that were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damaged {
    /// They are, and were reported.
    Listed,
    /// They are not, as for the Python clients.
    LeftOut,
}

/// Reports problems: each of them when `all`, else how many. What cannot be read is always listed.
///
/// # Errors
/// Something could not be read: what was shown is not all there is.
pub(super) fn report_problems(
    report: &CacheReport,
    all: bool,
    flag: &str,
    damaged: Damaged,
    context: &Context,
) -> Result<(), CliError> {
    let is_unreadable = |problem: &&Problem| matches!(problem.kind, ProblemKind::Unreadable(_));
    let (unreadable, mut others): (Vec<&Problem>, Vec<&Problem>) =
        report.problems.iter().partition(is_unreadable);
    if damaged == Damaged::Listed {
        others.retain(|problem| problem.rest.is_none());
    }
    if all {
        for problem in &others {
            context.console.warn(&problem_text(problem));
        }
    } else if !others.is_empty() {
        context.console.warn(&format!(
            "{} in the cache left out as damaged or unknown; {flag} lists them.",
            text::count(others.len() as u64, "entry")
        ));
    }
    for problem in &unreadable {
        context.console.warn(&problem_text(problem));
    }
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        ErrorKind::Disk,
        "A part of the cache cannot be read, so the list is not complete.",
    )
    .hint("check who owns these folders; run the command as that user to see all"))
}

/// Shows a person what a plan will remove, before the question.
pub(super) fn show_plan(plan: &DeletePlan, summary: &str, context: &Context) {
    if !matches!(context.console.mode(), Mode::Human | Mode::Agent) {
        return;
    }
    let mut lines = vec![format!(
        "To be deleted: {summary}, which frees {}.",
        text::size(plan.freed)
    )];
    for repo in &plan.repos {
        let id = text::escape(&repo.id.to_string());
        match &repo.extent {
            Extent::Whole { .. } => lines.push(format!("  {id} (all of it)")),
            Extent::Revisions(revisions) => {
                lines.push(format!("  {id}"));
                for revision in revisions {
                    let refs = match revision.refs.as_slice() {
                        [] => "detached".to_owned(),
                        refs => text::escape(&refs.join(" ")),
                    };
                    let size = text::size(revision.size);
                    let commit = text::escape(&revision.commit);
                    lines.push(format!("    {commit} ({refs}) {size}"));
                }
            }
            Extent::Files(files) => lines.extend(files.iter().map(|(commit, path)| {
                let shown = |bytes: &[u8]| text::escape(&String::from_utf8_lossy(bytes));
                format!("  {id} {} {}", shown(commit), shown(path))
            })),
        }
    }
    for one in unfinished(&plan.root, &plan.incomplete) {
        let what = unfinished_name(&one, &plan.root);
        lines.push(format!("  {what} (unfinished) {}", kept(&one)));
    }
    for shared_blob in &plan.unused {
        let path = shown(&shared_blob.place());
        lines.push(format!(
            "  {path} (unused) {}",
            text::size(shared_blob.size)
        ));
    }
    context.console.say(&lines.join("\n"));
}

/// The repository and the file of an unfinished download; its place where no listing knows the file.
pub(super) fn unfinished_name(one: &Unfinished, root: &Path) -> String {
    match (&one.repo, &one.name) {
        (Some(repo), Some(name)) => text::escape(&format!("{repo} {name}")),
        _ => shown(one.path.strip_prefix(root).unwrap_or(&one.path)),
    }
}

/// `1.2M of 3.4M`.
pub(super) fn kept(one: &Unfinished) -> String {
    match one.total {
        Some(total) => format!(
            "{} of {}",
            text::size(one.kept.min(total)),
            text::size(total)
        ),
        None => text::size(one.kept),
    }
}

/// Names the repositories that a plan leaves alone.
pub(super) fn tell_spared(plan: &DeletePlan, context: &Context) {
    tell_busy(&plan.busy, context);
    tell_listed(plan, context);
    for id in &plan.pinned {
        let id = text::escape(id);
        context.console.warn(&format!(
            "{id} is pinned; it is left alone. `hf cache unpin {id}` lifts that."
        ));
    }
}

/// Names the repositories that are left alone because a process downloads into them, or may.
pub(super) fn tell_busy(busy: &[Spared], context: &Context) {
    for spared in busy {
        let why = why_spared(spared);
        context.console.warn(&format!("{why}; it is left alone."));
    }
}

/// Why a repository is left alone, in the words that begin a sentence.
pub(super) fn why_spared(spared: &Spared) -> String {
    let id = text::escape(&spared.id);
    match &spared.reason {
        Use::Held => format!("{id} is being downloaded into by another process"),
        Use::CannotTell(path) => format!(
            "{id} may be being downloaded into: {} was written within 24 hours, and this file system does not say whether its lock is held",
            shown(path)
        ),
        Use::Unlocked(path) => format!(
            "{id} may be being downloaded into: {} was written within 24 hours, and no lock tells whether a program still writes to it",
            shown(path)
        ),
    }
}

/// Names the shared blobs that no link uses and that a plan keeps, with the reason.
pub(super) fn tell_listed(plan: &DeletePlan, context: &Context) {
    for listed in &plan.listed {
        let repo = text::escape(&listed.repo.to_string());
        let reason = match listed.is_certain {
            true => format!(
                "{repo} lists a file of this content and has no link to it. `hf cache doctor --fix` makes the link; `hf cache rm` removes the repository."
            ),
            false => format!(
                "a listing of {repo} cannot be read and may name it. The next download of that repository writes the listing again; `hf cache rm` removes the repository."
            ),
        };
        context.console.warn(&format!(
            "{} ({}) is kept: {reason}",
            shown(&listed.shared_blob.place()),
            text::size(listed.shared_blob.size),
        ));
    }
}

/// Names the unfinished downloads that a plan leaves alone.
pub(super) fn tell_fresh(plan: &DeletePlan, context: &Context) {
    for file in &plan.fresh {
        let path = shown(&file.path(Path::new("")));
        context.console.warn(&format!(
            "{path} was written within 24 hours, and no lock tells whether a program still writes to it; it is left alone."
        ));
    }
}

/// Names the revisions that a plan keeps because their download was interrupted, and how to remove them.
pub(super) fn tell_interrupted<'a>(
    revisions: impl Iterator<Item = (&'a CachedRepo, &'a CachedRevision)>,
    plan: &DeletePlan,
    context: &Context,
) {
    for (repo, revision) in revisions {
        let id = text::escape(&repo.id.to_string());
        // A line says already that it is being downloaded.
        if plan
            .busy
            .iter()
            .any(|spared| spared.id == repo.id.to_string())
        {
            continue;
        }
        let commit: String = revision.commit.chars().take(12).collect();
        let target = match repo.revisions.len() > 1 && is_commit_prefix(&commit) {
            true => commit.clone(),
            false => id.clone(),
        };
        context.console.warn(&format!(
            "{id} was not downloaded to the end; what came of revision {} is kept for 24 hours. `hf download` continues it, `hf cache rm {target}` removes it.",
            text::escape(&commit)
        ));
    }
}

/// An error for what could not be removed, with the first reason.
pub(super) fn tell_failures(outcome: &Outcome) -> Result<(), CliError> {
    let Some(first) = outcome.failures.first() else {
        return Ok(());
    };
    let rest = match outcome.failures.len() - 1 {
        0 => String::new(),
        more => format!(", nor {}", text::count(more as u64, "other path")),
    };
    Err(CliError::new(
        ErrorKind::Disk,
        sentence(&format!(
            "cannot {} {}{rest}: {}",
            first.action,
            shown(&first.path),
            text::escape(&crate::sys::reason(&first.source))
        )),
    )
    .hint(format!(
        "everything else was done and {} freed; check who owns that folder and run the command again",
        text::size(outcome.freed)
    )))
}

/// Names wrong files.
pub(super) fn tell_wrong(wrong: &[Mismatch], context: &Context) {
    for file in wrong {
        context.console.warn(&format!(
            "{} is damaged: its {} is {} and should be {}.",
            text::escape(&file.path),
            file.algorithm,
            file.actual,
            file.expected
        ));
    }
}

/// Names files that could not be read: all when `is_worse`, that is where the command fails for another
/// reason, else all but the first, which is the reason why it fails.
pub(super) fn tell_unreadable(
    found: &mut Verified,
    is_worse: bool,
    context: &Context,
) -> Option<CliError> {
    let unreadable = std::mem::take(&mut found.unreadable).into_iter();
    let mut errors = unreadable.map(|file| CliError::from(file.error));
    let first = (!is_worse).then(|| errors.next()).flatten();
    for error in errors {
        context.console.warn(&error.message);
    }
    first
}

/// How many files were proven by their Xet hash, if any were.
pub(super) fn by_xet_hash(found: &Verified) -> Option<(&'static str, serde_json::Value)> {
    (found.by_xet_hash > 0).then(|| ("proven_by_xet_hash", found.by_xet_hash.into()))
}
