//! `hf cache rm`: repositories, revisions or files.

use serde_json::json;

use super::names::parse;
use super::tell::{show_plan, tell_busy, tell_spared, why_spared};
use super::{RemovalArgs, own_cache_root, push_bytes, summary};
use crate::cache::pins::Pins;
use crate::cache::remove::targets::{Target, select};
use crate::cache::remove::{DeletePlan, Extent, Spared, Use};
use crate::cache::scan::{Detail, scan};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::text;

/// Remove cached repositories, revisions or files.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to remove: the name of a repository, a pattern of names, a commit or the beginning of one,
    /// or an address: `hf://org/name`, `hf://org/name@revision`, `hf://org/name/file`.
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    removal: RemovalArgs,
}

/// Removes the targets, after asking.
///
/// # Errors
/// An invalid target, a "no", a repository in use, or something that cannot be removed. A target that
/// is not in the cache is only a warning.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let targets: Vec<(String, Target)> = args
        .targets
        .iter()
        .map(|word| word.trim())
        .filter(|word| !word.is_empty())
        .map(|word| Ok((word.to_owned(), parse(word, context)?)))
        .collect::<Result<_, CliError>>()?;
    let root = own_cache_root(args.removal.cache_dir.as_deref(), context)?;
    let report = scan(&root, Detail::Files)?;
    let selection = select(&report, &targets)?;
    for word in &selection.missing {
        console.warn(&format!("The cache has no {}.", text::escape(word)));
    }
    if !selection.missing.is_empty() {
        console.hint("`hf cache ls` shows the names to use, and with --revisions the commits");
    }
    let plan = DeletePlan::build(&report, &selection, &Pins::read(&report))?;
    if plan.is_empty() {
        // The error names one reason; it is not repeated here.
        if !plan.pinned.is_empty() {
            tell_busy(&plan.busy, context);
        } else if plan.busy.is_empty() {
            console.say("Nothing to delete.");
        }
        return refused(&plan.busy, &plan.pinned);
    }
    tell_spared(&plan, context);
    let (counts, size) = (plan.counts(), text::size(plan.freed));
    let parts = [
        (counts.repos, "repo"),
        (counts.partial_revisions, "revision"),
        (counts.files, "file"),
    ];
    show_plan(&plan, &summary(&parts), context);
    if args.removal.dry_run {
        let mut fields = vec![("dry_run", json!(true))];
        if counts.files > 0 {
            fields.push(("files", json!(counts.files)));
        } else {
            fields.push(("repos", json!(counts.repos)));
            fields.push(("revisions", json!(counts.revisions)));
        }
        fields.push(("size", json!(size)));
        push_bytes(&mut fields, "size_bytes", plan.freed, context);
        console.result("Dry run: nothing was deleted.", fields);
        return Ok(());
    }
    let outcome = args.removal.carry_out(&plan, &report, context)?;
    let mut fields = if plan
        .repos
        .iter()
        .any(|r| matches!(r.extent, Extent::Files(_)))
    {
        vec![("files_deleted", json!(counts.files))]
    } else {
        vec![
            ("repos_deleted", json!(counts.repos)),
            ("revisions_deleted", json!(counts.revisions)),
        ]
    };
    let freed = text::size(outcome.freed);
    fields.push(("freed", json!(freed)));
    push_bytes(&mut fields, "freed_bytes", outcome.freed, context);
    if outcome.busy.is_empty() {
        console.result(
            &format!("Deleted {}; {freed} freed.", summary(&parts)),
            fields,
        );
    }
    refused(&[plan.busy, outcome.busy].concat(), &plan.pinned)
}

/// The command fails when something that was named was left alone.
fn refused(busy: &[Spared], pinned: &[String]) -> Result<(), CliError> {
    if !pinned.is_empty() {
        let ids = text::escape(&pinned.join(", "));
        let what = format!("{ids} is pinned and was left alone.");
        return Err(CliError::new(ErrorKind::Other, what)
            .hint("`hf cache unpin` it, and run the command again"));
    }
    if busy.is_empty() {
        return Ok(());
    }
    if let Some(unsure) = busy.iter().find(|spared| spared.reason != Use::Held) {
        return Err(CliError::new(
            ErrorKind::Other,
            format!("{}. It was left alone.", why_spared(unsure)),
        )
        .hint("when no program is downloading, remove that file yourself, or wait until it is a day old, and run the command again"));
    }
    let ids: Vec<&str> = busy.iter().map(|spared| spared.id.as_str()).collect();
    Err(CliError::new(
        ErrorKind::Other,
        format!(
            "{} is being downloaded into and was left alone.",
            text::escape(&ids.join(", "))
        ),
    )
    .hint("wait for the download, or stop it, and run the command again"))
}
