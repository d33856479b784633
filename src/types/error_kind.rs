//! What kind of failure an error is: one list for programs that embed the engine and for the command line.

/// What kind of failure an error is.
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
