//! The repository cache on disk. Knows paths and files; no network, no terminal.

pub mod blob_names;
pub mod commit;
pub mod delete;
pub mod doctor;
pub mod evict;
pub mod expected;
pub mod layout;
pub mod pins;
pub mod pointers;
pub mod report;
pub mod scan;
pub mod select;
pub mod shared;
pub mod targets;
pub mod trees;
pub mod used;
pub mod verify;
