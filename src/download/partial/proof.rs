//! Proof of a partial by the hash of its content.
//!
//! SHA-256 needs the bytes in order and takes a core; receiving and writing take others. So the hash is
//! computed by a thread that follows what was noted, from the start of the file on, and reads it from the
//! system's memory. When the last byte is there the hash is almost there as well.

use std::sync::Arc;

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
    answer: oneshot::Receiver<Result<bool, FsError>>,
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
        self.partial.state().follower += 1;
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
        return Ok(answer.map_err(|_| threads::Gone)??);
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
fn follow(partial: &Partial, number: u64) -> Result<bool, FsError> {
    let hasher = || ContentHasher::new(&partial.checksum, partial.header.size);
    let mut buffer = vec![0; READ_SIZE];
    let mut hashed = (hasher(), 0_u64, partial.state().restarts);
    loop {
        let (restarts, upto) = {
            let mut state = partial.state();
            loop {
                if state.follower != number {
                    return Ok(false);
                }
                let upto = state.present.end_of(0);
                let is_over = partial.header.size == Some(upto);
                if state.restarts != hashed.2 || upto > hashed.1 || is_over {
                    break (state.restarts, upto);
                }
                state = match partial.noted.wait(state) {
                    Ok(state) => state,
                    Err(poisoned) => poisoned.into_inner(),
                };
            }
        };
        if restarts != hashed.2 {
            hashed = (hasher(), 0, restarts);
            continue;
        }
        while hashed.1 < upto {
            let wanted = usize::try_from(upto - hashed.1).unwrap_or(READ_SIZE);
            let piece = &mut buffer[..wanted.min(READ_SIZE)];
            match read_at(&partial.file, piece, hashed.1) {
                // A restart emptied it, or else another program did.
                Ok(0) if partial.state().restarts != restarts => break,
                Ok(0) => return Ok(false),
                Ok(length) => {
                    hashed.0.update(&piece[..length]);
                    hashed.1 += length as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FsError::of("read", &partial.path)(error)),
            }
        }
        if partial.header.size == Some(hashed.1) {
            return Ok(hashed.0.matches());
        }
    }
}
