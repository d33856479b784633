//! What is wrong inside one repository's folder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::walk::{is_own_folder, is_there, names, walk};
use super::{Ailment, Finding, Remedy, leads_out};
use crate::cache::blob_names::{BlobName, blob_name};
use crate::cache::commit::LONGEST_REF;
use crate::cache::delete;
use crate::cache::dir::path_of;
use crate::cache::report::CacheReport;

/// What a repository's folder may hold without holding content: notes that a download makes anew.
const NOTES: [&str; 4] = ["blobs", "refs", "trees", ".no_exist"];

/// What the user can do about blobs that lost all their snapshots.
const RELINKED: &str =
    "the next download links it without fetching it; `hf cache rm` removes the repository";

const FOREIGN: &str =
    "it is another program's and is left alone: remove it yourself if it is of no use";

const UNMOUNTED: &str = "it leads out of the cache: mount the disk, or remove the link yourself";

/// Looks at one repository. `linked_from_elsewhere` are the files that other repositories link to.
pub fn examine(
    report: &CacheReport,
    folder: &[u8],
    linked_from_elsewhere: &HashSet<PathBuf>,
    findings: &mut Vec<Finding>,
) {
    let path = report.root.join(path_of(folder));
    if !is_own_folder(&path) {
        return;
    }
    let mut patient = Patient {
        root: &report.root,
        folder,
        path: &path,
        findings,
    };
    let snapshots = path.join("snapshots");
    if snapshots.is_file() {
        patient.add(Ailment::StrayFile, snapshots.clone(), Remedy::SetAside);
    }
    if snapshots.is_file() || !is_there(&snapshots) {
        let is_shell = !snapshots.is_file() && holds_no_content(&path);
        let remedy = match is_shell {
            true => Remedy::RemoveShell,
            false => Remedy::MakeFolder,
        };
        patient.add(Ailment::MissingSnapshots, snapshots, remedy);
        if !is_shell {
            patient.refs();
        }
    } else if is_own_folder(&snapshots) {
        patient.refs();
        let used = patient.snapshots();
        patient.blobs(used, linked_from_elsewhere);
    }
}

struct Patient<'a> {
    root: &'a Path,
    folder: &'a [u8],
    path: &'a Path,
    findings: &'a mut Vec<Finding>,
}

