//! `hf download`.

mod list;
mod several;
mod show;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;

use self::show::{real_path, show_path, show_plan};
use self::summary::Tally;
use super::error::repo::DownloadContext;
use super::flags::{ProgressArgs, RepoArgs, TokenArgs, TransferArgs};
use crate::auth::resolve::ResolvedToken;
use crate::cache::commit::Linking;
use crate::cache::layout::CacheLayout;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, Kind};
use crate::console::text;
use crate::download::local_dir::LocalDir;
use crate::download::plan::DownloadPlan;
use crate::download::request::{Destination, Request, Workers};
use crate::download::select::Selection;
use crate::download::session::{Planned, Savings, Session};
use crate::download::xet::XetOptions;
use crate::sys::{FsError, refuse_foreign_link};
use crate::types::progress::Progress;
use crate::types::target::RepoTarget;

/// Download a repository, or some of its files.
///
/// Files go to the shared cache, where Python libraries find them, or with --local-dir to a folder
/// of your own. Every file is checked against its hash before it is stored; files that are there
/// already are not fetched again, and an interrupted download continues where it stopped.
///
/// On success the path of the snapshot (or of the one file) is printed; a pipe gets the bare path.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    pub(crate) repo: RepoArgs,
    /// Files to download; with a final slash a folder. Without any, the whole repository.
    #[arg(value_name = "FILENAMES")]
    pub(crate) filenames: Vec<String>,
    /// Download what matches this pattern, or one of several behind the repository.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Leave out what matches this pattern, or one of several behind the repository.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Download what this list names, a repository a line; - reads it from standard input.
    ///
    /// A line is a repository, perhaps with @REVISION, and behind it files, folders or patterns, --include,
    /// --exclude, --revision, --repo-type or --local-dir, as on the command line. Quotes keep blanks together,
    /// # begins a comment. All lines are read before the first request. A download that fails does not stop
    /// the others; the exit code is that of the first failure.
    #[arg(long, value_name = "LIST")]
    pub(crate) from_file: Option<PathBuf>,
    /// Use this cache folder instead of HF_HUB_CACHE.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Put plain files into this folder instead of the cache.
    #[arg(long, value_name = "DIR")]
    pub(crate) local_dir: Option<PathBuf>,
    /// Fetch files that are there already.
    #[arg(long, overrides_with = "no_force_download")]
    pub(crate) force_download: bool,
    #[arg(long, hide = true, overrides_with = "force_download")]
    pub(crate) no_force_download: bool,
    /// Say what would be fetched, and fetch nothing.
    #[arg(long, overrides_with = "no_dry_run")]
    pub(crate) dry_run: bool,
    #[arg(long, hide = true, overrides_with = "dry_run")]
    pub(crate) no_dry_run: bool,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
    /// Most files to fetch at the same time [default: 8, and 64 of up to a megabyte].
    #[arg(long, value_name = "N", value_parser = super::flags::workers, allow_negative_numbers = true)]
    pub(crate) max_workers: Option<u16>,
    /// Start even when the disk seems to have too little room.
    #[arg(long)]
    pub(crate) no_space_check: bool,
    // Scripts for older clients give these two; see `ineffective`.
    #[arg(long, hide = true)]
    pub(crate) resume_download: bool,
    #[arg(long, hide = true, value_name = "VALUE")]
    pub(crate) local_dir_use_symlinks: Option<String>,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Downloads.
///
/// # Errors
/// Why a file could not be downloaded; see the README's table of errors.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    for flag in args.ineffective() {
        let console = &context.console;
        console.say(&format!("{flag} is deprecated and has no effect."));
    }
    if let Some(list) = &args.from_file {
        return several::run(args, list, context);
    }
    let (target, request) = args.resolve(context)?;
    context.use_threads()?;
    let token = args.token.resolve(context)?;
    let one = One {
        args,
        context,
        target,
        request,
        token: token.as_ref(),
    };
    let tally = Tally::default();
    let session = one.session(tally.beside(context.observer(args.progress.progress)))?;
    let session = session.beginning_early();
    let path = match one.plan(&session)? {
        Planned::Plan(plan) if args.dry_run => {
            let savings = one.savings(&session, &plan)?;
            show_plan(&context.console, &plan, &savings);
            return Ok(());
        }
        planned => one.carry_out(&session, planned, &tally)?,
    };
    let path = match context.console.is_legacy() {
        true => args.as_typed(path, context),
        false => path,
    };
    show_path(&context.console, tally.summary().as_deref(), &path);
    Ok(())
}

