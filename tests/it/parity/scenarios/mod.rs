//! The table, by area.

pub mod auth;
pub mod cache_ls;
pub mod cache_remove;
pub mod cache_verify;
pub mod download;
pub mod faults;
pub mod general;
pub mod legacy;
pub mod login;
pub mod terminal;

/// The endings of a command line that choose each form of output.
pub const FORMATS: [&str; 4] = ["", "--json", "--format agent", "--quiet"];
