//! Threads, on machines that give few of them.
//!
//! Login nodes of clusters allow a user some dozens of processes and threads on a hundred cores. A
//! library that starts one for each core panics there, or waits forever for a thread that never started.
//! So every request for a thread may fail: work that gets none is done by the caller.
//! `tokio`'s threads for blocking work are not used: it panics when the system refuses one.

use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, Once, Weak};
use std::thread::{Builder, available_parallelism};
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

use super::idle::Threads;

/// Threads that a download uses at most for the network. More do not make it faster: one of them
/// decrypts a gigabyte in a second.
const MOST_WORKERS: usize = 8;

/// Threads kept for writing and hashing, in addition to those for the network.
const RESERVE: usize = 16;

/// Stack of a thread that only waits, in bytes.
const SMALL_STACK: usize = 64 << 10;

/// How long a started thread may take to run on a busy machine before it counts as refused.
const GLANCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

/// Work on a thread that ended without an answer: it panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thread of this program ended without an answer")]
pub struct Gone;

/// A thread waits longer for more work than the gap between two small files.
static THREADS: Threads = Threads::new(Duration::from_millis(200));

/// Starts work on a thread that does nothing else meanwhile. When the system refuses one, the state of
/// the work comes back.
///
/// # Errors
/// The state, when the system refuses a thread.
pub fn start<S, T>(state: S, work: fn(S) -> T) -> Result<oneshot::Receiver<T>, S>
where
    S: Send + 'static,
    T: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    // Taken by the thread, or by this one when there is none.
    let shared = Arc::new(Mutex::new(Some(state)));
    let taken = Arc::clone(&shared);
    let started = THREADS.spawn(move || {
        CALLER.set(None);
        if let Some(state) = take(&taken) {
            // The caller may have stopped waiting.
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

thread_local! {
    /// Alive as long as the future of [`run`] whose work this thread does.
    static CALLER: RefCell<Option<Weak<()>>> = const { RefCell::new(None) };
}

/// Does blocking work on a thread of its own, or on this one when the system gives none. Work that may
/// wait long should end when [`is_unwanted`].
///
/// # Errors
/// [`Gone`] when the work panicked.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Gone> {
    let caller = Arc::new(());
    let waiting = Arc::downgrade(&caller);
    fn on_thread<T>((work, waiting): (impl FnOnce() -> T, Weak<()>)) -> T {
        CALLER.set(Some(waiting));
        work()
    }
    match start((work, waiting), on_thread) {
        Ok(answer) => {
            let answer = answer.await.map_err(|_| Gone);
            drop(caller);
            answer
        }
        Err((work, _)) => Ok(work()),
    }
}

/// Whether this thread works for [`run`] and its future was dropped: the result is not used.
pub fn is_unwanted() -> bool {
    CALLER.with_borrow(|caller| {
        caller
            .as_ref()
            .is_some_and(|caller| caller.strong_count() == 0)
    })
}

/// Whether the system gives us one thread more, now.
fn is_one_left() -> bool {
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

/// Starts a runtime on `workers` threads, or on this one alone: for `None`, or when the system refuses a
/// thread after all, since other programs start threads as well.
///
/// # Errors
/// The system gives no descriptors for it.
pub fn start_runtime(workers: Option<NonZeroUsize>) -> io::Result<Runtime> {
    if let Some(runtime) = workers.map_or(Ok(None), runtime_on)? {
        return Ok(runtime);
    }
    let build = || runtime::Builder::new_current_thread().enable_all().build();
    // The library panics without sockets for signals; opening as many first gives the reason.
    quietly(build).unwrap_or_else(|| {
        let pairs = (0..4).map(|_| sockets());
        pairs.collect::<io::Result<Vec<_>>>()?;
        Err(io::Error::other("the runtime does not start"))
    })
}

#[cfg(unix)]
fn sockets() -> io::Result<(UnixStream, UnixStream)> {
    UnixStream::pair()
}

#[cfg(not(unix))]
fn sockets() -> io::Result<()> {
    Ok(())
}

/// A runtime on so many threads; `None` when the system refuses one of them. The library panics then
/// after waiting forever for the workers that have started, or begins without a worker. So it is started
/// on a thread that can be abandoned, and its workers are counted.
fn runtime_on(workers: NonZeroUsize) -> io::Result<Option<Runtime>> {
    let running = Arc::new(Count::default());
    let starting = Arc::clone(&running);
    let (sender, receiver) = std::sync::mpsc::channel();
    let start = Instant::now();
    let build = move || {
        runtime::Builder::new_multi_thread()
            .worker_threads(workers.get())
            .on_thread_start(move || starting.add_one())
            .enable_all()
            .build()
    };
    let starter = Builder::new().spawn(move || drop(sender.send(quietly(build))));
    if starter.is_err() {
        return Ok(None);
    }
    let built = loop {
        match receiver.recv_timeout(GLANCE) {
            Ok(Some(built)) => break built?,
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if is_hopeless(start) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    if running.reaches(workers.get()) {
        return Ok(Some(built));
    }
    // Workers that never started never report: do not wait for them.
    built.shutdown_background();
    Ok(None)
}

/// Whether threads requested at `start` will not start any more.
fn is_hopeless(start: Instant) -> bool {
    !is_one_left() || start.elapsed() > PATIENCE
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does what panics when it gets no thread; `None` when it did, and nothing is printed.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                usual(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(false);
    done.ok()
}

/// Threads that run.
#[derive(Debug, Default)]
struct Count {
    threads: Mutex<usize>,
    grown: Condvar,
}

impl Count {
    fn add_one(&self) {
        if let Ok(mut threads) = self.threads.lock() {
            *threads += 1;
        }
        self.grown.notify_all();
    }

    /// Waits until there are so many; `false` when there will not be.
    fn reaches(&self, wanted: usize) -> bool {
        let start = Instant::now();
        let Ok(mut threads) = self.threads.lock() else {
            return false;
        };
        while *threads < wanted {
            let waited = self.grown.wait_timeout(threads, GLANCE);
            let Ok((now, timeout)) = waited else {
                return false;
            };
            if *now < wanted && timeout.timed_out() && is_hopeless(start) {
                return false;
            }
            threads = now;
        }
        true
    }
}

/// Whether the system gives this many threads at the same time. They are started for a moment.
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

    /// The thread of work whose caller left is used again for other work.
    #[tokio::test]
    async fn a_caller_that_left_is_forgotten() {
        for _ in 0..1000 {
            let (sender, receiver) = std::sync::mpsc::channel();
            let tell = move || sender.send(std::thread::current().id()).unwrap();
            let mut work = Box::pin(run(tell));
            let polled = futures_util::poll!(&mut work);
            let first = receiver.recv().unwrap();
            drop(work);
            if polled.is_ready() {
                continue;
            }
            for _ in 0..100 {
                let look = |()| (std::thread::current().id(), is_unwanted());
                let (thread, is_unwanted) = start((), look).unwrap().await.unwrap();
                assert!(!is_unwanted);
                if thread == first {
                    return;
                }
            }
        }
        panic!("no thread was used again");
    }

    #[test]
    fn a_runtime_has_its_workers() {
        let runtime = start_runtime(Some(NonZeroUsize::MIN)).unwrap();
        assert_eq!(runtime.block_on(async { 3 }), 3);
        assert!(Count::default().reaches(0));
        assert_eq!(quietly(|| 4), Some(4));
        assert_eq!(quietly(|| assert_eq!(std::env::args().count(), 0)), None);
    }

    #[test]
    fn threads_are_there_for_the_asking() {
        assert!(is_one_left() && can_make(3));
        assert!(workers().is_none_or(|workers| workers.get() <= MOST_WORKERS));
    }
}
