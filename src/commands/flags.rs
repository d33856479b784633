//! Arguments that several commands share.

use clap::Args;

use crate::auth::resolve::ResolvedToken;
use crate::context::Context;
use crate::error::CliError;
use crate::repo::{RepoType, Revision};
use crate::target::{self, Form, RepoTarget};

/// The repository a command is about.
#[derive(Debug, Args)]
pub struct RepoArgs {
    /// Repository: `namespace/name`, `datasets/namespace/name`, `hf://…` or its web address.
    #[arg(value_name = "REPO_ID")]
    pub repo_id: String,
    /// Kind of repository.
    #[arg(
        long = "repo-type",
        visible_alias = "type",
        value_enum,
        value_name = "TYPE"
    )]
    pub repo_type: Option<RepoType>,
    /// Branch, tag or commit [default: main].
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

impl RepoArgs {
    /// Resolves the arguments to a repository, revision and perhaps a path in it.
    ///
    /// # Errors
    /// A usage error when the type is given twice; a failure when a name is no name.
    pub fn resolve(&self, context: &Context) -> Result<(RepoTarget, Revision), CliError> {
        match target::form(&self.repo_id) {
            Form::Typed if self.repo_type.is_some() => {
                return Err(CliError::usage(format!(
                    "The repository {:?} names its type already, so --repo-type cannot be given.",
                    self.repo_id
                )));
            }
            Form::Uri | Form::Web if self.repo_type.is_some() || self.revision.is_some() => {
                return Err(CliError::new(
                    crate::error::Kind::Other,
                    format!(
                        "--repo-type and --revision cannot be given beside {:?}, which says both.",
                        self.repo_id
                    ),
                ));
            }
            _ => {}
        }
        let target = target::parse(&self.repo_id, self.repo_type, &context.settings.endpoint).map_err(|error| {
            CliError::new(crate::error::Kind::Other, crate::error::sentence(&error.to_string()))
                .hint("a repository is named like `openai-community/gpt2` or `datasets/squad_org/squad`")
        })?;
        let revision = match (&self.revision, &target.revision) {
            (Some(text), _) => text.parse()?,
            (None, Some(revision)) => revision.clone(),
            (None, None) => Revision::main(),
        };
        Ok((target, revision))
    }
}

/// A token for one command.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Use this token. Others can see it in the process list: prefer HF_TOKEN or `hf auth login`.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

impl TokenArgs {
    /// What `--token` gave.
    pub(crate) fn new(token: Option<String>) -> Self {
        TokenArgs { token }
    }

    /// The token for download and verify requests.
    ///
    /// # Errors
    /// A source holds something that is no token.
    pub fn resolve(&self, context: &Context) -> Result<Option<ResolvedToken>, CliError> {
        if self.token.is_some() {
            context
                .console
                .warn("A token on the command line can be seen by every user of this machine; HF_TOKEN is safer.");
        }
        context.token_for_download(self.token.as_deref())
    }
}
