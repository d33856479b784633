//! `hf ls`: the files of a repository, with their sizes and what is cached of them.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::cache::cache_root;
use super::error::repo::DownloadContext;
use super::flags::{NameArgs, TokenArgs};
use crate::auth::resolve::ResolvedToken;
use crate::cache::commit::read_ref;
use crate::cache::layout::CacheLayout;
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::{Mode, ProgressStyle, Row, Table, text};
use crate::download::DownloadError;
use crate::download::plan::{Action, DownloadPlan, PlannedFile};
use crate::download::request::Request;
use crate::download::select::Selection;
use crate::download::session::{Planned, Session};
use crate::types::listing::Checksum;
use crate::types::target::RepoTarget;
use crate::types::{RepoPath, Revision};

/// List the files of a repository.
///
/// With their sizes, and whether they are in the cache: ✔, or how much of an unfinished download is
/// there. Where the Hub cannot be asked, the listing of an earlier download is used.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Repository: `namespace/name`, `datasets/namespace/name`, `hf://…` or its web address.
    #[arg(value_name = "REPO_ID")]
    repo_id: String,
    /// Only files that match: a path, a folder with a final slash, or a pattern such as `*.json`.
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    #[command(flatten)]
    name: NameArgs,
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    token: TokenArgs,
}

/// Lists.
///
/// # Errors
/// The Hub does not say, and no earlier download has a listing; nothing matches.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (target, revision) = args.name.resolve(&args.repo_id, context)?;
    let root = cache_root(args.cache_dir.as_deref(), context);
    let patterns: Vec<String> = target.path.iter().chain(&args.patterns).cloned().collect();
    let request = Request {
        revision,
        selection: Selection::matching(&patterns),
        dry_run: true,
        ..Request::new(target.repo.clone(), CacheLayout::new(root))
    };
    let token = args.token.resolve(context)?;
    let plan = plan(request, &target, token.as_ref(), context)?;
    show(&plan, context);
    Ok(())
}

/// The listing with what the disk has.
fn plan(
    request: Request,
    target: &RepoTarget,
    token: Option<&ResolvedToken>,
    context: &Context,
) -> Result<DownloadPlan, CliError> {
    let revision = request.revision.clone();
    let about = DownloadContext {
        context,
        repo: &target.repo,
        revision: &revision,
        token,
    };
    let secret = token.map(|resolved| resolved.token.clone());
    let hub = context.hub()?.with_token(secret);
    let cached = earlier(&request);
    let plan = |request| {
        let session = Session::new(&hub, request, context.observer(ProgressStyle::Auto));
        context.block_on_then(
            async move { Ok(session.plan().await) },
            |never: DownloadError| about.explain(never),
        )
    };
    let planned = match (plan(request)?, cached) {
        (Err(DownloadError::Hub { source, path: None }), Some(cached))
            if source.allows_cached_copy() =>
        {
            let planned = plan(cached)?;
            if planned.is_ok() && !context.settings.offline {
                let why = about.why_cached(&source);
                context.console.warn(&why);
            }
            planned.map_err(|_| DownloadError::Hub { source, path: None })
        }
        (planned, _) => planned,
    };
    match planned.map_err(|error| about.explain(error))? {
        Planned::Plan(plan) => Ok(plan),
        // Not for a dry run.
        Planned::Cached { reason, .. } => Err(about.explain(DownloadError::Hub {
            source: reason,
            path: None,
        })),
    }
}

/// The same request for the commit that the revision was at the last download.
fn earlier(request: &Request) -> Option<Request> {
    let layout = request.cache.repo(&request.repo);
    let commit = request.revision.as_commit();
    let commit = commit.or_else(|| read_ref(&layout, &request.revision))?;
    Some(Request {
        revision: Revision::from(&commit),
        ..request.clone()
    })
}

/// Bytes of a file that are on disk.
fn cached_bytes(file: &PlannedFile) -> u64 {
    match file.action {
        Action::Fetch { from } => from,
        _ => file.size().unwrap_or(0),
    }
}

fn show(plan: &DownloadPlan, context: &Context) {
    let console = &context.console;
    if console.mode() == Mode::Quiet {
        // Byte for byte where a program reads them.
        return console.paths(plan.files.paths().map(RepoPath::as_str));
    }
    let is_json = console.mode() == Mode::Json;
    let row = |file: PlannedFile| {
        let path = json!(file.path.as_str());
        let (cells, extra) = match is_json {
            true => (
                vec![path, json!(file.size()), json!(!file.is_fetched())],
                json_only(&file),
            ),
            false => (
                vec![path, json!(file.size().map(text::size)), cached(&file)],
                Vec::new(),
            ),
        };
        Row { cells, extra }
    };
    let table = Table::new(&["path", "size", "cached"]).with_rows(|| plan.files.iter().map(row));
    console.table(&table);
    if matches!(console.mode(), Mode::Human | Mode::Agent) && !plan.files.is_empty() {
        let all = plan.files.iter().filter_map(|file| file.size()).sum();
        let here = plan.files.iter().filter(|file| !file.is_fetched());
        console.say(&format!(
            "\n{} of {} at {}; {} in the cache, {}.",
            text::count(plan.files.len() as u64, "file"),
            text::size(all),
            plan.commit,
            here.count(),
            text::size(plan.files.iter().map(|file| cached_bytes(&file)).sum())
        ));
    }
}

/// A tick, or how much of an unfinished download is there.
fn cached(file: &PlannedFile) -> Value {
    match (file.is_fetched(), cached_bytes(file)) {
        (false, _) => json!(true),
        (true, 0) => Value::Null,
        (true, bytes) => {
            let percent = u128::from(bytes) * 100 / u128::from(file.size().unwrap_or(bytes).max(1));
            json!(format!("{percent}%"))
        }
    }
}

/// Keys that only JSON shows; those of the Python client's `hf models ls` have its names.
fn json_only(file: &PlannedFile) -> Vec<(&'static str, Value)> {
    let mut extra = Vec::new();
    match &file.checksum {
        Checksum::Sha256(digest) => {
            let lfs = json!({"size": file.size(), "sha256": digest.hex().to_string()});
            extra.push(("lfs", lfs));
        }
        checksum => extra.push(("blob_id", json!(checksum.to_string()))),
    }
    if let Some(hash) = &file.xet_hash {
        extra.push(("xet_hash", json!(hash.text().to_string())));
    }
    extra.push(("cached_bytes", json!(cached_bytes(file))));
    extra
}