/// One repository to be downloaded.
struct One<'a> {
    args: &'a Args,
    context: &'a Context,
    target: RepoTarget,
    request: Request,
    token: Option<&'a ResolvedToken>,
}

impl One<'_> {
    fn about(&self) -> DownloadContext<'_> {
        DownloadContext {
            context: self.context,
            repo: &self.target.repo,
            revision: &self.request.revision,
            token: self.token,
        }
    }

    fn session(&self, progress: Arc<dyn Progress>) -> Result<Session, CliError> {
        let secret = self.token.map(|resolved| resolved.token.clone());
        let hub = self.args.transfer.apply(self.context.hub()?);
        let session = Session::new(&hub.with_token(secret), self.request.clone(), progress);
        let settings = &self.context.settings;
        Ok(match settings.disable_xet {
            true => session,
            false => session.with_xet(XetOptions::from_settings(settings)),
        })
    }

    fn plan(&self, session: &Session) -> Result<Planned, CliError> {
        let explain = |error| self.about().explain(error);
        self.context.block_on_then(session.plan(), explain)
    }

    /// What a plan would copy from files on disk.
    fn savings(&self, session: &Session, plan: &DownloadPlan) -> Result<Savings, CliError> {
        let explain = |error| self.about().explain(error);
        let ask = async { Ok(session.savings(plan).await) };
        self.context.block_on_then(ask, explain)
    }

    /// Fetches what is planned; returns the path to show.
    fn carry_out(
        &self,
        session: &Session,
        planned: Planned,
        tally: &Tally,
    ) -> Result<PathBuf, CliError> {
        let (context, explain) = (self.context, |error| self.about().explain(error));
        let plan = match planned {
            Planned::Cached { path, reason } => {
                // With --offline this is expected. In a local folder nothing shows which revision is there.
                if !context.settings.offline || self.args.local_dir.is_some() {
                    context.console.warn(&self.about().why_cached(&reason));
                }
                tally.uses_earlier();
                return Ok(path);
            }
            Planned::Plan(plan) => plan,
        };
        tally.expect(plan.files.len() as u64);
        context.block_on_then(session.check_space(&plan), explain)?;
        let done = context.block_on_then(session.execute(&plan), explain);
        let (path, _) = done.map_err(|error| match error.kind {
            Kind::Interrupted => error.hint(stopped(session.kept(&plan))),
            Kind::Engine(ErrorKind::Unreachable | ErrorKind::Server) => {
                match (kept(session.kept(&plan)), error.hint.clone()) {
                    (Some(kept), Some(hint)) => error.hint(format!("{kept}; {hint}")),
                    (Some(kept), None) => error.hint(kept),
                    (None, _) => error,
                }
            }
            _ => error,
        })?;
        Ok(path)
    }
}

impl Args {
    /// What is to be downloaded, decided before any request.
    fn resolve(&self, context: &Context) -> Result<(RepoTarget, Request), CliError> {
        let (target, revision) = self.repo.resolve(context)?;
        let request = self.request(context, &target, revision)?;
        Ok((target, request))
    }

