//! Logins, tokens, the keyring, git credentials.

mod git;
mod interop;
mod issuer;
mod keyring;
pub mod login;
mod odd_file_systems;
mod oidc;
pub mod renew;
mod status;
mod terminal;
