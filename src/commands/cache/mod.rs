//! `hf cache …`: what the commands of the group share, and which one runs.

pub mod ls;
pub mod scan;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use crate::cache::report::{CacheReport, Problem};
use crate::console::text;
use crate::context::Context;
use crate::error::{CliError, sentence};

/// The commands of the group.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// List cached repositories or revisions.
    #[command(name = "ls", visible_alias = "list")]
    Ls(ls::Args),
    /// Show the cache as a wide table with paths.
    Scan(scan::Args),
}

impl CacheCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever made it fail.
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            CacheCommand::Ls(args) => ls::run(&args, context),
            CacheCommand::Scan(args) => scan::run(&args, context),
        }
    }
}

/// The cache's root: the option, else the environment's.
fn cache_root(option: Option<&Path>, context: &Context) -> PathBuf {
    option.map_or_else(
        || context.settings.hub_cache.clone(),
        |path| context.env.expand_home(path),
    )
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

/// A problem in one sentence, without the path's control characters.
fn problem_text(problem: &Problem) -> String {
    let text = format!("{} {}", problem.path.display(), problem.kind);
    sentence(&text::escape(&text))
}

/// Tells of problems: each of them when `all`, else how many.
fn report_problems(report: &CacheReport, all: bool, flag: &str, context: &Context) {
    if all {
        for problem in &report.problems {
            context
                .console
                .warn(&format!("{} It is left out.", problem_text(problem)));
        }
    } else if !report.problems.is_empty() {
        context.console.warn(&format!(
            "{} in the cache left out as damaged or foreign; {flag} tells which.",
            text::count(report.problems.len() as u64, "entry").replace("entrys", "entries")
        ));
    }
}
