//! What wastes disk space: unfinished downloads, locks, shared blobs.

use std::path::{Path, PathBuf};

use super::walk::{is_own_folder, is_there, names};
use super::{Finding, FindingKind, Fix};
use crate::cache::blob_names::is_staging;
use crate::cache::layout::{self, CacheLayout, LOCKS, PartialName, RepoLayout, SHARED, Writer};
use crate::cache::scan::report::{CacheReport, Incomplete};
use crate::cache::{remove, shared};
use crate::sys::dir::Dir;
use crate::sys::facts::modified_seconds;

/// Locks of a deleted repository are left alone for so many seconds: a process may be about to download
/// it again.
const YOUNGEST_STALE_LOCK: f64 = 86_400.0;

/// Adds a finding for every unfinished download that no process writes; returns the others.
pub fn downloads(report: &CacheReport, findings: &mut Vec<Finding>) -> Vec<PathBuf> {
    let mut live = Vec::new();
    let found = remove::unfinished(&report.root, &report.incomplete);
    for file in &report.incomplete {
        let path = file.path(&report.root);
        let largest = found.iter().find(|one| one.path == path);
        if remove::is_downloading(&report.root, file) {
            live.push(path);
        } else {
            let fix = of_partial(report, file);
            let folder = match file.folder.as_slice() {
                [] => &file.name,
                _ => &file.folder,
            };
            if largest.is_none() && matches!(fix, Fix::Advice(_)) {
                // A journal or a segment: the download is listed once.
                continue;
            }
            let finding = Finding::new(FindingKind::Unfinished, folder, path, fix);
            // What it takes on the disk: ours have holes.
            let finding = finding.with_size(file.size);
            let name = largest.and_then(|one| {
                let total = one
                    .total
                    .map_or(String::new(), |bytes| format!(", {bytes} bytes in all"));
                Some(format!("of {}{total}", one.name.as_ref()?))
            });
            findings.push(match name {
                Some(name) => finding.with_detail(name),
                None => finding,
            });
        }
    }
    live
}

/// A partial is removed when no client continues it: the modern Python client has a new name for each
/// attempt, and the content may have become a blob in the meantime.
fn of_partial(report: &CacheReport, file: &Incomplete) -> Fix {
    const OF_ANOTHER: Fix = Fix::Advice("another program started it; `hf cache prune` removes it");
    let partial = match PartialName::parse(&file.name) {
        Some(partial) if matches!(partial.writer, Writer::Locks | Writer::MayLock) => partial,
        _ => return OF_ANOTHER,
    };
    let blob = RepoLayout::of_folder(&report.root, &file.folder).blob_named(partial.etag);
    if is_there(&blob) || !partial.is_resumed {
        Fix::Remove
    } else {
        Fix::Advice("`hf download` continues it, `hf cache prune` removes it")
    }
}

/// Lock files of deleted repositories, and leftovers of deletions among the locks.
pub fn locks(root: &Path, now: f64, findings: &mut Vec<Finding>) {
    let locks = CacheLayout::new(root).locks();
    for name in names(&locks).unwrap_or_default() {
        let place = locks.join(&name);
        let bytes = name.as_encoded_bytes();
        if is_staging(bytes) {
            let size = super::walk::bytes(&place);
            let finding = Finding::new(FindingKind::Leftover, LOCKS.as_bytes(), place, Fix::Remove);
            findings.push(finding.with_size(size));
        } else if is_own_folder(&place)
            && layout::parse_repo_folder_name(&name.to_string_lossy()).is_some()
            && !is_there(&root.join(&name))
            && !remove::is_busy(root, bytes)
        {
            let files = names(&place).unwrap_or_default();
            let times = files.iter().filter_map(|file| {
                let meta = place.join(file).symlink_metadata().ok()?;
                modified_seconds(&meta)
            });
            let newest = times.max().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "an age needs no such precision")]
            if now - newest as f64 > YOUNGEST_STALE_LOCK {
                let mut finding =
                    Finding::new(FindingKind::StaleLocks, bytes, place, Fix::RemoveLocks);
                finding.modified = Some(newest);
                let count = format!("lock files: {}, none held", files.len());
                findings.push(finding.with_detail(count));
            }
        }
    }
}

