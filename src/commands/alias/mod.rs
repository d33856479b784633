//! `hf alias`: the legacy name `huggingface-cli` for this program.

pub mod link;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use self::link::Found;
use super::cache::shown;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::commands::others::Seen;
use crate::config::env;
use crate::config::program::{LEGACY_NAME, Program};
use crate::console::{Mode, Table};

/// Make this tool available under the legacy name huggingface-cli.
///
/// The name is a link to this program, which then reads the command line as huggingface-cli did.
/// Without a command, the files of that name are listed, in the order in which a shell looks for them.
#[derive(Debug, Args)]
pub struct AliasArgs {
    /// What to do.
    #[command(subcommand)]
    command: Option<AliasCommand>,
}

#[derive(Debug, Subcommand)]
enum AliasCommand {
    /// List the files of that name.
    #[command(visible_alias = "ls")]
    List,
    /// Make the link.
    Add(AddArgs),
    /// Remove the link; other programs of that name are kept.
    #[command(visible_alias = "rm")]
    Remove(DirArgs),
}

/// Where the link is.
#[derive(Debug, Args)]
struct DirArgs {
    /// Folder of the link [default: the one that this program is in].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AddArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Replace what has that name there, such as the Python client's script.
    #[arg(long)]
    force: bool,
}

/// Where everything is.
struct Place {
    binary: PathBuf,
    path: PathBuf,
}

impl Place {
    fn new(dir: &DirArgs, context: &Context) -> Result<Self, CliError> {
        let binary = std::env::current_exe()
            .and_then(|path| path.canonicalize())
            .map_err(|error| {
                CliError::new(ErrorKind::Other, "Cannot find the file of this program.")
                    .caused_by(error)
            })?;
        let folder = match &dir.dir {
            Some(folder) => context.env.expand_home(folder),
            None => binary.parent().unwrap_or(Path::new("/")).to_owned(),
        };
        if !folder.is_dir() {
            return Err(CliError::new(
                ErrorKind::Disk,
                format!("There is no folder {}.", shown(&folder)),
            ));
        }
        let path = folder.join(file_name());
        Ok(Place { binary, path })
    }
}

fn file_name() -> String {
    format!("{}{}", LEGACY_NAME, std::env::consts::EXE_SUFFIX)
}

/// Runs a command of `hf alias`.
///
/// # Errors
/// Something else has the name; the folder cannot be written.
pub fn run(args: &AliasArgs, context: &Context) -> Result<(), CliError> {
    match &args.command {
        None | Some(AliasCommand::List) => list(context),
        Some(AliasCommand::Add(args)) => add(args, context),
        Some(AliasCommand::Remove(args)) => remove(args, context),
    }
}

fn list(context: &Context) -> Result<(), CliError> {
    let place = Place::new(&DirArgs { dir: None }, context)?;
    let mut paths = in_path(context);
    let first = first_runnable(&paths).cloned();
    let beside = !paths.iter().any(|path| same_file(path, &place.path));
    if beside && std::fs::symlink_metadata(&place.path).is_ok() {
        paths.push(place.path);
    }
    let mut table = Table::new(&["path", "what", "used"]);
    for path in &paths {
        let found = link::look(path, &place.binary)?;
        table.push(vec![
            crate::console::paths::path_value(path),
            json!(found.as_str()),
            json!(first.as_ref() == Some(path)),
        ]);
    }
    let console = &context.console;
    if table.is_empty() && console.mode() == Mode::Human {
        console.line("There is no huggingface-cli in PATH.");
    } else {
        console.table(&table);
    }
    if table.is_empty() {
        console.hint("`hf alias add` makes this tool answer to huggingface-cli");
    }
    Ok(())
}

