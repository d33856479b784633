//! `hf cache delete`: tick revisions in a list, or edit a file that lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::tell::{show_plan, tell_busy, tell_failures, tell_spared};
use super::{ask_after_choice, now, own_cache_root, push_bytes, shown};
use crate::cache::pins::Pins;
use crate::cache::remove::DeletePlan;
use crate::cache::remove::targets::Selection;
use crate::cache::scan::report::{CacheReport, CachedRepo};
use crate::cache::scan::{Detail, scan};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, Kind};
use crate::console::picker::Entry;
use crate::console::text;
use crate::sys::FsError;

/// Choose cached revisions in a list and remove them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cache folder to work in [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Choose by editing a file instead of ticking a list on the terminal.
    #[arg(long)]
    disable_tui: bool,
    /// Order of the repositories.
    // Without a value it is no order at all, as in the legacy client.
    #[arg(long, value_enum, value_name = "ORDER", num_args = 0..=1)]
    sort: Option<Option<Order>>,
}

/// Orders of repositories in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// By type and name, whatever the case of letters.
    Alphabetical,
    /// Last changed first.
    #[value(name = "lastUpdated")]
    LastUpdated,
    /// Last read first.
    #[value(name = "lastUsed")]
    LastUsed,
    /// Largest first.
    Size,
}

/// A revision in the list: indices into the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    repo: usize,
    revision: usize,
}

/// Removes what is chosen, after asking.
///
/// # Errors
/// No terminal for the list, a "no", or something that cannot be removed.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    if !console.may_ask() {
        return Err(CliError::new(
            Kind::Aborted,
            "This command asks what to delete, and only --format human can ask.",
        )
        .hint("`hf cache rm … --yes` removes without asking"));
    }
    let root = own_cache_root(args.dir.as_deref(), context)?;
    let report = scan(&root, Detail::Files)?;
    let items = items(&report, args.sort.flatten());
    let pins = Pins::read(&report);
    let chosen = if items.is_empty() {
        BTreeSet::new()
    } else if args.disable_tui {
        choose_in_file(&report, &items, &pins, context)?
    } else {
        choose_on_terminal(&report, &items, &pins, context)?
    };
    let plan = plan(&report, &items, &chosen, &pins)?;
    tell_spared(&plan, context);
    if plan.is_empty() {
        console.say("Nothing was chosen, and nothing was deleted.");
        return Ok(());
    }
    let revisions = text::count(plan.counts().revisions as u64, "revision");
    show_plan(&plan, &revisions, context);
    let question = format!("{} Delete them?", comes_to(&plan));
    if !ask_after_choice(&question, context)? {
        console.say("Nothing was deleted.");
        return Ok(());
    }
    let counts = plan.counts();
    let outcome = plan.execute(report.store.as_ref());
    tell_busy(&outcome.busy, context);
    tell_failures(&outcome)?;
    let freed = text::size(outcome.freed);
    let mut fields = vec![
        ("repos_deleted", json!(counts.repos)),
        ("revisions_deleted", json!(counts.revisions)),
        ("freed", json!(freed)),
    ];
    push_bytes(&mut fields, "freed_bytes", outcome.freed, context);
    let revisions = text::count(counts.revisions as u64, "revision");
    console.result(&format!("Deleted {revisions}; {freed} freed."), fields);
    Ok(())
}

/// All revisions: repositories in the order asked for, each with its revisions from old to new.
fn items(report: &CacheReport, order: Option<Order>) -> Vec<Item> {
    let mut repos: Vec<(usize, &CachedRepo)> = report.repos.iter().enumerate().collect();
    let changed = |repo: &CachedRepo| {
        let times = repo.revisions.iter().map(|revision| revision.modified);
        times.fold(f64::NEG_INFINITY, f64::max)
    };
    repos.sort_by(|(_, a), (_, b)| match order {
        None => a.id.cmp(&b.id),
        Some(Order::Alphabetical) => a.id.cmp_ignoring_case(&b.id),
        Some(Order::LastUpdated) => changed(b).total_cmp(&changed(a)),
        Some(Order::LastUsed) => b.accessed.total_cmp(&a.accessed),
        Some(Order::Size) => b.size.cmp(&a.size),
    });
    let items = repos.into_iter().flat_map(|(index, repo)| {
        let mut revisions: Vec<usize> = (0..repo.revisions.len()).collect();
        revisions.sort_by(|&a, &b| {
            let time = |number: usize| repo.revisions[number].modified;
            time(a).total_cmp(&time(b))
        });
        revisions.into_iter().map(move |revision| Item {
            repo: index,
            revision,
        })
    });
    items.collect()
}

/// `Model org/name (2.7G, used 2 days ago)`.
fn heading(repo: &CachedRepo, pins: &Pins, now: f64) -> String {
    let kind = repo.id.repo_type.as_str();
    text::escape(&format!(
        "{}{} {} ({}, used {}{})",
        kind[..1].to_uppercase(),
        &kind[1..],
        repo.id.id,
        text::size(repo.size),
        text::legacy_age(now - repo.accessed),
        if pins.contains(&repo.folder) {
            ", pinned"
        } else {
            ""
        }
    ))
}

fn refs_and_age(report: &CacheReport, item: Item, now: f64) -> (String, String) {
    let revision = &report.repos[item.repo].revisions[item.revision];
    let refs = match revision.refs.as_slice() {
        [] => "(detached)".to_owned(),
        refs => text::escape(&refs.join(", ")),
    };
    (refs, text::legacy_age(now - revision.modified))
}

