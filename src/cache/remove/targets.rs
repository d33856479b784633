//! Finds the targets of `cache rm` in a report. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cache::scan::report::{CacheReport, Problem};
use crate::types::cache_id::{SeveralSpellings, find_by_id, find_by_name};
use crate::types::{CacheId, is_commit_prefix};

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A repository, spelled as typed: see [`find_by_id`].
    Repo(CacheId),
    /// A commit or the beginning of one, in lower case.
    Commit(String),
    /// A file of a repository, in every revision that has it.
    File {
        /// As in [`Target::Repo`].
        repo: CacheId,
        /// Path in the repository, as typed: see [`find_by_name`].
        path: String,
    },
    /// A word that can name nothing in a cache.
    Nothing,
}

/// The targets cannot be combined, or one of them is ambiguous.
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
    #[error(transparent)]
    Case(#[from] SeveralSpellings),
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
    /// The target that a word means, without `hf://` addresses. A word of hex digits alone is a commit;
    /// ids of the cache always have a slash.
    pub fn of_word(word: &str) -> Target {
        if is_commit_prefix(word) {
            return Target::Commit(word.to_ascii_lowercase());
        }
        CacheId::parse(word).map_or(Target::Nothing, Target::Repo)
    }
}

/// A repository of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RepoIndex {
    Healthy(usize),
    Damaged(usize),
}

/// The repositories that a typed id names.
fn repos_by_id(report: &CacheReport, id: &CacheId) -> Result<Vec<RepoIndex>, SeveralSpellings> {
    let healthy = report.repos.iter().enumerate();
    let healthy = healthy.map(|(index, repo)| (repo.id.clone(), RepoIndex::Healthy(index)));
    let damaged = report.problems.iter().enumerate();
    let damaged = damaged.filter_map(|(index, p)| Some((p.repo()?, RepoIndex::Damaged(index))));
    find_by_id(id, healthy.chain(damaged))
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
            Target::Nothing => false,
        };
        if !found {
            selection.missing.push(word.clone());
        }
    }
    Ok(selection)
}

fn select_repo<'a>(
    report: &'a CacheReport,
    id: &CacheId,
    selection: &mut Selection<'a>,
) -> Result<bool, TargetError> {
    let found = repos_by_id(report, id)?;
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

fn select_commit(
    report: &CacheReport,
    prefix: &str,
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut commits = BTreeSet::new();
    let mut places = Vec::new();
    for (index, repo) in report.repos.iter().enumerate() {
        for (number, revision) in repo.revisions.iter().enumerate() {
            if revision.commit.to_ascii_lowercase().starts_with(prefix) {
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
    id: &CacheId,
    path: &str,
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut files = Vec::new();
    for repo in repos_by_id(report, id)? {
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
    let found = find_by_name(path, files)?;
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
                        repo: CacheId::parse("model/org/a").unwrap(),
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
        let ids: Vec<String> = report
            .repos
            .iter()
            .map(|repo| repo.id.to_string())
            .collect();
        assert_eq!(ids, ["dataset/o/One", "model/O/M", "model/o/m"]);
        let repo = |id: &str| Target::Repo(CacheId::parse(id).unwrap());
        let file = |repo: &str, path: &str| Target::File {
            repo: CacheId::parse(repo).unwrap(),
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
