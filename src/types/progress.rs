//! Progress of long work, as events for one observer: a progress bar, a log, or an embedding program.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Receives the events of a download or a verification. Called from many threads, and from the
/// tasks that move bytes: it must return quickly and must not block.
///
/// A closure `Fn(Event) + Send + Sync` is an observer too.
///
/// # Order of events
/// 1. [`Event::Listing`] any number of times, then [`Event::Listed`]: only where the Hub is asked for a
///    listing of files, and again when a branch was moved meanwhile.
///    [`Event::Early`] comes at most once before [`Event::Listed`].
/// 2. [`Event::Begun`] once. It does not come when all files are in the cache already.
/// 3. For each file [`Event::FileBegun`], then [`Event::Advanced`], [`Event::Found`],
///    [`Event::Copied`] and [`Event::Rewound`] in any number, then [`Event::FileDone`]. Files overlap in time. After a
///    failure the events of the files in flight just end.
/// 4. [`Event::Finished`] once after [`Event::Begun`], on success and on failure. It does not come when
///    the future of the download is dropped.
///
/// When a branch is moved during a download, the download goes on with the new commit and the order
/// starts again at 1. [`Event::Notice`] may come at any time.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Progress for F {
    fn event(&self, event: Event) {
        self(event);
    }
}

/// Ignores all events.
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event) {}
}

/// Identifies a file from its [`Event::FileBegun`] to its [`Event::FileDone`]; unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

/// One step of long work. Sizes and lengths are in bytes. See [`Progress`] for the order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The Hub is sending the listing of a repository in several pages; this many files are known so far.
    Listing {
        /// Files known so far.
        files: u64,
    },
    /// Small files are being fetched while the listing is still coming. Their bytes are told when the files
    /// begin; a rate counts from here.
    Early,
    /// The listing is complete, or it failed.
    Listed,
    /// The work is known.
    Begun {
        /// Files that will begin and end, those that need nothing included.
        files: u64,
        /// Size of the files to be fetched or read, as far as it is known.
        bytes: u64,
        /// The part of `bytes` that is on disk already.
        done: u64,
        /// Size of the other files, whose content is on disk already.
        there: u64,
    },
    /// Work on a file begins.
    FileBegun {
        /// Names the file in later events.
        file: FileId,
        /// Path in the repository.
        path: String,
        /// Size, when it is known.
        size: Option<u64>,
        /// Bytes of it that are on disk already.
        done: u64,
        /// Whether bytes of it come over the network, as far as is known beforehand.
        is_fetched: bool,
    },
    /// More bytes of a file have arrived; they are on disk a moment later.
    Advanced {
        /// The file.
        file: FileId,
        /// How many more.
        bytes: u64,
    },
    /// Bytes of a file turned out to be on disk: another process brought them meanwhile.
    Found {
        /// The file.
        file: FileId,
        /// How many.
        bytes: u64,
    },
    /// Bytes of a file were copied from another file on disk that has them as well: an earlier revision,
    /// or a file that shares parts with it.
    Copied {
        /// The file.
        file: FileId,
        /// How many.
        bytes: u64,
    },
    /// Bytes that were counted have to be fetched again.
    Rewound {
        /// The file.
        file: FileId,
        /// How many.
        bytes: u64,
    },
    /// A file is complete and in its place, whatever number of bytes was counted for it: it may have
    /// been linked or copied.
    FileDone {
        /// The file.
        file: FileId,
    },
    /// The work is over, with success or failure.
    Finished,
    /// A message for the user.
    Notice(Notice),
}

/// A message for the user. The text may hold words of a server: escape it before a terminal shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Why nothing happens at the moment.
    Waiting(String),
    /// A request failed and is sent again.
    Retrying(String),
    /// Something the user should know, such as the `X-HF-Warning` of a server.
    Warning(String),
    /// Something that helps and need not be known, such as the new name of a repository.
    Hint(String),
    /// A line for `HF_DEBUG`.
    Trace(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listing { files } => write!(f, "listing: {files} files so far"),
            Event::Early => f.write_str("fetching begins before the listing has ended"),
            Event::Listed => f.write_str("listing ended"),
            Event::Begun {
                files, bytes, done, ..
            } => {
                write!(
                    f,
                    "begun: {files} files, {bytes} bytes, {done} of them on disk"
                )
            }
            Event::FileBegun { file, path, .. } => write!(f, "file {}: {path:?} begun", file.0),
            Event::Advanced { file, bytes } => write!(f, "file {}: {bytes} more bytes", file.0),
            Event::Found { file, bytes } => write!(f, "file {}: {bytes} bytes found", file.0),
            Event::Copied { file, bytes } => write!(f, "file {}: {bytes} bytes copied", file.0),
            Event::Rewound { file, bytes } => write!(f, "file {}: {bytes} bytes again", file.0),
            Event::FileDone { file } => write!(f, "file {}: done", file.0),
            Event::Finished => f.write_str("finished"),
            Event::Notice(notice) => notice.fmt(f),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Notice::Waiting(text)
        | Notice::Retrying(text)
        | Notice::Warning(text)
        | Notice::Hint(text)
        | Notice::Trace(text)) = self;
        f.write_str(text)
    }
}

/// Sends the events of one file.
#[derive(Clone, Copy)]
pub struct FileProgress<'a> {
    progress: &'a dyn Progress,
    file: FileId,
}

impl<'a> FileProgress<'a> {
    /// Begins a file that is fetched: its path in the repository, its size and the bytes of it on disk.
    pub fn begin(
        progress: &'a dyn Progress,
        path: impl Into<String>,
        size: Option<u64>,
        done: u64,
    ) -> Self {
        Self::new(progress, path.into(), size, done, true)
    }

    /// Begins a file whose content is on disk, `done` bytes of it in their place.
    pub fn begin_present(
        progress: &'a dyn Progress,
        path: impl Into<String>,
        size: Option<u64>,
        done: u64,
    ) -> Self {
        Self::new(progress, path.into(), size, done, false)
    }

    fn new(
        progress: &'a dyn Progress,
        path: String,
        size: Option<u64>,
        done: u64,
        is_fetched: bool,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let file = FileId(NEXT.fetch_add(1, Ordering::Relaxed));
        progress.event(Event::FileBegun {
            file,
            path,
            size,
            done,
            is_fetched,
        });
        FileProgress { progress, file }
    }

    /// `bytes` more are there.
    pub fn advance(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.progress.event(Event::Advanced {
            file: self.file,
            bytes,
        });
    }

    /// `bytes` more are there that did not come over the network.
    pub fn found(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.progress.event(Event::Found {
            file: self.file,
            bytes,
        });
    }

    /// `bytes` more are there that were copied from another file on disk.
    pub fn copied(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.progress.event(Event::Copied {
            file: self.file,
            bytes,
        });
    }

    /// `bytes` that were counted have to be fetched again.
    pub fn rewind(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.progress.event(Event::Rewound {
            file: self.file,
            bytes,
        });
    }

    /// The file is complete and in its place.
    pub fn done(self) {
        self.progress.event(Event::FileDone { file: self.file });
    }
}
