//! `hf cache ls`: repositories or revisions, filtered and sorted, in every output format.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::tell::{Damaged, kept, problem_text, report_problems, unfinished_name};
use super::{cache_root, now, shown};
use crate::cache::pins::Pins;
use crate::cache::remove::{targets, unfinished};
use crate::cache::scan::report::CacheReport;
use crate::cache::scan::select::{self, Filter, Row, Sort};
use crate::cache::scan::{Detail, scan};
use crate::cache::shared;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::commands::flags::count;
use crate::console::{Mode, Table, text};

/// List cached repositories or revisions.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Repositories to list: names, patterns of names, commits. Without any, all.
    #[arg(value_name = "NAME")]
    targets: Vec<String>,
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// One row a revision instead of one a repository.
    #[arg(long, overrides_with = "no_revisions")]
    revisions: bool,
    #[arg(long, hide = true)]
    no_revisions: bool,
    /// Show only what fits, for example "size>1GB", "accessed>30d", "type=model", "refs=main". May
    /// be given several times.
    #[arg(short, long, value_name = "EXPR", value_parser = NonEmptyStringValueParser::new())]
    filter: Vec<String>,
    /// Order: accessed, modified, name or size, with :asc or :desc to choose the direction.
    #[arg(long, value_name = "KEY[:asc|:desc]")]
    sort: Option<String>,
    /// Show at most this many rows.
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    limit: Option<usize>,
    /// List what is wrong in the cache, entry by entry.
    #[arg(long, overrides_with = "no_show_warnings")]
    show_warnings: bool,
    #[arg(long, hide = true)]
    no_show_warnings: bool,
}

/// Lists the cache.
///
/// # Errors
/// An invalid filter or sort key, or a cache that cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let filters: Vec<Filter> = args
        .filter
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let sort: Option<Sort> = args.sort.as_deref().map(str::parse).transpose()?;
    let root = cache_root(args.cache_dir.as_deref(), context);
    let report = scan(&root, Detail::Totals)?;
    let now = now();
    let mut rows = select::rows(&report, args.revisions);
    let missing = retain_named(&args.targets, &report, &mut rows, context)?;
    rows.retain(|row| filters.iter().all(|filter| filter.matches(row, now)));
    if context.console.mode() == Mode::Quiet {
        // `hf cache ls -q | xargs hf cache rm` must not remove what can be repaired.
        rows.retain(|row| row.problem.is_none());
    }
    if let Some(sort) = sort {
        sort.apply(&mut rows);
    }
    rows.truncate(args.limit.unwrap_or(usize::MAX));

    let is_part =
        args.revisions || !args.targets.is_empty() || !filters.is_empty() || args.limit.is_some();
    let table = if args.revisions {
        revision_table(&rows, now)
    } else {
        let is_seen = context.console.mode() == Mode::Human && context.console.stdout_is_terminal();
        let extras = Extras {
            share: is_seen,
            pins: (is_seen || context.console.mode() == Mode::Json).then(|| Pins::read(&report)),
        };
        repo_table(&report, &rows, now, &extras)
    };
    context.console.table(&table);
    tell_totals(&report, &rows, is_part, context);
    tell_damaged(&report, &rows, args.show_warnings, context);
    tell_waste(&report, context);
    report_problems(
        &report,
        args.show_warnings,
        "`hf cache ls --show-warnings`",
        Damaged::Listed,
        context,
    )?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing = text::escape(&missing.join(", "));
    Err(CliError::new(
        ErrorKind::Other,
        format!("The cache has no {missing}."),
    ))
}

