//! All path knowledge of the repository cache. Pure.
//!
//! # The protocol on disk
//!
//! The cache is shared with the Python client, at the same time, without a coordinator. It stays
//! correct because of four rules, which every writer keeps:
//!
//! 1. **Blobs are named by their content.** `blobs/<etag>` is either absent or complete: whatever
//!    writes it, writes elsewhere and renames. A reader never needs a lock.
//! 2. **A snapshot is links.** `snapshots/<commit>/<path>` is a relative symlink to a blob and is
//!    made after the blob. If the pointer exists, the file is there, and asking the network is
//!    needless: commits never change. Where links do not work the pointer is the file itself.
//! 3. **Refs come last.** `refs/<revision>` holds a commit without a newline and is replaced by a
//!    rename. We write it when the snapshot it names is complete, so an interrupted download leaves
//!    the previous one in force.
//! 4. **One writer per blob.** `.locks/<repo folder>/<etag>.lock` is held with `flock(2)` while a
//!    blob is fetched and linked. Lock files stay: a process may be waiting on one. Only `hf cache
//!    doctor` removes them, of a repository that is gone, when nobody took one for a day.
//!
//! Unfinished downloads are `blobs/<etag>.hf-part`: bytes from the start of the file, in order, and
//! `blobs/<etag>.hf-part-<k>`: the same from segment `k` on (see `download/parallel.rs`). The names
//! matter: the Python clients append to (legacy) or delete (modern's `prune`) what ends in
//! `.incomplete`, and would trust bytes that are not theirs. A partial is worth nothing until the
//! whole file's hash is right.
//!
//! A blob of a file in Xet storage may itself be a relative link, into the store that all
//! repositories of a cache share: `blobs/<etag> -> ../../blobs/<xx>/<xet hash>`. Rule 1 holds for it
//! too, since a payload is hashed before the link is made; [`super::shared`] tells the rest. On its
//! way to that name the link is called `blobs/.<etag>.hf.shared`.
//!
//! ```text
//! <root>/CACHEDIR.TAG
//!       .locks/models--org--name/<etag>.lock
//!       models--org--name/blobs/<etag>
//!                         refs/<revision>
//!                         snapshots/<commit>/<path>  ->  ../../blobs/<etag>
//!                         trees/<commit>.json
//!                         .no_exist/<commit>/<path>
//!                         .hf-refs/<revision>            ours: refs that another ref is in the way of
//!                         .hf-pin                        ours: not to be deleted (pins.rs)
//!                         set-aside/                     ours: what doctor moved out of the way
//!       blobs/.huggingface-shared-blobs
//!             <xx>/<xet hash>
//!             <xx>/<xet hash>.refs
//!             <xx>/<xet hash>.lock
//! ```
//!
//! Source: docs/reference.md#folders-and-files, checked against huggingface_hub 2.4.0 and 0.36.2 by
//! the interop tests.

use std::path::{Component, Path, PathBuf};

use crate::types::listing::Checksum;
use crate::types::{CacheId, CommitHash, Repo, RepoId, RepoPath, RepoType, Revision};

/// Name of the tag file that tells backup tools to skip the cache.
pub const CACHEDIR_TAG: &str = "CACHEDIR.TAG";

/// Content of [`CACHEDIR_TAG`], 191 bytes, the same as the Python client's.
pub const CACHEDIR_TAG_CONTENT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This file is a cache directory tag created by huggingface_hub.\n\
# For information about cache directory tags, see:\n\
#\thttps://bford.info/cachedir/\n";

/// Folder of a repository with the refs that `refs/` cannot hold: one is a file where another needs a
/// folder. Ours; no other client looks there. `/` and `%` of their names are percent-encoded.
pub const ODD_REFS: &str = ".hf-refs";

/// Ending of our unfinished downloads. See the module text for why it is not `.incomplete`.
pub const PARTIAL_SUFFIX: &str = ".hf-part";

/// The etag of one of our unfinished downloads: `<etag>.hf-part`, or a segment ahead of it,
/// `<etag>.hf-part-<k>` ([`crate::download::http::parallel`]). `None` for any other name.
pub fn partial_etag(name: &[u8]) -> Option<&[u8]> {
    let suffix = PARTIAL_SUFFIX.as_bytes();
    let digits = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let stem = match name[..name.len() - digits].strip_suffix(b"-") {
        Some(stem) if digits > 0 => stem,
        _ => name,
    };
    stem.strip_suffix(suffix)
}

