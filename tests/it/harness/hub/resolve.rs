//! `HEAD|GET /{prefix}{id}/resolve/{rev}/{path}`: a file by name, or where to fetch it.

use super::api::no_such_revision;
use super::auth::no_such_repository;
use super::cdn;
use super::content::{Content, sha1_hex};
use super::faults::Fault;
use super::reply::Reply;
use super::repo::{Entry, Repo};
use super::route::{Place, encode, encode_path};
use super::server::{Asked, State};
use super::xet;

/// Answers with the file, a signed link to it, or (small files, when switched on) the address of a cached copy.
pub fn resolve(state: &State, asked: &Asked, place: &Place) -> Reply {
    answer(state, asked, place, state.settings().resolve_cache, false)
}

/// `GET /api/resolve-cache/{kind}s/{id}/{commit}/{path}`: the small file itself.
pub fn resolve_cache(state: &State, asked: &Asked, place: &Place) -> Reply {
    answer(state, asked, place, false, true)
}

fn answer(
    state: &State,
    asked: &Asked,
    place: &Place,
    through_cache: bool,
    is_cached_copy: bool,
) -> Reply {
    let repos = state.repos.read().expect("repos");
    let Some(repo) = repos.get(&State::key(place.kind, &place.id)) else {
        return no_such_repository(&asked.sender);
    };
    let users = state.users.read().expect("users");
    if let Some(refusal) = users.refuse_files(&asked.sender, repo, &state.endpoint()) {
        return refusal;
    }
    let Some((commit, tree)) = repo.at(&place.revision) else {
        return no_such_revision(&place.revision);
    };
    let entry = tree.entries.get(&place.path);
    let Some(entry) = entry.filter(|entry| !entry.listed_only) else {
        return Reply::error(404, Some("EntryNotFound"), "Entry not found")
            .header("X-Repo-Commit", commit);
    };
    let changed = |fault: &Fault| *fault == Fault::ChangedAfterListing;
    let (entry, commit) = match state.faults.strike(asked, changed) {
        Some(_) => (replaced(entry), sha1_hex(&[b"after ", commit.as_bytes()])),
        None => (entry.clone(), commit.to_owned()),
    };
    let reply = if entry.lfs {
        linked(state, repo, place, &entry)
    } else if through_cache {
        let kind = place.kind.plural();
        let own = format!(
            "/{}{}/resolve/{}/{}",
            place.kind.prefix(),
            place.id,
            place.revision,
            place.path
        );
        let etag = encode(&etag(state, &entry.etag()));
        let path = encode_path(&place.path);
        let query = format!("{}=&etag={etag}", encode(&own));
        let base = format!("/api/resolve-cache/{kind}/{}/{commit}", place.id);
        state.own_redirect(&format!("{base}/{path}?{query}"))
    } else {
        Reply::content(&entry.content, state.range(asked).as_deref())
    };
    if is_cached_copy && state.settings().bare_cached_copies {
        return reply;
    }
    let name = if entry.lfs { entry.oid() } else { entry.etag() };
    xet::announce(state, place, &commit, &entry, reply)
        .header("X-Repo-Commit", commit)
        .header("ETag", etag(state, &name))
}

/// A redirect to the CDN. The `ETag` beside it names the pointer: a client must take `X-Linked-Etag`.
fn linked(state: &State, repo: &Repo, place: &Place, entry: &Entry) -> Reply {
    let sha256 = entry.content.sha256();
    let mut blobs = state.blobs.write().expect("blobs");
    let known = blobs.entry(sha256.clone());
    known.or_insert_with(|| entry.content.clone());
    Reply::redirect(302, &cdn::link(state, repo, &sha256, &place.path))
        .header("Accept-Ranges", "bytes")
        .header("X-Linked-Size", entry.content.len().to_string())
        .header("X-Linked-Etag", format!("\"{sha256}\""))
}

fn etag(state: &State, name: &str) -> String {
    let weak = if state.settings().weak_etags {
        "W/"
    } else {
        ""
    };
    format!("{weak}\"{name}\"")
}

/// What a file became when it was replaced: one line longer, so that commit, name and size all differ.
fn replaced(entry: &Entry) -> Entry {
    let mut bytes = entry.content.to_bytes().to_vec();
    bytes.extend_from_slice(b"replaced\n");
    Entry {
        content: Content::from(bytes),
        ..entry.clone()
    }
}
