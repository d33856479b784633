//! The one door for tests and benches into the private rooms. Not part of the interface: it may
//! change in any version.

pub use crate::auth::ini::Ini;
pub use crate::auth::resolve::plan as plan_token;
pub use crate::auth::session::{Notice, Session};
pub use crate::cache::check::verify::{Check, hash_all};
pub use crate::cache::commit::read_ref;
pub use crate::cache::layout::{CacheLayout, PartialName, parse_repo_folder_name};
pub use crate::cache::scan::{Detail, scan};
pub use crate::cache::{shared, trees};
#[cfg(feature = "cli")]
pub use crate::cli::grammar::Cli;
#[cfg(feature = "cli")]
pub use crate::cli::help::grammar;
#[cfg(feature = "cli")]
pub use crate::cli::run;
#[cfg(feature = "cli")]
pub use crate::commands::pages::{PAGES, page};
pub use crate::config::env::{Env, VARIABLES};
pub use crate::config::settings::Settings;
pub use crate::download::local_dir::LocalDir;
pub use crate::download::partial::{adopt_prefix, noted};
pub use crate::hub::{Hub as HubClient, HubOptions};
pub use crate::sys::dir::Dir;
pub use crate::types::listing::Checksum;
pub use crate::types::progress::Silent;
