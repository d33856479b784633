//! The only stdout, stderr and stdin.
//!
//! Data goes to stdout, messages to stderr (docs/reference.md#streams). A command passes what it
//! found; this room decides how it looks in each output format, and escapes it (see `safe`). Writing never fails for the caller: a reader that closed stdout early
//! (`| head -1`) ends the output quietly, and any other failure is kept until [`Console::finish`].

mod format;
pub mod interrupt;
pub mod json;
mod layout;
mod output;
pub mod paths;
pub mod picker;
mod progress;
pub mod prompt;
mod results;
mod safe;
mod stream;
pub mod table;
mod terminal;
pub mod text;

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex};

pub use self::format::{Mode, OutputFormat, ProgressStyle};
use self::progress::screen::Screen;
pub use self::results::Fields;
use self::safe::{Paint, Safe};
use self::stream::{Sink, Stream};
pub use self::table::{Row, Table};
use crate::config::env::{self, Env};
use crate::config::program::Program;
use crate::types::progress::{Progress, Silent};

/// Output and prompts of all commands. See the module text.
pub struct Console {
    program: Program,
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
    screen: Arc<Screen>,
}

/// See [`Console::waiting`].
pub struct Waiting {
    _shown: Option<progress::screen::Shown>,
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
        let stderr = Arc::new(Mutex::new(Stream {
            sink: Sink::Stderr(io::stderr()),
            is_terminal: stderr_is_terminal,
            color: stderr_is_terminal && color_wanted,
            failure: None,
        }));
        Console {
            program: Program::Hf,
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
            screen: Screen::new(Arc::clone(&stderr)),
            stderr,
        }
    }

    /// A console for tests, without terminal or colour; its output can be read back.
    pub fn captured() -> (Self, Capture) {
        let capture = Capture::default();
        let stream = |buffer: &Arc<Mutex<Vec<u8>>>| Stream {
            sink: Sink::Captured(Arc::clone(buffer)),
            is_terminal: false,
            color: false,
            failure: None,
        };
        let stderr = Arc::new(Mutex::new(stream(&capture.stderr)));
        let console = Console {
            program: Program::Hf,
            is_agent: false,
            mode: Mode::Human,
            format_given: false,
            no_truncate: false,
            columns: Some(80),
            progress_bars: None,
            stdin_is_terminal: false,
            is_dumb: false,
            stdout: Mutex::new(stream(&capture.stdout)),
            screen: Screen::new(Arc::clone(&stderr)),
            stderr,
        };
        (console, capture)
    }

    /// Sets what the command line and the environment ask of the output. `progress_bars` is
    /// [`crate::config::settings::Settings::progress_bars`].
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

    /// Sets whether an AI agent runs the program; to be called before [`Console::configure`].
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
    pub fn set_program(&mut self, program: Program) {
        self.program = program;
    }

    /// The name that the program was called by.
    pub fn program(&self) -> Program {
        self.program
    }

    /// Whether the program was called by its legacy name.
    pub fn is_legacy(&self) -> bool {
        self.program == Program::HuggingfaceCli
    }

    /// The current format.
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

    /// Whether a person can answer: stdin and stderr are both a terminal.
    pub fn is_interactive(&self) -> bool {
        self.stdin_is_terminal && self.stderr.lock().unwrap().is_terminal
    }

    /// The width to fit into, in columns: on a terminal, where a person reads and did not ask for all.
    pub fn fit(&self) -> Option<usize> {
        let is_wanted = self.mode == Mode::Human && !self.no_truncate;
        (is_wanted && self.stdout_is_terminal()).then(|| self.columns())
    }

    /// Width for tables in columns: `$COLUMNS`, else the terminal, else 80
    /// (docs/reference.md#tables).
    pub fn columns(&self) -> usize {
        self.columns
            .or_else(|| {
                terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
            })
            .unwrap_or(80)
    }

    /// Prints a line of data, in every format.
    pub fn line(&self, text: &str) {
        self.print(Safe::lines(text));
    }

    /// Prints lines for a program, each of which ends already: byte for byte, but for a terminal.
    pub fn lines(&self, text: &str) {
        self.stdout.lock().unwrap().write_data(text);
    }

    /// Prints paths, one a line, as [`Console::lines`] does.
    pub fn paths<'a>(&self, paths: impl Iterator<Item = &'a str>) {
        /// Bytes that are printed at a time.
        const PIECE: usize = 64 << 10;
        let mut text = String::new();
        for path in paths {
            text.extend([path, "\n"]);
            if text.len() >= PIECE {
                self.lines(&text);
                text.clear();
            }
        }
        self.lines(&text);
    }

    /// Prints a page of help.
    pub fn page(&self, text: &clap::builder::StyledStr) {
        let mut stdout = self.stdout.lock().unwrap();
        let text = Safe::styled(text, stdout.color);
        stdout.write(&text);
    }

    /// Says on stderr, in clap's words, what is wrong with a command line.
    pub fn complaint(&self, text: &clap::builder::StyledStr) {
        let mut stderr = self.stderr.lock().unwrap();
        let text = Safe::styled(text, stderr.color);
        stderr.write(&text);
    }

    /// Prints a line.
    fn print(&self, text: Safe) {
        self.print_piece(&text.then(Safe::lines("\n")));
    }

    /// Prints a part of the output, which may end within a line.
    fn print_piece(&self, text: &Safe) {
        let print = || self.stdout.lock().unwrap().write(text);
        match self.stdout_is_terminal() {
            // It may be the one with the bars.
            true => self.screen.suspend(print),
            false => print(),
        }
    }

    /// A message for a person: stderr, not in `quiet`.
    pub fn say(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.to_stderr(Safe::lines(text), None);
        }
    }

    /// A line that was asked for with `HF_DEBUG`: stderr, in every format.
    pub fn debug(&self, text: &str) {
        self.to_stderr(Safe::lines(&format!("[debug] {text}")), None);
    }

    /// Something is odd but the command goes on: stderr, in every format.
    pub fn warn(&self, text: &str) {
        self.to_stderr(Safe::line(&format!("Warning: {text}")), Some(Paint::Yellow));
    }

    /// A request failed and is sent again: as [`Console::warn`], but not in `quiet`, since it may
    /// still succeed.
    pub fn warn_of_retry(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.warn(text);
        }
    }

    /// Advice: stderr, not in `quiet`.
    pub fn hint(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.to_stderr(Safe::line(&format!("Hint: {text}")), Some(Paint::Gray));
        }
    }

    /// Why the command failed: stderr, in every format.
    pub fn error(&self, text: &str) {
        self.to_stderr(Safe::line(&format!("Error: {text}")), Some(Paint::Red));
    }

    /// Progress on stderr, as bars or lines: in `human`, unless `--progress` or
    /// `HF_HUB_DISABLE_PROGRESS_BARS` says otherwise.
    pub fn progress(&self, style: ProgressStyle) -> Arc<dyn Progress> {
        self.progress_of(style, |lines| lines)
    }

    /// As [`Console::progress`], for a download: its lines are those that programs know from the Python
    /// client.
    pub fn progress_of_download(&self, style: ProgressStyle) -> Arc<dyn Progress> {
        self.progress_of(style, progress::lines::Lines::of_download)
    }

    fn progress_of(
        &self,
        style: ProgressStyle,
        with: fn(progress::lines::Lines) -> progress::lines::Lines,
    ) -> Arc<dyn Progress> {
        let can_draw = self.stderr.lock().unwrap().is_terminal && !self.is_dumb;
        match style.decide(self.mode, self.progress_bars, can_draw) {
            ProgressStyle::Plain => {
                let stderr = Arc::clone(&self.stderr);
                Arc::new(with(progress::lines::Lines::new(Arc::new(move |line| {
                    let line = Safe::line(line).then(Safe::lines("\n"));
                    stderr.lock().unwrap().write(&line);
                }))))
            }
            ProgressStyle::None => Arc::new(Silent),
            ProgressStyle::Auto | ProgressStyle::Bar => {
                Arc::new(progress::bars::Bars::new(Arc::clone(&self.screen)))
            }
        }
    }

    /// Shows that something is waited for, with the time it takes: a moving line on a terminal in
    /// `human`, else the text once. It goes when the answer is dropped.
    pub fn waiting(&self, text: &str) -> Waiting {
        let is_terminal = self.stderr.lock().unwrap().is_terminal;
        if self.mode != Mode::Human || !is_terminal || self.is_dumb {
            self.say(text);
            return Waiting { _shown: None };
        }
        let (_, shown) = progress::bars::spinner(&self.screen, text.to_owned());
        Waiting {
            _shown: Some(shown),
        }
    }

    /// Removes bars and other moving lines: the command is over, whatever still holds them.
    pub fn end_progress(&self) {
        self.screen.close();
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
        self.stderr.lock().unwrap().write(&Safe::lines(text));
    }

    fn to_stderr(&self, text: Safe, paint: Option<Paint>) {
        // Bars are hidden while a line is written, so that they do not mix.
        self.screen.suspend(|| {
            let mut stderr = self.stderr.lock().unwrap();
            let paint = paint.and_then(|paint| stderr.paint(paint));
            stderr.write(&text.painted(paint).then(Safe::lines("\n")));
        });
    }
}

/// Columns and rows of the terminal on stderr.
fn stderr_size() -> Option<(usize, usize)> {
    let (columns, rows) = terminal_size::terminal_size_of(io::stderr())?;
    Some((columns.0.into(), rows.0.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
