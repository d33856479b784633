//! What the user has set: variables, folders, the Hub to talk to, the proxy on the way.

pub mod agent;
pub mod env;
mod folders;
pub mod program;
pub mod proxy;
pub mod settings;
