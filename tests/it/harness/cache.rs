//! Cache trees on disk, made by hand: valid ones, as a client leaves them, and damaged ones.
//!
//! Written from the description of the format, not through the program under test, so that the two can disagree.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::hub::{Content, sha1_hex};

/// Endings of names that the Hub stores as large files: their blobs are named by SHA-256.
const LARGE: [&str; 3] = [".safetensors", ".bin", ".gguf"];

/// A cache folder under construction.
#[derive(Clone, Debug)]
pub struct CacheTree {
    root: PathBuf,
}

impl CacheTree {
    /// A cache at `root`, created when absent, with its `CACHEDIR.TAG`.
    pub fn at(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref().to_owned();
        let tag = "Signature: 8a477f597d28d172789f06886806bc55\n\
            # This file is a cache directory tag created by huggingface_hub.\n\
            # For information about cache directory tags, see:\n\
            #\thttps://bford.info/cachedir/\n";
        write(&root.join("CACHEDIR.TAG"), tag);
        Self { root }
    }

    /// A model's folder.
    pub fn model(&self, id: &str) -> CachedRepo {
        self.repo("models", id)
    }

    /// A dataset's folder.
    pub fn dataset(&self, id: &str) -> CachedRepo {
        self.repo("datasets", id)
    }

    /// A Space's folder.
    pub fn space(&self, id: &str) -> CachedRepo {
        self.repo("spaces", id)
    }

    /// A kernel repository's folder.
    pub fn kernel(&self, id: &str) -> CachedRepo {
        self.repo("kernels", id)
    }

    /// The folder of a repository of any kind, known or not.
    pub fn repo(&self, plural: &str, id: &str) -> CachedRepo {
        let name = format!("{plural}--{}", id.replace('/', "--"));
        let root = self.root.join(name);
        fs::create_dir_all(root.join("snapshots")).expect("folder");
        CachedRepo { root }
    }

    /// A file in the cache's root that belongs to no repository.
    pub fn stray_file(&self, name: &str, text: &str) -> &Self {
        write(&self.root.join(name), text);
        self
    }

