//! `hf man`: the man pages, made from the same definitions as `--help`.

use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use super::cache::shown;
use super::pages;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::console::text;
use crate::sys::{Mode, create_dir_all, write_atomic};

/// Print the man page of hf, or write those of all commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write a page for each command into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes the pages.
///
/// # Errors
/// The folder cannot be written to.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let pages = all(context).map_err(|error| {
        CliError::new(ErrorKind::Other, "Cannot make the man pages.").caused_by(error)
    })?;
    let Some(folder) = &args.out else {
        if let Some((_, page)) = pages.first() {
            context.console.lines(page);
        }
        return Ok(());
    };
    let folder = context.env.expand_home(folder);
    create_dir_all(&folder)?;
    for (name, page) in &pages {
        write_atomic(
            &folder.join(format!("{name}.1")),
            page.as_bytes(),
            Mode::Umask,
        )?;
    }
    let count = text::count(pages.len() as u64, "man page");
    context.console.result(
        &format!("Wrote {count}"),
        vec![
            ("path", json!(shown(&folder))),
            ("pages", json!(pages.len())),
        ],
    );
    Ok(())
}

/// Name and text of each page, that of `hf` first.
fn all(context: &Context) -> std::io::Result<Vec<(String, String)>> {
    let mut command = context.grammar().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, "", &mut pages)?;
    Ok(pages)
}

fn collect(
    command: &Command,
    path: &str,
    pages: &mut Vec<(String, String)>,
) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((name.to_owned(), page(command, name, path)?));
    for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        let path = format!("{path} {}", one.get_name());
        collect(one, path.trim_start(), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str, path: &str) -> std::io::Result<String> {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(format!("hf {}", env!("CARGO_PKG_VERSION")))
        .manual("Hugging Face Hub");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.get_subcommands().any(|one| !one.is_hide_set()) {
        man.render_subcommands_section(&mut out)?;
    }
    if let Some(page) = pages::page(path) {
        // The library's own section would run the lines of the examples into one.
        for (title, text) in [
            ("EXAMPLES", page.examples_text()),
            ("ENVIRONMENT", page.variables_text()),
        ] {
            let lines: Vec<&str> = text.lines().skip(1).map(|line| &line[2..]).collect();
            if !lines.is_empty() {
                as_they_are(title, &lines).to_writer(&mut out)?;
            }
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// A section whose lines are not filled.
fn as_they_are(title: &str, lines: &[&str]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(*line)]);
    }
    roff.control("fi", []);
    roff
}
