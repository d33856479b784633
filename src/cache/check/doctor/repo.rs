//! What is wrong inside one repository's folder.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::facts::{Facts, has_snapshot, holds_no_content, ref_text, says_right};
use super::relink::{At, Has, NewLink, Wanted};
use super::restore::{Sources, shared_blob_named};
use super::walk::{is_own_folder, is_there, names, walk};
use super::{Finding, FindingKind, Fix, leads_out};
use crate::cache::blob_names::{BlobName, blob_name};
use crate::cache::commit::LONGEST_REF;
use crate::cache::layout::RepoLayout;
use crate::cache::scan::report::CacheReport;
use crate::types::CommitHash;

/// Advice for blobs of which no snapshot is left.
const RELINKED: &str =
    "the next download links it without fetching it; `hf cache rm` removes the repository";

/// Advice for a blob that a listing names and no snapshot can link to.
const LISTED: &str = "a listing names it: it is kept, and the next download uses it";

/// Advice for a blob that a listing which cannot be read may name.
const MAY_BE_LISTED: &str = "a listing of this repository cannot be read and may name it: it is kept \
    until a download has written the listing again; `hf cache rm` removes the repository";

/// Advice for the listing itself.
const WRITTEN_AGAIN: &str = "the next download of this revision writes it again; until then no blob of \
    the repository counts as an orphan";

const UNKNOWN_BLOB: &str =
    "it belongs to another program and is left alone: remove it yourself if you do not need it";

const UNMOUNTED: &str = "it leads out of the cache: mount the disk, or remove the link yourself";

/// Why links into the shared store break.
const STORE_DELETED: &str = "its file in the shared store is gone: huggingface_hub up to 1.0.1 \
    deletes it with the first repository that used it";

/// Examines one repository. `linked_from_elsewhere` are the files that other repositories link to.
pub fn examine(
    report: &CacheReport,
    folder: &[u8],
    linked_from_elsewhere: &HashSet<PathBuf>,
    sources: &mut Sources<'_>,
    findings: &mut Vec<Finding>,
) {
    let layout = RepoLayout::of_folder(&report.root, folder);
    if !is_own_folder(layout.folder()) {
        return;
    }
    let snapshots = layout.snapshots();
    let is_usual = snapshots.is_file() || !is_there(&snapshots) || is_own_folder(&snapshots);
    if !is_usual {
        return;
    }
    let mut patient = RepoCheck {
        root: &report.root,
        folder,
        facts: Facts::read(&report.root, &layout),
        layout: &layout,
        restored: BTreeSet::new(),
        links: Vec::new(),
        findings,
    };
    let blobs = layout.blobs();
    if blobs.is_symlink() && !blobs.exists() {
        // All links are broken until the disk is mounted again.
        patient.add(FindingKind::BrokenLink, blobs, Fix::Advice(UNMOUNTED));
        patient.stray_files();
        return patient.refs();
    }
    patient.listings();
    patient.contents(sources);
    patient.links();
    if patient.has_snapshots_folder() {
        patient.refs();
        patient.stray_files();
        patient.blobs(linked_from_elsewhere);
    }
}

struct RepoCheck<'a> {
    root: &'a Path,
    folder: &'a [u8],
    layout: &'a RepoLayout,
    facts: Facts,
    /// Blobs that a fix restores.
    restored: BTreeSet<String>,
    /// Links that a fix makes.
    links: Vec<NewLink>,
    findings: &'a mut Vec<Finding>,
}

