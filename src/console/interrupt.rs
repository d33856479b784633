//! Signals that end the process: who deals with them.
//!
//! Left alone, SIGINT ends the process at once, which is right almost everywhere. Two places need it
//! held: a hidden prompt, which must turn the terminal's echo on again first, and asynchronous work,
//! which stops in order. Once a handler stands it stands for good (signal-hook never removes the
//! last one), so outside those places the handler itself ends the process.
//!
//! `rpassword` alone would die with the echo off: it raises the signal before it restores the
//! terminal. `signal-hook` is already below tokio and does the dangerous part of a handler safely.
//!
//! SIGTERM and SIGHUP end the process at once as well, but for a hidden prompt: [`keep_terminal`]
//! gives the terminal back its echo first. It does so for a SIGINT too that comes before the prompt
//! has made Ctrl-C a key like others, and would be lost otherwise.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Exit code of an interrupted command (REFERENCE 6).
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

/// While it lives, Ctrl-C does not end the process.
#[derive(Debug)]
pub struct Hold {
    fatal: Arc<AtomicBool>,
    before: bool,
}

/// Holds Ctrl-C until the answer is dropped. Holds may nest.
pub fn hold() -> Hold {
    static FATAL: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let fatal = FATAL.get_or_init(|| {
        let fatal = Arc::new(AtomicBool::new(true));
        install(&fatal);
        fatal
    });
    let before = fatal.swap(false, Ordering::SeqCst);
    Hold {
        fatal: Arc::clone(fatal),
        before,
    }
}

#[cfg(unix)]
fn install(fatal: &Arc<AtomicBool>) {
    // Fails for signals that cannot be caught; SIGINT can.
    let _ = signal_hook::flag::register_conditional_shutdown(
        signal_hook::consts::SIGINT,
        INTERRUPTED,
        Arc::clone(fatal),
    );
}

#[cfg(not(unix))]
fn install(_fatal: &Arc<AtomicBool>) {}

impl Drop for Hold {
    fn drop(&mut self) {
        self.fatal.store(self.before, Ordering::SeqCst);
    }
}

/// While it lives, signals restore the terminal before they end the process.
#[derive(Debug)]
pub struct KeptTerminal {
    #[cfg(unix)]
    watcher: signal_hook::iterator::Handle,
    #[cfg(unix)]
    fatal: Arc<AtomicBool>,
}

/// Remembers the terminal's state, to be called before something changes it. `None` when there is
/// no terminal: then there is nothing to restore.
#[cfg(unix)]
pub fn keep_terminal() -> Option<KeptTerminal> {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    const ENDINGS: [i32; 2] = [SIGTERM, SIGHUP];
    // Once caught, a signal never gets its default action back (signal-hook keeps its handler), so
    // the default is emulated whenever no prompt is open.
    static FATAL: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let fatal = FATAL.get_or_init(|| {
        let fatal = Arc::new(AtomicBool::new(true));
        for signal in ENDINGS {
            // Fails for signals that cannot be caught; these can.
            let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&fatal));
        }
        fatal
    });
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    let state = tcgetattr(&terminal).ok()?;
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).ok()?;
    let watcher = signals.handle();
    fatal.store(false, Ordering::SeqCst);
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // A terminal that is gone (SIGHUP) needs nothing.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &state);
            if signal == SIGINT {
                signal_hook::low_level::exit(INTERRUPTED);
            }
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    Some(KeptTerminal {
        watcher,
        fatal: Arc::clone(fatal),
    })
}

/// Nothing to restore on systems without such signals.
#[cfg(not(unix))]
pub fn keep_terminal() -> Option<KeptTerminal> {
    None
}

impl Drop for KeptTerminal {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            self.fatal.store(true, Ordering::SeqCst);
            self.watcher.close();
        }
    }
}
