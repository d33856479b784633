//! The command line: both grammars, error messages for mistakes in a line, and completion. The only room that sees the whole grammar.

pub mod complete;
pub mod grammar;
pub mod help;
pub mod legacy;
mod patterns;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;

use crate::commands;
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind};
use crate::commands::others;
use crate::config::agent;
use crate::config::env::{self, Env};
use crate::config::program::Program;
use crate::config::settings::{Settings, SettingsError, unusable};
use crate::console::text::escape;
use crate::console::{Console, OutputFormat, interrupt};
use crate::sys::limits;

use self::grammar::Cli;

/// Runs the command line of this process, after setting up signals and the limit of open files.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let env = Env::from_process();
    // First: the other program would inherit what is changed of signals and limits.
    if let Some(code) = handed_on(&args, &env) {
        return code;
    }
    interrupt::install();
    limits::raise_open_files();
    run(args, env)
}

/// Runs the Python client in the place of this process for a command that only it has, where it is
/// installed.
fn handed_on(args: &[OsString], env: &Env) -> Option<ExitCode> {
    let program = Program::of(args.first());
    let completes = env.get(env::HF_COMPLETE).is_some();
    if completes {
        return None;
    }
    let args = with_help_flag(args.to_vec(), program);
    usage::other_command(&args, program)?;
    others::hand_on(&args, env, program)
}

/// The line with `help upload` written as `upload --help`.
fn with_help_flag(args: Vec<OsString>, program: Program) -> Vec<OsString> {
    // Building a grammar takes longer than all else before the first request.
    if !args.iter().any(|word| word == "help") {
        return args;
    }
    let grammar = match program {
        Program::Hf => Cli::command(),
        Program::HuggingfaceCli => legacy::LegacyCli::command(),
    };
    help::asked(args, &grammar)
}

/// Runs one command line in this process: everything that the binary does.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(answer) = complete::answer(&env, &args) {
        Console::from_process(&env).lines(&answer.text);
        return ExitCode::from(u8::from(!answer.success));
    }
    let program = Program::of(args.first());
    let args = with_help_flag(args, program);
    let (args, several) = match program {
        Program::Hf => patterns::one_each(&args, &help::grammar()),
        // Its grammar takes several patterns behind one flag.
        Program::HuggingfaceCli => (args, Vec::new()),
    };
    let (cli, ignored) = match read(&args, program) {
        Ok(read) => read,
        Err(error) => return usage::report(error, &args, program, Console::from_process(&env)),
    };
    let (env, env_file) = with_env_file(env, &cli);
    let settings = Settings::resolve(&env).map(|settings| Settings {
        offline: settings.offline || cli.offline,
        ..settings
    });
    let format = cli.output.format();
    let no_truncate = cli.output.no_truncate;
    let wanted = match &format {
        Ok(format) => *format,
        // Several formats were given: the error about that has one of them.
        Err(_) => usage::wanted_format(&args),
    };
    let console = Arc::new(console(&env, program, &settings, wanted, no_truncate));
    let debug = settings
        .as_ref()
        .map_or(env.is_true(env::HF_DEBUG), |all| all.debug);
    tell_ineffective(&env, &ignored, &console);
    for one in several {
        console.say(&one.told());
    }
    let result = env_file.and(format).and_then(|_| {
        let context = Context::new(env, settings?, Arc::clone(&console), help::grammar);
        dispatch(cli, &context)
    });
    let result = result.and_then(|()| {
        console.finish().map_err(|error| {
            CliError::new(ErrorKind::Disk, "Cannot write the output.").caused_by(error)
        })
    });
    console.end_progress();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report(&console, debug);
            error.exit_code()
        }
    }
}

/// Reads the command line in the grammar of the name; also returns flags that do nothing.
fn read(args: &[OsString], program: Program) -> Result<(Cli, Vec<&'static str>), clap::Error> {
    match program {
        Program::Hf => Ok((help::parse(args)?, Vec::new())),
        Program::HuggingfaceCli => {
            legacy::parse(args).map(|lowered| (lowered.cli, lowered.ignored))
        }
    }
}

/// The environment with the variables of `--env-file`; as it was when that cannot be read.
fn with_env_file(env: Env, cli: &Cli) -> (Env, Result<(), CliError>) {
    match &cli.env_file {
        Some(path) => match env.clone().with_file(path) {
            Ok(env) => (env, Ok(())),
            Err(error) => (env, Err(error.into())),
        },
        None => (env, Ok(())),
    }
}

/// The console in the requested format, or in the one that the environment suggests.
fn console(
    env: &Env,
    program: Program,
    settings: &Result<Settings, SettingsError>,
    format: Option<OutputFormat>,
    no_truncate: bool,
) -> Console {
    let mut console = Console::from_process(env);
    console.set_program(program);
    if let (Program::Hf, Ok(settings)) = (program, settings) {
        match agent::detect(env, &settings.hf_home) {
            Ok(agent) => console.set_agent(agent.is_some()),
            Err(error) if settings.debug => {
                console.debug(&escape(&error.to_string()));
            }
            Err(_) => {}
        }
    }
    let bars = settings.as_ref().ok().and_then(|all| all.progress_bars);
    console.configure(format, no_truncate, bars);
    console
}

/// Names what was given and has no effect.
fn tell_ineffective(env: &Env, flags: &[&str], console: &Console) {
    for name in env.ineffective_in_file() {
        console.warn(&format!(
            "{name} has no effect in the file of --env-file: set it in the environment itself."
        ));
    }
    for text in unusable(env) {
        console.warn(&escape(&text));
    }
    for flag in flags {
        console.say(&format!("{flag} is deprecated and has no effect."));
    }
}

fn dispatch(cli: Cli, context: &Context) -> Result<(), CliError> {
    match cli.command {
        Some(command) => command.run(context),
        None if cli.version => {
            commands::version::bare(context);
            Ok(())
        }
        None if cli.install_completion.is_some() => {
            commands::completions::install(cli.install_completion.flatten(), context)
        }
        None if cli.show_completion.is_some() => {
            commands::completions::show(cli.show_completion.flatten(), context)
        }
        None => {
            Err(CliError::usage("No command was given.").hint("`hf --help` lists the commands"))
        }
    }
}
