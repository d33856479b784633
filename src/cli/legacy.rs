//! The legacy grammar: `huggingface-cli` of huggingface_hub 0.36.2, lowered to the commands of `hf`.
//!
//! argparse reads it there, which shows: unambiguous beginnings of long flags count, of a flag given
//! twice the last one counts, and `--include` and `--exclude` take all words up to the next flag.
//! What the commands print in this style is decided where they print ([`crate::config::program::Program`]).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::cli::grammar::{Cli, Command, OutputArgs};
use crate::commands::auth::{AuthArgs, AuthCommand, GitArgs, login, logout, switch};
use crate::commands::flags::{
    NameArgs, ProgressArgs, RepoArgs, SecretArg, TokenArgs, TransferArgs,
};
use crate::commands::{cache, download};
use crate::config::program::LEGACY_NAME;
use crate::types::RepoType;

/// Upper limit of fetches at the same time.
const MOST_WORKERS: u64 = 256;

/// Log in to the Hugging Face Hub, download from it, and manage the local cache.
///
/// The legacy name and grammar; `hf` has the newer one.
#[derive(Debug, Parser)]
#[command(
    name = LEGACY_NAME,
    bin_name = LEGACY_NAME,
    disable_version_flag = true,
    disable_help_subcommand = true,
    infer_long_args = true,
    args_override_self = true,
    arg_required_else_help = true
)]
pub struct LegacyCli {
    /// Print the version.
    #[arg(short = 'v', long, exclusive = true)]
    version: bool,
    #[command(subcommand)]
    command: Option<LegacyCommand>,
}

#[derive(Debug, Subcommand)]
enum LegacyCommand {
    /// Download a repository, or some of its files, and print the path.
    Download(DownloadArgs),
    /// Describe this installation, for a bug report.
    Env,
    /// Log in with an access token.
    Login(LoginArgs),
    /// Show which account the token belongs to.
    Whoami,
    /// Forget all saved tokens, or one of them.
    Logout(logout::LogoutArgs),
    /// Keep several tokens.
    #[command(arg_required_else_help = true)]
    Auth {
        #[command(subcommand)]
        command: LegacyAuth,
    },
    /// Show the cache as a wide table with paths.
    ScanCache(cache::scan::Args),
    /// Choose cached revisions in a list and remove them.
    DeleteCache(cache::delete::Args),
    /// Print the version of this tool.
    Version,
}

#[derive(Debug, Subcommand)]
enum LegacyAuth {
    /// Make another saved token the active one.
    Switch(switch::SwitchArgs),
    /// List the saved tokens.
    List,
    /// Same as `huggingface-cli login`.
    #[command(hide = true)]
    Login(LoginArgs),
    /// Same as `huggingface-cli logout`.
    #[command(hide = true)]
    Logout(logout::LogoutArgs),
    /// Same as `huggingface-cli whoami`.
    #[command(hide = true)]
    Whoami,
}

#[derive(Debug, Args)]
struct LoginArgs {
    /// The access token. Without it you are prompted for one.
    #[arg(long, value_name = "TOKEN")]
    token: Option<SecretArg>,
    /// Also give the token to git's credential helper.
    #[arg(long)]
    add_to_git_credential: bool,
}

/// How many files to fetch at the same time: any number, as in 0.36.2.
fn workers(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| "a whole number from 1".to_owned())
}

#[derive(Debug, Args)]
struct DownloadArgs {
    /// Repository: `namespace/name`.
    #[arg(value_name = "REPO_ID")]
    repo_id: String,
    /// Files to download. Without any, the whole repository.
    #[arg(value_name = "FILENAMES")]
    filenames: Vec<String>,
    /// Kind of repository.
    #[arg(long, value_name = "TYPE", value_parser = repo_type())]
    repo_type: Option<RepoType>,
    /// Branch, tag or commit [default: main].
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Download what matches one of these patterns.
    #[arg(long, value_name = "PATTERN", num_args = 0.., action = ArgAction::Set)]
    include: Option<Vec<String>>,
    /// Leave out what matches one of these patterns.
    #[arg(long, value_name = "PATTERN", num_args = 0.., action = ArgAction::Set)]
    exclude: Option<Vec<String>>,
    /// Use this cache folder instead of HF_HUB_CACHE.
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Put plain files into this folder instead of the cache.
    #[arg(long, value_name = "DIR")]
    local_dir: Option<PathBuf>,
    /// Deprecated, without effect.
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "True", "False"], hide = true)]
    local_dir_use_symlinks: Option<String>,
    /// Fetch files that are there already.
    #[arg(long)]
    force_download: bool,
    /// Deprecated: every download continues where an earlier one stopped.
    #[arg(long, hide = true)]
    resume_download: bool,
    /// Use this token.
    #[arg(long, value_name = "TOKEN")]
    token: Option<SecretArg>,
    /// Print nothing but the path.
    #[arg(long)]
    quiet: bool,
    /// Most files to fetch at the same time [default: 8, and 64 of up to a megabyte].
    #[arg(long, value_name = "N", value_parser = workers, allow_negative_numbers = true)]
    max_workers: Option<u64>,
}

