//! One content between the store and a repository: linked from there, or moved there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::permissions::{Modes, lock, prepare, seal};
use super::{SharedBlob, is_store, manifest};
use crate::cache::layout::{CacheLayout, RepoLayout};
use crate::sys::dir::Dir;
use crate::sys::{FileFacts, copy_file, may_read, open_itself, symlink};
use crate::types::digest::XetHash;
use crate::types::hash::ContentHasher;
use crate::types::listing::Checksum;

/// How often a shared blob is read again when it changes during the check.
const ATTEMPTS: usize = 4;

/// The place of one content in the store and in one repository.
#[derive(Debug, Clone)]
pub struct Entry {
    root: PathBuf,
    shared_blob: SharedBlob,
    /// The repository's `blobs/<etag>`.
    blob: PathBuf,
    checksum: Checksum,
}

/// How linking went.
#[derive(Debug)]
pub enum Linked {
    /// The repository's blob is a link to a shared blob that was found to be right.
    Yes,
    /// There is no such shared blob that could be used.
    Absent,
    /// The shared blob's bytes are not what the etag says.
    Wrong,
    /// It could not be tried: permissions, no locks, no links.
    Failed(io::Error),
}

/// What is at the path of the shared blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// No regular file, not of this size, or not ours to read.
    Unusable,
    /// Other bytes.
    Wrong,
    /// The content.
    Right,
}

/// How a fresh blob gets into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The shared blob there is used, and the fetched blob is deleted.
    Use,
    /// Moved there.
    Move,
    /// Moved over what is there, if its Xet hash is the shared blob's name.
    Replace,
}

/// Decides by what is there.
fn step(found: Found) -> Step {
    match found {
        Found::Right => Step::Use,
        Found::Nothing => Step::Move,
        Found::Unusable | Found::Wrong => Step::Replace,
    }
}

/// Which file this is, and whether it was written to since: device and number, size, time.
type Identity = Option<((u64, u64), u64, Option<SystemTime>)>;

impl Entry {
    /// The entry of a content of `size` bytes; `None` when `xet_hash` is no Xet hash.
    pub fn new(
        cache: &CacheLayout,
        repo: &RepoLayout,
        checksum: &Checksum,
        xet_hash: &XetHash,
        size: u64,
    ) -> Option<Entry> {
        xet_hash.is_valid().then(|| Entry {
            root: cache.root().to_path_buf(),
            shared_blob: SharedBlob {
                hash: xet_hash.text().to_string(),
                size,
            },
            blob: repo.blob(checksum),
            checksum: checksum.clone(),
        })
    }

    /// Path of the shared blob.
    pub fn place(&self) -> PathBuf {
        self.root.join(self.shared_blob.place())
    }

    /// Whether a shared blob of the right size could be read, in a cache that has a store. Its bytes
    /// are not looked at: this is for plans.
    pub fn is_promising(&self) -> bool {
        let place = self.place();
        place
            .symlink_metadata()
            .is_ok_and(|meta| meta.is_file() && meta.len() == self.shared_blob.size)
            && may_read(&place)
    }

    /// Makes the repository's blob a link to the shared blob, after reading and hashing all of it.
    pub fn link(&self) -> Linked {
        self.try_link().unwrap_or_else(Linked::Failed)
    }

    fn try_link(&self) -> io::Result<Linked> {
        if !is_store(&Dir::open(&self.root)?) {
            return Ok(Linked::Absent);
        }
        self.check_inside()?;
        for _ in 0..ATTEMPTS {
            // Read without the lock: other processes must not wait for the hashing.
            let (found, identity) = self.examine()?;
            match found {
                Found::Nothing | Found::Unusable => return Ok(Linked::Absent),
                Found::Wrong => return Ok(Linked::Wrong),
                Found::Right => {}
            }
            let _guard = lock(&self.place())?;
            if self.identity()? == identity {
                self.show(Step::Use)?;
                return Ok(Linked::Yes);
            }
        }
        Ok(Linked::Absent)
    }

