//! One file per command: its arguments, whose doc comments are the help, and `run`.

pub mod cache;
pub mod env;
pub mod version;
