//! The repository cache on disk. Knows paths and files; no network, no terminal.

pub mod commit;
pub mod layout;
pub mod trees;
