//! `hf download --from-file`: the repositories of a list, one after the other, with one bar and one exit
//! code. A failure of one does not stop the others.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::json;

use super::list::{self, Entry};
use super::show::{announce, row, size_shown};
use super::summary::Tally;
use super::{Args, One};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, Kind};
use crate::commands::flags::{NameArgs, RepoArgs};
use crate::console::paths::path_value;
use crate::console::text::{count, escape};
use crate::console::{Mode, Table};
use crate::download::plan::{Action, DownloadPlan};
use crate::download::session::{Planned, Savings};
use crate::sys::read_text;
use crate::types::CacheId;
use crate::types::progress::{Event, Progress};

/// Longest list, in bytes.
const LONGEST: u64 = 16 << 20;

/// What became of an entry.
struct Outcome<'a> {
    one: &'a One<'a>,
    line: usize,
    result: Result<Done, CliError>,
}

enum Done {
    Brought(PathBuf),
    /// With --dry-run.
    Planned(DownloadPlan, Savings),
}

/// Downloads all that a list names.
///
/// # Errors
/// A mistake in the list, before the first request; after the last one the first failure's kind.
pub fn run(args: &Args, list: &Path, context: &Context) -> Result<(), CliError> {
    args.refuse_beside_list()?;
    let name = match list.as_os_str() == "-" {
        true => "the list on standard input".to_owned(),
        false => escape(&list.display().to_string()),
    };
    let entries = list::parse(&read(list, &name)?).map_err(|wrong| {
        CliError::usage(format!(
            "Line {} of {name}: {}.",
            wrong.line,
            escape(&wrong.reason)
        ))
        .hint("a line is a repository, and what `hf download` takes behind it; # begins a comment")
    })?;
    // Everything is read before the first request.
    let of_entries: Vec<Args> = entries.iter().map(|entry| args.of_entry(entry)).collect();
    let mut parts = Vec::new();
    for (entry, args) in entries.iter().zip(&of_entries) {
        let parsed = args.resolve(context).map_err(|error| CliError {
            kind: Kind::Usage,
            message: format!("Line {} of {name}: {}", entry.line, error.message),
            ..error
        })?;
        parts.push(parsed);
    }
    if parts.is_empty() {
        context.console.say(&format!("{name} names no repository."));
    }
    context.use_threads()?;
    let token = args.token.resolve(context)?;
    let ones: Vec<One<'_>> = parts
        .into_iter()
        .zip(&of_entries)
        .map(|((target, request), args)| One {
            args,
            context,
            target,
            request,
            token: token.as_ref(),
        })
        .collect();
    let lines: Vec<usize> = entries.iter().map(|entry| entry.line).collect();
    let tally = Tally::default();
    let (outcomes, interrupted) = bring_all(&ones, &lines, args, &tally);
    // After an interruption it would count what was never begun as there.
    let summary = interrupted.is_none().then(|| tally.summary()).flatten();
    show(&outcomes, summary.as_deref(), args, context)?;
    interrupted.map_or_else(|| verdict(&outcomes, context), Err)
}

fn read(list: &Path, name: &str) -> Result<String, CliError> {
    let text = if list.as_os_str() == "-" {
        let mut text = String::new();
        let stdin = std::io::stdin().lock();
        stdin.take(LONGEST).read_to_string(&mut text).map(|_| text)
    } else {
        read_text(list, LONGEST)
    };
    text.map_err(|error| {
        let reason = crate::sys::reason(&error);
        CliError::new(ErrorKind::Disk, format!("Cannot read {name}: {reason}.")).caused_by(error)
    })
}

impl Args {
    /// Refuses what each line says for itself.
    fn refuse_beside_list(&self) -> Result<(), CliError> {
        let given = [
            (!self.repo.repo_id.is_empty(), "a repository"),
            (self.repo.name.revision.is_some(), "--revision"),
            (self.repo.name.repo_type.is_some(), "--repo-type"),
            (!self.include.is_empty(), "--include"),
            (!self.exclude.is_empty(), "--exclude"),
            (self.local_dir.is_some(), "--local-dir"),
        ];
        match given.iter().find(|(is_given, _)| *is_given) {
            Some((_, what)) => Err(CliError::usage(format!(
                "--from-file cannot be combined with {what}."
            ))
            .hint("write it into the line of the list that it is for")),
            None => Ok(()),
        }
    }

