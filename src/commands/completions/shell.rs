//! The shell functions that ask for completions, and the shells there are. Pure.

use std::fmt;
use std::path::Path;

use clap::ValueEnum;

use crate::config::env::{self, Env};

/// A shell that completion works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// The friendly interactive shell.
    Fish,
    /// PowerShell, on any system.
    #[value(alias = "pwsh")]
    Powershell,
    /// Elvish.
    Elvish,
}

impl Shell {
    /// The shell of this name.
    pub fn named(name: &str) -> Option<Shell> {
        Shell::from_str(name, false).ok()
    }

    /// The user's login shell: `Err` with its name when it is none of these, bash when there is none.
    ///
    /// # Errors
    /// The name of a shell that is not supported.
    pub fn of_user(env: &Env) -> Result<Shell, String> {
        let Some(path) = env.get(env::SHELL) else {
            return Ok(Shell::Bash);
        };
        let name = Path::new(&path).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        Shell::named(&name).ok_or(name)
    }

    /// The shell function, which runs `program` for each completion.
    pub fn script(self, program: &str) -> String {
        let template = match self {
            Shell::Bash => include_str!("scripts/hf.bash"),
            Shell::Zsh => include_str!("scripts/hf.zsh"),
            Shell::Fish => include_str!("scripts/hf.fish"),
            Shell::Powershell => include_str!("scripts/hf.ps1"),
            Shell::Elvish => include_str!("scripts/hf.elv"),
        };
        template.replace("PROGRAM", program)
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Elvish => "elvish",
        })
    }
}
