//! The only stdout, stderr and stdin.
//!
//! Data goes to stdout, talk to stderr (REFERENCE 6). A command hands over what it found; how that
//! looks in each output format is decided here. Writing never fails for the caller: a reader that
//! closed stdout early (`| head -1`) ends the output quietly, and any other failure is kept until
//! [`Console::finish`].

mod bars;
pub mod interrupt;
pub mod json;
pub mod picker;
mod plain;
pub mod prompt;
pub mod table;
pub mod text;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

pub use self::table::Table;
use crate::env::{self, Env};
use crate::progress::{Progress, Silent};

/// Output format as asked for on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// `agent` when an AI agent runs the command, else `human`.
    #[default]
    Auto,
    /// Tables and sentences for people.
    Human,
    /// Tab-separated values and `key=value` pairs for language models.
    Agent,
    /// One line of JSON.
    Json,
    /// The bare essential value, one a line.
    Quiet,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ProgressStyle {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Bars; lines where there is no terminal to draw them on.
    Bar,
    /// A line every ten seconds.
    Plain,
    /// Nothing.
    None,
}

impl ProgressStyle {
    /// What to show. `switch` is [`crate::settings::Settings::progress_bars`]; `can_draw`: stderr is
    /// a terminal that knows how to move its cursor.
    fn decide(self, mode: Mode, switch: Option<bool>, can_draw: bool) -> ProgressStyle {
        let wanted = match self {
            ProgressStyle::Auto if switch.unwrap_or(mode == Mode::Human) => ProgressStyle::Bar,
            ProgressStyle::Auto => ProgressStyle::None,
            given => given,
        };
        match wanted {
            // A log would be full of them.
            ProgressStyle::Bar if !can_draw => ProgressStyle::Plain,
            other => other,
        }
    }
}

/// Output format in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Tables and sentences.
    Human,
    /// Tab-separated values.
    Agent,
    /// JSON.
    Json,
    /// Bare values.
    Quiet,
}

/// Whose output it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// `hf`.
    #[default]
    Modern,
    /// `huggingface-cli`: what huggingface_hub 0.36.2 prints to stdout, and its exit codes.
    Legacy,
}

/// A result: keys and values in order of importance. The first value is what `quiet` prints.
pub type Fields = Vec<(&'static str, Value)>;

enum Sink {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    Captured(Arc<Mutex<Vec<u8>>>),
}

struct Stream {
    sink: Sink,
    is_terminal: bool,
    color: bool,
    failure: Option<io::Error>,
}

impl Stream {
    fn write_styled(&mut self, text: &clap::builder::StyledStr) {
        let text = match self.color {
            true => text.ansi().to_string(),
            false => text.to_string(),
        };
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        if self.failure.is_some() {
            return;
        }
        let result = match &mut self.sink {
            Sink::Stdout(stdout) => stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush()),
            Sink::Stderr(stderr) => stderr.write_all(text.as_bytes()),
            Sink::Captured(buffer) => {
                buffer.lock().unwrap().extend_from_slice(text.as_bytes());
                Ok(())
            }
        };
        self.failure = result.err();
    }
}

/// Where commands speak. See the module text.
pub struct Console {
    style: Style,
    is_agent: bool,
    mode: Mode,
    format_given: bool,
    no_truncate: bool,
    columns: Option<usize>,
    progress_bars: Option<bool>,
    stdin_is_terminal: bool,
    is_dumb: bool,
    stdout: Mutex<Stream>,
    stderr: Arc<Mutex<Stream>>,
    bars: Arc<indicatif::MultiProgress>,
}