    fn of_entry(&self, entry: &Entry) -> Args {
        Args {
            repo: RepoArgs {
                repo_id: entry.repo.clone(),
                name: NameArgs {
                    repo_type: entry.repo_type,
                    revision: entry.revision.clone(),
                },
            },
            filenames: entry.names.clone(),
            include: entry.include.clone(),
            exclude: entry.exclude.clone(),
            local_dir: entry.local_dir.clone(),
            from_file: None,
            ..self.clone()
        }
    }
}

/// Plans all, then fetches all. Also returns the error of an interruption, after which nothing is tried.
fn bring_all<'a>(
    ones: &'a [One<'a>],
    lines: &[usize],
    args: &Args,
    tally: &Tally,
) -> (Vec<Outcome<'a>>, Option<CliError>) {
    let (mut outcomes, mut planned) = (Vec::new(), Vec::new());
    for (one, &line) in ones.iter().zip(lines) {
        let own = Tally::default();
        let bar = Arc::new(OneBar::new(one.context.observer(args.progress.progress)));
        let session = one.session(own.beside(bar.clone()));
        let plan = session.and_then(|session| Ok((one.plan(&session)?, session)));
        match plan {
            Err(error) if error.kind == Kind::Interrupted => return (outcomes, Some(error)),
            Err(error) => outcomes.push(Outcome {
                one,
                line,
                result: Err(error),
            }),
            Ok((Planned::Plan(plan), session)) if args.dry_run => {
                let savings = one.savings(&session, &plan);
                let result = savings.map(|savings| Done::Planned(plan, savings));
                outcomes.push(Outcome { one, line, result });
            }
            Ok((plan, session)) => planned.push((one, line, plan, session, own, bar)),
        }
    }
    let Some(observer) = ones
        .first()
        .map(|one| one.context.observer(args.progress.progress))
    else {
        return (outcomes, None);
    };
    let all: Vec<&Planned> = planned.iter().map(|(_, _, plan, ..)| plan).collect();
    let total = total(&all);
    let has_work = matches!(total, Event::Begun { files: 1.., .. });
    if has_work {
        observer.event(total);
    }
    let mut interrupted = None;
    for (one, line, plan, session, own, bar) in planned {
        bar.lead_to(Arc::clone(&observer));
        let result = one.carry_out(&session, plan, &own).map(Done::Brought);
        tally.absorb(&own);
        match result {
            Err(error) if error.kind == Kind::Interrupted => {
                interrupted = Some(error);
                break;
            }
            result => outcomes.push(Outcome { one, line, result }),
        }
    }
    if has_work {
        observer.event(Event::Finished);
    }
    outcomes.sort_by_key(|outcome| outcome.line);
    (outcomes, interrupted)
}

/// What all downloads together begin with. One that is complete has no events.
fn total(plans: &[&Planned]) -> Event {
    let (mut files, mut bytes, mut done, mut there) = (0, 0_u64, 0_u64, 0_u64);
    for plan in plans {
        if let Planned::Plan(plan) = plan
            && !plan.is_ready()
        {
            let (of_plan, kept) = plan.fetched_bytes();
            files += plan.files.len() as u64;
            bytes = bytes.saturating_add(of_plan);
            done = done.saturating_add(kept);
            there = there.saturating_add(plan.present_bytes());
        }
    }
    Event::Begun {
        files,
        bytes,
        done,
        there,
    }
}

/// Forwards the events of one download to the bar for all; the caller sends begin and end. Before there is
/// a bar, the observer is one that shows how far a listing is.
struct OneBar {
    next: Mutex<Arc<dyn Progress>>,
}

impl OneBar {
    fn new(next: Arc<dyn Progress>) -> Self {
        OneBar {
            next: Mutex::new(next),
        }
    }

    fn lead_to(&self, next: Arc<dyn Progress>) {
        *self.next.lock().unwrap() = next;
    }
}

impl Progress for OneBar {
    fn event(&self, event: Event) {
        if !matches!(event, Event::Begun { .. } | Event::Finished) {
            let next = Arc::clone(&self.next.lock().unwrap());
            next.event(event);
        }
    }
}

