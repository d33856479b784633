//! `hf cache pin` and `hf cache unpin`: repositories that must not be deleted.

use std::path::PathBuf;

use serde_json::json;

use super::names::repos;
use super::{cache_root, own_cache_root};
use crate::cache::pins::{self, Pins};
use crate::cache::scan::report::CacheReport;
use crate::cache::scan::{Detail, scan};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::{Table, text};
use crate::sys::FsError;

/// Keep repositories from being deleted, or list those that are kept.
///
/// What is pinned is left alone by `hf cache rm`, `hf cache delete` and `hf cache prune` until
/// `hf cache unpin`. The Python client knows no pins: its commands delete a pinned repository.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hf cache pin model/openai-community/gpt2
  hf cache pin \"model/my-org/*\"
  hf cache pin")]
pub struct PinArgs {
    /// What to pin: a name (`org/name`, `model/org/name`, `hf://…`) or a pattern of names. Without any,
    /// the pinned repositories are listed.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Cache folder to work in [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Let pinned repositories be deleted again.
#[derive(Debug, clap::Args)]
pub struct UnpinArgs {
    /// What to unpin: a name or a pattern of names.
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Cache folder to work in [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Pins, or lists pins.
///
/// # Errors
/// A target that is not in the cache, or a folder that cannot be written to.
pub fn pin(args: &PinArgs, context: &Context) -> Result<(), CliError> {
    let option = args.cache_dir.as_deref();
    let root = match args.targets.is_empty() {
        true => cache_root(option, context),
        false => own_cache_root(option, context)?,
    };
    let report = scan(&root, Detail::Totals)?;
    if args.targets.is_empty() {
        context.console.table(&list(&report));
        return Ok(());
    }
    let change = |folder: &[u8]| pins::pin(&report.root, folder);
    apply(&report, &args.targets, change, "pinned", context)
}

/// Unpins.
///
/// # Errors
/// As [`pin`].
pub fn unpin(args: &UnpinArgs, context: &Context) -> Result<(), CliError> {
    let root = own_cache_root(args.cache_dir.as_deref(), context)?;
    let report = scan(&root, Detail::Totals)?;
    let change = |folder: &[u8]| pins::unpin(&report.root, folder);
    apply(&report, &args.targets, change, "unpinned", context)
}

fn list(report: &CacheReport) -> Table<'static> {
    let pins = Pins::read(report);
    let mut table = Table::new(&["id", "size", "refs", "size_bytes"])
        .only_in_json(&["size_bytes"])
        .right_aligned("size");
    for repo in report.repos.iter().filter(|r| pins.contains(&r.folder)) {
        table.push(vec![
            json!(repo.id.to_string()),
            json!(text::size(repo.size)),
            json!(repo.refs()),
            json!(repo.size),
        ]);
    }
    table
}

/// Changes the pins of all targets; `done` is the new state, for messages.
fn apply(
    report: &CacheReport,
    targets: &[String],
    change: impl Fn(&[u8]) -> Result<bool, FsError>,
    done: &'static str,
    context: &Context,
) -> Result<(), CliError> {
    let (mut ids, mut missing) = (Vec::new(), Vec::new());
    for word in targets {
        let found = repos(report, word, context)?;
        if found.is_empty() {
            missing.push(text::escape(word));
        }
        for (id, folder) in found {
            if change(folder)? {
                ids.push(id.to_string());
            } else {
                let id = text::escape(&id.to_string());
                context.console.say(&format!("{id} was {done} already."));
            }
        }
    }
    if !missing.is_empty() {
        return Err(CliError::new(
            ErrorKind::Other,
            format!("The cache has no {}.", missing.join(", ")),
        )
        .hint("`hf cache ls` shows the names to use"));
    }
    let count = text::count(ids.len() as u64, "repo");
    let fields = vec![(done, json!(ids.len())), ("ids", json!(ids))];
    let done = format!("{}{}", done[..1].to_uppercase(), &done[1..]);
    context.console.result(&format!("{done} {count}."), fields);
    Ok(())
}
