//! `hf cache doctor`: everything that is wrong in the cache, and its cure.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ask, cache_root, push_bytes, shown, tell_busy, tell_failures};
use crate::cache::delete::Outcome;
use crate::cache::doctor::{Ailment, Finding, examine, mend};
use crate::cache::scan::{Detail, scan};
use crate::console::{Table, text};
use crate::context::Context;
use crate::error::{CliError, Kind};

/// Find what is wrong in the cache, and mend it.
///
/// Found are refs to missing snapshots, links to missing blobs, blobs that nothing links to, what
/// killed processes left behind, and folders that are no repository. --fix removes all but the last.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cache folder to look into [default: the one of HF_HUB_CACHE].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Remove what is wrong, after asking.
    #[arg(long)]
    fix: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Examines the cache, and mends it with --fix.
///
/// # Errors
/// Something harmful is (still) there, a "no", or something that cannot be removed.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let console = &context.console;
    let root = cache_root(args.cache_dir.as_deref(), context);
    let report = scan(&root, Detail::Totals)?;
    let findings = examine(&report);
    let curable = findings
        .iter()
        .filter(|finding| finding.ailment != Ailment::Damaged)
        .count();
    if !args.fix {
        console.table(&table(&findings));
        if findings.is_empty() {
            console.say("Nothing is wrong.");
        } else if curable > 0 {
            let count = text::count(curable as u64, "finding");
            console.hint(&format!("`hf cache doctor --fix` removes {count}"));
        }
        return verdict(&findings);
    }
    if curable == 0 {
        console.say("There is nothing that --fix could remove.");
        return verdict(&findings);
    }
    for finding in findings.iter().filter(|f| f.ailment != Ailment::Damaged) {
        console.say(&format!(
            "  {} {}",
            finding.ailment.as_str(),
            shown(&finding.path)
        ));
    }
    ask("Remove these?", args.yes, context)?;
    let mended = mend(&report.root, &findings);
    tell_busy(&mended.busy, context);
    tell_failures(&Outcome {
        freed: mended.freed,
        failures: mended.failures,
        busy: Vec::new(),
    })?;
    let freed = text::size(mended.freed);
    let mut fields = vec![("removed", json!(mended.removed)), ("freed", json!(freed))];
    push_bytes(&mut fields, "freed_bytes", mended.freed, context);
    let count = text::count(mended.removed as u64, "finding");
    console.result(&format!("Removed {count}; {freed} freed."), fields);
    verdict(&examine(&scan(&root, Detail::Totals)?))
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(&["path", "ailment", "size", "detail", "size_bytes", "fixable"])
        .only_in_json(&["size_bytes", "fixable"])
        .right_aligned("size");
    for finding in findings {
        let size = match finding.size {
            0 => Value::Null,
            bytes => json!(text::size(bytes)),
        };
        table.push(vec![
            json!(finding.path.to_string_lossy()),
            json!(finding.ailment.as_str()),
            size,
            json!(finding.detail),
            json!(finding.size),
            json!(finding.ailment != Ailment::Damaged),
        ]);
    }
    table
}

/// Fails while something harmful is there.
fn verdict(findings: &[Finding]) -> Result<(), CliError> {
    let harmful = findings.iter().filter(|f| f.ailment.is_harmful()).count();
    if harmful == 0 {
        return Ok(());
    }
    let damaged = findings.iter().any(|f| f.ailment == Ailment::Damaged);
    Err(CliError::new(
        Kind::Corrupt,
        format!(
            "The cache has {} that programs trip over.",
            text::count(harmful as u64, "entry").replace("entrys", "entries")
        ),
    )
    .hint(if damaged {
        "`hf cache rm type/name` removes a damaged repository; what is foreign is yours to move away"
    } else {
        "`hf cache doctor --fix` removes them; the next download brings back what is missing"
    }))
}
