//! What a download would copy from files on disk. For a dry run: nothing is written, and no content is read.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Session;
use crate::download::earlier::Others;
use crate::download::plan::{Action, DownloadPlan, PlannedFile};
use crate::types::RepoPath;

/// Files of a plan that are looked at, the largest ones. Each takes a request for its own plan, and few for
/// those of others on disk.
const FILES: usize = 16;

/// Bytes of files that would be copied from others on disk, as far as the plans of the storage tell.
#[derive(Debug, Default)]
pub struct Savings(HashMap<RepoPath, u64>);

impl Savings {
    /// Bytes of one file.
    pub fn of(&self, path: &RepoPath) -> u64 {
        self.0.get(path).copied().unwrap_or(0)
    }

    /// Bytes of all files.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl Session {
    /// What a plan would copy. The storage is asked only where a file has an earlier revision, or another one
    /// that may be related, on disk. A failure only means that less is known.
    pub async fn savings(&self, plan: &DownloadPlan) -> Savings {
        let mut savings = Savings::default();
        if self.request.force {
            return savings;
        }
        let is_large = |file: &PlannedFile| file.is_fetched() && Others::may_have(file);
        let mut files: Vec<PlannedFile> = Vec::new();
        for file in plan.files.iter().filter(is_large) {
            files.push(file);
            // A plan may have a million of them.
            if files.len() > 16 * FILES {
                files.sort_by_key(|file| Reverse(file.size()));
                files.truncate(FILES);
            }
        }
        files.sort_by_key(|file| Reverse(file.size()));
        files.truncate(FILES);
        let (others, repo) = (self.others_of(&plan.commit), &self.request.repo);
        let mut related = Vec::new();
        for file in files {
            let found = others.candidates(&self.hub, repo, &file).await;
            related.push((file, found.unwrap_or_default()));
        }
        if related.iter().all(|(_, candidates)| candidates.is_empty()) {
            return savings;
        }
        let Some(xet) = self.xet_for(plan, usize::MAX) else {
            return savings;
        };
        for (file, candidates) in related {
            let (Some(hash), Some(size), Action::Fetch { from }) =
                (&file.xet_hash, file.size(), file.action)
            else {
                continue;
            };
            let saved = xet.saving(&hash.text(), size, &candidates).await;
            savings
                .0
                .insert(file.path, saved.min(size.saturating_sub(from)));
        }
        savings
    }
}
