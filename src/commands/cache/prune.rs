//! `hf cache prune`: deletes what nothing refers to any more, and what a policy says.

use serde_json::json;

use super::names::repos;
use super::tell::{show_plan, tell_busy, tell_fresh, tell_interrupted, tell_listed};
use super::{RemovalArgs, now, own_cache_root, push_bytes, summary};
use crate::cache::pins::Pins;
use crate::cache::remove::evict::{Eviction, Policy, evict};
use crate::cache::remove::interrupted::Interrupted;
use crate::cache::remove::{DeletePlan, downloads};
use crate::cache::scan::report::{CacheReport, CachedRepo};
use crate::cache::scan::select;
use crate::cache::scan::{Detail, scan};
use crate::cache::shared;
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::commands::flags::count;
use crate::console::text;

/// Remove detached revisions, unfinished downloads and unused shared files.
///
/// A revision whose download was interrupted is kept for 24 hours, with what is unfinished of it.
///
/// With --older-than, --keep-last or --max-size also whole repositories or revisions, the least
/// recently used first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also remove repositories that were not used for this long, as in 30d, 8w or 6mo. What counts
    /// is the last time that one of its files was read or written, whichever is later.
    #[arg(long, value_name = "AGE", allow_hyphen_values = true)]
    older_than: Option<String>,
    /// Also remove all but the last N revisions of each repository.
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    keep_last: Option<usize>,
    /// Also remove repositories, least recently used first, until the cache is no larger, as in 200GB.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    max_size: Option<String>,
    /// Keep everything of the repositories of this name or pattern of names, in this run. May be given
    /// several times. See also `hf cache pin`.
    #[arg(long, value_name = "PATTERN")]
    pin: Vec<String>,
    /// In this run, ignore the pins of the repositories of this name or pattern of names.
    #[arg(long, value_name = "PATTERN")]
    unpin: Vec<String>,
    #[command(flatten)]
    removal: RemovalArgs,
}

/// Prunes the cache, after asking.
///
/// # Errors
/// A "no", or something that cannot be removed.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let policy = args.policy()?;
    let root = own_cache_root(args.removal.cache_dir.as_deref(), context)?;
    let report = scan(&root, Detail::Files)?;
    let pins = args.pins(&report, context)?;
    let is_pinned = |repo: &CachedRepo| pins.contains(&repo.folder);
    let interrupted = Interrupted::find(&report);
    let eviction = evict(&report, &policy, is_pinned, &interrupted, now());
    tell_size(&report, &policy, &eviction, context);
    let mut plan = DeletePlan::build(&report, &eviction.selection, &pins)?;
    let unused = report
        .store
        .as_ref()
        .map(|store| shared::unused(&report.root, store))
        .unwrap_or_default();
    plan.add_waste(&report, &interrupted, unused);
    tell_busy(&plan.busy, context);
    tell_fresh(&plan, context);
    tell_listed(&plan, context);
    let left = interrupted.left_by(&report, &eviction.selection);
    tell_interrupted(left, &plan, context);
    if plan.is_empty() {
        console.say(if plan.leaves_something() {
            "Nothing else to prune."
        } else if policy == Policy::default() {
            "Nothing to prune: every revision has a ref, and every download is complete."
        } else {
            "Nothing to prune: every revision has a ref, every download is complete, and no revision \
             falls under the limits given."
        });
        return Ok(());
    }
    let revisions = plan.counts().revisions;
    let summary = summary(&[
        (
            revisions,
            if policy == Policy::default() {
                "detached revision"
            } else {
                "revision"
            },
        ),
        (downloads(&plan.incomplete), "unfinished download"),
        (plan.unused.len(), "unused shared file"),
    ]);
    show_plan(&plan, &summary, context);
    if args.removal.dry_run {
        let mut fields = vec![
            ("dry_run", json!(true)),
            ("revisions", json!(revisions)),
            ("incomplete", json!(downloads(&plan.incomplete))),
            ("shared_blobs", json!(plan.unused.len())),
            ("size", json!(text::size(plan.freed))),
        ];
        push_bytes(&mut fields, "size_bytes", plan.freed, context);
        console.result("Dry run: nothing was deleted.", fields);
        return Ok(());
    }
    let outcome = args.removal.carry_out(&plan, &report, context)?;
    let freed = text::size(outcome.freed);
    let mut fields = vec![
        ("revisions_deleted", json!(revisions)),
        ("incomplete_deleted", json!(downloads(&plan.incomplete))),
        ("shared_blobs_deleted", json!(plan.unused.len())),
        ("freed", json!(freed)),
    ];
    push_bytes(&mut fields, "freed_bytes", outcome.freed, context);
    console.result(&format!("Deleted {summary}; {freed} freed."), fields);
    Ok(())
}

