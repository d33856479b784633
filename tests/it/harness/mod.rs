//! The tools of all tests: an environment of its own ([`TestEnv`]), a local Hub ([`hub::Hub`]), a pseudo-terminal
//! ([`terminal::Terminal`]), trees on disk to start from ([`cache::CacheTree`]) and to compare ([`tree::tree_of`]), and the
//! Python clients as oracles ([`oracle::Oracle`]).
//!
//! A test that waits for retries takes [`TestEnv::fast_clock`]; one that does the same many times over comes in two sizes
//! ([`endurance`]).
//!
//! ```ignore
//! #[test]
//! fn a_reset_in_the_middle_of_a_body_is_repaired() {
//!     let hub = Hub::start();
//!     hub.add(Repo::model("org/name").lfs("model.bin", Content::synthetic(1 << 20, 1)));
//!     let strikes = hub.fault(Fault::ResetMidBody { after_bytes: 5000 }.on("model.bin").times(1));
//!     let env = TestEnv::for_hub(&hub);
//!     let output = env.run(["download", "org/name"]).ok();
//!     assert_eq!(strikes.count(), 1);
//!     insta::assert_snapshot!(output.snapshot(&env));
//! }
//! ```
#![allow(
    dead_code,
    unused_imports,
    reason = "a tool box: a test file takes what it needs"
)]

pub mod cache;
pub mod cas;
pub mod endurance;
pub mod env;
pub mod faulty_cas;
pub mod held;
pub mod http;
pub mod hub;
pub mod neighbours;
pub mod oracle;
pub mod partial;
pub mod process;
pub mod proxy;
mod python;
pub mod shim;
pub mod stall;
pub mod terminal;
pub mod tree;

/// Waits until something holds that this process can see, asking every few milliseconds. Panics after a minute.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 60, "not seen: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

pub use env::{TestEnv, nobody};
pub use held::Held;
pub use process::{Invocation, Output, Running};
pub use terminal::Terminal;
pub use tree::tree_of;
