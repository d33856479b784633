//! What `cache rm` was asked to remove, found in a report. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{CacheReport, Problem};

/// Shortest beginning of a commit that is taken for one, in digits: as short as Git's.
const SHORTEST_COMMIT: usize = 4;
/// Digits of a whole commit.
const COMMIT: usize = 40;

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `type/id`, in lower case: letters of ids are compared without their case.
    Repo(String),
    /// A commit or the beginning of one, in lower case.
    Commit(String),
    /// A file of a repository, in every revision that has it.
    File {
        /// As in [`Target::Repo`].
        repo: String,
        /// Path in the repository.
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
        let word = word.to_lowercase();
        let is_commit = (SHORTEST_COMMIT..=COMMIT).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_commit {
            Target::Commit(word)
        } else {
            Target::Repo(word)
        }
    }
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
            Target::Repo(id) => select_repo(report, id, &mut selection),
            Target::Commit(prefix) => select_commit(report, prefix, &mut selection)?,
            Target::File { repo, path } => select_file(report, repo, path, &mut selection),
        };
        if !found {
            selection.missing.push(word.clone());
        }
    }
    Ok(selection)
}

fn select_repo<'a>(report: &'a CacheReport, id: &str, selection: &mut Selection<'a>) -> bool {
    let mut found = false;
    for (index, repo) in report.repos.iter().enumerate() {
        if repo.cache_id().to_lowercase() == id {
            let all = 0..repo.revisions.len();
            selection.repos.entry(index).or_default().extend(all);
            found = true;
        }
    }
    for problem in &report.problems {
        let named = problem
            .repo()
            .is_some_and(|(kind, name)| format!("{kind}/{name}").to_lowercase() == id);
        let known = selection.damaged.iter().any(|d| d.folder == problem.folder);
        if named && !known {
            selection.damaged.push(problem);
        }
        found |= named;
    }
    found
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

fn select_file(report: &CacheReport, id: &str, path: &str, selection: &mut Selection<'_>) -> bool {
    let before = selection.files.len();
    for (index, repo) in report.repos.iter().enumerate() {
        if repo.cache_id().to_lowercase() != id {
            continue;
        }
        for (number, revision) in repo.revisions.iter().enumerate() {
            let found = revision
                .files
                .iter()
                .position(|f| *f.path == *path.as_bytes());
            selection
                .files
                .extend(found.map(|file| (index, number, file)));
        }
    }
    selection.files.len() > before
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
