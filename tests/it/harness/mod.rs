//! The test harness.

pub mod hub;
