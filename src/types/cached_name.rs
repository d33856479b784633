//! What a user types to name something in the cache. Pure. Grammar: docs/reference.md#names-of-repositories.
//!
//! The grammar is that of [`super::target`] with three additions that need a list of what there is: a name
//! without a kind is of any kind, `model/gpt2` is a kind and a name, and a pattern names several.

use super::cache_id::{CacheId, SeveralSpellings, fold};
use super::pattern::Pattern;
use super::target::{self, Form, TargetError};
use super::{Endpoint, RepoType, Revision, find_by_name};

/// A name of cached repositories, and perhaps a revision and a path in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedName {
    /// In the order in which they are tried: the first that finds something counts.
    readings: Vec<Reading>,
    /// The revision that an address names.
    pub revision: Option<Revision>,
    /// The file or, with a final slash, the folder that an address names.
    pub path: Option<String>,
}

/// One way to understand a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    /// `None`: any kind.
    kind: Option<RepoType>,
    /// An id, or a pattern of ids.
    id: String,
}

/// A name that could mean several repositories and is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// Letters differ in case.
    #[error(transparent)]
    Case(#[from] SeveralSpellings),
    /// Cached as more than one kind.
    #[error("the name {name} could be {}", candidates.join(" or "))]
    Kinds {
        /// The name as typed.
        name: String,
        /// What it could be, as `model/org/name`, sorted.
        candidates: Vec<String>,
    },
}

/// Whether a text holds a wildcard of [`Pattern`].
pub fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

impl CachedName {
    /// Reads a word. A word without an address never fails: it may find nothing.
    ///
    /// # Errors
    /// An `hf://` or web address that names no repository.
    pub fn parse(word: &str, endpoint: &Endpoint) -> Result<CachedName, TargetError> {
        if let Some(pattern) = pattern_in_uri(word) {
            return Ok(pattern);
        }
        match target::form(word) {
            Form::Uri | Form::Web => {
                let found = target::parse(word, None, endpoint)?;
                Ok(CachedName {
                    readings: vec![Reading {
                        kind: Some(found.repo.repo_type),
                        id: found.repo.id.to_string(),
                    }],
                    revision: found.revision,
                    path: found.path,
                })
            }
            Form::Plain | Form::Typed => Ok(CachedName {
                readings: readings(word),
                revision: None,
                path: None,
            }),
        }
    }

    /// A repository of a known kind.
    pub fn of_kind(kind: RepoType, id: &str) -> CachedName {
        CachedName {
            readings: vec![Reading {
                kind: Some(kind),
                id: id.to_owned(),
            }],
            revision: None,
            path: None,
        }
    }

    /// The repositories that are meant, of all there are. The case of letters is ignored when nothing is
    /// spelled as the name is.
    ///
    /// # Errors
    /// [`Unclear`].
    pub fn find<T>(
        &self,
        all: impl IntoIterator<Item = (CacheId, T)>,
    ) -> Result<Vec<(CacheId, T)>, Unclear> {
        let mut all: Vec<(CacheId, Option<T>)> =
            all.into_iter().map(|(id, item)| (id, Some(item))).collect();
        for reading in &self.readings {
            let ids: Vec<&CacheId> = all.iter().map(|(id, _)| id).collect();
            let found = reading.find(&ids)?;
            if !found.is_empty() {
                let taken = found.into_iter().map(|at| {
                    let (id, item) = &mut all[at];
                    Some((id.clone(), item.take()?))
                });
                return Ok(taken.flatten().collect());
            }
        }
        Ok(Vec::new())
    }
}

impl Reading {
    fn is_pattern(&self) -> bool {
        has_wildcard(&self.id) || self.id.ends_with('/')
    }

    /// Places of what is meant.
    fn find(&self, all: &[&CacheId]) -> Result<Vec<usize>, Unclear> {
        let of_kind = all.iter().enumerate();
        let of_kind = of_kind.filter(|(_, id)| self.kind.is_none_or(|kind| kind == id.repo_type));
        if self.is_pattern() {
            let of_kind: Vec<(usize, &&CacheId)> = of_kind.collect();
            let matching = |change: fn(&str) -> String| -> Vec<usize> {
                let pattern = Pattern::new(&change(&self.id));
                // `*/org/name` is of any kind.
                let is_any = self.id.starts_with("*/");
                let matching = of_kind.iter().filter(|(_, id)| {
                    pattern.matches(&change(&id.id))
                        || (is_any && pattern.matches(&change(&id.to_string())))
                });
                matching.map(|(at, _)| *at).collect()
            };
            let exact = matching(str::to_owned);
            return Ok(if exact.is_empty() {
                matching(fold)
            } else {
                exact
            });
        }
        if let Some(kind) = self.kind {
            let named = of_kind.map(|(at, id)| (id.to_string(), at));
            return Ok(find_by_name(&format!("{kind}/{}", self.id), named)?);
        }
        let ids: Vec<(&str, usize)> = of_kind.map(|(at, id)| (id.id.as_str(), at)).collect();
        let found = match find_by_name(&self.id, ids.iter().copied()) {
            Ok(found) => found,
            Err(_) => {
                let folded = fold(&self.id);
                let similar = ids.into_iter().filter(|(id, _)| fold(id) == folded);
                similar.map(|(_, at)| at).collect()
            }
        };
        let mut candidates: Vec<String> = found.iter().map(|&at| all[at].to_string()).collect();
        candidates.sort();
        candidates.dedup();
        match candidates.len() {
            0 | 1 => Ok(found),
            _ => Err(Unclear::Kinds {
                name: self.id.clone(),
                candidates,
            }),
        }
    }
}

