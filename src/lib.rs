//! `hf`: log in to the Hugging Face Hub, download from it, and manage the local cache.
//!
//! Arrows point one way: `cli → commands → { download, auth } → { hub, cache } → config → { sys, types }`,
//! and `tests/it/layers.rs` holds the whole table.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make files as they like")
)]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "console/ is the only stdout and stderr"
)]

pub mod auth;
pub mod cache;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod commands;
pub mod config;
#[cfg(feature = "cli")]
pub mod console;
pub mod download;
pub mod hub;
pub mod sys;
pub mod types;
