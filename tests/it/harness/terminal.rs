//! A program on a pseudo-terminal: type to it, read what its screen shows.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// How long to wait for something to show before the test fails.
const LIMIT: Duration = Duration::from_secs(60);

/// A running program and its screen. Killed when dropped.
pub struct Terminal {
    child: Child,
    master: File,
    shown: Arc<Mutex<Shown>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

struct Shown {
    transcript: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    /// Starts `command` as the leader of a session whose terminal has this size from the first moment.
    pub(super) fn start(mut command: Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("pseudo-terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        tcsetwinsize(&master, size(rows, columns)).expect("window size");
        let name = ptsname(&master, Vec::new()).expect("name of the terminal");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, Mode::empty()).expect("terminal");
        let copy = |slave: &OwnedFd| Stdio::from(slave.try_clone().expect("descriptor"));
        command
            .stdin(copy(&slave))
            .stdout(copy(&slave))
            .stderr(copy(&slave))
            .env("TERM", "xterm-256color");
        // SAFETY: runs between fork and exec and makes two system calls, both safe there; it allocates nothing.
        #[allow(
            unsafe_code,
            reason = "std has no safe way to give a child its own terminal"
        )]
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().expect("start on a terminal");
        drop((slave, command));
        let shown = Arc::new(Mutex::new(Shown {
            transcript: Vec::new(),
            screen: vt100::Parser::new(rows, columns, 1000),
        }));
        let master = File::from(master);
        let reader = read_in_background(&master, shown.clone());
        Self {
            child,
            master,
            shown,
            reader: Some(reader),
        }
    }

    /// Types text.
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("type");
    }

    /// Types a line.
    pub fn send_line(&mut self, line: &str) {
        self.send(&format!("{line}\r"));
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        self.wait_until(text, |terminal| terminal.screen().contains(text));
    }

    /// Waits until something holds; `what` names it in the failure.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let screen = self.screen();
            assert!(start.elapsed() < LIMIT, "not seen: {what:?}\n{screen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        let state = tcgetattr(&self.master).expect("terminal state");
        state.local_modes.contains(LocalModes::ECHO)
    }

    /// Whether the terminal waits for whole lines; menus want every key at once.
    pub fn takes_lines(&self) -> bool {
        let state = tcgetattr(&self.master).expect("terminal state");
        state.local_modes.contains(LocalModes::ICANON)
    }

    /// Waits until the screen shows `text` and what is typed is hidden. A program may do the second after the first, and
    /// keys that come in between are shown, or thrown away.
    #[track_caller]
    pub fn expect_hidden(&self, text: &str) {
        self.expect(text);
        self.wait_until("hidden input", |terminal| !terminal.echoes());
    }

    /// Waits until the screen shows `text` and keys are taken one by one; see [`Terminal::expect_hidden`].
    #[track_caller]
    pub fn expect_menu(&self, text: &str) {
        self.expect(text);
        self.wait_until("a menu that takes keys", |terminal| !terminal.takes_lines());
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        let id = i32::try_from(self.child.id()).expect("process id");
        let id = rustix::process::Pid::from_raw(id).expect("process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signal");
    }

    /// What a person sees now: lines without colours, trailing blanks and trailing empty lines.
    pub fn screen(&self) -> String {
        let shown = self.shown.lock().expect("screen");
        let text = shown.screen.screen().contents();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Every byte the program wrote, control sequences included.
    pub fn transcript(&self) -> String {
        let shown = self.shown.lock().expect("screen");
        String::from_utf8_lossy(&shown.transcript).into_owned()
    }

    /// Changes the window size; the program gets SIGWINCH.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        tcsetwinsize(self.master.as_fd(), size(rows, columns)).expect("window size");
        let mut shown = self.shown.lock().expect("screen");
        shown.screen.screen_mut().set_size(rows, columns);
    }

    /// Waits for the end; answers the exit code (128 + n after signal n).
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        self.ends_with(|_| {})
    }

    /// As [`Terminal::exit_code`], pressing Ctrl-C again when the program has slept for a second since,
    /// without any work. Python misses one that comes between its prompt and the reading of the answer:
    /// it only notes the signal, and the reading has no end. A program that is slow to end is left alone,
    /// because a second Ctrl-C would interrupt its clean-up.
    pub fn exit_code_with_ctrl_c(&mut self) -> i32 {
        let mut quiet = (None, Instant::now());
        self.ends_with(|terminal| {
            let now = work_of(terminal.child.id());
            if now.is_none() || now != quiet.0 {
                quiet = (now, Instant::now());
            } else if quiet.1.elapsed() > Duration::from_secs(1) {
                quiet = (None, Instant::now());
                // It fails when the program has ended meanwhile.
                let _ = terminal.master.write_all(b"\x03");
            }
        })
    }

    /// Waits for the end, and calls `meanwhile` again and again.
    fn ends_with(&mut self, mut meanwhile: impl FnMut(&mut Self)) -> i32 {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("process state") {
                break status;
            }
            let screen = self.screen();
            assert!(start.elapsed() < LIMIT, "still running\n{screen}");
            meanwhile(self);
            std::thread::sleep(Duration::from_millis(5));
        };
        // The reader ends when the last descriptor of the terminal is closed; then the screen is complete.
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reader");
        }
        let by_signal = || 128 + status.signal().unwrap_or_default();
        status.code().unwrap_or_else(by_signal)
    }
}

/// The processor time that a sleeping process has taken so far, in ticks; `None` while it runs or waits
/// for a processor or a disk (proc(5), `/proc/pid/stat`).
fn work_of(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name, in brackets, may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_asleep = fields.next()? == "S";
    let mut ticks = fields.skip(10).map_while(|text| text.parse::<u64>().ok());
    let time = ticks.next()? + ticks.next()?;
    is_asleep.then_some(time)
}

fn read_in_background(master: &File, shown: Arc<Mutex<Shown>>) -> std::thread::JoinHandle<()> {
    let mut stream = master.try_clone().expect("descriptor");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // Linux reports the end of the other side as EIO.
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            let mut shown = shown.lock().expect("screen");
            shown.transcript.extend_from_slice(&buffer[..n]);
            shown.screen.process(&buffer[..n]);
        }
    })
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail when the process has ended and was waited for: nothing is left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