    /// A folder in the cache's root that is no repository.
    pub fn stray_folder(&self, name: &str) -> &Self {
        fs::create_dir_all(self.root.join(name)).expect("folder");
        self
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// One repository's folder.
#[derive(Clone, Debug)]
pub struct CachedRepo {
    root: PathBuf,
}

impl CachedRepo {
    /// A snapshot of these files (path and text); answers its commit. Nothing refers to it yet.
    pub fn commit<const N: usize>(&self, files: [(&str, &str); N]) -> String {
        let names: Vec<String> = files
            .iter()
            .map(|(path, text)| format!("{path} {}\n", blob_name(path, text)))
            .collect();
        let commit = sha1_hex(&[names.concat().as_bytes()]);
        let snapshot = self.root.join("snapshots").join(&commit);
        fs::create_dir_all(&snapshot).expect("folder");
        for (path, text) in files {
            let name = blob_name(path, text);
            write(&self.blob(&name), text);
            let link = snapshot.join(path);
            fs::create_dir_all(link.parent().expect("parent")).expect("folder");
            let up = "../".repeat(2 + path.matches('/').count());
            let target = format!("{up}blobs/{name}");
            std::os::unix::fs::symlink(target, link).expect("link");
        }
        commit
    }

    /// [`CachedRepo::commit`], referred to as `main`.
    pub fn main<const N: usize>(&self, files: [(&str, &str); N]) -> String {
        let commit = self.commit(files);
        self.refer("main", &commit);
        commit
    }

    /// Writes `refs/<name>`.
    pub fn refer(&self, name: &str, commit: &str) -> &Self {
        write(&self.root.join("refs").join(name), commit);
        self
    }

    /// Writes `trees/<commit>.json` for a snapshot made here, with further files that are listed but not there.
    pub fn listing<const N: usize>(&self, commit: &str, absent: [(&str, u64); N]) -> &Self {
        let snapshot = self.root.join("snapshots").join(commit);
        let mut files: Vec<(String, Value)> = Vec::new();
        for node in super::tree::tree_of(&snapshot) {
            let super::tree::NodeKind::Link { target } = node.kind else {
                continue;
            };
            let text = fs::read(snapshot.join(&node.path)).expect("blob");
            let content = Content::from(text);
            let name = target.rsplit('/').next().unwrap_or_default();
            let mut row = json!({"size": content.len(), "blob_id": content.git_id()});
            if name.len() == 64 {
                row["lfs_sha256"] = json!(name);
                row["lfs_size"] = json!(content.len());
            }
            files.push((node.path, row));
        }
        for (path, size) in absent {
            let row = json!({"size": size, "blob_id": sha1_hex(&[path.as_bytes()])});
            files.push((path.to_owned(), row));
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        let files: serde_json::Map<String, Value> = files.into_iter().collect();
        let all = json!({"format_version": 1, "files": files});
        let place = self.root.join("trees").join(format!("{commit}.json"));
        write(&place, all.to_string());
        self
    }

    /// An unfinished download in `blobs/`, last written to two days ago.
    pub fn partial(&self, name: &str, text: &str) -> &Self {
        self.abandoned(&format!("{name}.incomplete"), text)
    }

    /// A file in `blobs/`, last written to two days ago.
    pub fn abandoned(&self, name: &str, text: &str) -> &Self {
        write(&self.blob(name), text);
        abandon(&self.blob(name));
        self
    }

    /// The empty file that says that the Hub has no such file.
    pub fn no_exist(&self, commit: &str, path: &str) -> &Self {
        write(&self.root.join(".no_exist").join(commit).join(path), "");
        self
    }

    /// Sets when a file of a snapshot was last read and written (times of its blob).
    pub fn times(&self, commit: &str, path: &str, read: SystemTime, written: SystemTime) -> &Self {
        let file = File::open(self.file(commit, path)).expect("blob");
        let times = FileTimes::new().set_accessed(read).set_modified(written);
        file.set_times(times).expect("times");
        self
    }

    /// Corruption: the blob of a file disappears, its link stays.
    pub fn lose_blob(&self, commit: &str, path: &str) -> &Self {
        let blob = fs::canonicalize(self.file(commit, path)).expect("blob");
        fs::remove_file(blob).expect("blob");
        self
    }

    /// Corruption: the first byte of a blob changes, its size stays.
    pub fn damage_blob(&self, commit: &str, path: &str) -> &Self {
        let blob = self.file(commit, path);
        let mut bytes = fs::read(&blob).expect("blob");
        bytes[0] ^= 0x20;
        fs::write(blob, bytes).expect("blob");
        self
    }

    /// Corruption: a file directly inside `snapshots/`.
    pub fn stray_snapshot(&self, name: &str) -> &Self {
        write(&self.root.join("snapshots").join(name), "stray");
        self
    }

    /// Corruption: `refs` is a file.
    pub fn refs_as_file(&self) -> &Self {
        let refs = self.root.join("refs");
        if refs.exists() {
            fs::remove_dir_all(&refs).expect("refs");
        }
        write(&refs, "not a folder");
        self
    }

    /// Corruption: no `snapshots/` folder.
    pub fn without_snapshots(&self) -> &Self {
        fs::remove_dir_all(self.root.join("snapshots")).expect("snapshots");
        self
    }

    /// The path of a file in a snapshot.
    pub fn file(&self, commit: &str, path: &str) -> PathBuf {
        self.root.join("snapshots").join(commit).join(path)
    }

    /// The path of a blob.
    pub fn blob(&self, name: &str) -> PathBuf {
        self.root.join("blobs").join(name)
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Sets the time of a file's last change to two days ago.
pub fn abandon(path: &Path) {
    let time = SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    let file = File::open(path).expect("file");
    file.set_modified(time).expect("times");
}

/// The name of a file's blob.
pub fn blob_name(path: &str, text: &str) -> String {
    let content = Content::from(text);
    if LARGE.iter().any(|ending| path.ends_with(ending)) {
        content.sha256()
    } else {
        content.git_id()
    }
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    fs::write(path, text).expect("file");
}
