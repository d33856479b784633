//! Repositories: trees of files, commits, the names that point at them, and who may read them.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Content, sha1_hex};

/// The four kinds of repository the Hub knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Model,
    Dataset,
    Space,
    Kernel,
}

impl Kind {
    /// The word in `/api/<word>/…`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
            Self::Space => "spaces",
            Self::Kernel => "kernels",
        }
    }

    /// The word in messages to users.
    pub fn singular(self) -> &'static str {
        self.plural().trim_end_matches('s')
    }

    /// What stands before the id in web and resolve addresses: nothing for models.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
            Self::Space => "spaces/",
            Self::Kernel => "kernels/",
        }
    }

    /// The kind a plural word names.
    pub fn from_plural(word: &str) -> Option<Self> {
        [Self::Model, Self::Dataset, Self::Space, Self::Kernel]
            .into_iter()
            .find(|kind| kind.plural() == word)
    }
}

/// Who may read a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// All users.
    #[default]
    Public,
    /// The owner, members of the owning organisation, and users allowed by name. Others are told it does not exist.
    Private,
    /// All users see the listing; only users allowed by name get files.
    Gated,
    /// No user: taken down by the Hub.
    Disabled,
}

/// One file of a tree.
#[derive(Clone, Debug)]
pub struct Entry {
    pub content: Content,
    /// Stored out of git: named by SHA-256 and served by the CDN.
    pub lfs: bool,
    /// Appears in the listing only: asking for it answers `EntryNotFound`.
    pub listed_only: bool,
    /// Name of the content in Xet storage, when it is there.
    pub xet_hash: Option<String>,
}

impl Entry {
    /// The text git stores in place of a large file (Git LFS specification v1).
    fn pointer(&self) -> String {
        let (oid, size) = (self.content.sha256(), self.content.len());
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
    }

    /// Size in bytes of the LFS pointer.
    pub fn pointer_size(&self) -> usize {
        self.pointer().len()
    }

    /// Git's id of the blob: of the pointer for a large file.
    pub fn oid(&self) -> String {
        if self.listed_only {
            let size = self.content.len().to_string();
            sha1_hex(&[b"listed only, size ", size.as_bytes()])
        } else if self.lfs {
            Content::from(self.pointer()).git_id()
        } else {
            self.content.git_id()
        }
    }

    /// The name a client stores the file under: SHA-256 for large files, else the git id.
    pub fn etag(&self) -> String {
        if self.lfs {
            self.content.sha256()
        } else {
            self.content.git_id()
        }
    }
}

/// The files of one commit by path. Paths are free text, so that hostile names can be listed.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Files that are made up while they are listed; they cannot be fetched.
    pub(super) made_up: usize,
}

impl Tree {
    /// Adds or replaces a small file.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Content>) -> Self {
        self.with(path, content.into(), false, false)
    }

    /// Adds or replaces a large file.
    #[must_use]
    pub fn lfs(self, path: &str, content: impl Into<Content>) -> Self {
        self.with(path, content.into(), true, false)
    }

    /// Adds or replaces a large file that is in Xet storage under this name as well.
    #[must_use]
    pub fn xet(self, path: &str, content: impl Into<Content>, xet_hash: &str) -> Self {
        let mut tree = self.lfs(path, content);
        let entry = tree.entries.get_mut(path).expect("just added");
        entry.xet_hash = Some(xet_hash.to_owned());
        tree
    }

    /// Lists a file of `size` bytes that cannot be fetched; any text will do as a path.
    #[must_use]
    pub fn listed_only(self, path: &str, size: u64) -> Self {
        self.with(path, Content::synthetic(size, 0), false, true)
    }

    /// Lists this many files more, made up while they are listed: half of them large and in Xet storage.
    #[must_use]
    pub fn made_up(mut self, files: usize) -> Self {
        self.made_up = files;
        self
    }

    /// Removes a file.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        assert!(
            self.entries.remove(path).is_some(),
            "no file {path} to remove"
        );
        self
    }

    fn with(mut self, path: &str, content: Content, lfs: bool, listed_only: bool) -> Self {
        let entry = Entry {
            content,
            lfs,
            listed_only,
            xet_hash: None,
        };
        self.entries.insert(path.to_owned(), entry);
        self
    }

    /// The commit hash of this tree on top of `parent`: 40 hex digits that depend on the content alone.
    fn commit(&self, parent: &str) -> String {
        let mut listing = format!("parent {parent}\nmade up {}\n", self.made_up);
        for (path, entry) in &self.entries {
            let storage = (entry.lfs, entry.listed_only);
            listing.push_str(&format!("{storage:?} {} {path}\n", entry.oid()));
        }
        sha1_hex(&[listing.as_bytes()])
    }
}

/// A repository: build it, then hand it to [`super::Hub::add`].
#[derive(Clone, Debug)]
pub struct Repo {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) access: Access,
    pub(super) allowed: BTreeSet<String>,
    /// The tree that becomes the next commit on `main`.
    draft: Tree,
    commits: BTreeMap<String, Tree>,
    pub(super) refs: BTreeMap<String, String>,
}

impl Repo {
    /// A public model repository.
    pub fn model(id: &str) -> Self {
        Self::new(Kind::Model, id)
    }

    /// A public dataset repository.
    pub fn dataset(id: &str) -> Self {
        Self::new(Kind::Dataset, id)
    }

