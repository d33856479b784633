//! Finds the targets of `cache rm` in a report. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cache::scan::report::{CacheReport, Problem};
use crate::types::cached_name::{Unclear, has_wildcard};
use crate::types::pattern::Pattern;
use crate::types::{CachedName, Revision, find_by_name};

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The commit that the word could be, or the beginning of one, in lower case.
    pub commit: Option<String>,
    /// The repositories that the word could name, and what of them.
    pub name: CachedName,
}

/// The targets cannot be combined, or one of them is ambiguous.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A short commit that several commits begin with, or that a repository is called as well.
    #[error("the commit {prefix} could be {}", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// All commits it could be.
        candidates: Vec<String>,
    },
    /// A name that could be several repositories.
    #[error(transparent)]
    Name(#[from] Unclear),
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

/// A repository of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RepoIndex {
    Healthy(usize),
    Damaged(usize),
}

/// The repositories that a name means.
fn repos_by_name(report: &CacheReport, name: &CachedName) -> Result<Vec<RepoIndex>, Unclear> {
    let healthy = report.repos.iter().enumerate();
    let healthy = healthy.map(|(index, repo)| (repo.id.clone(), RepoIndex::Healthy(index)));
    let damaged = report.problems.iter().enumerate();
    let damaged = damaged.filter_map(|(index, p)| Some((p.repo()?, RepoIndex::Damaged(index))));
    let found = name.find(healthy.chain(damaged))?;
    Ok(found.into_iter().map(|(_, index)| index).collect())
}

/// Finds the targets, each given with the word that the user typed.
///
/// # Errors
/// [`TargetError`].
pub fn select<'a>(
    report: &'a CacheReport,
    targets: &[(String, Target)],
) -> Result<Selection<'a>, TargetError> {
    let with_path = targets.iter();
    let with_path = with_path.filter(|(_, target)| target.name.path.is_some());
    let files = with_path.count();
    if files != 0 && files != targets.len() {
        return Err(TargetError::Mixed);
    }
    let mut selection = Selection::default();
    for (word, target) in targets {
        let repos = repos_by_name(report, &target.name)?;
        let found = match (&target.name.path, &target.name.revision) {
            (Some(path), revision) => {
                select_files(report, &repos, revision.as_ref(), path, &mut selection)?
            }
            (None, Some(revision)) => select_revision(report, &repos, revision, &mut selection)?,
            (None, None) => {
                let is_commit = match &target.commit {
                    Some(prefix) => select_commit(report, prefix, &repos, &mut selection)?,
                    None => false,
                };
                is_commit || select_repos(report, &repos, &mut selection)
            }
        };
        if !found {
            selection.missing.push(word.clone());
        }
    }
    Ok(selection)
}

