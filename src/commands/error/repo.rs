//! Messages for failures that are about one repository: which account, which token, and what to do
//! next.

use super::near::{did_you_mean, is_a_folder};
use crate::auth::resolve::{ResolvedToken, TokenSource};
use crate::commands::context::Context;
use crate::commands::error::{CliError, ErrorKind, sentence};
use crate::console::text::{count, escape, size};
use crate::download::DownloadError;
use crate::hub::HubError;
use crate::types::{Repo, RepoPath, Revision, shortened};

/// A request about a repository, for its error messages.
pub struct DownloadContext<'a> {
    /// The command's context.
    pub context: &'a Context,
    /// The repository.
    pub repo: &'a Repo,
    /// The revision.
    pub revision: &'a Revision,
    /// The token that was sent, if any.
    pub token: Option<&'a ResolvedToken>,
}

impl DownloadContext<'_> {
    /// Puts a failed download into words.
    pub fn explain(&self, error: DownloadError) -> CliError {
        let explained = self.in_words(error);
        CliError {
            message: sentence(&explained.message),
            ..explained
        }
    }

    fn in_words(&self, error: DownloadError) -> CliError {
        match error {
            DownloadError::Hub { source, path } => self.explain_hub(source, path.as_ref()),
            DownloadError::Fs(error) => error.into(),
            DownloadError::Name(error) => error.into(),
            DownloadError::Corrupt { path, expected } => CliError::new(
                ErrorKind::Corrupt,
                format!("The Hub sent wrong bytes for {path} twice: they do not have the hash {expected}. Nothing of them was kept."),
            )
            .hint("try again later; if it stays, tell the repository's owner, or check proxies and HF_ENDPOINT"),
            DownloadError::Unstorable(names) => self.explain_names(&names),
            DownloadError::MissingFiles { names, there } => CliError::new(
                ErrorKind::FileNotFound,
                format!(
                    "{} has no {} at revision {}: {}",
                    self.title(),
                    if names.len() == 1 { "such file" } else { "such files" },
                    self.revision,
                    escape(&names.join(", "))
                ),
            )
            .hint(
                names
                    .iter()
                    .find_map(|name| is_a_folder(name, &there).or_else(|| did_you_mean(name, &there)))
                    .unwrap_or_else(|| self.look_hint()),
            ),
            DownloadError::NothingMatches => CliError::new(
                ErrorKind::FileNotFound,
                format!("No file of {} matches the patterns.", self.title()),
            )
            .hint("patterns match the whole path: `*.json` finds `a/b.json`, `a/*` everything below a/"),
            DownloadError::NoSpace { needed, free, folder } => CliError::new(
                ErrorKind::DiskFull,
                format!(
                    "Not enough room in {}: {} are needed and {} are free.",
                    escape(&folder.display().to_string()),
                    size(needed),
                    size(free)
                ),
            )
            .hint("free some space (`hf cache ls --sort size`), choose another folder with --cache-dir, or pass --no-space-check"),
            DownloadError::PathTooLong { path, folder } => CliError::new(
                ErrorKind::Other,
                format!(
                    "The file {} cannot be stored below {}: its path would be longer than the system allows. Nothing was downloaded.",
                    escape(&shortened(path.as_str())),
                    escape(&folder.display().to_string()),
                ),
            )
            .hint("leave it out with --exclude, or choose a folder with a shorter path"),
            DownloadError::CaseCollision { first, second, folder } => CliError::new(
                ErrorKind::Other,
                format!(
                    "The files {} and {} are one and the same below {}, which does not tell upper from lower case. Nothing was downloaded.",
                    escape(&shortened(first.as_str())),
                    escape(&shortened(second.as_str())),
                    escape(&folder.display().to_string()),
                ),
            )
            .hint("leave one of them out with --exclude, or choose a folder on another file system"),
            DownloadError::Incomplete { missing, reason } => CliError::new(
                reason.kind(),
                format!(
                    "The cached snapshot of {} lacks {} ({}), and the Hub cannot be reached: {}.",
                    self.title(),
                    count(missing.len() as u64, "file"),
                    sample(&missing),
                    escape(&reason.to_string())
                ),
            )
            .hint(match reason {
                HubError::InvalidToken | HubError::ExpiredToken { .. } => {
                    new_token_hint(self.context, self.token.map(|token| &token.source))
                }
                _ => "run the same command with network access to complete it".to_owned(),
            }),
            DownloadError::Task(_) => {
                CliError::new(ErrorKind::Other, "The download stopped because of an error in this program.")
                    .hint("run it again with HF_DEBUG=1 and report what it says")
                    .caused_by(error)
            }
        }
    }

    /// The error for files whose names cannot be stored.
    fn explain_names(&self, names: &[(String, &'static str)]) -> CliError {
        let (name, reason) = names.first().map_or(("", ""), |(name, why)| (name, why));
        let others = match names.len() {
            0 | 1 => String::new(),
            all => format!(" So do {}.", count(all as u64 - 1, "other file")),
        };
        CliError::new(
            ErrorKind::Other,
            format!(
                "{} has a file whose name cannot be stored: the file name {:?} {reason}.{others} Nothing was downloaded.",
                self.title(),
                shortened(name),
            ),
        )
        .hint(format!(
            "leave it out with --exclude {:?}, and tell the owner of the repository",
            pattern_for(name)
        ))
    }

    fn explain_hub(&self, error: HubError, path: Option<&RepoPath>) -> CliError {
        let words = match &error {
            HubError::RepoNotFound => (
                format!(
                    "There is no {} {}, or {} may not see it.",
                    self.repo.repo_type,
                    self.repo.id,
                    self.caller()
                ),
                self.other_kind().unwrap_or_else(|| self.not_found_hint()),
            ),
            HubError::RevisionNotFound => (
                format!(
                    "{} has no revision {}.",
                    self.title(),
                    escape(self.revision.as_str())
                ),
                self.near_revisions().unwrap_or_else(|| self.look_hint()),
            ),
            HubError::EntryNotFound { .. } => (
                format!(
                    "{} has no file {} at revision {}.",
                    self.title(),
                    path.map_or("of that name".to_owned(), RepoPath::to_string),
                    self.revision
                ),
                match path {
                    Some(path) if path.as_str().contains(['*', '?', '[']) => {
                        format!("for a pattern use --include {:?}", path.as_str())
                    }
                    Some(path) => self
                        .near_files(path.as_str())
                        .unwrap_or_else(|| self.look_hint()),
                    None => self.look_hint(),
                },
            ),
            HubError::Gated { .. } => (
                format!(
                    "{} is gated, and {} has no access to it.",
                    self.title(),
                    self.caller()
                ),
                match self.token {
                    Some(_) => format!("ask for access at {}", self.web_page()),
                    None => format!(
                        "run `hf auth login`, then ask for access at {}",
                        self.web_page()
                    ),
                },
            ),
            HubError::Disabled => (
                format!("The Hub has disabled access to {}.", self.title()),
                format!("see {}", self.web_page()),
            ),
            HubError::Forbidden {
                message,
                with_token: true,
            } => (
                format!(
                    "{} has no permission to read {}{}",
                    sentence_start(&self.caller()),
                    self.title(),
                    said(message)
                ),
                format!(
                    "change the permissions of the token at {}",
                    self.context.settings.endpoint.tokens_page()
                ),
            ),
            HubError::Forbidden {
                message,
                with_token: false,
            } => (
                format!(
                    "{} cannot be read without a token, or not from this network{}",
                    sentence_start(&self.title()),
                    said(message)
                ),
                "run `hf auth login`, or check HF_ENDPOINT and the proxy variables".to_owned(),
            ),
            HubError::InvalidToken | HubError::ExpiredToken { .. } => (
                self.refused_token(&error),
                new_token_hint(self.context, self.token.map(|token| &token.source)),
            ),
            HubError::Offline => (
                format!(
                    "the cache lacks requested files of {} at revision {}, and offline mode is on.",
                    self.title(),
                    self.revision
                ),
                "to go online, leave out --offline and unset HF_HUB_OFFLINE; `hf cache ls --revisions` lists what is there".to_owned(),
            ),
            _ => return error.into(),
        };
        let (message, hint) = words;
        CliError::new(error.kind(), sentence(&message))
            .hint(hint)
            .caused_by(error)
    }

    /// Why an earlier download is used: a warning that names the token when the Hub refused it.
    pub fn why_cached(&self, reason: &HubError) -> String {
        let why = match reason {
            HubError::InvalidToken | HubError::ExpiredToken { .. } => {
                let why = self.refused_token(reason);
                format!("{} Using", sentence(&why))
            }
            reason => format!(
                "The Hub cannot be reached ({}); using",
                escape(&reason.to_string())
            ),
        };
        format!("{why} what was downloaded before.")
    }

    /// The Hub does not take the token.
    fn refused_token(&self, error: &HubError) -> String {
        let whose = match self.token {
            Some(token) => format!("the token from {}", token.source),
            None => "the credentials".to_owned(),
        };
        match error {
            HubError::ExpiredToken { message } => {
                format!("The Hub refuses {whose}: it has expired{}", said(message))
            }
            _ => format!("The Hub refuses {whose}: it is not valid, or no longer"),
        }
    }

    /// `the model org/name`.
    fn title(&self) -> String {
        let repo_type = self.repo.repo_type.as_str();
        format!("the {repo_type} {}", self.repo.id)
    }

    /// Who sent the request: the account when the Hub knows the token, else where the token came from.
    fn caller(&self) -> String {
        let Some(resolved) = self.token else {
            return "a request without a token".to_owned();
        };
        let account = self.context.hub().ok().and_then(|hub| {
            self.context
                .block_on(async {
                    hub.with_token(Some(resolved.token.clone()))
                        .whoami_once()
                        .await
                })
                .ok()
        });
        match account {
            Some(account) => format!(
                "the account {} (token from {})",
                escape(&account.account.name),
                resolved.source
            ),
            None => format!("the token from {}", resolved.source),
        }
    }

    fn not_found_hint(&self) -> String {
        match self.token {
            Some(_) => "check the spelling, the --repo-type, and that this account is a member".to_owned(),
            None => "check the spelling and the --repo-type; for a private repository run `hf auth login` first".to_owned(),
        }
    }

    fn look_hint(&self) -> String {
        format!("see what there is at {}/tree/main", self.web_page())
    }

    fn web_page(&self) -> String {
        format!(
            "{}/{}",
            self.context.settings.endpoint.shown(),
            self.repo.web_path()
        )
    }
}

/// What to do about a refused token, by where it came from.
pub fn new_token_hint(context: &Context, source: Option<&TokenSource>) -> String {
    let page = context.settings.endpoint.tokens_page();
    match source {
        Some(TokenSource::Option) => format!("make a new one at {page} and pass that one"),
        Some(TokenSource::Variable { name, file }) => {
            let place = match file {
                Some(path) => format!(" in {}", escape(&path.display().to_string())),
                None => String::new(),
            };
            format!("make a new one at {page} and put it into {name}{place}, or unset {name}")
        }
        Some(TokenSource::Oidc(_)) => {
            "check that the repository trusts this workflow (Trusted Publishers in its settings), or unset HF_OIDC_RESOURCE".to_owned()
        }
        Some(TokenSource::File(_) | TokenSource::Keyring(_)) | None => {
            format!("make a new one at {page} and run `hf auth login --force`")
        }
    }
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" (the Hub says: {})", escape(message))
    }
}

fn sentence_start(text: &str) -> String {
    sentence(text).trim_end_matches('.').to_owned()
}

/// A pattern that matches a name, with `?` for what cannot be typed or means something in a pattern.
fn pattern_for(name: &str) -> String {
    /// Longest start of a name that is repeated, in characters.
    const LONGEST: usize = 80;
    let shown = |c: char| match c {
        '*' | '?' | '[' | ']' | '\\' => '?',
        c if crate::types::is_deceptive(c) => '?',
        c => c,
    };
    let mut pattern: String = name.chars().take(LONGEST).map(shown).collect();
    if name.chars().nth(LONGEST).is_some() {
        pattern.push('*');
    }
    pattern
}

fn sample(missing: &[RepoPath]) -> String {
    let names: Vec<String> = missing.iter().take(3).map(RepoPath::to_string).collect();
    match missing.len() {
        0..=3 => names.join(", "),
        more => format!("{}, and {} more", names.join(", "), more - 3),
    }
}
