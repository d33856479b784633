//! Addresses: from a path to what it asks for, and back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::repo::Kind;

/// A file or folder of a repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    pub id: String,
    pub revision: String,
    /// Empty for the root.
    pub path: String,
}

/// What a path on the Hub's origin asks for. Each area of the Hub answers its own variants in its own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Whoami,
    OauthDevice,
    OauthToken,
    JobIdentity,
    Info(Place),
    Tree(Place),
    PathsInfo(Place),
    Refs(Place),
    XetReadToken(Place),
    Resolve(Place),
    ResolveCache(Place),
    Unknown,
}

impl Route {
    /// Reads a percent-encoded path.
    pub fn parse(path: &str) -> Self {
        let segments: Vec<String> = path
            .trim_start_matches('/')
            .split('/')
            .map(decode)
            .collect();
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let route = match words.as_slice() {
            ["api", "whoami-v2"] => Some(Self::Whoami),
            ["oauth", "device"] => Some(Self::OauthDevice),
            ["oauth", "token"] => Some(Self::OauthToken),
            ["actions", "identity"] => Some(Self::JobIdentity),
            ["api", "resolve-cache", kind, rest @ ..] => resolve_cache(kind, rest),
            ["api", kind, rest @ ..] => Kind::from_plural(kind).and_then(|kind| api(kind, rest)),
            [kind @ ("datasets" | "spaces" | "kernels"), rest @ ..] => {
                Kind::from_plural(kind).and_then(|kind| resolve(kind, rest))
            }
            rest => resolve(Kind::Model, rest),
        };
        route.unwrap_or(Self::Unknown)
    }

    /// The repository it is about.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Info(place)
            | Self::Tree(place)
            | Self::PathsInfo(place)
            | Self::Refs(place)
            | Self::XetReadToken(place)
            | Self::Resolve(place)
            | Self::ResolveCache(place) => Some(place),
            Self::Whoami
            | Self::OauthDevice
            | Self::OauthToken
            | Self::JobIdentity
            | Self::Unknown => None,
        }
    }

    /// The address of the same request for a repository of another name.
    pub fn address(&self, new_id: &str) -> Option<String> {
        let place = self.place()?;
        let (kind, prefix) = (place.kind.plural(), place.kind.prefix());
        let (revision, path) = (encode(&place.revision), encode_path(&place.path));
        let address = match self {
            Self::Info(_) => format!("/api/{kind}/{new_id}/revision/{revision}"),
            Self::Tree(_) => format!("/api/{kind}/{new_id}/tree/{revision}/{path}"),
            Self::PathsInfo(_) => format!("/api/{kind}/{new_id}/paths-info/{revision}"),
            Self::Refs(_) => format!("/api/{kind}/{new_id}/refs"),
            Self::XetReadToken(_) => format!("/api/{kind}/{new_id}/xet-read-token/{revision}"),
            Self::Resolve(_) => format!("/{prefix}{new_id}/resolve/{revision}/{path}"),
            Self::ResolveCache(_)
            | Self::Whoami
            | Self::OauthDevice
            | Self::OauthToken
            | Self::JobIdentity
            | Self::Unknown => return None,
        };
        Some(address.trim_end_matches('/').to_owned())
    }
}

/// Splits `name/…` or `namespace/name/…` before a verb the Hub knows.
fn split_id<'a>(rest: &'a [&'a str], verbs: &[&str]) -> Option<(String, &'a [&'a str])> {
    match rest {
        [_, _, verb, ..] if verbs.contains(verb) => Some((rest[..2].join("/"), &rest[2..])),
        [_, verb, ..] if verbs.contains(verb) => Some((rest[0].to_owned(), &rest[1..])),
        [_, _] => Some((rest.join("/"), &[])),
        [name] if !name.is_empty() => Some(((*name).to_owned(), &[])),
        _ => None,
    }
}

fn api(kind: Kind, rest: &[&str]) -> Option<Route> {
    let verbs = ["revision", "tree", "paths-info", "refs", "xet-read-token"];
    let (id, rest) = split_id(rest, &verbs)?;
    let place = |revision: &str, path: &[&str]| Place {
        kind,
        id,
        revision: revision.to_owned(),
        path: path.join("/"),
    };
    Some(match rest {
        [] => Route::Info(place("main", &[])),
        ["revision", revision] => Route::Info(place(revision, &[])),
        ["tree", revision, path @ ..] => Route::Tree(place(revision, path)),
        ["paths-info", revision] => Route::PathsInfo(place(revision, &[])),
        ["refs"] => Route::Refs(place("", &[])),
        ["xet-read-token", commit] => Route::XetReadToken(place(commit, &[])),
        _ => return None,
    })
}

fn resolve(kind: Kind, rest: &[&str]) -> Option<Route> {
    let (id, rest) = split_id(rest, &["resolve"])?;
    let (revision, path) = match rest {
        ["resolve", "refs", group, name, path @ ..] => (format!("refs/{group}/{name}"), path),
        ["resolve", revision, path @ ..] => ((*revision).to_owned(), path),
        _ => return None,
    };
    let path = path.join("/");
    Some(Route::Resolve(Place {
        kind,
        id,
        revision,
        path,
    }))
}

fn resolve_cache(kind: &str, rest: &[&str]) -> Option<Route> {
    let kind = Kind::from_plural(kind)?;
    let is_commit = |word: &&str| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let at = rest.iter().position(is_commit)?;
    Some(Route::ResolveCache(Place {
        kind,
        id: rest[..at].join("/"),
        revision: rest[at].to_owned(),
        path: rest[at + 1..].join("/"),
    }))
}

/// Percent-decoded text.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// One segment, everything but unreserved characters encoded (RFC 3986 section 2.3).
pub fn encode(segment: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(segment, KEPT).to_string()
}

/// A path, encoded segment by segment.
pub fn encode_path(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(encode).collect();
    segments.join("/")
}

/// The decoded values of a query (or form) field, in order.
pub fn query_values(query: &str, name: &str) -> Vec<String> {
    let fields = query.split('&').filter_map(|field| field.split_once('='));
    fields
        .filter(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(&value.replace('+', " ")))
        .collect()
}

/// The first value of a query field.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query_values(query, name).into_iter().next()
}
