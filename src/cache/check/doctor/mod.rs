//! What is wrong in a cache, piece by piece, and how to mend it.
//!
//! The scan stops at the first thing that is wrong with a repository, as the Python client does.
//! Here every one is found, and also what takes room and belongs to nothing. Looking ([`examine`])
//! and mending ([`mend`]) are apart: a [`Finding`] carries its [`Remedy`], so what is shown is what
//! will be done.
//!
//! A remedy never touches what is valid. Links are made again where the blobs are here (`relink`),
//! and blobs brought back where their content is elsewhere in the cache (`restore`), without a
//! request. After that goes what leads nowhere (a ref without its snapshot, a link without its blob),
//! what is provably damaged, and what nothing uses or could use. A ref that only has a newline too
//! many is rewritten, a file that is in the way moved into the repository's folder `set-aside`, where
//! no client looks, and modes are opened up in a cache that a group shares. What is foreign, what
//! leads out of the cache (perhaps to a disk that is not mounted) and what may still be of use stays,
//! with a word on what the user can do.

mod access;
mod facts;
mod mend;
mod relink;
mod repo;
mod restore;
mod walk;
mod waste;

use std::path::{Path, PathBuf};

pub use self::mend::mend;
pub use self::restore::Source;
use crate::cache::scan::report::{CacheReport, Problem, ProblemKind};
use crate::cache::shared::Payload;
use crate::cache::{blob_names, layout};

/// What a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ailment {
    /// A ref names a snapshot that is not there.
    DanglingRef,
    /// A ref names a snapshot, with a newline or blanks around the name.
    UntidyRef,
    /// A link leads nowhere.
    BrokenLink,
    /// A blob is gone that a snapshot links to, and its content is elsewhere in the cache.
    LostBlob,
    /// A blob is not as long as it should be.
    WrongSize,
    /// A file of a snapshot is listed and its blob is here, and nothing links to it.
    LostLink,
    /// A file where only folders may be.
    StrayFile,
    /// A repository without its folder `snapshots`.
    MissingSnapshots,
    /// Files or folders of a shared cache that its group cannot use.
    Modes,
    /// Something belongs to another user, and this one cannot use it.
    NoAccess,
    /// A folder `blobs` in the root without the marker of the shared store.
    UnmarkedStore,
    /// Something in the root that is no repository.
    Foreign,
    /// It cannot be read, or is no kind of thing that belongs there.
    Damaged,
    /// A blob that no snapshot links to, and that one should or could.
    UnlinkedBlob,
    /// A blob that no snapshot links to.
    OrphanBlob,
    /// A file in `blobs/` that another program put there.
    ForeignBlob,
    /// A file of the shared store that no repository uses.
    UnusedPayload,
    /// A file of the shared store of which nobody knows who uses it.
    UnknownPayload,
    /// A list of users in the shared store names some that are gone.
    StaleManifest,
    /// An unfinished download that nobody works on.
    Unfinished,
    /// What a process that was killed left on its way.
    Leftover,
    /// Lock files of a repository that is gone.
    StaleLocks,
}

