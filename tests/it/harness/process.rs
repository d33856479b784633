//! Running programs: to the end, in the background, or on a terminal.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::env::TestEnv;
use super::python;
use super::terminal::Terminal;

/// A program that runs longer than this hangs: it is killed and the test fails.
const LIMIT: Duration = Duration::from_secs(120);

/// A program about to be run.
#[must_use = "call run(), spawn() or terminal()"]
pub struct Invocation<'a> {
    env: &'a TestEnv,
    program: OsString,
    args: Vec<OsString>,
    vars: BTreeMap<OsString, Option<OsString>>,
    stdin: Vec<u8>,
    folder: PathBuf,
    user: Option<u32>,
    limit: Duration,
    python: Option<PathBuf>,
}

impl<'a> Invocation<'a> {
    pub(super) fn new<A: AsRef<OsStr>>(
        env: &'a TestEnv,
        program: &OsStr,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            env,
            program: program.to_owned(),
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            vars: BTreeMap::new(),
            stdin: Vec::new(),
            folder: env.work(),
            user: None,
            limit: LIMIT,
            python: None,
        }
    }

    /// What the program reads; without it, end of file at once.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// A variable for this run only.
    pub fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = Some(value.as_ref().to_owned());
        self.vars.insert(name.into(), value);
        self
    }

    /// Hides a variable from this run.
    pub fn without(mut self, name: &str) -> Self {
        self.vars.insert(name.into(), None);
        self
    }

    /// The folder to start in.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_owned();
        self
    }

    /// Who runs it, by number, in a group of the same number and in no other. Only root can say so.
    pub fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// How long it may run before the test fails.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs to the end may come from a Python process of this virtual environment that serves many.
    pub(super) fn served_by(mut self, venv: &Path) -> Self {
        self.python = Some(venv.to_owned());
        self
    }

    /// The command with its whole environment.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(self.env.vars());
        for (name, value) in &self.vars {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(&self.folder);
        if let Some(user) = self.user {
            // Without supplementary groups: root's are left when the user is set.
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs it to its end.
    #[must_use = "check it: ok() or fails(code)"]
    pub fn run(self) -> Output {
        let served = self
            .python
            .as_ref()
            .and_then(|venv| python::run(venv, &self.command(), &self.stdin, self.limit));
        served.unwrap_or_else(|| self.spawn().wait())
    }

    /// Starts it in the background.
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = command.spawn();
        let mut child = started.unwrap_or_else(|e| panic!("start {}: {e}", self.program.display()));
        let mut stdin = child.stdin.take().expect("stdin");
        let text = self.stdin;
        // A thread of its own: a program that never reads must not block the test.
        std::thread::spawn(move || {
            // A closed pipe means that the program did not want to read; that is no failure.
            let _ = stdin.write_all(&text);
        });
        Running {
            stdout: Collector::new(child.stdout.take().expect("stdout")),
            stderr: Collector::new(child.stderr.take().expect("stderr")),
            child,
            limit: self.limit,
        }
    }

    /// Starts it on a pseudo-terminal of this size.
    pub fn terminal(self, rows: u16, columns: u16) -> Terminal {
        Terminal::start(self.command(), rows, columns)
    }
}

/// Reads a stream to its end in the background.
struct Collector {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Collector {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = text.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1 << 14];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                shared
                    .lock()
                    .expect("output")
                    .extend_from_slice(&buffer[..n]);
            }
        });
        Self { text, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().expect("output")).into_owned()
    }

    /// All of it. Called when the program has ended; a descendant that still holds the stream and says nothing is not
    /// waited for long.
    fn finish(self) -> String {
        let mut seen = (self.so_far().len(), Instant::now());
        while !self.thread.is_finished() && seen.1.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(1));
            let length = self.text.lock().expect("output").len();
            if length != seen.0 {
                seen = (length, Instant::now());
            }
        }
        self.so_far()
    }
}

/// A program in the background. Killed when dropped.
pub struct Running {
    child: Child,
    stdout: Collector,
    stderr: Collector,
    limit: Duration,
}

impl Running {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// The program has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("process state").is_some()
    }

    /// Waits until `seen` holds (asked every few milliseconds). Panics after the limit, or when the program ends before.
    pub fn wait_until(&mut self, what: &str, mut seen: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !seen(self) {
            let late = start.elapsed() > self.limit;
            if late || self.ended() && !seen(self) {
                let state = if late { "still runs" } else { "has ended" };
                let (out, err) = (self.stdout(), self.stderr());
                panic!("{what}: not seen, the program {state}\n{out}\n{err}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process id");
        kill_process(Pid::from_raw(id).expect("process id"), signal).expect("signal");
    }

    /// Ends the program without warning, as `kill -9` does, and reaps it.
    #[must_use = "check it: ok() or fails(code)"]
    pub fn kill(mut self) -> Output {
        self.child.kill().expect("kill");
        self.wait()
    }

    /// Waits for the end.
    #[must_use = "check it: ok() or fails(code)"]
    pub fn wait(mut self) -> Output {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("process state") {
                break status;
            }
            if start.elapsed() > self.limit {
                self.child.kill().expect("kill");
                panic!(
                    "hung after {:?}:\n{}\n{}",
                    self.limit,
                    self.stdout(),
                    self.stderr()
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        // Taken out so that dropping `self` afterwards finds an ended process.
        let empty = || Collector::new(std::io::empty());
        let stdout = std::mem::replace(&mut self.stdout, empty()).finish();
        let stderr = std::mem::replace(&mut self.stderr, empty()).finish();
        Output::new(stdout, stderr, status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when the process has ended and was waited for: nothing is left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    stdout: String,
    stderr: String,
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Output {
    pub(super) fn new(stdout: String, stderr: String, status: ExitStatus) -> Self {
        Self {
            stdout,
            stderr,
            code: status.code(),
            signal: status.signal(),
        }
    }

    /// What a program on a terminal left: its exit code (see [`Terminal::exit_code`]) and its screen.
    pub fn of_terminal(code: i32, screen: String) -> Self {
        Self {
            stdout: screen,
            stderr: String::new(),
            code: Some(code),
            signal: None,
        }
    }

    /// Fails the test unless the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.fails(0)
    }

    /// Fails the test unless the program ended with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert!(self.code == Some(code), "wanted exit code {code}\n{self}");
        self
    }

    /// Standard output.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// Standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Standard error without lines of progress, which a log gets every ten seconds: on a busy machine
    /// any download may be as long, and by a fast clock soon.
    pub fn said(&self) -> String {
        let is_progress = |line: &&str| {
            line.starts_with(|first: char| first.is_ascii_digit())
                && [" file, ", " files, "].iter().any(|s| line.contains(s))
                || line.starts_with("listing files")
                || line.starts_with("Fetching ") && line.contains(" files: ")
        };
        let lines = self.stderr.split_inclusive('\n');
        lines.filter(|line| !is_progress(line)).collect()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|e| panic!("not JSON: {e}\n{self}"))
    }

    /// The whole as text for snapshots: paths of the environment become `[ROOT]`, ports of the loopback `[PORT]`.
    pub fn snapshot(&self, env: &TestEnv) -> String {
        let text = self.to_string();
        let text = text.replace(&env.root().display().to_string(), "[ROOT]");
        let mut parts = text.split("127.0.0.1:");
        let mut result = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            result.push_str("127.0.0.1:[PORT]");
            result.push_str(rest);
        }
        result
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit: {code}")?,
            (None, signal) => writeln!(f, "signal: {}", signal.unwrap_or_default())?,
        }
        write!(
            f,
            "----- stdout\n{}----- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}
