//! Where tokens, the cache and the Xet library are (docs/reference.md#environment). Pure.

use std::path::{Path, PathBuf};

use crate::config::env::{self, Env};

/// Placeholder for the folders of a user without a home folder. It does not exist, and nothing may be
/// created there (see [`is_nowhere`]).
const NOWHERE: &str = "/nonexistent/.cache/huggingface";
/// The source of [`NOWHERE`].
const NO_HOME: &str = "none: there is no home folder";

/// The folders, and which variable each is from.
pub(super) struct Folders {
    pub(super) hf_home: PathBuf,
    pub(super) hf_home_source: &'static str,
    pub(super) hub_cache: PathBuf,
    pub(super) hub_cache_source: &'static str,
    pub(super) token_path: PathBuf,
    pub(super) xet_cache: PathBuf,
}

impl Folders {
    pub(super) fn resolve(env: &Env) -> Folders {
        let (hf_home, hf_home_source) = hf_home(env);
        let (hub_cache, hub_cache_source) = match (
            env.get_os(env::HF_HUB_CACHE),
            env.get_os(env::HUGGINGFACE_HUB_CACHE),
        ) {
            (Some(path), _) => (env.expand_path(path), env::HF_HUB_CACHE),
            (None, Some(path)) => (env.expand_path(path), env::HUGGINGFACE_HUB_CACHE),
            (None, None) => (hf_home.join("hub"), hf_home_source),
        };
        // `~` and no more, as the Xet library does it in all clients.
        let xet_cache = env.get_os(env::HF_XET_CACHE).map_or_else(
            || hf_home.join("xet"),
            |path| env.expand_home(path.as_ref()),
        );
        let token_path = env
            .get_os(env::HF_TOKEN_PATH)
            .map_or_else(|| hf_home.join("token"), |path| env.expand_path(path));
        Folders {
            hf_home,
            hf_home_source,
            hub_cache,
            hub_cache_source,
            token_path,
            xet_cache,
        }
    }
}

/// Whether a path is below the placeholder for a missing home folder.
pub(super) fn is_nowhere(path: &Path) -> bool {
    path.starts_with(NOWHERE)
}

fn hf_home(env: &Env) -> (PathBuf, &'static str) {
    if let Some(path) = env.get_os(env::HF_HOME) {
        return (env.expand_path(path), env::HF_HOME);
    }
    if let Some(path) = env.get_os(env::XDG_CACHE_HOME) {
        let path = Path::new(path).join("huggingface");
        return (env.expand_path(path.as_os_str()), env::XDG_CACHE_HOME);
    }
    match env.home() {
        Some(home) => (home.join(".cache/huggingface"), "default"),
        None => (PathBuf::from(NOWHERE), NO_HOME),
    }
}
