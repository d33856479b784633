//! Stdout and stderr: a terminal gets safe text only, and after a failed write nothing is written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::paths;
use super::safe::{Paint, Safe};

/// Where a stream goes.
pub(super) enum Sink {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    Captured(Arc<Mutex<Vec<u8>>>),
}

/// One of the two output streams.
pub(super) struct Stream {
    pub(super) sink: Sink,
    pub(super) is_terminal: bool,
    /// Whether styles are written.
    pub(super) color: bool,
    /// The first failed write; nothing is written after it.
    pub(super) failure: Option<io::Error>,
}

impl Stream {
    /// A style, where there is colour.
    pub(super) fn paint(&self, paint: Paint) -> Option<Paint> {
        self.color.then_some(paint)
    }

    /// What may go to a terminal, and so anywhere.
    pub(super) fn write(&mut self, text: &Safe) {
        self.write_bytes(text.as_str().as_bytes());
    }

    /// Data that a program reads, byte for byte; a terminal gets it escaped. What stands for a byte of
    /// a path becomes that byte.
    pub(super) fn write_data(&mut self, text: &str) {
        match self.is_terminal {
            true => self.write(&Safe::lines(text)),
            false => self.write_bytes(&paths::bytes_of(text)),
        }
    }

    pub(super) fn write_bytes(&mut self, bytes: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        let result = match &mut self.sink {
            Sink::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Sink::Stderr(stderr) => stderr.write_all(bytes),
            Sink::Captured(buffer) => {
                buffer.lock().unwrap().extend_from_slice(bytes);
                Ok(())
            }
        };
        self.failure = result.err();
    }
}
