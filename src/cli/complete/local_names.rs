//! Names on this machine: repositories and revisions in the cache, saved tokens. A folder or file that
//! cannot be read has none.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::auth::keyring::Keyring;
use crate::auth::store::TokenStore;
use crate::cache::layout::{CacheLayout, parse_repo_folder, repo_folder_name};
use crate::config::env::Env;
use crate::config::settings::Settings;
use crate::types::{CacheId, CachedName, CommitHash, Repo, RepoType, Revision, is_commit_prefix};

/// Where to search, by the words before the cursor and the environment.
pub struct LocalNames {
    env: Env,
    settings: Option<Settings>,
    words: Vec<String>,
}

impl LocalNames {
    /// The names for this line, whose first word is the program and whose last one is incomplete.
    pub fn new(env: &Env, words: &[String]) -> Self {
        let before = &words[1..words.len().max(2) - 1];
        let env = match option(before, &["--env-file"]) {
            Some(path) => env
                .clone()
                .with_file(Path::new(path))
                .unwrap_or_else(|_| env.clone()),
            None => env.clone(),
        };
        LocalNames {
            settings: Settings::resolve(&env).ok(),
            env,
            words: before.to_vec(),
        }
    }

    /// The environment.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// `org/name` and `datasets/org/name`, or names of one type when `--repo-type` stands before. In the form
    /// that was begun, if it is another one.
    pub fn repo_ids(&self, current: &str) -> Vec<String> {
        if let Some(asked) = self.asked_type() {
            let wanted = |repo: &Repo| repo.repo_type == asked;
            return self.named(wanted, |repo| repo.id.to_string());
        }
        if let Some(names) = self.in_other_form(current) {
            return names;
        }
        let mut names = self.named(|_| true, Repo::web_path);
        // Without a cache to look into, `model/name` is a namespace and a name.
        let is_cached = self.words.iter().any(|word| word == "verify");
        let is_exact = |repo: &Repo| is_cached || repo.id.as_str().contains('/');
        if RepoType::ALL
            .iter()
            .any(|kind| current.starts_with(&format!("{kind}/")))
        {
            names.extend(self.named(is_exact, |repo| CacheId::from(repo).to_string()));
        }
        names
    }

    /// `model/org/name`, as the cache commands write it. In the form that was begun, if it is another one.
    pub fn cache_ids(&self, current: &str) -> Vec<String> {
        if let Some(names) = self.in_other_form(current) {
            return names;
        }
        let mut names = self.named(|_| true, |repo| CacheId::from(repo).to_string());
        if !current.is_empty() {
            let repos = self.repos();
            let is_only = |repo: &Repo| repos.iter().filter(|one| one.id == repo.id).count() == 1;
            names.extend(self.named(is_only, |repo| repo.id.to_string()));
        }
        names
    }

    /// What `hf cache rm` takes: names, addresses, commits.
    pub fn targets(&self, current: &str) -> Vec<String> {
        let mut targets = self.cache_ids(current);
        if is_commit_prefix(current) {
            for repo in self.repos() {
                targets.extend(self.commits(&repo).iter().map(ToString::to_string));
            }
        }
        targets
    }

    /// The names as `hf://…`, a web address, `datasets/…` or `datasets--…`, when a word begins so.
    fn in_other_form(&self, current: &str) -> Option<Vec<String>> {
        if current.starts_with("hf:") {
            // There an id has two parts.
            let has_namespace = |repo: &Repo| repo.id.as_str().contains('/');
            let prefix = |repo: &Repo| match current.starts_with("hf://models") {
                true => format!("hf://{}/{}", repo.repo_type.plural(), repo.id),
                false => format!("hf://{}", repo.web_path()),
            };
            return Some(self.named(has_namespace, prefix));
        }
        let endpoint = self
            .settings
            .as_ref()
            .map(|settings| settings.endpoint.shown());
        let hosts = ["https://huggingface.co", "huggingface.co", "hf.co"].map(str::to_owned);
        for host in endpoint.map(|url| url.to_string()).into_iter().chain(hosts) {
            let is_begun = current.starts_with(&host)
                || (current.starts_with("http") && host.starts_with(current));
            if is_begun {
                return Some(self.named(|_| true, |repo| format!("{host}/{}", repo.web_path())));
            }
        }
        let mut kinds = RepoType::ALL.into_iter();
        let kind = kinds.find(|kind| current.starts_with(kind.plural()))?;
        let wanted = |repo: &Repo| repo.repo_type == kind;
        if current.starts_with(&format!("{}-", kind.plural())) {
            return Some(self.named(wanted, repo_folder_name));
        }
        Some(self.named(wanted, |repo| format!("{}/{}", kind.plural(), repo.id)))
    }

    fn asked_type(&self) -> Option<RepoType> {
        let asked = option(&self.words, &["--repo-type", "--type"])?;
        RepoType::from_str(asked, true).ok()
    }

    /// Refs of the repository that is named on the line, and its commits once something is typed.
    pub fn revisions(&self, current: &str) -> Vec<String> {
        let Some(repo) = self.repo_on_line() else {
            return Vec::new();
        };
        let Some(layout) = self.layout() else {
            return Vec::new();
        };
        let mut names = Vec::new();
        let refs = layout.repo(&repo).refs();
        collect_refs(&refs, &refs, 0, &mut names);
        names.sort();
        if !current.is_empty() {
            names.extend(self.commits(&repo).iter().map(ToString::to_string));
        }
        names
    }

    /// Names of saved tokens: those of the file, and those in the keyring, which is not opened.
    pub fn token_names(&self, _current: &str) -> Vec<String> {
        let Some(settings) = &self.settings else {
            return Vec::new();
        };
        let stored = TokenStore::new(settings).list().unwrap_or_default();
        let mut names: Vec<String> = stored.into_iter().map(|entry| entry.name).collect();
        names.extend(
            Keyring::new(settings)
                .index()
                .map(|index| index.names)
                .unwrap_or_default(),
        );
        names
    }