/// Prints what came of all, in the order of the list.
fn show(
    outcomes: &[Outcome<'_>],
    summary: Option<&str>,
    args: &Args,
    context: &Context,
) -> Result<(), CliError> {
    let console = &context.console;
    if console.mode() == Mode::Json {
        console.json(outcomes);
        return Ok(());
    }
    if args.dry_run {
        show_plans(outcomes, context);
        return Ok(());
    }
    let is_told = summary.is_some_and(|line| console.tell_outcome(line));
    for outcome in outcomes {
        let Ok(Done::Brought(path)) = &outcome.result else {
            continue;
        };
        if is_told && console.stdout_is_terminal() {
            console.field(&CacheId::from(&outcome.one.target.repo).to_string(), path);
        } else if console.mode() == Mode::Agent {
            console.path("Downloaded", path);
        } else {
            console.bare_path(path);
        }
    }
    Ok(())
}

fn show_plans(outcomes: &[Outcome<'_>], context: &Context) {
    let plans: Vec<(&Outcome<'_>, &DownloadPlan, &Savings)> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.result {
            Ok(Done::Planned(plan, savings)) => Some((outcome, plan, savings)),
            _ => None,
        })
        .collect();
    let all = plans.iter().map(|(_, plan, savings)| (*plan, *savings));
    let all: Vec<(&DownloadPlan, &Savings)> = all.collect();
    announce(&context.console, &all);
    let rows = || {
        plans.iter().flat_map(|(outcome, plan, savings)| {
            let id = CacheId::from(&outcome.one.target.repo).to_string();
            plan.files
                .iter()
                .map(move |file| row(&file, savings, Some(&id)))
        })
    };
    let table = Table::new(&["file", "size", "repo"]);
    context.console.table(&table.with_rows(rows));
}

impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let repo = &self.one.target.repo;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("line", &self.line)?;
        object.serialize_entry("repo_id", &repo.id.to_string())?;
        object.serialize_entry("repo_type", repo.repo_type.as_str())?;
        object.serialize_entry("revision", &self.one.request.revision.to_string())?;
        match &self.result {
            Ok(Done::Brought(path)) => object.serialize_entry("path", &path_value(path))?,
            Ok(Done::Planned(plan, savings)) => {
                object.serialize_entry("commit", &plan.commit.to_string())?;
                object.serialize_entry("files", &PlanRows(plan, savings))?;
            }
            Err(error) => {
                let error = json!({
                    "error": error.message,
                    "kind": error.kind.as_str(),
                    "hint": error.hint,
                });
                object.serialize_entry("error", &error)?;
            }
        }
        object.end()
    }
}

/// The files of a plan.
struct PlanRows<'a>(&'a DownloadPlan, &'a Savings);

impl Serialize for PlanRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.files.len()))?;
        for file in self.0.files.iter() {
            rows.serialize_element(&json!({
                "file": file.path.as_str(),
                "size": size_shown(&file),
                "bytes": file.size(),
                "will_download": file.is_fetched(),
                "from_shared_store": file.action == Action::Link,
                "copied_bytes": self.1.of(&file.path),
            }))?;
        }
        rows.end()
    }
}

/// Lists what failed. The first failure gives the kind and so the exit code.
fn verdict(outcomes: &[Outcome<'_>], context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let failed = || {
        outcomes
            .iter()
            .filter_map(|one| Some((one, one.result.as_ref().err()?)))
    };
    let Some((_, first)) = failed().next() else {
        return Ok(());
    };
    if console.mode() != Mode::Json {
        for (outcome, error) in failed() {
            console.error(&format!("Line {}: {}", outcome.line, error.message));
            if let Some(hint) = &error.hint {
                console.hint(hint);
            }
        }
    }
    let message = format!(
        "{} of {} failed.",
        failed().count(),
        count(outcomes.len() as u64, "download")
    );
    let lines: Vec<String> = failed().map(|(one, _)| one.line.to_string()).collect();
    let lines = lines.join(", ");
    Err(CliError::new(first.kind, message).hint(format!(
        "the same command tries again what is missing; lines: {lines}"
    )))
}
