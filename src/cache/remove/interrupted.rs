//! Revisions without a ref because their download was interrupted: the ref is written last of all.
//!
//! A revision that no ref names is detached, for the Python clients as for us, and `cache prune` removes it. But
//! the files that an interrupted download has finished are not garbage: the next run needs them. An unfinished
//! download of ours, of a content that the revision lists and does not have, tells the two apart. It counts
//! for [`lockfile::YOUNG`] after its last write. Another program leaves no such file, so what only another program
//! has downloaded is judged as that program does.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::SystemTime;

use super::targets::{Selection, detached};
use super::unfinished::content;
use crate::cache::layout::PartialName;
use crate::cache::scan::report::{CacheReport, CachedRepo, CachedRevision, Incomplete};
use crate::cache::trees;
use crate::sys::lockfile;

/// The revisions whose download was interrupted lately, and what is unfinished of them.
#[derive(Debug, Default)]
pub struct Interrupted {
    /// Number of the repository → numbers of its revisions.
    revisions: BTreeMap<usize, BTreeSet<usize>>,
    /// Folder of the repository and etag of each unfinished content.
    contents: HashSet<(Vec<u8>, Vec<u8>)>,
}

impl Interrupted {
    /// Finds them. Reads the listings of revisions without a ref, where a repository has an unfinished download.
    pub fn find(report: &CacheReport) -> Self {
        let mut found = Interrupted::default();
        for (index, revisions) in detached(report).repos {
            let repo = &report.repos[index];
            let young = young_contents(report, repo);
            if young.is_empty() {
                continue;
            }
            for number in revisions {
                let lacking = lacking(repo, &repo.revisions[number], &young);
                if !lacking.is_empty() {
                    found.revisions.entry(index).or_default().insert(number);
                    let folder = || repo.folder.clone();
                    let contents = lacking.into_iter().map(|etag| (folder(), etag.to_vec()));
                    found.contents.extend(contents);
                }
            }
        }
        found
    }

    /// Whether the download of a revision, named by the numbers of its repository and its own, was interrupted.
    pub fn has(&self, repo: usize, revision: usize) -> bool {
        let revisions = self.revisions.get(&repo);
        revisions.is_some_and(|revisions| revisions.contains(&revision))
    }

    /// Whether an unfinished download belongs to such a revision.
    pub fn has_content(&self, file: &Incomplete) -> bool {
        let key = (file.folder.clone(), content(file).to_vec());
        self.contents.contains(&key)
    }

    /// Takes these revisions out of a selection.
    pub(super) fn leave_out_of(&self, selection: &mut Selection<'_>) {
        for (index, revisions) in &self.revisions {
            if let Some(selected) = selection.repos.get_mut(index) {
                selected.retain(|number| !revisions.contains(number));
                if selected.is_empty() {
                    selection.repos.remove(index);
                }
            }
        }
    }

    /// Those that a selection leaves.
    pub fn left_by<'a>(
        &'a self,
        report: &'a CacheReport,
        selection: &'a Selection<'_>,
    ) -> impl Iterator<Item = (&'a CachedRepo, &'a CachedRevision)> {
        let all = self.revisions.iter();
        let all = all.flat_map(|(&index, numbers)| numbers.iter().map(move |&n| (index, n)));
        let left = all.filter(|(index, number)| {
            let selected = selection.repos.get(index);
            !selected.is_some_and(|selected| selected.contains(number))
        });
        left.map(|(index, number)| {
            let repo = &report.repos[index];
            (repo, &repo.revisions[number])
        })
    }
}

/// Etags of the unfinished downloads of ours in a repository that were written lately.
fn young_contents<'a>(report: &'a CacheReport, repo: &CachedRepo) -> BTreeSet<&'a [u8]> {
    let now = SystemTime::now();
    let files = report.incomplete.iter().filter(|file| {
        let meta = || file.path(&report.root).symlink_metadata();
        file.folder == repo.folder
            && PartialName::is_ours(&file.name)
            && meta().is_ok_and(|meta| lockfile::is_young(&meta, now))
    });
    files.map(content).collect()
}

/// Which of these contents a revision lists and does not have; all, where its listing cannot be read.
fn lacking<'a>(
    repo: &CachedRepo,
    revision: &CachedRevision,
    etags: &BTreeSet<&'a [u8]>,
) -> Vec<&'a [u8]> {
    let is_absent = |etag: &&[u8]| repo.layout.blob_named(etag).symlink_metadata().is_err();
    let mut absent: Vec<&[u8]> = etags.iter().copied().filter(is_absent).collect();
    if let Some(listing) = trees::read(&repo.layout.tree_named(&revision.name)) {
        let listed: HashSet<String> = (&listing)
            .into_iter()
            .map(|(_, entry)| entry.checksum().etag().to_string())
            .collect();
        absent.retain(|etag| std::str::from_utf8(etag).is_ok_and(|etag| listed.contains(etag)));
    }
    absent
}
