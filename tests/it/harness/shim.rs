//! A small library between the program and the C library, for what a kernel does not offer on demand: file
//! systems without locks or without case, a kill at an exact call, a fast clock. See `shim.c`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::env::TestEnv;
use super::oracle::skip;

/// The library, compiled once, for `LD_PRELOAD`. Skipped, or failed, as the oracles are where there is
/// no C compiler.
pub fn shim() -> Option<PathBuf> {
    match library() {
        Ok(path) => Some(path.clone()),
        Err(why) => skip(&format!("shim: {why}")),
    }
}

fn library() -> Result<&'static PathBuf, &'static String> {
    static SHIM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    SHIM.get_or_init(compile).as_ref()
}

/// How much faster than real time the fast clock runs.
pub const CLOCK_SPEED: u32 = 20;

impl TestEnv {
    /// A `--stall-timeout`, in seconds, that is one second in real time, with the fast clock or without it.
    pub fn one_real_second(&self) -> String {
        let is_fast = self
            .vars()
            .contains_key(std::ffi::OsStr::new("HF_SHIM_CLOCK"));
        if is_fast { CLOCK_SPEED } else { 1 }.to_string()
    }

    /// From now on, programs in this environment see a monotonic clock that runs [`CLOCK_SPEED`] times
    /// as fast: retries, rate limits and `--limit-rate` take a twentieth of the time, and nothing in the
    /// program knows. Timeouts run out sooner as well, which would make a busy machine look like a
    /// stalled server, so the two of the environment are as long in real time as before; a `--stall-timeout`
    /// is up to the test. Dates are real. Without a C compiler the test takes its real time.
    #[must_use]
    pub fn fast_clock(mut self) -> Self {
        let timeout = (10 * CLOCK_SPEED).to_string();
        if let Ok(shim) = library() {
            self.set("LD_PRELOAD", shim)
                .set("HF_SHIM_CLOCK", CLOCK_SPEED.to_string())
                .set("HF_HUB_ETAG_TIMEOUT", &timeout)
                .set("HF_HUB_DOWNLOAD_TIMEOUT", &timeout);
        }
        self
    }
}

fn compile() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/shim.c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Other test processes may be compiling, or using it, as well.
    let library = folder.join(format!("shim-{}.so", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]);
    let output = cc.arg(&library).arg(source).arg("-ldl").output();
    let output = output.map_err(|error| format!("cc: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let ready = folder.join("shim.so");
    std::fs::rename(library, &ready).map_err(|error| error.to_string())?;
    Ok(ready)
}
