//! From a request to its answer: read it, let faults strike, route, answer, put it on the wire.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::auth::{Sender, Users};
use super::body::{Damage, End, SendBody};
use super::content::Content;
use super::faults::{self, Fault, Faults};
use super::log::{Log, Origin, Record, Request};
use super::oauth::{self, OAuth};
use super::reply::{Payload, Reply};
use super::repo::{Kind, Repo};
use super::route::{Place, Route, decode};
use super::wire::{Tls, Wire};
use super::xet::{self, XetGate};
use super::{Settings, api, auth, cdn, resolve};

/// Everything both servers share.
#[derive(Debug)]
pub struct State {
    pub settings: RwLock<Settings>,
    /// Present when the Hub is served over https.
    pub tls: Option<Tls>,
    pub hub_address: SocketAddr,
    pub cdn_address: SocketAddr,
    /// By kind and id: `models/org/name`.
    pub repos: RwLock<BTreeMap<String, Repo>>,
    /// Former names and the ids that replaced them.
    pub renamed: RwLock<BTreeMap<String, String>>,
    /// Large files by SHA-256.
    pub blobs: RwLock<HashMap<String, Content>>,
    /// Signatures of links that the CDN will not serve any more.
    pub expired: Mutex<HashSet<String>>,
    pub users: RwLock<Users>,
    pub oauth: Mutex<OAuth>,
    pub faults: Faults,
    pub log: Log,
    /// Sent as `X-HF-Warning` with every answer of the Hub.
    pub warnings: RwLock<Vec<String>>,
    /// Address and tokens of Xet storage, when there is one.
    pub xet: RwLock<Option<XetGate>>,
    pub numbers: AtomicU64,
}

impl State {
    /// A copy of the settings now in force.
    pub fn settings(&self) -> Settings {
        self.settings.read().expect("settings").clone()
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Base address of the Hub, path prefix included.
    pub fn endpoint(&self) -> String {
        format!(
            "{}://{}{}",
            self.scheme(),
            self.hub_address,
            self.settings().path_prefix
        )
    }

    /// What links to the Hub begin with.
    pub fn link_base(&self) -> String {
        if self.settings().public_links {
            "https://huggingface.co".to_owned()
        } else {
            self.endpoint()
        }
    }

    /// A redirect within the Hub: a path, or from a mirror the public address.
    pub fn own_redirect(&self, path: &str) -> Reply {
        if self.settings().public_links {
            Reply::redirect(307, &format!("{}{path}", self.link_base()))
        } else {
            Reply::redirect(307, path)
        }
    }

    /// Base address of the CDN.
    pub fn cdn_origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.cdn_address)
    }

    /// The name under which a repository is kept.
    pub fn key(kind: Kind, id: &str) -> String {
        format!("{}/{id}", kind.plural())
    }

    /// A number not given before.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, SeqCst)
    }

    /// The range asked for, unless a fault hides it.
    pub fn range(&self, asked: &Asked) -> Option<String> {
        let range = asked.range.clone()?;
        let is_of_ranges =
            |fault: &Fault| matches!(fault, Fault::IgnoreRange | Fault::ShortRange { .. });
        match self.faults.strike(asked, is_of_ranges) {
            Some(Fault::ShortRange { most }) => Some(shortened(&range, most)),
            Some(_) => None,
            None => Some(range),
        }
    }
}

/// `bytes=5-` or `bytes=5-99` with at most this many bytes.
fn shortened(range: &str, most: u64) -> String {
    let numbers = range.strip_prefix("bytes=").and_then(|range| {
        let (first, last) = range.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()))
    });
    let Some((first, last)) = numbers else {
        return range.to_owned();
    };
    let last = last.unwrap_or(u64::MAX).min(first + most - 1);
    format!("bytes={first}-{last}")
}

/// A request, read.
#[derive(Debug)]
pub struct Asked {
    pub origin: Origin,
    pub method: String,
    /// Percent-encoded, without the endpoint's path prefix.
    pub path: String,
    pub query: String,
    /// Decoded `path?query`: what the rules of faults look at.
    pub subject: String,
    pub range: Option<String>,
    pub token: Option<String>,
    pub sender: Sender,
    pub body: Bytes,
}

impl Asked {
    /// The request carries an `authorization` header of any form.
    pub fn authorized(&self) -> bool {
        self.token.is_some()
    }
}

