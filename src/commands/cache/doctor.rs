//! `hf cache doctor`: everything that is wrong in the cache, what it costs, and its cure.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ask, cache_root, now, push_bytes, shown, tell_busy, tell_failures};
use crate::cache::check::doctor::{Ailment, Examination, Finding, Remedy, examine, mend};
use crate::cache::layout;
use crate::cache::remove::Outcome;
use crate::cache::scan::{Detail, scan};
use crate::commands::context::Context;
use crate::commands::error::{CliError, Kind};
use crate::console::{Mode, Table, text};

/// Most findings of one kind that are named to a person.
const NAMED: usize = 20;

/// Find what is wrong in the cache, and mend it.
///
/// Found are the inconsistencies for which Python libraries ignore a repository (refs to missing
/// snapshots, broken links, stray files, missing folders), what a group that shares the cache cannot
/// use, blobs that are not as long as they should be, what is foreign, and what takes room for nothing (orphaned blobs, unused shared files,
/// unfinished downloads, leftovers). --fix links again what is here, without a request, removes what is
/// of no use to anybody, and touches nothing that is valid.
///
/// Exit code 1 when something is (still) there that programs trip over, else 0.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Mend what is wrong, after asking.
    #[arg(long)]
    fix: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Examines the cache, and mends it with --fix.
///
/// # Errors
/// Something harmful is (still) there, a "no", or something that cannot be mended.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let root = cache_root(args.cache_dir.as_deref(), context);
    let report = scan(&root, Detail::Totals)?;
    let examination = examine(&report, now());
    let findings = &examination.findings;
    tell_live(&examination, context);
    let curable = findings.iter().filter(|f| f.remedy.is_cure()).count();
    if !args.fix {
        show(&report.root, findings, context);
        if curable > 0 {
            let count = text::count(curable as u64, "finding");
            console.hint(&format!("`hf cache doctor --fix` deals with {count}"));
        }
        return verdict(findings);
    }
    if curable == 0 {
        console.say("There is nothing that --fix could mend.");
        return verdict(findings);
    }
    let cures: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.remedy.is_cure())
        .cloned()
        .collect();
    if matches!(console.mode(), Mode::Human | Mode::Agent) {
        console.say(&groups(&report.root, &cures, true));
    }
    ask("Do this?", args.yes, context)?;
    let mended = mend(&report.root, &cures);
    tell_busy(&mended.busy, context);
    tell_failures(&Outcome {
        freed: mended.freed,
        failures: mended.failures,
        ..Outcome::default()
    })?;
    let freed = text::size(mended.freed);
    let mut fields = vec![("mended", json!(mended.mended)), ("freed", json!(freed))];
    push_bytes(&mut fields, "freed_bytes", mended.freed, context);
    let count = text::count(mended.mended as u64, "finding");
    console.result(&format!("Mended {count}; {freed} freed."), fields);
    verdict(&examine(&scan(&root, Detail::Totals)?, now()).findings)
}

/// Downloads under way are no findings; that they are there explains what is not said of them.
fn tell_live(examination: &Examination, context: &Context) {
    if !examination.live.is_empty() {
        let files = text::count(examination.live.len() as u64, "file");
        context
            .console
            .say(&format!("Downloads of {files} are under way: left alone."));
    }
}

fn show(root: &Path, findings: &[Finding], context: &Context) {
    let console = &context.console;
    match console.mode() {
        Mode::Human if findings.is_empty() => console.line("Nothing is wrong."),
        Mode::Human => console.line(&groups(root, findings, false)),
        _ => console.table(&table(findings)),
    }
}