/// The types that the legacy client knows.
fn repo_type() -> impl TypedValueParser<Value = RepoType> {
    PossibleValuesParser::new(["model", "dataset", "space"])
        .try_map(|text| RepoType::from_str(&text, false))
}

/// A lowered command line, and what to say about it on stderr.
#[derive(Debug)]
pub struct Lowered {
    /// The same in the modern grammar.
    pub cli: Cli,
    /// Deprecated flags that were given and do nothing.
    pub ignored: Vec<&'static str>,
}

/// The legacy grammar.
pub(super) fn grammar() -> clap::Command {
    LegacyCli::command()
}

/// Reads a command line of the legacy grammar.
///
/// # Errors
/// A mistake in it, or a call for help.
pub fn parse(args: &[OsString]) -> Result<Lowered, clap::Error> {
    let LegacyCli { version, command } = LegacyCli::try_parse_from(args)?;
    let command = match command {
        None if version => LegacyCommand::Version,
        Some(command) => command,
        None => {
            let mut root = grammar();
            return Err(root.error(ErrorKind::MissingSubcommand, "No command was given."));
        }
    };
    let mut quiet = false;
    let mut ignored = Vec::new();
    let command = match command {
        LegacyCommand::Download(args) => {
            quiet = args.quiet;
            ignored = args.ignored();
            Command::Download(args.lower()?)
        }
        LegacyCommand::Env => Command::Env,
        LegacyCommand::Login(args) => Command::Login(args.lower()),
        LegacyCommand::Whoami => Command::Whoami,
        LegacyCommand::Logout(args) => Command::Logout(args),
        LegacyCommand::Auth { command } => command.lower(),
        LegacyCommand::ScanCache(args) => Command::ScanCache(args),
        LegacyCommand::DeleteCache(args) => Command::DeleteCache(args),
        LegacyCommand::Version => Command::Version,
    };
    let cli = Cli {
        env_file: None,
        offline: false,
        output: OutputArgs::quiet(quiet),
        install_completion: None,
        show_completion: None,
        version: false,
        command: Some(command),
    };
    Ok(Lowered { cli, ignored })
}

impl LegacyAuth {
    fn lower(self) -> Command {
        let command = match self {
            LegacyAuth::Switch(args) => AuthCommand::Switch(args),
            LegacyAuth::List => AuthCommand::List,
            LegacyAuth::Login(args) => return Command::Login(args.lower()),
            LegacyAuth::Logout(args) => return Command::Logout(args),
            LegacyAuth::Whoami => return Command::Whoami,
        };
        Command::Auth(AuthArgs { command })
    }
}

impl LoginArgs {
    fn lower(self) -> login::LoginArgs {
        login::LoginArgs {
            token: self.token,
            git: GitArgs::new(self.add_to_git_credential),
            ..login::LoginArgs::default()
        }
    }
}