/// Answers one request.
pub async fn handle(
    state: Arc<State>,
    origin: Origin,
    wire: Arc<Wire>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<SendBody>, Infallible> {
    let (asked, record) = read(&state, origin, wire.encrypted, request).await;
    let settings = state.settings();
    // Even a sleep of no time waits for the next tick of the timer, a millisecond.
    if !settings.latency.is_zero() {
        tokio::time::sleep(settings.latency).await;
    }
    let mut wrong = Damage {
        rate: settings.bandwidth,
        ..Damage::default()
    };
    let mut reply = match state.faults.strike_before(&asked).await {
        Some(Fault::NeverAnswer) => std::future::pending().await,
        Some(Fault::Waits { part, bytes }) => {
            let sent = || state.log.content_bytes(|r| r.path.contains(part));
            while sent() < bytes {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            answer(&state, &asked)
        }
        Some(Fault::StalledError { code }) => {
            wrong.cut = Some((1, End::Stall));
            Reply::error(code, None, "A fault was asked for")
        }
        Some(fault) => struck(&state, &asked, &fault),
        None => answer(&state, &asked),
    };
    if reply.status < 400
        && let Some(Fault::Headers(headers)) = state.faults.strike(&asked, faults::on_head)
    {
        replace_headers(&mut reply, &headers);
    }
    // Parsing a long listing takes longer than making it: only when it is to be damaged.
    if reply.is_success()
        && !state.faults.is_empty()
        && let Payload::Text(text) = &reply.body
        && let Ok(json) = serde_json::from_slice(text)
    {
        match state.faults.strike(&asked, faults::on_json) {
            Some(Fault::MalformedJson) => {
                reply.body = Payload::Text(text.slice(..text.len() / 2));
            }
            Some(Fault::WrongTypes) => {
                let wrong = faults::wrong_types(&json).to_string();
                reply.body = Payload::Text(wrong.into());
            }
            Some(Fault::RepeatedRows { differing }) => {
                let repeated = faults::repeated(&json, differing).to_string();
                reply.body = Payload::Text(repeated.into());
            }
            _ => {}
        }
    }
    let mut length_error = 0;
    if reply.is_success()
        && asked.method != "HEAD"
        && let Some(fault) = state.faults.strike(&asked, faults::on_body)
    {
        length_error = damage(&fault, &mut reply, &mut wrong);
    }
    Ok(to_wire(
        &state,
        &asked,
        reply,
        wrong,
        length_error,
        wire,
        record,
    ))
}

/// Reads a request and opens its record.
async fn read(
    state: &State,
    origin: Origin,
    encrypted: bool,
    request: hyper::Request<Incoming>,
) -> (Asked, Arc<Record>) {
    let (parts, body) = request.into_parts();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    let token = header("authorization").map(|value| match value.strip_prefix("Bearer ") {
        Some(token) => token.to_owned(),
        None => value,
    });
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let record = state.log.begin(Request {
        origin,
        encrypted,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.clone(),
        range: header("range"),
        authorization: token.clone(),
        user_agent: header("user-agent"),
        headers: headers.clone(),
        shared: parts.version == hyper::Version::HTTP_2,
        status: 0,
        body_bytes_sent: 0,
        content: false,
    });
    let prefix = state.settings().path_prefix;
    let path = parts.uri.path();
    let path = path
        .strip_prefix(prefix.as_str())
        .unwrap_or(path)
        .to_owned();
    let body = body.collect().await.map(|body| body.to_bytes());
    let sender = state.users.read().expect("users").sender(token.as_deref());
    let asked = Asked {
        origin,
        method: parts.method.to_string(),
        subject: decode(&format!("{path}?{query}")),
        path,
        query,
        range: header("range"),
        token,
        sender,
        body: body.unwrap_or_default(),
    };
    (asked, record)
}

/// What a fault answers before the request is looked at.
fn struck(state: &State, asked: &Asked, fault: &Fault) -> Reply {
    let own = format!("{}?{}", asked.path, asked.query);
    let own = own.trim_end_matches('?');
    match fault {
        Fault::Status { code, headers } => {
            let mut reply = Reply::error(*code, None, "A fault was asked for");
            for (name, value) in headers {
                let same = |header: &(&str, String)| header.0.eq_ignore_ascii_case(name);
                reply.headers.retain(|header| !same(header));
                reply = reply.header(leak(name), value);
            }
            reply
        }
        Fault::Body(content_type, text) => {
            let mut reply = Reply::empty(200).header("Content-Type", *content_type);
            reply.body = Payload::Text((*text).into());
            reply
        }
        Fault::RedirectLoop => Reply::redirect(302, own),
        Fault::ForeignRedirect(address) => Reply::redirect(302, address),
        Fault::HttpDowngrade => Reply::redirect(302, &format!("http://{}{own}", state.hub_address)),
        other => unreachable!("{other:?} strikes at another moment"),
    }
}

/// Header names live for the process: faults name a handful of them.
fn leak(name: &str) -> &'static str {
    String::leak(name.to_owned())
}

/// The answer without a fault.
fn answer(state: &State, asked: &Asked) -> Reply {
    if asked.origin == Origin::Cdn {
        return cdn::answer(state, asked);
    }
    let route = Route::parse(&asked.path);
    if route == Route::Whoami {
        return auth::whoami(state, asked);
    }
    match route {
        Route::OauthDevice => return oauth::device(state, asked),
        Route::OauthToken => return oauth::token(state, asked),
        Route::JobIdentity => return oauth::identity(asked),
        _ => {}
    }
    if asked.sender == Sender::Unknown {
        return auth::bad_token();
    }
    if let Some(reply) = renamed(state, asked, &route) {
        return reply;
    }
    type Area = fn(&State, &Asked, &Place) -> Reply;
    let (area, place): (Area, &Place) = match &route {
        Route::Info(place) => (api::info, place),
        Route::Tree(place) => (api::tree, place),
        Route::PathsInfo(place) => (api::paths_info, place),
        Route::Refs(place) => (api::refs, place),
        Route::XetReadToken(place) => (xet::read_token, place),
        Route::Resolve(place) => (resolve::resolve, place),
        Route::ResolveCache(place) => (resolve::resolve_cache, place),
        Route::Whoami
        | Route::OauthDevice
        | Route::OauthToken
        | Route::JobIdentity
        | Route::Unknown => {
            return Reply::error(
                404,
                None,
                "Sorry, we can't find the page you are looking for.",
            );
        }
    };
    area(state, asked, place)
}

/// 307 to the new address when the repository was renamed.
fn renamed(state: &State, asked: &Asked, route: &Route) -> Option<Reply> {
    let place = route.place()?;
    let names = state.renamed.read().expect("renamed");
    let new_id = names.get(&State::key(place.kind, &place.id))?;
    let address = route.address(new_id)?;
    let query = if asked.query.is_empty() {
        String::new()
    } else {
        format!("?{}", asked.query)
    };
    Some(state.own_redirect(&format!("{address}{query}")))
}

/// Replaces the headers of the same names; an empty value removes them.
fn replace_headers(reply: &mut Reply, headers: &[(&'static str, &'static [u8])]) {
    for (name, value) in headers {
        reply
            .headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            reply.raw_headers.push((name, value));
        }
    }
}

