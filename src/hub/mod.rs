//! The Hub on the wire: the only user of the HTTP crate. Knows nothing of the disk or the terminal.

pub mod account;
#[cfg(test)]
mod any_json;
pub mod api;
mod body;
pub mod classify;
mod client;
pub mod encoding;
pub mod error;
mod failure;
pub mod http;
mod json;
pub mod limit;
mod listing;
mod look;
mod names;
pub mod oauth;
mod options;
pub mod redirect;
mod request;
pub mod retry;
mod rows;
mod send;
pub mod stall;
mod tls;
pub mod xet;

pub use self::body::Body;
pub use self::error::{CertificateFlaw, HubError, Reason};
pub use self::http::{Hub, HubOptions};
pub use self::listing::Page;
pub use reqwest::{Method, StatusCode, header};
