//! Bytes of one file over HTTP: one connection, or ranges on several.

mod pace;
pub mod parallel;
pub mod request;
pub mod segments;
pub mod source;
