//! Which links of a repository's snapshots can be made again from blobs and listings. Pure.
//!
//! Links get lost when a cache is copied without them, and break when a cache with absolute links is
//! moved. The content is still there then, and no request is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cache::layout::BLOBS;
use crate::types::RepoPath;
use crate::types::listing::{Checksum, Listing};

/// What is at a place in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A file, or a link to a file of this cache.
    Fine,
    /// A link without its target.
    Broken(PathBuf),
    /// A link that leads to a file outside of this cache.
    Outside(PathBuf),
}

/// Whether a blob is in the repository, with the size it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// It is, and a snapshot links to it.
    Linked,
    /// It is, and no snapshot links to it.
    Unlinked,
    /// It is not, or has not the right size.
    Absent,
}

/// What is known of a repository: paths are `<commit>/<path in the repository>`.
#[derive(Debug, Default)]
pub struct Known {
    /// Everything below `snapshots/` that is no folder.
    pub places: BTreeMap<PathBuf, At>,
    /// Listings, by commit.
    pub listings: Vec<(String, Listing)>,
}

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Where: `<commit>/<path in the repository>`.
    pub place: PathBuf,
    /// Name of the blob.
    pub etag: String,
    /// What is there now.
    pub was: Option<At>,
}

/// A content that is wanted and not in the repository's `blobs/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Name of the blob.
    pub etag: String,
    /// Hash by which the shared store names it, where a listing says it.
    pub xet_hash: Option<String>,
    /// A link needs it. Otherwise only a listing names it: it may never have been downloaded.
    pub is_linked: bool,
}

/// The blob that a link means by its text: the last part of `…/blobs/<name>`, or of any path when it is
/// a hash.
pub fn blob_named(target: &Path) -> Option<&str> {
    let name = target.file_name()?.to_str()?;
    let is_in_blobs = || Some(target.parent()?.file_name()? == BLOBS);
    let is_hash = matches!(
        Checksum::from_etag(name)?,
        Checksum::Sha256(_) | Checksum::GitSha1(_)
    );
    (is_hash || is_in_blobs()?).then_some(name)
}

impl Known {
    /// The blob that belongs at a place by a listing.
    fn listed(&self, place: &Path) -> Option<String> {
        let mut parts = place.iter();
        let commit = parts.next()?.to_str()?;
        let path: RepoPath = parts.as_path().to_str()?.parse().ok()?;
        let (_, listing) = self.listings.iter().find(|(known, _)| known == commit)?;
        Some(listing.get(&path)?.checksum().to_string())
    }

    /// Links that can be made of the blobs at hand, by place.
    pub fn links(&self, has: impl Fn(&str) -> Has) -> Vec<NewLink> {
        let mut links = Vec::new();
        for (place, at) in &self.places {
            let listed = self.listed(place);
            let etag = match at {
                At::Fine => None,
                // A listing is more reliable than a link.
                At::Broken(target) => listed
                    .or_else(|| blob_named(target).map(str::to_owned))
                    .filter(|etag| has(etag) != Has::Absent),
                At::Outside(target) => blob_named(target)
                    .map(str::to_owned)
                    .filter(|etag| listed.is_none_or(|listed| listed == *etag))
                    .filter(|etag| has(etag) == Has::Unlinked),
            };
            links.extend(etag.map(|etag| NewLink {
                place: place.clone(),
                etag,
                was: Some(at.clone()),
            }));
        }
        for (commit, listing) in &self.listings {
            for (path, entry) in listing {
                let place = Path::new(commit).join(path.as_str());
                let etag = entry.checksum().to_string();
                // A blob that another snapshot links to may never have been requested for this one.
                if !self.places.contains_key(&place) && has(&etag) == Has::Unlinked {
                    links.push(NewLink {
                        place,
                        etag,
                        was: None,
                    });
                }
            }
        }
        links.sort_by(|a, b| a.place.cmp(&b.place));
        links
    }

    /// Contents that links or listings need and the repository does not have.
    pub fn wanted(&self, has: impl Fn(&str) -> Has) -> BTreeSet<Wanted> {
        let mut wanted = BTreeMap::new();
        for (place, at) in &self.places {
            let At::Broken(target) = at else { continue };
            let named = || blob_named(target).map(str::to_owned);
            if let Some(etag) = self.listed(place).or_else(named)
                && has(&etag) == Has::Absent
            {
                wanted.insert(etag, (None, true));
            }
        }
        for entry in self
            .listings
            .iter()
            .flat_map(|(_, listing)| listing.values())
        {
            let Some(xet_hash) = &entry.xet_hash else {
                continue;
            };
            let etag = entry.checksum().to_string();
            if has(&etag) == Has::Absent {
                let (known, _) = wanted.entry(etag).or_insert((None, false));
                *known = Some(xet_hash.text().to_string());
            }
        }
        let wanted = wanted.into_iter();
        wanted
            .map(|(etag, (xet_hash, is_linked))| Wanted {
                etag,
                xet_hash,
                is_linked,
            })
            .collect()
    }

