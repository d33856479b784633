//! What `hf download` prints: the path, or with `--dry-run` the plan.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::console::{Console, Row, Table, text};
use crate::download::plan::{Action, DownloadPlan, PlannedFile};
use crate::download::session::Savings;

/// The path with links resolved, as far as it exists: what is printed stays right when a link to
/// the cache is changed later, and agrees with the Python client's output.
pub(super) fn real_path(path: PathBuf) -> PathBuf {
    let existing = path.ancestors().find_map(|ancestor| {
        let real = crate::sys::canonicalize(ancestor).ok()?;
        let rest = path.strip_prefix(ancestor).ok()?;
        // Joining nothing would add a slash.
        let is_whole = rest.as_os_str().is_empty();
        Some(if is_whole { real } else { real.join(rest) })
    });
    let path = existing.unwrap_or(path);
    // Windows prints one kind of separators.
    if cfg!(windows) {
        path.components().collect()
    } else {
        path
    }
}

/// The result: in a pipe without a chosen format the bare path, so that `P=$(hf download …)` works;
/// by the legacy name always.
///
/// At a terminal a line on stderr says what happened, before the path. Where stdout is a terminal too, that
/// line replaces the heading.
pub(super) fn show_path(console: &Console, summary: Option<&str>, path: &Path) {
    let is_told = summary.is_some_and(|summary| console.tell_outcome(summary));
    if is_told && !console.is_legacy() && console.stdout_is_terminal() {
        return console.field("path", path);
    }
    if !console.is_legacy() && (console.format_given() || console.stdout_is_terminal()) {
        console.path("Downloaded", path);
    } else {
        console.bare_path(path);
    }
}

/// The plan of one repository, with --dry-run.
pub(super) fn show_plan(console: &Console, plan: &DownloadPlan, savings: &Savings) {
    announce(console, &[(plan, savings)]);
    let table = Table::new(&["file", "size"]);
    let rows = || plan.files.iter().map(|file| row(&file, savings, None));
    console.table(&table.with_rows(rows));
}

/// Says how much would be fetched.
pub(super) fn announce(console: &Console, plans: &[(&DownloadPlan, &Savings)]) {
    let sum = |of: fn(&DownloadPlan) -> u64| plans.iter().map(|(plan, _)| of(plan)).sum::<u64>();
    let (bytes, done) = (
        sum(|plan| plan.fetched_bytes().0),
        sum(|plan| plan.fetched_bytes().1),
    );
    let mut files = plans.iter().flat_map(|(plan, _)| plan.files.iter());
    let is_known = files.all(|file| !file.is_fetched() || file.size().is_some());
    // Programs read the numbers from this line: docs/reference.md#strings-that-programs-read.
    console.text(&format!(
        "[dry-run] Will download {} files (out of {}) totalling {}.",
        sum(DownloadPlan::fetched_files),
        sum(|plan| plan.files.len() as u64),
        if is_known {
            text::size(bytes)
        } else {
            "an unknown size".to_owned()
        },
    ));
    if done > 0 {
        console.text(&format!("{} of it is there already.", text::size(done)));
    }
    let saved: u64 = plans.iter().map(|(_, savings)| savings.total()).sum();
    if saved > 0 {
        let left = bytes.saturating_sub(done).saturating_sub(saved);
        console.text(&format!(
            "About {} of it will come over the network, {} will be copied from files on disk.",
            text::size(left),
            text::size(saved)
        ));
    }
    let linked = sum(|plan| plan.linked().0);
    if linked > 0 {
        console.text(&format!(
            "Will link {} ({}) from the shared store.",
            text::count(linked, "file"),
            text::size(sum(|plan| plan.linked().1))
        ));
    }
}

/// The size of a file that would be fetched.
pub(super) fn size_shown(file: &PlannedFile) -> String {
    match file.size() {
        Some(bytes) if file.is_fetched() => text::size(bytes),
        _ => "-".to_owned(),
    }
}

/// The row of a file, with its repository where there are several.
pub(super) fn row(file: &PlannedFile, savings: &Savings, repo: Option<&str>) -> Row {
    let mut cells = vec![json!(file.path.as_str()), json!(size_shown(file))];
    cells.extend(repo.map(|repo| json!(repo)));
    Row {
        cells,
        extra: vec![
            ("bytes", json!(file.size())),
            ("will_download", json!(file.is_fetched())),
            ("from_shared_store", json!(file.action == Action::Link)),
            ("copied_bytes", json!(savings.of(&file.path))),
        ],
    }
}