/// Keeps the rows that words name; returns the words that name nothing.
fn retain_named(
    words: &[String],
    report: &CacheReport,
    rows: &mut Vec<Row<'_>>,
    context: &Context,
) -> Result<Vec<String>, CliError> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut targets = Vec::new();
    for word in words {
        let target = super::names::parse(word, context)?;
        if target.name.path.is_some() {
            let what = "Only repositories and revisions can be listed here.";
            return Err(CliError::new(ErrorKind::Other, what).hint("leave out the file"));
        }
        targets.push((word.clone(), target));
    }
    let named = targets::select(report, &targets)?;
    rows.retain(|row| {
        let is_row = |&(&index, numbers): &(&usize, &BTreeSet<usize>)| {
            let repo = &report.repos[index];
            let is_revision = |commit: &String| {
                let mut commits = numbers.iter().map(|&number| &repo.revisions[number].commit);
                commits.any(|one| one == commit)
            };
            repo.folder == row.repo.folder
                && row
                    .revision
                    .is_none_or(|revision| is_revision(&revision.commit))
        };
        named.repos.iter().any(|entry| is_row(&entry))
            || named
                .damaged
                .iter()
                .any(|one| one.folder == row.repo.folder)
    });
    Ok(named.missing)
}

/// Shown only at a terminal: a pipe gets the rows and columns of the Python client.
struct Extras {
    /// A bar for each repository's share of the cache.
    share: bool,
    /// Which repositories are pinned; in JSON too.
    pins: Option<Pins>,
}