    /// Whether a broken link does not show which blob it was for.
    pub fn has_unknown_target(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|(place, at)| match at {
            At::Broken(target) => blob_named(target).is_none() && self.listed(place).is_none(),
            At::Fine | At::Outside(_) => false,
        })
    }

    /// Names of all blobs that a link, valid or broken, or a listing needs: none is an orphan.
    pub fn needed(&self) -> BTreeSet<String> {
        let linked = self.places.values().filter_map(|at| match at {
            At::Fine => None,
            At::Broken(target) | At::Outside(target) => blob_named(target).map(str::to_owned),
        });
        let listed = self
            .listings
            .iter()
            .flat_map(|(_, listing)| listing.values());
        let listed = listed.map(|entry| entry.checksum().to_string());
        linked.chain(listed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::digest::Digest;
    use crate::types::listing::FileEntry;

    /// Forty times the same digit.
    fn etag(digit: &str) -> String {
        digit.repeat(40)
    }

    fn known(places: &[(&str, At)], listed: &[(&str, &str)]) -> Known {
        let entry = |digit: &str| FileEntry {
            size: 1,
            blob_id: Digest::from_hex(&etag(digit)).unwrap(),
            lfs: None,
            xet_hash: (digit == "e").then(|| "f".repeat(64).into()),
        };
        let listing = listed
            .iter()
            .map(|(path, digit)| (path.parse().unwrap(), entry(digit)));
        Known {
            places: places
                .iter()
                .map(|(place, at)| (PathBuf::from(place), at.clone()))
                .collect(),
            listings: vec![("c".to_owned(), listing.collect())],
        }
    }

    fn broken(target: &str) -> At {
        At::Broken(target.into())
    }

    fn to_blob(digit: &str) -> String {
        format!("/old/models--o--n/blobs/{}", etag(digit))
    }

    /// 1 is linked, 2 and 3 are unlinked, anything else is absent.
    fn has(name: &str) -> Has {
        match &name[..1] {
            "1" => Has::Linked,
            "2" | "3" => Has::Unlinked,
            _ => Has::Absent,
        }
    }

    #[test]
    fn links_that_can_be_made_again() {
        type Case<'a> = (&'a str, Option<At>, Option<&'a str>, Option<&'a str>);
        let cases: [Case; 15] = [
            ("whole", Some(At::Fine), Some("2"), None),
            ("by its name", Some(broken(&to_blob("2"))), None, Some("2")),
            (
                "also when linked",
                Some(broken(&to_blob("1"))),
                None,
                Some("1"),
            ),
            ("no such blob", Some(broken(&to_blob("9"))), None, None),
            (
                "listed otherwise",
                Some(broken(&to_blob("2"))),
                Some("3"),
                Some("3"),
            ),
            (
                "listed, absent",
                Some(broken(&to_blob("2"))),
                Some("9"),
                None,
            ),
            ("no blob's name", Some(broken("/x/y")), None, None),
            (
                "no blob's name, listed",
                Some(broken("/x/y")),
                Some("2"),
                Some("2"),
            ),
            (
                "outside",
                Some(At::Outside(to_blob("2").into())),
                None,
                Some("2"),
            ),
            (
                "outside, linked",
                Some(At::Outside(to_blob("1").into())),
                None,
                None,
            ),
            (
                "outside, other",
                Some(At::Outside(to_blob("2").into())),
                Some("3"),
                None,
            ),
            ("lost", None, Some("2"), Some("2")),
            ("never asked for", None, Some("1"), None),
            ("not here", None, Some("9"), None),
            ("nothing known", None, None, None),
        ];
        for (what, at, listed, expected) in cases {
            let places: Vec<(&str, At)> = at.into_iter().map(|at| ("c/f", at)).collect();
            let listed: Vec<(&str, &str)> = listed.into_iter().map(|d| ("f", d)).collect();
            let links = known(&places, &listed).links(has);
            let found: Vec<&str> = links.iter().map(|link| &link.etag[..1]).collect();
            assert_eq!(found, Vec::from_iter(expected), "{what}");
            assert!(links.iter().all(|link| link.place == Path::new("c/f")));
        }
    }

    /// Then a blob that nothing seems to need may be the one that it was for.
    #[test]
    fn a_broken_link_of_which_nothing_is_known() {
        for (at, listed, expected) in [
            (broken("/x/y"), None, true),
            (broken("/x/y"), Some("2"), false),
            (broken(&to_blob("2")), None, false),
            (broken(&to_blob("2")), Some("2"), false),
            (At::Fine, None, false),
            (At::Outside("/x/y".into()), None, false),
        ] {
            let listed: Vec<(&str, &str)> = listed.into_iter().map(|d| ("f", d)).collect();
            let known = known(&[("c/e", At::Fine), ("c/f", at.clone())], &listed);
            assert_eq!(known.has_unknown_target(), expected, "{at:?} {listed:?}");
        }
    }

    #[test]
    fn contents_that_are_asked_for() {
        let places = [
            ("c/a", broken(&to_blob("9"))),
            ("c/b", broken(&to_blob("2"))),
        ];
        let known = known(&places, &[("d", "8"), ("e", "e"), ("g", "1")]);
        let wanted: Vec<(String, bool, bool)> = known
            .wanted(has)
            .into_iter()
            .map(|w| (w.etag[..1].to_owned(), w.xet_hash.is_some(), w.is_linked))
            .collect();
        assert_eq!(
            wanted,
            [("9".to_owned(), false, true), ("e".to_owned(), true, false)],
            "what is only listed is not missed, unless the store may have it"
        );
        let needed: String = known.needed().iter().map(|etag| &etag[..1]).collect();
        assert_eq!(needed, "1289e");
    }

    #[test]
    fn names_of_blobs_in_links() {
        for (target, expected) in [
            ("../../blobs/abc", Some("abc")),
            ("/x/models--o--n/blobs/abc", Some("abc")),
            ("../blobs/ab/abc", None),
            ("abc", None),
            ("", None),
            ("/x/abc", None),
            (
                "/x/0123456789012345678901234567890123456789",
                Some("0123456789012345678901234567890123456789"),
            ),
        ] {
            assert_eq!(blob_named(Path::new(target)), expected, "{target}");
        }
    }
}