    fn named(&self, wanted: impl Fn(&Repo) -> bool, name: impl Fn(&Repo) -> String) -> Vec<String> {
        let mut names: Vec<String> = self
            .repos()
            .iter()
            .filter(|r| wanted(r))
            .map(name)
            .collect();
        names.sort();
        names
    }

    fn layout(&self) -> Option<CacheLayout> {
        let option = option(&self.words, &["--cache-dir", "--dir"]);
        let root: PathBuf = match option {
            Some(path) => self.env.expand_home(Path::new(path)),
            None => self.settings.as_ref()?.hub_cache.clone(),
        };
        Some(CacheLayout::new(root))
    }

    fn repos(&self) -> Vec<Repo> {
        let Some(layout) = self.layout() else {
            return Vec::new();
        };
        names_in(layout.root())
            .iter()
            .filter_map(|name| parse_repo_folder(name))
            .collect()
    }

    fn commits(&self, repo: &Repo) -> Vec<CommitHash> {
        let Some(layout) = self.layout() else {
            return Vec::new();
        };
        let mut commits: Vec<CommitHash> = names_in(&layout.repo(repo).snapshots())
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        commits.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        commits
    }

    /// The first word that names a cached repository.
    fn repo_on_line(&self) -> Option<Repo> {
        let endpoint = &self.settings.as_ref()?.endpoint;
        let cached = self.repos();
        self.words.iter().find_map(|word| {
            let name = match self.asked_type() {
                Some(kind) => CachedName::of_kind(kind, word),
                None => CachedName::parse(word, endpoint).ok()?,
            };
            let all = cached.iter().map(|repo| (CacheId::from(repo), repo));
            let found = name.find(all).ok()?;
            found.first().map(|(_, repo)| (*repo).clone())
        })
    }
}

/// The value of an option on the line, as `--name value` or `--name=value`.
fn option<'a>(words: &'a [String], names: &[&str]) -> Option<&'a str> {
    words.iter().enumerate().rev().find_map(|(at, word)| {
        let name = names.iter().find(|name| word.starts_with(**name))?;
        match &word[name.len()..] {
            "" => words.get(at + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        }
    })
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Refs have slashes in their names, and no more than a few.
fn collect_refs(folder: &Path, root: &Path, depth: usize, names: &mut Vec<String>) {
    const DEEPEST: usize = 6;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEEPEST => {
                collect_refs(&path, root, depth + 1, names);
            }
            Ok(kind) if kind.is_file() => {
                let name = path.strip_prefix(root).ok().and_then(Path::to_str);
                let revision = name.and_then(|name| name.parse::<Revision>().ok());
                names.extend(revision.map(|revision| revision.to_string()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local_names(home: &Path, line: &str) -> LocalNames {
        let env = Env::from_pairs(home, []);
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        LocalNames::new(&env, &words)
    }

    #[test]
    fn names_as_each_command_takes_them() {
        let home = tempfile::tempdir().unwrap();
        let hub = home.path().join(".cache/huggingface/hub");
        let commit = "a1b2".repeat(10);
        for path in [
            format!("models--org--name/snapshots/{commit}"),
            "models--gpt2/snapshots".into(),
            "datasets--o--d/refs/refs/pr".into(),
            "models--bad--/x".into(),
            "blobs".into(),
        ] {
            std::fs::create_dir_all(hub.join(path)).unwrap();
        }
        std::fs::write(hub.join("datasets--o--d/refs/main"), &commit).unwrap();
        std::fs::write(hub.join("datasets--o--d/refs/refs/pr/1"), &commit).unwrap();
        let any = local_names(home.path(), "hf cache rm ");
        assert_eq!(
            any.targets(""),
            ["dataset/o/d", "model/gpt2", "model/org/name"]
        );
        assert_eq!(any.targets("hf:"), ["hf://datasets/o/d", "hf://org/name"]);
        assert_eq!(any.targets("datasets"), ["datasets/o/d"]);
        assert_eq!(
            any.targets("models--"),
            ["models--gpt2", "models--org--name"]
        );
        assert!(any.targets("gp").contains(&"gpt2".to_owned()));
        assert!(
            any.targets("https://huggingface.co/")
                .contains(&"https://huggingface.co/gpt2".to_owned())
        );
        assert!(any.targets("a1b2").contains(&commit));
        assert!(!any.targets("a1b").contains(&commit));
        assert_eq!(any.repo_ids(""), ["datasets/o/d", "gpt2", "org/name"]);
        let typed = local_names(home.path(), "hf cache verify --repo-type dataset ");
        assert_eq!(typed.repo_ids(""), ["o/d"]);
        let download = local_names(home.path(), "hf download ");
        assert_eq!(
            download.repo_ids("models/"),
            ["models/gpt2", "models/org/name"]
        );
        assert_eq!(download.repo_ids("datasets--"), ["datasets--o--d"]);
        let has =
            |names: &LocalNames, name: &str| names.repo_ids("model/").contains(&name.to_owned());
        assert!(has(&download, "model/org/name") && !has(&download, "model/gpt2"));
        assert!(has(
            &local_names(home.path(), "hf cache verify "),
            "model/gpt2"
        ));
        let revision = local_names(home.path(), "hf download datasets/o/d --revision ");
        assert_eq!(revision.revisions(""), ["main", "refs/pr/1"]);
        let elsewhere = local_names(home.path(), "hf cache rm --cache-dir=/nowhere ");
        assert!(elsewhere.targets("").is_empty());
    }
}