/// See [`Console::waiting`].
pub struct Waiting(Option<indicatif::ProgressBar>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// What [`Console::captured`] collected.
#[derive(Clone, Default)]
pub struct Capture {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Capture {
    /// All that went to stdout.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().unwrap()).into_owned()
    }

    /// All that went to stderr.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }
}

impl Console {
    /// The console of this process, in `human` mode until [`Console::configure`] says otherwise.
    pub fn from_process(env: &Env) -> Self {
        let is_dumb = env.get(env::TERM).as_deref() == Some("dumb");
        let color_wanted = env.get(env::NO_COLOR).is_none() && !is_dumb;
        let stdout_is_terminal = io::stdout().is_terminal();
        let stderr_is_terminal = io::stderr().is_terminal();
        Console {
            style: Style::Modern,
            is_agent: false,
            mode: Mode::Human,
            format_given: false,
            no_truncate: false,
            columns: env
                .get(env::COLUMNS)
                .and_then(|c| c.parse().ok())
                .filter(|&c| c > 0),
            progress_bars: None,
            stdin_is_terminal: io::stdin().is_terminal(),
            is_dumb,
            stdout: Mutex::new(Stream {
                sink: Sink::Stdout(io::stdout()),
                is_terminal: stdout_is_terminal,
                color: stdout_is_terminal && color_wanted,
                failure: None,
            }),
            stderr: Arc::new(Mutex::new(Stream {
                sink: Sink::Stderr(io::stderr()),
                is_terminal: stderr_is_terminal,
                color: stderr_is_terminal && color_wanted,
                failure: None,
            })),
            bars: Arc::new(indicatif::MultiProgress::new()),
        }
    }

    /// A console for tests, without terminal or colour; what it is told can be read back.
    pub fn captured() -> (Self, Capture) {
        let capture = Capture::default();
        let stream = |buffer: &Arc<Mutex<Vec<u8>>>| Stream {
            sink: Sink::Captured(Arc::clone(buffer)),
            is_terminal: false,
            color: false,
            failure: None,
        };
        let console = Console {
            style: Style::Modern,
            is_agent: false,
            mode: Mode::Human,
            format_given: false,
            no_truncate: false,
            columns: Some(80),
            progress_bars: None,
            stdin_is_terminal: false,
            is_dumb: false,
            stdout: Mutex::new(stream(&capture.stdout)),
            stderr: Arc::new(Mutex::new(stream(&capture.stderr))),
            bars: Arc::new(indicatif::MultiProgress::new()),
        };
        (console, capture)
    }

    /// Sets what the command line and the environment ask of the output. `progress_bars` is
    /// [`crate::settings::Settings::progress_bars`].
    pub fn configure(
        &mut self,
        format: Option<OutputFormat>,
        no_truncate: bool,
        progress_bars: Option<bool>,
    ) {
        self.mode = match format.unwrap_or_default() {
            OutputFormat::Auto if self.is_agent => Mode::Agent,
            OutputFormat::Auto | OutputFormat::Human => Mode::Human,
            OutputFormat::Agent => Mode::Agent,
            OutputFormat::Json => Mode::Json,
            OutputFormat::Quiet => Mode::Quiet,
        };
        self.format_given = format.is_some();
        self.no_truncate = no_truncate;
        self.progress_bars = progress_bars;
    }

    /// Sets whether an AI agent runs the program; told before [`Console::configure`].
    pub fn set_agent(&mut self, is_agent: bool) {
        self.is_agent = is_agent;
    }

    /// Which of stdin, stdout and stderr are terminals.
    pub fn terminals(&self) -> [(&'static str, bool); 3] {
        [
            ("stdin", self.stdin_is_terminal),
            ("stdout", self.stdout_is_terminal()),
            ("stderr", self.stderr.lock().unwrap().is_terminal),
        ]
    }

    /// Sets by which name the program was called.
    pub fn set_style(&mut self, style: Style) {
        self.style = style;
    }

    /// Whether the program was called by its legacy name.
    pub fn is_legacy(&self) -> bool {
        self.style == Style::Legacy
    }

    /// The format in force.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the user chose a format; a pipe may be given a plainer result when not.
    pub fn format_given(&self) -> bool {
        self.format_given
    }

    /// Whether stdout is a terminal.
    pub fn stdout_is_terminal(&self) -> bool {
        self.stdout.lock().unwrap().is_terminal
    }

    /// Whether a person can be asked: stdin and stderr are both a terminal.
    pub fn is_interactive(&self) -> bool {
        self.stdin_is_terminal && self.stderr.lock().unwrap().is_terminal
    }

    /// Width for tables in columns: `$COLUMNS`, else the terminal, else 80 (REFERENCE 6).
    pub fn columns(&self) -> usize {
        self.columns
            .or_else(|| {
                terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
            })
            .unwrap_or(80)
    }

    /// Prints a line of data as it is, in every format.
    pub fn line(&self, text: &str) {
        self.stdout.lock().unwrap().write(&format!("{text}\n"));
    }

    /// Prints lines of data as they are, each of which ends already.
    pub fn lines(&self, text: &str) {
        self.stdout.lock().unwrap().write(text);
    }

    /// Prints a page of help.
    pub fn page(&self, text: &clap::builder::StyledStr) {
        self.stdout.lock().unwrap().write_styled(text);
    }

    /// Says on stderr, in clap's words, what is wrong with a command line.
    pub fn complaint(&self, text: &clap::builder::StyledStr) {
        self.stderr.lock().unwrap().write_styled(text);
    }

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

    /// Talk for a person: stderr, not in `quiet`.
    pub fn say(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.to_stderr(text, None);
        }
    }

    /// Something is odd but the command goes on: stderr, in every format.
    pub fn warn(&self, text: &str) {
        self.to_stderr(&format!("Warning: {text}"), Some(YELLOW));
    }

    /// Advice: stderr, not in `quiet`.
    pub fn hint(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.to_stderr(&format!("Hint: {text}"), Some(GRAY));
        }
    }

    /// Why the command failed: stderr, in every format.
    pub fn error(&self, text: &str) {
        self.to_stderr(&format!("Error: {text}"), Some(RED));
    }

    /// Progress on stderr, as bars or lines: in `human`, unless `--progress` or
    /// `HF_HUB_DISABLE_PROGRESS_BARS` says otherwise.
    pub fn progress(&self, style: ProgressStyle) -> Arc<dyn Progress> {
        let can_draw = self.stderr.lock().unwrap().is_terminal && !self.is_dumb;
        match style.decide(self.mode, self.progress_bars, can_draw) {
            ProgressStyle::Plain => {
                let stderr = Arc::clone(&self.stderr);
                Arc::new(plain::Lines::new(Arc::new(move |line| {
                    stderr.lock().unwrap().write(&format!("{line}\n"));
                })))
            }
            ProgressStyle::None => Arc::new(Silent),
            ProgressStyle::Auto | ProgressStyle::Bar => {
                Arc::new(bars::Bars::new(Arc::clone(&self.bars)))
            }
        }
    }

    /// Shows that something is waited for, with the time it takes: a moving line on a terminal in
    /// `human`, else the text once. It goes when the answer is dropped.
    pub fn waiting(&self, text: &str) -> Waiting {
        if self.mode != Mode::Human || !self.stderr.lock().unwrap().is_terminal {
            self.say(text);
            return Waiting(None);
        }
        Waiting(Some(bars::spinner(&self.bars, text)))
    }

    /// Ends the output.
    ///
    /// # Errors
    /// The first failed write to stdout, unless its reader just went away.
    pub fn finish(&self) -> io::Result<()> {
        match self.stdout.lock().unwrap().failure.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes a prompt or other unfinished line to stderr.
    fn prompt(&self, text: &str) {
        self.stderr.lock().unwrap().write(text);
    }

    fn to_stderr(&self, text: &str, style: Option<&str>) {
        // Bars are lifted while a line is written, so that neither tears the other.
        self.bars.suspend(|| {
            let mut stderr = self.stderr.lock().unwrap();
            let line = match style {
                Some(style) if stderr.color => format!("{style}{text}{RESET}\n"),
                _ => format!("{text}\n"),
            };
            stderr.write(&line);
        });
    }

    fn paint_stdout(&self, text: &str, style: &str) -> String {
        if self.stdout.lock().unwrap().color {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const GRAY: &str = "\u{1b}[90m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    #[test]
    fn progress_styles() {
        use ProgressStyle::{Auto, Bar, None as Nothing, Plain};
        for (given, mode, switch, can_draw, expected) in [
            (Auto, Mode::Human, None, true, Bar),
            (Auto, Mode::Human, None, false, Plain),
            (Auto, Mode::Json, None, true, Nothing),
            (Auto, Mode::Quiet, None, false, Nothing),
            (Auto, Mode::Human, Some(false), true, Nothing),
            (Auto, Mode::Human, Some(false), false, Nothing),
            (Auto, Mode::Json, Some(true), true, Bar),
            (Auto, Mode::Json, Some(true), false, Plain),
            (Bar, Mode::Json, Some(false), true, Bar),
            (Bar, Mode::Human, None, false, Plain),
            (Plain, Mode::Quiet, Some(false), true, Plain),
            (Nothing, Mode::Human, Some(true), true, Nothing),
        ] {
            assert_eq!(
                given.decide(mode, switch, can_draw),
                expected,
                "{given:?} {mode:?} {switch:?} {can_draw}"
            );
        }
    }

    #[test]
    fn talk_never_reaches_stdout() {
        let (mut console, capture) = Console::captured();
        console.configure(Some(OutputFormat::Quiet), false, None);
        console.say("a");
        console.hint("b");
        console.warn("c");
        console.error("d");
        assert_eq!(capture.stdout(), "");
        assert_eq!(capture.stderr(), "Warning: c\nError: d\n");
    }
}
