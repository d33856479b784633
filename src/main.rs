//! The `hf` binary. Everything it does lives in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    hf_cli::main()
}
