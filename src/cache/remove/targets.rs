//! What `cache rm` was asked to remove, found in a report. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cache::scan::report::{CacheReport, Problem};
use crate::types::CommitHash;

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `type/id`, as typed: see [`by_name`].
    Repo(String),
    /// A commit or the beginning of one, in lower case.
    Commit(String),
    /// A file of a repository, in every revision that has it.
    File {
        /// As in [`Target::Repo`].
        repo: String,
        /// Path in the repository, as typed: see [`by_name`].
        path: String,
    },
}

/// The targets make no sense together, or one of them stands for several things.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A short commit that several commits begin with.
    #[error("the commit {prefix} could be {}", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// All commits it could be.
        candidates: Vec<String>,
    },
    /// A name that is there in several spellings, none of them the one given.
    #[error("{name} could be {}: letters differ in case", candidates.join(" or "))]
    Case {
        /// What was asked for.
        name: String,
        /// The spellings that are there.
        candidates: Vec<String>,
    },
    /// Files beside repositories or revisions.
    #[error("files cannot be removed together with repositories or revisions")]
    Mixed,
}

/// What was found: indices into the report.
#[derive(Debug, Default)]
pub struct Selection<'a> {
    /// Repository → its revisions to remove. All of them: the repository goes.
    pub repos: BTreeMap<usize, BTreeSet<usize>>,
    /// Damaged folders that were named.
    pub damaged: Vec<&'a Problem>,
    /// (repository, revision, file) to remove.
    pub files: BTreeSet<(usize, usize, usize)>,
    /// Targets that are not in the cache, as typed.
    pub missing: Vec<String>,
}

impl Target {
    /// The target that a word stands for, `hf://` apart. A word of hex digits alone is a commit;
    /// ids of the cache always have a slash.
    pub fn of_word(word: &str) -> Target {
        let is_commit = (CommitHash::FEWEST_DIGITS..=CommitHash::DIGITS).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_commit {
            Target::Commit(word.to_lowercase())
        } else {
            Target::Repo(word.to_owned())
        }
    }
}

/// What a typed name stands for among those that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named<T> {
    /// Spelled exactly so; or the only one that differs in the case of its letters alone.
    Found(T),
    /// None is spelled exactly so, and several differ in case alone: their names.
    Several(Vec<String>),
    /// None.
    Nothing,
}

/// Finds a typed name: THE rule of all commands that name something in the cache. The exact spelling
/// wins always; the case of letters is ignored when nothing is spelled so and one thing alone is
/// spelled so but for its case. What has the same name twice is one thing.
pub fn by_name<N: AsRef<str>, T>(
    wanted: &str,
    all: impl IntoIterator<Item = (N, T)>,
) -> Named<Vec<T>> {
    let folded = wanted.to_lowercase();
    let (mut exact, mut similar) = (Vec::new(), BTreeMap::<String, Vec<T>>::new());
    for (name, item) in all {
        let name = name.as_ref();
        if name == wanted {
            exact.push(item);
        } else if name.to_lowercase() == folded {
            similar.entry(name.to_owned()).or_default().push(item);
        }
    }
    if !exact.is_empty() {
        return Named::Found(exact);
    }
    if similar.len() > 1 {
        return Named::Several(similar.into_keys().collect());
    }
    match similar.pop_first() {
        Some((_, items)) => Named::Found(items),
        None => Named::Nothing,
    }
}

/// A repository of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RepoIndex {
    Healthy(usize),
    Damaged(usize),
}

/// The repositories that a typed `type/id` stands for. Types are words of ours: their case is none.
fn repos_by_name(report: &CacheReport, id: &str) -> Named<Vec<RepoIndex>> {
    let wanted = match id.split_once('/') {
        Some((kind, rest)) => format!("{}/{rest}", kind.to_lowercase()),
        None => id.to_owned(),
    };
    let healthy = report.repos.iter().enumerate();
    let damaged = report.problems.iter().enumerate();
    let damaged = damaged.filter_map(|(index, problem)| {
        let (kind, id) = problem.repo()?;
        Some((format!("{kind}/{id}"), RepoIndex::Damaged(index)))
    });
    let all = healthy.map(|(index, repo)| (repo.cache_id(), RepoIndex::Healthy(index)));
    by_name(&wanted, all.chain(damaged))
}

