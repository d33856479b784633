//! Questions whose answers only help to word a message: what there is instead of what was asked for. Each is
//! one request, sent once.

use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::api::{encode, encode_path};
use super::error::HubError;
use super::http::{Hub, Request};
use crate::types::{Repo, RepoType, Revision};

#[derive(Deserialize)]
struct Refs {
    #[serde(default)]
    branches: Vec<Ref>,
    #[serde(default)]
    tags: Vec<Ref>,
}

#[derive(Deserialize)]
struct Ref {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

impl Hub {
    /// Whether there is a repository that this client may see.
    ///
    /// # Errors
    /// As [`Hub::send`], save that the repository is not there.
    pub async fn has_repo(&self, repo: &Repo) -> Result<bool, HubError> {
        let path = format!("api/{}", route(repo, &Revision::main(), "revision"));
        let request = Request::new(Method::HEAD, self.url(&path)).once();
        match self.send(&request).await {
            Ok(_) | Err(HubError::RevisionNotFound | HubError::Gated { .. }) => Ok(true),
            Err(HubError::RepoNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Names of branches and tags, in the order of the Hub.
    ///
    /// # Errors
    /// As [`Hub::send`].
    pub async fn ref_names(&self, repo: &Repo) -> Result<Vec<String>, HubError> {
        let (plural, id) = (repo.repo_type.plural(), encode_path(repo.id.as_str()));
        let request =
            Request::new(Method::GET, self.url(&format!("api/{plural}/{id}/refs"))).once();
        let (refs, _): (Refs, _) = self.send_for_json(&request).await?;
        let all = refs.branches.into_iter().chain(refs.tags);
        Ok(all.map(|one| one.name).collect())
    }

    /// Paths of files, of the first page of the listing: about a thousand.
    ///
    /// # Errors
    /// As [`Hub::send`].
    pub async fn some_files(
        &self,
        repo: &Repo,
        revision: &Revision,
    ) -> Result<Vec<String>, HubError> {
        let path = route(repo, revision, "tree");
        let url = self.url(&format!("api/{path}?recursive=true&expand=false"));
        let request = Request::new(Method::GET, url).once();
        let (rows, _): (Vec<Row>, _) = self.send_for_json(&request).await?;
        let files = rows.into_iter().filter(|row| row.kind == "file");
        Ok(files.map(|row| row.path).collect())
    }
}

/// `models/org/name/tree/main`.
fn route(repo: &Repo, revision: &Revision, verb: &str) -> String {
    format!(
        "{}/{}/{verb}/{}",
        repo.repo_type.plural(),
        encode_path(repo.id.as_str()),
        encode(revision.as_str())
    )
}

/// The old and the new name when a redirect within the Hub leads from one repository to the same page of
/// another one: that is how the Hub answers for a renamed repository. Names as in [`Repo::web_path`].
pub(super) fn renamed(from: &Url, to: &Url) -> Option<(String, String)> {
    let (from, to) = (split(from.path())?, split(to.path())?);
    (from.1 == to.1 && from.0 != to.0).then_some((from.0, to.0))
}

/// The repository of a path and what follows its name.
fn split(path: &str) -> Option<(String, &str)> {
    let verbs = ["/revision/", "/tree/", "/resolve/"];
    let at = verbs.iter().filter_map(|verb| path.find(verb)).min()?;
    let (repo, rest) = path.split_at(at);
    let parts: Vec<&str> = repo.split('/').filter(|part| !part.is_empty()).collect();
    // An endpoint can have a path of its own in front, and a name one part or two.
    let api = parts.iter().position(|part| *part == "api");
    let (kind, id) = match api.map(|at| &parts[at + 1..]) {
        Some([kind, id @ ..]) => (RepoType::from_plural(kind)?, id),
        Some([]) => return None,
        None => match parts
            .iter()
            .rposition(|part| RepoType::from_plural(part).is_some())
        {
            Some(at) => (RepoType::from_plural(parts[at])?, &parts[at + 1..]),
            None => (RepoType::Model, &parts[..]),
        },
    };
    let id = id.join("/").parse().ok()?;
    let repo_type = kind;
    Some((Repo { repo_type, id }.web_path(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames() {
        for (from, to, expected) in [
            (
                "/api/models/gpt2/revision/main",
                "/api/models/o/gpt2/revision/main",
                Some(("gpt2", "o/gpt2")),
            ),
            (
                "/api/datasets/a/b/tree/main",
                "/api/datasets/a/c/tree/main",
                Some(("datasets/a/b", "datasets/a/c")),
            ),
            (
                "/a/b/resolve/main/tree/x",
                "/c/b/resolve/main/tree/x",
                Some(("a/b", "c/b")),
            ),
            (
                "/spaces/a/b/resolve/main/f",
                "/spaces/c/b/resolve/main/f",
                Some(("spaces/a/b", "spaces/c/b")),
            ),
            (
                "/hub/api/models/a/b/tree/main",
                "/hub/api/models/c/b/tree/main",
                Some(("a/b", "c/b")),
            ),
            ("/a/b/resolve/main/f", "/a/b/resolve/main/g", None),
            (
                "/a/b/resolve/main/f",
                "/api/resolve-cache/models/a/b/c0ffee/f",
                None,
            ),
            ("/a/b/resolve/main/f", "/login", None),
            ("/a/b/resolve/main/f", "/a/b/resolve/main/f", None),
        ] {
            let url = |path| Url::parse(&format!("https://huggingface.co{path}")).unwrap();
            let found = renamed(&url(from), &url(to));
            let found = found
                .as_ref()
                .map(|(old, new)| (old.as_str(), new.as_str()));
            assert_eq!(found, expected, "{from} {to}");
        }
    }
}
