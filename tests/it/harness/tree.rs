//! What lies on disk, as a list that can be compared and printed.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::hub::sha256_of;

/// One name in a folder tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Relative to the root that was asked for, `/` between parts.
    pub path: String,
    pub kind: NodeKind,
    /// Permission bits; 0 for links, whose bits mean nothing.
    pub mode: u32,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    Folder,
    /// A regular file: size in bytes and SHA-256 in hex.
    File {
        size: u64,
        sha256: String,
    },
    /// A regular file that the user who runs the tests must not read: size in bytes.
    Unreadable {
        size: u64,
    },
    /// A symbolic link and its target.
    Link {
        target: String,
    },
    /// A pipe, socket or device.
    Other,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, mode) = (&self.path, self.mode);
        match &self.kind {
            NodeKind::Folder => write!(f, "{mode:04o} {path}/"),
            NodeKind::File { size, sha256 } => {
                write!(f, "{mode:04o} {path} {size} {}", &sha256[..8])
            }
            NodeKind::Unreadable { size } => write!(f, "{mode:04o} {path} {size} (unreadable)"),
            NodeKind::Link { target } => write!(f, "link {path} -> {target}"),
            NodeKind::Other => write!(f, "{mode:04o} {path} (other)"),
        }
    }
}

/// Everything below `root`, sorted by path. An absent root is an empty tree.
pub fn tree_of(root: impl AsRef<Path>) -> Vec<Node> {
    let mut nodes = Vec::new();
    if root.as_ref().exists() {
        collect(root.as_ref(), "", &mut nodes);
    }
    nodes.sort();
    nodes
}

/// The same as text, a line a name: for snapshots and failure messages.
pub fn listing(root: impl AsRef<Path>) -> String {
    let lines: Vec<String> = tree_of(root).iter().map(Node::to_string).collect();
    lines.join("\n")
}

fn collect(folder: &Path, prefix: &str, nodes: &mut Vec<Node>) {
    for entry in fs::read_dir(folder).expect("folder") {
        let entry = entry.expect("folder entry");
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let meta = entry.metadata().expect("metadata");
        let mut mode = meta.permissions().mode() & 0o7777;
        let kind = if meta.is_dir() {
            collect(&entry.path(), &format!("{path}/"), nodes);
            NodeKind::Folder
        } else if meta.is_symlink() {
            mode = 0;
            let target = fs::read_link(entry.path()).expect("link");
            let target = target.to_string_lossy().into_owned();
            NodeKind::Link { target }
        } else if meta.is_file() {
            let size = meta.len();
            match File::open(entry.path()) {
                Ok(file) => NodeKind::File {
                    size,
                    sha256: sha256_of(file).expect("file"),
                },
                // Root reads a file without a mode for reading, other users do not.
                Err(e) if e.kind() == ErrorKind::PermissionDenied => NodeKind::Unreadable { size },
                Err(e) => panic!("{path}: {e}"),
            }
        } else {
            NodeKind::Other
        };
        nodes.push(Node { path, kind, mode });
    }
}
