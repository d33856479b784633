//! Copies what an earlier content has in common with the one that is fetched.
//!
//! Where a file of another commit is in the cache, its plan is asked for as well. What both have in common
//! is read from the blob, which costs no traffic. Each chunk is hashed as it is copied and noted as if it had
//! come from the storage, so the root over all chunks proves the content as always; when that is wrong, all
//! of it is fetched.

use std::path::PathBuf;
use std::sync::Arc;

use super::lines::Lines;
use super::reuse::{Known, Term, copies, shared};
use super::transfer::Content;
use crate::download::DownloadError;
use crate::download::partial::{Chunk, Partial};
use crate::sys::{FsError, open_regular, read_exact_at, threads};
use crate::types::xet_hash::{chunk_hash, chunks_of};

/// Shortest content, in bytes, for which another plan is worth a request.
pub const WORTH: u64 = 4 << 20;

/// Most bytes of an earlier content that are looked at: their chunks take 16 MiB of memory.
const MOST: u64 = 16 << 30;

/// A content that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its Xet hash.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is.
    pub blob: PathBuf,
}

/// Copies what `earlier` has of a content. Whatever is wrong with the earlier one, or with its plan, only
/// means that nothing is copied.
///
/// # Errors
/// [`DownloadError`] when the partial cannot be written.
pub(super) async fn copy(
    lines: &Arc<Lines>,
    content: &Content<'_>,
    earlier: &Earlier,
    partial: &Arc<Partial>,
) -> Result<(), DownloadError> {
    let plans = async {
        let new = lines.storage.terms(content.hash, content.size).await?;
        let old = lines.storage.terms(&earlier.hash, earlier.size).await?;
        Ok::<_, super::client::NoPlan>((new, old))
    };
    let (new, old) = match plans.await {
        Ok(plans) => plans,
        Err(why) => {
            let line = || format!("{}: nothing is copied: {why}", content.name);
            lines.storage.client().trace(line);
            return Ok(());
        }
    };
    let (this, earlier) = (Arc::clone(partial), earlier.clone());
    let before = partial.present();
    threads::run(move || carry_over(&new, &old, &earlier, &this)).await??;
    let copied = partial.present().saturating_sub(before);
    let line = || format!("{}: {copied} bytes are copied", content.name);
    lines.storage.client().trace(line);
    Ok(())
}

fn carry_over(
    new: &[Term],
    old: &[Term],
    earlier: &Earlier,
    partial: &Arc<Partial>,
) -> Result<(), FsError> {
    let Some((known, blob)) = find(new, old, earlier) else {
        return Ok(());
    };
    let mut buffer = Vec::new();
    let missing = partial.missing();
    for copy in copies(new, &known) {
        if threads::is_unwanted() {
            return Ok(());
        }
        let end = copy.to + u64::from(copy.length);
        if !missing.contains(&(copy.to..end)) {
            continue;
        }
        buffer.resize(copy.length as usize, 0);
        if read_exact_at(&blob, &mut buffer, copy.from).is_err() {
            // Changed under our eyes: the rest is fetched.
            return Ok(());
        }
        partial.write_at(copy.to, &buffer)?;
        let chunk = Chunk {
            length: copy.length,
            hash: chunk_hash(&buffer),
        };
        partial.note_chunks(copy.to, &[chunk])?;
    }
    Ok(())
}

/// Where the chunks that both have stand in the earlier content; `None` when it cannot be read.
fn find(new: &[Term], old: &[Term], earlier: &Earlier) -> Option<(Known, std::fs::File)> {
    let mut blob = open_regular(&earlier.blob).ok()?;
    if blob.metadata().ok()?.len() != earlier.size {
        return None;
    }
    let (mut known, mut looked_at) = (Known::default(), 0);
    for term in shared(old, new) {
        looked_at += term.length;
        if looked_at > MOST || threads::is_unwanted() {
            break;
        }
        let part = term.offset..term.offset + term.length;
        let chunks = chunks_of(&mut blob, part, |_| ()).ok()?;
        known.add(term, chunks.iter().map(|(_, length)| *length));
    }
    Some((known, blob))
}