/// How a word that is no address can be read: as `model/gpt2`, `models/gpt2` or `models--gpt2`, and as the
/// name of a repository of any kind, whose namespace may be called `model`.
fn readings(word: &str) -> Vec<Reading> {
    let plain = Reading {
        kind: None,
        id: word.to_owned(),
    };
    let split = target::split_folder(word).or_else(|| {
        let (first, rest) = word.split_once('/')?;
        let named = |kind: &RepoType| {
            kind.as_str().eq_ignore_ascii_case(first) || kind.plural().eq_ignore_ascii_case(first)
        };
        Some((RepoType::ALL.into_iter().find(named)?, rest.to_owned()))
    });
    match split {
        Some((kind, id)) => {
            let id = if id.is_empty() { "*".to_owned() } else { id };
            let typed = Reading {
                kind: Some(kind),
                id,
            };
            // As a pattern of names `model/` would mean every repository of a namespace.
            let only = typed.is_pattern();
            [Some(typed), (!only).then_some(plain)]
                .into_iter()
                .flatten()
                .collect()
        }
        None => vec![plain],
    }
}

/// `hf://[datasets/]<pattern>[/path]`, if there is a wildcard before the path.
fn pattern_in_uri(uri: &str) -> Option<CachedName> {
    let body = uri.strip_prefix("hf://")?;
    let (kind, rest) = match body.split_once('/') {
        Some((first, rest)) if RepoType::from_plural(first).is_some() => {
            (RepoType::from_plural(first)?, rest)
        }
        _ => (RepoType::Model, body),
    };
    let mut parts = rest.splitn(3, '/');
    let id = match (parts.next()?, parts.next()) {
        (namespace, Some(name)) => format!("{namespace}/{name}"),
        (name, None) => name.to_owned(),
    };
    if !has_wildcard(&id) {
        return None;
    }
    let path = parts.next().filter(|path| !path.is_empty());
    Some(CachedName {
        path: path.map(str::to_owned),
        ..CachedName::of_kind(kind, &id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: [&str; 9] = [
        "dataset/both",
        "dataset/o/d",
        "model/Case/A",
        "model/both",
        "model/gpt2",
        "model/model/gpt2",
        "model/o/m",
        "model/case/b",
        "space/model/only",
    ];

    fn found(word: &str) -> String {
        let endpoint = Endpoint::parse("http://localhost:8080/hub").unwrap();
        let name = match CachedName::parse(word, &endpoint) {
            Ok(name) => name,
            Err(_) => return "error".to_owned(),
        };
        let all = THERE.map(|id| (CacheId::parse(id).unwrap(), ()));
        let mut text = match name.find(all) {
            Ok(found) => {
                let ids: Vec<String> = found.iter().map(|(id, ())| id.to_string()).collect();
                ids.join(" ")
            }
            Err(error) => format!("{error}"),
        };
        if let Some(revision) = &name.revision {
            text = format!("{text} @{revision}");
        }
        if let Some(path) = &name.path {
            text = format!("{text} :{path}");
        }
        text
    }

    #[test]
    fn every_form() {
        for (word, expected) in [
            ("gpt2", "model/gpt2"),
            ("GPT2", "model/gpt2"),
            ("model/gpt2", "model/gpt2"),
            ("models/gpt2", "model/gpt2"),
            ("models--gpt2", "model/gpt2"),
            ("Model/GPT2", "model/gpt2"),
            ("model/model/gpt2", "model/model/gpt2"),
            ("models--model--gpt2", "model/model/gpt2"),
            ("hf://model/gpt2", "error"),
            ("hf://models/model/gpt2", "model/model/gpt2"),
            ("model/only", "space/model/only"),
            ("space/model/only", "space/model/only"),
            ("o/d", "dataset/o/d"),
            ("datasets/o/d", "dataset/o/d"),
            ("datasets--o--d", "dataset/o/d"),
            ("hf://datasets/o/d", "dataset/o/d"),
            ("hf://o/d", ""),
            ("http://localhost:8080/hub/datasets/o/d", "dataset/o/d"),
            (
                "https://huggingface.co/o/m/blob/v1/a/b.txt",
                "model/o/m @v1 :a/b.txt",
            ),
            ("hf.co/o/m/tree/main", "model/o/m @main"),
            ("hf://o/m@refs/pr/1/f", "model/o/m @refs/pr/1 :f"),
            ("both", "the name both could be dataset/both or model/both"),
            ("dataset/both", "dataset/both"),
            ("datasets/both", "dataset/both"),
            ("bot*", "dataset/both model/both"),
            (
                "model/*",
                "model/Case/A model/both model/gpt2 model/model/gpt2 model/o/m model/case/b",
            ),
            (
                "model/",
                "model/Case/A model/both model/gpt2 model/model/gpt2 model/o/m model/case/b",
            ),
            ("datasets/*", "dataset/both dataset/o/d"),
            ("datasets--o--*", "dataset/o/d"),
            ("hf://datasets/*", "dataset/both dataset/o/d"),
            ("hf://o/*", "model/o/m"),
            ("hf://*/m/f", "model/o/m :f"),
            ("*/o/m", "model/o/m"),
            ("*/gpt2", "model/gpt2 model/model/gpt2"),
            ("o/", "dataset/o/d model/o/m"),
            ("m*", "model/model/gpt2 space/model/only"),
            ("case/*", "model/case/b"),
            ("CASE/*", "model/Case/A model/case/b"),
            ("case/a", "model/Case/A"),
            ("https://huggingface.co/o/*", "error"),
            ("hf://gpt2", "error"),
            ("o", ""),
            ("", ""),
            ("a b", ""),
        ] {
            assert_eq!(found(word), expected, "{word}");
        }
    }
}