fn commit(report: &CacheReport, item: Item) -> &str {
    &report.repos[item.repo].revisions[item.revision].commit
}

fn plan(
    report: &CacheReport,
    items: &[Item],
    chosen: &BTreeSet<usize>,
    pins: &Pins,
) -> Result<DeletePlan, FsError> {
    let mut repos: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for item in chosen.iter().map(|&index| items[index]) {
        repos.entry(item.repo).or_default().insert(item.revision);
    }
    let selection = Selection {
        repos,
        ..Selection::default()
    };
    DeletePlan::build(report, &selection, pins)
}

/// `2 revisions, 1.5K`.
fn comes_to(plan: &DeletePlan) -> String {
    format!(
        "{} chosen, which frees {}.",
        text::count(plan.counts().revisions as u64, "revision"),
        text::size(plan.freed)
    )
}

fn choose_on_terminal(
    report: &CacheReport,
    items: &[Item],
    pins: &Pins,
    context: &Context,
) -> Result<BTreeSet<usize>, CliError> {
    if !context.console.is_interactive() {
        return Err(
            CliError::new(Kind::Aborted, "There is no terminal to show the list on.")
                .hint("--disable-tui lets you choose in a file; `hf cache rm` takes names"),
        );
    }
    let now = now();
    let mut previous = None;
    let entries: Vec<Entry> = items
        .iter()
        .map(|&item| {
            let (refs, age) = refs_and_age(report, item, now);
            let short: String = commit(report, item).chars().take(8).collect();
            let size = text::size(report.repos[item.repo].revisions[item.revision].size);
            let opens = previous.replace(item.repo) != Some(item.repo);
            Entry {
                heading: opens.then(|| heading(&report.repos[item.repo], pins, now)),
                label: format!(
                    "{}  {size:>6}  {refs}, modified {age}",
                    text::escape(&short)
                ),
            }
        })
        .collect();
    let picked = context
        .console
        .pick("Which revisions shall be deleted?", &entries, |ticked| {
            plan(report, items, ticked, pins)
                .map_or_else(|error| error.to_string(), |plan| comes_to(&plan))
        });
    match picked {
        Ok(chosen) => Ok(chosen.unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
            Err(CliError::new(Kind::Interrupted, "Interrupted.").hint("nothing was deleted"))
        }
        Err(error) => {
            Err(CliError::new(ErrorKind::Other, "Cannot read from the terminal.").caused_by(error))
        }
    }
}

const INSTRUCTIONS: &str = "\
# Remove the # in front of each commit that is to be deleted, save the file, and go back to the
# terminal to confirm. Lines that start with # are left out; so are lines that you remove. To change
# your mind, remove the # in front of this line:
# CANCEL_DELETION
";

/// The file to edit.
fn file_text(report: &CacheReport, items: &[Item], pins: &Pins, now: f64) -> String {
    let mut text = INSTRUCTIONS.to_owned();
    let mut previous = None;
    for &item in items {
        if previous.replace(item.repo) != Some(item.repo) {
            text.push_str(&format!(
                "\n# {}\n",
                heading(&report.repos[item.repo], pins, now)
            ));
        }
        let (refs, age) = refs_and_age(report, item, now);
        let commit = text::escape(commit(report, item));
        text.push_str(&format!("#    {commit} # Refs: {refs} # modified {age}\n"));
    }
    text
}

/// What the edited file selects: indices, and words that are not a commit of the list.
fn read_choice<'a>(
    text: &'a str,
    report: &CacheReport,
    items: &[Item],
) -> (BTreeSet<usize>, Vec<&'a str>) {
    let (mut chosen, mut unknown) = (BTreeSet::new(), Vec::new());
    for line in text.lines() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        if word == "CANCEL_DELETION" {
            return (BTreeSet::new(), Vec::new());
        }
        let found: Vec<usize> = (0..items.len())
            .filter(|&index| commit(report, items[index]) == word)
            .collect();
        if found.is_empty() {
            unknown.push(word);
        }
        chosen.extend(found);
    }
    (chosen, unknown)
}

fn choose_in_file(
    report: &CacheReport,
    items: &[Item],
    pins: &Pins,
    context: &Context,
) -> Result<BTreeSet<usize>, CliError> {
    let folder = std::env::temp_dir();
    let mut file = tempfile::Builder::new()
        .prefix("hf-cache-delete-")
        .suffix(".txt")
        .tempfile()
        .map_err(FsError::of("create a file in", &folder))?;
    file.write_all(file_text(report, items, pins, now()).as_bytes())
        .map_err(FsError::of("write", file.path()))?;
    let path = file.path().to_path_buf();
    let console = &context.console;
    console.say(&format!(
        "Choose what to delete in this file, with an editor of yours, and save it:\n  {}",
        shown(&path)
    ));
    loop {
        let answer = console
            .ask_line("Is the file ready? (y/N) ")
            .map_err(|error| {
                CliError::new(ErrorKind::Other, "Cannot read the answer.").caused_by(error)
            })?;
        let Some(answer) = answer else {
            return Err(CliError::new(Kind::Aborted, "Aborted.").hint("nothing was deleted"));
        };
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "1") {
            continue;
        }
        let text = read_edited(&path)?;
        let (chosen, unknown) = read_choice(&text, report, items);
        if unknown.is_empty() {
            return Ok(chosen);
        }
        console.warn(&format!(
            "The file has commits that are not in the list: {}.",
            text::escape(&unknown.join(", "))
        ));
    }
}

fn read_edited(path: &Path) -> Result<String, FsError> {
    std::fs::read_to_string(path).map_err(FsError::of("read", path))
}
