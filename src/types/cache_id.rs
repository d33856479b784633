//! The names of cached repositories, and the one search for a name that a user typed. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use super::{Repo, RepoType};

/// A repository as the cache commands name it, `model/org/name`. Sorted as that text is.
///
/// The id comes from the name of a folder, so it need not be a [`super::RepoId`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheId {
    /// Model, dataset…
    pub repo_type: RepoType,
    /// `namespace/name`.
    pub id: String,
}

impl CacheId {
    /// Reads `model/org/name`; the case of the type does not matter. `None` when the word does not
    /// start with a type.
    pub fn parse(word: &str) -> Option<CacheId> {
        let (kind, id) = word.split_once('/')?;
        let mut types = RepoType::ALL.into_iter();
        Some(CacheId {
            repo_type: types.find(|t| t.as_str().eq_ignore_ascii_case(kind))?,
            id: id.to_owned(),
        })
    }

    /// Order by type and id, the case of letters apart.
    pub fn cmp_ignoring_case(&self, other: &CacheId) -> Ordering {
        let key = |id: &CacheId| (id.repo_type.as_str(), fold(&id.id));
        key(self).cmp(&key(other))
    }
}

impl Ord for CacheId {
    fn cmp(&self, other: &CacheId) -> Ordering {
        let key = |id: &CacheId| id.repo_type.as_str();
        (key(self), &self.id).cmp(&(key(other), &other.id))
    }
}

impl PartialOrd for CacheId {
    fn partial_cmp(&self, other: &CacheId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.repo_type, self.id)
    }
}

impl From<&Repo> for CacheId {
    fn from(repo: &Repo) -> CacheId {
        CacheId {
            repo_type: repo.repo_type,
            id: repo.id.to_string(),
        }
    }
}

/// A name that exists in several spellings, none of them the one given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {name} could be {}: letters differ in case", candidates.join(" or "))]
pub struct SeveralSpellings {
    /// The name as given.
    pub name: String,
    /// The spellings that exist, sorted.
    pub candidates: Vec<String>,
}

/// Finds a typed name: the one rule of all commands that name something in the cache. The exact
/// spelling always wins. Case is ignored only when nothing is spelled exactly so, and only when a
/// single spelling is left then. Returns every item of that spelling; none when there is no such name.
///
/// # Errors
/// [`SeveralSpellings`].
pub fn find_by_name<T>(
    wanted: &str,
    all: impl IntoIterator<Item = (impl AsRef<str>, T)>,
) -> Result<Vec<T>, SeveralSpellings> {
    let folded = fold(wanted);
    let (mut exact, mut similar) = (Vec::new(), BTreeMap::<String, Vec<T>>::new());
    for (name, item) in all {
        let name = name.as_ref();
        if name == wanted {
            exact.push(item);
        } else if fold(name) == folded {
            similar.entry(name.to_owned()).or_default().push(item);
        }
    }
    if !exact.is_empty() {
        return Ok(exact);
    }
    if similar.len() > 1 {
        return Err(SeveralSpellings {
            name: wanted.to_owned(),
            candidates: similar.into_keys().collect(),
        });
    }
    Ok(similar.into_values().next().unwrap_or_default())
}

/// A text without the case of its letters.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_sorted_as_their_text() {
        for (word, expected) in [
            ("model/o/n", Some("model/o/n")),
            ("DataSet/O/n", Some("dataset/O/n")),
            ("model/gpt2", Some("model/gpt2")),
            ("models/o/n", None),
            ("o/n", None),
            ("model", None),
            ("", None),
        ] {
            let found = CacheId::parse(word).map(|id| id.to_string());
            assert_eq!(found.as_deref(), expected, "{word}");
        }
        let mut ids = ["space/a", "model/b", "model/B", "kernel/a", "dataset/z"]
            .map(|word| CacheId::parse(word).unwrap());
        ids.sort();
        let texts = ids.map(|id| id.to_string());
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn the_exact_spelling_wins_and_case_is_ignored_for_one_thing_alone() {
        for (wanted, there, expected) in [
            ("a/B", &["a/B", "a/b"][..], "[0]"),
            ("a/b", &["a/B", "a/b"], "[1]"),
            (
                "A/b",
                &["a/b", "a/B"],
                "the name A/b could be a/B or a/b: letters differ in case",
            ),
            ("A/B", &["a/b", "a/c"], "[0]"),
            ("A/b", &["a/B", "a/B"], "[0, 1]"),
            ("a/d", &["a/b", "a/c"], "[]"),
            ("", &[], "[]"),
        ] {
            let all = there.iter().enumerate().map(|(index, name)| (name, index));
            let found = match find_by_name(wanted, all) {
                Ok(found) => format!("{found:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{wanted}");
        }
    }
}
