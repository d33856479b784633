//! What will be removed, and how it is decided.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::in_use::{self, Spared, Use};
use super::interrupted::Interrupted;
use super::tally::Tally;
use super::targets::Selection;
use super::{blob_name, links_between};
use crate::cache::layout::RepoLayout;
use crate::cache::pins::Pins;
use crate::cache::scan::report::{CacheReport, CachedRepo, Incomplete};
use crate::cache::shared::{Listed, SharedBlob, split_listed};
use crate::sys::FsError;
use crate::sys::dir::{path_of, text_of};
use crate::types::CacheId;

/// What will be removed.
#[derive(Debug, Default)]
pub struct DeletePlan {
    /// Root of the cache.
    pub root: PathBuf,
    /// Repositories and revisions, by id.
    pub repos: Vec<RepoDeletion>,
    /// Unfinished downloads.
    pub incomplete: Vec<Incomplete>,
    /// Shared blobs without users.
    pub unused: Vec<SharedBlob>,
    /// Shared blobs without users that stay, since a listing names them where their link is missing, or
    /// may name them.
    pub listed: Vec<Listed>,
    /// Repositories that a process downloads into, or may: they are left alone.
    pub busy: Vec<Spared>,
    /// Unfinished downloads that are left alone, since they may be running.
    pub fresh: Vec<Incomplete>,
    /// Unfinished downloads that stay, since a revision that was interrupted lately needs them.
    pub resumable: Vec<Incomplete>,
    /// Ids of repositories that are pinned: they are left alone too.
    pub pinned: Vec<String>,
    /// Bytes the disk will get back.
    pub freed: u64,
    pub(super) tally: Tally,
}

/// What will be removed of one repository.
#[derive(Debug)]
pub struct RepoDeletion {
    /// Which.
    pub id: CacheId,
    pub(super) folder: Vec<u8>,
    /// How much of it.
    pub extent: Extent,
    /// Names in `blobs/` that nothing will link to any more.
    pub(super) blobs: Vec<Vec<u8>>,
}

/// How much of a repository is removed.
#[derive(Debug)]
pub enum Extent {
    /// Its whole folder, with so many revisions.
    Whole {
        /// How many revisions it has; none when it is damaged.
        revisions: usize,
    },
    /// Some revisions.
    Revisions(Vec<RevisionDeletion>),
    /// Some files: (name of the snapshot's folder, path).
    Files(Vec<(Vec<u8>, Vec<u8>)>),
}

/// A revision to remove.
#[derive(Debug)]
pub struct RevisionDeletion {
    /// Its commit.
    pub commit: String,
    /// Name of its folder.
    pub(super) name: Vec<u8>,
    /// The refs that name it, which go too.
    pub refs: Vec<String>,
    /// Bytes it shows; not all of them need become free.
    pub size: u64,
}

/// How many things a plan removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Whole repositories.
    pub repos: usize,
    /// Revisions, those of whole repositories included.
    pub revisions: usize,
    /// Revisions of repositories that stay.
    pub partial_revisions: usize,
    /// Files.
    pub files: usize,
}

impl DeletePlan {
    /// Plans the removal of a selection, without what is pinned. The report must have been made with
    /// [`crate::cache::scan::Detail::Files`].
    ///
    /// # Errors
    /// [`FsError`] when a folder to be removed cannot be read.
    pub fn build(
        report: &CacheReport,
        selection: &Selection<'_>,
        pins: &Pins,
    ) -> Result<Self, FsError> {
        let mut plan = DeletePlan {
            root: report.root.clone(),
            ..DeletePlan::default()
        };
        for (&index, revisions) in &selection.repos {
            let repo = &report.repos[index];
            let is_whole = revisions.len() == repo.revisions.len();
            if plan.is_free(pins, &repo.folder, &repo.id, is_whole) {
                plan.add_repo(report, repo, revisions)?;
            }
        }
        for problem in &selection.damaged {
            let id = problem.repo().expect("selected by its id");
            if plan.is_free(pins, &problem.folder, &id, true) {
                plan.add_whole(report, problem.folder.clone(), id, 0)?;
            }
        }
        let by_repo: BTreeSet<usize> = selection.files.iter().map(|&(repo, ..)| repo).collect();
        for index in by_repo {
            let repo = &report.repos[index];
            if plan.is_free(pins, &repo.folder, &repo.id, false) {
                plan.add_files(report, index, &selection.files);
            }
        }
        plan.repos.sort_by(|a, b| a.id.cmp(&b.id));
        plan.keep_listed(report);
        plan.freed = plan.tally.freed(report);
        Ok(plan)
    }

