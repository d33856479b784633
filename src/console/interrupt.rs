//! Signals that end the process: Ctrl-C (SIGINT), SIGTERM and SIGHUP.
//!
//! All three end it in the same way, with 128 and the signal's number as exit code: 130, 143, 129.
//! They are caught from the start, since signals have no default effect on the first process of a
//! container. One that was ignored when the process started stays ignored
//! (`nohup`, jobs in the background of a script).
//!
//! A signal ends the process at once almost everywhere. Two places need it held: a hidden prompt,
//! which must turn the terminal's echo on again first, and asynchronous work, which cleans up first.
//! `rpassword` alone would die with the echo off: it raises the signal before it restores the
//! terminal. `signal-hook` is a dependency of tokio already and makes handlers safe.
//!
//! [`keep_terminal`] also gives the terminal back its echo when a SIGINT comes before the prompt has
//! made Ctrl-C a key like others, and would be lost otherwise.

#[cfg(unix)]
pub use unix::{
    Cover, cover, exit, exit_code, has_come, hold, install, is_in_foreground, keep_terminal,
    replace_process, stop, wait,
};

#[cfg(unix)]
mod unix {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, ExitCode};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};

    const ENDINGS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

    /// The state of signals in this process.
    struct Signals {
        /// A signal ends the process at once.
        fatal: Arc<AtomicBool>,
        /// The last signal that came; 0: none.
        last: Arc<AtomicUsize>,
        /// Numbers of holders: all, and those that also handle the signal themselves.
        holders: Mutex<(usize, usize)>,
        /// Ctrl-Z stops the process at once; else it is noted.
        stops: Arc<AtomicBool>,
        stopped: Arc<AtomicBool>,
        /// Those of [`ENDINGS`] that were not ignored at start.
        heard: Vec<i32>,
    }

    /// Catches the signals, once.
    fn signals() -> &'static Signals {
        static SIGNALS: OnceLock<Signals> = OnceLock::new();
        SIGNALS.get_or_init(|| {
            let ignored = ignored();
            let heard = ENDINGS.into_iter();
            let signals = Signals {
                fatal: Arc::new(AtomicBool::new(true)),
                last: Arc::new(AtomicUsize::new(0)),
                holders: Mutex::default(),
                stops: Arc::new(AtomicBool::new(true)),
                stopped: Arc::default(),
                heard: heard.filter(|&s| !is_in(ignored, s)).collect(),
            };
            for &signal in &signals.heard {
                // These fail for signals that cannot be caught; ours can.
                let (last, fatal) = (Arc::clone(&signals.last), Arc::clone(&signals.fatal));
                let number = usize::try_from(signal).unwrap_or_default();
                let _ = signal_hook::flag::register_usize(signal, last, number);
                let _ =
                    signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, fatal);
            }
            if !is_in(ignored, SIGTSTP) {
                let (stops, stopped) = (Arc::clone(&signals.stops), Arc::clone(&signals.stopped));
                let _ = signal_hook::flag::register_conditional_default(SIGTSTP, stops);
                let _ = signal_hook::flag::register(SIGTSTP, stopped);
            }
            // Writing beyond `ulimit -f` is then an error with a message instead of a sudden end.
            let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
            signals
        })
    }

    /// Catches the signals; to be called at the start of the process.
    pub fn install() {
        signals();
    }

    /// The mask of signals that are ignored, as inherited from the parent process.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        mask(&status)
    }

    fn mask(status: &str) -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or(0)
    }

    fn is_in(mask: u64, signal: i32) -> bool {
        mask >> (signal - 1) & 1 == 1
    }

    /// The exit code of a process that ends because of a signal, or of a Ctrl-C that was a key.
    pub fn exit_code() -> u8 {
        let last = signals().last.load(Ordering::SeqCst);
        let signal = if last == 0 { 2 } else { last };
        u8::try_from(128 + signal).unwrap_or(130)
    }

    /// Whether a signal has come that ends the process, and is held.
    pub fn has_come() -> bool {
        signals().last.load(Ordering::SeqCst) != 0
    }

    /// Waits for a signal. One that came since [`hold`] was called counts.
    pub async fn wait() {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = signals();
        let mut streams: Vec<_> = signals
            .heard
            .iter()
            // Fails when the process has no descriptor left: then signals have their default effect.
            .filter_map(|&number| signal(SignalKind::from_raw(number)).ok())
            .collect();
        if signals.last.load(Ordering::SeqCst) != 0 {
            return;
        }
        let next = std::future::poll_fn(|context| {
            let came = streams
                .iter_mut()
                .any(|stream| stream.poll_recv(context).is_ready());
            if came {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        });
        next.await;
    }

    /// While it exists, signals do not end the process.
    #[derive(Debug)]
    pub struct Hold {
        answers: bool,
    }

    /// Holds the signals until the answer is dropped. Holds may nest.
    pub fn hold() -> Hold {
        Hold::new(true)
    }

    impl Hold {
        fn new(answers: bool) -> Self {
            count(|(all, answering)| {
                *all += 1;
                *answering += usize::from(answers);
            });
            Hold { answers }
        }
    }

    /// Changes the number of holders.
    fn count(change: impl FnOnce(&mut (usize, usize))) {
        let signals = signals();
        let mut holders = signals
            .holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut holders);
        signals.fatal.store(holders.0 == 0, Ordering::SeqCst);
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            count(|(all, answering)| {
                *all -= 1;
                *answering -= usize::from(self.answers);
            });
        }
    }

    /// While it exists, signals wait for [`Cover::ending`] and [`Cover::is_stopped`], to be asked every
    /// moment: something on the terminal has to be removed first.
    #[derive(Debug)]
    pub struct Cover {
        _held: Hold,
    }

    /// Holds the signals for something that is shown.
    pub fn cover() -> Cover {
        signals().stops.store(false, Ordering::SeqCst);
        Cover {
            _held: Hold::new(false),
        }
    }

    impl Cover {
        /// The exit code with which a signal wants the process to end, unless something else answers it.
        pub fn ending(&self) -> Option<u8> {
            let signals = signals();
            let holders = signals
                .holders
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            (signals.last.load(Ordering::SeqCst) != 0 && holders.1 == 0).then(exit_code)
        }

        /// Whether Ctrl-Z was pressed since this was asked last.
        pub fn is_stopped(&self) -> bool {
            signals().stopped.swap(false, Ordering::SeqCst)
        }
    }

    impl Drop for Cover {
        fn drop(&mut self) {
            signals().stops.store(true, Ordering::SeqCst);
            if self.is_stopped() {
                stop();
            }
        }
    }

    /// Ends the process at once.
    pub fn exit(code: u8) -> ! {
        signal_hook::low_level::exit(code.into())
    }

    /// Stops the process, as Ctrl-Z does, until it is continued.
    pub fn stop() {
        // Without effect where the system has no such signal.
        let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
    }

    /// Runs another program in the place of this one; `None` when it cannot be started.
    pub fn replace_process(command: &mut Command) -> Option<ExitCode> {
        let _error = command.exec();
        None
    }

    /// Whether the terminal on stderr is this process's: a shell may have put it into the background.
    pub fn is_in_foreground() -> bool {
        let group = rustix::termios::tcgetpgrp(rustix::stdio::stderr());
        group.is_ok_and(|group| group == rustix::process::getpgrp())
    }

    /// While it exists, signals restore the terminal before they end the process.
    #[derive(Debug)]
    pub struct KeptTerminal {
        watcher: signal_hook::iterator::Handle,
        _held: Hold,
    }

    /// Remembers the terminal's state, to be called before something changes it. `None` when there is
    /// no terminal: then there is nothing to restore.
    pub fn keep_terminal() -> Option<KeptTerminal> {
        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

        let terminal = std::fs::File::open("/dev/tty").ok()?;
        let state = tcgetattr(&terminal).ok()?;
        let heard = &signals().heard;
        let mut coming = signal_hook::iterator::Signals::new(heard).ok()?;
        let watcher = coming.handle();
        let held = hold();
        let watch = move || {
            if let Some(signal) = coming.forever().next() {
                // A terminal that is gone (SIGHUP) needs nothing.
                let _ = tcsetattr(&terminal, OptionalActions::Now, &state);
                signal_hook::low_level::exit(128 + signal);
            }
        };
        std::thread::Builder::new().spawn(watch).ok()?;
        Some(KeptTerminal {
            watcher,
            _held: held,
        })
    }

    impl Drop for KeptTerminal {
        fn drop(&mut self) {
            self.watcher.close();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn ignored_signals_are_read_off_the_status() {
            for (status, expected) in [
                (
                    "Name:\thf\nSigIgn:\t0000000000001001\nSigCgt:\t3",
                    [true, false, false],
                ),
                ("SigIgn:\t0000000000004002\n", [false, true, true]),
                ("SigIgn:\tnonsense\n", [false; 3]),
                ("", [false; 3]),
            ] {
                let mask = mask(status);
                let found = [SIGHUP, SIGINT, SIGTERM].map(|signal| is_in(mask, signal));
                assert_eq!(found, expected, "{status}");
            }
        }
    }
}

