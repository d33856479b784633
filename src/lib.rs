//! Download from the Hugging Face Hub and manage its local cache: the engine of `hf`.
//!
//! The cache, the token files, the locks and the environment variables are those of the Python client
//! `huggingface_hub`, so programs of either kind can work side by side. Every byte is verified before a
//! file is put in its place; what an interrupted download has fetched is kept.
//!
//! ```no_run
//! use hf_cli::{Cache, Config, Download, Event, Hub};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::from_env()?;
//! let hub = Hub::new(&config)?;
//!
//! let file = Download::new("openai-community/gpt2".parse()?).file("config.json")?.run(&hub).await?;
//! println!("{}", file.path().display());
//!
//! let plan = Download::new("datasets/nyu-mll/glue@refs/pr/1".parse()?)
//!     .include("*.parquet")
//!     .progress(|event: Event| eprintln!("{event}"))
//!     .plan(&hub)
//!     .await?;
//! println!("{} files, {} bytes to fetch", plan.files().len(), plan.bytes());
//! let snapshot = plan.run().await?;
//! println!("{} at {:?}", snapshot.path().display(), snapshot.commit());
//!
//! for repo in Cache::open(config.cache_dir())?.scan()?.repos() {
//!     println!("{} {}", repo.id(), repo.size());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The futures need a tokio runtime with its timer and I/O enabled. Dropping one ends the download;
//! complete files and unfinished ones stay, and the next run continues from there.
//!
//! The feature `cli` (default) adds the command line; programs that embed the engine leave it out with
//! `default-features = false`. `docs/architecture.md` describes the source.

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

mod api;
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

pub use api::{
    Account, Cache, CacheScan, CachedRepo, Config, ConfigBuilder, Download, Error, ErrorKind, Hub,
    Plan, PlanFile, Snapshot,
};
pub use types::progress::{Event, FileId, Notice, Progress};

#[cfg(feature = "cli")]
#[doc(hidden)]
pub use cli::main;
// Not part of the documentation, whose links lead to public items alone.
#[cfg(not(doc))]
#[doc(hidden)]
pub mod testing;