/// Names what stays in a cache that is larger than `--max-size`.
fn tell_size(report: &CacheReport, policy: &Policy, eviction: &Eviction<'_>, context: &Context) {
    if !eviction.is_over {
        return;
    }
    let mut has_damaged = false;
    for repo in report.damaged_repos().filter(|repo| repo.size > 0) {
        has_damaged = true;
        context.console.warn(&format!(
            "{} is damaged and has {}, which counts for --max-size; it is left alone. `hf cache doctor` says what is wrong.",
            text::escape(&repo.id.to_string()),
            text::size(repo.size)
        ));
    }
    if policy
        .max_size
        .is_some_and(|limit| eviction.remaining > limit)
    {
        let what = match has_damaged {
            true => "What is pinned or damaged",
            false => "What is pinned",
        };
        context.console.warn(&format!(
            "{what} has {}, more than --max-size allows.",
            text::size(eviction.remaining)
        ));
    }
}

impl Args {
    /// The stored pins, and what this run says otherwise; `--pin` wins over `--unpin`. Warns of words
    /// that name no repository: with a typo, what was to be kept would be deleted.
    fn pins(&self, report: &CacheReport, context: &Context) -> Result<Pins, CliError> {
        let mut pins = Pins::read(report);
        for (flag, words, is_pinned) in
            [("--unpin", &self.unpin, false), ("--pin", &self.pin, true)]
        {
            for word in words {
                let found = repos(report, word, context)?;
                if found.is_empty() {
                    tell_unmatched(flag, word, report, context);
                }
                for (_, folder) in found {
                    pins.set(folder, is_pinned);
                }
            }
        }
        Ok(pins)
    }

    fn policy(&self) -> Result<Policy, CliError> {
        #[expect(clippy::cast_precision_loss, reason = "an age needs no such precision")]
        let seconds = |text: &String| {
            with_unit("--older-than", text, "s, m, h, d, w, mo or y: 30d")?;
            Ok::<f64, CliError>(select::duration(text)? as f64)
        };
        let bytes = |text: &String| {
            with_unit("--max-size", text, "k, M, G or T: 200GB")?;
            Ok::<u64, CliError>(u64::try_from(select::size(text)?).unwrap_or(u64::MAX))
        };
        Ok(Policy {
            older_than: self.older_than.as_ref().map(seconds).transpose()?,
            keep_last: self.keep_last,
            max_size: self.max_size.as_ref().map(bytes).transpose()?,
        })
    }
}

/// Warns of a word that names no repository, with an example of one that does.
fn tell_unmatched(flag: &str, word: &str, report: &CacheReport, context: &Context) {
    let example = report.ids().next().map(|(id, _)| id.to_string());
    context.console.warn(&format!(
        "{flag} {} matches no repository; ids look like {}.",
        text::escape(word),
        text::escape(example.as_deref().unwrap_or("model/org/name"))
    ));
}

/// Refuses a bare or negative number. A bare 30 would mean 30 seconds, and delete almost everything.
fn with_unit(flag: &str, text: &str, units: &str) -> Result<(), CliError> {
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_alphabetic());
    if is_plain {
        return Ok(());
    }
    Err(CliError::usage(format!(
        "{flag} takes a whole number with a unit ({units}), not {text:?}."
    )))
}
