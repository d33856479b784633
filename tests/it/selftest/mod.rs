//! The harness itself: the local Hub behaves as the real one, and each fault does what its name says.

mod faults;
mod fidelity;
mod tools;
mod wire;
