//! Whether what the cache holds is right: content by its hash, and the structure of the folders.

mod checks;
pub mod doctor;
mod hashing;
pub mod verify;
