//! The content of one repository's folder, read once. It does not decide what is wrong.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::relink::{At, Has, Known};
use super::walk::{is_own_folder, names, walk};
use crate::cache::blob_names::{BlobName, blob_name};
use crate::cache::commit::LONGEST_REF;
use crate::cache::expected::{Expected, Listings, all_listings};
use crate::cache::layout::{self, BLOBS, NO_EXIST, REFS, RepoLayout, TREES};
use crate::cache::remove;
use crate::sys::dir::is_absent;

/// One repository.
pub struct Facts {
    /// What its snapshots and listings say.
    pub known: Known,
    /// What its listings say about the sizes of blobs.
    pub expected: Expected,
    /// Listings that are there and cannot be read. They may name any blob.
    pub unreadable: Vec<PathBuf>,
    /// Files that links of snapshots lead to. `None` when a link could not be read: then no blob counts
    /// as an orphan.
    pub used: Option<HashSet<PathBuf>>,
    /// Blobs by name: bytes, or `None` for a broken link.
    pub blobs: BTreeMap<String, Option<u64>>,
    /// Names of the folders in `snapshots/`.
    pub commits: Vec<String>,
    /// There is at least one link in the snapshots.
    pub has_links: bool,
    /// Names of all blobs that a link, valid or broken, or a listing needs.
    pub needed: BTreeSet<String>,
    layout: RepoLayout,
}

impl Facts {
    /// Reads a repository's folder. `root` is the cache's.
    pub fn read(root: &Path, repo: &RepoLayout) -> Facts {
        let Listings { read, unreadable } = all_listings(repo);
        let mut facts = Facts {
            expected: Expected::of(read.iter().map(|(_, listing)| listing)),
            known: Known {
                places: BTreeMap::new(),
                listings: read,
            },
            unreadable,
            used: None,
            blobs: blobs(&repo.blobs()),
            commits: Vec::new(),
            has_links: false,
            needed: BTreeSet::new(),
            layout: repo.clone(),
        };
        facts.read_snapshots(root);
        facts.needed = facts.known.needed();
        facts
    }

    fn read_snapshots(&mut self, root: &Path) {
        let snapshots = self.layout.snapshots();
        let entries = names(&snapshots).unwrap_or_default().into_iter();
        let folders = entries.filter(|name| is_own_folder(&snapshots.join(name)));
        self.commits = folders.filter_map(|name| name.into_string().ok()).collect();
        let walked = walk(&snapshots);
        let (mut used, mut is_complete) = (HashSet::new(), walked.is_complete);
        for file in walked.files {
            let (Some(folder), Ok(place)) = (file.parent(), file.strip_prefix(&snapshots)) else {
                continue;
            };
            let at = match fs::read_link(&file) {
                Err(_) => At::Fine,
                Ok(target) if !file.exists() => At::Broken(target),
                Ok(target) => {
                    // Behind a link to a folder there may be more links.
                    is_complete &= !file.is_dir();
                    let spellings = remove::spellings(&folder.join(&target));
                    let is_inside = spellings.iter().any(|path| path.starts_with(root));
                    used.extend(spellings);
                    match is_inside {
                        true => At::Fine,
                        false => At::Outside(target),
                    }
                }
            };
            self.has_links |= file.is_symlink();
            if place.components().count() > 1 {
                self.known.places.insert(place.to_path_buf(), at);
            }
        }
        self.used = is_complete.then_some(used);
    }

    /// Path of a blob.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.layout.blob_named(etag.as_bytes())
    }

    /// Whether a blob is here and has the size it should have.
    pub fn has(&self, etag: &str) -> Has {
        let is_linked = || {
            let used = self.used.as_ref();
            used.is_none_or(|used| used.contains(&self.blob(etag)))
        };
        match self.blobs.get(etag) {
            Some(Some(size)) if !self.expected.is_wrong(etag, *size) => {
                if is_linked() {
                    Has::Linked
                } else {
                    Has::Unlinked
                }
            }
            _ => Has::Absent,
        }
    }

    /// Blobs whose size is not what it should be, with the right one where that is known.
    pub fn wrong(&self) -> Vec<(&str, Option<u64>)> {
        let wrong = self.blobs.iter().filter_map(|(etag, size)| {
            let is_wrong = size.is_some_and(|size| self.expected.is_wrong(etag, size));
            is_wrong.then(|| (etag.as_str(), self.expected.size(etag)))
        });
        wrong.collect()
    }

    /// Whether nothing needs a blob: no link of a snapshot, valid or broken, and no listing. A link or
    /// a listing that cannot be read might.
    pub fn is_orphan(&self, etag: &str) -> bool {
        self.unreadable.is_empty() && self.is_unnamed(etag)
    }

    /// Whether no link and no listing that can be read needs a blob.
    pub fn is_unnamed(&self, etag: &str) -> bool {
        let used = self.used.as_ref();
        used.is_some_and(|used| !used.contains(&self.blob(etag))) && !self.needed.contains(etag)
    }

    /// Whether links may have been lost without a trace: then it is unknown what the blobs are for.
    /// `refs` are the commits that refs name; `None` when there is no folder of refs, which a
    /// deletion removes before anything else.
    pub fn may_have_lost_links(&self, refs: Option<&[String]>) -> bool {
        let is_listed = |commit: &String| {
            let mut listings = self.known.listings.iter();
            listings.any(|(listed, _)| listed == commit)
        };
        let named = refs.unwrap_or_default();
        let is_lost = |commit: &&String| !self.commits.contains(commit) && !is_listed(commit);
        if named.iter().any(|commit| is_lost(&commit)) || self.known.has_unknown_target() {
            return true;
        }
        let mut commits = self.commits.iter().chain(named).peekable();
        let is_known = commits.peek().is_some() && commits.all(is_listed);
        let was_deleted = refs.is_none() && self.commits.is_empty();
        !self.has_links && !is_known && !was_deleted
    }
}

