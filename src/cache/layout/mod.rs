//! All path knowledge of the repository cache. Pure.
//!
//! # The protocol on disk
//!
//! The cache is shared with the Python client, at the same time, without a coordinator. It stays
//! correct because of four rules, which every writer keeps:
//!
//! 1. **Blobs are named by their content.** `blobs/<etag>` is either absent or complete: whatever
//!    writes it writes elsewhere and renames. A reader never needs a lock.
//! 2. **A snapshot is links.** `snapshots/<commit>/<path>` is a relative symlink to a blob and is
//!    made after the blob. If the pointer exists, the file is there, and no request is
//!    needed: commits never change. Where links do not work the pointer is the file itself.
//! 3. **Refs come last.** `refs/<revision>` holds a commit without a newline and is replaced by a
//!    rename. We write it when the snapshot it names is complete, so an interrupted download leaves
//!    the previous ref.
//! 4. **One writer per blob.** `.locks/<repo folder>/<etag>.lock` is held with `flock(2)` while a
//!    blob is fetched and linked. Lock files stay: a process may be waiting on one. Only `hf cache
//!    doctor` removes them: those of a deleted repository that no process has taken for a day.
//!
//! Unfinished downloads are `blobs/<etag>.hf-sparse`, the file with holes, and `blobs/<etag>.hf-journal`,
//! which says what of it is there (see `download/partial/mod.rs`). The names
//! matter: the Python clients append to (legacy) or delete (modern's `prune`) what ends in
//! `.incomplete`, and would trust bytes that are not theirs. A partial is not used until the
//! hash of the whole file is right.
//!
//! A blob of a file in Xet storage may itself be a relative link, into the store that all
//! repositories of a cache share: `blobs/<etag> -> ../../blobs/<xx>/<xet hash>`. Rule 1 holds for it
//! too, since a shared blob is hashed before the link is made; see [`super::shared`]. Until it is
//! renamed, the link is called `blobs/.<etag>.hf.shared`.
//!
//! ```text
//! <root>/CACHEDIR.TAG
//!       .locks/models--org--name/<etag>.lock
//!       models--org--name/blobs/<etag>
//!                         refs/<revision>
//!                         snapshots/<commit>/<path>  ->  ../../blobs/<etag>
//!                         trees/<commit>.json
//!                         .no_exist/<commit>/<path>
//!                         .hf-refs/<revision>            ours: refs that clash with another ref
//!                         .hf-pin                        ours: pinned, not deleted (pins.rs)
//!                         set-aside/                     ours: what doctor moved out of the way
//!       blobs/.huggingface-shared-blobs
//!             <xx>/<xet hash>
//!             <xx>/<xet hash>.refs
//!             <xx>/<xet hash>.lock
//! ```
//!
//! Source: docs/reference.md#folders-and-files, checked against huggingface_hub 2.4.0 and 0.36.2 by
//! the interop tests.

mod partial;
mod repo;

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

pub use self::partial::{PartialName, Writer};
pub use self::repo::RepoLayout;
use crate::types::listing::Checksum;
use crate::types::{CacheId, CommitHash, Repo, RepoId, RepoPath, RepoType};

/// Name of the tag file that tells backup tools to skip the cache.
pub const CACHEDIR_TAG: &str = "CACHEDIR.TAG";

/// Content of [`CACHEDIR_TAG`], 191 bytes, the same as the Python client's.
pub const CACHEDIR_TAG_CONTENT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This file is a cache directory tag created by huggingface_hub.\n\
# For information about cache directory tags, see:\n\
#\thttps://bford.info/cachedir/\n";

/// Locks, in the cache's root, where scanners do not look.
pub const LOCKS: &str = ".locks";
/// The shared store, in the cache's root: see [`super::shared`].
pub const SHARED: &str = "blobs";
/// Marker in the shared store.
pub const SHARED_MARKER: &str = ".huggingface-shared-blobs";

/// Blobs of a repository.
pub const BLOBS: &str = "blobs";
/// Refs of a repository.
pub const REFS: &str = "refs";
/// Snapshots of a repository.
pub const SNAPSHOTS: &str = "snapshots";
/// Stored listings of a repository.
pub const TREES: &str = "trees";
/// Stored "there is no such file" of a repository.
pub const NO_EXIST: &str = ".no_exist";
/// Refs that [`REFS`] cannot hold: one is a file where another needs a folder. Ours; no other client
/// looks there. `/` and `%` of their names are percent-encoded.
pub const ODD_REFS: &str = ".hf-refs";
/// Pin of a repository: see [`super::pins`]. Ours.
pub const PIN: &str = ".hf-pin";
/// What `hf cache doctor --fix` moved out of the way. Ours.
pub const MOVED: &str = "set-aside";

/// Paths of a cache with a given root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLayout {
    root: PathBuf,
}

