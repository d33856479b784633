//! A branch that is force-pushed during its download, so that the planned commit is gone.

use std::path::PathBuf;

use super::{Planned, Session};
use crate::download::DownloadError;
use crate::download::plan::DownloadPlan;
use crate::hub::HubError;
use crate::types::CommitHash;
use crate::types::progress::Notice;

/// How often one download follows a branch.
const MOVES: usize = 3;

impl Session {
    /// Carries out a plan and returns the path to show (the snapshot folder, the local folder, or the
    /// one file that was asked for) and the commit that is there. When the branch was moved and the
    /// planned commit is gone, the new commit is downloaded.
    ///
    /// # Errors
    /// The first [`DownloadError`]; other files in flight stop, and what they have is kept.
    pub async fn execute(
        &self,
        plan: &DownloadPlan,
    ) -> Result<(PathBuf, CommitHash), DownloadError> {
        let done = self.follow(plan).await;
        // Still there when the work ended before it came to the files.
        self.abandon_early().await;
        done
    }

    async fn follow(&self, plan: &DownloadPlan) -> Result<(PathBuf, CommitHash), DownloadError> {
        let mut next: Option<DownloadPlan> = None;
        for _ in 0..MOVES {
            let plan = next.as_ref().unwrap_or(plan);
            let error = match self.carry_out(plan).await {
                Err(error) if self.may_have_moved(&error) => error,
                done => return Ok((done?, plan.commit.clone())),
            };
            next = Some(self.after_move(plan).await.ok_or(error)?);
        }
        let plan = next.as_ref().unwrap_or(plan);
        Ok((self.carry_out(plan).await?, plan.commit.clone()))
    }

    /// Whether a failure is what happens when the planned commit is gone.
    pub(super) fn may_have_moved(&self, error: &DownloadError) -> bool {
        self.request.revision.as_commit().is_none() && is_about_the_commit(error)
    }

    /// A plan for the commit that the branch points to now, if that is another one.
    async fn after_move(&self, former: &DownloadPlan) -> Option<DownloadPlan> {
        let Ok(Planned::Plan(plan)) = self.plan().await else {
            return None;
        };
        if plan.commit == former.commit {
            return None;
        }
        self.hub.tell(Notice::Warning(format!(
            "{} was moved from {} to {} while it was downloaded; going on with the new commit.",
            self.request.revision, former.commit, plan.commit
        )));
        Some(plan)
    }
}

/// Whether the Hub says that a commit is not there although it was a moment ago.
fn is_about_the_commit(error: &DownloadError) -> bool {
    matches!(
        error,
        DownloadError::Hub {
            source: HubError::RevisionNotFound,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_moved_branch_looks_like() {
        let path = || Some("f".parse().unwrap());
        for (source, path, expected) in [
            (HubError::RevisionNotFound, None, true),
            (HubError::RevisionNotFound, path(), true),
            (HubError::EntryNotFound { commit: None }, path(), false),
            (HubError::EntryNotFound { commit: None }, None, false),
            (HubError::RepoNotFound, path(), false),
            (HubError::LinkExpired, path(), false),
        ] {
            let error = DownloadError::Hub { source, path };
            assert_eq!(is_about_the_commit(&error), expected, "{error:?}");
        }
        assert!(!is_about_the_commit(&DownloadError::NothingMatches));
    }
}
