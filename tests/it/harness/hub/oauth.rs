//! The Hub's OAuth routes: the device login, refresh with rotation, and the exchange of a CI job's identity. Beside them
//! the route at which a CI system gives its jobs an identity, here on the same origin.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::Hub;
use super::reply::Reply;
use super::route::{query_value, query_values};
use super::server::{Asked, State};

/// What the OAuth routes know.
#[derive(Debug, Default)]
pub struct OAuth {
    /// Who confirms the next device login.
    user: Option<String>,
    /// Errors that polls get before the login is confirmed, in order.
    script: VecDeque<String>,
    /// Life of granted access tokens, in seconds; 0 leaves it out.
    lifetime: u64,
    /// Valid refresh tokens, and whose they are.
    refresh_tokens: BTreeMap<String, String>,
    /// Refresh tokens that are used up.
    spent: BTreeSet<String>,
    /// How often a used refresh token came again: a race between two renewals logs a user out.
    reused: usize,
    renewed: usize,
    /// Identity tokens and the user whose repository trusts them.
    identities: BTreeMap<String, String>,
    number: u64,
}

impl Hub {
    /// The next device login is confirmed by this user after these errors; tokens live `lifetime` seconds.
    pub fn device_login(&self, user: &str, script: &[&str], lifetime: u64) {
        self.user(user);
        let mut oauth = self.state.oauth.lock().expect("oauth");
        oauth.user = Some(user.to_owned());
        oauth.script = script.iter().map(|&error| error.to_owned()).collect();
        oauth.lifetime = lifetime;
    }

    /// This refresh token is valid for this user, once.
    pub fn refresh_token(&self, user: &str, refresh_token: &str, lifetime: u64) {
        self.user(user);
        let mut oauth = self.state.oauth.lock().expect("oauth");
        oauth
            .refresh_tokens
            .insert(refresh_token.to_owned(), user.to_owned());
        oauth.lifetime = lifetime;
    }

    /// How many refreshes were granted, and how many came with a spent refresh token.
    pub fn refreshes(&self) -> (usize, usize) {
        let oauth = self.state.oauth.lock().expect("oauth");
        (oauth.renewed, oauth.reused)
    }

    /// A repository of this user trusts this identity token.
    pub fn trust_identity(&self, identity: &str, user: &str) {
        self.user(user);
        let mut oauth = self.state.oauth.lock().expect("oauth");
        oauth.lifetime = 3600;
        oauth
            .identities
            .insert(identity.to_owned(), user.to_owned());
    }
}

/// `POST /oauth/device`.
pub fn device(state: &State, asked: &Asked) -> Reply {
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    if query_value(&form, "client_id").is_none() {
        return refused("invalid_client");
    }
    let page = format!("{}/oauth/device", state.endpoint());
    Reply::json(&json!({
        "device_code": "device-code-1",
        "user_code": "ABCD-EFGH",
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code=ABCD-EFGH"),
        "interval": 0,
        "expires_in": 20,
    }))
}

/// `POST /oauth/token`.
pub fn token(state: &State, asked: &Asked) -> Reply {
    let text = String::from_utf8_lossy(&asked.body).into_owned();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let field = |name: &str| match json[name].as_str() {
        Some(value) => Some(value.to_owned()),
        None => query_values(&text, name).into_iter().next(),
    };
    let mut oauth = state.oauth.lock().expect("oauth");
    let grant_type = field("grant_type").unwrap_or_default();
    let user = match grant_type.rsplit(':').next().unwrap_or_default() {
        "device_code" => confirmed(&mut oauth, field("device_code")),
        "refresh_token" => refreshed(&mut oauth, &field("refresh_token").unwrap_or_default()),
        "token-exchange" => {
            let subject = field("subject_token").unwrap_or_default();
            let trusted = oauth.identities.get(&subject).cloned();
            trusted
                .filter(|_| field("resource").is_some())
                .ok_or("invalid_grant".to_owned())
        }
        _ => Err("unsupported_grant_type".to_owned()),
    };
    match user {
        Ok(user) => granted(state, &mut oauth, &user, grant_type.ends_with("exchange")),
        Err(error) => refused(&error),
    }
}

fn confirmed(oauth: &mut OAuth, code: Option<String>) -> Result<String, String> {
    if code.as_deref() != Some("device-code-1") {
        return Err("invalid_grant".to_owned());
    }
    match oauth.script.pop_front() {
        Some(error) => Err(error),
        None => oauth
            .user
            .clone()
            .ok_or_else(|| "authorization_pending".to_owned()),
    }
}

fn refreshed(oauth: &mut OAuth, refresh_token: &str) -> Result<String, String> {
    let user = oauth.refresh_tokens.remove(refresh_token);
    if user.is_some() {
        oauth.spent.insert(refresh_token.to_owned());
        oauth.renewed += 1;
    } else if oauth.spent.contains(refresh_token) {
        oauth.reused += 1;
    }
    user.ok_or_else(|| "invalid_grant".to_owned())
}

fn granted(state: &State, oauth: &mut OAuth, user: &str, exchanged: bool) -> Reply {
    oauth.number += 1;
    let number = oauth.number;
    let access_token = format!("hf_oauth_access{number:05}");
    let mut users = state.users.write().expect("users");
    users.add_token(user, &access_token, "", None);
    let mut answer = json!({"access_token": access_token, "token_type": "bearer"});
    if oauth.lifetime > 0 {
        answer["expires_in"] = json!(oauth.lifetime);
    }
    if !exchanged {
        let refresh_token = format!("hf_refresh_rotated{number:05}");
        oauth
            .refresh_tokens
            .insert(refresh_token.clone(), user.to_owned());
        answer["refresh_token"] = json!(refresh_token);
    }
    Reply::json(&answer)
}

/// An error as RFC 6749 words it.
fn refused(error: &str) -> Reply {
    Reply::empty(400).with_json(&json!({"error": error, "error_description": "said the test"}))
}

/// `GET /actions/identity`: gives a job its identity token for the credential `job-credential`.
pub fn identity(asked: &Asked) -> Reply {
    let audience = query_value(&asked.query, "audience").unwrap_or_default();
    if asked.token.as_deref() != Some("job-credential") || audience.is_empty() {
        return Reply::empty(401);
    }
    Reply::json(&json!({"value": "eyJ.identity.token"}))
}