impl CacheLayout {
    /// A cache below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        CacheLayout { root: root.into() }
    }

    /// The root folder, `$HF_HUB_CACHE`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tag file in the root.
    pub fn cachedir_tag(&self) -> PathBuf {
        self.root.join(CACHEDIR_TAG)
    }

    /// `.locks/`.
    pub fn locks(&self) -> PathBuf {
        self.root.join(LOCKS)
    }

    /// `blobs/`, the shared store.
    pub fn shared(&self) -> PathBuf {
        self.root.join(SHARED)
    }

    /// The marker in the shared store.
    pub fn shared_marker(&self) -> PathBuf {
        self.shared().join(SHARED_MARKER)
    }

    /// Paths of one repository.
    pub fn repo(&self, repo: &Repo) -> RepoLayout {
        RepoLayout::of_folder(&self.root, repo_folder_name(repo).as_bytes())
    }
}

/// `<folder>/trees/<commit>.json`: the folder is a repository's, or `.cache/huggingface` of a
/// `--local-dir`.
pub fn tree_file(folder: &Path, commit: &CommitHash) -> PathBuf {
    folder.join(TREES).join(format!("{commit}.json"))
}

/// The path of a file that is written in `folder` and renamed when it is complete. The name is random:
/// `.hf-<16 hex>.tmp`.
pub fn staging_path(folder: &Path) -> PathBuf {
    folder.join(format!(".hf-{:016x}.tmp", fastrand::u64(..)))
}

/// Whether a name is one of [`staging_path`].
pub fn is_staging_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let digits = name
        .strip_prefix(b".hf-")
        .and_then(|rest| rest.strip_suffix(b".tmp"));
    digits.is_some_and(|digits| digits.len() == 16 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// What the pointer of `path` holds: `../../blobs/<etag>` with one more `../` for every folder in
/// the path.
pub fn pointer_target(path: &RepoPath, checksum: &Checksum) -> PathBuf {
    link_to_blob(path.parts().count() + 1, &checksum.etag())
}

/// `blobs/<etag>` of a repository, from a folder that lies `depth` levels below the repository's.
pub fn link_to_blob(depth: usize, etag: &str) -> PathBuf {
    PathBuf::from(format!("{}{BLOBS}/{etag}", "../".repeat(depth)))
}

/// `models--org--name`.
pub fn repo_folder_name(repo: &Repo) -> String {
    format!(
        "{}--{}",
        repo.repo_type.plural(),
        repo.id.as_str().replace('/', "--")
    )
}

/// The repository that a folder name means; `None` for any other name. Ids are taken as the
/// Python client takes them: every further `--` is a slash.
pub fn parse_repo_folder_name(name: &str) -> Option<CacheId> {
    let (plural, rest) = name.split_once("--")?;
    Some(CacheId {
        repo_type: RepoType::from_plural(plural)?,
        id: rest.replace("--", "/"),
    })
}

/// As [`parse_repo_folder_name`], when the id is a valid one.
pub fn parse_repo_folder(name: &str) -> Option<Repo> {
    let CacheId { repo_type, id } = parse_repo_folder_name(name)?;
    let id: RepoId = id.parse().ok()?;
    Some(Repo { repo_type, id })
}

/// A path with `.`, `..` and doubled slashes resolved without reading the disk, as Python's
/// `os.path.normpath` does it. `..` at the root stays at the root.
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(repo_type: RepoType, id: &str) -> Repo {
        Repo {
            repo_type,
            id: id.parse().unwrap(),
        }
    }

    #[test]
    fn folder_names_round_trip() {
        for (repo, name) in [
            (repo(RepoType::Model, "gpt2"), "models--gpt2"),
            (
                repo(RepoType::Dataset, "org/n.a-m_e"),
                "datasets--org--n.a-m_e",
            ),
            (repo(RepoType::Kernel, "k/x"), "kernels--k--x"),
        ] {
            assert_eq!(repo_folder_name(&repo), name);
            assert_eq!(parse_repo_folder(name), Some(repo));
        }
        for bad in ["", "models", "model--x", "blobs", ".locks", "models--"] {
            assert_eq!(parse_repo_folder(bad), None, "{bad}");
        }
    }

    #[test]
    fn paths() {
        let layout = CacheLayout::new("/c").repo(&repo(RepoType::Model, "o/n"));
        let sum = Checksum::from_etag(&"a".repeat(40)).unwrap();
        let commit: CommitHash = "b".repeat(40).parse().unwrap();
        assert_eq!(
            layout.lock(&sum),
            PathBuf::from(format!("/c/.locks/models--o--n/{sum}.lock"))
        );
        assert_eq!(
            layout.reference(&"refs/pr/1".parse().unwrap()),
            Path::new("/c/models--o--n/refs/refs/pr/1")
        );
        assert_eq!(
            layout.tree(&commit),
            PathBuf::from(format!("/c/models--o--n/trees/{commit}.json"))
        );
        for (path, up) in [
            ("f", "../../"),
            ("d/f", "../../../"),
            ("d/e/f", "../../../../"),
        ] {
            assert_eq!(
                pointer_target(&path.parse().unwrap(), &sum),
                PathBuf::from(format!("{up}blobs/{sum}"))
            );
        }
    }

    #[test]
    fn normalizing() {
        for (path, expected) in [
            ("/a/b/../c", "/a/c"),
            ("/a/./b//c/", "/a/b/c"),
            ("/../../a", "/a"),
            ("/a/b/../../../c", "/c"),
        ] {
            assert_eq!(normalize(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