impl RepoCheck<'_> {
    fn add(&mut self, kind: FindingKind, path: PathBuf, fix: Fix) {
        let finding = Finding::new(kind, self.folder, path, fix);
        self.findings.push(finding);
    }

    fn add_with(&mut self, kind: FindingKind, path: PathBuf, fix: Fix, detail: String) {
        let finding = Finding::new(kind, self.folder, path, fix);
        self.findings.push(finding.with_detail(detail));
    }

    /// Listings that cannot be read.
    fn listings(&mut self) {
        for path in self.facts.unreadable.clone() {
            let fix = Fix::Advice(WRITTEN_AGAIN);
            self.add(FindingKind::UnreadableListing, path, fix);
        }
    }

    /// Blobs that are missing or wrong, and where the same content is.
    fn contents(&mut self, sources: &mut Sources<'_>) {
        let wrong: Vec<(String, Option<u64>)> = self
            .facts
            .wrong()
            .into_iter()
            .map(|(etag, size)| (etag.to_owned(), size))
            .collect();
        for wanted in self.facts.known.wanted(|etag| self.facts.has(etag)) {
            let blob = self.facts.blob(&wanted.etag);
            let size = self.facts.expected.size(&wanted.etag);
            let is_wrong = wrong.iter().any(|(etag, _)| *etag == wanted.etag);
            let sources = sources.of(&wanted, &blob, size);
            if is_wrong || sources.is_empty() {
                continue;
            }
            let finding = Finding::new(
                FindingKind::LostBlob,
                self.folder,
                blob.clone(),
                Fix::Restore(sources),
            );
            self.findings.push(match self.is_dead_store_link(&blob) {
                true => finding.with_detail(STORE_DELETED),
                false => finding,
            });
            self.restored.insert(wanted.etag);
        }
        for (etag, size) in wrong {
            self.wrong_size(etag, size, sources);
        }
    }

    fn wrong_size(&mut self, etag: String, size: Option<u64>, sources: &mut Sources<'_>) {
        let blob = self.facts.blob(&etag);
        let wanted = Wanted {
            etag,
            xet_hash: None,
            is_linked: !blob.is_symlink(),
        };
        let fix = match sources.of(&wanted, &blob, size) {
            sources if sources.is_empty() => Fix::RemoveWrong,
            sources => Fix::Restore(sources),
        };
        let detail = match size {
            Some(size) => format!("should have {size} bytes"),
            None => "is empty, and its name is not the hash of an empty file".to_owned(),
        };
        self.add_with(FindingKind::WrongSize, blob, fix, detail);
    }

    /// Whether a blob is a link to a shared blob that is gone.
    fn is_dead_store_link(&self, blob: &Path) -> bool {
        let target = fs::read_link(blob);
        target.is_ok_and(|target| shared_blob_named(&target).is_some()) && !blob.exists()
    }

    /// Links that are broken or gone.
    fn links(&mut self) {
        let has = |etag: &str| match self.restored.contains(etag) {
            true => Has::Unlinked,
            false => self.facts.has(etag),
        };
        self.links = self.facts.known.links(has);
        let refs = self.named_commits();
        for link in self.links.clone() {
            let path = self.layout.snapshots().join(&link.place);
            let is_right = |target: &Path| says_right(self.layout, &link.place, target, &link.etag);
            let kind = match &link.was {
                Some(At::Broken(target)) if is_right(target) => continue,
                Some(At::Broken(_)) => FindingKind::BrokenLink,
                None if is_in_one_of(&link.place, &refs) => FindingKind::LostLink,
                _ => FindingKind::UnlinkedBlob,
            };
            let detail = format!("to blobs/{}", link.etag);
            self.add_with(kind, path, Fix::Relink(link.etag), detail);
        }
        let made: HashSet<&PathBuf> = self.links.iter().map(|link| &link.place).collect();
        let places = self.facts.known.places.iter();
        let broken = places.filter(|(_, at)| matches!(at, At::Broken(_)));
        let lost: Vec<PathBuf> = broken
            .filter(|(place, _)| !made.contains(place))
            .map(|(place, _)| self.layout.snapshots().join(place))
            .collect();
        let is_behind_link = self.layout.blobs().is_symlink();
        for file in lost {
            self.broken_link(file, is_behind_link);
        }
    }

    fn broken_link(&mut self, file: PathBuf, is_behind_link: bool) {
        let is_of_store = self.is_dead_store_link(&file);
        let fix = if is_behind_link || leads_out(self.root, &file) {
            Fix::Advice(UNMOUNTED)
        } else {
            Fix::RemoveLink
        };
        match is_of_store {
            true => self.add_with(FindingKind::BrokenLink, file, fix, STORE_DELETED.to_owned()),
            false => self.add(FindingKind::BrokenLink, file, fix),
        }
    }

    /// Whether there is a folder of snapshots; adds a finding if not.
    fn has_snapshots_folder(&mut self) -> bool {
        let snapshots = self.layout.snapshots();
        let is_file = snapshots.is_file();
        if is_file {
            self.add(FindingKind::StrayFile, snapshots.clone(), Fix::MoveAway);
        }
        if !is_file && is_there(&snapshots) {
            return true;
        }
        let is_empty_repo = !is_file
            && self.links.is_empty()
            && self.restored.is_empty()
            && holds_no_content(self.layout);
        let fix = match is_empty_repo {
            true => Fix::RemoveEmptyRepo,
            false => Fix::MakeFolder,
        };
        self.add(FindingKind::MissingSnapshots, snapshots, fix);
        if !is_empty_repo {
            self.refs();
        }
        false
    }

    /// The refs: path and content, `None` when it cannot be read.
    fn read_refs(&self) -> Vec<(PathBuf, Option<String>)> {
        let files = walk(&self.layout.refs()).files.into_iter();
        let files = files.filter(|file| !file.is_dir());
        files
            .map(|file| {
                let content = ref_text(&file).ok();
                (file, content)
            })
            .collect()
    }

    /// The commits that refs name.
    fn named_commits(&self) -> Vec<String> {
        let contents = self
            .read_refs()
            .into_iter()
            .filter_map(|(_, content)| content);
        contents.map(|content| content.trim().to_owned()).collect()
    }

    fn refs(&mut self) {
        let refs = self.layout.refs();
        if refs.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            return self.add(FindingKind::StrayFile, refs, Fix::MoveAway);
        }
        for (file, content) in self.read_refs() {
            // The scan reports it as unreadable.
            let Some(content) = content else { continue };
            let commit = content.trim();
            let will_be_there = |commit: &str| {
                has_snapshot(self.layout, commit)
                    || self.links.iter().any(|link| link.place.starts_with(commit))
            };
            if has_snapshot(self.layout, &content) || content == commit && will_be_there(commit) {
                continue;
            }
            if !commit.is_empty() && will_be_there(commit) {
                let fix = Fix::RewriteRef(commit.to_owned());
                self.add(FindingKind::UntidyRef, file, fix);
            } else {
                let detail = format!("names {commit:?}");
                let fix = match self.may_need_blobs(commit) {
                    true => Fix::MoveRefAway,
                    false => Fix::RemoveRef,
                };
                self.add_with(FindingKind::DanglingRef, file, fix, detail);
            }
        }
    }

    /// Whether there are blobs that may belong to the snapshot of a commit.
    fn may_need_blobs(&self, commit: &str) -> bool {
        let is_commit = commit.parse::<CommitHash>().is_ok();
        let mut listings = self.facts.known.listings.iter();
        let is_listed = listings.any(|(listed, _)| listed == commit);
        let mut blobs = self.facts.blobs.keys();
        is_commit && !is_listed && blobs.any(|etag| self.facts.is_unnamed(etag))
    }

    /// The commits that refs name, also refs moved to `set-aside`. `None`: there is no folder of refs.
    fn known_refs(&self) -> Option<Vec<String>> {
        let move_away = self.layout.moved();
        let move_away = names(&move_away)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|name| {
                let path = move_away.join(name);
                let content = crate::sys::read_text(&path, LONGEST_REF.into()).ok()?;
                Some(content.trim().parse::<CommitHash>().ok()?.to_string())
            });
        let mut all: Vec<String> = move_away.collect();
        let has_folder = is_own_folder(&self.layout.refs());
        if has_folder {
            all.extend(self.named_commits());
        }
        (has_folder || !all.is_empty()).then_some(all)
    }

    fn stray_files(&mut self) {
        let snapshots = self.layout.snapshots();
        for name in names(&snapshots).unwrap_or_default() {
            let entry = snapshots.join(name);
            if entry.is_file() {
                self.add(FindingKind::StrayFile, entry, Fix::MoveAway);
            } else if entry.is_symlink() && !entry.exists() {
                self.broken_link(entry, false);
            }
        }
    }

    /// Files in `blobs/` that are not used, or perhaps not.
    fn blobs(&mut self, linked_from_elsewhere: &HashSet<PathBuf>) {
        let blobs = self.layout.blobs();
        let refs = self.known_refs();
        let may_have_lost_links = self.facts.may_have_lost_links(refs.as_deref());
        let linked_soon: HashSet<String> =
            self.links.iter().map(|link| link.etag.clone()).collect();
        let needed = self.facts.needed.clone();
        let wrong: HashSet<String> = self
            .facts
            .wrong()
            .into_iter()
            .map(|(e, _)| e.to_owned())
            .collect();
        for name in names(&blobs).unwrap_or_default() {
            let place = blobs.join(&name);
            let text = name.to_string_lossy().into_owned();
            let kind = blob_name(name.as_encoded_bytes());
            let is_used = || {
                let used = self.facts.used.as_ref();
                used.is_none_or(|used| used.contains(&place))
                    || linked_from_elsewhere.contains(&place)
            };
            match kind {
                BlobName::Staging => self.add(FindingKind::Leftover, place, Fix::Remove),
                BlobName::Partial(_) | BlobName::Lock | BlobName::Stray => {}
                _ if self.restored.contains(&text) => {}
                _ if place.is_symlink() && !place.exists() => self.broken_link(place, false),
                _ if is_used() => {}
                BlobName::Unknown => {
                    self.add(FindingKind::UnknownBlob, place, Fix::Advice(UNKNOWN_BLOB));
                }
                BlobName::Blob if linked_soon.contains(&text) => {}
                // Reported already.
                BlobName::Blob if wrong.contains(&text) => {}
                BlobName::Blob if needed.contains(&text) => {
                    self.add(FindingKind::UnlinkedBlob, place, Fix::Advice(LISTED));
                }
                BlobName::Blob => {
                    let fix = if may_have_lost_links {
                        Fix::Advice(RELINKED)
                    } else if !self.facts.is_orphan(&text) {
                        Fix::Advice(MAY_BE_LISTED)
                    } else {
                        Fix::RemoveBlob
                    };
                    self.add(FindingKind::OrphanBlob, place, fix);
                }
            }
        }
    }
}

/// Whether a place, `<commit>/…`, is in the snapshot of one of these commits.
fn is_in_one_of(place: &Path, commits: &[String]) -> bool {
    commits.iter().any(|commit| place.starts_with(commit))
}
