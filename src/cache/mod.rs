//! The repository cache on disk. Knows paths and files; no network, no terminal.

pub mod blob_names;
pub mod check;
pub mod commit;
pub mod expected;
pub mod last_used;
pub mod layout;
pub mod pins;
pub mod pointers;
pub mod prepare;
pub mod remove;
pub mod scan;
pub mod shared;
pub mod trees;
