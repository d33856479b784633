//! Arguments that several commands share.

use std::fmt;
use std::time::Duration;

use clap::Args;
use zeroize::Zeroizing;

use crate::auth::resolve::ResolvedToken;
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::ProgressStyle;
use crate::hub::Hub;
use crate::types::target::{self, Form, RepoTarget};
use crate::types::{RepoType, Revision};

/// The repository a command is about.
#[derive(Debug, Clone, Args)]
pub struct RepoArgs {
    /// Repository: `namespace/name`, `datasets/namespace/name`, `hf://…` or its web address.
    #[arg(
        value_name = "REPO_ID",
        required_unless_present = "from_file",
        default_value = "",
        hide_default_value = true
    )]
    pub repo_id: String,
    #[command(flatten)]
    pub name: NameArgs,
}

/// What the name of a repository need not say.
#[derive(Debug, Clone, Default, Args)]
pub struct NameArgs {
    /// Kind of repository: model, dataset, space or kernel.
    #[arg(
        long = "repo-type",
        visible_alias = "type",
        hide_possible_values = true,
        value_enum,
        value_name = "TYPE"
    )]
    pub repo_type: Option<RepoType>,
    /// Branch, tag or commit [default: main].
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

impl RepoArgs {
    /// As [`NameArgs::resolve`].
    ///
    /// # Errors
    /// As there.
    pub fn resolve(&self, context: &Context) -> Result<(RepoTarget, Revision), CliError> {
        self.name.resolve(&self.repo_id, context)
    }
}

impl NameArgs {
    /// Resolves a name and these arguments to a repository, revision and perhaps a path in it.
    ///
    /// # Errors
    /// A usage error when the type is given twice; a failure when a name is invalid.
    pub fn resolve(
        &self,
        repo_id: &str,
        context: &Context,
    ) -> Result<(RepoTarget, Revision), CliError> {
        self.refuse_contradiction(repo_id)?;
        let target = target::parse(repo_id, self.repo_type, &context.settings.endpoint).map_err(|error| {
            CliError::new(crate::commands::error::ErrorKind::Other, crate::commands::error::sentence(&error.to_string()))
                .hint("a repository is named like `openai-community/gpt2` or `datasets/squad_org/squad`")
        })?;
        let revision = match (&self.revision, &target.revision) {
            (Some(text), _) => text.parse()?,
            (None, Some(revision)) => revision.clone(),
            (None, None) => Revision::main(),
        };
        Ok((target, revision))
    }

    /// Refuses a flag for what the name says already.
    ///
    /// # Errors
    /// A usage error for a kind that is given twice; a failure for an address beside these flags.
    pub fn refuse_contradiction(&self, repo_id: &str) -> Result<(), CliError> {
        match target::form(repo_id) {
            Form::Typed if self.repo_type.is_some() => {
                return Err(CliError::usage(format!(
                    "The repository {:?} names its type already, so --repo-type cannot be given.",
                    repo_id
                )));
            }
            Form::Uri | Form::Web if self.repo_type.is_some() || self.revision.is_some() => {
                return Err(CliError::new(
                    crate::commands::error::ErrorKind::Other,
                    format!(
                        "--repo-type and --revision cannot be combined with {:?}, which names both.",
                        repo_id
                    ),
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A secret on the command line: `Debug` does not show it, and its memory is wiped on drop.
#[derive(Clone)]
pub struct SecretArg(Zeroizing<String>);

impl SecretArg {
    /// The characters themselves.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretArg {
    fn from(text: String) -> Self {
        SecretArg(Zeroizing::new(text))
    }
}

impl fmt::Debug for SecretArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretArg(redacted)")
    }
}

/// A token for one command.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// Use this token. Others can see it in the process list: prefer HF_TOKEN or `hf auth login`.
    #[arg(long, value_name = "TOKEN")]
    token: Option<SecretArg>,
}

impl TokenArgs {
    /// What `--token` gave.
    pub(crate) fn new(token: Option<SecretArg>) -> Self {
        TokenArgs { token }
    }

    /// The token for download and verify requests.
    ///
    /// # Errors
    /// A source holds an invalid token.
    pub fn resolve(&self, context: &Context) -> Result<Option<ResolvedToken>, CliError> {
        if self.token.is_some() {
            context
                .console
                .warn("A token on the command line can be seen by every user of this machine; HF_TOKEN is safer.");
        }
        context.token_for_download(self.token.as_ref().map(SecretArg::expose))
    }
}

/// How progress is shown.
#[derive(Debug, Default, Clone, Args)]
pub struct ProgressArgs {
    /// How to show progress: auto (bars on a terminal, else a line every ten seconds), bar, plain
    /// (lines) or none.
    #[arg(
        long,
        value_enum,
        value_name = "STYLE",
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub progress: ProgressStyle,
}

/// How a transfer treats the network.
#[derive(Debug, Default, Clone, Args)]
pub struct TransferArgs {
    /// Receive no more than this in a second, all connections together: 20M, 500k.
    #[arg(long, value_name = "BYTES", value_parser = rate, allow_negative_numbers = true)]
    pub limit_rate: Option<u64>,
    /// Drop a connection that delivers nothing, or less than 1 kB a second, for this many seconds, and
    /// continue with another one [default: HF_HUB_DOWNLOAD_TIMEOUT, 10].
    #[arg(long, value_name = "SECONDS", value_parser = stall_seconds, allow_negative_numbers = true)]
    pub stall_timeout: Option<u64>,
}

impl TransferArgs {
    /// The client with these limits.
    pub fn apply(&self, hub: &Hub) -> Hub {
        let mut hub = hub.clone();
        if let Some(seconds) = self.stall_timeout {
            hub = hub.with_stall_timeout(Duration::from_secs(seconds));
        }
        if let Some(bytes_per_second) = self.limit_rate {
            hub = hub.with_limit(bytes_per_second);
        }
        hub
    }
}

/// Whole seconds of silence; an error says what is allowed.
fn stall_seconds(text: &str) -> Result<u64, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| "whole seconds from 1 to 86400, without a unit".to_owned())
}

/// How many files to fetch at the same time; an error says what is allowed.
pub(crate) fn workers(text: &str) -> Result<u16, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=256).contains(number));
    number.ok_or_else(|| "a whole number from 1 to 256".to_owned())
}

/// A number of rows or revisions; an error says what is allowed.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    let number = text.parse();
    number.map_err(|_| "a whole number from 0".to_owned())
}

/// Bytes a second: a size, perhaps with `/s`.
fn rate(text: &str) -> Result<u64, String> {
    let bytes = text.strip_suffix("/s").unwrap_or(text);
    match crate::cache::scan::select::size(bytes).map(u64::try_from) {
        Ok(Ok(rate)) if rate > 0 => Ok(rate),
        _ => Err("bytes a second, perhaps with k, M or G, as in 20M".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, expected) in [
            ("20M", Some(20_000_000)),
            ("500k", Some(500_000)),
            ("1GB/s", Some(1_000_000_000)),
            ("1000", Some(1000)),
            ("0", None),
            ("-5", None),
            ("1.5M", None),
            ("fast", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(rate(text).ok(), expected, "{text}");
        }
    }
}
