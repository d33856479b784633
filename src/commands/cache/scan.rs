//! `hf cache scan`: the wide table of the legacy client, byte for byte, and the same as data.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::tell::{Damaged, report_problems};
use super::{cache_root, now, shown};
use crate::cache::scan::report::CacheReport;
use crate::cache::scan::{Detail, ScanError, scan};
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::table::legacy_table;
use crate::console::{Mode, Table, text};

/// Show the cache as a wide table with paths.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One row a revision; three times: also list what is wrong in the cache.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const REPO_HEADERS: [&str; 8] = [
    "REPO ID",
    "REPO TYPE",
    "SIZE ON DISK",
    "NB FILES",
    "LAST_ACCESSED",
    "LAST_MODIFIED",
    "REFS",
    "LOCAL PATH",
];

const REVISION_HEADERS: [&str; 8] = [
    "REPO ID",
    "REPO TYPE",
    "REVISION",
    "SIZE ON DISK",
    "NB FILES",
    "LAST_MODIFIED",
    "REFS",
    "LOCAL PATH",
];

/// The one column of numbers.
const NUMBER: &str = "NB FILES";

/// Scans and shows the cache.
///
/// # Errors
/// The cache cannot be read. A missing one is reported on stdout and is no error, as in the
/// legacy client.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let start = Instant::now();
    let console = &context.console;
    let root = cache_root(args.dir.as_deref(), context);
    let report = match scan(&root, Detail::Totals) {
        Ok(report) => report,
        Err(ScanError::NotFound(path)) => {
            match console.mode() {
                Mode::Json => console.json(&json!([])),
                _ => console.text(&format!("Cache directory not found: {}", shown(&path))),
            }
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let now = now();
    if console.mode() != Mode::Human {
        console.table(&data(&report, args.verbose > 0, now));
    } else if args.verbose > 0 {
        console.line(&legacy_table(
            &REVISION_HEADERS,
            &revision_rows(&report, now),
            NUMBER,
        ));
    } else {
        console.line(&legacy_table(
            &REPO_HEADERS,
            &repo_rows(&report, now),
            NUMBER,
        ));
    }
    if console.mode() == Mode::Human {
        // Programs read it: docs/reference.md#strings-that-programs-read.
        console.line(&format!(
            "\nDone in {:.1}s. Scanned {} repo(s) for a total of {}.",
            start.elapsed().as_secs_f64(),
            report.repos.len(),
            text::size(report.size)
        ));
    }
    report_problems(
        &report,
        args.verbose >= 3,
        "`hf cache scan -vvv`",
        Damaged::LeftOut,
        context,
    )
}

fn repo_rows(report: &CacheReport, now: f64) -> Vec<Vec<String>> {
    report
        .repos
        .iter()
        .map(|repo| {
            vec![
                text::escape(&repo.id.id),
                repo.id.repo_type.to_string(),
                format!("{:>12}", text::size(repo.size)),
                repo.blobs.len().to_string(),
                text::legacy_age(now - repo.accessed),
                text::legacy_age(now - repo.modified),
                text::escape(&repo.refs().join(", ")),
                shown(repo.layout.folder()),
            ]
        })
        .collect()
}

fn revision_rows(report: &CacheReport, now: f64) -> Vec<Vec<String>> {
    let rows = report.repos.iter().flat_map(|repo| {
        repo.revisions.iter().map(move |revision| {
            vec![
                text::escape(&repo.id.id),
                repo.id.repo_type.to_string(),
                text::escape(&revision.commit),
                format!("{:>12}", text::size(revision.size)),
                revision.file_count.to_string(),
                text::legacy_age(now - revision.modified),
                text::escape(&revision.refs.join(", ")),
                shown(&revision.path(&repo.layout)),
            ]
        })
    });
    rows.collect()
}

/// The same facts for programs, with bytes and times as numbers and RFC 3339.
fn data(report: &CacheReport, by_revision: bool, now: f64) -> Table<'static> {
    if by_revision {
        return revision_data(report, now);
    }
    let mut table = Table::new(&[
        "repo_id",
        "repo_type",
        "size_on_disk",
        "nb_files",
        "last_accessed",
        "last_modified",
        "refs",
        "local_path",
        "size_bytes",
        "last_accessed_at",
        "last_modified_at",
    ])
    .only_in_json(&["size_bytes", "last_accessed_at", "last_modified_at"]);
    for repo in &report.repos {
        table.push(vec![
            json!(repo.id.id),
            json!(repo.id.repo_type.as_str()),
            json!(text::size(repo.size)),
            json!(repo.blobs.len()),
            json!(text::legacy_age(now - repo.accessed)),
            json!(text::legacy_age(now - repo.modified)),
            json!(repo.refs()),
            crate::console::paths::path_value(repo.layout.folder()),
            json!(repo.size),
            json!(text::rfc3339(repo.accessed)),
            json!(text::rfc3339(repo.modified)),
        ]);
    }
    table
}

fn revision_data(report: &CacheReport, now: f64) -> Table<'static> {
    let mut table = Table::new(&[
        "repo_id",
        "repo_type",
        "revision",
        "size_on_disk",
        "nb_files",
        "last_modified",
        "refs",
        "local_path",
        "size_bytes",
        "last_modified_at",
    ])
    .only_in_json(&["size_bytes", "last_modified_at"])
    .with_id("revision");
    for repo in &report.repos {
        for revision in &repo.revisions {
            table.push(vec![
                json!(repo.id.id),
                json!(repo.id.repo_type.as_str()),
                json!(revision.commit),
                json!(text::size(revision.size)),
                json!(revision.file_count),
                json!(text::legacy_age(now - revision.modified)),
                json!(revision.refs),
                crate::console::paths::path_value(revision.path(&repo.layout)),
                json!(revision.size),
                json!(text::rfc3339(revision.modified)),
            ]);
        }
    }
    table
}
