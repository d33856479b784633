//! One file per command: its arguments, whose doc comments are the help, and `run`.

pub mod alias;
pub mod auth;
pub mod cache;
pub mod completions;
pub mod context;
pub mod download;
pub mod env;
pub mod error;
pub mod flags;
pub mod installed;
pub mod ls;
pub mod man;
pub mod others;
pub mod pages;
pub mod update;
pub mod version;
