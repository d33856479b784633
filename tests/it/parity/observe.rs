//! What one client did: how it ended, what it printed, what it left on disk, what it asked the Hub.

use std::collections::BTreeMap;
use std::path::Path;

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Origin, Request};
use crate::harness::tree::{Node, NodeKind, tree_of};

/// What is compared of one run. Paths of the environment are `[ROOT]`, addresses of the two servers `[HUB]` and `[CDN]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Exit code; 128 + n after signal n.
    pub code: i32,
    /// Standard output; empty for a run on a terminal.
    pub stdout: String,
    /// Standard error; everything that a terminal got.
    pub stderr: String,
    /// By path below the environment's root.
    pub files: BTreeMap<String, File>,
    /// How each address was asked.
    pub requests: BTreeMap<Asked, Methods>,
    /// Whether it met each planned fault.
    pub met: Vec<bool>,
}

/// One name on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Kind and content: the target of a link, the hash of a file.
    pub what: String,
    /// Permission bits; 0 for links.
    pub mode: u32,
}

/// `GET`, `HEAD`, `POST`, and how often.
pub type Methods = BTreeMap<String, usize>;

/// What was asked, without what differs from run to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Which server.
    pub cdn: bool,
    /// As sent, without the query.
    pub path: String,
    /// The token that it carried.
    pub token: Option<String>,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let server = if self.cdn { "CDN" } else { "Hub" };
        let token = self.token.as_deref().unwrap_or("no token");
        write!(f, "{server} {} ({token})", self.path)
    }
}

impl Observed {
    /// Looks at the disk and at the Hub's log after a run.
    pub fn after(env: &TestEnv, hub: &Hub, code: i32, stdout: &str, stderr: &str) -> Self {
        Self {
            code,
            stdout: neutral(stdout, env, hub),
            stderr: neutral(stderr, env, hub),
            files: files(env, hub),
            requests: requests(hub.requests()),
            met: Vec::new(),
        }
    }
}

/// The text without the places of this run. Two runs have roots and ports of the same length, so that the columns of a
/// table stay where they are.
fn neutral(text: &str, env: &TestEnv, hub: &Hub) -> String {
    let hub_origin = hub.endpoint();
    text.replace(&env.root().display().to_string(), "[ROOT]")
        .replace(&hub_origin, "[HUB]")
        .replace(hub_origin.trim_start_matches("http://"), "[HUB]")
        // As git stores it.
        .replace(
            &hub_origin.trim_start_matches("http://").replace(':', "%3a"),
            "[HUB]",
        )
        .replace(&hub.cdn_origin(), "[CDN]")
}

fn requests(all: Vec<Request>) -> BTreeMap<Asked, Methods> {
    let mut counted: BTreeMap<Asked, Methods> = BTreeMap::new();
    for request in all {
        let asked = Asked {
            cdn: request.origin == Origin::Cdn,
            path: request.path,
            token: request.authorization,
        };
        let methods = counted.entry(asked).or_default();
        *methods.entry(request.method).or_default() += 1;
    }
    counted
}

/// The folders that a client may write to.
const WRITABLE: [&str; 3] = ["hf", "home", "work"];

fn files(env: &TestEnv, hub: &Hub) -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    for folder in WRITABLE {
        for node in tree_of(env.path(folder)) {
            let path = format!("{folder}/{}", node.path);
            let what = content(&env.path(&path), &node, env, hub);
            let mode = node.mode;
            files.insert(without_random_part(&path), File { what, mode });
        }
    }
    files
}

/// Partial downloads of the Python client carry eight random digits.
fn without_random_part(path: &str) -> String {
    let random = path.strip_suffix(".incomplete").and_then(|rest| {
        let (stem, digits) = rest.rsplit_once('.')?;
        let is_random = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_random.then(|| format!("{stem}.[RANDOM].incomplete"))
    });
    random.unwrap_or_else(|| path.to_owned())
}

/// Files of fewer bytes are compared as text.
const SMALL: u64 = 600;

fn content(place: &Path, node: &Node, env: &TestEnv, hub: &Hub) -> String {
    match &node.kind {
        NodeKind::Folder => "folder".to_owned(),
        NodeKind::Link { target } => format!("link to {}", neutral(target, env, hub)),
        NodeKind::Unreadable { size } => format!("unreadable file of {size} bytes"),
        NodeKind::Other => "neither file, folder nor link".to_owned(),
        NodeKind::File { size, sha256 } => {
            // Small files may hold paths and times of the run.
            let text = (*size < SMALL).then(|| std::fs::read_to_string(place).ok());
            match text.flatten() {
                Some(text) => format!("file {:?}", without_times(&neutral(&text, env, hub))),
                None => format!("file of {size} bytes, sha256 {}", &sha256[..16]),
            }
        }
    }
}

/// Replaces numbers that are times of about now: seconds since 1970, with or without a fraction.
fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let (key, value) = line.rsplit_once(' ').unwrap_or(("", line));
        let is_time = value
            .parse::<f64>()
            .is_ok_and(|n| (1.6e9..1e10).contains(&n));
        if is_time && (key.is_empty() || key.starts_with("expires_at")) {
            format!("{key}[TIME]")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