/// Finds the targets, each given with the word that the user typed.
///
/// # Errors
/// [`TargetError`].
pub fn select<'a>(
    report: &'a CacheReport,
    targets: &[(String, Target)],
) -> Result<Selection<'a>, TargetError> {
    let files = targets
        .iter()
        .filter(|(_, target)| matches!(target, Target::File { .. }))
        .count();
    if files != 0 && files != targets.len() {
        return Err(TargetError::Mixed);
    }
    let mut selection = Selection::default();
    for (word, target) in targets {
        let found = match target {
            Target::Repo(id) => select_repo(report, id, &mut selection)?,
            Target::Commit(prefix) => select_commit(report, prefix, &mut selection)?,
            Target::File { repo, path } => select_file(report, repo, path, &mut selection)?,
        };
        if !found {
            selection.missing.push(word.clone());
        }
    }
    Ok(selection)
}

fn select_repo<'a>(
    report: &'a CacheReport,
    id: &str,
    selection: &mut Selection<'a>,
) -> Result<bool, TargetError> {
    let found = unambiguous(id, repos_by_name(report, id))?;
    for &index in &found {
        match index {
            RepoIndex::Healthy(index) => {
                let all = 0..report.repos[index].revisions.len();
                selection.repos.entry(index).or_default().extend(all);
            }
            RepoIndex::Damaged(index) => {
                let problem = &report.problems[index];
                if selection.damaged.iter().all(|d| d.folder != problem.folder) {
                    selection.damaged.push(problem);
                }
            }
        }
    }
    Ok(!found.is_empty())
}

fn unambiguous<T>(name: &str, named: Named<Vec<T>>) -> Result<Vec<T>, TargetError> {
    match named {
        Named::Found(items) => Ok(items),
        Named::Nothing => Ok(Vec::new()),
        Named::Several(candidates) => Err(TargetError::Case {
            name: name.to_owned(),
            candidates,
        }),
    }
}

fn select_commit(
    report: &CacheReport,
    prefix: &str,
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut commits = BTreeSet::new();
    let mut places = Vec::new();
    for (index, repo) in report.repos.iter().enumerate() {
        for (number, revision) in repo.revisions.iter().enumerate() {
            if revision.commit.to_lowercase().starts_with(prefix) {
                commits.insert(revision.commit.clone());
                places.push((index, number));
            }
        }
    }
    if commits.len() > 1 {
        return Err(TargetError::Ambiguous {
            prefix: prefix.to_owned(),
            candidates: commits.into_iter().collect(),
        });
    }
    for (repo, revision) in &places {
        selection.repos.entry(*repo).or_default().insert(*revision);
    }
    Ok(!places.is_empty())
}

fn select_file(
    report: &CacheReport,
    id: &str,
    path: &str,
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut files = Vec::new();
    for repo in unambiguous(id, repos_by_name(report, id))? {
        let RepoIndex::Healthy(index) = repo else {
            continue;
        };
        for (number, revision) in report.repos[index].revisions.iter().enumerate() {
            for (file, cached) in revision.files.iter().enumerate() {
                let name = String::from_utf8_lossy(&cached.path).into_owned();
                files.push((name, (index, number, file)));
            }
        }
    }
    let found = unambiguous(path, by_name(path, files))?;
    let is_there = !found.is_empty();
    selection.files.extend(found);
    Ok(is_there)
}

