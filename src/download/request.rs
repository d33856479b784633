//! What a download is asked for: a repository, files of it, and where they go.

use super::local_dir::LocalDir;
use super::select::Selection;
use crate::cache::commit::Linking;
use crate::cache::layout::CacheLayout;
use crate::download::http::parallel::CONNECTIONS;
use crate::types::{Repo, Revision};

/// Where files go.
#[derive(Debug, Clone)]
pub enum Destination {
    /// The shared cache.
    Cache,
    /// A folder of plain files.
    LocalDir(LocalDir),
}

/// What to download.
#[derive(Debug, Clone)]
pub struct Request {
    /// The repository.
    pub repo: Repo,
    /// Branch, tag or commit.
    pub revision: Revision,
    /// Which files.
    pub selection: Selection,
    /// Where to.
    pub target: Destination,
    /// The main cache: the target, or for a local folder a source of content.
    pub cache: CacheLayout,
    /// Symlinks or files in the cache.
    pub linking: Linking,
    /// Fetch what is there already.
    pub force: bool,
    /// Only say what would be done: nothing is written.
    pub dry_run: bool,
    /// Most files in flight.
    pub workers: Workers,
    /// Refuse before fetching when the disk has too little room.
    pub check_space: bool,
}

impl Request {
    /// The whole repository at `main`, into the cache as symlinks. Change what differs:
    /// `Request { force: true, ..Request::new(repo, cache) }`.
    pub fn new(repo: Repo, cache: CacheLayout) -> Self {
        Request {
            repo,
            revision: Revision::main(),
            selection: Selection::Everything,
            target: Destination::Cache,
            cache,
            linking: Linking::Symlinks,
            force: false,
            dry_run: false,
            workers: Workers::new(None),
            check_space: true,
        }
    }
}

/// How many files are in flight at a time.
///
/// A large file keeps its connection busy. A small one is over after one round trip, so what counts
/// is how many round trips overlap: eight at 50 ms are 160 files a second, whatever the bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Files of more than a megabyte.
    pub large: usize,
    /// All others.
    pub small: usize,
}

impl Workers {
    /// The number the user asked for, of both; or 8 large ones, as the Python client's default, and
    /// 64 small ones: over 50 ms latency they bring 2,000 files in less than 2 s, 48 do not.
    pub fn new(asked: Option<usize>) -> Self {
        Workers {
            large: asked.unwrap_or(8),
            small: asked.unwrap_or(64),
        }
    }

    /// As many of them, and connections of all large files together, as a process that may open
    /// `descriptors` more files can have. Each file takes a lock, a partial, a folder for a moment and
    /// a connection to the Hub and one to its storage; each further connection takes a file as well.
    pub(super) fn within(self, descriptors: usize) -> (Workers, usize) {
        const PER_FILE: usize = 5;
        const PER_CONNECTION: usize = 2;
        let wanted = PER_FILE * self.large.max(self.small) + PER_CONNECTION * CONNECTIONS;
        if descriptors >= wanted {
            return (self, CONNECTIONS);
        }
        let connections = (descriptors / 8).clamp(1, CONNECTIONS);
        let files = descriptors.saturating_sub(PER_CONNECTION * connections) / PER_FILE;
        let files = files.max(1);
        let workers = Workers {
            large: self.large.min(files),
            small: self.small.min(files),
        };
        (workers, connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_mean_few_files_at_a_time() {
        for (descriptors, asked, expected) in [
            (usize::MAX, None, (8, 64, 16)),
            (352, None, (8, 64, 16)),
            (351, None, (8, 63, 16)),
            (100, None, (8, 15, 12)),
            (30, None, (4, 4, 3)),
            (30, Some(2), (2, 2, 3)),
            (0, None, (1, 1, 1)),
        ] {
            let (workers, connections) = Workers::new(asked).within(descriptors);
            let found = (workers.large, workers.small, connections);
            assert_eq!(found, expected, "{descriptors} {asked:?}");
        }
    }
}