/// For people: findings of a kind under one heading that says what they are, cost, and get. `is_asked`
/// says that it is about to be done.
fn groups(root: &Path, findings: &[Finding], is_asked: bool) -> String {
    let remedy = if is_asked { "will be done" } else { "--fix" };
    let mut blocks = Vec::new();
    let same =
        |a: &Finding, b: &Finding| a.ailment == b.ailment && a.remedy.text() == b.remedy.text();
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (finding.ailment, finding.remedy.text()));
    for group in sorted.chunk_by(|a, b| same(a, b)) {
        let first = group[0];
        let bytes: u64 = group.iter().map(|finding| finding.size).sum();
        let bytes = match bytes {
            0 => String::new(),
            bytes => format!(" ({})", text::size(bytes)),
        };
        let mut lines = vec![
            format!("{}: {}", first.ailment.as_str(), first.ailment.meaning()),
            format!("  costs: {}{bytes}", first.ailment.cost()),
            match &first.remedy {
                Remedy::Advice(advice) => format!("  to do: {advice}"),
                cure => format!("  {remedy}: {}", cure.text()),
            },
        ];
        // What is about to be removed is named, however much it is.
        let count = match is_asked && first.remedy.removes_content() {
            true => group.len(),
            false => NAMED.min(group.len()),
        };
        let named = group.iter().take(count);
        lines.extend(named.map(|finding| format!("    {}", line(root, finding))));
        if group.len() > count {
            let more = group.len() - count;
            lines.push(format!("    … and {more} more; --format agent names all"));
        }
        blocks.push(lines.join("\n"));
    }
    blocks.join("\n\n")
}

/// `models--o--n/refs/gone  names "0000…"`.
fn line(root: &Path, finding: &Finding) -> String {
    let mut parts = vec![shown(
        finding.path.strip_prefix(root).unwrap_or(&finding.path),
    )];
    if finding.size > 0 {
        parts.push(text::size(finding.size));
    }
    if matches!(
        finding.ailment,
        Ailment::Unfinished | Ailment::Leftover | Ailment::StaleLocks
    ) {
        parts.extend(age(finding));
    }
    parts.extend(finding.detail.as_deref().map(text::escape));
    parts.join("  ")
}

#[expect(clippy::cast_precision_loss, reason = "an age is not that exact")]
fn age(finding: &Finding) -> Option<String> {
    let modified = finding.modified?;
    Some(text::age(now() - modified as f64))
}

fn table(findings: &[Finding]) -> Table {
    let only_in_json = ["size_bytes", "modified_at", "repo", "harmful"];
    let mut columns = vec![
        "path", "ailment", "size", "age", "cost", "fixable", "remedy", "detail",
    ];
    columns.extend(only_in_json);
    let mut table = Table::new(&columns).only_in_json(&only_in_json);
    for finding in findings {
        let size = match finding.size {
            0 => Value::Null,
            bytes => json!(text::size(bytes)),
        };
        let folder = String::from_utf8_lossy(&finding.folder);
        let repo = layout::parse_repo_folder_name(&folder);
        #[expect(clippy::cast_precision_loss, reason = "whole seconds")]
        let modified = finding.modified.and_then(|time| text::rfc3339(time as f64));
        table.push(vec![
            crate::console::paths::path_value(&finding.path),
            json!(finding.ailment.as_str()),
            size,
            json!(age(finding)),
            json!(finding.ailment.cost()),
            json!(finding.remedy.is_cure()),
            json!(finding.remedy.text()),
            json!(finding.detail),
            json!(finding.size),
            json!(modified),
            json!(repo.map(|repo| repo.to_string())),
            json!(finding.ailment.is_harmful()),
        ]);
    }
    table
}

/// Fails while something harmful is there.
fn verdict(findings: &[Finding]) -> Result<(), CliError> {
    let harmful = || findings.iter().filter(|f| f.ailment.is_harmful());
    let count = harmful().count();
    if count == 0 {
        return Ok(());
    }
    Err(CliError::new(
        Kind::Corrupt,
        format!(
            "The cache has {} that programs trip over.",
            text::count(count as u64, "entry")
        ),
    )
    .hint(if harmful().any(|finding| finding.remedy.is_cure()) {
        "`hf cache doctor --fix` mends what it can; the next download brings back what is missing"
    } else {
        "what is foreign is yours to move away; `hf cache rm type/name` removes a damaged repository"
    }))
}