#[cfg(not(unix))]
pub use other::*;

/// Ctrl-C only, as the system handles it.
#[cfg(not(unix))]
mod other {
    use std::process::{Command, ExitCode};

    /// Nothing to hold.
    #[derive(Debug)]
    pub struct Hold;

    /// Nothing to hold.
    pub fn hold() -> Hold {
        Hold
    }

    /// Nothing to cover.
    #[derive(Debug)]
    pub struct Cover;

    /// Ctrl-C ends the process at once.
    pub fn cover() -> Cover {
        Cover
    }

    impl Cover {
        /// No signal waits.
        pub fn ending(&self) -> Option<u8> {
            None
        }

        /// No such key.
        pub fn is_stopped(&self) -> bool {
            false
        }
    }

    /// Ends the process.
    pub fn exit(code: u8) -> ! {
        std::process::exit(code.into())
    }

    /// No such thing.
    pub fn stop() {}

    /// No such thing as a background.
    pub fn is_in_foreground() -> bool {
        true
    }

    /// Nothing is caught before the first wait.
    pub fn install() {}

    /// Runs another program and ends with its exit code; `None` when it cannot be started. The console
    /// sends Ctrl-C to both processes; this one waits for the other.
    pub fn replace_process(command: &mut Command) -> Option<ExitCode> {
        #[cfg(windows)]
        leave_to_another_process();
        let status = command.status().ok()?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Some(ExitCode::from(code.unwrap_or(1)))
    }

