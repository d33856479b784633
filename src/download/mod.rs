//! Downloads files from the Hub into the cache or a folder. No terminal.
//!
//! A download is decided first and done later: [`session::Session::plan`] asks the Hub and looks
//! at the disk, [`plan::DownloadPlan`] says per file what has to happen, and
//! [`session::Session::execute`] does it.

mod answer;
pub mod claim;
pub mod destination;
mod earlier;
mod early;
mod file;
pub mod files;
pub mod http;
pub mod job;
pub mod local_dir;
pub mod partial;
pub mod plan;
pub mod request;
pub mod select;
pub mod session;
pub mod shared;
mod traces;
pub mod whole;
pub mod xet;

use std::path::PathBuf;

use crate::hub::HubError;
use crate::sys::FsError;
use crate::types::{InvalidName, RepoPath};

/// A download failed. What is complete stays in the cache, what is not stays as a partial.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The Hub refused or did not answer; `path` is set when it was about one file.
    #[error("{source}")]
    Hub {
        /// The Hub's error.
        source: HubError,
        /// The file that was asked for.
        path: Option<RepoPath>,
    },
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file asked for has a name that no repository file may have.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The Hub sent other bytes than it promised, twice. Nothing of them is kept.
    #[error("the content of {path} does not have the hash {expected}")]
    Corrupt {
        /// The file.
        path: RepoPath,
        /// The hash it should have.
        expected: String,
    },
    /// Files that are asked for and have names that cannot be stored: by name, and why. Found out
    /// before anything was fetched.
    #[error("{} cannot be stored", .0.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", "))]
    Unstorable(Vec<(String, &'static str)>),
    /// Files named on the command line that the revision does not have.
    #[error("no such file: {}", names.join(", "))]
    MissingFiles {
        /// Their names.
        names: Vec<String>,
        /// Names that the revision has, not more than a hint needs.
        there: Vec<String>,
    },
    /// No file matches the patterns.
    #[error("no file matches")]
    NothingMatches,
    /// A path that the system cannot hold below the folder asked for, found out before anything was
    /// fetched.
    #[error("the path of {path} would be too long")]
    PathTooLong {
        /// The file.
        path: RepoPath,
        /// Where it should go.
        folder: PathBuf,
    },
    /// Two files whose paths are the same on this file system, which ignores case.
    #[error("{first} and {second} are the same file here")]
    CaseCollision {
        /// One file.
        first: RepoPath,
        /// The other file.
        second: RepoPath,
        /// Where they should go.
        folder: PathBuf,
    },
    /// Not enough room, found out before anything was fetched. Both in bytes.
    #[error("{needed} bytes are needed and {free} are free")]
    NoSpace {
        /// Bytes to be fetched.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Where.
        folder: PathBuf,
    },
    /// The Hub cannot be asked, and the cached snapshot lacks files.
    #[error("the cached snapshot lacks {} files", missing.len())]
    Incomplete {
        /// What is missing.
        missing: Vec<RepoPath>,
        /// Why the Hub could not be asked.
        reason: HubError,
    },
    /// A background task ended without a result.
    #[error("an internal task failed: {0}")]
    Task(String),
}

impl From<HubError> for DownloadError {
    fn from(source: HubError) -> Self {
        DownloadError::Hub { source, path: None }
    }
}

impl From<crate::sys::threads::Gone> for DownloadError {
    fn from(error: crate::sys::threads::Gone) -> Self {
        DownloadError::Task(error.to_string())
    }
}

impl From<tokio::task::JoinError> for DownloadError {
    fn from(error: tokio::task::JoinError) -> Self {
        DownloadError::Task(error.to_string())
    }
}
