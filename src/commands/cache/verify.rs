//! `hf cache verify`: are the files what the Hub, or the cache itself, says they are.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::tell::{by_xet_hash, tell_unreadable, tell_wrong};
use super::verify_all::verify_all;
use super::{cache_root, own_cache_root, shown};
use crate::auth::resolve::ResolvedToken;
use crate::cache::check::verify::{
    Check, Mismatch, Verified, VerifyPlan, against_cache, against_listing, folder_files, hash_all,
    snapshot_files,
};
use crate::cache::layout::{CacheLayout, RepoLayout, parse_repo_folder};
use crate::cache::remove::targets::TargetError;
use crate::cache::trees;
use crate::commands::context::Context;
use crate::commands::download::linking;
use crate::commands::error::repo::DownloadContext;
use crate::commands::error::{CliError, ErrorKind};
use crate::commands::flags::{NameArgs, ProgressArgs, TokenArgs};
use crate::console::text;
use crate::download::DownloadError;
use crate::download::local_dir::LocalDir;
use crate::download::request::{Destination, Request};
use crate::download::select::Selection;
use crate::download::session::{Planned, Session};
use crate::types::listing::Listing;
use crate::types::pattern::Pattern;
use crate::types::{CacheId, CachedName, CommitHash, Repo, Revision};

/// Check cached files against their hashes.
///
/// The files of one revision are compared with what the Hub lists for it. With --offline, and with
/// --all, no request is sent: the cache's own listings and the names of its blobs have the hashes.
#[derive(Debug, clap::Args)]
#[command(mut_arg("revision", |arg| arg.help("Branch, tag or commit [default: main, or the only one in the cache]")))]
pub struct Args {
    /// Repository: `namespace/name`, `datasets/namespace/name`, `hf://…` or its web address, perhaps with
    /// a revision and a file.
    #[arg(value_name = "REPO_ID")]
    repo_id: Option<String>,
    #[command(flatten)]
    name: NameArgs,
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR", conflicts_with = "local_dir")]
    cache_dir: Option<PathBuf>,
    /// Check the files in this folder instead of the cache's.
    #[arg(long, value_name = "DIR")]
    local_dir: Option<PathBuf>,
    /// Fail when the Hub has files that are not here.
    #[arg(long)]
    fail_on_missing_files: bool,
    /// Fail when there are files here that the Hub does not have.
    #[arg(long)]
    fail_on_extra_files: bool,
    /// Fetch wrong files again.
    #[arg(long, conflicts_with_all = ["offline", "all"])]
    fix: bool,
    /// Check every revision of every repository in the cache, without asking the Hub.
    #[arg(long, conflicts_with_all = ["repo_id", "repo_type", "revision", "local_dir"])]
    all: bool,
    /// Prove every large file by its SHA-256, even where its Xet hash is known and quicker to compute.
    #[arg(long)]
    sha256: bool,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Where the files are, and of which revision they should be.
struct Subject {
    repo: Repo,
    revision: Revision,
    folder: PathBuf,
    /// The stored listing of the commit, when the commit is known.
    tree: Option<PathBuf>,
    /// The file, folder or pattern that is to be checked; `None` for all.
    path: Option<String>,
}

impl Subject {
    fn about<'a>(
        &'a self,
        token: Option<&'a ResolvedToken>,
        context: &'a Context,
    ) -> DownloadContext<'a> {
        DownloadContext {
            context,
            repo: &self.repo,
            revision: &self.revision,
            token,
        }
    }
}

/// Verifies files.
///
/// # Errors
/// A wrong file; with the flags for it a missing or an extra one; no such snapshot; a Hub that
/// cannot be asked.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    if args.all {
        let root = args.cache_dir.as_deref();
        return verify_all(root, args.sha256, args.progress.progress, context);
    }
    if args.repo_id.is_none() {
        return Err(CliError::usage("Name a repository, or pass --all."));
    }
    let subject = args.subject(context)?;
    let local = match args.local_dir {
        Some(_) => folder_files(&subject.folder)?,
        None => snapshot_files(&subject.folder)?,
    };
    let remembered = || subject.tree.as_deref().and_then(trees::read);
    let (plan, mut unknown) = if context.settings.offline {
        against_cache(remembered().as_ref(), local)
    } else {
        let listing = args.remote_listing(&subject, context)?;
        (against_listing(&listing, local), Vec::new())
    };
    if let Some(path) = &subject.path {
        unknown.retain(|file| is_meant(path, file));
    }
    if !unknown.is_empty() {
        context.console.warn(&format!(
            "{} cannot be checked offline: the cache does not have their hashes.",
            text::count(unknown.len() as u64, "file")
        ));
    }
    let plan = match &subject.path {
        Some(path) => plan.only(|file| is_meant(path, file)),
        None => plan,
    };
    if let (Some(path), true) = (&subject.path, plan.is_empty()) {
        return Err(CliError::new(
            ErrorKind::FileNotFound,
            format!("There is no file {} to check.", text::escape(path)),
        ));
    }
    let plan = if args.sha256 {
        plan.without_xet()
    } else {
        plan
    };
    let progress = context.console.progress(args.progress.progress);
    let mut found = hash_all(&plan.checks, progress.as_ref());
    if args.fix && !found.wrong.is_empty() {
        let wrong = std::mem::take(&mut found.wrong);
        tell_wrong(&wrong, context);
        args.refetch(&subject, &wrong, context)?;
        let again: Vec<Check> = plan
            .checks
            .iter()
            .filter(|check| wrong.iter().any(|file| file.path == check.path()))
            .cloned()
            .collect();
        let fixed = hash_all(&again, progress.as_ref());
        found.wrong = fixed.wrong;
        found.unreadable.extend(fixed.unreadable);
        found.by_xet_hash += fixed.by_xet_hash;
    }
    args.judge(&subject, &plan, found, context)
}

