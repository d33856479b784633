//! The modern grammar: `hf` and its global flags. Each command's own arguments stand in its file
//! below [`crate::commands`].

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::commands::completions::Shell;
use crate::commands::error::CliError;
use crate::console::OutputFormat;

/// Log in to the Hugging Face Hub, download from it, and manage the local cache.
#[derive(Debug, Parser)]
#[command(
    name = "hf",
    disable_version_flag = true,
    arg_required_else_help = true,
    args_override_self = true
)]
pub struct Cli {
    /// Read variables from a dotenv file, for those that are not set.
    #[arg(long, global = true, value_name = "PATH")]
    pub env_file: Option<std::path::PathBuf>,
    /// Send no request: use what is there already, as with HF_HUB_OFFLINE=1.
    #[arg(long, global = true)]
    pub offline: bool,
    /// Flags of every command.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Print the version.
    #[arg(short = 'v', long, exclusive = true)]
    pub version: bool,
    /// Turn completion on in the files of your shell, or of the one named.
    #[arg(long, value_enum, value_name = "SHELL", num_args = 0..=1, hide_possible_values = true)]
    pub install_completion: Option<Option<Shell>>,
    /// Print the completion script of your shell, or of the one named.
    #[arg(long, value_enum, value_name = "SHELL", num_args = 0..=1, hide_possible_values = true)]
    pub show_completion: Option<Option<Shell>>,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How results are printed; accepted before and after the command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How to print the result: auto, human, agent, json or quiet.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    format: Option<OutputFormat>,
    /// Same as --format json.
    #[arg(long, global = true)]
    json: bool,
    /// Print the bare essential value only (--format quiet).
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print whole values in tables, however wide.
    #[arg(long, global = true)]
    pub no_truncate: bool,
}

impl OutputArgs {
    /// What `--quiet` of the legacy grammar means.
    pub(crate) fn quiet(quiet: bool) -> Self {
        OutputArgs {
            quiet,
            ..OutputArgs::default()
        }
    }

    /// The requested format, if any.
    ///
    /// # Errors
    /// A usage error when several were.
    pub fn format(&self) -> Result<Option<OutputFormat>, CliError> {
        match (self.format, self.json, self.quiet) {
            (format, false, false) => Ok(format),
            (None, true, false) => Ok(Some(OutputFormat::Json)),
            (None, false, true) => Ok(Some(OutputFormat::Quiet)),
            _ => Err(CliError::usage(
                "Only one of --format, --json and --quiet can be given.",
            )),
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "the text of a command stands at its arguments")]
pub enum Command {
    /// Log in and out, and manage access tokens.
    Auth(commands::auth::AuthArgs),
    /// Same as `hf auth login`.
    #[command(hide = true)]
    Login(commands::auth::login::LoginArgs),
    /// Same as `hf auth logout`.
    #[command(hide = true)]
    Logout(commands::auth::logout::LogoutArgs),
    /// Same as `hf auth whoami`.
    #[command(hide = true)]
    Whoami,
    Download(commands::download::Args),
    Ls(commands::ls::Args),
    /// Manage the local cache.
    #[command(arg_required_else_help = true)]
    Cache {
        /// What to do with it.
        #[command(subcommand)]
        command: commands::cache::CacheCommand,
    },
    /// Describe this installation, for a bug report.
    Env,
    Alias(commands::alias::AliasArgs),
    /// Print the version of this tool.
    Version,
    Update(commands::update::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
    /// The legacy name of `hf cache scan`.
    #[command(name = "scan-cache", hide = true)]
    ScanCache(commands::cache::scan::Args),
    /// The legacy name of `hf cache delete`.
    #[command(name = "delete-cache", hide = true)]
    DeleteCache(commands::cache::delete::Args),
}

impl Command {
    fn writes_tokens(&self) -> bool {
        use commands::auth::AuthCommand as Auth;
        match self {
            Command::Login(_) | Command::Logout(_) => true,
            Command::Auth(args) => matches!(
                args.command,
                Auth::Login(_) | Auth::Logout(_) | Auth::Switch(_)
            ),
            _ => false,
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Whatever made it fail.
    pub fn run(self, context: &crate::commands::context::Context) -> Result<(), CliError> {
        if self.writes_tokens() {
            let settings = &context.settings;
            settings.check_home(&settings.token_path)?;
        }
        match self {
            Command::Alias(args) => commands::alias::run(&args, context),
            Command::Auth(args) => commands::auth::run(args, context),
            Command::Login(args) => commands::auth::login::run(args, context),
            Command::Logout(args) => commands::auth::logout::run(args, context),
            Command::Whoami => commands::auth::whoami::run(context),
            Command::Cache { command } => command.run(context),
            Command::Env => commands::env::run(context),
            Command::DeleteCache(args) => commands::cache::delete::run(&args, context),
            Command::ScanCache(args) => commands::cache::scan::run(&args, context),
            Command::Ls(args) => commands::ls::run(&args, context),
            Command::Download(args) => commands::download::run(&args, context),
            Command::Completions(args) => commands::completions::run(&args, context),
            Command::Man(args) => commands::man::run(&args, context),
            Command::Update(args) => commands::update::run(&args, context),
            Command::Version => commands::version::run(context),
        }
    }
}
