//! The repository argument of a command: `ns/name`, `datasets/ns/name`, `datasets--ns--name`, an `hf://`
//! URI or a pasted web address. Pure, and without a guess: what a name means does not depend on what there
//! is. Names of cached repositories: [`super::cached_name`]. Grammar: docs/reference.md#names-of-repositories.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::types::Endpoint;
use crate::types::{Repo, RepoId, RepoType, Revision};

/// Hosts whose web pages name repositories, besides the endpoint's.
const WEB_HOSTS: [&str; 3] = ["huggingface.co", "hf.co", "hub-ci.huggingface.co"];

/// Routes of a repository page that are followed by a revision and a path.
const ROUTES: [&str; 5] = ["tree", "blob", "resolve", "raw", "blame"];

/// What the argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoTarget {
    /// The repository.
    pub repo: Repo,
    /// The revision, when the argument names one.
    pub revision: Option<Revision>,
    /// A file or, with a final slash, a folder, when the argument names one.
    pub path: Option<String>,
}

/// The argument names no repository. One sentence, for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

fn error<T>(text: impl Into<String>) -> Result<T, TargetError> {
    Err(TargetError(text.into()))
}

impl std::str::FromStr for RepoTarget {
    type Err = TargetError;

    /// `org/name` for a model, `datasets/org/name`, an `hf://` URI or a web address of the public Hub;
    /// the first two may end with `@` and a revision.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let endpoint = Endpoint::default();
        match (form(text), text.split_once('@')) {
            (Form::Plain | Form::Typed, Some((repo, name))) => Ok(RepoTarget {
                revision: Some(revision(name)?),
                ..parse(repo, None, &endpoint)?
            }),
            _ => parse(text, None, &endpoint),
        }
    }
}

/// How an argument is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `ns/name`, without a type.
    Plain,
    /// `datasets/ns/name`, or the name of its folder in the cache, `datasets--ns--name`.
    Typed,
    /// `hf://…`
    Uri,
    /// `https://huggingface.co/…`
    Web,
}

/// Tells the form of an argument, so that options which would contradict it can be refused.
pub fn form(argument: &str) -> Form {
    if argument.starts_with("hf://") {
        Form::Uri
    } else if is_web_address(argument) {
        Form::Web
    } else if split_type(argument).0.is_some() {
        Form::Typed
    } else {
        Form::Plain
    }
}

/// Parses the argument; `repo_type` is the `--repo-type` option, for a plain id.
///
/// # Errors
/// [`TargetError`] saying what is wrong with it.
pub fn parse(
    argument: &str,
    repo_type: Option<RepoType>,
    endpoint: &Endpoint,
) -> Result<RepoTarget, TargetError> {
    match form(argument) {
        Form::Uri => parse_uri(argument),
        Form::Web => parse_web(argument, endpoint),
        Form::Plain | Form::Typed => {
            let (typed, id) = split_type(argument);
            Ok(RepoTarget {
                repo: repo(typed.or(repo_type).unwrap_or(RepoType::Model), &id)?,
                revision: None,
                path: None,
            })
        }
    }
}

fn is_web_address(argument: &str) -> bool {
    let lower = argument.to_ascii_lowercase();
    lower.starts_with("https://")
        || lower.starts_with("http://")
        || WEB_HOSTS.iter().any(|host| {
            lower
                .strip_prefix(host)
                .is_some_and(|rest| rest.starts_with('/'))
        })
}

/// Splits `datasets/ns/name`, `datasets/name`, `dataset/ns/name` and `datasets--ns--name`. `dataset/name` is
/// a plain id, whose namespace is called `dataset`. No namespace has the name of a plural: on the Hub the
/// pages of that kind are there.
fn split_type(argument: &str) -> (Option<RepoType>, Cow<'_, str>) {
    if let Some((kind, id)) = split_folder(argument) {
        return (Some(kind), id.into());
    }
    if let Some((first, rest)) = argument.split_once('/') {
        let singular = || RepoType::ALL.into_iter().find(|t| t.as_str() == first);
        let kind = match RepoType::from_plural(first) {
            None if rest.contains('/') => singular(),
            kind => kind,
        };
        if let Some(kind) = kind.filter(|_| !rest.is_empty()) {
            return (Some(kind), rest.into());
        }
    }
    (None, argument.into())
}

/// Splits the name of a folder in the cache, `datasets--ns--name`. No id has two dashes in a row.
pub(super) fn split_folder(argument: &str) -> Option<(RepoType, String)> {
    let (plural, rest) = argument.split_once("--")?;
    let kind = RepoType::from_plural(plural)?;
    (!rest.is_empty() && !rest.contains('/')).then(|| (kind, rest.replace("--", "/")))
}

fn repo(repo_type: RepoType, id: &str) -> Result<Repo, TargetError> {
    let id: RepoId = id
        .parse()
        .map_err(|error: crate::types::InvalidName| TargetError(format!("the {error}")))?;
    Ok(Repo { repo_type, id })
}

