//! What there is in place of what was not found: other kinds of repositories, near names. Asks the Hub, with
//! few requests and for a short time; without an answer nothing is said.

use std::sync::Arc;
use std::time::Duration;

use super::near::{did_you_mean, is_a_folder};
use super::repo::DownloadContext;
use crate::console::text::escape;
use crate::console::{Mode, ProgressStyle};
use crate::hub::{Hub, HubError};
use crate::types::progress::{Event, Notice, Progress};
use crate::types::{Repo, RepoType};

/// Longest time that a user waits for a hint.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most branches and tags that are listed.
const FEW: usize = 5;

impl DownloadContext<'_> {
    /// Where a repository that was not found could be: `hf download` with the name of another kind.
    pub(super) fn other_kind(&self) -> Option<String> {
        let found = self.ask(async |hub| {
            for repo in other_repos(self.repo) {
                if hub.has_repo(&repo).await? {
                    return Ok(Some(repo));
                }
            }
            Ok(None)
        });
        let repo = found.flatten()?;
        let (kind, name) = (repo.repo_type, full_name(&repo));
        Some(format!(
            "there is a {kind} of that name: `hf download {name}`"
        ))
    }

    /// The folder that a name means, or files with nearly the name of one that was not found.
    pub(super) fn near_files(&self, wanted: &str) -> Option<String> {
        let files = self.ask(async |hub| hub.some_files(self.repo, self.revision).await)?;
        is_a_folder(wanted, &files).or_else(|| did_you_mean(wanted, &files))
    }

    /// Branches and tags with nearly the name of one that was not found, or all when they are few.
    pub(super) fn near_revisions(&self) -> Option<String> {
        let names = self.ask(async |hub| hub.ref_names(self.repo).await)?;
        if let Some(hint) = did_you_mean(self.revision.as_str(), &names) {
            return Some(hint);
        }
        let is_short = (1..=FEW).contains(&names.len());
        let listed = escape(&names.join(", "));
        is_short.then(|| format!("its branches and tags are {listed}"))
    }

    /// Asks with the token of the failed request, at most for [`PATIENCE`]. `None` when there is no
    /// answer, and without a question where a hint would not be shown.
    fn ask<T>(&self, question: impl AsyncFnOnce(&Hub) -> Result<T, HubError>) -> Option<T> {
        let console = &self.context.console;
        if console.mode() == Mode::Quiet || self.context.settings.offline {
            return None;
        }
        let hub = self.context.hub().ok()?;
        let secret = self.token.map(|resolved| resolved.token.clone());
        let hub = hub.with_token(secret).with_observer(self.only_traces());
        let answer = async {
            match tokio::time::timeout(PATIENCE, question(&hub)).await {
                Ok(answer) => answer.map(Some),
                Err(_) => Ok(None),
            }
        };
        self.context.block_on::<_, HubError>(answer).ok()?
    }

    /// Shows requests with `HF_DEBUG`, and no warning or retry: the user did not ask for these requests.
    fn only_traces(&self) -> Arc<dyn Progress> {
        let shown = self.context.observer(ProgressStyle::None);
        Arc::new(move |event: Event| {
            if let Event::Notice(Notice::Trace(_)) = event {
                shown.event(event);
            }
        })
    }
}

/// What a name could mean besides what was asked for: first `dataset/squad` as a kind and a name, then
/// the same id as another kind, the most frequent kinds first.
fn other_repos(asked: &Repo) -> Vec<Repo> {
    let mut repos = Vec::new();
    if let Some((first, rest)) = asked.id.as_str().split_once('/') {
        let mut kinds = RepoType::ALL.into_iter();
        let kind = kinds.find(|kind| kind.as_str() == first);
        if let (Some(repo_type), Ok(id)) = (kind, rest.parse()) {
            repos.push(Repo { repo_type, id });
        }
    }
    let kinds = RepoType::ALL
        .into_iter()
        .filter(|kind| *kind != asked.repo_type);
    let same_id = |repo_type| Repo {
        repo_type,
        id: asked.id.clone(),
    };
    repos.extend(kinds.map(same_id));
    repos
}

/// A name with its kind: `datasets/org/name`.
fn full_name(repo: &Repo) -> String {
    format!("{}/{}", repo.repo_type.plural(), repo.id)
}