impl Ailment {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Ailment::DanglingRef => "dangling-ref",
            Ailment::UntidyRef => "untidy-ref",
            Ailment::BrokenLink => "broken-link",
            Ailment::LostBlob => "lost-blob",
            Ailment::WrongSize => "wrong-size",
            Ailment::LostLink => "lost-link",
            Ailment::StrayFile => "stray-file",
            Ailment::MissingSnapshots => "missing-snapshots",
            Ailment::Modes => "modes",
            Ailment::NoAccess => "no-access",
            Ailment::UnmarkedStore => "unmarked-store",
            Ailment::Foreign => "foreign",
            Ailment::Damaged => "damaged",
            Ailment::UnlinkedBlob => "unlinked-blob",
            Ailment::OrphanBlob => "orphan-blob",
            Ailment::ForeignBlob => "foreign-blob",
            Ailment::UnusedPayload => "unused-payload",
            Ailment::UnknownPayload => "unknown-payload",
            Ailment::StaleManifest => "stale-manifest",
            Ailment::Unfinished => "unfinished",
            Ailment::Leftover => "leftover",
            Ailment::StaleLocks => "stale-locks",
        }
    }

    /// Whether programs that use the cache trip over it; the rest only takes room.
    pub fn is_harmful(self) -> bool {
        self < Ailment::UnlinkedBlob
    }

    /// What it is, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Ailment::DanglingRef => "A ref names a commit that has no snapshot here.",
            Ailment::UntidyRef => "A ref holds more than a commit: a newline or blanks around it.",
            Ailment::BrokenLink => "A link leads to something that is not there.",
            Ailment::LostBlob => "A blob is gone, and the same content is elsewhere in the cache.",
            Ailment::WrongSize => "A blob is not as long as it should be: it is damaged.",
            Ailment::LostLink => "A file of a snapshot has no link, and its blob is here.",
            Ailment::StrayFile => "A file stands where only folders may be.",
            Ailment::MissingSnapshots => "A repository lacks its folder of snapshots.",
            Ailment::Modes => "The group that shares this cache cannot use all of it.",
            Ailment::NoAccess => "It belongs to another user, and you cannot use it.",
            Ailment::UnmarkedStore => {
                "A folder `blobs` in the root is not marked as the shared store."
            }
            Ailment::Foreign => "It is in the root of the cache and no repository.",
            Ailment::Damaged => "It cannot be read, or is not what belongs there.",
            Ailment::UnlinkedBlob => "A snapshot could link to this blob, and does not.",
            Ailment::OrphanBlob => "No snapshot links to this blob.",
            Ailment::ForeignBlob => "Another program put this file among the blobs.",
            Ailment::UnusedPayload => "No repository uses this file of the shared store.",
            Ailment::UnknownPayload => {
                "The list of who uses this file of the shared store is missing or cannot be read."
            }
            Ailment::StaleManifest => {
                "A list of the shared store names users that are gone, or is of nothing."
            }
            Ailment::Unfinished => "A download was not finished, and no process works on it.",
            Ailment::Leftover => "A process that was killed left this half-way.",
            Ailment::StaleLocks => "These locks are of a repository that is gone.",
        }
    }

    /// What it costs; bytes are told apart.
    pub fn cost(self) -> &'static str {
        match self {
            Ailment::DanglingRef
            | Ailment::UntidyRef
            | Ailment::BrokenLink
            | Ailment::StrayFile
            | Ailment::MissingSnapshots => "Python libraries do not see this repository",
            Ailment::LostBlob | Ailment::WrongSize | Ailment::LostLink => {
                "programs fail on the file, or fetch it again"
            }
            Ailment::Modes => "other users of the cache fail on it",
            Ailment::NoAccess => "commands that need it fail",
            Ailment::UnmarkedStore | Ailment::Foreign | Ailment::Damaged => {
                "the Python client counts it as an inconsistency and ignores it"
            }
            Ailment::StaleManifest | Ailment::StaleLocks => "nothing but a little clutter",
            Ailment::UnlinkedBlob
            | Ailment::OrphanBlob
            | Ailment::ForeignBlob
            | Ailment::UnusedPayload
            | Ailment::UnknownPayload
            | Ailment::Unfinished
            | Ailment::Leftover => "room on the disk",
        }
    }
}

/// A file or folder whose mode, and perhaps group, is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange {
    /// Which.
    pub path: PathBuf,
    /// Permission bits it shall have.
    pub mode: u32,
    /// Group it shall have, when that is another.
    pub group: Option<u32>,
}

/// What mending does about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing; what the user can do.
    Advice(&'static str),
    /// Removes a ref.
    RemoveRef,
    /// Moves a ref into the repository's folder `set-aside`: blobs may be of its snapshot.
    SetRefAside,
    /// Writes this commit alone into the ref.
    RewriteRef(String),
    /// Brings a blob back from elsewhere in the cache, after hashing all of it.
    Restore(Vec<Source>),
    /// Makes the link of a snapshot to the blob of this name.
    Relink(String),
    /// Removes a blob that is not what its name says, and the links to it.
    RemoveWrong,
    /// Removes the link, not what it means.
    RemoveLink,
    /// Moves the file into the repository's folder `set-aside`.
    SetAside,
    /// Makes the folder, empty.
    MakeFolder,
    /// Removes a repository's folder that holds no content.
    RemoveShell,
    /// Removes a blob that nothing links to.
    RemoveBlob,
    /// Removes a file or folder of a process that is gone.
    Remove,
    /// Removes lock files that nobody holds.
    RemoveLocks,
    /// Removes a payload without users; takes lines without users out of its manifest.
    Sweep(Payload),
    /// Sets modes and groups.
    SetModes(Vec<ModeChange>),
}

impl Remedy {
    /// Whether mending does something.
    pub fn is_cure(&self) -> bool {
        !matches!(self, Remedy::Advice(_))
    }

    /// Whether mending removes content: then it is shown what, each by its name and size.
    pub fn removes_content(&self) -> bool {
        matches!(
            self,
            Remedy::RemoveBlob | Remedy::RemoveWrong | Remedy::Remove | Remedy::Sweep(_)
        )
    }

    /// Whether mending takes nothing away: it is done first, and also while somebody downloads.
    fn only_adds(&self) -> bool {
        matches!(
            self,
            Remedy::Restore(_) | Remedy::Relink(_) | Remedy::MakeFolder | Remedy::SetModes(_)
        )
    }

    /// In what order remedies are carried out: what is in the way goes first, what is removed last.
    fn rank(&self) -> u8 {
        match self {
            Remedy::SetAside => 0,
            Remedy::MakeFolder => 1,
            Remedy::Restore(_) => 2,
            Remedy::Relink(_) => 3,
            _ => 4,
        }
    }

