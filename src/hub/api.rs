//! Typed calls to the Hub: repository info, tree, file location (docs/reference.md#requests).

use std::collections::HashSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::classify::is_called_web_page;
use super::error::HubError;
use super::http::{Answer, Hub, Request};
use super::redirect::{is_hub, on_mirror};
use crate::types::host;
use crate::types::listing::{Checksum, FileEntry, Lfs, Listing, file_and_folder};
use crate::types::{CommitHash, Repo, RepoPath, Revision, is_lower_hex, shortened};

/// Most bytes of what is told about a repository, which may name each of a million files.
const INFO: usize = 128 << 20;

/// Most rows of a listing, over all its pages: ten times what the largest repositories have.
const MOST_ROWS: usize = 10_000_000;

/// Most pages of a listing: twice as many as those rows need, a thousand on a page.
const MOST_PAGES: usize = 20_000;

/// Pages in a row that may tell nothing new.
const IDLE_PAGES: usize = 3;

/// What stays as it is in a path segment (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes a whole text, slashes included.
fn encode(text: &str) -> String {
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
    /// Name of the content in Xet storage, when it is there.
    pub xet_hash: Option<String>,
    /// The signed link to the content, when the Hub keeps it elsewhere.
    pub link: Option<Url>,
}

#[derive(Deserialize)]
struct RepoInfo {
    sha: String,
}

#[derive(Deserialize)]
struct TreeRow {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    size: Option<u64>,
    #[serde(default)]
    oid: String,
    lfs: Option<TreeLfs>,
    #[serde(rename = "xetHash")]
    xet_hash: Option<String>,
}

#[derive(Deserialize)]
struct TreeLfs {
    oid: String,
    size: u64,
}

/// Keeps watch over the pages of a listing: a server may go on for ever.
#[derive(Debug, Default)]
struct Pages {
    pages: usize,
    rows: usize,
    /// The last row of the page before, and of how many pages in a row it was.
    last: Option<String>,
    idle: usize,
}

impl Pages {
    /// Counts a page of this many rows, of which this is the last.
    fn add(&mut self, rows: usize, last: Option<String>) -> Result<(), HubError> {
        self.pages += 1;
        self.rows += rows;
        // Pages are sorted, so one that goes on ends with another row.
        self.idle = match last.is_none() || last == self.last {
            true => self.idle + 1,
            false => 0,
        };
        self.last = last.or(self.last.take());
        let reason = if self.idle >= IDLE_PAGES {
            "the file listing goes on for ever without telling anything"
        } else if self.rows > MOST_ROWS || self.pages > MOST_PAGES {
            "the file listing is longer than that of any repository"
        } else {
            return Ok(());
        };
        Err(HubError::BadAnswer(reason.to_owned()))
    }
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

    /// All files of a revision, through all pages. `on_page` is told how many files are known so far.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] naming the first file whose hash cannot be accepted:
    /// then nothing of the listing is. A name that cannot be stored is kept apart
    /// ([`Listing::refused`]).
    pub async fn tree(
        &self,
        repo: &Repo,
        revision: &Revision,
        mut on_page: impl FnMut(usize),
    ) -> Result<Listing, HubError> {
        let path = format!(
            "api/{}/{}/tree/{}?recursive=true&expand=false",
            repo.repo_type.plural(),
            encode_path(repo.id.as_str()),
            encode(revision.as_str()),
        );
        let mut next = Some(self.url(&path));
        let mut listing = Listing::new();
        let mut visited = HashSet::new();
        let mut pages = Pages::default();
        while let Some(url) = next {
            let request = Request::new(Method::GET, url.clone());
            let (rows, headers): (Vec<TreeRow>, _) = self.send_for_rows(&request).await?;
            let fresh = rows.last().map(|row| row.path.clone());
            pages.add(rows.len(), fresh)?;
            for row in rows {
                if row.kind == "file" {
                    let (name, entry) = file_of(row)?;
                    let before = listing.add(name.clone(), entry.clone());
                    // Pages may overlap when a repository is busy; a file has one content, though.
                    if before.is_some_and(|before| before != entry) {
                        return Err(HubError::BadAnswer(format!(
                            "it lists the file {:?} twice, with different contents",
                            shortened(&name)
                        )));
                    }
                }
            }
            on_page(listing.len());
            next = self.next_page(&url, &headers)?;
            visited.insert(url);
            if next.as_ref().is_some_and(|next| visited.contains(next)) {
                return Err(HubError::BadAnswer(
                    "the file listing repeats itself".to_owned(),
                ));
            }
        }
        if let Some((file, below)) = file_and_folder(&listing) {
            return Err(HubError::BadAnswer(format!(
                "it lists {:?} as a file and as the folder of {:?}",
                shortened(file.as_str()),
                shortened(below.as_str())
            )));
        }
        Ok(listing)
    }

