//! `/api/…`: repository information, listings, names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::auth::no_such_repository;
use super::faults::Fault;
use super::reply::Reply;
use super::repo::{Access, Entry, Repo, Tree};
use super::route::{Place, encode, encode_path, query_value, query_values};
use super::server::{Asked, State};
use super::{content::sha1_hex, repo::Kind};

/// Dates of all repositories: the listing has no clock.
const DATE: &str = "2026-01-01T00:00:00.000Z";

/// Answers from a repository that the sender may list, or says why not.
fn with_repo(
    state: &State,
    asked: &Asked,
    place: &Place,
    answer: impl FnOnce(&Repo) -> Reply,
) -> Reply {
    let repos = state.repos.read().expect("repos");
    let Some(repo) = repos.get(&State::key(place.kind, &place.id)) else {
        return no_such_repository(&asked.sender);
    };
    let users = state.users.read().expect("users");
    let refusal = users.refuse_listing(&asked.sender, repo);
    refusal.unwrap_or_else(|| answer(repo))
}

/// Answers from a commit that the sender may list, or says why not.
pub(super) fn with_tree(
    state: &State,
    asked: &Asked,
    place: &Place,
    answer: impl FnOnce(&Repo, &str, &Tree) -> Reply,
) -> Reply {
    with_repo(state, asked, place, |repo| match repo.at(&place.revision) {
        Some((commit, tree)) => answer(repo, commit, tree),
        None => no_such_revision(&place.revision),
    })
}

/// The answer when a revision does not exist.
pub fn no_such_revision(revision: &str) -> Reply {
    let message = format!("Invalid rev id: {revision}");
    Reply::error(404, Some("RevisionNotFound"), &message)
}

/// `GET /api/{kind}s/{id}[/revision/{rev}]`.
pub fn info(state: &State, asked: &Asked, place: &Place) -> Reply {
    let with_blobs = query_value(&asked.query, "blobs").is_some_and(|value| value != "false");
    with_tree(state, asked, place, |repo, commit, tree| {
        let siblings = tree.entries.iter().map(|(path, entry)| {
            let mut row = json!({"rfilename": path});
            if with_blobs {
                row["size"] = json!(entry.content.len());
                row["blobId"] = json!(entry.oid());
                if entry.lfs {
                    row["lfs"] = json!({"sha256": entry.content.sha256(), "size": entry.content.len(), "pointerSize": entry.pointer_size()});
                }
            }
            row
        });
        let mut answer = json!({
            "_id": &sha1_hex(&[repo.key().as_bytes()])[..24],
            "id": repo.id,
            "private": repo.access == Access::Private,
            "gated": if repo.access == Access::Gated { json!("manual") } else { json!(false) },
            "disabled": false,
            "author": repo.id.split_once('/').map(|(namespace, _)| namespace),
            "sha": commit,
            "lastModified": DATE,
            "createdAt": DATE,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "usedStorage": tree.entries.values().map(|entry| entry.content.len()).sum::<u64>(),
            "siblings": siblings.collect::<Value>(),
        });
        if repo.kind == Kind::Model {
            answer["modelId"] = json!(repo.id);
        }
        Reply::json(&answer)
    })
}

/// A row of a listing: a file, or a folder when there is no entry.
struct Row<'a> {
    path: &'a str,
    entry: Option<&'a Entry>,
}

impl Row<'_> {
    fn json(&self) -> Value {
        let path = self.path;
        let Some(entry) = self.entry else {
            let oid = sha1_hex(&[b"tree ", path.as_bytes()]);
            return json!({"type": "directory", "oid": oid, "size": 0, "path": path});
        };
        let size = entry.content.len();
        let mut row = json!({"type": "file", "oid": entry.oid(), "size": size, "path": path});
        if entry.lfs {
            let oid = entry.content.sha256();
            row["lfs"] = json!({"oid": oid, "size": size, "pointerSize": entry.pointer_size()});
        }
        if let Some(hash) = &entry.xet_hash {
            row["xetHash"] = json!(hash);
        }
        row
    }
}

/// A file that exists in listings only.
fn made_up_row(n: usize) -> Value {
    let path = format!("data/shard-{:05}/record-{n:09}.bin", n / 500);
    let mut row =
        json!({"type": "file", "oid": format!("{n:040x}"), "size": 100 + n, "path": path});
    if n.is_multiple_of(2) {
        row["lfs"] = json!({"oid": format!("{n:064x}"), "size": 100 + n, "pointerSize": 130});
        row["xetHash"] = json!(format!("{n:064x}"));
    }
    row
}