fn revision(text: &str) -> Result<Revision, TargetError> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| TargetError(format!("the revision {text:?} is not UTF-8")))?;
    decoded
        .parse()
        .map_err(|error: crate::types::InvalidName| TargetError(format!("the {error}")))
}

/// `hf://[type/]ns/name[@revision][/path]`. The revision is percent-decoded, the path is not.
fn parse_uri(uri: &str) -> Result<RepoTarget, TargetError> {
    let body = uri.strip_prefix("hf://").unwrap_or(uri);
    let body_without_end = body.strip_suffix('/').unwrap_or(body);
    if body.is_empty() || body_without_end.contains("//") || body.starts_with('/') {
        return error(format!("{uri:?} has an empty part"));
    }
    let (first, rest) = body.split_once('/').unwrap_or((body, ""));
    if first == "buckets" {
        return error(format!(
            "{uri:?} names a bucket, and only repositories can be used here"
        ));
    }
    if let Some(singular) = RepoType::ALL.into_iter().find(|t| t.as_str() == first) {
        return error(format!(
            "write hf://{}/… instead of hf://{first}/…",
            singular.plural()
        ));
    }
    let (repo_type, location) = match RepoType::from_plural(first) {
        Some(repo_type) => (repo_type, rest),
        None => (RepoType::Model, body),
    };
    let (namespace, rest) = match location.split_once('/') {
        Some((namespace, rest)) if !rest.is_empty() && !namespace.contains('@') => {
            (namespace, rest)
        }
        _ => {
            return error(format!(
                "{uri:?} needs a namespace and a name: hf://namespace/name"
            ));
        }
    };
    let (name, revision_text, path) = match rest.find(['@', '/']) {
        Some(at) if rest.as_bytes()[at] == b'@' => {
            let (revision, path) = split_revision(&rest[at + 1..]);
            (&rest[..at], Some(revision), path)
        }
        Some(at) => (&rest[..at], None, &rest[at + 1..]),
        None => (rest, None, ""),
    };
    Ok(RepoTarget {
        repo: repo(repo_type, &format!("{namespace}/{name}"))?,
        revision: revision_text.map(revision).transpose()?,
        path: (!path.is_empty()).then(|| path.to_owned()),
    })
}

/// `refs/pr/N` and `refs/convert/X` are whole revisions; any other one ends at the first slash.
fn split_revision(text: &str) -> (&str, &str) {
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    if let ["refs", "pr" | "convert", last, ..] = parts[..] {
        let length = "refs/".len() + parts[1].len() + 1 + last.len();
        return (&text[..length], text.get(length + 1..).unwrap_or(""));
    }
    text.split_once('/').unwrap_or((text, ""))
}

