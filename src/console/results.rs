//! What a command found, in each output format (REFERENCE 6).

use serde_json::{Map, Value};

use super::{Console, GREEN, Mode, Table, json, text};

/// A result: keys and values in order of importance. The first value is what `quiet` prints.
pub type Fields = Vec<(&'static str, Value)>;

impl Console {
    /// Prints free text: `human` and `agent` only.
    pub fn text(&self, text: &str) {
        if matches!(self.mode, Mode::Human | Mode::Agent) {
            self.line(text);
        }
    }

    /// Prints one JSON value, in Python's spelling.
    pub fn json(&self, value: &Value) {
        self.line(&json::to_python_json(value));
    }

    /// Prints the outcome of a command (REFERENCE 6): `✓ message` and `key: value` lines, or
    /// `key=value` pairs, or JSON, or the first value. Null values are left out except in JSON.
    pub fn result(&self, message: &str, fields: Fields) {
        let shown = || fields.iter().filter(|(_, value)| !value.is_null());
        match self.mode {
            Mode::Human => {
                let mut text = self.paint_stdout(&format!("✓ {message}"), GREEN);
                for (key, value) in shown() {
                    text.push_str(&format!("\n  {key}: {}", text::plain(value)));
                }
                self.line(&text);
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

    /// Reports a command that changes something and finds nothing (log in, log out, switch): a
    /// sentence on stderr for people, the fields on stdout in JSON and for agents (REFERENCE 3: this
    /// talk goes to stderr).
    pub fn done(&self, message: &str, fields: Fields) {
        match self.mode {
            Mode::Human => self.to_stderr(&format!("✓ {message}"), Some(GREEN)),
            Mode::Agent | Mode::Json => self.result(message, fields),
            Mode::Quiet => {}
        }
    }

    /// Prints a table in the format in force.
    pub fn table(&self, table: &Table) {
        let (rendered, truncated) = match self.mode {
            Mode::Human => table.to_human((!self.no_truncate).then(|| self.columns())),
            Mode::Agent => (table.to_tsv(), false),
            Mode::Json => (json::to_python_json(&table.to_json()), false),
            Mode::Quiet => (table.to_ids(), false),
        };
        if !rendered.is_empty() {
            self.line(&rendered);
        }
        if truncated {
            self.hint("pass --no-truncate or --format json to see whole values");
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
