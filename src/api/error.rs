//! One error for all that can fail, with what a program can act on.

use std::fmt;

use crate::auth::AuthError;
use crate::cache::scan::ScanError;
use crate::config::settings::SettingsError;
use crate::download::DownloadError;
use crate::hub::HubError;
use crate::sys::FsError;
use crate::types::{InvalidName, Repo, RepoPath};

/// Something failed. Its text is one line without a final stop and holds no secret; words of a server
/// in it are as they came.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    repo: Option<Box<Repo>>,
    file: Option<Box<RepoPath>>,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting makes no sense.
    Config,
    /// A name that no repository, revision or file can have.
    Name,
    /// The token is not valid, expired, or cannot be read.
    Unauthorized,
    /// The Hub refuses: the token has no right to it.
    Forbidden,
    /// The authors of the repository grant access one by one.
    Gated,
    /// No such repository, or one that the token may not see.
    RepoNotFound,
    /// No such revision.
    RevisionNotFound,
    /// No such file, or no file that matches.
    FileNotFound,
    /// A request was needed and the configuration is offline.
    Offline,
    /// No answer from the Hub or its storage.
    Unreachable,
    /// The Hub or its storage answered with an error.
    Server,
    /// Content does not have the hash that the Hub names; nothing of it is kept.
    Corrupt,
    /// No room on the disk.
    DiskFull,
    /// The disk, or what is on it, cannot be used.
    Disk,
    /// Anything else.
    Other,
}

impl Error {
    fn new(kind: ErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Error {
            kind,
            repo: None,
            file: None,
            source: Box::new(source),
        }
    }

    pub(super) fn of(mut self, repo: &Repo) -> Self {
        self.repo.get_or_insert_with(|| Box::new(repo.clone()));
        self
    }

    fn at(mut self, file: Option<RepoPath>) -> Self {
        self.file = file.map(Box::new);
        self
    }

    /// What a program can decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The repository that it is about.
    pub fn repo(&self) -> Option<&Repo> {
        self.repo.as_deref()
    }

    /// The file of the repository that it is about.
    pub fn file(&self) -> Option<&RepoPath> {
        self.file.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(repo) = &self.repo {
            write!(f, "{}/{}", repo.repo_type, repo.id)?;
            if let Some(file) = &self.file {
                write!(f, ", {file}")?;
            }
            f.write_str(": ")?;
        }
        self.source.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text of the error inside is part of this one's.
        self.source.source()
    }
}

/// What an answer of the Hub, or none, means.
fn kind_of(error: &HubError) -> ErrorKind {
    match error {
        HubError::Offline => ErrorKind::Offline,
        HubError::Unreachable { .. } | HubError::Stalled { .. } | HubError::Page { .. } => {
            ErrorKind::Unreachable
        }
        HubError::RepoNotFound => ErrorKind::RepoNotFound,
        HubError::RevisionNotFound => ErrorKind::RevisionNotFound,
        HubError::EntryNotFound { .. } => ErrorKind::FileNotFound,
        HubError::Gated { .. } => ErrorKind::Gated,
        HubError::Disabled | HubError::Forbidden { .. } => ErrorKind::Forbidden,
        HubError::InvalidToken | HubError::ExpiredToken { .. } => ErrorKind::Unauthorized,
        HubError::Status { .. }
        | HubError::LinkExpired
        | HubError::RangeIgnored
        | HubError::BadAnswer(_)
        | HubError::Encoding { .. }
        | HubError::Redirect(_) => ErrorKind::Server,
        HubError::Setup(_) => ErrorKind::Config,
        HubError::NoDescriptors => ErrorKind::Other,
    }
}

impl From<HubError> for Error {
    fn from(error: HubError) -> Self {
        Error::new(kind_of(&error), error)
    }
}

impl From<FsError> for Error {
    fn from(error: FsError) -> Self {
        let kind = match error.is_disk_full() {
            true => ErrorKind::DiskFull,
            false => ErrorKind::Disk,
        };
        Error::new(kind, error)
    }
}

impl From<DownloadError> for Error {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Hub { source, path } => Error::from(source).at(path),
            DownloadError::Fs(error) => error.into(),
            DownloadError::Name(error) => error.into(),
            DownloadError::Corrupt { ref path, .. } => {
                let path = path.clone();
                Error::new(ErrorKind::Corrupt, error).at(Some(path))
            }
            DownloadError::MissingFiles(_) | DownloadError::NothingMatches => {
                Error::new(ErrorKind::FileNotFound, error)
            }
            DownloadError::NoSpace { .. } => Error::new(ErrorKind::DiskFull, error),
            DownloadError::Unstorable(_)
            | DownloadError::PathTooLong { .. }
            | DownloadError::CaseCollision { .. } => Error::new(ErrorKind::Disk, error),
            DownloadError::Incomplete {
                ref reason,
                ref missing,
            } => {
                let (kind, first) = (kind_of(reason), missing.first().cloned());
                Error::new(kind, error).at(first)
            }
            DownloadError::Task(_) => Error::new(ErrorKind::Other, error),
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Fs(error) => error.into(),
            AuthError::Hub(error) => error.into(),
            error => Error::new(kind_of_auth(&error), error),
        }
    }
}

fn kind_of_auth(error: &AuthError) -> ErrorKind {
    match error {
        AuthError::Busy { .. } | AuthError::Damaged { .. } => return ErrorKind::Disk,
        AuthError::Gone(_) => return ErrorKind::Other,
        _ => {}
    }
    // An exchange or a login may have failed because there was no answer.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<HubError>() {
            return kind_of(error);
        }
        cause = error.source();
    }
    ErrorKind::Unauthorized
}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        Error::new(ErrorKind::Config, error)
    }
}

impl From<InvalidName> for Error {
    fn from(error: InvalidName) -> Self {
        Error::new(ErrorKind::Name, error)
    }
}

impl From<crate::types::target::TargetError> for Error {
    fn from(error: crate::types::target::TargetError) -> Self {
        Error::new(ErrorKind::Name, error)
    }
}

impl From<ScanError> for Error {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Fs(error) => error.into(),
            other => Error::new(ErrorKind::Disk, other),
        }
    }
}
