//! Typed calls to the Hub: the commit of a revision, where a file is (docs/reference.md#requests).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::classify::is_called_web_page;
use super::error::HubError;
use super::http::{Answer, Hub, Request};
use crate::types::host;
use crate::types::listing::Checksum;
use crate::types::{CommitHash, Repo, RepoPath, Revision};

/// Most bytes of the answer about a repository, which may name each of a million files.
const INFO: usize = 128 << 20;

/// What stays as it is in a path segment (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes a whole text, slashes included.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Percent-encodes a path, segment by segment.
pub(super) fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// Where a file is and how to check it, from the headers of its resolve URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHead {
    /// Commit that the revision stands for.
    pub commit: CommitHash,
    /// Proof of the content.
    pub checksum: Checksum,
    /// Size in bytes, when the Hub said it.
    pub size: Option<u64>,
    /// Xet hash of the content, when it is in Xet storage.
    pub xet_hash: Option<String>,
    /// The signed link to the content, when the Hub keeps it elsewhere.
    pub link: Option<Url>,
}

#[derive(Deserialize)]
struct RepoInfo {
    sha: String,
}

impl Hub {
    /// The commit that a revision stands for.
    ///
    /// # Errors
    /// As [`Hub::send`].
    pub async fn commit_of(
        &self,
        repo: &Repo,
        revision: &Revision,
    ) -> Result<CommitHash, HubError> {
        let path = format!(
            "api/{}/{}/revision/{}",
            repo.repo_type.plural(),
            encode_path(repo.id.as_str()),
            encode(revision.as_str())
        );
        let request = Request::new(Method::GET, self.url(&path)).at_most(INFO);
        let (info, _): (RepoInfo, _) = self.send_for_json(&request).await?;
        parse_commit(&info.sha)
    }

    /// URL of a file's content.
    pub fn resolve_url(&self, repo: &Repo, revision: &str, path: &RepoPath) -> Url {
        self.url(&format!(
            "{}{}/resolve/{}/{}",
            repo.repo_type.url_prefix(),
            encode_path(repo.id.as_str()),
            encode(revision),
            encode_path(path.as_str())
        ))
    }

    /// Commit, hash and size of one file, without its content.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] when a needed header is missing.
    pub async fn file_head(
        &self,
        repo: &Repo,
        revision: &Revision,
        path: &RepoPath,
    ) -> Result<FileHead, HubError> {
        let url = self.resolve_url(repo, revision.as_str(), path);
        let request = Request::new(Method::HEAD, url)
            .header("accept-encoding", "identity")
            .of_file()
            .stop_at_foreign_redirect();
        let answer = self.send(&request).await?;
        if is_page_about_a_file(&answer) {
            return Err(HubError::Page {
                host: host(answer.response.url()),
            });
        }
        let mut head = file_head(&answer.hub_headers, answer.response.headers())?;
        head.link = self.foreign_link(&answer.response);
        Ok(head)
    }

    /// Where a redirect that was not followed leads.
    fn foreign_link(&self, response: &reqwest::Response) -> Option<Url> {
        let location = response
            .headers()
            .get("location")
            .map(|value| value.as_bytes());
        let next = super::redirect::next_hop(response.url(), location, self.endpoint());
        next.ok().filter(|next| !next.is_hub).map(|next| next.url)
    }
}

/// Whether the answer to a request for a file is a web page, or a redirect to one, from a server in the
/// Hub's place: the Hub's own answer names the commit.
fn is_page_about_a_file(answer: &Answer) -> bool {
    let names_file = |headers: &HeaderMap| {
        ["x-repo-commit", "x-linked-etag", "x-error-code"]
            .iter()
            .any(|name| headers.contains_key(*name))
    };
    let last = answer.response.headers();
    !names_file(&answer.hub_headers)
        && !names_file(last)
        && (last.contains_key("location") || is_called_web_page(last))
}

