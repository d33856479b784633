//! The words of the field, validated once at the edge: repository, revision, commit, path, listing,
//! hash, token. Imports nothing else of this program.

mod endpoint;
pub mod hash;
pub mod listing;
mod name;
mod path;
pub mod pattern;
pub mod progress;
mod repo;
mod revision;
pub mod target;
pub mod token;

pub use endpoint::{
    BadEndpoint, DEFAULT_ENDPOINT, Endpoint, host, is_open_to_eavesdroppers, split_scheme,
    without_userinfo,
};
pub use name::{InvalidName, shortened};
pub use path::{RepoPath, is_deceptive};
pub use repo::{Repo, RepoId, RepoType};
pub use revision::{CommitHash, Revision, is_lower_hex};
