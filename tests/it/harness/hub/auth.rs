//! Users, their tokens, and what a token may read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::content::sha1_hex;
use super::reply::Reply;
use super::repo::{Access, Repo};
use super::server::{Asked, State};

/// What a request's token says about its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    Anonymous,
    User(String),
    /// An unknown token.
    Unknown,
}

#[derive(Debug, Default)]
struct User {
    orgs: BTreeSet<String>,
}

#[derive(Debug)]
struct TokenInfo {
    user: String,
    role: String,
    display_name: Option<String>,
}

/// All users.
#[derive(Debug, Default)]
pub struct Users {
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, TokenInfo>,
}

impl Users {
    /// Makes sure a user exists.
    pub fn ensure(&mut self, name: &str) {
        self.users.entry(name.to_owned()).or_default();
    }

    /// Gives a user a token; without a display name it is one issued by the browser login.
    pub fn add_token(&mut self, user: &str, token: &str, role: &str, display_name: Option<&str>) {
        let info = TokenInfo {
            user: user.to_owned(),
            role: role.to_owned(),
            display_name: display_name.map(str::to_owned),
        };
        self.tokens.insert(token.to_owned(), info);
    }

    /// Makes a user a member of an organisation.
    pub fn join(&mut self, user: &str, org: &str) {
        let user = self.users.entry(user.to_owned()).or_default();
        user.orgs.insert(org.to_owned());
    }

    /// Makes a token unknown.
    pub fn revoke(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Who sent a request with this token.
    pub fn sender(&self, token: Option<&str>) -> Sender {
        match token {
            None => Sender::Anonymous,
            Some(token) => match self.tokens.get(token) {
                Some(info) => Sender::User(info.user.clone()),
                None => Sender::Unknown,
            },
        }
    }

    /// The user owns the namespace or belongs to it.
    fn belongs(&self, user: &str, namespace: &str) -> bool {
        let orgs = self.users.get(user).map(|user| &user.orgs);
        user == namespace || orgs.is_some_and(|orgs| orgs.contains(namespace))
    }

    fn named(&self, sender: &Sender, repo: &Repo) -> bool {
        let Sender::User(user) = sender else {
            return false;
        };
        let namespace = repo.id.split('/').next().unwrap_or_default();
        repo.allowed.contains(user) || self.belongs(user, namespace)
    }

    /// `None` when the sender may see the repository's listing, else the refusal.
    pub fn refuse_listing(&self, sender: &Sender, repo: &Repo) -> Option<Reply> {
        match repo.access {
            Access::Public | Access::Gated => None,
            Access::Private if self.named(sender, repo) => None,
            Access::Private => Some(no_such_repository(sender)),
            Access::Disabled => Some(Reply::error(
                403,
                None,
                "Access to this resource is disabled.",
            )),
        }
    }

    /// `None` when the sender may fetch the repository's files, else the refusal.
    pub fn refuse_files(&self, sender: &Sender, repo: &Repo, endpoint: &str) -> Option<Reply> {
        if repo.access != Access::Gated || self.named(sender, repo) {
            return self.refuse_listing(sender, repo);
        }
        let what = format!("Access to {} {}", repo.kind.singular(), repo.id);
        let page = format!("{endpoint}/{}{}", repo.kind.prefix(), repo.id);
        let (status, rest) = match sender {
            Sender::User(_) => (
                403,
                format!(
                    "is restricted and you are not in the authorized list. Visit {page} to ask for access."
                ),
            ),
            _ => (
                401,
                "is restricted. You must have access to it and be authenticated to access it. Please log in."
                    .to_owned(),
            ),
        };
        let code = Some("GatedRepo");
        Some(Reply::error(status, code, &format!("{what} {rest}")))
    }

    fn whoami(&self, token: Option<&str>, endpoint: &str) -> Option<Value> {
        let info = self.tokens.get(token?)?;
        let user = self.users.get(&info.user)?;
        let account = |kind: &str, name: &str| {
            json!({
                "type": kind,
                "id": &sha1_hex(&[kind.as_bytes(), name.as_bytes()])[..24],
                "name": name,
                "fullname": name,
                "canPay": false,
                "periodEnd": null,
                "avatarUrl": format!("{endpoint}/avatars/{name}.svg"),
            })
        };
        let mut answer = account("user", &info.user);
        answer["email"] = json!(format!("{}@example.com", info.user));
        answer["emailVerified"] = json!(true);
        answer["isPro"] = json!(false);
        let orgs = user.orgs.iter().map(|org| {
            let mut entry = account("org", org);
            entry["roleInOrg"] = json!("contributor");
            entry
        });
        answer["orgs"] = orgs.collect();
        answer["auth"] = match &info.display_name {
            Some(name) => json!({
                "type": "access_token",
                "accessToken": {"displayName": name, "role": info.role, "createdAt": "2026-01-01T00:00:00.000Z"},
            }),
            None => json!({"type": "oauth", "expiresAt": "2030-01-01T00:00:00.000Z"}),
        };
        Some(answer)
    }
}

/// The Hub answers the same for a missing repository and a private one. Without a token it asks for one: 401, and no error code.
pub fn no_such_repository(sender: &Sender) -> Reply {
    match sender {
        Sender::User(_) => Reply::error(404, Some("RepoNotFound"), "Repository not found"),
        _ => asks_for_a_token(),
    }
}

fn asks_for_a_token() -> Reply {
    let challenge = "Bearer realm=\"Authentication required\", charset=\"UTF-8\"";
    Reply::error(401, None, "Invalid username or password.").header("WWW-Authenticate", challenge)
}

/// The answer to every request with an unknown token.
pub fn bad_token() -> Reply {
    Reply::error(401, None, "Invalid credentials in Authorization header")
}

/// `GET /api/whoami-v2`.
pub fn whoami(state: &State, asked: &Asked) -> Reply {
    let users = state.users.read().expect("users");
    match users.whoami(asked.token.as_deref(), &state.endpoint()) {
        Some(answer) => Reply::json(&answer),
        None if asked.token.is_some() => bad_token(),
        None => asks_for_a_token(),
    }
}
