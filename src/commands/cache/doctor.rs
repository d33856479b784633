//! `hf cache doctor`: everything that is wrong in the cache, what it costs, and what fixes it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::tell::{tell_busy, tell_failures};
use super::{ask, cache_root, now, own_cache_root, push_bytes, shown};
use crate::cache::check::doctor::{Finding, FindingKind, Fix, Report, examine, fix};
use crate::cache::layout;
use crate::cache::remove::Outcome;
use crate::cache::scan::{Detail, scan};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::{Mode, Table, text};

/// How many findings of one kind are listed for a person.
const NAMED: usize = 20;

/// Find what is wrong in the cache, and fix it.
///
/// It reports what makes Python libraries ignore a repository (refs to missing snapshots, broken links,
/// stray files, missing folders), files that the group of a shared cache cannot use, blobs of a wrong
/// size, unknown entries, and what wastes disk space (orphaned blobs, unused shared files, unfinished
/// downloads, leftovers). --fix makes missing links again without a request, removes what nothing
/// uses, and changes nothing that is valid.
///
/// Exit code 1 while there is a problem that makes programs fail, else 0.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Fix what is wrong, after asking.
    #[arg(long)]
    fix: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Examines the cache, and fixes it with --fix.
///
/// # Errors
/// A harmful problem (still) exists, the answer is "no", or something cannot be fixed.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let option = args.cache_dir.as_deref();
    let root = match args.fix {
        true => own_cache_root(option, context)?,
        false => cache_root(option, context),
    };
    let report = scan(&root, Detail::Totals)?;
    let found = examine(&report, now());
    let findings = &found.findings;
    tell_live(&found, context);
    let automatic = findings.iter().filter(|f| f.fix.is_automatic()).count();
    if !args.fix {
        show(&report.root, findings, context);
        // The error about a harmful one says so itself.
        let is_told = |finding: &Finding| finding.kind.is_harmful() && finding.fix.is_automatic();
        if automatic > 0 && !findings.iter().any(is_told) {
            let count = text::count(automatic as u64, "finding");
            console.hint(&format!("`hf cache doctor --fix` deals with {count}"));
        }
        return verdict(findings);
    }
    if automatic == 0 {
        console.say("There is nothing for --fix to do.");
        return verdict(findings);
    }
    let fixes: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.fix.is_automatic())
        .cloned()
        .collect();
    if matches!(console.mode(), Mode::Human | Mode::Agent) {
        console.say(&groups(&report.root, &fixes, true, None));
    }
    ask("Do this?", args.yes, context)?;
    let fixed = fix(&report.root, &fixes);
    tell_busy(&fixed.busy, context);
    if fixed.files > 0 {
        console.say(&format!(
            "This disk has no symbolic links: {} in the place of a link.",
            match fixed.files {
                1 => "one file was put".to_owned(),
                count => format!("{} were put", text::count(count as u64, "file")),
            }
        ));
    }
    tell_failures(&Outcome {
        freed: fixed.freed,
        failures: fixed.failures,
        ..Outcome::default()
    })?;
    let freed = text::size(fixed.freed);
    let mut fields = vec![("fixed", json!(fixed.fixed)), ("freed", json!(freed))];
    push_bytes(&mut fields, "freed_bytes", fixed.freed, context);
    let count = text::count(fixed.fixed as u64, "finding");
    console.result(&format!("Fixed {count}; {freed} freed."), fields);
    verdict(&examine(&scan(&root, Detail::Totals)?, now()).findings)
}

/// Running downloads are not findings. The line explains why their files are not listed.
fn tell_live(report: &Report, context: &Context) {
    if !report.live.is_empty() {
        let files = text::count(report.live.len() as u64, "file");
        context
            .console
            .say(&format!("Downloads of {files} are running: left alone."));
    }
}

fn show(root: &Path, findings: &[Finding], context: &Context) {
    let console = &context.console;
    match console.mode() {
        Mode::Human if findings.is_empty() => console.line("Nothing is wrong."),
        Mode::Human => console.line(&groups(root, findings, false, console.fit())),
        _ => console.table(&table(findings)),
    }
}

/// For people: findings of a kind below one heading with their meaning, cost and fix. `is_asked`: the
/// question whether to do it follows. In a window of so many columns, hashes are shortened in lines that are longer.
fn groups(root: &Path, findings: &[Finding], is_asked: bool, fit: Option<usize>) -> String {
    let mut blocks = Vec::new();
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (finding.kind, finding.fix.text()));
    for group in sorted.chunk_by(|a, b| a.kind == b.kind) {
        let kind = group[0].kind;
        let bytes: u64 = group.iter().map(|finding| finding.size).sum();
        let bytes = match bytes {
            0 => String::new(),
            bytes => format!(" ({})", text::size(bytes)),
        };
        let mut lines = vec![
            format!("{}: {}", kind.as_str(), kind.meaning()),
            format!("  costs: {}{bytes}", kind.cost()),
        ];
        // One kind can have several fixes, each above the findings that it is for.
        for group in group.chunk_by(|a, b| a.fix.text() == b.fix.text()) {
            lines.extend(with_one_fix(root, group, is_asked, fit));
        }
        blocks.push(lines.join("\n"));
    }
    blocks.join("\n\n")
}

