//! What has to happen to each file. Pure: a listing of wanted files and what the disk has, in; a
//! plan, out.

use std::collections::HashSet;

pub use super::file::{Action, OnDisk, PlannedFile};
use super::files::Files;
use crate::types::CommitHash;
use crate::types::listing::Listing;

/// A whole download, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadPlan {
    /// The commit all files come from.
    pub commit: CommitHash,
    /// The files, sorted by path.
    pub files: Files,
    /// Whether the Hub was asked for their listing just now: it is worth remembering once files arrive.
    pub is_new: bool,
}

impl DownloadPlan {
    /// The listing of the commit, when the Hub was asked for it just now.
    pub fn new_listing(&self) -> Option<&Listing> {
        self.files.listing().filter(|_| self.is_new)
    }

    /// Whether nothing is left to do.
    pub fn is_ready(&self) -> bool {
        self.files.iter().all(|file| file.action == Action::Ready)
    }

    /// Number of files that will be linked from the shared store, and their size in bytes, each
    /// content once.
    pub fn linked(&self) -> (u64, u64) {
        let mut seen = HashSet::new();
        let linked = self.files.iter().filter(|file| file.action == Action::Link);
        linked.fold((0, 0), |(files, bytes): (u64, u64), file| {
            let is_new = seen.insert(file.checksum.clone());
            let size = if is_new { file.size().unwrap_or(0) } else { 0 };
            (files + 1, bytes.saturating_add(size))
        })
    }

    /// Number of files that will be fetched.
    pub fn fetched_files(&self) -> u64 {
        self.files.iter().filter(|file| file.is_fetched()).count() as u64
    }

    /// Size of the files to be fetched, and how much of that is there already, both in bytes.
    /// A content that several files share counts for each; see [`DownloadPlan::distinct_bytes`].
    pub fn fetched_bytes(&self) -> (u64, u64) {
        self.files
            .iter()
            .fold((0, 0), |(total, done), file| match file.action {
                Action::Fetch { from } => (
                    total.saturating_add(file.size().unwrap_or(0)),
                    done.saturating_add(from),
                ),
                _ => (total, done),
            })
    }

    /// Size in bytes of the files whose content is on disk already.
    pub fn present_bytes(&self) -> u64 {
        let present = self.files.iter().filter(|file| !file.is_fetched());
        present.fold(0, |sum: u64, file| {
            sum.saturating_add(file.size().unwrap_or(0))
        })
    }

    /// Bytes that have to find room on the disk: what is fetched and not there yet, each content
    /// once.
    pub fn distinct_bytes(&self) -> u64 {
        let mut seen = HashSet::new();
        self.files
            .iter()
            .filter(|file| seen.insert(file.checksum.clone()))
            .fold(0, |sum: u64, file| match file.action {
                Action::Fetch { from } => {
                    sum.saturating_add(file.size().unwrap_or(0).saturating_sub(from))
                }
                _ => sum,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::whole::Length;
    use crate::types::listing::Checksum;

    #[test]
    fn room_is_needed_for_the_rest_alone_and_once_for_each_content() {
        let file = |path: &str, digit: &str, action: Action| {
            let checksum = Checksum::from_etag(&digit.repeat(40)).unwrap();
            let planned = PlannedFile::new(
                path.parse().unwrap(),
                checksum,
                Length::Sure(100),
                OnDisk::default(),
                false,
            );
            PlannedFile { action, ..planned }
        };
        for (files, distinct, fetched) in [
            (
                vec![file("a", "1", Action::Fetch { from: 0 })],
                100,
                (100, 0),
            ),
            (
                vec![file("a", "1", Action::Fetch { from: 70 })],
                30,
                (100, 70),
            ),
            (
                vec![file("a", "1", Action::Fetch { from: 100 })],
                0,
                (100, 100),
            ),
            (
                vec![
                    file("a", "1", Action::Fetch { from: 60 }),
                    file("b", "1", Action::Fetch { from: 60 }),
                    file("c", "2", Action::Fetch { from: 0 }),
                    file("d", "3", Action::Reuse),
                ],
                140,
                (300, 120),
            ),
        ] {
            let plan = DownloadPlan {
                commit: "c".repeat(40).parse().unwrap(),
                files: files.into(),
                is_new: false,
            };
            assert_eq!(plan.distinct_bytes(), distinct, "{:?}", plan.files);
            assert_eq!(plan.fetched_bytes(), fetched, "{:?}", plan.files);
        }
    }
}