/// Paths of a cache with a given root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLayout {
    root: PathBuf,
}

impl CacheLayout {
    /// `.locks/`, where scanners do not look.
    pub fn locks(&self) -> PathBuf {
        self.root.join(".locks")
    }

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

    /// Paths of one repository.
    pub fn repo(&self, repo: &Repo) -> RepoLayout {
        let name = repo_folder_name(repo);
        RepoLayout {
            folder: self.root.join(&name),
            locks: self.locks().join(name),
        }
    }
}

/// Paths of one repository in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoLayout {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepoLayout {
    /// `<root>/models--org--name`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `blobs/`.
    pub fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    /// `blobs/<etag>`.
    pub fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(checksum.etag())
    }

    /// `blobs/<etag>.hf-part`.
    pub fn partial(&self, checksum: &Checksum) -> PathBuf {
        self.blobs()
            .join(format!("{}{PARTIAL_SUFFIX}", checksum.etag()))
    }

    /// `.locks/<repo>/<etag>.lock`.
    pub fn lock(&self, checksum: &Checksum) -> PathBuf {
        self.locks.join(format!("{}.lock", checksum.etag()))
    }

    /// `refs/<revision>`.
    pub fn reference(&self, revision: &Revision) -> PathBuf {
        self.folder.join("refs").join(revision.as_str())
    }

    /// `.hf-refs/<revision>`, in one name: see [`ODD_REFS`].
    pub fn odd_reference(&self, revision: &Revision) -> PathBuf {
        let name = revision.as_str().replace('%', "%25").replace('/', "%2F");
        self.folder.join(ODD_REFS).join(name)
    }

    /// `snapshots/`.
    pub fn snapshots(&self) -> PathBuf {
        self.folder.join("snapshots")
    }

    /// `snapshots/<commit>`.
    pub fn snapshot(&self, commit: &CommitHash) -> PathBuf {
        self.snapshots().join(commit.as_str())
    }

    /// `snapshots/<commit>/<path>`.
    pub fn pointer(&self, commit: &CommitHash, path: &RepoPath) -> PathBuf {
        self.snapshot(commit).join(path.as_str())
    }

    /// `trees/<commit>.json`.
    pub fn tree(&self, commit: &CommitHash) -> PathBuf {
        tree_file(&self.folder, commit)
    }

    /// `.no_exist/<commit>/<path>`.
    pub fn no_exist(&self, commit: &CommitHash, path: &RepoPath) -> PathBuf {
        self.folder
            .join(".no_exist")
            .join(commit.as_str())
            .join(path.as_str())
    }
}

/// `<folder>/trees/<commit>.json`: the folder is a repository's, or `.cache/huggingface` of a
/// `--local-dir`.
pub fn tree_file(folder: &Path, commit: &CommitHash) -> PathBuf {
    folder.join("trees").join(format!("{commit}.json"))
}

/// What the pointer of `path` holds: `../../blobs/<etag>` with one more `../` for every folder in
/// the path.
pub fn pointer_target(path: &RepoPath, checksum: &Checksum) -> PathBuf {
    let up = "../".repeat(path.parts().count() + 1);
    PathBuf::from(format!("{up}blobs/{}", checksum.etag()))
}

/// `models--org--name`.
pub fn repo_folder_name(repo: &Repo) -> String {
    format!(
        "{}--{}",
        repo.repo_type.plural(),
        repo.id.as_str().replace('/', "--")
    )
}

/// The repository a folder name stands for; `None` for a name that is none. Ids are taken as the
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

/// A path with `.`, `..` and doubled slashes worked out without looking at the disk, as Python's
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

    #[test]
    fn partials_and_their_segments() {
        for (name, etag) in [
            ("abc.hf-part", Some("abc")),
            ("abc.hf-part-0", Some("abc")),
            ("abc.hf-part-12", Some("abc")),
            ("d41d8-3.hf-part", Some("d41d8-3")),
            ("abc.hf-part-", None),
            ("abc-12", None),
            ("abc", None),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(
                partial_etag(name.as_bytes()),
                etag.map(str::as_bytes),
                "{name}"
            );
        }
    }

    #[test]
    fn the_tag_is_the_python_clients() {
        assert_eq!(CACHEDIR_TAG_CONTENT.len(), 191);
    }
}
