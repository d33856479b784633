//! The terms of the Hub, validated once at the edge: repository, revision, commit, path, listing,
//! hash, token. Imports nothing else of this program.

pub(crate) mod cache_id;
pub(crate) mod cached_name;
pub(crate) mod digest;
mod endpoint;
mod error_kind;
pub(crate) mod hash;
pub(crate) mod listing;
mod name;
mod path;
pub(crate) mod pattern;
pub(crate) mod progress;
mod repo;
mod revision;
pub(crate) mod target;
pub(crate) mod token;
mod xet_cut;
pub(crate) mod xet_hash;
mod xet_root;

pub use cache_id::CacheId;
pub(crate) use cache_id::find_by_name;
pub(crate) use cached_name::CachedName;
pub use endpoint::{BadEndpoint, DEFAULT_ENDPOINT, Endpoint};
pub(crate) use endpoint::{host, is_open_to_eavesdroppers, split_scheme, without_userinfo};
pub use error_kind::ErrorKind;
pub use name::InvalidName;
pub(crate) use name::shortened;
pub use path::RepoPath;
pub(crate) use path::is_deceptive;
pub use repo::{Repo, RepoId, RepoType};
pub use revision::{CommitHash, Revision};
pub(crate) use revision::{is_commit_prefix, is_lower_hex};
pub use target::{RepoTarget, TargetError};
pub use token::{InvalidToken, Token};
