//! All integration tests, one binary.
#![allow(
    clippy::disallowed_methods,
    reason = "the harness passes parts of its own environment on"
)]

mod harness;

mod auth;
mod cache;
mod cli;
mod download;
mod hub;
mod parity;
mod selftest;
mod whole;
