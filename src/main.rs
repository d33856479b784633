//! The `hf` binary. Everything it does lives in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    hf_cli::console::interrupt::install();
    hf_cli::sys::limits::raise_open_files();
    hf_cli::cli::run(
        std::env::args_os(),
        hf_cli::config::env::Env::from_process(),
    )
}