/// Reads the headers of a resolve answer. `first` are those of the Hub's own answer, `last` those of
/// the end of a redirect chain within the Hub.
fn file_head(first: &HeaderMap, last: &HeaderMap) -> Result<FileHead, HubError> {
    let header = |name: &str| {
        [first, last]
            .into_iter()
            .find_map(|headers| headers.get(name)?.to_str().ok())
    };
    let missing =
        |what: &str| HubError::BadAnswer(format!("the header {what} is missing or malformed"));
    let commit = header("x-repo-commit").ok_or_else(|| missing("X-Repo-Commit"))?;
    // The other one names something else: not even an unreadable one may be passed over.
    let is_linked = [first, last]
        .iter()
        .any(|headers| headers.contains_key("X-Linked-Etag"));
    let name = if is_linked { "X-Linked-Etag" } else { "ETag" };
    let etag = header(name).ok_or_else(|| missing(name))?;
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    // The length of a redirect's own body says nothing about the file.
    let content_length = || {
        last.get("location")
            .is_none()
            .then(|| last.get("content-length")?.to_str().ok())?
    };
    Ok(FileHead {
        commit: parse_commit(commit)?,
        checksum: Checksum::from_etag(etag).ok_or_else(|| missing(name))?,
        size: header("x-linked-size")
            .or_else(content_length)
            .and_then(|size| size.trim().parse().ok()),
        xet_hash: header("x-xet-hash").map(str::to_owned),
        link: None,
    })
}

fn parse_commit(text: &str) -> Result<CommitHash, HubError> {
    text.parse()
        .map_err(|error: crate::types::InvalidName| HubError::BadAnswer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::is_lower_hex;

    #[test]
    fn paths_are_encoded_as_the_hub_expects() {
        assert_eq!(encode("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(encode_path("a b/é#?.txt"), "a%20b/%C3%A9%23%3F.txt");
    }

    #[test]
    fn heads() {
        let headers = |pairs: &[(&'static str, String)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect()
        };
        let (commit, sha1, sha256) = ("c".repeat(40), "a".repeat(40), "b".repeat(64));
        let small = headers(&[
            ("x-repo-commit", commit.clone()),
            ("etag", format!("W/\"{sha1}\"")),
            ("content-length", "12".to_owned()),
        ]);
        let head = file_head(&small, &small).unwrap();
        assert_eq!(
            (head.checksum, head.size),
            (Checksum::GitSha1([0xaa; 20].into()), Some(12))
        );
        let large = headers(&[
            ("x-repo-commit", commit),
            ("etag", format!("\"{sha1}\"")),
            ("x-linked-etag", format!("\"{sha256}\"")),
            ("x-linked-size", "99".to_owned()),
            ("content-length", "1000".to_owned()),
            ("x-xet-hash", "e".repeat(64)),
            ("location", "https://cdn.test/".to_owned()),
        ]);
        let head = file_head(&large, &large).unwrap();
        assert_eq!(
            (head.checksum, head.size),
            (Checksum::Sha256([0xbb; 32].into()), Some(99))
        );
        assert_eq!(head.xet_hash, Some("e".repeat(64)));
        assert!(file_head(&HeaderMap::new(), &HeaderMap::new()).is_err());
        let mut unreadable = large;
        let value = reqwest::header::HeaderValue::from_bytes(b"\xff").unwrap();
        unreadable.insert("x-linked-etag", value);
        assert!(file_head(&unreadable, &unreadable).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Whatever stands in the headers of a file, what is taken from them is of the form that paths
        /// are made of, or nothing is.
        #[test]
        fn any_head(
            commit in prop_oneof!["[0-9a-f]{40}", "[ -~]{0,50}"],
            etag in prop_oneof!["(W/)?\"?[0-9a-f]{40}([0-9a-f]{24})?\"?", "[ -~]{0,70}"],
            linked in proptest::option::of(prop_oneof!["\"[0-9a-f]{64}\"", "[ -~]{0,70}"]),
            size in prop_oneof!["[0-9]{1,25}", "[ -~]{0,8}"],
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in [("x-repo-commit", Some(&commit)), ("etag", Some(&etag)),
                ("x-linked-etag", linked.as_ref()), ("x-linked-size", Some(&size))]
            {
                if let Some(value) = value.and_then(|value| value.parse().ok()) {
                    map.insert(name, value);
                }
            }
            if let Ok(head) = file_head(&map, &map) {
                let hash = head.checksum.etag().to_string();
                if !head.checksum.is_unknown() {
                    prop_assert!(matches!(hash.len(), 40 | 64) && is_lower_hex(&hash));
                }
                prop_assert_eq!(head.commit.to_string(), commit.trim());
                prop_assert_eq!(head.size, size.trim().parse().ok());
                prop_assert!(linked.is_none_or(|linked| linked.contains(hash.as_str())));
            }
        }
    }
}