fn add(args: &AddArgs, context: &Context) -> Result<(), CliError> {
    let Place { binary, path } = Place::new(&args.dir, context)?;
    let found = link::look(&path, &binary)?;
    let message = match found {
        _ if found.is_ours() => "huggingface-cli is this tool already.",
        Found::Nothing => {
            link::create(&path, &binary, false)?;
            "huggingface-cli is now this tool."
        }
        Found::Folder => {
            return Err(taken(&path, &found).hint("choose another folder with --dir"));
        }
        _ if args.force => {
            link::create(&path, &binary, true)?;
            "huggingface-cli is now this tool; what had the name is replaced."
        }
        _ => return Err(taken(&path, &found).hint(how_to_take(&found))),
    };
    let paths = in_path(context);
    let first = first_runnable(&paths);
    let used = first.is_some_and(|first| same_file(first, &path));
    context.console.result(
        message,
        vec![
            ("path", crate::console::paths::path_value(&path)),
            ("points_to", crate::console::paths::path_value(&binary)),
            ("used", json!(used)),
        ],
    );
    if !used {
        tell_of_path(&path, first, &binary, context)?;
    }
    tell_of_others(context);
    Ok(())
}

/// Which program runs the commands that this one does not have.
fn tell_of_others(context: &Context) {
    if context.console.mode() != Mode::Human {
        return;
    }
    let asked = Seen::look(&context.env, Program::HuggingfaceCli)
        .asked(&context.env, Program::HuggingfaceCli);
    context.console.say(&match asked {
        Some(path) => format!(
            "Other commands, such as upload, are handed to {}.",
            shown(&path)
        ),
        None => "Other commands, such as upload, need the Python client, which is not in PATH."
            .to_owned(),
    });
}

fn taken(path: &Path, found: &Found) -> CliError {
    let what = match found {
        Found::Python => "is the script of the Python client",
        Found::Dangling => "is a link to nothing",
        Found::Folder => "is a folder",
        _ => "is some other program",
    };
    CliError::new(ErrorKind::Other, format!("{} {what}.", shown(path)))
}

fn how_to_take(found: &Found) -> &'static str {
    match found {
        Found::Python => {
            "--force replaces it (installing the Python package again brings it back), --dir chooses another folder"
        }
        _ => "--force replaces it, --dir chooses another folder",
    }
}

/// Why a shell that runs huggingface-cli does not find `path`.
fn tell_of_path(
    path: &Path,
    first: Option<&PathBuf>,
    binary: &Path,
    context: &Context,
) -> Result<(), CliError> {
    let console = &context.console;
    match first {
        Some(first) => {
            let what = link::look(first, binary)?;
            console.warn(&format!(
                "PATH leads to {} first ({}).",
                shown(first),
                what.as_str()
            ));
            console.hint("put the folder of the link before it in PATH, or make the link there with --dir and --force");
        }
        None => {
            let folder = path.parent().unwrap_or(path);
            console.warn(&format!(
                "{} is not in PATH, so a shell does not find huggingface-cli there.",
                shown(folder)
            ));
            console.hint("add it to PATH, or choose a folder that is in it with --dir");
        }
    }
    Ok(())
}

fn remove(args: &DirArgs, context: &Context) -> Result<(), CliError> {
    let Place { binary, path } = Place::new(args, context)?;
    let found = link::look(&path, &binary)?;
    let removed = match found {
        Found::Nothing => false,
        Found::Same if path.canonicalize().is_ok_and(|path| path == binary) => {
            return Err(CliError::new(
                ErrorKind::Other,
                format!("{} is this program itself, not a link to it.", shown(&path)),
            ));
        }
        _ if found.is_ours() => {
            link::remove(&path)?;
            true
        }
        _ => return Err(taken(&path, &found).hint("it belongs to another program and is kept")),
    };
    let message = match removed {
        true => "huggingface-cli is removed.",
        false => "There is no huggingface-cli in this folder.",
    };
    context.console.result(
        message,
        vec![
            ("path", crate::console::paths::path_value(&path)),
            ("removed", json!(removed)),
        ],
    );
    Ok(())
}

fn in_path(context: &Context) -> Vec<PathBuf> {
    let variable = context.env.get_os(env::PATH).unwrap_or_default();
    link::in_path(variable, context.env.current_dir(), &file_name())
}

fn first_runnable(paths: &[PathBuf]) -> Option<&PathBuf> {
    paths.iter().find(|path| link::is_runnable(path))
}

/// Whether two paths name one entry: the same name in the same folder, however that is reached.
fn same_file(a: &Path, b: &Path) -> bool {
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    a.file_name() == b.file_name() && folder(a) == folder(b)
}
