//! `hf cache prune`: what nothing refers to any more.

use std::path::PathBuf;

use serde_json::json;

use super::{ask, cache_root, push_bytes, show_plan, tell_busy, tell_failures};
use crate::cache::delete::DeletePlan;
use crate::cache::scan::{Detail, scan};
use crate::cache::{shared, targets};
use crate::console::text;
use crate::context::Context;
use crate::error::CliError;

/// Remove detached revisions, unfinished downloads and unused shared files.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cache folder to work in [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Only tell what would be removed.
    #[arg(long, overrides_with = "no_dry_run")]
    dry_run: bool,
    #[arg(long, hide = true)]
    no_dry_run: bool,
}

/// Prunes the cache, after asking.
///
/// # Errors
/// A "no", or something that cannot be removed.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let report = scan(
        &cache_root(args.cache_dir.as_deref(), context),
        Detail::Files,
    )?;
    let mut plan = DeletePlan::build(&report, &targets::detached(&report))?;
    let unused = report
        .store
        .as_ref()
        .map(|store| shared::unused(&report.root, store))
        .unwrap_or_default();
    plan.add_waste(&report, unused);
    tell_busy(&plan.busy, context);
    if plan.is_empty() {
        console.say("Nothing to prune: every revision has a ref, and every download is complete.");
        return Ok(());
    }
    let revisions = plan.counts().revisions;
    let summary = summary(&[
        (revisions, "detached revision"),
        (plan.incomplete.len(), "unfinished download"),
        (plan.unused.len(), "unused shared file"),
    ]);
    show_plan(&plan, &summary, context);
    if args.dry_run {
        let mut fields = vec![
            ("dry_run", json!(true)),
            ("revisions", json!(revisions)),
            ("incomplete", json!(plan.incomplete.len())),
            ("shared_blobs", json!(plan.unused.len())),
            ("size", json!(text::size(plan.freed))),
        ];
        push_bytes(&mut fields, "size_bytes", plan.freed, context);
        console.result("Dry run: nothing was deleted.", fields);
        return Ok(());
    }
    ask("Delete this?", args.yes, context)?;
    let outcome = plan.execute(report.store.as_ref());
    tell_busy(&outcome.busy, context);
    tell_failures(&outcome)?;
    let freed = text::size(outcome.freed);
    let mut fields = vec![
        ("revisions_deleted", json!(revisions)),
        ("incomplete_deleted", json!(plan.incomplete.len())),
        ("shared_blobs_deleted", json!(plan.unused.len())),
        ("freed", json!(freed)),
    ];
    push_bytes(&mut fields, "freed_bytes", outcome.freed, context);
    console.result(&format!("Deleted {summary}; {freed} freed."), fields);
    Ok(())
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
