//! The files of a revision, page by page (docs/reference.md#requests).

use std::collections::HashSet;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::api::{encode, encode_path};
use super::error::HubError;
use super::http::{Hub, Request};
use super::redirect::{is_hub, on_mirror};
use crate::types::digest::{Digest, XetHash};
use crate::types::host;
use crate::types::listing::{FileEntry, Lfs, Listing, ListingBuilder, file_and_folder};
use crate::types::{Repo, Revision, shortened};

/// Most rows of a listing, over all its pages: ten times what the largest repositories have.
const MOST_ROWS: usize = 10_000_000;

/// Most pages of a listing: twice as many as those rows need, a thousand on a page.
const MOST_PAGES: usize = 20_000;

/// Pages in a row that may bring no new file.
const IDLE_PAGES: usize = 3;

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

/// One page of a listing.
#[derive(Debug)]
pub struct Page<'a> {
    /// Its files, under the names that the server gives them.
    pub files: &'a [(String, FileEntry)],
    /// How many files that can be stored are known so far.
    pub known: usize,
    /// Whether no other page follows.
    pub is_last: bool,
}

/// Limits the pages of a listing: a server may send pages without end.
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
        // Pages are sorted, so one that continues ends with another row.
        self.idle = match last.is_none() || last == self.last {
            true => self.idle + 1,
            false => 0,
        };
        self.last = last.or(self.last.take());
        let reason = if self.idle >= IDLE_PAGES {
            "the file listing has no end: page after page lists nothing new"
        } else if self.rows > MOST_ROWS || self.pages > MOST_PAGES {
            "the file listing is longer than that of any repository"
        } else {
            return Ok(());
        };
        Err(HubError::BadAnswer(reason.to_owned()))
    }
}

impl Hub {
    /// All files of a revision, through all pages. `on_page` gets each page as it comes, when no more
    /// than the page itself has been checked.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] naming the first file whose hash cannot be accepted:
    /// then nothing of the listing is. A name that cannot be stored is kept apart
    /// ([`Listing::refused`]).
    pub async fn tree(
        &self,
        repo: &Repo,
        revision: &Revision,
        mut on_page: impl FnMut(Page<'_>),
    ) -> Result<Listing, HubError> {
        let path = format!(
            "api/{}/{}/tree/{}?recursive=true&expand=false",
            repo.repo_type.plural(),
            encode_path(repo.id.as_str()),
            encode(revision.as_str()),
        );
        let mut next = Some(self.url(&path));
        let mut listing = ListingBuilder::new();
        let mut visited = HashSet::new();
        let mut pages = Pages::default();
        while let Some(url) = next {
            let request = Request::new(Method::GET, url.clone());
            let (rows, headers): (Vec<TreeRow>, _) = self.send_for_rows(&request).await?;
            let fresh = rows.last().map(|row| row.path.clone());
            pages.add(rows.len(), fresh)?;
            let files = rows.into_iter().filter(|row| row.kind == "file");
            let files = files.map(file_of).collect::<Result<Vec<_>, _>>()?;
            for (name, entry) in &files {
                let before = listing.add(name, entry.clone());
                // Pages may overlap when a repository is busy; a file has one content, though.
                if before.is_some_and(|before| before != *entry) {
                    return Err(HubError::BadAnswer(format!(
                        "it lists the file {:?} twice, with different contents",
                        shortened(name)
                    )));
                }
            }
            next = self.next_page(&url, &headers)?;
            on_page(Page {
                files: &files,
                known: listing.len(),
                is_last: next.is_none(),
            });
            visited.insert(url);
            if next.as_ref().is_some_and(|next| visited.contains(next)) {
                return Err(HubError::BadAnswer(
                    "the file listing repeats itself".to_owned(),
                ));
            }
        }
        let listing = listing.finish();
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
}

fn file_of(row: TreeRow) -> Result<(String, FileEntry), HubError> {
    let no_hash = || {
        HubError::BadAnswer(format!(
            "it gives no usable hash for the file {:?}",
            shortened(&row.path)
        ))
    };
    let blob_id = Digest::from_hex(&row.oid).ok_or_else(no_hash)?;
    let lfs = match &row.lfs {
        Some(lfs) => Some(Lfs {
            sha256: Digest::from_hex(&lfs.oid).ok_or_else(no_hash)?,
            size: lfs.size,
        }),
        None => None,
    };
    let size = row.size.or(lfs.as_ref().map(|lfs| lfs.size));
    let size = size.ok_or_else(|| {
        HubError::BadAnswer(format!(
            "it gives no size for the file {:?}",
            shortened(&row.path)
        ))
    })?;
    let entry = FileEntry {
        size,
        blob_id,
        lfs,
        xet_hash: row.xet_hash.map(XetHash::from),
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
}
