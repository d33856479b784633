//! Every problem of a cache, and what fixes it.
//!
//! The scan stops at the first problem of a repository, as the Python client does. Here every problem
//! is found, and also files that waste disk space. Finding ([`examine`]) and fixing ([`fix`]) are
//! separate: a [`Finding`] carries its [`Fix`], so what is shown is what will be done.
//!
//! A fix never changes what is valid. First, and without a request, links are made again where the
//! blobs exist (`relink`), and blobs are restored from elsewhere in the cache (`restore`). Then
//! broken refs and links are removed, and what is provably damaged, and what nothing uses or could
//! use. A ref with an extra newline is rewritten, a file in the place of a folder is moved to
//! `set-aside` in the repository's folder, where no client looks, and permissions are added in a
//! cache that a group shares. Unknown entries, links out of the cache (perhaps to a disk that is not
//! mounted) and what may still be useful stay, with advice for the user.

#[cfg(unix)]
mod access;
mod facts;
mod finding;
mod fix;
mod place;
mod relink;
mod repo;
mod restore;
mod walk;
mod waste;

use std::path::{Path, PathBuf};

pub use self::finding::{Finding, FindingKind, Fix, ModeChange};
pub use self::fix::fix;
use crate::cache::scan::report::{CacheReport, Problem, ProblemKind};
use crate::cache::{blob_names, layout};

/// The result of an examination.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that is wrong, by path within each kind.
    pub findings: Vec<Finding>,
    /// Unfinished downloads that a process writes: they are no problem.
    pub live: Vec<PathBuf>,
}

/// Finds every problem. `now` is in seconds since 1970.
pub fn examine(report: &CacheReport, now: f64) -> Report {
    let mut findings = Vec::new();
    let linked_from_elsewhere = crate::cache::remove::links_between(report);
    let mut sources = restore::Sources::new(report);
    for repo in &report.repos {
        repo::examine(
            report,
            &repo.folder,
            &linked_from_elsewhere,
            &mut sources,
            &mut findings,
        );
    }
    for problem in &report.problems {
        let before = findings.len();
        if problem.repo().is_some() {
            repo::examine(
                report,
                &problem.folder,
                &linked_from_elsewhere,
                &mut sources,
                &mut findings,
            );
        }
        // Listed with the unfinished downloads.
        if blob_names::is_root_partial(&problem.folder)
            && matches!(problem.kind, ProblemKind::NotAFolder)
        {
            continue;
        }
        let is_explained = findings[before..].iter().any(|f| f.kind.is_harmful());
        if !is_explained {
            findings.push(of_problem(problem));
        }
    }
    let live = waste::downloads(report, &mut findings);
    waste::locks(&report.root, now, &mut findings);
    waste::store(report, &mut findings);
    waste::store_leftovers(report, &mut findings);
    #[cfg(unix)]
    access::examine(report, &mut findings);
    findings.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
    Report { findings, live }
}

/// A finding for what the scan says of an entry of the root.
fn of_problem(problem: &Problem) -> Finding {
    let (kind, advice) = match problem.kind {
        ProblemKind::Unreadable(_) => (
            FindingKind::Damaged,
            "check who owns it; run the command as that user",
        ),
        ProblemKind::NotARepo if problem.folder == layout::SHARED.as_bytes() => (
            FindingKind::UnmarkedStore,
            "it is left alone: move it away if you do not need it",
        ),
        ProblemKind::NotAFolder | ProblemKind::NotARepo | ProblemKind::UnknownType(_) => (
            FindingKind::Unknown,
            "it is yours or another program's: move it away",
        ),
        _ => (
            FindingKind::Damaged,
            "`hf cache rm type/name` removes the repository",
        ),
    };
    let finding = Finding::new(
        kind,
        &problem.folder,
        problem.path.clone(),
        Fix::Advice(advice),
    );
    let size = match kind {
        FindingKind::UnmarkedStore | FindingKind::Unknown => walk::bytes(&problem.path),
        _ => finding.size,
    };
    finding
        .with_size(size)
        .with_detail(problem.kind.to_string())
}

/// Whether a chain of links leaves the cache at any step.
fn leads_out(root: &Path, link: &Path) -> bool {
    /// As many as Linux follows.
    const HOPS: usize = 40;
    let mut path = link.to_path_buf();
    for _ in 0..HOPS {
        let Ok(target) = std::fs::read_link(&path) else {
            return false;
        };
        let folder = path.parent().unwrap_or(root);
        path = layout::normalize(&folder.join(target));
        if !path.starts_with(root) {
            return true;
        }
    }
    false
}