impl Args {
    /// Finds the files: as the Python client does, a commit needs no ref, and without a revision
    /// `main` is meant, or else the only snapshot there is.
    fn subject(&self, context: &Context) -> Result<Subject, CliError> {
        let repo_id = self.repo_id.as_deref().unwrap_or_default();
        self.name.refuse_contradiction(repo_id)?;
        if let Some(folder) = &self.local_dir {
            let (target, revision) = self.name.resolve(repo_id, context)?;
            let folder = context.env.expand_home(folder);
            return Ok(Subject {
                path: target.path,
                ..local_subject(&folder, target.repo, revision)?
            });
        }
        let root = cache_root(self.cache_dir.as_deref(), context);
        let root = crate::sys::canonicalize(&root).unwrap_or(root);
        let name = match self.name.repo_type {
            Some(kind) => CachedName::of_kind(kind, repo_id),
            None => super::names::name(repo_id, context)?,
        };
        let repo = match cached_repo(&root, &name, repo_id)? {
            Some(repo) => repo,
            None => self.name.resolve(repo_id, context)?.0.repo,
        };
        let is_default = self.name.revision.is_none() && name.revision.is_none();
        let revision = match (&self.name.revision, name.revision) {
            (Some(text), _) => text.parse()?,
            (None, named) => named.unwrap_or_else(Revision::main),
        };
        let layout = CacheLayout::new(&root).repo(&repo);
        let commit = cached_commit(&layout, &revision, is_default).ok_or_else(|| {
            let id = format!("{} {}", repo.repo_type, repo.id);
            not_cached(&id, &revision, layout.folder())
        })?;
        Ok(Subject {
            folder: layout.snapshot(&commit),
            tree: Some(layout.tree(&commit)),
            revision: Revision::from(&commit),
            repo,
            path: name.path,
        })
    }

    fn remote_listing(&self, subject: &Subject, context: &Context) -> Result<Listing, CliError> {
        let token = self.token.resolve(context)?;
        let about = subject.about(token.as_ref(), context);
        let secret = token.as_ref().map(|resolved| resolved.token.clone());
        let hub = context.hub()?.with_token(secret);
        let listing = hub.tree(&subject.repo, &subject.revision, |_| {});
        context.block_on_then(listing, |source| {
            about.explain(DownloadError::Hub { source, path: None })
        })
    }

    /// Fetches wrong files again and replaces each.
    fn refetch(
        &self,
        subject: &Subject,
        wrong: &[Mismatch],
        context: &Context,
    ) -> Result<(), CliError> {
        let token = self.token.resolve(context)?;
        let about = subject.about(token.as_ref(), context);
        let secret = token.as_ref().map(|resolved| resolved.token.clone());
        let hub = context.hub()?.with_token(secret);
        let cache = own_cache_root(self.cache_dir.as_deref(), context)?;
        for file in wrong {
            let request = Request {
                revision: subject.revision.clone(),
                selection: Selection::File(file.path.parse()?),
                target: match self.local_dir {
                    Some(_) => Destination::LocalDir(LocalDir::new(subject.folder.clone())),
                    None => Destination::Cache,
                },
                linking: linking(context),
                force: true,
                ..Request::new(subject.repo.clone(), CacheLayout::new(&cache))
            };
            let progress = context.observer(self.progress.progress);
            let session = Session::new(&hub, request, progress);
            let fetched = async {
                match session.plan().await? {
                    Planned::Plan(plan) => session.execute(&plan).await.map(drop),
                    Planned::Cached { reason, .. } => Err(DownloadError::Hub {
                        source: reason,
                        path: None,
                    }),
                }
            };
            context.block_on_then(fetched, |error| about.explain(error))?;
            let path = text::escape(&file.path);
            context.console.say(&format!("Fetched {path} again."));
        }
        Ok(())
    }

