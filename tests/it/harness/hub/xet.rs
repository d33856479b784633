//! Xet storage as the Hub describes it: hashes in listings and headers, and the address and token for the storage. The storage itself is
//! another server: `harness/cas.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::reply::Reply;
use super::repo::Entry;
use super::route::Place;
use super::server::{Asked, State};

/// Address and tokens of the storage server.
#[derive(Clone, Debug)]
pub struct XetGate {
    /// Base address of the storage server.
    pub server: String,
    /// How long each token works from now on, in seconds, one after the other; the last one stays. May be negative.
    pub lifetimes: Vec<i64>,
}

/// The secret in every token: no output may contain it.
pub const TOKEN: &str = "xet-access-token-of-the-local-hub";

/// `GET /api/{kind}s/{id}/xet-read-token/{commit}`: server, token and expiry, in headers and as JSON. 404 without storage.
pub fn read_token(state: &State, asked: &Asked, place: &Place) -> Reply {
    super::api::with_tree(state, asked, place, |_, _, _| {
        let mut gate = state.xet.write().expect("xet");
        let Some(gate) = gate.as_mut() else {
            return Reply::error(404, None, "Xet is not enabled for this repository");
        };
        let lifetime = match gate.lifetimes.as_slice() {
            [last] => *last,
            _ => gate.lifetimes.remove(0),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock after 1970").as_secs();
        let expiry = now.saturating_add_signed(lifetime);
        let answer = json!({"casUrl": gate.server, "accessToken": TOKEN, "exp": expiry});
        Reply::json(&answer)
            .header("X-Xet-Cas-Url", &gate.server)
            .header("X-Xet-Access-Token", TOKEN)
            .header("X-Xet-Token-Expiration", expiry.to_string())
    })
}

/// Adds what a resolve answer says about a file in Xet storage.
pub fn announce(state: &State, place: &Place, commit: &str, entry: &Entry, reply: Reply) -> Reply {
    let Some(hash) = &entry.xet_hash else {
        return reply;
    };
    let (kind, id) = (place.kind.plural(), &place.id);
    let route = format!(
        "{}/api/{kind}/{id}/xet-read-token/{commit}",
        state.link_base()
    );
    reply
        .header("X-Xet-Hash", hash)
        .header("Link", format!("<{route}>; rel=\"xet-auth\""))
}
