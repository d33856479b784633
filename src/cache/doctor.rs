//! What is wrong in a cache, piece by piece, and how to mend it.
//!
//! The scan stops at the first thing that is wrong with a repository, as the Python client does.
//! Here every one is found, and also what takes room and belongs to nothing. Mending only ever
//! removes: a ref that names no snapshot, a link that leads nowhere, a blob that nothing links to,
//! a file that a killed process left half-way. What was lost comes back with the next download.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::dir::{path_of, text_of};
use super::report::{CacheReport, ProblemKind};
use super::{delete, layout};
use crate::fs::FsError;

/// What a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ailment {
    /// A ref names a snapshot that is not there.
    DanglingRef,
    /// A link of a snapshot leads nowhere.
    BrokenLink,
    /// A blob that no snapshot links to.
    OrphanBlob,
    /// What a process that was killed left on its way.
    Leftover,
    /// Something that cannot be mended here: foreign, unreadable, or without snapshots.
    Damaged,
}

impl Ailment {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Ailment::DanglingRef => "dangling-ref",
            Ailment::BrokenLink => "broken-link",
            Ailment::OrphanBlob => "orphan-blob",
            Ailment::Leftover => "leftover",
            Ailment::Damaged => "damaged",
        }
    }

    /// Whether programs that use the cache trip over it; the rest only takes room.
    pub fn is_harmful(self) -> bool {
        matches!(
            self,
            Ailment::DanglingRef | Ailment::BrokenLink | Ailment::Damaged
        )
    }
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub ailment: Ailment,
    /// Name of the entry of the cache's root.
    pub folder: Vec<u8>,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of a regular file; 0 for anything else.
    pub size: u64,
    /// What is wrong, for [`Ailment::Damaged`].
    pub detail: Option<String>,
}

/// Looks for everything that is wrong, by path within each kind.
pub fn examine(report: &CacheReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    for repo in &report.repos {
        examine_repo(report, &repo.folder, &mut findings);
    }
    for problem in &report.problems {
        let before = findings.len();
        if matches!(
            problem.kind,
            ProblemKind::BlobMissing | ProblemKind::RefToMissing(_)
        ) {
            examine_repo(report, &problem.folder, &mut findings);
        }
        let is_explained = findings[before..].iter().any(|f| f.ailment.is_harmful());
        if !is_explained {
            findings.push(Finding {
                ailment: Ailment::Damaged,
                folder: problem.folder.clone(),
                path: problem.path.clone(),
                size: 0,
                detail: Some(problem.kind.to_string()),
            });
        }
    }
    let locks = report.root.join(".locks");
    for name in names(&locks).unwrap_or_default() {
        if is_staging(name.as_encoded_bytes()) {
            findings.push(finding(Ailment::Leftover, b".locks", locks.join(name)));
        }
    }
    findings.sort_by(|a, b| (a.ailment, &a.path).cmp(&(b.ailment, &b.path)));
    findings
}

fn examine_repo(report: &CacheReport, folder: &[u8], findings: &mut Vec<Finding>) {
    let path = report.root.join(path_of(folder));
    // What lies behind a link is not the cache's to judge.
    let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let (snapshots, blobs) = (path.join("snapshots"), path.join("blobs"));
    if !is_own(&path) || !is_own(&snapshots) {
        return;
    }
    let refs = path.join("refs");
    for file in walk(&refs).files {
        let commit = fs::read_to_string(&file).unwrap_or_default();
        let is_name = !commit.is_empty() && !commit.contains(['/', '\0']) && commit != "..";
        if !is_name || !snapshots.join(&commit).exists() {
            findings.push(finding(Ailment::DanglingRef, folder, file));
        }
    }
    let walked = walk(&snapshots);
    let mut used = HashSet::new();
    let mut is_complete = walked.is_complete;
    for file in walked.files {
        let Ok(target) = fs::read_link(&file) else {
            continue;
        };
        // A snapshot that is itself a link: what it uses is behind the link.
        is_complete &= file.parent() != Some(&snapshots);
        if !file.exists() {
            findings.push(finding(Ailment::BrokenLink, folder, file));
        } else if let Some(parent) = file.parent() {
            used.extend(delete::spellings(&parent.join(target)));
        }
    }
    // Only who has seen every link may call a blob an orphan.
    if !is_own(&blobs) || !is_complete {
        return;
    }
    let linked_from_elsewhere = delete::links_between(report);
    for name in names(&blobs).unwrap_or_default() {
        let place = blobs.join(&name);
        let bytes = name.as_encoded_bytes();
        let is_partial = bytes.ends_with(b".incomplete") || layout::partial_etag(bytes).is_some();
        if is_staging(bytes) {
            findings.push(finding(Ailment::Leftover, folder, place));
        } else if !is_partial && !used.contains(&place) && !linked_from_elsewhere.contains(&place) {
            findings.push(finding(Ailment::OrphanBlob, folder, place));
        }
    }
}

fn finding(ailment: Ailment, folder: &[u8], path: PathBuf) -> Finding {
    let meta = path.symlink_metadata();
    Finding {
        ailment,
        folder: folder.to_vec(),
        size: meta.map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 }),
        path,
        detail: None,
    }
}

/// Names of files on their way into place: ours (`.hf-….tmp`) and the Python client's links into the
/// shared store (`.<etag>.<8 hex>.shared`).
fn is_staging(name: &[u8]) -> bool {
    name.starts_with(b".hf-") && name.ends_with(b".tmp")
        || name.starts_with(b".") && name.ends_with(b".shared")
}

/// What lies below a folder.
struct Walked {
    /// Files and links; links to folders are not entered.
    files: Vec<PathBuf>,
    /// Every folder could be read.
    is_complete: bool,
}

fn walk(folder: &Path) -> Walked {
    let mut walked = Walked {
        files: Vec::new(),
        is_complete: true,
    };
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Some(names) = names(&folder) else {
            walked.is_complete = false;
            continue;
        };
        for path in names.into_iter().map(|name| folder.join(name)) {
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(_) => walked.files.push(path),
                Err(_) => walked.is_complete = false,
            }
        }
    }
    walked
}

/// Names in a folder, without those that operating systems strew about; none when it is a link or
/// absent. `None`: it cannot be read.
fn names(folder: &Path) -> Option<Vec<OsString>> {
    if !folder.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Some(Vec::new());
    }
    let names: io::Result<Vec<OsString>> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let mut names = names.ok()?;
    names.retain(|name| !super::scan::is_stray(name.as_encoded_bytes()));
    Some(names)
}

/// What mending came to.
#[derive(Debug, Default)]
pub struct Mended {
    /// Findings that are gone.
    pub removed: usize,
    /// Bytes of the files that are gone.
    pub freed: u64,
    /// What could not be removed.
    pub failures: Vec<FsError>,
    /// Repositories that somebody downloads into: left alone.
    pub busy: Vec<String>,
}

/// Removes what can be removed: refs before links before blobs, so that dying half-way makes nothing
/// worse. A repository that somebody downloads into is left alone: its blobs may be about to be
/// linked.
pub fn mend(root: &Path, findings: &[Finding]) -> Mended {
    let mut mended = Mended::default();
    for finding in findings {
        if finding.ailment == Ailment::Damaged {
            continue;
        }
        if delete::is_busy(root, &finding.folder) {
            let name = text_of(&finding.folder);
            if !mended.busy.contains(&name) {
                mended.busy.push(name);
            }
            continue;
        }
        match delete::remove(&finding.path) {
            Ok(()) => {
                mended.removed += 1;
                mended.freed += finding.size;
            }
            Err(error) => mended.failures.push(error),
        }
    }
    mended
}