    /// Keeps shared blobs whose last links go while a listing of another repository names them.
    fn keep_listed(&mut self, report: &CacheReport) {
        let last = self.tally.shared_blobs_to_go(report);
        let listed = split_listed(&self.root, last, |f, etag| self.removes(f, etag)).listed;
        let kept = listed.iter().map(|listed| listed.shared_blob.hash.clone());
        self.tally.kept = kept.collect();
        self.listed = listed;
    }

    /// Whether the plan removes a blob of a repository.
    fn removes(&self, folder: &[u8], etag: &str) -> bool {
        let mut repos = self.repos.iter().filter(|repo| repo.folder == folder);
        repos.any(|repo| {
            let mut blobs = repo.blobs.iter();
            matches!(repo.extent, Extent::Whole { .. }) || blobs.any(|name| name == etag.as_bytes())
        })
    }

    /// Adds what else `cache prune` removes: unfinished downloads and unused shared blobs. Downloads
    /// that run, or may run, are reported instead, and so are those of revisions that were interrupted lately and
    /// shared blobs that a listing names.
    pub fn add_waste(
        &mut self,
        report: &CacheReport,
        interrupted: &Interrupted,
        unused: Vec<SharedBlob>,
    ) {
        for file in &report.incomplete {
            match in_use::of_incomplete(&self.root, file) {
                Some(Use::Held) => {
                    let id = id_of(report, &file.folder);
                    if self.busy.iter().all(|spared| spared.id != id) {
                        let reason = Use::Held;
                        self.busy.push(Spared { id, reason });
                    }
                }
                Some(_) => self.fresh.push(file.clone()),
                None if interrupted.has_content(file)
                    && !self.removes(&file.folder, &String::from_utf8_lossy(&file.name)) =>
                {
                    self.resumable.push(file.clone());
                }
                None => {
                    self.tally.add_partial(&self.root, &file.path(&self.root));
                    self.incomplete.push(file.clone());
                }
            }
        }
        let split = split_listed(&self.root, unused, |f, etag| self.removes(f, etag));
        let (unused, listed) = split.without_doubt();
        self.unused = unused;
        self.listed.extend(listed);
        self.freed = self.tally.freed(report)
            + self
                .unused
                .iter()
                .map(|shared_blob| shared_blob.size)
                .sum::<u64>();
    }

    /// Whether something is left alone that would go if no process wrote it and nothing needed it.
    pub fn leaves_something(&self) -> bool {
        !(self.busy.is_empty()
            && self.fresh.is_empty()
            && self.resumable.is_empty()
            && self.listed.is_empty())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.repos.is_empty() && self.incomplete.is_empty() && self.unused.is_empty()
    }