    /// Reports the result.
    fn judge(
        &self,
        subject: &Subject,
        plan: &VerifyPlan,
        mut found: Verified,
        context: &Context,
    ) -> Result<(), CliError> {
        let console = &context.console;
        tell_wrong(&found.wrong, context);
        let mut failed = !found.wrong.is_empty();
        for (paths, fails, what, flag) in [
            (
                &plan.missing,
                self.fail_on_missing_files,
                "missing here",
                "--fail-on-missing-files",
            ),
            (
                &plan.extra,
                self.fail_on_extra_files,
                "not in the repository",
                "--fail-on-extra-files",
            ),
        ] {
            if fails {
                failed |= !paths.is_empty();
                for path in paths {
                    console.warn(&format!("{} is {what}.", text::escape(path)));
                }
            } else if !paths.is_empty() {
                let files = text::count(paths.len() as u64, "file");
                let verb = if paths.len() == 1 { "is" } else { "are" };
                console.warn(&format!("{files} {verb} {what}; {flag} lists them."));
            }
        }
        let name = format!("{} {}", subject.repo.repo_type, subject.repo.id);
        let unreadable = tell_unreadable(&mut found, failed, context);
        if failed {
            return Err(CliError::new(
                ErrorKind::Corrupt,
                format!(
                    "The files of {name} at {} are not what they should be, in {}.",
                    text::escape(subject.revision.as_str()),
                    shown(&subject.folder)
                ),
            )
            .hint("--fix fetches wrong files again, and `hf download` missing ones"));
        }
        if let Some(error) = unreadable {
            return Err(error);
        }
        let mut facts = vec![
            ("repo_id", json!(subject.repo.id.as_str())),
            ("repo_type", json!(subject.repo.repo_type.as_str())),
            ("checked", json!(plan.checks.len())),
            ("path", crate::console::paths::path_value(&subject.folder)),
        ];
        facts.extend(by_xet_hash(&found));
        console.result(
            &format!(
                "All {} of {name} are right.",
                text::count(plan.checks.len() as u64, "checked file")
            ),
            facts,
        );
        Ok(())
    }
}

fn local_subject(folder: &Path, repo: Repo, revision: Revision) -> Result<Subject, CliError> {
    if !folder.is_dir() {
        return Err(CliError::new(
            ErrorKind::Disk,
            format!("There is no folder {}.", shown(folder)),
        ));
    }
    let folder = crate::sys::canonicalize(folder).unwrap_or_else(|_| folder.into());
    let tree = revision
        .as_commit()
        .map(|commit| LocalDir::new(folder.clone()).tree(&commit));
    Ok(Subject {
        repo,
        revision,
        folder,
        tree,
        path: None,
    })
}

/// The repository in the cache that is meant, if there is one.
fn cached_repo(root: &Path, name: &CachedName, word: &str) -> Result<Option<Repo>, CliError> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let cached = entries.filter_map(|entry| {
        let found = parse_repo_folder(entry.file_name().to_str()?)?;
        Some((CacheId::from(&found), found))
    });
    let mut found = name.find(cached).map_err(TargetError::from)?;
    if found.len() < 2 {
        return Ok(found.pop().map(|(_, repo)| repo));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let ids: Vec<String> = found.iter().map(|(id, _)| id.to_string()).collect();
    Err(CliError::new(
        ErrorKind::Other,
        format!("{word} names several repositories: {}.", ids.join(", ")),
    )
    .hint("name one of them, or check all with --all"))
}

/// Whether a file is the one that was named, in the folder or by the pattern.
fn is_meant(named: &str, file: &str) -> bool {
    named == file || Pattern::new(named).matches(file)
}

/// The commit of the snapshot that is meant, if it is there.
fn cached_commit(layout: &RepoLayout, revision: &Revision, is_default: bool) -> Option<CommitHash> {
    let named = revision
        .as_commit()
        .or_else(|| crate::cache::commit::read_ref(layout, revision));
    let only = || {
        let entries = std::fs::read_dir(layout.snapshots()).ok()?;
        let mut commits = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<CommitHash>().ok());
        let first = commits.next()?;
        commits.next().is_none().then_some(first)
    };
    let commit = match named {
        Some(commit) => commit,
        None if is_default => only()?,
        None => return None,
    };
    layout.snapshot(&commit).is_dir().then_some(commit)
}

fn not_cached(name: &str, revision: &Revision, folder: &Path) -> CliError {
    let revision = text::escape(revision.as_str());
    let (what, hint) = if folder.is_dir() {
        (
            format!("The cache has no revision {revision} of {name}."),
            "`hf cache ls --revisions` shows what there is",
        )
    } else {
        (
            format!("The cache has no {name}."),
            "`hf cache ls` shows what there is; --local-dir checks another folder",
        )
    };
    CliError::new(ErrorKind::RevisionNotFound, what).hint(hint)
}