    /// What mending does, or what the user can do.
    pub fn text(&self) -> &'static str {
        match self {
            Remedy::Advice(advice) => advice,
            Remedy::RemoveRef => "removes the ref; the next download writes it anew",
            Remedy::SetRefAside => {
                "moves the ref to `set-aside` in the repository's folder: blobs may be of its snapshot"
            }
            Remedy::RewriteRef(_) => "writes the commit alone",
            Remedy::Restore(_) => "takes it from there, after hashing it",
            Remedy::Relink(_) => "links the file to the blob",
            Remedy::RemoveWrong => {
                "removes it with the links to it; the next download brings the file back"
            }
            Remedy::RemoveLink => "removes the link; the next download brings the file back",
            Remedy::SetAside => "moves the file to `set-aside` in the repository's folder",
            Remedy::MakeFolder => {
                "makes the folder; the next download links the blobs without fetching them"
            }
            Remedy::RemoveShell => "removes the folder: it holds no content",
            Remedy::RemoveBlob | Remedy::Remove => "removes it",
            Remedy::RemoveLocks => "removes them",
            Remedy::Sweep(_) => "removes what no repository uses",
            Remedy::SetModes(_) => "gives the group the rights it has in the root",
        }
    }
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub ailment: Ailment,
    /// Name of the entry of the cache's root.
    pub folder: Vec<u8>,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of regular files; 0 for anything else.
    pub size: u64,
    /// When it was last written, in whole seconds since 1970.
    pub modified: Option<i64>,
    /// Particulars.
    pub detail: Option<String>,
    /// What mending does about it.
    pub remedy: Remedy,
}

impl Finding {
    fn new(ailment: Ailment, folder: &[u8], path: PathBuf, remedy: Remedy) -> Self {
        use std::os::unix::fs::MetadataExt;
        let meta = path.symlink_metadata().ok();
        let size = meta.as_ref().filter(|meta| meta.is_file());
        Finding {
            ailment,
            folder: folder.to_vec(),
            size: size.map_or(0, std::fs::Metadata::len),
            modified: meta.as_ref().map(MetadataExt::mtime),
            path,
            detail: None,
            remedy,
        }
    }

    fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn with_size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }
}

/// What looking brought to light.
#[derive(Debug, Default)]
pub struct Examination {
    /// Everything that is wrong, by path within each kind.
    pub findings: Vec<Finding>,
    /// Unfinished downloads that a process works on: nothing is wrong with them.
    pub live: Vec<PathBuf>,
}

/// Looks for everything that is wrong. `now` is in seconds since 1970.
pub fn examine(report: &CacheReport, now: f64) -> Examination {
    let mut findings = Vec::new();
    let linked_from_elsewhere = crate::cache::remove::links_between(report);
    let mut sources = restore::Sources::new(report);
    for repo in &report.repos {
        repo::examine(
            report,
            &repo.folder,
            &linked_from_elsewhere,
            &mut sources,
            &mut findings,
        );
    }
    for problem in &report.problems {
        let before = findings.len();
        if problem.repo().is_some() {
            repo::examine(
                report,
                &problem.folder,
                &linked_from_elsewhere,
                &mut sources,
                &mut findings,
            );
        }
        // Told of among the unfinished downloads.
        if blob_names::is_root_partial(&problem.folder)
            && matches!(problem.kind, ProblemKind::NotAFolder)
        {
            continue;
        }
        let is_explained = findings[before..].iter().any(|f| f.ailment.is_harmful());
        if !is_explained {
            findings.push(of_problem(problem));
        }
    }
    let live = waste::downloads(report, &mut findings);
    waste::locks(&report.root, now, &mut findings);
    waste::store(report, &mut findings);
    waste::store_leftovers(report, &mut findings);
    access::examine(report, &mut findings);
    findings.sort_by(|a, b| (a.ailment, &a.path).cmp(&(b.ailment, &b.path)));
    Examination { findings, live }
}

/// A finding for what the scan says of an entry of the root.
fn of_problem(problem: &Problem) -> Finding {
    let (ailment, advice) = match problem.kind {
        ProblemKind::Unreadable(_) => (
            Ailment::Damaged,
            "check who owns it; run the command as that user",
        ),
        ProblemKind::NotARepo if problem.folder == layout::SHARED.as_bytes() => (
            Ailment::UnmarkedStore,
            "it is left alone: move it away if it is not of use",
        ),
        ProblemKind::NotAFolder | ProblemKind::NotARepo | ProblemKind::UnknownType(_) => (
            Ailment::Foreign,
            "it is yours or another program's: move it away",
        ),
        _ => (
            Ailment::Damaged,
            "`hf cache rm type/name` removes the repository",
        ),
    };
    let finding = Finding::new(
        ailment,
        &problem.folder,
        problem.path.clone(),
        Remedy::Advice(advice),
    );
    let size = match ailment {
        Ailment::UnmarkedStore | Ailment::Foreign => walk::bytes(&problem.path),
        _ => finding.size,
    };
    finding
        .with_size(size)
        .with_detail(problem.kind.to_string())
}

/// Whether a chain of links leaves the cache at any hop.
fn leads_out(root: &Path, link: &Path) -> bool {
    /// As many as Linux follows.
    const HOPS: usize = 40;
    let mut path = link.to_path_buf();
    for _ in 0..HOPS {
        let Ok(target) = std::fs::read_link(&path) else {
            return false;
        };
        let folder = path.parent().unwrap_or(root);
        path = layout::normalize(&folder.join(target));
        if !path.starts_with(root) {
            return true;
        }
    }
    false
}
