//! One file per command: its arguments, whose doc comments are the help, and `run`.

pub mod alias;
pub mod auth;
pub mod cache;
pub mod completions;
pub mod download;
pub mod env;
pub mod explain;
pub mod flags;
pub mod man;
pub mod version;
