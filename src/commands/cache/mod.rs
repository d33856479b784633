//! `hf cache …`: what the commands of the group share, and which one runs.

pub mod delete;
pub mod doctor;
pub mod ls;
mod names;
pub mod pin;
pub mod prune;
pub mod rm;
pub mod scan;
pub mod verify;
mod verify_all;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use crate::cache::check::verify::{Mismatch, Verified};
use crate::cache::remove::{DeletePlan, Extent, Outcome, Spared, Use};
use crate::cache::scan::report::{CacheReport, Problem, ProblemKind};
use crate::commands::context::Context;
use crate::commands::error::{CliError, Kind, sentence};
use crate::console::{Fields, Mode, text};
use crate::sys::refuse_foreign_link;

/// The commands of the group.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the text of a command stands at its arguments")]
pub enum CacheCommand {
    #[command(name = "ls", visible_alias = "list")]
    Ls(ls::Args),
    Rm(rm::Args),
    Prune(prune::Args),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    Verify(verify::Args),
    Doctor(doctor::Args),
    Scan(scan::Args),
    Delete(delete::Args),
}

impl CacheCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever made it fail.
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            CacheCommand::Ls(args) => ls::run(&args, context),
            CacheCommand::Rm(args) => rm::run(&args, context),
            CacheCommand::Prune(args) => prune::run(&args, context),
            CacheCommand::Pin(args) => pin::pin(&args, context),
            CacheCommand::Unpin(args) => pin::unpin(&args, context),
            CacheCommand::Doctor(args) => doctor::run(&args, context),
            CacheCommand::Verify(args) => verify::run(&args, context),
            CacheCommand::Delete(args) => delete::run(&args, context),
            CacheCommand::Scan(args) => scan::run(&args, context),
        }
    }
}

/// How something is removed.
#[derive(Debug, clap::Args)]
struct RemovalArgs {
    /// Cache folder to work in [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Only list what would be removed.
    #[arg(long, overrides_with = "no_dry_run")]
    dry_run: bool,
    #[arg(long, hide = true)]
    no_dry_run: bool,
}

impl RemovalArgs {
    /// Asks, carries out the plan, and reports what could not be removed.
    fn carry_out(
        &self,
        plan: &DeletePlan,
        report: &CacheReport,
        context: &Context,
    ) -> Result<Outcome, CliError> {
        ask("Delete this?", self.yes, context)?;
        let outcome = plan.execute(report.store.as_ref());
        tell_busy(&outcome.busy, context);
        tell_failures(&outcome)?;
        Ok(outcome)
    }
}

/// The cache's root: the option, else the environment's.
fn cache_root(option: Option<&Path>, context: &Context) -> PathBuf {
    option.map_or_else(
        || context.settings.hub_cache.clone(),
        |path| context.env.expand_home(path),
    )
}

/// As [`cache_root`], for a command that writes or deletes there.
///
/// # Errors
/// The root is a link of another user, who would decide what is deleted.
fn own_cache_root(option: Option<&Path>, context: &Context) -> Result<PathBuf, CliError> {
    let root = cache_root(option, context);
    refuse_foreign_link(&root)?;
    Ok(root)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A path as it may be shown.
pub(crate) fn shown(path: &Path) -> String {
    text::escape(&path.display().to_string())
}

/// A problem in words, with the command that fixes it where the folder has the name of a repository.
fn problem_text(problem: &Problem) -> String {
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
enum Damaged {
    /// They are, and were reported.
    Listed,
    /// They are not, as for the Python clients.
    LeftOut,
}

/// Reports problems: each of them when `all`, else how many. What cannot be read is always listed.
///
/// # Errors
/// Something could not be read: what was shown is not all there is.
fn report_problems(
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
        Kind::Disk,
        "A part of the cache cannot be read, so the list is not complete.",
    )
    .hint("check who owns these folders; run the command as that user to see all"))
}