    /// Leaves Ctrl-C to another process of the console, until this one ends. The system ends a process that
    /// has no handler for it.
    #[cfg(windows)]
    fn leave_to_another_process() {
        let (ready, wait_for_it) = std::sync::mpsc::channel();
        let wait = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let keys = tokio::signal::windows::ctrl_c();
            // Where there is no handler, the other process is started all the same.
            let _ = ready.send(());
            if let (Ok(runtime), Ok(mut keys)) = (runtime, keys) {
                runtime.block_on(async { while keys.recv().await.is_some() {} });
            }
        };
        if std::thread::Builder::new().spawn(wait).is_ok() {
            let _ = wait_for_it.recv();
        }
    }

    /// The exit code of an interrupted command (docs/reference.md#exit-codes-and-errors).
    pub fn exit_code() -> u8 {
        130
    }

    /// The system ends the process at once.
    pub fn has_come() -> bool {
        false
    }

    /// Waits for a Ctrl-C.
    pub async fn wait() {
        let _ = tokio::signal::ctrl_c().await;
    }

    /// Nothing to restore.
    #[derive(Debug)]
    pub struct KeptTerminal;

    /// Nothing to restore on systems without such signals.
    pub fn keep_terminal() -> Option<KeptTerminal> {
        None
    }
}
