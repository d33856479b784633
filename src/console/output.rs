//! Text for stdout that is made piece by piece.

use std::io::{self, Write};

use super::{Console, Safe};

/// Bytes that are printed at a time.
const PIECE: usize = 64 << 10;

/// Collects text and prints it in pieces, as [`Console::line`] prints a whole.
pub(super) struct Output<'a> {
    console: &'a Console,
    text: Vec<u8>,
}

impl<'a> Output<'a> {
    /// Nothing is made yet.
    pub fn new(console: &'a Console) -> Self {
        Output {
            console,
            text: Vec::new(),
        }
    }
}

impl Write for Output<'_> {
    /// # Errors
    /// Something could not be printed: there is no need to make more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        if self.text.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let whole = match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            // A character whose end is still to come.
            Err(error) => str::from_utf8(&self.text[..error.valid_up_to()]).unwrap_or_default(),
        };
        let length = whole.len();
        if length > 0 {
            self.console.print_piece(&Safe::lines(whole));
            self.text.drain(..length);
        }
        match self.console.stdout.lock().unwrap().failure {
            Some(_) => Err(io::ErrorKind::BrokenPipe.into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_and_are_escaped() {
        let (console, capture) = Console::captured();
        let text = "\u{e9}\u{1b}a\n".repeat(PIECE / 3);
        let mut out = Output::new(&console);
        for piece in text.as_bytes().chunks(7) {
            out.write_all(piece).unwrap();
            assert!(out.text.len() <= PIECE, "not kept");
        }
        out.flush().unwrap();
        assert_eq!(capture.stdout(), text.replace('\u{1b}', "\\x1b"));
    }

    #[test]
    fn nothing_more_is_made_for_a_reader_that_went_away() {
        let (console, capture) = Console::captured();
        console.stdout.lock().unwrap().failure = Some(io::ErrorKind::BrokenPipe.into());
        let mut made = 0;
        let rows = std::iter::repeat_with(|| {
            made += 1;
            "row\n"
        });
        let mut out = Output::new(&console);
        let ended = rows
            .take(PIECE)
            .try_for_each(|row| out.write_all(row.as_bytes()));
        assert!(ended.is_err() && made <= PIECE / 4, "{made}");
        assert_eq!(capture.stdout(), "");
    }
}