/// `https://huggingface.co/[datasets/]ns/name[/(tree|blob|resolve|raw)/revision[/path]]`. Query and
/// fragment are dropped.
fn parse_web(address: &str, endpoint: &Endpoint) -> Result<RepoTarget, TargetError> {
    let with_scheme = if address.contains("://") {
        address.to_owned()
    } else {
        format!("https://{address}")
    };
    let url = Url::parse(&with_scheme)
        .map_err(|_| TargetError(format!("{address:?} is not a web address")))?;
    let host = url.host_str().unwrap_or_default();
    let is_endpoint = url.origin() == endpoint.url().origin();
    if !is_endpoint && !WEB_HOSTS.contains(&host) {
        return error(format!("{host:?} is not a host of the Hub"));
    }
    let prefix = if is_endpoint {
        endpoint.url().path().trim_end_matches('/')
    } else {
        ""
    };
    let path = url.path().strip_prefix(prefix).unwrap_or(url.path());
    let is_folder = path.ends_with('/');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (repo_type, parts) = match parts.split_first() {
        Some((first, rest)) if RepoType::from_plural(first).is_some() => (
            RepoType::from_plural(first).unwrap_or(RepoType::Model),
            rest,
        ),
        _ => (RepoType::Model, &parts[..]),
    };
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    // A one-part id (`gpt2`) may stand before a route or alone.
    let id_length = match parts {
        [_] => 1,
        [_, route, ..] if ROUTES.contains(route) && parts.len() > 2 => 1,
        [_, _, ..] => 2,
        [] => return error(format!("{address:?} names no repository")),
    };
    let repo = repo(repo_type, &parts[..id_length].join("/"))?;
    match &parts[id_length..] {
        [] => Ok(RepoTarget {
            repo,
            revision: None,
            path: None,
        }),
        [route, revision_and_path @ ..]
            if ROUTES.contains(route) && !revision_and_path.is_empty() =>
        {
            let decoded: Vec<String> = revision_and_path.iter().map(|part| decode(part)).collect();
            let joined = decoded.join("/");
            // An encoded revision (`refs%2Fpr%2F1`) is one part; a plain one follows the URI rule.
            let (revision_text, rest) = if revision_and_path[0].contains('%') {
                (
                    decoded[0].as_str(),
                    joined[decoded[0].len()..].trim_start_matches('/'),
                )
            } else {
                split_revision(&joined)
            };
            let slash = if is_folder || *route == "tree" {
                "/"
            } else {
                ""
            };
            Ok(RepoTarget {
                repo,
                revision: Some(revision_text.parse().map_err(
                    |error: crate::types::InvalidName| TargetError(format!("the {error}")),
                )?),
                path: (!rest.is_empty()).then(|| format!("{rest}{slash}")),
            })
        }
        _ => error(format!(
            "{address:?} is not the page of a repository, folder or file"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argument: &str) -> String {
        let endpoint = Endpoint::parse("http://localhost:8080/hub").unwrap();
        match parse(argument, Some(RepoType::Space), &endpoint) {
            Ok(target) => format!(
                "{} {} {} {}",
                target.repo.repo_type,
                target.repo.id,
                target.revision.as_ref().map_or("-", Revision::as_str),
                target.path.as_deref().unwrap_or("-")
            ),
            Err(_) => "error".to_owned(),
        }
    }

    #[test]
    fn table() {
        for (argument, expected) in [
            ("gpt2", "space gpt2 - -"),
            ("o/n", "space o/n - -"),
            ("datasets/o/n", "dataset o/n - -"),
            ("models/o/n", "model o/n - -"),
            ("models/n", "model n - -"),
            ("datasets/n", "dataset n - -"),
            ("dataset/n", "space dataset/n - -"),
            ("dataset/o/n", "dataset o/n - -"),
            ("datasets--o--n", "dataset o/n - -"),
            ("models--n", "model n - -"),
            ("models--", "error"),
            ("models--o--n--x", "error"),
            ("model--n", "error"),
            ("datasets/", "error"),
            ("hf://o/n", "model o/n - -"),
            ("hf://datasets/o/n", "dataset o/n - -"),
            ("hf://datasets/o/n@v1/a/b.txt", "dataset o/n v1 a/b.txt"),
            ("hf://o/n@refs/pr/3/a", "model o/n refs/pr/3 a"),
            (
                "hf://o/n@refs/convert/parquet",
                "model o/n refs/convert/parquet -",
            ),
            ("hf://o/n@feature%2Fx/a%20b", "model o/n feature/x a%20b"),
            ("hf://o/n/data/", "model o/n - data/"),
            ("hf://o/n/a@b.txt", "model o/n - a@b.txt"),
            ("hf://o", "error"),
            ("hf://", "error"),
            ("hf://dataset/o/n", "error"),
            ("hf://buckets/o/n", "error"),
            ("hf://o//n", "error"),
            ("hf://datasets/n", "error"),
            ("https://huggingface.co/gpt2", "model gpt2 - -"),
            ("https://huggingface.co/o/n", "model o/n - -"),
            ("huggingface.co/o/n", "model o/n - -"),
            (
                "https://hf.co/datasets/o/n/blob/main/a/b.csv?download=true#L1",
                "dataset o/n main a/b.csv",
            ),
            (
                "https://huggingface.co/o/n/tree/main/sub",
                "model o/n main sub/",
            ),
            (
                "https://huggingface.co/o/n/tree/refs%2Fpr%2F1",
                "model o/n refs/pr/1 -",
            ),
            (
                "https://huggingface.co/o/n/resolve/refs/pr/1/f",
                "model o/n refs/pr/1 f",
            ),
            (
                "https://huggingface.co/o/n/raw/main/a%20b",
                "model o/n main a b",
            ),
            (
                "http://localhost:8080/hub/o/n/blob/main/f",
                "model o/n main f",
            ),
            ("https://huggingface.co/o/n/discussions/3", "error"),
            ("https://example.com/o/n", "error"),
            ("https://huggingface.co/", "error"),
            ("a/b/c", "error"),
            ("", "error"),
        ] {
            assert_eq!(parsed(argument), expected, "{argument}");
        }
    }

    #[test]
    fn targets_of_programs() {
        for (text, expected) in [
            ("gpt2", Some(("model/gpt2", None))),
            (
                "datasets/a/b@refs/pr/1",
                Some(("dataset/a/b", Some("refs/pr/1"))),
            ),
            ("a/b@v1.0", Some(("model/a/b", Some("v1.0")))),
            (
                "hf://datasets/a/b@refs%2Fpr%2F1",
                Some(("dataset/a/b", Some("refs/pr/1"))),
            ),
            ("a/b@", None),
            ("@main", None),
            ("a b", None),
        ] {
            let parsed = text.parse::<RepoTarget>().ok();
            let found = parsed.map(|target| {
                let repo = format!("{}/{}", target.repo.repo_type, target.repo.id);
                (repo, target.revision.map(|revision| revision.to_string()))
            });
            let expected = expected.map(|(repo, at)| (repo.to_owned(), at.map(str::to_owned)));
            assert_eq!(found, expected, "{text}");
        }
    }
}
