//! A thread of its own for hashing and writing a large file, so that the network never waits for the
//! disk.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::DownloadError;
use super::partial::Partial;
use crate::fs::FsError;

/// A partial, lent to a thread that appends what it is sent.
pub struct Writer {
    sender: mpsc::Sender<Bytes>,
    thread: JoinHandle<(Partial, Result<(), FsError>)>,
}

impl Writer {
    /// Lends the partial to a thread. At most `queue` chunks wait for it, which bounds the memory of
    /// a download.
    pub fn start(mut partial: Partial, queue: usize) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(queue);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(chunk) = receiver.blocking_recv() {
                if let Err(error) = partial.append(&chunk) {
                    return (partial, Err(error));
                }
                // More bytes than the file has are perhaps without end.
                if partial.is_overfull() {
                    break;
                }
            }
            (partial, Ok(()))
        });
        Writer { sender, thread }
    }

    /// Hands over the next chunk. `false`: the thread has ended, and [`Writer::finish`] says why.
    pub async fn write(&self, chunk: Bytes) -> bool {
        self.sender.send(chunk).await.is_ok()
    }

    /// Waits until everything is written and gives the partial back, except when the thread
    /// panicked.
    pub async fn finish(self) -> (Option<Partial>, Result<(), DownloadError>) {
        drop(self.sender);
        match self.thread.await {
            Ok((partial, written)) => (Some(partial), written.map_err(Into::into)),
            Err(error) => (None, Err(error.into())),
        }
    }
}
