//! All integration tests, one binary.

mod harness;

mod cache_ls;
mod cache_made_up;
mod cache_rm;
mod download_basic;
mod download_errors;
mod download_trouble;
mod harness_self;
mod hub_faults;
mod hub_fidelity;
mod hub_wire;
