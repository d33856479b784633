//! Commands of the Python clients that are not here are handed on: to the next `hf` or `huggingface-cli`
//! in `PATH` that is another program, or to a Python beside this one that has the client
//! (docs/reference.md#other-commands).
//!
//! [`choice`] and [`names`] are pure; here are the looks at the disk and the one place that acts.

mod choice;
mod names;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

pub use self::choice::{Chain, Entry, What};
pub use self::names::{Other, find, words};
use crate::commands::alias::link::{self, Found};
use crate::config::env::{self, Env};
use crate::config::program::Program;
use crate::console::interrupt::replace_process;

/// Starts the Python client named by the first argument with the others. The working folder, which is
/// where `-c` looks for modules first, is left out: it is not part of the installation.
const START: &str = "import sys\n\
    if sys.path and sys.path[0] == '': del sys.path[0]\n\
    del sys.argv[0]\n";

/// What can be asked on this machine.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// All files of the names, in the order of `PATH`, those of the called name first.
    pub entries: Vec<Entry>,
    /// This program's file.
    binary: Option<PathBuf>,
}

/// A program that can be started in our place.
enum Asked {
    Entry(Entry),
    Python(PathBuf),
}

impl Seen {
    /// Looks at the files of `PATH`.
    pub fn look(env: &Env, program: Program) -> Self {
        let binary = std::env::current_exe()
            .and_then(|path| path.canonicalize())
            .ok();
        let other = match program {
            Program::Hf => Program::HuggingfaceCli,
            Program::HuggingfaceCli => Program::Hf,
        };
        let entries = [program, other]
            .into_iter()
            .flat_map(|program| entries(env, program.name(), binary.as_deref()))
            .collect();
        Seen { entries, binary }
    }

    /// The file that would be asked, in `PATH` or a Python beside this program.
    pub fn asked(&self, env: &Env, program: Program) -> Option<PathBuf> {
        let chain = chain(env);
        let first = choice::candidates(&self.entries, &chain)
            .first()
            .map(|entry| entry.path.clone());
        first.or_else(|| self.python(program))
    }

    /// A Python beside this program that has the client.
    fn python(&self, program: Program) -> Option<PathBuf> {
        let folders = choice::python_folders(self.binary.as_deref(), &self.entries);
        let names =
            ["python3", "python"].map(|name| format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let files = folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)));
        files
            .filter(|path| link::is_runnable(path))
            .find(|path| has_client(path, program))
    }
}

/// The files named `name` in `PATH`.
fn entries(env: &Env, name: &str, binary: Option<&Path>) -> Vec<Entry> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let variable = env.get_os(env::PATH).unwrap_or_default();
    let found = link::in_path(variable, env.current_dir(), &name).into_iter();
    found
        .map(|path| {
            let found = binary.and_then(|binary| link::look(&path, binary).ok());
            // `look` says of a link to a copy only that it is another program.
            let behind = || {
                let path = path.canonicalize().ok()?;
                link::look(&path, binary?).ok()
            };
            let what = match found {
                _ if !link::is_runnable(&path) => What::NotRunnable,
                Some(found) if found.is_ours() => What::Ours,
                Some(Found::Python) => What::Python,
                _ if behind().is_some_and(|found| found.is_ours()) => What::Ours,
                _ => What::Other,
            };
            let id = link::identity(&path);
            Entry { path, what, id }
        })
        .collect()
}

fn chain(env: &Env) -> Chain {
    Chain::read(env.get(env::HF_HANDED_ON).as_deref())
}

/// The module of the client's command line.
fn module(program: Program) -> &'static str {
    match program {
        Program::Hf => "huggingface_hub.cli.hf",
        Program::HuggingfaceCli => "huggingface_hub.commands.huggingface_cli",
    }
}

fn has_client(python: &Path, program: Program) -> bool {
    let look = format!(
        "{START}import importlib.util\nsys.exit(importlib.util.find_spec('{}') is None)",
        module(program)
    );
    let mut command = Command::new(python);
    command.args(["-c", &look]).stdin(Stdio::null());
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// Runs a command line of the Python client in our place: with the same arguments, environment and streams.
/// Comes back only where another program cannot take our place (its exit code), or when there is none to
/// ask (`None`).
pub fn hand_on(args: &[OsString], env: &Env, program: Program) -> Option<ExitCode> {
    let seen = Seen::look(env, program);
    let chain = chain(env);
    let rest = args.get(1..).unwrap_or_default();
    let asked = choice::candidates(&seen.entries, &chain)
        .into_iter()
        .cloned()
        .map(Asked::Entry);
    // The last one costs a start of Python, so it is only looked for when all others fail.
    let python = std::iter::once_with(|| seen.python(program).map(Asked::Python)).flatten();
    for one in asked.chain(python) {
        let mut command = match &one {
            Asked::Entry(entry) => {
                let mut command = Command::new(&entry.path);
                command.env(env::HF_HANDED_ON, chain.with(entry));
                command
            }
            Asked::Python(path) => {
                let mut command = Command::new(path);
                let module = module(program);
                let code = format!("{START}from {module} import main\nsys.exit(main())");
                command.args(["-c", &code, program.name()]);
                command
            }
        };
        if let Some(code) = replace_process(command.args(rest)) {
            return Some(code);
        }
    }
    None
}
