//! The engine for programs that embed it. Knows no terminal and no command line; builds without the
//! feature `cli`.

mod cache;
mod config;
mod download;
mod error;
mod hub;

pub use crate::types::ErrorKind;
pub use cache::{Cache, CacheScan, CachedRepo};
pub use config::{Config, ConfigBuilder};
pub use download::{Download, Plan, PlanFile, Snapshot};
pub use error::Error;
pub use hub::{Account, Hub};
