//! A temporary home folder and a cleared environment, so that no test sees the developer's token, cache or proxy.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use tempfile::TempDir;

use super::hub::{Hub, closed};
use super::process::{Invocation, Output};

/// Variables of the caller that reach the program: where tools are, where coverage data goes, and
/// which planted fault is on (tests/mutants).
const INHERITED: [&str; 3] = ["PATH", "LLVM_PROFILE_FILE", "HF_MUTANT"];

/// Gives the signals that end programs their default action in the programs that tests start. A shell
/// without job control lets what it runs in the background ignore SIGINT, nohup(1) lets it ignore SIGHUP,
/// and a program inherits that; but a signal that is caught here has its default there. Here, too, Ctrl-C
/// still ends the process, and signals that were ignored still have no effect.
fn hear_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(SIGINT, always).expect("SIGINT");
        for signal in [SIGHUP, SIGTERM] {
            if is_ignored(signal) {
                signal_hook::flag::register(signal, Arc::default()).expect("signal");
            }
        }
    });
}

/// Whether this process ignores a signal, by proc(5): one bit each, from 1.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The address of a server that does not exist: connections are refused, and no other program gets the port.
pub fn nobody() -> String {
    format!("http://{}", closed())
}

/// A temporary home with everything that programs find in it; removed when dropped.
pub struct TestEnv {
    root: TempDir,
    vars: BTreeMap<OsString, OsString>,
}

impl TestEnv {
    /// An empty home. No Hub: the endpoint is a closed port, so that nothing can reach the network by mistake.
    pub fn new() -> Self {
        hear_signals();
        let root = tempfile::Builder::new().prefix("hf-test-").tempdir();
        let root = root.expect("temporary folder");
        for folder in ["home", "hf", "tmp", "work", "bin"] {
            std::fs::create_dir(root.path().join(folder)).expect("folder");
        }
        let vars = INHERITED.iter().filter_map(|name| {
            let value = std::env::var_os(name)?;
            Some((OsString::from(name), value))
        });
        let mut this = Self {
            vars: vars.collect(),
            root,
        };
        this.set("HOME", this.home());
        this.set("HF_HOME", this.hf_home());
        this.set("TMPDIR", this.path("tmp"));
        this.set("LANG", "C.UTF-8");
        this.set("GIT_CONFIG_NOSYSTEM", "1");
        this.set("GIT_TERMINAL_PROMPT", "0");
        this.set("HF_ENDPOINT", nobody());
        this
    }

    /// An empty home whose endpoint is this Hub.
    pub fn for_hub(hub: &Hub) -> Self {
        let mut this = Self::new();
        this.set("HF_ENDPOINT", hub.endpoint());
        this
    }

    /// Sets a variable for all programs run from now on.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.vars.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.vars.remove(OsStr::new(name));
        self
    }

    /// All variables a program is given.
    pub fn vars(&self) -> &BTreeMap<OsString, OsString> {
        &self.vars
    }

    /// The folder that holds everything of this environment.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path below [`TestEnv::root`].
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(relative)
    }

    /// `$HOME`.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// `$HF_HOME`.
    pub fn hf_home(&self) -> PathBuf {
        self.path("hf")
    }

    /// The cache: `$HF_HOME/hub`.
    pub fn cache(&self) -> PathBuf {
        self.path("hf/hub")
    }

    /// The folder programs start in.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// The program under test with these arguments, to be completed and run.
    pub fn hf<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Invocation<'_> {
        self.program(env!("CARGO_BIN_EXE_hf"), args)
    }

    /// Runs the program under test.
    #[must_use = "check it: ok() or fails(code)"]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.hf(args).run()
    }

    /// A copy of the program under test at this path below [`TestEnv::root`].
    ///
    /// Made by a process of its own: a file that this process, with its many threads, had open for writing can be "busy"
    /// when it is to be run, because a child that another thread just starts has a copy of the descriptor.
    pub fn install(&self, relative: impl AsRef<Path>) -> PathBuf {
        let place = self.path(relative);
        let mut copy = Command::new("cp");
        copy.arg("--").arg(env!("CARGO_BIN_EXE_hf")).arg(&place);
        let copied = copy.status().expect("start cp");
        assert!(copied.success(), "{copied}: {}", place.display());
        place
    }

    /// An executable script at this path below [`TestEnv::root`], made as [`TestEnv::install`] makes its copy.
    pub fn script(&self, relative: impl AsRef<Path>, text: &str) -> PathBuf {
        let place = self.path(relative);
        let mut write = Command::new("sh");
        write.args([
            "-c",
            "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"",
            "sh",
            text,
        ]);
        let written = write.arg(&place).status().expect("start sh");
        assert!(written.success(), "{written}: {}", place.display());
        place
    }

    /// The program under test, called by its legacy name through a link.
    pub fn huggingface_cli<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation<'_> {
        let link = self.path("bin/huggingface-cli");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hf"), &link).expect("link");
        }
        self.program(link, args)
    }

    /// Any program, in this environment.
    pub fn program<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation<'_> {
        Invocation::new(self, program.as_ref(), args)
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}