impl Patient<'_> {
    fn add(&mut self, ailment: Ailment, path: PathBuf, remedy: Remedy) {
        let finding = Finding::new(ailment, self.folder, path, remedy);
        self.findings.push(finding);
    }

    fn refs(&mut self) {
        let refs = self.path.join("refs");
        if refs.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            return self.add(Ailment::StrayFile, refs, Remedy::SetAside);
        }
        for file in walk(&refs).files {
            if file.is_dir() {
                continue;
            }
            let content = match crate::fs::read_limited(&file, LONGEST_REF) {
                Ok(content) => String::from_utf8_lossy(&content).into_owned(),
                Err(error) if crate::cache::dir::is_absent(&error) => String::new(),
                // Told of as damaged: a scan stops here.
                Err(_) => continue,
            };
            if has_snapshot(self.path, &content) {
                continue;
            }
            let commit = content.trim();
            if has_snapshot(self.path, commit) {
                let remedy = Remedy::RewriteRef(commit.to_owned());
                self.add(Ailment::UntidyRef, file, remedy);
            } else {
                let finding =
                    Finding::new(Ailment::DanglingRef, self.folder, file, Remedy::RemoveRef);
                let detail = format!("names {commit:?}");
                self.findings.push(finding.with_detail(detail));
            }
        }
    }

    /// Finds broken links, and answers the blobs in use; `None` when not every link could be seen.
    fn snapshots(&mut self) -> Option<HashSet<PathBuf>> {
        let snapshots = self.path.join("snapshots");
        for name in names(&snapshots).unwrap_or_default() {
            let entry = snapshots.join(name);
            if entry.is_file() {
                self.add(Ailment::StrayFile, entry, Remedy::SetAside);
            }
        }
        let blobs = self.path.join("blobs");
        if blobs.is_symlink() && !blobs.exists() {
            // Every link is broken with it, and whole again when the disk is back.
            self.add(Ailment::BrokenLink, blobs, Remedy::Advice(UNMOUNTED));
            return None;
        }
        let links = links(&snapshots);
        for file in links.broken {
            self.broken_link(file, blobs.is_symlink());
        }
        links.used
    }

    fn broken_link(&mut self, file: PathBuf, is_behind_link: bool) {
        let remedy = if is_behind_link || leads_out(self.root, &file) {
            Remedy::Advice(UNMOUNTED)
        } else {
            Remedy::RemoveLink
        };
        self.add(Ailment::BrokenLink, file, remedy);
    }

    /// A repository that lost every snapshot keeps its blobs for the next download, save where its
    /// deletion was killed: that takes the refs, folder and all, before anything else.
    fn blobs(&mut self, used: Option<HashSet<PathBuf>>, linked_from_elsewhere: &HashSet<PathBuf>) {
        let blobs = self.path.join("blobs");
        let has_snapshots = names(&self.path.join("snapshots")).is_none_or(|all| !all.is_empty());
        let is_kept = !has_snapshots && is_own_folder(&self.path.join("refs"));
        for name in names(&blobs).unwrap_or_default() {
            let place = blobs.join(&name);
            let kind = blob_name(name.as_encoded_bytes());
            if kind == BlobName::Staging {
                self.add(Ailment::Leftover, place, Remedy::Remove);
            } else if matches!(kind, BlobName::Partial(_) | BlobName::Lock) {
            } else if place.is_symlink() && !place.exists() {
                self.broken_link(place, false);
            } else if let Some(used) = &used
                && !used.contains(&place)
                && !linked_from_elsewhere.contains(&place)
            {
                if kind == BlobName::Foreign {
                    self.add(Ailment::ForeignBlob, place, Remedy::Advice(FOREIGN));
                    continue;
                }
                let remedy = match is_kept {
                    true => Remedy::Advice(RELINKED),
                    false => Remedy::RemoveBlob,
                };
                self.add(Ailment::OrphanBlob, place, remedy);
            }
        }
    }
}

/// The links of a repository's snapshots.
pub struct Links {
    /// Those that lead nowhere.
    broken: Vec<PathBuf>,
    /// What the others mean. `None` when not every link could be seen: only who has seen them all
    /// may call a blob an orphan.
    pub used: Option<HashSet<PathBuf>>,
}

/// Reads the links of all snapshots.
pub fn links(snapshots: &Path) -> Links {
    let walked = walk(snapshots);
    let (mut broken, mut used) = (Vec::new(), HashSet::new());
    let mut is_complete = walked.is_complete;
    for file in walked.files {
        let Ok(target) = fs::read_link(&file) else {
            continue;
        };
        if !file.exists() {
            broken.push(file);
            continue;
        }
        // Behind a link to a folder there may be more links.
        is_complete &= !file.is_dir();
        if let Some(parent) = file.parent() {
            used.extend(delete::spellings(&parent.join(target)));
        }
    }
    Links {
        broken,
        used: is_complete.then_some(used),
    }
}

/// Whether a text is the very name of a snapshot.
pub fn has_snapshot(repo: &Path, commit: &str) -> bool {
    let is_name = !commit.is_empty() && !commit.contains(['/', '\0']);
    is_name && !matches!(commit, "." | "..") && repo.join("snapshots").join(commit).is_dir()
}

/// Whether a repository's folder has nothing but notes: no blob, nothing foreign.
pub fn holds_no_content(repo: &Path) -> bool {
    let is_note = |name: &std::ffi::OsString| NOTES.iter().any(|note| name == note);
    let has_no_blob = names(&repo.join("blobs")).is_some_and(|names| names.is_empty());
    names(repo).is_some_and(|names| names.iter().all(is_note)) && has_no_blob
}