fn select_repos<'a>(
    report: &'a CacheReport,
    repos: &[RepoIndex],
    selection: &mut Selection<'a>,
) -> bool {
    for &index in repos {
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
    !repos.is_empty()
}

fn select_commit(
    report: &CacheReport,
    prefix: &str,
    called_so: &[RepoIndex],
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut candidates = BTreeSet::new();
    let mut places = Vec::new();
    for (index, repo) in report.repos.iter().enumerate() {
        for (number, revision) in repo.revisions.iter().enumerate() {
            if revision.commit.to_ascii_lowercase().starts_with(prefix) {
                candidates.insert(revision.commit.clone());
                places.push((index, number));
            }
        }
    }
    if !places.is_empty() {
        let names = called_so.iter().map(|repo| match *repo {
            RepoIndex::Healthy(index) => report.repos[index].id.to_string(),
            RepoIndex::Damaged(index) => report.problems[index]
                .repo()
                .map_or_else(String::new, |id| id.to_string()),
        });
        candidates.extend(names);
    }
    if candidates.len() > 1 {
        return Err(TargetError::Ambiguous {
            prefix: prefix.to_owned(),
            candidates: candidates.into_iter().collect(),
        });
    }
    for (repo, revision) in &places {
        selection.repos.entry(*repo).or_default().insert(*revision);
    }
    Ok(!places.is_empty())
}

/// The healthy ones.
fn healthy(repos: &[RepoIndex]) -> impl Iterator<Item = usize> {
    repos.iter().filter_map(|repo| match *repo {
        RepoIndex::Healthy(index) => Some(index),
        RepoIndex::Damaged(_) => None,
    })
}

/// The revisions of a repository that a branch, a tag or (the beginning of) a commit names.
fn revisions_named(
    report: &CacheReport,
    repo: usize,
    revision: &Revision,
) -> Result<Vec<usize>, TargetError> {
    let revisions = &report.repos[repo].revisions;
    let name = revision.as_str();
    let numbered = || revisions.iter().enumerate();
    let by_ref = numbered().filter(|(_, one)| one.refs.iter().any(|r| r == name));
    let found: Vec<usize> = by_ref.map(|(number, _)| number).collect();
    let prefix = name.to_ascii_lowercase();
    if !found.is_empty() || !crate::types::is_commit_prefix(name) {
        return Ok(found);
    }
    let by_commit =
        numbered().filter(|(_, one)| one.commit.to_ascii_lowercase().starts_with(&prefix));
    let found: Vec<usize> = by_commit.map(|(number, _)| number).collect();
    match found.len() {
        0 | 1 => Ok(found),
        _ => Err(TargetError::Ambiguous {
            prefix,
            candidates: found
                .iter()
                .map(|&at| revisions[at].commit.clone())
                .collect(),
        }),
    }
}

fn select_revision(
    report: &CacheReport,
    repos: &[RepoIndex],
    revision: &Revision,
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut is_there = false;
    for repo in healthy(repos) {
        let found = revisions_named(report, repo, revision)?;
        is_there |= !found.is_empty();
        if !found.is_empty() {
            selection.repos.entry(repo).or_default().extend(found);
        }
    }
    Ok(is_there)
}

fn select_files(
    report: &CacheReport,
    repos: &[RepoIndex],
    revision: Option<&Revision>,
    path: &str,
    selection: &mut Selection<'_>,
) -> Result<bool, TargetError> {
    let mut files = Vec::new();
    for index in healthy(repos) {
        let wanted = match revision {
            Some(revision) => revisions_named(report, index, revision)?,
            None => (0..report.repos[index].revisions.len()).collect(),
        };
        for number in wanted {
            let revision = &report.repos[index].revisions[number];
            for (file, cached) in revision.files.iter().enumerate() {
                let name = String::from_utf8_lossy(&cached.path).into_owned();
                files.push((name, (index, number, file)));
            }
        }
    }
    let mut found = find_by_name(path, files.iter().cloned()).map_err(Unclear::from)?;
    if found.is_empty() && (has_wildcard(path) || path.ends_with('/')) {
        let pattern = Pattern::new(path);
        let matching = files.into_iter().filter(|(name, _)| pattern.matches(name));
        found = matching.map(|(_, place)| place).collect();
    }
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
    use crate::types::Endpoint;

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
        // A branch with a name that could be the beginning of another commit.
        let refs = folder.path().join("models--Org--a/refs");
        std::fs::create_dir_all(&refs).unwrap();
        std::fs::write(refs.join("aaaa22"), "aaaa1111").unwrap();
        let report = scan(folder.path(), Detail::Files).unwrap();
        (folder, report)
    }

    /// The target that a word names.
    fn target(word: &str) -> Target {
        let is_commit = crate::types::is_commit_prefix(word);
        Target {
            commit: is_commit.then(|| word.to_ascii_lowercase()),
            name: CachedName::parse(word, &Endpoint::default()).unwrap(),
        }
    }

    /// The selection as text.
    fn selected(words: &[&str]) -> String {
        let (_folder, report) = cache();
        let targets: Vec<(String, Target)> = words
            .iter()
            .map(|&word| (word.to_owned(), target(word)))
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
        let repo = |id: &str| target(id);
        let file = |repo: &str, path: &str| {
            let mut target = target(repo);
            target.name.path = Some(path.to_owned());
            target
        };
        for (target, expected) in [
            (repo("model/o/m"), "{2: {0}} {}"),
            (repo("MODEL/o/m"), "{2: {0}} {}"),
            (repo("model/O/M"), "{1: {0}} {}"),
            (
                repo("model/O/m"),
                "the name model/O/m could be model/O/M or model/o/m",
            ),
            (repo("dataset/O/one"), "{0: {0}} {}"),
            (file("model/O/M", "f"), "{} {(1, 0, 1)}"),
            (file("model/O/M", "F"), "{} {(1, 0, 0)}"),
            (file("model/o/m", "F"), "{} {(2, 0, 0)}"),
            (
                file("model/O/m", "f"),
                "the name model/O/m could be model/O/M or model/o/m",
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
            (&["b"], "{1: {0}} damaged 0 files 0 missing []"),
            (&["ORG/a"], "{0: {0, 1}} damaged 0 files 0 missing []"),
            (&["*"], "{0: {0, 1}, 1: {0}} damaged 1 files 0 missing []"),
            (&["org/*"], "{0: {0, 1}} damaged 0 files 0 missing []"),
            (
                &["hf://Org/a@aaaa2"],
                "{0: {1}} damaged 0 files 0 missing []",
            ),
            (
                &["hf://Org/a@aaaa22"],
                "{0: {0}} damaged 0 files 0 missing []",
            ),
            (
                &["hf://Org/a@main"],
                "{} damaged 0 files 0 missing [\"hf://Org/a@main\"]",
            ),
            (&["hf://Org/a@aaaa2/f"], "{} damaged 0 files 1 missing []"),
            (&["hf://Org/a/*"], "{} damaged 0 files 2 missing []"),
            (
                &["hf://Org/a/g/"],
                "{} damaged 0 files 0 missing [\"hf://Org/a/g/\"]",
            ),
            (
                &["hf://Org/a@aaaa"],
                "Ambiguous { prefix: \"aaaa\", candidates: [\"aaaa1111\", \"aaaa2222\"] }",
            ),
            (&["bbb"], "{} damaged 0 files 0 missing [\"bbb\"]"),
            (&["cccc"], "{} damaged 0 files 0 missing [\"cccc\"]"),
            (&["dataset/bad"], "{} damaged 1 files 0 missing []"),
            (
                &["dataset/bad", "dataset/BAD"],
                "{} damaged 1 files 0 missing []",
            ),
            (&["hf://Org/a/f"], "{} damaged 0 files 2 missing []"),
            (
                &["hf://Org/a/g"],
                "{} damaged 0 files 0 missing [\"hf://Org/a/g\"]",
            ),
            (&["hf://Org/a/f", "model/b"], "Mixed"),
            (
                &["aaaa"],
                "Ambiguous { prefix: \"aaaa\", candidates: [\"aaaa1111\", \"aaaa2222\"] }",
            ),
        ] {
            assert_eq!(selected(words), expected, "{words:?}");
        }
    }
}
