//! What a command found, in each output format (docs/reference.md#output-formats).

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::output::Output;
use super::{Console, Mode, Paint, Safe, Table, json, paths, text};

/// A result: keys and values in order of importance. The first value is what `quiet` prints.
pub type Fields = Vec<(&'static str, Value)>;

impl Console {
    /// Prints free text: `human` and `agent` only.
    pub fn text(&self, text: &str) {
        if matches!(self.mode, Mode::Human | Mode::Agent) {
            self.line(text);
        }
    }

    /// Prints one JSON value, in Python's spelling, as it is made: it need not be in memory as a whole.
    pub fn json(&self, value: &(impl Serialize + ?Sized)) {
        self.stream(|out| {
            json::write(out, value)?;
            out.write_all(b"\n")
        });
    }

    /// Prints text as it is made. A failure ends it, and is reported by [`Console::finish`].
    fn stream<T>(&self, print: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Option<T> {
        let mut out = Output::new(self);
        let printed = print(&mut out).ok();
        // What was made until then is printed.
        out.flush().ok().and(printed)
    }

    /// As [`Console::result`], but in a pipe the heading goes to stderr: scripts read the first line of
    /// stdout (docs/reference.md#strings-that-programs-read).
    pub fn facts(&self, heading: &str, fields: Fields) {
        if self.mode != Mode::Human || self.stdout_is_terminal() {
            return self.result(heading, fields);
        }
        self.to_stderr(Safe::line(&format!("✓ {heading}")), Some(Paint::Green));
        for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            self.line(&format!("  {key}: {}", text::plain(value)));
        }
    }

    /// Prints the outcome of a command (docs/reference.md#output-formats): `✓ message` and
    /// `key: value` lines, or `key=value` pairs, or JSON, or the first value. Null values are left
    /// out except in JSON.
    pub fn result(&self, message: &str, fields: Fields) {
        let shown = || fields.iter().filter(|(_, value)| !value.is_null());
        match self.mode {
            Mode::Human => {
                let paint = self.stdout.lock().unwrap().paint(Paint::Green);
                let mut text = Safe::line(&format!("✓ {message}")).painted(paint);
                for (key, value) in shown() {
                    let field = format!("\n  {key}: {}", text::plain(value));
                    text = text.then(Safe::lines(&field));
                }
                self.print(text);
            }
            Mode::Agent => {
                let pairs: Vec<String> = shown()
                    .map(|(key, value)| format!("{key}={}", text::plain(value)))
                    .collect();
                self.line(
                    if pairs.is_empty() {
                        message.to_owned()
                    } else {
                        pairs.join(" ")
                    }
                    .as_str(),
                );
            }
            Mode::Json => {
                let object: Map<String, Value> = fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect();
                self.json(&Value::Object(object));
            }
            Mode::Quiet => {
                if let Some((_, value)) = fields.first() {
                    self.line(&text::plain(value));
                }
            }
        }
    }

    /// Prints a path as the outcome of a command: byte for byte where a program reads it, escaped on a
    /// terminal. JSON writes it as [`paths::path_text`] says.
    pub fn path(&self, message: &str, path: &Path) {
        let path = paths::path_text(path);
        if self.mode == Mode::Json || self.stdout_is_terminal() {
            return self.result(message, vec![("path", Value::String(path))]);
        }
        self.lines(&match self.mode {
            Mode::Quiet | Mode::Json => format!("{path}\n"),
            Mode::Agent => format!("path={path}\n"),
            Mode::Human => format!("✓ {message}\n  path: {path}\n"),
        });
    }

    /// Says on stderr what a command did, to a person at a terminal; whether it was said.
    pub fn tell_outcome(&self, message: &str) -> bool {
        let is_seen = self.mode == Mode::Human && self.stderr.lock().unwrap().is_terminal;
        if is_seen {
            self.to_stderr(Safe::line(&format!("✓ {message}")), Some(Paint::Green));
        }
        is_seen
    }

    /// Prints a path below a heading that stands on stderr.
    pub fn field(&self, key: &str, path: &Path) {
        self.line(&format!(
            "  {key}: {}",
            text::escape(&paths::path_text(path))
        ));
    }

    /// Prints the bare path, in every format: byte for byte but for a terminal.
    pub fn bare_path(&self, path: &Path) {
        self.lines(&format!("{}\n", paths::path_text(path)));
    }

    /// Reports that a command that changes something found nothing to do (log in, log out, switch): a
    /// sentence on stderr for people, the fields on stdout in JSON and for agents
    /// (docs/reference.md#streams: this talk goes to stderr).
    pub fn done(&self, message: &str, fields: Fields) {
        match self.mode {
            Mode::Human => {
                self.to_stderr(Safe::line(&format!("✓ {message}")), Some(Paint::Green));
            }
            Mode::Agent | Mode::Json => self.result(message, fields),
            Mode::Quiet => {}
        }
    }

    /// Prints a table in the current format, row by row.
    pub fn table(&self, table: &Table<'_>) {
        match self.mode {
            Mode::Human if self.fit().is_some() => self.table_on_terminal(table),
            // Whole: a program reads it.
            Mode::Human => drop(self.stream(|out| table.write_human(out))),
            Mode::Agent => drop(self.stream(|out| table.write_tsv(out))),
            Mode::Json => self.json(table),
            Mode::Quiet => drop(self.stream(|out| table.write_ids(out))),
        }
    }
}

impl Console {
    /// Prints a table that fits the window, and says how to see what it leaves out.
    fn table_on_terminal(&self, table: &Table<'_>) {
        let columns = self.columns();
        let Some(layout) = self.stream(|out| table.write_terminal(columns, out)) else {
            return;
        };
        match &layout.left_out[..] {
            [] if layout.is_shortened => {
                self.hint("--no-truncate shows whole values, --json all there is");
            }
            [] => {}
            names => {
                let names = names.join(", ");
                self.hint(&format!(
                    "this window is too narrow for {names}; --no-truncate shows all"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::console::OutputFormat;

    fn shown(format: OutputFormat, fields: Fields) -> String {
        let (mut console, capture) = Console::captured();
        console.configure(Some(format), false, None);
        console.result("Logged in", fields);
        capture.stdout()
    }

    #[test]
    fn a_path_is_printed_as_its_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let bytes = b"/a\xe9/\xe2\x80\xae\x1b";
        let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
        for (format, before) in [
            (OutputFormat::Human, "\u{2713} Done\n  path: "),
            (OutputFormat::Agent, "path="),
            (OutputFormat::Quiet, ""),
        ] {
            let (mut console, capture) = Console::captured();
            console.configure(Some(format), false, None);
            console.path("Done", path);
            let expected = [before.as_bytes(), bytes, b"\n"].concat();
            assert_eq!(*capture.stdout.lock().unwrap(), expected);
        }
        let (mut console, capture) = Console::captured();
        console.configure(Some(OutputFormat::Json), false, None);
        console.path("Done", path);
        let json = "{\"path\": \"/a\\udce9/\\u202e\\u001b\"}\n";
        assert_eq!(capture.stdout(), json);
        let (console, capture) = Console::captured();
        console.stdout.lock().unwrap().is_terminal = true;
        console.bare_path(path);
        assert_eq!(capture.stdout(), "/a\\xe9/\\u202e\\x1b\n");
    }

    #[test]
    fn a_result_in_every_format() {
        let fields = || vec![("user", json!("alice")), ("orgs", Value::Null)];
        assert_eq!(
            shown(OutputFormat::Human, fields()),
            "✓ Logged in\n  user: alice\n"
        );
        assert_eq!(shown(OutputFormat::Agent, fields()), "user=alice\n");
        assert_eq!(
            shown(OutputFormat::Json, fields()),
            "{\"user\": \"alice\", \"orgs\": null}\n"
        );
        assert_eq!(shown(OutputFormat::Quiet, fields()), "alice\n");
    }
}