    /// A public Space.
    pub fn space(id: &str) -> Self {
        Self::new(Kind::Space, id)
    }

    /// A public kernel repository.
    pub fn kernel(id: &str) -> Self {
        Self::new(Kind::Kernel, id)
    }

    fn new(kind: Kind, id: &str) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            access: Access::Public,
            allowed: BTreeSet::new(),
            draft: Tree::default(),
            commits: BTreeMap::new(),
            refs: BTreeMap::new(),
        }
    }

    /// Adds or replaces a small file on `main`.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Content>) -> Self {
        self.draft = self.draft.file(path, content);
        self
    }

    /// Adds or replaces a large file on `main`.
    #[must_use]
    pub fn lfs(mut self, path: &str, content: impl Into<Content>) -> Self {
        self.draft = self.draft.lfs(path, content);
        self
    }

    /// Adds or replaces a large file on `main` that is in Xet storage as well.
    #[must_use]
    pub fn xet(mut self, path: &str, content: impl Into<Content>, xet_hash: &str) -> Self {
        self.draft = self.draft.xet(path, content, xet_hash);
        self
    }

    /// Lists a file on `main` that cannot be fetched (see [`Tree::listed_only`]).
    #[must_use]
    pub fn listed_only(mut self, path: &str, size: u64) -> Self {
        self.draft = self.draft.listed_only(path, size);
        self
    }

    /// Lists many files (see [`Tree::made_up`]).
    #[must_use]
    pub fn made_up(mut self, files: usize) -> Self {
        self.draft = self.draft.made_up(files);
        self
    }

    /// Ends a commit on `main`: what follows belongs to the next one, which starts from these files.
    #[must_use]
    pub fn then(mut self) -> Self {
        self.seal();
        self
    }

    /// Names the present state of `main`: a branch, a tag, or a full name such as `refs/pr/1`.
    #[must_use]
    pub fn tag(mut self, name: &str) -> Self {
        let commit = self.seal();
        self.refs.insert(name.to_owned(), commit);
        self
    }

    /// Adds a branch (or `refs/pr/1`) whose files are those of `main` changed by `edit`.
    #[must_use]
    pub fn branch(mut self, name: &str, edit: impl FnOnce(Tree) -> Tree) -> Self {
        let parent = self.seal();
        let tree = edit(self.draft.clone());
        self.record(name, &parent, tree);
        self
    }

    /// Adds a commit that has this hash, whatever its files are, and that no name points at.
    #[must_use]
    pub fn known_commit(mut self, commit: &str, tree: Tree) -> Self {
        self.commits.insert(commit.to_owned(), tree);
        self
    }

    /// Only the owner, its organisation and [`Repo::allow`]ed users may read.
    #[must_use]
    pub fn private(self) -> Self {
        self.with_access(Access::Private)
    }

    /// All users may list, only [`Repo::allow`]ed users may fetch.
    #[must_use]
    pub fn gated(self) -> Self {
        self.with_access(Access::Gated)
    }

    /// No user may read.
    #[must_use]
    pub fn disabled(self) -> Self {
        self.with_access(Access::Disabled)
    }

    fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Lets the user of this name read a private or gated repository.
    #[must_use]
    pub fn allow(mut self, user: &str) -> Self {
        self.allowed.insert(user.to_owned());
        self
    }

    /// The name under which the Hub keeps it: `models/org/name`.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.kind.plural(), self.id)
    }

    /// Commits the draft to `main` unless nothing changed; answers the head of `main`.
    pub(super) fn seal(&mut self) -> String {
        let head = self.refs.get("main").cloned().unwrap_or_default();
        let sealed = self.commits.get(&head).map(|tree| tree.commit(""));
        if sealed == Some(self.draft.commit("")) {
            return head;
        }
        let tree = self.draft.clone();
        self.record("main", &head, tree)
    }

    /// Changes the files a name points at; answers the new commit.
    pub(super) fn update(&mut self, name: &str, edit: impl FnOnce(Tree) -> Tree) -> String {
        let parent = self.refs.get(name).cloned().unwrap_or_default();
        let tree = edit(self.commits.get(&parent).cloned().unwrap_or_default());
        if name == "main" {
            self.draft = tree.clone();
        }
        self.record(name, &parent, tree)
    }

    fn record(&mut self, name: &str, parent: &str, tree: Tree) -> String {
        let commit = tree.commit(parent);
        self.commits.insert(commit.clone(), tree);
        self.refs.insert(name.to_owned(), commit.clone());
        commit
    }

    /// The commit and files a revision names: a branch, tag, `refs/…`, full commit, or the first 7 or more digits of one.
    pub(super) fn at(&self, revision: &str) -> Option<(&str, &Tree)> {
        let name = revision.strip_prefix("refs/heads/").unwrap_or(revision);
        let wanted = self.refs.get(name).map_or(name, String::as_str);
        let short = wanted.len() >= 7 && wanted.bytes().all(|b| b.is_ascii_hexdigit());
        self.commits
            .iter()
            .find(|(commit, _)| *commit == wanted || short && commit.starts_with(wanted))
            .map(|(commit, tree)| (commit.as_str(), tree))
    }

    /// Every large file of every commit.
    pub(super) fn large_files(&self) -> impl Iterator<Item = &Content> {
        let entries = self.commits.values().flat_map(|tree| tree.entries.values());
        entries
            .filter(|entry| entry.lfs)
            .map(|entry| &entry.content)
    }
}
