//! Threads that are used again.
//!
//! A download flushes and publishes each of thousands of small files on a thread, and making one costs
//! as much as the work itself. So a thread that has done its work waits a moment for more.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// What a thread does.
type Work = Box<dyn FnOnce() + Send>;

/// Threads, those that wait among them.
pub struct Threads {
    /// How long a thread waits for more work.
    patience: Duration,
    idle: Mutex<Idle>,
}

struct Idle {
    /// Each with a number; the one that has waited longest first.
    threads: Vec<(u64, Sender<Work>)>,
    next: u64,
}

impl Threads {
    /// None yet.
    pub const fn new(patience: Duration) -> Threads {
        Threads {
            patience,
            idle: Mutex::new(Idle {
                threads: Vec::new(),
                next: 0,
            }),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Nothing in it is ever half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work on a thread that waits, or else on a new one.
    ///
    /// # Errors
    /// The system gives no thread; the work is dropped.
    pub fn spawn(&'static self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut work: Work = Box::new(work);
        loop {
            let Some((_, thread)) = self.idle().threads.pop() else {
                return Builder::new().spawn(move || self.serve(work)).map(drop);
            };
            match thread.send(work) {
                Ok(()) => return Ok(()),
                Err(unsent) => work = unsent.0,
            }
        }
    }

    /// The life of a thread. Work that panics ends it.
    fn serve(&self, mut work: Work) {
        loop {
            work();
            let (number, more) = self.enlist();
            work = match more.recv_timeout(self.patience) {
                Ok(next) => next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if self.withdraw(number) => return,
                // It was chosen at this moment, so there is work on its way.
                Err(RecvTimeoutError::Timeout) => match more.recv() {
                    Ok(next) => next,
                    Err(_) => return,
                },
            };
        }
    }

    /// Offers this thread for more work.
    fn enlist(&self) -> (u64, Receiver<Work>) {
        let (sender, receiver) = channel();
        let mut idle = self.idle();
        let number = idle.next;
        idle.next += 1;
        idle.threads.push((number, sender));
        (number, receiver)
    }

    /// Takes the offer back; `false` when it was accepted.
    fn withdraw(&self, number: u64) -> bool {
        let mut idle = self.idle();
        let place = idle.threads.iter().position(|(it, _)| *it == number);
        place.map(|place| idle.threads.remove(place)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::{ThreadId, current};

    use super::*;

    fn threads(patience: Duration) -> &'static Threads {
        Box::leak(Box::new(Threads::new(patience)))
    }

    /// The thread that does the next work.
    fn next(threads: &'static Threads) -> ThreadId {
        let (sender, receiver) = channel();
        threads
            .spawn(move || sender.send(current().id()).unwrap())
            .unwrap();
        receiver.recv().unwrap()
    }

    #[test]
    fn a_thread_is_used_again() {
        let threads = threads(Duration::from_secs(600));
        let mut seen = HashSet::new();
        // One may not have come back for more at once, and the last to come back is used first.
        assert!((0..10_000).any(|_| !seen.insert(next(threads))));
    }

    #[test]
    fn a_thread_without_work_ends() {
        let threads = threads(Duration::ZERO);
        let (sender, ended) = channel::<()>();
        thread_local! {
            static UNTIL_THE_END: std::cell::RefCell<Option<Sender<()>>> = const { std::cell::RefCell::new(None) };
        }
        threads
            .spawn(move || UNTIL_THE_END.set(Some(sender)))
            .unwrap();
        assert!(ended.recv().is_err(), "its variables are dropped");
        assert!(threads.idle().threads.is_empty());
    }

    #[test]
    fn work_that_panics_takes_its_thread_with_it() {
        let threads = threads(Duration::from_secs(600));
        let (sender, receiver) = channel();
        let panics = move || {
            sender.send(current().id()).unwrap();
            assert_eq!(std::env::args().count(), 0, "a panic on purpose");
        };
        threads.spawn(panics).unwrap();
        let gone = receiver.recv().unwrap();
        assert!((0..20).all(|_| next(threads) != gone));
    }

    #[test]
    fn no_work_is_lost_where_threads_give_up_all_the_time() {
        let threads = threads(Duration::from_micros(1));
        let (sender, receiver) = channel();
        for number in 0..20_000 {
            let sender = sender.clone();
            threads.spawn(move || sender.send(number).unwrap()).unwrap();
            if number % 3 == 0 {
                std::thread::yield_now();
            }
        }
        drop(sender);
        let mut done: Vec<u32> = receiver.iter().collect();
        done.sort_unstable();
        assert_eq!(done, (0..20_000).collect::<Vec<_>>());
    }
}
