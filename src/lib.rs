//! `hf`: log in to the Hugging Face Hub, download from it, and manage the local cache.
//!
//! Arrows point one way: `cli → commands → { download, auth } → { hub, cache } → config → { sys, types }`,
//! and `tests/it/whole/layers.rs` holds the whole table.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make files as they like")
)]
#![cfg_attr(
    not(feature = "cli"),
    allow(
        dead_code,
        unused_imports,
        reason = "the command line uses what the engine alone does not"
    )
)]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "console/ is the only stdout and stderr"
)]

mod auth;
mod cache;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod commands;
mod config;
#[cfg(feature = "cli")]
mod console;
mod download;
mod hub;
mod sys;
pub mod types;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub use cli::main;
#[doc(hidden)]
pub mod testing;
