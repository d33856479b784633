//! Ctrl-C: who deals with it.
//!
//! Left alone, SIGINT ends the process at once, which is right almost everywhere. Two places need it
//! held: a hidden prompt, which must turn the terminal's echo on again first, and asynchronous work,
//! which stops in order. Once a handler stands it stands for good (signal-hook never removes the
//! last one), so outside those places the handler itself ends the process.
//!
//! `rpassword` alone would die with the echo off: it raises the signal before it restores the
//! terminal. `signal-hook` is already below tokio and does the dangerous part of a handler safely.

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