fn repo_table(report: &CacheReport, rows: &[Row<'_>], now: f64, extras: &Extras) -> Table<'static> {
    let mut columns = vec!["id", "repo_id", "repo_type", "size"];
    columns.extend(extras.share.then_some("share"));
    columns.extend(["last_accessed", "last_modified", "refs", "problem"]);
    let only_in_json = [
        "size_bytes",
        "last_accessed_at",
        "last_modified_at",
        "revisions",
        "path",
    ];
    columns.extend(only_in_json);
    columns.push("pinned");
    let mut table = Table::new(&columns)
        .only_in_json(&["repo_id", "repo_type"])
        .only_in_json(&only_in_json)
        .right_aligned("size")
        .shortened("refs", 8)
        .shortened("last_accessed", 17)
        .shortened("last_modified", 17)
        .expendable(&["last_modified", "share", "refs", "last_accessed"]);
    for row in rows {
        let repo = row.repo;
        let mut cells = vec![
            json!(repo.id.to_string()),
            json!(repo.id.id),
            json!(repo.id.repo_type.as_str()),
            json!(text::size(repo.size)),
        ];
        cells.extend(
            extras
                .share
                .then(|| json!(text::share(repo.size, report.size_with_damaged))),
        );
        let is_pinned = extras.pins.as_ref().map(|pins| pins.contains(&repo.folder));
        cells.extend([
            json!(text::age(now - repo.accessed)),
            json!(text::age(now - repo.modified)),
            json!(row.refs()),
            problem(row),
            json!(repo.size),
            json!(text::rfc3339(repo.accessed)),
            json!(text::rfc3339(repo.modified)),
            json!(repo.revisions.len()),
            path_value(repo.layout.folder()),
            // A column without a tick is not shown to people.
            json!(is_pinned.filter(|&pinned| pinned || !extras.share)),
        ]);
        table.push(cells);
    }
    table
}

/// What is wrong with a row's repository, in a word.
fn problem(row: &Row<'_>) -> Value {
    json!(row.problem.map(|problem| problem.kind.word()))
}

fn revision_table(rows: &[Row<'_>], now: f64) -> Table<'static> {
    let mut table = Table::new(&[
        "id",
        "repo_id",
        "repo_type",
        "revision",
        "snapshot_path",
        "size",
        "last_modified",
        "refs",
        "problem",
        "size_bytes",
        "last_modified_at",
        "files",
    ])
    .only_in_json(&[
        "repo_id",
        "repo_type",
        "snapshot_path",
        "size_bytes",
        "last_modified_at",
        "files",
    ])
    .with_id("revision")
    .right_aligned("size")
    .shortened("refs", 8)
    .shortened("last_modified", 17)
    .beginning("revision", 12)
    .expendable(&["last_modified", "refs"]);
    for row in rows {
        let Some(revision) = row.revision else {
            continue;
        };
        let repo = row.repo;
        table.push(vec![
            json!(repo.id.to_string()),
            json!(repo.id.id),
            json!(repo.id.repo_type.as_str()),
            json!(revision.commit),
            path_value(&revision.path(&repo.layout)),
            json!(text::size(revision.size)),
            json!(text::age(now - revision.modified)),
            json!(revision.refs),
            problem(row),
            json!(revision.size),
            json!(text::rfc3339(revision.modified)),
            json!(revision.file_count),
        ]);
    }
    table
}

fn path_value(path: &std::path::Path) -> Value {
    crate::console::paths::path_value(path)
}

/// How much is listed: the whole cache's bytes, or the sum of the rows when they are a part of it.
fn tell_totals(report: &CacheReport, rows: &[Row<'_>], is_part: bool, context: &Context) {
    if rows.is_empty() || !matches!(context.console.mode(), Mode::Human | Mode::Agent) {
        return;
    }
    let repos: BTreeSet<&[u8]> = rows.iter().map(|row| row.repo.folder.as_slice()).collect();
    let revisions: usize = rows
        .iter()
        .map(|row| row.revision.map_or(row.repo.revisions.len(), |_| 1))
        .sum();
    let size = if is_part {
        rows.iter().map(Row::size).sum()
    } else {
        report.size_with_damaged
    };
    context.console.say(&format!(
        "\n{} with {}, {} on disk in {}.",
        text::count(repos.len() as u64, "repo"),
        text::count(revisions as u64, "revision"),
        text::size(size),
        shown(&report.root)
    ));
}

/// Names the command that repairs the damaged repositories in the list.
fn tell_damaged(report: &CacheReport, rows: &[Row<'_>], all: bool, context: &Context) {
    let listed: BTreeSet<&[u8]> = rows
        .iter()
        .filter_map(|row| Some(row.problem?.folder.as_slice()))
        .collect();
    if listed.is_empty() {
        return;
    }
    if all {
        let problems = report.problems.iter();
        for problem in problems.filter(|p| listed.contains(p.folder.as_slice())) {
            context.console.warn(&problem_text(problem));
        }
    }
    let count = listed.len();
    let verb = if count == 1 { "is" } else { "are" };
    context.console.hint(&format!(
        "{count} of these {verb} damaged: `hf cache doctor` says how, and with --fix repairs it"
    ));
}

/// How many unfinished downloads are named.
const NAMED: usize = 3;

/// Reports what `hf cache prune` would remove and the table does not show.
fn tell_waste(report: &CacheReport, context: &Context) {
    if !report.incomplete.is_empty() && context.console.mode() != Mode::Quiet {
        let found = unfinished(&report.root, &report.incomplete);
        let named = found.iter().take(NAMED);
        let mut named: Vec<String> = named
            .map(|one| format!("{} ({})", unfinished_name(one, &report.root), kept(one)))
            .collect();
        if found.len() > NAMED {
            named.push(format!("{} more", found.len() - NAMED));
        }
        context.console.hint(&format!(
            "{} of {} in all: {}. `hf download` continues them, `hf cache prune` removes those that are given up",
            text::count(found.len() as u64, "unfinished download"),
            text::size(report.incomplete_size()),
            named.join(", ")
        ));
    }
    let unused = report
        .store
        .as_ref()
        .map(|store| shared::unused(&report.root, store))
        .unwrap_or_default();
    let (unused, _) = shared::split_listed(&report.root, unused, |_, _| false).without_doubt();
    if !unused.is_empty() {
        let bytes = unused.iter().map(|shared_blob| shared_blob.size).sum();
        context.console.hint(&format!(
            "{} in the shared store, {}, used by no repository, can be removed with `hf cache prune`",
            text::count(unused.len() as u64, "file"),
            text::size(bytes)
        ));
    }
}
