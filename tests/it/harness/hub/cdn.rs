//! The content delivery network: large files behind signed, expiring links, on an origin of its own.

use std::time::{SystemTime, UNIX_EPOCH};

use super::content::sha1_hex;
use super::faults::Fault;
use super::reply::{Payload, Reply};
use super::repo::Repo;
use super::route::{encode, query_value};
use super::server::{Asked, State};

/// Milliseconds since 1970.
fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("clock before 1970").as_millis()
}

/// A fresh link to a large file: every call signs another one. `Expires` is in milliseconds.
pub fn link(state: &State, repo: &Repo, sha256: &str, path: &str) -> String {
    let expires = now() + state.settings().link_lifetime.as_millis();
    let name = path.rsplit('/').next().unwrap_or_default();
    let disposition = encode(&format!("inline; filename=\"{name}\""));
    let nonce = state.next_number();
    let address = format!("/repos/{}/{}/{sha256}", repo.kind.plural(), repo.id);
    let signature = sign(&address, expires, nonce);
    format!(
        "{}{address}?response-content-disposition={disposition}&Expires={expires}&Nonce={nonce}&Signature={signature}&Key-Pair-Id=LOCAL",
        state.cdn_origin()
    )
}

fn sign(address: &str, expires: u128, nonce: u64) -> String {
    let claim = format!("{address} {expires} {nonce}");
    sha1_hex(&[b"local signing key ", claim.as_bytes()])
}

/// Serves a large file for a valid link, and refuses every request that carries a token.
pub fn answer(state: &State, asked: &Asked) -> Reply {
    if asked.authorized() {
        return refusal(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; a token must not be sent here",
        );
    }
    let field = |name| query_value(&asked.query, name).unwrap_or_default();
    let signature = field("Signature");
    let expires = field("Expires").parse().unwrap_or(0);
    let nonce = field("Nonce").parse().unwrap_or(0);
    if signature != sign(&asked.path, expires, nonce) {
        return refusal(403, "AccessDenied", "The link is not signed");
    }
    let spent = |fault: &Fault| *fault == Fault::ExpiredLink;
    let mut expired = state.expired.lock().expect("expired links");
    if !expired.contains(&signature) && state.faults.strike(asked, spent).is_some() {
        expired.insert(signature.clone());
    }
    if now() > expires || expired.contains(&signature) {
        return refusal(403, "AccessDenied", "Request has expired");
    }
    let is_whole = asked.range.is_none() && asked.method == "GET";
    let wants_range = |fault: &Fault| is_whole && *fault == Fault::WantsRange;
    if state.faults.strike(asked, wants_range).is_some() {
        return refusal(400, "EntityTooLarge", "Ask for a range");
    }
    let sha256 = asked.path.rsplit('/').next().unwrap_or_default();
    let blobs = state.blobs.read().expect("blobs");
    match blobs.get(sha256) {
        Some(content) => {
            let reply = Reply::content(content, state.range(asked).as_deref());
            reply.header("ETag", format!("\"{}\"", &sha256[..32]))
        }
        None => refusal(404, "NoSuchKey", "The specified key does not exist"),
    }
}

/// An error as storage services word it: XML.
fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut reply = Reply::empty(status).header("Content-Type", "application/xml");
    reply.body = Payload::Text(text.into());
    reply
}
