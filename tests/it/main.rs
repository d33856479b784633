//! All integration tests, one binary.

mod harness;

mod harness_self;
mod hub_faults;
mod hub_fidelity;
mod hub_wire;