/// What is done about some findings, and which they are.
fn with_one_fix(
    root: &Path,
    group: &[&Finding],
    is_asked: bool,
    fit: Option<usize>,
) -> Vec<String> {
    let first = &group[0].fix;
    let mut lines = vec![match first {
        Fix::Advice(advice) => format!("  to do: {advice}"),
        automatic if is_asked => format!("  will be done: {}", automatic.text()),
        automatic => format!("  --fix: {}", automatic.text()),
    }];
    // Content that will be removed is listed in full.
    let count = match is_asked && first.removes_content() {
        true => group.len(),
        false => NAMED.min(group.len()),
    };
    let named = group.iter().take(count);
    lines.extend(named.map(|finding| line(&parts(root, finding), fit)));
    if group.len() > count {
        let more = group.len() - count;
        lines.push(format!("    … and {more} more; --format agent lists all"));
    }
    lines
}

/// The parts of a finding side by side. Where they are longer than the window, hashes are shortened, and then all
/// but the path stands below it.
fn line(parts: &[String], fit: Option<usize>) -> String {
    let is_too_long = |line: &String| fit.is_some_and(|columns| line.chars().count() > columns);
    let whole = format!("    {}", parts.join("  "));
    if !is_too_long(&whole) {
        return whole;
    }
    let short = text::short_hashes(&whole);
    if !is_too_long(&short) {
        return short;
    }
    let (path, rest) = parts
        .split_first()
        .map_or(("", &[][..]), |(path, rest)| (path.as_str(), rest));
    text::short_hashes(&format!("    {path}\n      {}", rest.join("  ")))
}

/// `models--o--n/refs/gone`, `names "0000…"`.
fn parts(root: &Path, finding: &Finding) -> Vec<String> {
    let mut parts = vec![shown(
        finding.path.strip_prefix(root).unwrap_or(&finding.path),
    )];
    if finding.size > 0 {
        parts.push(text::size(finding.size));
    }
    if matches!(
        finding.kind,
        FindingKind::Unfinished | FindingKind::Leftover | FindingKind::StaleLocks
    ) {
        parts.extend(age(finding));
    }
    parts.extend(finding.detail.as_deref().map(text::escape));
    parts
}

#[expect(clippy::cast_precision_loss, reason = "an age needs no such precision")]
fn age(finding: &Finding) -> Option<String> {
    let modified = finding.modified?;
    Some(text::age(now() - modified as f64))
}

fn table(findings: &[Finding]) -> Table<'static> {
    let only_in_json = ["size_bytes", "modified_at", "repo", "harmful"];
    let mut columns = vec![
        "path", "problem", "size", "age", "cost", "fixable", "fix", "detail",
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
            json!(finding.kind.as_str()),
            size,
            json!(age(finding)),
            json!(finding.kind.cost()),
            json!(finding.fix.is_automatic()),
            json!(finding.fix.text()),
            json!(finding.detail),
            json!(finding.size),
            json!(modified),
            json!(repo.map(|repo| repo.to_string())),
            json!(finding.kind.is_harmful()),
        ]);
    }
    table
}

/// Fails while there is a harmful problem.
fn verdict(findings: &[Finding]) -> Result<(), CliError> {
    let harmful = || findings.iter().filter(|f| f.kind.is_harmful());
    let count = harmful().count();
    if count == 0 {
        return Ok(());
    }
    Err(CliError::new(
        ErrorKind::Corrupt,
        format!(
            "Programs may fail on this cache: it has {}.",
            text::count(count as u64, "problem")
        ),
    )
    .hint(if harmful().any(|finding| finding.fix.is_automatic()) {
        "`hf cache doctor --fix` fixes what it can; the next download fetches what is missing"
    } else {
        "move unknown entries away yourself; `hf cache rm type/name` removes a damaged repository"
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_fits_into_the_window() {
        let parts = [format!("m/blobs/{}", "ab".repeat(32)), "3.4M".to_owned()];
        let path = &parts[0];
        for (columns, expected) in [
            (None, format!("    {path}  3.4M")),
            (Some(82), format!("    {path}  3.4M")),
            (Some(81), "    m/blobs/abababababab  3.4M".to_owned()),
            (Some(30), "    m/blobs/abababababab  3.4M".to_owned()),
            (Some(29), "    m/blobs/abababababab\n      3.4M".to_owned()),
        ] {
            assert_eq!(line(&parts, columns), expected, "{columns:?}");
        }
    }
}