    /// Moves the repository's blob, fetched and verified just now, into the store, and puts a link
    /// in its place; or links to the same content that is there already. `has_name` computes whether
    /// the Xet hash of a file is the one given. `false`: the blob stays what it was.
    ///
    /// # Errors
    /// What kept the blob out of the store. It is still there, unless the disk failed so that it
    /// could not be put back.
    pub fn publish(&self, has_name: impl Fn(&Path, &str) -> io::Result<bool>) -> io::Result<bool> {
        self.check_inside()?;
        prepare(&self.root, &self.shared_blob.place())?;
        for _ in 0..ATTEMPTS {
            let (found, identity) = self.examine()?;
            let step = step(found);
            if step == Step::Replace && !has_name(&self.blob, &self.shared_blob.hash)? {
                return Ok(false);
            }
            let _guard = lock(&self.place())?;
            if self.identity()? == identity {
                self.show(step)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Names the blob in the manifest, moves it into the store if that is the step, and makes the
    /// link. The caller holds the lock.
    fn show(&self, step: Step) -> io::Result<()> {
        let staged = self.stage_link()?;
        let shown = self.show_staged(step, &staged);
        if shown.is_err() {
            let _ = fs::remove_file(&staged);
        }
        shown
    }

    fn show_staged(&self, step: Step, staged: &Path) -> io::Result<()> {
        let user = self.blob.strip_prefix(&self.root);
        let user = user.map_err(|_| io::Error::other("the blob is not in the cache"))?;
        manifest::add_user(&self.root, &self.shared_blob, user)?;
        if step == Step::Use {
            return fs::rename(staged, &self.blob);
        }
        let place = self.place();
        let prefix = place.parent().unwrap_or(&self.root);
        seal(&self.blob, prefix, Modes::of_root(&self.root)?.file)?;
        fs::rename(&self.blob, &place)?;
        fs::rename(staged, &self.blob).inspect_err(|_| {
            // While we hold the lock no process removes it as unused.
            let _ = copy_file(&place, &self.blob, prefix);
        })
    }

    /// Makes the link beside the blob. Its name is always the same, so that what a killed process
    /// left is replaced; the locks of the etag and of the shared blob keep others from it.
    fn stage_link(&self) -> io::Result<PathBuf> {
        let name = self.blob.file_name().unwrap_or_default().to_string_lossy();
        let staged = self.blob.with_file_name(format!(".{name}.hf.shared"));
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let target = Path::new("../..").join(self.shared_blob.place());
        symlink(&target, &staged)?;
        Ok(staged)
    }

    /// Refuses a repository whose folders are links: a relative link in them would not reach the store.
    fn check_inside(&self) -> io::Result<()> {
        let folder = self.blob.parent().unwrap_or(&self.root);
        let above = FileFacts::through(&folder.join("../.."))?;
        if above.identity == FileFacts::through(&self.root)?.identity {
            return Ok(());
        }
        Err(io::Error::other("the repository's folder is elsewhere"))
    }

    /// Checks what is at the path of the shared blob, and hashes it if it could be the content.
    fn examine(&self) -> io::Result<(Found, Identity)> {
        let identity = self.identity()?;
        if identity.is_none() {
            return Ok((Found::Nothing, identity));
        }
        if !self.is_promising() {
            return Ok((Found::Unusable, identity));
        }
        let file = open_itself(&self.place())?;
        let mut hasher = ContentHasher::new(&self.checksum, Some(self.shared_blob.size));
        let size = hasher.update_from(file)?;
        let found = if size == self.shared_blob.size && hasher.matches() {
            Found::Right
        } else {
            Found::Wrong
        };
        Ok((found, identity))
    }

    fn identity(&self) -> io::Result<Identity> {
        let place = self.place();
        match place.symlink_metadata() {
            Ok(meta) => {
                let file = FileFacts::known(&place, &meta)?.identity;
                Ok(Some((file, meta.len(), meta.modified().ok())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Repo, RepoType};

    const CONTENT: &[u8] = b"the content";

    /// A store with a damaged shared blob, and a repository with the right content as a blob.
    fn damaged() -> (tempfile::TempDir, Entry) {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheLayout::new(folder.path());
        let repo = cache.repo(&Repo {
            repo_type: RepoType::Model,
            id: "o/n".parse().unwrap(),
        });
        // SHA-256 of the content.
        let etag = "6e569e05cb6f8608572c79d63b365dc31617bf84d7393d2cb9d2f1ffe0edf95b";
        let checksum = Checksum::from_etag(etag).unwrap();
        let entry = Entry::new(
            &cache,
            &repo,
            &checksum,
            &"ab".repeat(32).into(),
            CONTENT.len() as u64,
        );
        let entry = entry.unwrap();
        fs::create_dir_all(repo.blobs()).unwrap();
        fs::write(&entry.blob, CONTENT).unwrap();
        prepare(folder.path(), &entry.shared_blob.place()).unwrap();
        fs::write(entry.place(), "other bytes").unwrap();
        (folder, entry)
    }

    /// A shared blob that is replaced during the hashing is checked again: another
    /// process may have repaired it, and its readers have it open.
    #[test]
    fn a_shared_blob_that_changes_meanwhile_is_looked_at_again() {
        let (_folder, entry) = damaged();
        let looks = std::cell::Cell::new(0);
        let published = entry.publish(|_, _| {
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                fs::remove_file(entry.place())?;
                fs::write(entry.place(), "repaired???")?;
            }
            Ok(true)
        });
        assert!(published.unwrap());
        assert_eq!(looks.get(), 2, "the second state was examined as well");
        assert_eq!(fs::read(entry.place()).unwrap(), CONTENT);
    }
}
