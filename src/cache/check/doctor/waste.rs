//! What takes room and is of no use: partials, locks, payloads of the shared store.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::walk::{is_own_folder, is_there, names};
use super::{Ailment, Finding, Remedy};
use crate::cache::blob_names::is_staging;
use crate::cache::layout::{self, CacheLayout, LOCKS, PartialName, RepoLayout, SHARED, Writer};
use crate::cache::scan::report::{CacheReport, Incomplete};
use crate::cache::{remove, shared};
use crate::sys::dir::Dir;

/// Longest manifest that is read, in bytes, as of the shared store.
const LONGEST: u64 = 16 << 20;

/// Locks of a repository that is gone are left alone for so many seconds: somebody may be about to
/// download it again.
const YOUNGEST_STALE_LOCK: f64 = 86_400.0;

/// Sorts unfinished downloads into those that nobody works on (findings) and the others (the answer).
pub fn downloads(report: &CacheReport, findings: &mut Vec<Finding>) -> Vec<PathBuf> {
    let mut live = Vec::new();
    for file in &report.incomplete {
        let path = file.path(&report.root);
        if remove::is_downloading(&report.root, file) {
            live.push(path);
        } else {
            let remedy = of_partial(report, file);
            let folder = match file.folder.as_slice() {
                [] => &file.name,
                _ => &file.folder,
            };
            findings.push(Finding::new(Ailment::Unfinished, folder, path, remedy));
        }
    }
    live
}

/// Worthless is what no client goes on with: the modern Python client's own name for each attempt,
/// and what became a blob in the meantime.
fn of_partial(report: &CacheReport, file: &Incomplete) -> Remedy {
    const OF_ANOTHER: Remedy =
        Remedy::Advice("another program began it; `hf cache prune` removes it");
    let partial = match PartialName::parse(&file.name) {
        Some(partial) if matches!(partial.writer, Writer::Locks | Writer::MayLock) => partial,
        _ => return OF_ANOTHER,
    };
    let blob = RepoLayout::of_folder(&report.root, &file.folder).blob_named(partial.etag);
    if is_there(&blob) || !partial.is_resumed {
        Remedy::Remove
    } else {
        Remedy::Advice("`hf download` goes on with it, `hf cache prune` removes it")
    }
}

/// Lock files of repositories that are gone, and what deletions left among the locks.
pub fn locks(root: &Path, now: f64, findings: &mut Vec<Finding>) {
    let locks = CacheLayout::new(root).locks();
    for name in names(&locks).unwrap_or_default() {
        let place = locks.join(&name);
        let bytes = name.as_encoded_bytes();
        if is_staging(bytes) {
            let size = super::walk::bytes(&place);
            let finding = Finding::new(Ailment::Leftover, LOCKS.as_bytes(), place, Remedy::Remove);
            findings.push(finding.with_size(size));
        } else if is_own_folder(&place)
            && layout::parse_repo_folder_name(&name.to_string_lossy()).is_some()
            && !is_there(&root.join(&name))
            && !remove::is_busy(root, bytes)
        {
            let files = names(&place).unwrap_or_default();
            let times = files.iter().filter_map(|file| {
                let meta = place.join(file).symlink_metadata().ok()?;
                Some(meta.mtime())
            });
            let newest = times.max().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "an age is not that exact")]
            if now - newest as f64 > YOUNGEST_STALE_LOCK {
                let mut finding =
                    Finding::new(Ailment::StaleLocks, bytes, place, Remedy::RemoveLocks);
                finding.modified = Some(newest);
                let count = format!("lock files: {}, none held", files.len());
                findings.push(finding.with_detail(count));
            }
        }
    }
}

/// Payloads of the shared store that no repository uses, or of which nobody knows.
pub fn store(report: &CacheReport, findings: &mut Vec<Finding>) {
    let (Some(store), Ok(dir)) = (&report.store, Dir::open(&report.root)) else {
        return;
    };
    for payload in &store.payloads {
        let place = report.root.join(payload.place());
        let add = |ailment, path, remedy| Finding::new(ailment, SHARED.as_bytes(), path, remedy);
        let sweep = || Remedy::Sweep(payload.clone());
        match shared::users(&dir, &report.root, payload) {
            None => findings.push(add(
                Ailment::UnknownPayload,
                place,
                Remedy::Advice("it is kept: a repository may link to it"),
            )),
            Some(users) if users.is_empty() => {
                findings.push(add(Ailment::UnusedPayload, place, sweep()));
            }
            Some(users) => {
                let manifest = shared::manifest_of(&place);
                let lines = crate::sys::read_text(&manifest, LONGEST).unwrap_or_default();
                let gone = lines.lines().count().saturating_sub(users.len());
                if gone > 0 {
                    let finding = add(Ailment::StaleManifest, manifest, sweep()).with_size(0);
                    findings.push(finding.with_detail(format!("lines without a user: {gone}")));
                }
            }
        }
    }
}

/// What a process that was killed left in the shared store: a manifest without its payload, and files
/// on their way. Whoever is at work there holds a lock beside them.
pub fn store_leftovers(report: &CacheReport, findings: &mut Vec<Finding>) {
    if report.store.is_none() {
        return;
    }
    let store = CacheLayout::new(&report.root).shared();
    for prefix in names(&store).unwrap_or_default() {
        let folder = store.join(prefix);
        let files = names(&folder).unwrap_or_default();
        // Asked after the names were read, so that what is seen there is not somebody's at work.
        let is_lock = |path: &PathBuf| path.extension().is_some_and(|end| end == "lock");
        let places = || files.iter().map(|name| folder.join(name));
        if places().filter(is_lock).any(|lock| remove::is_held(&lock)) {
            continue;
        }
        for (name, place) in files.iter().zip(places()) {
            let of_store =
                |ailment, remedy| Finding::new(ailment, SHARED.as_bytes(), place.clone(), remedy);
            if is_staging(name.as_encoded_bytes()) {
                findings.push(of_store(Ailment::Leftover, Remedy::Remove));
            } else if let Some(payload) = payload_of_manifest(&place)
                && !is_there(&report.root.join(payload.place()))
            {
                let finding = of_store(Ailment::StaleManifest, Remedy::Sweep(payload));
                findings.push(finding.with_size(0).with_detail("its payload is gone"));
            }
        }
    }
}

/// The payload, of no bytes, that a manifest would be of.
fn payload_of_manifest(place: &Path) -> Option<shared::Payload> {
    let hash = place.file_name()?.to_str()?.strip_suffix(".refs")?;
    let prefix = place.parent()?.file_name()?.to_str()?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && hash.starts_with(prefix) && prefix.len() == 2).then(|| shared::Payload {
        hash: hash.to_owned(),
        size: 0,
    })
}
