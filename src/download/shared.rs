//! The shared blob store in a download: what is in it is linked and not fetched, what was fetched from
//! Xet storage is put there. Its rules are in [`crate::cache::shared`].
//!
//! A store that a modern Python client has made is joined. None is made unless the user asks for it
//! (`HF_HUB_ENABLE_SHARED_BLOBS`): huggingface_hub up to 1.0.1 follows the links when it deletes a
//! revision and removes the shared blob that other repositories need, and such versions are common.

use std::io;
use std::path::Path;

use super::DownloadError;
use super::plan::PlannedFile;
use crate::cache::layout::{CacheLayout, RepoLayout};
use crate::cache::shared::{Entry, Linked, is_store};
use crate::hub::Hub;
use crate::sys::FsError;
use crate::sys::dir::Dir;
use crate::sys::threads;
use crate::types::digest::XetHash;
use crate::types::listing::Checksum;
use crate::types::progress::Notice;
use crate::types::xet_hash::has_xet_hash;

/// The store of a cache, for one repository.
#[derive(Debug, Clone)]
pub struct Sharing {
    cache: CacheLayout,
    repo: RepoLayout,
    makes_store: bool,
}

impl Sharing {
    /// The store of this cache, which need not be there yet; `makes_store`: it may be made.
    pub fn new(cache: CacheLayout, repo: RepoLayout, makes_store: bool) -> Self {
        Sharing {
            cache,
            repo,
            makes_store,
        }
    }

    /// Whether the cache has a store.
    pub fn is_there(&self) -> bool {
        Dir::open(self.cache.root()).is_ok_and(|root| is_store(&root))
    }

    /// Whether a shared blob has the name and size of this content. For plans; see [`Sharing::is_there`].
    pub fn has(&self, checksum: &Checksum, xet_hash: Option<&XetHash>, size: Option<u64>) -> bool {
        let entry = self.entry(checksum, xet_hash, size);
        entry.is_some_and(|entry| entry.is_promising())
    }

    fn entry(
        &self,
        checksum: &Checksum,
        xet_hash: Option<&XetHash>,
        size: Option<u64>,
    ) -> Option<Entry> {
        Entry::new(&self.cache, &self.repo, checksum, xet_hash?, size?)
    }

    fn entry_of(&self, file: &PlannedFile) -> Option<Entry> {
        self.entry(&file.checksum, file.xet_hash.as_ref(), file.size())
    }

    /// Makes the blob of a file a link into the store, when its content is there and right. The
    /// caller holds the lock of the blob.
    ///
    /// # Errors
    /// [`DownloadError::Task`]; whatever else keeps us from it is a reason to fetch.
    pub async fn link(&self, hub: &Hub, file: &PlannedFile) -> Result<bool, DownloadError> {
        let Some(entry) = self.entry_of(file).filter(Entry::is_promising) else {
            return Ok(false);
        };
        let place = entry.place();
        match threads::run(move || entry.link()).await? {
            Linked::Yes => return Ok(true),
            Linked::Absent => {}
            Linked::Wrong => hub.tell(Notice::Warning(format!(
                "The shared copy of {} is damaged: {} does not have the hash {}. Fetching the file instead.",
                file.path,
                place.display(),
                file.checksum
            ))),
            Linked::Failed(error) => trace(hub, file, &error),
        }
        Ok(false)
    }

    /// Moves the blob of a file, fetched from Xet storage just now, into the store; whether it is a
    /// link now. The caller holds the lock of the blob.
    ///
    /// # Errors
    /// The blob is lost because the disk failed while it was moved.
    pub async fn publish(&self, hub: &Hub, file: &PlannedFile) -> Result<bool, DownloadError> {
        let Some(entry) = self.entry_of(file) else {
            return Ok(false);
        };
        if !self.makes_store && !self.is_there() {
            return Ok(false);
        }
        let publish = move || entry.publish(|path: &Path, hash: &str| has_xet_hash(path, hash));
        match threads::run(publish).await? {
            Ok(shared) => Ok(shared),
            Err(error) => {
                trace(hub, file, &error);
                let blob = self.repo.blob(&file.checksum);
                if blob.exists() {
                    return Ok(false);
                }
                Err(FsError::of("write", &blob)(error).into())
            }
        }
    }
}

fn trace(hub: &Hub, file: &PlannedFile, error: &io::Error) {
    hub.trace(|| format!("the shared store is not used for {}: {error}", file.path));
}
