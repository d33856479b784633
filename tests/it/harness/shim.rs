//! A small library between the program and the C library, for what no kernel offers on demand: file
//! systems without locks or without case, a death at an exact moment. See `shim.c`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::oracle::skip;

/// The library, compiled once, for `LD_PRELOAD`. Skipped, or failed, as the oracles are where there is
/// no C compiler.
pub fn shim() -> Option<PathBuf> {
    static SHIM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let known = SHIM.get_or_init(|| match compile() {
        Ok(path) => Some(path),
        Err(why) => skip(&format!("shim: {why}")),
    });
    known.clone()
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
