//! All integration tests, one binary.

mod harness;

mod download_basic;
mod harness_self;
mod hub_faults;
mod hub_fidelity;
mod hub_wire;