    /// How many things will go.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for repo in &self.repos {
            match &repo.extent {
                Extent::Whole { revisions } => {
                    counts.repos += 1;
                    counts.revisions += revisions;
                }
                Extent::Revisions(revisions) => {
                    counts.revisions += revisions.len();
                    counts.partial_revisions += revisions.len();
                }
                Extent::Files(files) => counts.files += files.len(),
            }
        }
        counts
    }

    /// Whether the repository is not pinned and no process downloads into it; otherwise the plan
    /// lists it.
    fn is_free(&mut self, pins: &Pins, folder: &[u8], id: &CacheId, is_whole: bool) -> bool {
        if pins.contains(folder) {
            self.pinned.push(id.to_string());
            return false;
        }
        let reason = in_use::blocks(&self.root, folder, is_whole);
        let is_free = reason.is_none();
        self.busy.extend(reason.map(|reason| Spared {
            id: id.to_string(),
            reason,
        }));
        is_free
    }

    fn add_whole(
        &mut self,
        report: &CacheReport,
        folder: Vec<u8>,
        id: CacheId,
        revisions: usize,
    ) -> Result<(), FsError> {
        let layout = RepoLayout::of_folder(&self.root, &folder);
        self.tally.add_folder(report, layout.folder())?;
        self.repos.push(RepoDeletion {
            id,
            folder,
            extent: Extent::Whole { revisions },
            blobs: Vec::new(),
        });
        Ok(())
    }

    fn add_repo(
        &mut self,
        report: &CacheReport,
        repo: &CachedRepo,
        selected: &BTreeSet<usize>,
    ) -> Result<(), FsError> {
        // A folder stays when another repository links into it.
        let is_needed = || {
            let links = links_between(report);
            links
                .iter()
                .any(|link| link.starts_with(repo.layout.folder()))
        };
        if selected.len() == repo.revisions.len() && !is_needed() {
            let (folder, id) = (repo.folder.clone(), repo.id.clone());
            return self.add_whole(report, folder, id, selected.len());
        }
        for &number in selected {
            let snapshot = repo.revisions[number].path(&repo.layout);
            self.tally.add_folder(report, &snapshot)?;
        }
        let removed = |number: usize, _: usize| selected.contains(&number);
        let blobs = self.loose_blobs(report, repo, removed);
        let revisions = selected.iter().map(|&number| {
            let revision = &repo.revisions[number];
            RevisionDeletion {
                commit: revision.commit.clone(),
                name: revision.name.clone(),
                refs: revision.refs.clone(),
                size: revision.size,
            }
        });
        self.repos.push(RepoDeletion {
            id: repo.id.clone(),
            folder: repo.folder.clone(),
            extent: Extent::Revisions(revisions.collect()),
            blobs,
        });
        Ok(())
    }

    fn add_files(
        &mut self,
        report: &CacheReport,
        index: usize,
        selected: &BTreeSet<(usize, usize, usize)>,
    ) {
        let repo = &report.repos[index];
        let removed = |number, file| selected.contains(&(index, number, file));
        let blobs = self.loose_blobs(report, repo, removed);
        let mut files = Vec::new();
        for &(_, number, file) in selected.iter().filter(|&&(repo, ..)| repo == index) {
            let revision = &repo.revisions[number];
            let name = revision.files[file].path.to_vec();
            let place = revision.path(&repo.layout).join(path_of(&name));
            self.tally.add_file(&self.root, &place);
            files.push((revision.name.clone(), name));
        }
        self.repos.push(RepoDeletion {
            id: repo.id.clone(),
            folder: repo.folder.clone(),
            extent: Extent::Files(files),
            blobs,
        });
    }

    /// The names in `blobs/` that only removed files use, counted in the tally. `removed` is asked
    /// with a revision's and a file's number.
    fn loose_blobs(
        &mut self,
        report: &CacheReport,
        repo: &CachedRepo,
        removed: impl Fn(usize, usize) -> bool,
    ) -> Vec<Vec<u8>> {
        let (mut loose, mut used) = (BTreeSet::new(), HashSet::new());
        for (number, revision) in repo.revisions.iter().enumerate() {
            for (index, file) in revision.files.iter().enumerate() {
                if removed(number, index) {
                    loose.insert(file.blob);
                } else {
                    used.insert(file.blob);
                }
            }
        }
        let linked_from_elsewhere = links_between(report);
        let mut names = Vec::new();
        for index in loose.into_iter().filter(|index| !used.contains(index)) {
            let blob = &repo.blobs[index as usize];
            let Some(name) = blob_name(&blob.place) else {
                continue;
            };
            let place = repo.layout.blob_named(name);
            if !linked_from_elsewhere.contains(&place) {
                self.tally.add_blob(report, &place);
                names.push(name.to_vec());
            }
        }
        names
    }
}

/// What to call a folder: the id of its repository, or its name.
fn id_of(report: &CacheReport, folder: &[u8]) -> String {
    let repo = report.repos.iter().find(|repo| repo.folder == folder);
    repo.map_or_else(|| text_of(folder), |repo| repo.id.to_string())
}