/// The rows under `folder`, folders before what they hold, in the order of their paths.
fn rows<'a>(tree: &'a Tree, folder: &str, recursive: bool) -> Vec<Row<'a>> {
    let prefix = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let mut folders = BTreeSet::new();
    let mut rows = Vec::new();
    for (path, entry) in &tree.entries {
        let Some(below) = path.strip_prefix(&prefix) else {
            continue;
        };
        for (at, _) in below.match_indices('/') {
            let name = &path[..prefix.len() + at];
            if at > 0 && folders.insert(name) {
                rows.push(Row {
                    path: name,
                    entry: None,
                });
            }
            if !recursive {
                break;
            }
        }
        if recursive || !below.contains('/') {
            let entry = Some(entry);
            rows.push(Row { path, entry });
        }
    }
    rows
}

/// `GET /api/{kind}s/{id}/tree/{rev}[/{path}]?recursive=&cursor=`, a page at a time. The cursor is the number of rows seen.
pub fn tree(state: &State, asked: &Asked, place: &Place) -> Reply {
    let size = state.settings().page_size;
    let flag =
        |name| query_value(&asked.query, name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let recursive = flag("recursive");
    let start = query_value(&asked.query, "cursor").map_or(0, |cursor| cursor.parse().unwrap_or(0));
    let page = start / size + 1;
    let strikes =
        |fault: &Fault| matches!(fault, Fault::TreePageFails { page: p, .. } if *p == page);
    if let Some(Fault::TreePageFails { status, .. }) = state.faults.strike(asked, strikes) {
        return Reply::error(status, None, "The listing is not available");
    }
    with_tree(state, asked, place, |repo, _, tree| {
        let rows = rows(tree, &place.path, recursive);
        if rows.is_empty() && !place.path.is_empty() {
            let message = format!("{} does not exist on \"{}\"", place.path, place.revision);
            return Reply::error(404, Some("EntryNotFound"), &message);
        }
        let known = rows.len();
        let all = known
            + if place.path.is_empty() {
                tree.made_up
            } else {
                0
            };
        let end = all.min(start + size);
        let listed = rows[start.min(known)..end.min(known)].iter().map(Row::json);
        let made_up = start.max(known)..end.max(known);
        let reply = Reply::json(
            &listed
                .chain(made_up.map(|n| made_up_row(n - known)))
                .collect(),
        );
        if end == all {
            return reply;
        }
        let mut next = format!(
            "{}/api/{}/{}/tree/{}",
            state.link_base(),
            repo.kind.plural(),
            repo.id,
            encode(&place.revision)
        );
        if !place.path.is_empty() {
            next = format!("{next}/{}", encode_path(&place.path));
        }
        let link = format!("<{next}?recursive={recursive}&expand=false&limit={size}&cursor={end}>");
        reply.header("Link", format!("{link}; rel=\"next\""))
    })
}

/// `POST /api/{kind}s/{id}/paths-info/{rev}` with a form or JSON `paths`: rows of those that exist. A JSON form that
/// says `expand` gets the last commit of each too; that is the one asked for, as if it had changed every file.
pub fn paths_info(state: &State, asked: &Asked, place: &Place) -> Reply {
    let text = String::from_utf8_lossy(&asked.body);
    let form = serde_json::from_str::<Value>(&text);
    let expands = form.as_ref().is_ok_and(|form| form["expand"] == true);
    let wanted: Vec<String> = match form {
        Ok(form) => form["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect(),
        Err(_) => query_values(&text, "paths"),
    };
    with_tree(state, asked, place, |_, commit, tree| {
        let all = rows(tree, "", true).into_iter();
        let named = all.filter(|row| wanted.iter().any(|path| path == row.path));
        let told = named.map(|row| {
            let mut told = row.json();
            if expands {
                let date = "2024-01-01T00:00:00.000Z";
                told["lastCommit"] = json!({"id": commit, "title": "Add files", "date": date});
            }
            told
        });
        Reply::json(&told.collect())
    })
}

/// `GET /api/{kind}s/{id}/refs`.
pub fn refs(state: &State, asked: &Asked, place: &Place) -> Reply {
    with_repo(state, asked, place, |repo| {
        let (mut branches, mut pull_requests) = (Vec::new(), Vec::new());
        for (name, commit) in &repo.refs {
            let full = if name.starts_with("refs/") {
                name.clone()
            } else {
                format!("refs/heads/{name}")
            };
            let row = json!({"name": name, "ref": full, "targetCommit": commit});
            if name.starts_with("refs/pr/") {
                pull_requests.push(row);
            } else {
                branches.push(row);
            }
        }
        let mut answer = json!({"branches": branches, "converts": [], "tags": []});
        if query_value(&asked.query, "include_prs").is_some() {
            answer["pullRequests"] = json!(pull_requests);
        }
        Reply::json(&answer)
    })
}
