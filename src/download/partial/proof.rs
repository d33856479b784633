//! Proof of a partial by the hash of its content.
//!
//! SHA-256 needs the bytes in order and takes a core; receiving and writing take others. So the hash is
//! computed by a thread that follows what was noted, from the start of the file on, and reads it from the
//! system's memory. When the last byte is there the hash is almost there as well.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Partial;
use crate::download::DownloadError;
use crate::download::whole::has_hash;
use crate::sys::{FsError, read_at, threads};
use crate::types::hash::{ContentHasher, READ_SIZE};
use crate::types::listing::Checksum;

/// A thread that hashes a partial while it is filled. It ends with this value.
pub struct Follower {
    partial: Arc<Partial>,
    answer: oneshot::Receiver<Result<Hashed, FsError>>,
}

/// How a follower ended.
struct Hashed {
    is_right: bool,
    /// [`super::State::restarts`] as of what it hashed.
    restarts: u64,
}

impl Follower {
    /// Starts it for a large content; a small one is hashed by its writer. `None` also when the system
    /// gives no thread: the content is hashed at the end then.
    pub fn start(partial: &Arc<Partial>) -> Option<Follower> {
        if partial.is_small() || partial.checksum.is_unknown() {
            return None;
        }
        let number = {
            let mut state = partial.state();
            state.follower += 1;
            state.follower
        };
        let work = (Arc::clone(partial), number);
        let answer = threads::start(work, |(partial, number)| follow(&partial, number)).ok()?;
        Some(Follower {
            partial: Arc::clone(partial),
            answer,
        })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.partial.state();
        state.follower += 1;
        state.recent.stop();
        drop(state);
        self.partial.noted.notify_all();
    }
}

/// Whether the content, all bytes of which are noted, is the right one.
///
/// # Errors
/// [`DownloadError`] when the partial cannot be read.
pub async fn prove(
    partial: &Arc<Partial>,
    follower: Option<Follower>,
) -> Result<bool, DownloadError> {
    if let Some(mut follower) = follower {
        let answer = (&mut follower.answer).await;
        let hashed = answer.map_err(|_| threads::Gone)??;
        if hashed.restarts == partial.state().restarts {
            return Ok(hashed.is_right);
        }
        // Bytes that it had hashed were written again.
    }
    if partial.checksum.is_unknown() {
        return Ok(true);
    }
    let (end, in_order) = {
        let mut state = partial.state();
        let end = partial.header.size.or(state.end);
        (end.unwrap_or_default(), state.in_order.take())
    };
    // Git hashes the size first, and where it was not known the hash begins only now.
    let is_hashed =
        partial.header.size.is_some() || !matches!(partial.checksum, Checksum::GitSha1(_));
    if let Some((hasher, at)) = in_order
        && at == end
        && is_hashed
    {
        return Ok(hasher.matches());
    }
    let (path, checksum) = (partial.path.clone(), partial.checksum.clone());
    let is_right = move || has_hash(&path, &checksum, end);
    Ok(threads::run(is_right).await?)
}

/// Hashes what is noted from the start on, until all is or this follower is to stop.
fn follow(partial: &Partial, number: u64) -> Result<Hashed, FsError> {
    let hasher = || ContentHasher::new(&partial.checksum, partial.header.size);
    let mut buffer = Vec::new();
    let mut restarts = partial.state().restarts;
    let (mut hash, mut position) = (hasher(), 0_u64);
    let ended = |is_right, restarts| Ok(Hashed { is_right, restarts });
    loop {
        let Some(next) = wait(partial, number, restarts, position) else {
            return ended(false, restarts);
        };
        if next.restarts != restarts {
            (hash, position, restarts) = (hasher(), 0, next.restarts);
            continue;
        }
        if let Some(bytes) = next.recent {
            hash.update(&bytes);
            position += bytes.len() as u64;
        }
        while position < next.upto {
            buffer.resize(READ_SIZE, 0);
            let wanted = usize::try_from(next.upto - position).unwrap_or(READ_SIZE);
            let piece = &mut buffer[..wanted.min(READ_SIZE)];
            match read_at(&partial.file, piece, position) {
                // A restart emptied it, or else another program did.
                Ok(0) if partial.state().restarts != restarts => break,
                Ok(0) => return ended(false, restarts),
                Ok(length) => {
                    hash.update(&piece[..length]);
                    position += length as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FsError::of("read", &partial.path)(error)),
            }
        }
        if partial.header.size == Some(position) {
            break;
        }
    }
    ended(hash.matches(), restarts)
}

/// What a follower hashes next.
struct Next {
    restarts: u64,
    /// What comes next, when it is still in memory.
    recent: Option<Bytes>,
    /// Up to where the rest is to be read.
    upto: u64,
}

/// Waits for bytes behind `position`, or a restart; `None` when the follower is to stop.
fn wait(partial: &Partial, number: u64, restarts: u64, position: u64) -> Option<Next> {
    let mut state = partial.state();
    loop {
        if state.follower != number {
            return None;
        }
        let upto = state.present.end_of(0);
        let is_over = partial.header.size == Some(upto);
        if state.restarts != restarts || upto > position || is_over {
            let recent = state.recent.take(position);
            // What comes behind is read up to the next piece that is in memory.
            let upto = state.recent.first().map_or(upto, |first| first.min(upto));
            return Some(Next {
                restarts: state.restarts,
                recent,
                upto,
            });
        }
        state = match partial.noted.wait(state) {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
    }
}
