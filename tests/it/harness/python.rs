//! Runs of the Python clients as forks of one process. Starting an interpreter for each takes five times
//! as long. See `python.py`.
//!
//! One process for each client, started by the first test that needs it, serves all tests. It ends with
//! the test process, whose end closes its standard input.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::process::Output;

/// Variables that must be the same for the server and what it forks: they count when a process starts.
const AT_START: [&str; 4] = [
    "LANG",
    "LD_PRELOAD",
    "HF_SHIM_CLOCK",
    "PYTHONDONTWRITEBYTECODE",
];
/// Beginnings of others that do.
const OF_INTERPRETERS: [&str; 6] = ["PYTHON", "LC_", "LD_", "HF_SHIM_", "TQDM_", "FSSPEC_"];

/// What the server reports about a request.
enum Told {
    Pid(i32),
    End(i32),
}

type Waiting = Arc<Mutex<HashMap<u64, Sender<Told>>>>;

struct Server {
    requests: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

/// Runs a command whose program is in `venv/bin`. `None` when only a process of its own will do.
pub(super) fn run(venv: &Path, command: &Command, stdin: &[u8], limit: Duration) -> Option<Output> {
    let vars: HashMap<&str, &str> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
        .map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .collect::<Option<_>>()?;
    let args: Vec<&str> = command
        .get_args()
        .map(OsStr::to_str)
        .collect::<Option<_>>()?;
    let counts_at_start = |name: &str| {
        OF_INTERPRETERS
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    if vars
        .keys()
        .any(|name| counts_at_start(name) && !AT_START.contains(name))
    {
        return None;
    }
    let start: Vec<(&str, &str)> = AT_START
        .iter()
        .filter_map(|&name| Some((name, *vars.get(name)?)))
        .collect();
    let streams = tempfile::tempdir().expect("temporary folder");
    let place = |name: &str| streams.path().join(name);
    fs::write(place("stdin"), stdin).expect("stdin");
    for name in ["stdout", "stderr"] {
        fs::write(place(name), "").expect(name);
    }
    let request = json!({
        "program": command.get_program().to_str()?,
        "args": args,
        "env": vars,
        "folder": command.get_current_dir()?.to_str()?,
        "stdin": place("stdin"),
        "stdout": place("stdout"),
        "stderr": place("stderr"),
    });
    let told = server(venv, &start).ask(request);
    let status = end(&told, limit);
    let text = |name: &str| {
        let bytes = fs::read(place(name)).expect(name);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (text("stdout"), text("stderr"));
    match status {
        Some(status) => Some(Output::new(stdout, stderr, status)),
        None => panic!("hung after {limit:?}:\n{stdout}\n{stderr}"),
    }
}

/// Waits for the end of a child; kills it, and answers `None`, when it takes too long.
fn end(told: &Receiver<Told>, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    let mut child = None;
    loop {
        match told.recv_timeout(limit.saturating_sub(start.elapsed())) {
            Ok(Told::Pid(pid)) => child = Pid::from_raw(pid),
            Ok(Told::End(status)) => return Some(ExitStatus::from_raw(status)),
            Err(_) => {
                // It may just have ended: then there is nothing to kill.
                let _ = kill_process(child.expect("the server lives"), Signal::KILL);
                return None;
            }
        }
    }
}

/// The server of a client, for processes that start with these variables.
fn server(venv: &Path, start: &[(&str, &str)]) -> Arc<Server> {
    type Started = Arc<OnceLock<Arc<Server>>>;
    static SERVERS: Mutex<Vec<(OsString, Started)>> = Mutex::new(Vec::new());
    let key = OsString::from(format!("{} {start:?}", venv.display()));
    let started = {
        let mut all = SERVERS.lock().expect("servers");
        match all.iter().find(|(known, _)| *known == key) {
            Some((_, started)) => started.clone(),
            None => {
                all.push((key, Started::default()));
                all[all.len() - 1].1.clone()
            }
        }
    };
    started.get_or_init(|| Server::start(venv, start)).clone()
}

impl Server {
    fn start(venv: &Path, start: &[(&str, &str)]) -> Arc<Self> {
        let mut command = Command::new(venv.join("bin/python"));
        command
            .args(["-c", include_str!("python.py")])
            .env_clear()
            .envs(start.iter().copied())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("start Python");
        let requests = child.stdin.take().expect("stdin");
        let mut told = BufReader::new(child.stdout.take().expect("stdout"));
        let mut first = String::new();
        told.read_line(&mut first).expect("what Python says");
        assert_eq!(first, "ready\n", "Python, for many runs");
        let waiting = Waiting::default();
        let listeners = waiting.clone();
        std::thread::spawn(move || {
            pass_on(told, &listeners);
            // Requests that wait for an answer get none.
            listeners.lock().expect("requests").clear();
            let _ = child.wait();
        });
        Arc::new(Self {
            requests: Mutex::new(requests),
            waiting,
            next: AtomicU64::new(0),
        })
    }

    fn ask(&self, mut request: serde_json::Value) -> Receiver<Told> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = id.into();
        let (sender, receiver) = channel();
        self.waiting.lock().expect("requests").insert(id, sender);
        let mut requests = self.requests.lock().expect("requests");
        writeln!(requests, "{request}").expect("ask Python");
        receiver
    }
}

/// Passes each report on to its request, until the server ends.
fn pass_on(told: BufReader<ChildStdout>, waiting: &Waiting) {
    for line in told.lines() {
        let line = line.expect("what Python says");
        let words: Vec<&str> = line.split(' ').collect();
        let [what, id, number] = words[..] else {
            panic!("Python says {line:?}");
        };
        let (id, number) = (id.parse().expect("id"), number.parse().expect("number"));
        let mut waiting = waiting.lock().expect("requests");
        let listener = waiting.get(&id).expect("a request");
        // One that waited too long is gone.
        if what == "pid" {
            let _ = listener.send(Told::Pid(number));
        } else {
            let _ = listener.send(Told::End(number));
            waiting.remove(&id);
        }
    }
}