    /// `Link: <url>; rel="next"`. A page on another host is refused: the token would follow it.
    fn next_page(&self, url: &Url, headers: &HeaderMap) -> Result<Option<Url>, HubError> {
        let link = headers
            .get_all("link")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(next_link);
        let Some(link) = link else { return Ok(None) };
        let next = url.join(link).ok();
        let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
        let next = next.ok_or_else(|| {
            HubError::BadAnswer("the link to the next page is not a web address".to_owned())
        })?;
        let next = on_mirror(&next, self.endpoint()).unwrap_or(next);
        if is_hub(&next, self.endpoint()) {
            Ok(Some(next))
        } else {
            Err(HubError::BadAnswer(format!(
                "the next page lies on another host, {}",
                host(&next)
            )))
        }
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

/// Whether somebody in the Hub's place showed a page, or the way to one, to who asked for a file: the
/// Hub says which commit it is of.
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

fn file_of(row: TreeRow) -> Result<(String, FileEntry), HubError> {
    let is_hash = |text: &str, digits| text.len() == digits && is_lower_hex(text);
    if !is_hash(&row.oid, 40) || row.lfs.as_ref().is_some_and(|lfs| !is_hash(&lfs.oid, 64)) {
        return Err(HubError::BadAnswer(format!(
            "it gives no usable hash for the file {:?}",
            shortened(&row.path)
        )));
    }
    let size = row.size.or(row.lfs.as_ref().map(|lfs| lfs.size));
    let size = size.ok_or_else(|| {
        HubError::BadAnswer(format!(
            "it gives no size for the file {:?}",
            shortened(&row.path)
        ))
    })?;
    let entry = FileEntry {
        size,
        blob_id: row.oid,
        lfs: row.lfs.map(|lfs| Lfs {
            sha256: lfs.oid,
            size: lfs.size,
        }),
        xet_hash: row.xet_hash,
    };
    Ok((row.path, entry))
}

fn next_link(header: &str) -> Option<&str> {
    // The address may hold commas and semicolons, so its brackets come first (RFC 8288, 3).
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (target, after) = rest[start + 1..].split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let mut parameters = after[..end].split([';', ',']).map(str::trim);
        if parameters.any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next")) {
            return Some(target);
        }
        rest = &after[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listing_has_an_end() {
        let row = |number: usize| Some(format!("{number:08}"));
        let mut honest = Pages::default();
        for page in 0..2000 {
            assert!(honest.add(1000, row(page)).is_ok(), "{page}");
        }
        // A page or two of nothing but what is known already, when the repository is busy.
        for last in [row(1999), None, row(2000), row(2000), None, row(2001)] {
            assert!(honest.add(10, last).is_ok());
        }
        let endless = |last: &dyn Fn(usize) -> Option<String>, rows| {
            let mut pages = Pages::default();
            (0..30_000).find(|&page| pages.add(rows, last(page)).is_err())
        };
        assert_eq!(endless(&|_| None, 0), Some(2));
        assert_eq!(endless(&|_| row(7), 1000), Some(3));
        assert_eq!(endless(&row, 1000), Some(10_000));
        assert_eq!(endless(&row, 1), Some(20_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Whatever stands in a `Link` header, what is taken from it is a part of it.
        #[test]
        fn any_link(header in prop_oneof!["[ -~]{0,80}", "(<[ -~]{0,20}>?[;, ]*(rel=\"?(next|prev)\"?)?[;, ]*){0,4}", ".{0,40}"]) {
            if let Some(link) = next_link(&header) {
                let bracketed = format!("<{}>", link);
                prop_assert!(header.contains(&bracketed));
                prop_assert!(header.contains("rel=next") || header.contains("rel=\"next\""));
            }
        }
    }

    #[test]
    fn paths_are_encoded_as_the_hub_expects() {
        assert_eq!(encode("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(encode_path("a b/é#?.txt"), "a%20b/%C3%A9%23%3F.txt");
    }

    #[test]
    fn links() {
        for (header, expected) in [
            (
                "<https://h/x?cursor=a>; rel=\"next\"",
                Some("https://h/x?cursor=a"),
            ),
            ("<a>; rel=\"prev\", <b>; rel=\"next\"", Some("b")),
            ("<a>; rel=\"prev\"", None),
            ("<a?x=1,2;3>; rel=\"next\"", Some("a?x=1,2;3")),
            ("nonsense", None),
        ] {
            assert_eq!(next_link(header), expected, "{header}");
        }
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
            (Checksum::GitSha1(sha1.clone()), Some(12))
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
            (Checksum::Sha256(sha256), Some(99))
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
                let hash = match &head.checksum {
                    Checksum::GitSha1(hash) | Checksum::Sha256(hash) => {
                        prop_assert!(matches!(hash.len(), 40 | 64) && is_lower_hex(hash));
                        hash
                    }
                    Checksum::Unknown(etag) => etag,
                };
                prop_assert_eq!(head.commit.to_string(), commit.trim());
                prop_assert_eq!(head.size, size.trim().parse().ok());
                prop_assert!(linked.is_none_or(|linked| linked.contains(hash.as_str())));
            }
        }
    }
}