    fn request(
        &self,
        context: &Context,
        target: &RepoTarget,
        revision: crate::types::Revision,
    ) -> Result<Request, CliError> {
        // The legacy client takes both: what the cache has is then copied instead of fetched.
        let one_only = !context.console.is_legacy();
        if one_only && self.local_dir.is_some() && self.cache_dir.is_some() {
            return Err(CliError::new(
                ErrorKind::Other,
                "--local-dir and --cache-dir cannot be used together.",
            )
            .hint("files go either to the shared cache or to a folder of their own"));
        }
        let cache_root = match &self.cache_dir {
            Some(path) => context.env.expand_home(path),
            None => context.settings.hub_cache.clone(),
        };
        if self.local_dir.is_none() {
            context.settings.check_home(&cache_root)?;
        }
        let selection = self.selection(target)?;
        let target_folder = match &self.local_dir {
            Some(path) => {
                let path = own_path(context.env.expand_home(path))?;
                Destination::LocalDir(LocalDir::new(path))
            }
            None => Destination::Cache,
        };
        let cache = CacheLayout::new(own_path(cache_root)?);
        Ok(Request {
            revision,
            selection,
            target: target_folder,
            linking: linking(context),
            force: self.force_download,
            dry_run: self.dry_run,
            workers: Workers::new(self.max_workers.map(usize::from)),
            check_space: !self.no_space_check,
            ..Request::new(target.repo.clone(), cache)
        })
    }

    /// The path as huggingface_hub 0.36.2 prints it: below the folder as it was given, links and all,
    /// save that a whole `--local-dir` is resolved.
    fn as_typed(&self, path: PathBuf, context: &Context) -> PathBuf {
        let typed = match (&self.local_dir, &self.cache_dir) {
            (Some(folder), _) if self.filenames.len() == 1 => folder
                .components()
                .filter(|part| *part != std::path::Component::CurDir)
                .collect(),
            (Some(_), _) => return path,
            (None, Some(folder)) => folder.clone(),
            (None, None) => context.settings.hub_cache.clone(),
        };
        let whole = context.env.expand_home(&typed);
        match path.strip_prefix(real_path(whole.clone())) {
            Ok(rest) if typed.starts_with("~") => whole.join(rest),
            Ok(rest) => typed.join(rest),
            Err(_) => path,
        }
    }

    /// Flags that were given and that older clients had: downloads are resumed always, and a local folder
    /// has no links.
    fn ineffective(&self) -> impl Iterator<Item = &'static str> {
        let resume = self.resume_download.then_some("--resume-download");
        let links = self.local_dir_use_symlinks.is_some();
        let links = links.then_some("--local-dir-use-symlinks");
        resume.into_iter().chain(links)
    }

    fn selection(&self, target: &RepoTarget) -> Result<Selection, CliError> {
        let mut names = self.filenames.clone();
        if let Some(path) = &target.path {
            if !names.is_empty() {
                return Err(CliError::new(
                    ErrorKind::Other,
                    format!(
                        "The address names {path:?} already, so it cannot be combined with file names."
                    ),
                ));
            }
            names.push(path.clone());
        }
        let folder = names.iter().find(|name| name.ends_with('/'));
        if let (Some(folder), false) = (folder, self.include.is_empty() && self.exclude.is_empty())
        {
            return Err(CliError::new(
                ErrorKind::Other,
                format!("The folder {folder:?} cannot be combined with --include or --exclude."),
            )
            .hint(format!(
                "write --include {:?} instead",
                format!("{folder}*")
            )));
        }
        Ok(Selection::new(&names, &self.include, &self.exclude)?)
    }
}

/// Symlinks in the cache, unless the user forbids them.
pub(crate) fn linking(context: &Context) -> Linking {
    match context.settings.disable_symlinks {
        true => Linking::Files,
        false => Linking::Symlinks,
    }
}

/// The real path of a folder to write to, unless a link of another user leads there.
fn own_path(path: PathBuf) -> Result<PathBuf, FsError> {
    refuse_foreign_link(&path)?;
    Ok(real_path(path))
}

/// What an interrupted download leaves: bytes kept, of how many.
fn stopped(left: (u64, u64)) -> String {
    match kept(left) {
        None => "Stopped. Nothing is kept: the same command starts again.".to_owned(),
        Some(kept) => format!("Stopped. {kept}."),
    }
}

/// What a download that ended too early leaves, if anything: bytes kept, of how many.
fn kept((kept, total): (u64, u64)) -> Option<String> {
    let of = match kept {
        0 => return None,
        kept if kept >= total => String::new(),
        _ => format!(" of {}", text::size(total)),
    };
    let kept = text::size(kept);
    Some(format!(
        "{kept}{of} are kept; the same command continues from here"
    ))
}