impl DownloadArgs {
    fn ignored(&self) -> Vec<&'static str> {
        let given = [
            (
                self.local_dir_use_symlinks.is_some(),
                "--local-dir-use-symlinks",
            ),
            (self.resume_download, "--resume-download"),
        ];
        given
            .iter()
            .filter_map(|&(given, flag)| given.then_some(flag))
            .collect()
    }

    fn lower(self) -> Result<download::Args, clap::Error> {
        // An empty list of patterns is not "everything": it is what an unset variable leaves.
        if self.filenames.is_empty() && self.include.as_ref().is_some_and(Vec::is_empty) {
            let mut root = grammar();
            root.build();
            let command = root
                .find_subcommand_mut("download")
                .expect("this is the command in hand");
            return Err(command.error(
                ErrorKind::TooFewValues,
                "no pattern follows '--include', so nothing would be downloaded",
            ));
        }
        Ok(download::Args {
            repo: RepoArgs {
                repo_id: self.repo_id,
                name: NameArgs {
                    repo_type: self.repo_type,
                    revision: self.revision,
                },
            },
            filenames: self.filenames,
            from_file: None,
            include: self.include.unwrap_or_default(),
            exclude: self.exclude.unwrap_or_default(),
            cache_dir: self.cache_dir,
            local_dir: self.local_dir,
            force_download: self.force_download,
            no_force_download: false,
            dry_run: false,
            no_dry_run: false,
            token: TokenArgs::new(self.token),
            max_workers: self
                .max_workers
                .and_then(|workers| u16::try_from(workers.min(MOST_WORKERS)).ok()),
            no_space_check: false,
            resume_download: false,
            local_dir_use_symlinks: None,
            transfer: TransferArgs::default(),
            progress: ProgressArgs::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Lowered, clap::Error> {
        let words = std::iter::once(LEGACY_NAME).chain(line.split_whitespace());
        parse(&words.map(OsString::from).collect::<Vec<_>>())
    }

    fn download(line: &str) -> download::Args {
        match read(line).unwrap().cli.command {
            Some(Command::Download(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn patterns_take_all_words_up_to_the_next_flag() {
        for (line, names, include, exclude) in [
            ("download o/n", &[][..], &[][..], &[][..]),
            ("download o/n a b", &["a", "b"], &[], &[]),
            ("download o/n --include *.a *.b", &[], &["*.a", "*.b"], &[]),
            (
                "download o/n --include *.a --exclude x y --revision r",
                &[],
                &["*.a"],
                &["x", "y"],
            ),
            ("download o/n --include=*.a", &[], &["*.a"], &[]),
            // The last one of several counts.
            (
                "download o/n --include *.a --include *.b",
                &[],
                &["*.b"],
                &[],
            ),
            ("download o/n --exclude", &[], &[], &[]),
            ("download o/n a --include", &["a"], &[], &[]),
            ("download --revision r o/n a", &["a"], &[], &[]),
        ] {
            let args = download(line);
            assert_eq!(args.repo.repo_id, "o/n", "{line}");
            assert_eq!(args.filenames, names, "{line}");
            assert_eq!(args.include, include, "{line}");
            assert_eq!(args.exclude, exclude, "{line}");
        }
    }

    #[test]
    fn beginnings_of_long_flags() {
        let args = download("download o/n --rev r --repo-t dataset --cache c --force --max 900");
        assert_eq!(args.repo.name.revision.as_deref(), Some("r"));
        assert_eq!(args.repo.name.repo_type, Some(RepoType::Dataset));
        assert_eq!(args.cache_dir, Some("c".into()));
        assert!(args.force_download);
        assert_eq!(args.max_workers, Some(256));
        assert_eq!(
            download("download o/n --local-dir d").local_dir,
            Some("d".into())
        );
    }

    #[test]
    fn deprecated_flags_are_taken_and_named() {
        for (line, ignored) in [
            ("download o/n", &[][..]),
            ("download o/n --resume", &["--resume-download"]),
            (
                "download o/n --local-dir d --local-dir-use-symlinks False --resume-download",
                &["--local-dir-use-symlinks", "--resume-download"],
            ),
        ] {
            assert_eq!(read(line).unwrap().ignored, ignored, "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense() {
        for line in [
            "download",
            "download o/n --re x",
            "download o/n --repo-type kernel",
            "download o/n --local-dir-use-symlinks true",
            "download o/n --include",
            "download --include a o/n",
            "download o/n --max-workers 0",
            "download o/n --dry-run",
            "whoami --json",
            "delete-cache --sort name",
            "scan-cache extra",
            "auth nothing",
            "cache ls",
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}: {error}");
        }
    }

    #[test]
    fn other_commands() {
        for (line, expected) in [
            ("env", "Env"),
            ("version", "Version"),
            ("--version", "Version"),
            ("whoami", "Whoami"),
            ("login --token t --add", "Login("),
            ("logout --token-name n", "Logout("),
            ("auth switch --token n --add-to-git", "Auth("),
            ("auth list", "List"),
            ("auth whoami", "Whoami"),
            ("scan-cache -vvv", "verbose: 3"),
            ("scan-cache --dir d --verb -v", "verbose: 2"),
            ("delete-cache --disable --sort", "sort: Some(None)"),
            ("delete-cache --sort lastUsed", "sort: Some(Some(LastUsed))"),
        ] {
            let shown = format!("{:?}", read(line).unwrap().cli.command.unwrap());
            assert!(shown.contains(expected), "{line}: {shown}");
        }
    }
}