/// What `cache prune` removes: revisions that no ref names.
pub fn detached(report: &CacheReport) -> Selection<'_> {
    let mut selection = Selection::default();
    for (index, repo) in report.repos.iter().enumerate() {
        let detached: BTreeSet<usize> = (0..repo.revisions.len())
            .filter(|&number| repo.revisions[number].refs.is_empty())
            .collect();
        if !detached.is_empty() {
            selection.repos.insert(index, detached);
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::scan::{Detail, scan};

    /// Two models, one with two revisions, and a damaged dataset.
    fn cache() -> (tempfile::TempDir, CacheReport) {
        let folder = tempfile::tempdir().unwrap();
        for (repo, commit) in [
            ("models--Org--a", "aaaa1111"),
            ("models--Org--a", "aaaa2222"),
            ("models--b", "bbbb1111"),
            ("datasets--bad", ""),
        ] {
            let snapshot = folder.path().join(repo).join("snapshots").join(commit);
            std::fs::create_dir_all(&snapshot).unwrap();
            std::fs::write(snapshot.join("f"), "x").unwrap();
        }
        let report = scan(folder.path(), Detail::Files).unwrap();
        (folder, report)
    }

    /// The selection as text.
    fn selected(words: &[&str]) -> String {
        let (_folder, report) = cache();
        let targets: Vec<(String, Target)> = words
            .iter()
            .map(|&word| {
                let target = match word.strip_prefix("file:") {
                    Some(path) => Target::File {
                        repo: "model/org/a".to_owned(),
                        path: path.to_owned(),
                    },
                    None => Target::of_word(word),
                };
                (word.to_owned(), target)
            })
            .collect();
        match select(&report, &targets) {
            Ok(found) => format!(
                "{:?} damaged {} files {} missing {:?}",
                found.repos,
                found.damaged.len(),
                found.files.len(),
                found.missing
            ),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn the_exact_spelling_wins_and_case_is_ignored_for_one_thing_alone() {
        for (wanted, there, expected) in [
            ("a/B", &["a/B", "a/b"][..], "Found([0])"),
            ("a/b", &["a/B", "a/b"], "Found([1])"),
            ("A/b", &["a/B", "a/b"], "Several([\"a/B\", \"a/b\"])"),
            ("A/B", &["a/b", "a/c"], "Found([0])"),
            ("A/b", &["a/B", "a/B"], "Found([0, 1])"),
            ("a/d", &["a/b", "a/c"], "Nothing"),
            ("", &[], "Nothing"),
        ] {
            let all = there.iter().enumerate().map(|(index, name)| (name, index));
            assert_eq!(format!("{:?}", by_name(wanted, all)), expected, "{wanted}");
        }
    }

    /// Repositories, and files of one, that differ in case alone.
    #[test]
    fn twins() {
        let folder = tempfile::tempdir().unwrap();
        for (repo, file) in [
            ("models--o--m", "f"),
            ("models--O--M", "f"),
            ("models--O--M", "F"),
            ("datasets--o--One", "f"),
        ] {
            let snapshot = folder.path().join(repo).join("snapshots/c");
            std::fs::create_dir_all(&snapshot).unwrap();
            std::fs::write(snapshot.join(file), "x").unwrap();
        }
        let report = scan(folder.path(), Detail::Files).unwrap();
        let ids: Vec<String> = report.repos.iter().map(|repo| repo.cache_id()).collect();
        assert_eq!(ids, ["dataset/o/One", "model/O/M", "model/o/m"]);
        let repo = |id: &str| Target::Repo(id.to_owned());
        let file = |repo: &str, path: &str| Target::File {
            repo: repo.to_owned(),
            path: path.to_owned(),
        };
        for (target, expected) in [
            (repo("model/o/m"), "{2: {0}} {}"),
            (repo("MODEL/o/m"), "{2: {0}} {}"),
            (repo("model/O/M"), "{1: {0}} {}"),
            (
                repo("model/O/m"),
                "model/O/m could be model/O/M or model/o/m",
            ),
            (repo("dataset/O/one"), "{0: {0}} {}"),
            (file("model/O/M", "f"), "{} {(1, 0, 1)}"),
            (file("model/O/M", "F"), "{} {(1, 0, 0)}"),
            (file("model/o/m", "F"), "{} {(2, 0, 0)}"),
            (
                file("model/O/m", "f"),
                "model/O/m could be model/O/M or model/o/m",
            ),
        ] {
            let found = match select(&report, &[(String::new(), target.clone())]) {
                Ok(found) => format!("{:?} {:?}", found.repos, found.files),
                Err(error) => error.to_string(),
            };
            assert!(found.starts_with(expected), "{target:?}: {found}");
        }
    }

    #[test]
    fn targets() {
        for (words, expected) in [
            (
                &["MODEL/org/A"][..],
                "{0: {0, 1}} damaged 0 files 0 missing []",
            ),
            (&["aaaa2222"], "{0: {1}} damaged 0 files 0 missing []"),
            (&["AAAA2"], "{0: {1}} damaged 0 files 0 missing []"),
            (
                &["aaaa1", "model/b", "aaaa1111"],
                "{0: {0}, 1: {0}} damaged 0 files 0 missing []",
            ),
            (&["b"], "{} damaged 0 files 0 missing [\"b\"]"),
            (&["bbb"], "{} damaged 0 files 0 missing [\"bbb\"]"),
            (&["cccc"], "{} damaged 0 files 0 missing [\"cccc\"]"),
            (&["dataset/bad"], "{} damaged 1 files 0 missing []"),
            (
                &["dataset/bad", "dataset/BAD"],
                "{} damaged 1 files 0 missing []",
            ),
            (&["file:f"], "{} damaged 0 files 2 missing []"),
            (&["file:g"], "{} damaged 0 files 0 missing [\"file:g\"]"),
            (&["file:f", "model/b"], "Mixed"),
            (
                &["aaaa"],
                "Ambiguous { prefix: \"aaaa\", candidates: [\"aaaa1111\", \"aaaa2222\"] }",
            ),
        ] {
            assert_eq!(selected(words), expected, "{words:?}");
        }
    }
}
