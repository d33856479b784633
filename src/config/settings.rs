//! What the environment means, resolved once: paths, endpoint, switches.
//!
//! Pure: an [`Env`] in, [`Settings`] out. Names and defaults are those of
//! docs/reference.md#environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::config::env::{self, Env};
use crate::config::folders::{Folders, is_nowhere};
use crate::config::proxy::{BadProxy, Proxies};
use crate::types::{BadEndpoint, DEFAULT_ENDPOINT, Endpoint, host};

/// Client id of the browser login that the Hub knows the command line by
/// (docs/reference.md#browser-login). Not a secret.
const DEFAULT_CLIENT_ID: &str = "26be6b09-91c5-47da-9861-d2d2bb7a7e36";
/// Default of both timeouts, in seconds.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Resolved settings, shared by all commands.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `$HF_HOME`.
    pub hf_home: PathBuf,
    /// Where the path above came from, in words ("HF_HOME", "default"…).
    pub hf_home_source: &'static str,
    /// Root of the repository cache.
    pub hub_cache: PathBuf,
    /// Where the path above came from.
    pub hub_cache_source: &'static str,
    /// File of the active token.
    pub token_path: PathBuf,
    /// File of all named tokens, beside [`Settings::token_path`].
    pub stored_tokens_path: PathBuf,
    /// The Hub to talk to.
    pub endpoint: Endpoint,
    /// Origins that may be sent a token from another Hub without a warning.
    pub trusted_endpoints: Vec<String>,
    /// Client id of the browser login.
    pub oauth_client_id: String,
    /// Where a login keeps its token by default, as given: `file`, `keyring`, or an invalid word.
    pub token_storage: Option<String>,
    /// No request may leave this machine.
    pub offline: bool,
    /// Download requests carry a token only when `--token` gave one.
    pub disable_implicit_token: bool,
    /// `Some(false)`: no progress bars; `Some(true)`: always; `None`: on a terminal.
    pub progress_bars: Option<bool>,
    /// Copy instead of link.
    pub disable_symlinks: bool,
    /// Fetch files over HTTP even when they are in Xet storage.
    pub disable_xet: bool,
    /// Neither link contents from the shared blob store nor put any there.
    pub disable_shared_blobs: bool,
    /// Make a shared blob store where the cache has none. [`Settings::disable_shared_blobs`] wins.
    pub enable_shared_blobs: bool,
    /// Let Xet transfers use more memory and connections.
    pub xet_high_performance: bool,
    /// Folder of the Python client's Xet library.
    pub xet_cache: PathBuf,
    /// Longest wait for a connection, and for the answer to a HEAD request.
    pub etag_timeout: Duration,
    /// Longest wait for the answer to a download request.
    pub download_timeout: Duration,
    /// Appended to the user agent.
    pub user_agent_origin: Option<String>,
    /// Extra certificate authorities.
    pub ca_bundle: Option<CaBundle>,
    /// Whether `SSL_CERT_FILE` or `SSL_CERT_DIR` is set; the TLS library itself reads them.
    pub is_system_ca_replaced: bool,
    /// The proxies, or which variable is invalid.
    pub proxies: Result<Proxies, BadProxy>,
    /// Which messages are shown besides errors and results.
    pub verbosity: Verbosity,
    /// Say on stderr what goes over the wire.
    pub debug: bool,
}

/// `HF_HUB_VERBOSITY`, in the words of the Python client's logging: the least severe messages to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Requests too, as with `HF_DEBUG`.
    Debug,
    /// As `Warning`: nothing is less severe but requests.
    Info,
    /// What the Hub warns of, and requests that are sent again.
    #[default]
    Warning,
    /// Errors only.
    Error,
    /// As `Error`: a command has no worse errors than that it failed.
    Critical,
}

impl Verbosity {
    /// Reads a level; as in the Python client, case matters.
    fn of(word: &str) -> Option<Verbosity> {
        Some(match word {
            "debug" => Verbosity::Debug,
            "info" => Verbosity::Info,
            "warning" => Verbosity::Warning,
            "error" => Verbosity::Error,
            "critical" => Verbosity::Critical,
            _ => return None,
        })
    }
}