/// Shared blobs that no repository uses, or whose users are unknown.
pub fn store(report: &CacheReport, findings: &mut Vec<Finding>) {
    let (Some(store), Ok(dir)) = (&report.store, Dir::open(&report.root)) else {
        return;
    };
    let unused = shared::unused(&report.root, store);
    // What a listing names is restored before anything is swept.
    let in_doubt = shared::split_listed(&report.root, unused, |_, _| false).in_doubt;
    for shared_blob in &store.shared_blobs {
        let place = report.root.join(shared_blob.place());
        let add = |kind, path, fix| Finding::new(kind, SHARED.as_bytes(), path, fix);
        let sweep = || Fix::Sweep(shared_blob.clone());
        match shared::users(&dir, &report.root, shared_blob) {
            None => findings.push(add(
                FindingKind::UnlistedSharedBlob,
                place,
                Fix::Advice("it is kept: a repository may link to it"),
            )),
            Some(users) if users.is_empty() => findings.push(match &in_doubt {
                None => add(FindingKind::UnusedSharedBlob, place, sweep()),
                Some(repo) => add(
                    FindingKind::UnusedSharedBlob,
                    place,
                    Fix::Advice("it is kept: a listing that cannot be read may name it"),
                )
                .with_detail(format!("{repo} has that listing")),
            }),
            Some(users) => {
                let manifest = shared::manifest_of(&place);
                let lines = crate::sys::read_text(&manifest, shared::LARGEST_MANIFEST as u64)
                    .unwrap_or_default();
                let gone = lines.lines().count().saturating_sub(users.len());
                if gone > 0 {
                    let finding = add(FindingKind::StaleManifest, manifest, sweep()).with_size(0);
                    findings.push(finding.with_detail(format!("lines without a user: {gone}")));
                }
            }
        }
    }
}

/// Leftovers of killed processes in the shared store: a manifest without its shared blob, and temporary
/// files. A process that writes there holds a lock beside them.
pub fn store_leftovers(report: &CacheReport, findings: &mut Vec<Finding>) {
    if report.store.is_none() {
        return;
    }
    let store = CacheLayout::new(&report.root).shared();
    for prefix in names(&store).unwrap_or_default() {
        let folder = store.join(prefix);
        let files = names(&folder).unwrap_or_default();
        // Checked after the names were read: a file of a running process would show its lock here.
        let is_lock = |path: &PathBuf| path.extension().is_some_and(|end| end == "lock");
        let places = || files.iter().map(|name| folder.join(name));
        if places().filter(is_lock).any(|lock| remove::is_held(&lock)) {
            continue;
        }
        for (name, place) in files.iter().zip(places()) {
            let of_store = |kind, fix| Finding::new(kind, SHARED.as_bytes(), place.clone(), fix);
            if is_staging(name.as_encoded_bytes()) {
                findings.push(of_store(FindingKind::Leftover, Fix::Remove));
            } else if let Some(shared_blob) = shared_blob_of_manifest(&place)
                && !is_there(&report.root.join(shared_blob.place()))
            {
                let finding = of_store(FindingKind::StaleManifest, Fix::Sweep(shared_blob));
                findings.push(finding.with_size(0).with_detail("its shared blob is gone"));
            }
        }
    }
}

/// The shared blob, with a size of 0, that a manifest belongs to.
fn shared_blob_of_manifest(manifest: &Path) -> Option<shared::SharedBlob> {
    let place = manifest.with_extension("");
    let is_manifest = shared::manifest_of(&place) == manifest;
    let hash = shared::hash_in(&place).filter(|_| is_manifest)?;
    Some(shared::SharedBlob {
        hash: hash.to_owned(),
        size: 0,
    })
}
