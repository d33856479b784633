//! Bytes of one file over HTTP: one connection, or ranges on several.

pub mod parallel;
pub mod request;
pub mod source;
mod span;
mod steer;