/// What a variable holds that is not understood, and what is used in its place: a sentence each.
pub fn unusable(env: &Env) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(word) = env.get(env::HF_HUB_VERBOSITY)
        && Verbosity::of(&word).is_none()
    {
        found.push(format!(
            "HF_HUB_VERBOSITY is debug, info, warning, error or critical, and not {word:?}: it is ignored."
        ));
    }
    for name in [env::HF_HUB_ETAG_TIMEOUT, env::HF_HUB_DOWNLOAD_TIMEOUT] {
        let Some(text) = env.get(name) else { continue };
        if whole_seconds(&text).is_none() {
            let default = DEFAULT_TIMEOUT.as_secs();
            found.push(format!(
                "{name} is a whole number of seconds, at least 1, and not {text:?}: {default} is used."
            ));
        }
    }
    found
}

/// Whole seconds, at least one, without a unit.
fn whole_seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<u64>().ok();
    seconds
        .filter(|&seconds| seconds > 0)
        .map(Duration::from_secs)
}

/// A file of certificate authorities in PEM, or a folder of such files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaBundle {
    /// The variable that names it.
    pub variable: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

/// The environment holds something that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no home folder and no variable that would replace it.
    #[error("there is no home folder, and neither HF_HOME nor XDG_CACHE_HOME is set")]
    NoHome,
    /// `HF_ENDPOINT` is not an http(s) URL.
    #[error("HF_ENDPOINT is not a web address: {0}")]
    BadEndpoint(#[from] BadEndpoint),
}

impl Settings {
    /// Refuses to write to a default place when there is no home folder for it.
    ///
    /// # Errors
    /// [`SettingsError::NoHome`].
    pub fn check_home(&self, path: &Path) -> Result<(), SettingsError> {
        if is_nowhere(path) {
            return Err(SettingsError::NoHome);
        }
        Ok(())
    }

    /// Resolves all settings.
    ///
    /// # Errors
    /// [`SettingsError`] when a needed value is missing or unusable.
    pub fn resolve(env: &Env) -> Result<Self, SettingsError> {
        let folders = Folders::resolve(env);
        let seconds = |name| {
            let text = env.get(name);
            text.and_then(|text| whole_seconds(&text))
                .unwrap_or(DEFAULT_TIMEOUT)
        };
        let verbosity = env.get(env::HF_HUB_VERBOSITY);
        let verbosity = verbosity
            .and_then(|word| Verbosity::of(&word))
            .unwrap_or_default();
        Ok(Settings {
            disable_xet: env.is_true(env::HF_HUB_DISABLE_XET),
            hf_home: folders.hf_home,
            hf_home_source: folders.hf_home_source,
            hub_cache: folders.hub_cache,
            hub_cache_source: folders.hub_cache_source,
            stored_tokens_path: folders.token_path.with_file_name("stored_tokens"),
            token_path: folders.token_path,
            xet_cache: folders.xet_cache,
            endpoint: Endpoint::parse(
                env.get(env::HF_ENDPOINT)
                    .as_deref()
                    .unwrap_or(DEFAULT_ENDPOINT),
            )?,
            trusted_endpoints: trusted_endpoints(env),
            oauth_client_id: env
                .get(env::HF_DEVICE_CODE_OAUTH_CLIENT_ID)
                .unwrap_or_else(|| DEFAULT_CLIENT_ID.to_owned()),
            token_storage: env.get(env::HF_TOKEN_STORAGE),
            offline: offline(env),
            disable_implicit_token: env.is_true(env::HF_HUB_DISABLE_IMPLICIT_TOKEN),
            progress_bars: env
                .switch(env::HF_HUB_DISABLE_PROGRESS_BARS)
                .map(|disabled| !disabled),
            disable_symlinks: env.is_true(env::HF_HUB_DISABLE_SYMLINKS),
            disable_shared_blobs: env.is_true(env::HF_HUB_DISABLE_SHARED_BLOBS),
            enable_shared_blobs: env.is_true(env::HF_HUB_ENABLE_SHARED_BLOBS),
            xet_high_performance: env.is_true(env::HF_XET_HIGH_PERFORMANCE),
            etag_timeout: seconds(env::HF_HUB_ETAG_TIMEOUT),
            download_timeout: seconds(env::HF_HUB_DOWNLOAD_TIMEOUT),
            user_agent_origin: env.get(env::HF_HUB_USER_AGENT_ORIGIN),
            is_system_ca_replaced: [env::SSL_CERT_FILE, env::SSL_CERT_DIR]
                .into_iter()
                .any(|name| env.get_os(name).is_some()),
            ca_bundle: [env::REQUESTS_CA_BUNDLE, env::CURL_CA_BUNDLE]
                .iter()
                .find_map(|&variable| {
                    let path = env.expand_home(Path::new(env.get_os(variable)?));
                    Some(CaBundle { variable, path })
                }),
            proxies: Proxies::from_env(env),
            verbosity,
            debug: env.is_true(env::HF_DEBUG) || verbosity == Verbosity::Debug,
        })
    }
}

