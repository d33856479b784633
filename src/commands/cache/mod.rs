//! `hf cache …`: what the commands of the group share, and which one runs.

pub mod delete;
pub mod doctor;
pub mod ls;
mod names;
pub mod pin;
pub mod prune;
pub mod rm;
pub mod scan;
mod tell;
pub mod verify;
mod verify_all;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use self::tell::{tell_busy, tell_failures};
use crate::cache::remove::{DeletePlan, Outcome};
use crate::cache::scan::report::CacheReport;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, Kind};
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
pub(super) fn cache_root(option: Option<&Path>, context: &Context) -> PathBuf {
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
        Err(error) => {
            Err(CliError::new(ErrorKind::Other, "Cannot read the answer.").caused_by(error))
        }
    }
}

/// Adds the number of bytes beside the formatted size, in JSON only: there keys may be added.
fn push_bytes(fields: &mut Fields, key: &'static str, bytes: u64, context: &Context) {
    if context.console.mode() == Mode::Json {
        fields.push((key, bytes.into()));
    }
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