/// Shows a person what a plan will remove, before the question.
fn show_plan(plan: &DeletePlan, summary: &str, context: &Context) {
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
    for file in &plan.incomplete {
        let path = shown(&file.path(Path::new("")));
        lines.push(format!("  {path} (unfinished) {}", text::size(file.size)));
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

/// Names the repositories that a plan leaves alone.
fn tell_spared(plan: &DeletePlan, context: &Context) {
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
fn tell_busy(busy: &[Spared], context: &Context) {
    for spared in busy {
        let why = why_spared(spared);
        context.console.warn(&format!("{why}; it is left alone."));
    }
}

/// Why a repository is left alone, in the words that begin a sentence.
fn why_spared(spared: &Spared) -> String {
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
fn tell_listed(plan: &DeletePlan, context: &Context) {
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
fn tell_fresh(plan: &DeletePlan, context: &Context) {
    for file in &plan.fresh {
        let path = shown(&file.path(Path::new("")));
        context.console.warn(&format!(
            "{path} was written within 24 hours, and no lock tells whether a program still writes to it; it is left alone."
        ));
    }
}

/// `1 detached revision, 2 unfinished downloads and 1 unused shared file`.
fn summary(parts: &[(usize, &str)]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| text::count(*count as u64, noun))
        .collect();
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

/// Asks before something is lost, unless `yes`.
///
/// # Errors
/// The answer is no, or this output format cannot ask.
fn ask(question: &str, yes: bool, context: &Context) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !context.console.may_ask() {
        return Err(CliError::new(
            Kind::Aborted,
            "This needs a confirmation, and only --format human asks for it: pass --yes.",
        )
        .hint("--dry-run shows what would happen"));
    }
    match context.console.ask_yes_no_or_end(question, false) {
        Ok(None) => Err(CliError::new(Kind::Aborted, "Aborted.")
            .hint("nothing was deleted; the question was not answered: pass --yes")),
        answer => answered(answer.map(|answer| answer == Some(true))),
    }
}

/// Asks after the user has chosen by hand. Under the legacy name an empty line means yes and a "no" is
/// success, as in the legacy client.
///
/// # Errors
/// The answer is no, or there is none.
fn ask_after_choice(question: &str, context: &Context) -> Result<bool, CliError> {
    let console = &context.console;
    match console.ask_yes_no_or_end(question, console.is_legacy()) {
        Ok(Some(false)) if console.is_legacy() => Ok(false),
        answer => answered(answer.map(|answer| answer == Some(true))).map(|()| true),
    }
}

fn answered(answer: std::io::Result<bool>) -> Result<(), CliError> {
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::new(Kind::Aborted, "Aborted.").hint("nothing was deleted")),
        Err(error) => Err(CliError::new(Kind::Other, "Cannot read the answer.").caused_by(error)),
    }
}

/// An error for what could not be removed, with the first reason.
fn tell_failures(outcome: &Outcome) -> Result<(), CliError> {
    let Some(first) = outcome.failures.first() else {
        return Ok(());
    };
    let rest = match outcome.failures.len() - 1 {
        0 => String::new(),
        more => format!(", nor {}", text::count(more as u64, "other path")),
    };
    Err(CliError::new(
        Kind::Disk,
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

/// Adds the number of bytes beside the formatted size, in JSON only: there keys may be added.
fn push_bytes(fields: &mut Fields, key: &'static str, bytes: u64, context: &Context) {
    if context.console.mode() == Mode::Json {
        fields.push((key, bytes.into()));
    }
}

/// Names wrong files.
pub fn tell_wrong(wrong: &[Mismatch], context: &Context) {
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

/// How many files were proven by their Xet hash, if any were.
pub fn by_xet_hash(found: &Verified) -> Option<(&'static str, serde_json::Value)> {
    (found.by_xet_hash > 0).then(|| ("proven_by_xet_hash", found.by_xet_hash.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        for (counts, expected) in [
            ([1, 0, 0], "1 a"),
            ([0, 2, 0], "2 bs"),
            ([1, 2, 0], "1 a and 2 bs"),
            ([1, 2, 3], "1 a, 2 bs and 3 cs"),
        ] {
            let [a, b, c] = counts;
            assert_eq!(summary(&[(a, "a"), (b, "b"), (c, "c")]), expected);
        }
    }
}