impl Settings {
    /// Whether the endpoint in use may be sent a token from another Hub without a warning.
    pub fn trusts_endpoint(&self) -> bool {
        let origin = host(self.endpoint.url());
        self.trusted_endpoints.contains(&origin)
    }
}

/// The origins of `HF_TRUSTED_ENDPOINTS`. A name without a scheme means https; an invalid
/// address is ignored.
fn trusted_endpoints(env: &Env) -> Vec<String> {
    let text = env.get(env::HF_TRUSTED_ENDPOINTS).unwrap_or_default();
    let words = text.split(',').map(str::trim);
    let urls = words.filter_map(|word| match word.contains("://") {
        true => Url::parse(word).ok(),
        false => Url::parse(&format!("https://{word}")).ok(),
    });
    urls.filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(|url| host(&url))
        .collect()
}

/// `HF_HUB_OFFLINE`, set to anything, hides `TRANSFORMERS_OFFLINE` (docs/reference.md#environment).
fn offline(env: &Env) -> bool {
    env.switch(env::HF_HUB_OFFLINE)
        .unwrap_or_else(|| env.is_true(env::TRANSFORMERS_OFFLINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::resolve(&Env::from_pairs("/home/u", pairs.iter().copied())).unwrap()
    }

    #[test]
    fn paths_follow_the_chain() {
        for (pairs, hub_cache, token) in [
            (
                &[][..],
                "/home/u/.cache/huggingface/hub",
                "/home/u/.cache/huggingface/token",
            ),
            (
                &[("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
                "/x/huggingface/token",
            ),
            (&[("HF_HOME", "~/h")], "/home/u/h/hub", "/home/u/h/token"),
            (
                &[
                    ("HF_HOME", "/h"),
                    ("HUGGINGFACE_HUB_CACHE", "/old"),
                    ("HF_TOKEN_PATH", "/t/tok"),
                ],
                "/old",
                "/t/tok",
            ),
            (
                &[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")],
                "/new",
                "/home/u/.cache/huggingface/token",
            ),
        ] {
            let settings = settings(pairs);
            assert_eq!(settings.hub_cache, Path::new(hub_cache), "{pairs:?}");
            assert_eq!(settings.token_path, Path::new(token), "{pairs:?}");
        }
        assert_eq!(
            settings(&[("HF_TOKEN_PATH", "/t/tok")]).stored_tokens_path,
            Path::new("/t/stored_tokens")
        );
    }

    #[test]
    fn xet_variables() {
        let default = settings(&[("HF_HOME", "/h")]);
        assert_eq!(default.xet_cache, Path::new("/h/xet"));
        assert!(!default.disable_xet && !default.xet_high_performance);
        assert!(!default.disable_shared_blobs && !default.enable_shared_blobs);
        let set = settings(&[
            ("HF_XET_CACHE", "~/$A"),
            ("HF_HUB_DISABLE_XET", "1"),
            ("HF_HUB_DISABLE_SHARED_BLOBS", "on"),
            ("HF_HUB_ENABLE_SHARED_BLOBS", "true"),
            ("HF_XET_HIGH_PERFORMANCE", "yes"),
        ]);
        assert_eq!(set.xet_cache, Path::new("/home/u/$A"));
        assert!(set.disable_xet && set.disable_shared_blobs && set.xet_high_performance);
        assert!(set.enable_shared_blobs);
    }

    #[test]
    fn trusted_endpoints() {
        for (list, expected) in [
            ("", false),
            ("https://mirror.test", true),
            (" https://a.test , https://mirror.test/ ", true),
            ("mirror.test", true),
            ("https://mirror.test/other/path", true),
            ("http://mirror.test", false),
            ("https://mirror.test:8443", false),
            ("https://mirror.test.evil.test", false),
            ("https://mirror.test@evil.test", false),
            ("*", false),
            (",,", false),
        ] {
            let settings = settings(&[
                ("HF_ENDPOINT", "https://mirror.test/hf"),
                ("HF_TRUSTED_ENDPOINTS", list),
            ]);
            assert_eq!(settings.trusts_endpoint(), expected, "{list}");
        }
    }

    #[test]
    fn offline_variables() {
        assert!(settings(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
        assert!(
            !settings(&[("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "0")]).offline,
            "HF_HUB_OFFLINE hides TRANSFORMERS_OFFLINE"
        );
    }
}