/// Sizes of the blobs in a folder, links followed.
fn blobs(folder: &Path) -> BTreeMap<String, Option<u64>> {
    let names = names(folder).unwrap_or_default().into_iter();
    let blobs = names.filter_map(|name| {
        let name = name.into_string().ok()?;
        if blob_name(name.as_bytes()) != BlobName::Blob {
            return None;
        }
        let size = match fs::metadata(folder.join(&name)) {
            Ok(meta) if meta.is_file() => Some(meta.len()),
            Ok(_) => return None,
            Err(_) => None,
        };
        Some((name, size))
    });
    blobs.collect()
}

/// The text of a link to a blob at a place of a snapshot; `place` is
/// `<commit>/<path in the repository>`.
pub fn link_text(place: &Path, etag: &str) -> PathBuf {
    layout::link_to_blob(place.components().count(), etag)
}

/// Whether a broken link has the right text and only its blob is missing.
pub fn says_right(repo: &RepoLayout, place: &Path, target: &Path, etag: &str) -> bool {
    let link = repo.snapshots().join(place);
    let folder = link.parent().unwrap_or(repo.folder());
    layout::normalize(&folder.join(target)) == repo.blob_named(etag.as_bytes())
}

/// What a repository's folder may hold without content: a download writes these again.
const NOTES: [&str; 4] = [BLOBS, REFS, TREES, NO_EXIST];

/// The text of a ref; empty for a broken link.
///
/// # Errors
/// It cannot be read.
pub fn ref_text(file: &Path) -> io::Result<String> {
    match crate::sys::read_limited(file, LONGEST_REF.into()) {
        Ok(content) => Ok(String::from_utf8_lossy(&content).into_owned()),
        Err(error) if is_absent(&error) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Whether a text is exactly the name of a snapshot.
pub fn has_snapshot(repo: &RepoLayout, commit: &str) -> bool {
    let is_name = !commit.is_empty() && !commit.contains(['/', '\0']);
    is_name && !matches!(commit, "." | "..") && repo.snapshot_named(commit.as_bytes()).is_dir()
}

/// Whether a repository's folder has no content: no blob, no unknown file.
pub fn holds_no_content(repo: &RepoLayout) -> bool {
    let is_note = |name: &std::ffi::OsString| NOTES.iter().any(|note| name == note);
    let has_no_blob = names(&repo.blobs()).is_some_and(|names| names.is_empty());
    names(repo.folder()).is_some_and(|names| names.iter().all(is_note)) && has_no_blob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(commits: &[&str], listed: &[&str], has_links: bool) -> Facts {
        let owned = |names: &[&str]| Vec::from_iter(names.iter().map(|&name| name.to_owned()));
        Facts {
            known: Known {
                places: BTreeMap::new(),
                listings: owned(listed)
                    .into_iter()
                    .map(|commit| (commit, Default::default()))
                    .collect(),
            },
            expected: Expected::default(),
            unreadable: Vec::new(),
            used: None,
            blobs: BTreeMap::new(),
            commits: owned(commits),
            needed: BTreeSet::new(),
            has_links,
            layout: RepoLayout::of_folder(Path::new(""), b""),
        }
    }

    #[test]
    fn links_that_may_have_been_lost() {
        type Case<'a> = (
            &'a [&'a str],
            &'a [&'a str],
            bool,
            Option<&'a [&'a str]>,
            bool,
        );
        let cases: [Case; 12] = [
            // Some link is there: they were not lost.
            (&["a"], &[], true, Some(&["a"]), false),
            // There is none, and no listing says what there was.
            (&["a"], &[], false, Some(&["a"]), true),
            (&["a"], &[], false, None, true),
            (&["a", "b"], &["a"], false, Some(&[]), true),
            // A listing says what there was.
            (&["a"], &["a"], false, Some(&["a"]), false),
            (&["a", "b"], &["a", "b"], false, None, false),
            // A ref to what is gone.
            (&["a"], &[], true, Some(&["a", "b"]), true),
            (&["a"], &["b"], true, Some(&["a", "b"]), false),
            (&[], &[], false, Some(&["a"]), true),
            // Every snapshot is gone, the folder of refs is there.
            (&[], &[], false, Some(&[]), true),
            // A deletion was killed: it removes the refs first.
            (&[], &[], false, None, false),
            (&[], &["a"], false, None, false),
        ];
        for (commits, listed, has_links, refs, expected) in cases {
            let refs: Option<Vec<String>> =
                refs.map(|refs| refs.iter().map(|&name| name.to_owned()).collect());
            let found = facts(commits, listed, has_links).may_have_lost_links(refs.as_deref());
            assert_eq!(
                found, expected,
                "{commits:?} {listed:?} {has_links} {refs:?}"
            );
        }
    }

    #[test]
    fn texts_of_links() {
        for (place, expected) in [("c/f", "../../blobs/e"), ("c/d/f", "../../../blobs/e")] {
            assert_eq!(link_text(Path::new(place), "e"), Path::new(expected));
        }
        let repo = RepoLayout::of_folder(Path::new("/c"), b"models--o--n");
        for (target, expected) in [
            ("../../blobs/e", true),
            ("/c/models--o--n/blobs/e", true),
            ("../../blobs/x", false),
            ("/old/models--o--n/blobs/e", false),
            ("../blobs/e", false),
        ] {
            let found = says_right(&repo, Path::new("c/f"), Path::new(target), "e");
            assert_eq!(found, expected, "{target}");
        }
    }
}
