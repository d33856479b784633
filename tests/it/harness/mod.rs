//! What every test stands on: an environment of its own ([`TestEnv`]), a local Hub ([`hub::Hub`]), a pseudo-terminal
//! ([`terminal::Terminal`]), trees on disk to start from ([`cache::CacheTree`]) and to compare ([`tree::tree_of`]), and the
//! Python clients as oracles ([`oracle::Oracle`]).
#![allow(
    dead_code,
    unused_imports,
    reason = "a tool box: a test file takes what it needs"
)]

pub mod cache;
pub mod env;
pub mod http;
pub mod hub;
pub mod oracle;
pub mod process;
pub mod terminal;
pub mod tree;

pub use env::TestEnv;
pub use process::{Invocation, Output, Running};
pub use terminal::Terminal;
pub use tree::tree_of;
