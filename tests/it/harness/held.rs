//! Locks that a test holds as another process would.

use std::fs::File;
use std::path::Path;

/// An exclusive lock, held until this is dropped.
///
/// Closing the file would not be enough: while another thread starts a program, its child has a copy of the descriptor
/// for a moment, and the lock stays until the last copy is closed.
#[derive(Debug)]
pub struct Held(File);

impl Held {
    /// Takes the lock on this file, which is made or emptied.
    pub fn at(path: impl AsRef<Path>) -> Held {
        Held::of(File::create(path).expect("lock file"))
    }

    /// Takes the lock on this file.
    pub fn of(file: File) -> Held {
        file.lock().expect("lock");
        Held(file)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nothing to do about a failure: the lock goes with the process.
        let _ = self.0.unlock();
    }
}
