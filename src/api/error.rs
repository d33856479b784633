//! One error for all that can fail, with what a program can act on.

use std::fmt;

use crate::auth::AuthError;
use crate::cache::scan::ScanError;
use crate::config::settings::SettingsError;
use crate::download::DownloadError;
use crate::hub::HubError;
use crate::sys::FsError;
use crate::types::{ErrorKind, InvalidName, Repo, RepoPath};

/// Something failed. Its text is one line without a final stop and holds no secret; words of a server
/// in it are as they came.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    repo: Option<Box<Repo>>,
    file: Option<Box<RepoPath>>,
    source: Box<dyn std::error::Error + Send + Sync>,
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

    /// The kind of failure, for a program to decide by.
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

impl From<HubError> for Error {
    fn from(error: HubError) -> Self {
        Error::new(error.kind(), error)
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
            DownloadError::MissingFiles { .. } | DownloadError::NothingMatches => {
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
                let (kind, first) = (reason.kind(), missing.first().cloned());
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
            return error.kind();
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
