//! Threads, on machines that give few of them.
//!
//! Login nodes of clusters allow a user some dozens of processes and threads on a hundred cores, and
//! a library that starts one for each core dies there, or waits for ever for what never started. So a
//! thread is asked for and never expected: work that gets none is done where it was asked for.
//! `tokio`'s own threads for blocking work cannot be refused without a panic, which is why they are
//! not used.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, available_parallelism};

use tokio::sync::oneshot;

/// Threads that a download uses at most for the network. More do not make it faster: one of them
/// decrypts a gigabyte in a second.
const MOST_WORKERS: usize = 8;

/// Threads that have to be left for writing and hashing beside those for the network.
const RESERVE: usize = 16;

/// Stack of a thread that only waits, in bytes.
const SMALL_STACK: usize = 64 << 10;

/// Work on a thread that ended without an answer: it panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thread of this program ended without an answer")]
pub struct Gone;

/// Starts work on a thread of its own. When there is none to be had, what the work was to be done on
/// comes back.
///
/// # Errors
/// The state, when the system refuses a thread.
pub fn start<S, T>(state: S, work: fn(S) -> T) -> Result<oneshot::Receiver<T>, S>
where
    S: Send + 'static,
    T: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    // Taken out by the thread, or by us again when there is none.
    let shared = Arc::new(Mutex::new(Some(state)));
    let taken = Arc::clone(&shared);
    let started = Builder::new().spawn(move || {
        if let Some(state) = take(&taken) {
            // Nobody may be waiting any more.
            let _ = sender.send(work(state));
        }
    });
    match started {
        Ok(_) => Ok(receiver),
        Err(_) => Err(take(&shared).expect("no thread has taken it")),
    }
}

fn take<S>(shared: &Mutex<Option<S>>) -> Option<S> {
    shared.lock().ok().and_then(|mut state| state.take())
}

/// Does blocking work on a thread of its own, or here when there is none to be had.
///
/// # Errors
/// [`Gone`] when the work panicked.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Gone> {
    match start(work, |work| work()) {
        Ok(answer) => answer.await.map_err(|_| Gone),
        Err(work) => Ok(work()),
    }
}

/// Whether the system gives us one thread more, now.
pub fn is_one_left() -> bool {
    can_make(1)
}

/// How many threads the network of a download gets: one for each core, within reason. `None` when
/// the system would not give them, and as many again for other work.
pub fn workers() -> Option<NonZeroUsize> {
    let cores = available_parallelism().map_or(1, usize::from);
    let workers = cores.min(MOST_WORKERS);
    can_make(workers + RESERVE)
        .then(|| NonZeroUsize::new(workers))
        .flatten()
}

/// Whether this many threads can be had at the same time. They are made, for a moment.
fn can_make(count: usize) -> bool {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let open = |gate: &(Mutex<bool>, Condvar)| {
        if let Ok(mut is_open) = gate.0.lock() {
            *is_open = true;
        }
        gate.1.notify_all();
    };
    let mut threads = Vec::with_capacity(count);
    for _ in 0..count {
        let gate = Arc::clone(&gate);
        let wait = move || {
            let Ok(is_open) = gate.0.lock() else { return };
            drop(gate.1.wait_while(is_open, |is_open| !*is_open));
        };
        match Builder::new().stack_size(SMALL_STACK).spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(_) => break,
        }
    }
    open(&gate);
    let made = threads.len();
    for thread in threads {
        // Nothing in it can fail.
        let _ = thread.join();
    }
    made == count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_told() {
        assert_eq!(run(|| 3).await, Ok(3));
        assert_eq!(start(4, |n| n + 1).unwrap().await.unwrap(), 5);
        let panics = start((), |()| assert!(std::env::args().count() == 0));
        assert!(panics.unwrap().await.is_err());
    }

    #[test]
    fn threads_are_there_for_the_asking() {
        assert!(is_one_left() && can_make(3));
        assert!(workers().is_none_or(|workers| workers.get() <= MOST_WORKERS));
    }
}