/// Applies a fault of the body; returns the error in bytes to put into `Content-Length`.
fn damage(fault: &Fault, reply: &mut Reply, wrong: &mut Damage) -> i64 {
    match *fault {
        Fault::ResetMidBody { after_bytes } => wrong.cut = Some((after_bytes, End::Reset)),
        Fault::CloseEarly { after_bytes } => wrong.cut = Some((after_bytes, End::Close)),
        Fault::Stall { after_bytes } => wrong.cut = Some((after_bytes, End::Stall)),
        Fault::Trickle { bytes_per_second } => wrong.rate = Some(bytes_per_second),
        Fault::WrongBytes => wrong.flip = true,
        Fault::WrongContentLength { off_by } => return off_by,
        Fault::Gzip => {
            let plain = match &reply.body {
                Payload::Text(text) => text.clone(),
                Payload::File(content, range) => content
                    .to_bytes()
                    .slice(range.start as usize..range.end as usize),
            };
            reply.body = Payload::Text(faults::gzip(&plain).into());
            reply.headers.push(("Content-Encoding", "gzip".to_owned()));
        }
        ref other => unreachable!("{other:?} strikes at another moment"),
    }
    0
}

fn to_wire(
    state: &State,
    asked: &Asked,
    reply: Reply,
    wrong: Damage,
    length_error: i64,
    wire: Arc<Wire>,
    record: Arc<Record>,
) -> hyper::Response<SendBody> {
    let ranges = reply
        .headers
        .iter()
        .any(|(name, _)| *name == "Accept-Ranges");
    record.answered(reply.status, reply.is_success() && ranges);
    let said = |fault: &Fault| asked.method == "HEAD" && matches!(fault, Fault::HeadLength(_));
    let length = match state.faults.strike(asked, said) {
        Some(Fault::HeadLength(length)) => length,
        _ => reply.body.len().saturating_add_signed(length_error),
    };
    let number = state.next_number();
    let mut response = hyper::Response::builder()
        .status(reply.status)
        .header("Content-Length", length)
        .header("X-Request-Id", format!("Root=1-local-{number:016x}"));
    for (name, value) in &reply.headers {
        // Texts of errors may hold a file name in any script: headers are sent as UTF-8 bytes, without control characters.
        let safe: String = value.chars().filter(|c| !c.is_control()).collect();
        response = response.header(*name, safe.as_bytes());
    }
    for (name, value) in &reply.raw_headers {
        response = response.header(*name, *value);
    }
    if asked.origin == Origin::Hub {
        for warning in state.warnings.read().expect("warnings").iter() {
            response = response.header("X-HF-Warning", warning);
        }
    }
    let payload = if asked.method == "HEAD" {
        Payload::Text(Bytes::new())
    } else {
        reply.body
    };
    let body = SendBody::new(payload, wrong, wire, record);
    response.body(body).expect("a valid answer")
}
