//! Where things are, which Hub is asked, and with which token.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::config::env::{self, Env};
use crate::config::settings::Settings;
use crate::types::{Endpoint, Token};

/// Settings of a [`Hub`](crate::Hub): the same that the command line reads from the environment.
///
/// ```no_run
/// use hf_cli::Config;
///
/// # fn main() -> Result<(), hf_cli::Error> {
/// let config = Config::from_env()?;
/// let other = Config::builder().cache_dir("/data/hub").offline(true).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) env: Env,
    pub(super) settings: Settings,
    pub(super) token: Option<Token>,
}

impl Config {
    /// What the process's environment says: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, the
    /// proxy variables and all others that the README lists. The token is looked for on first use, in
    /// the order of the command line: variables, then the token file or the keyring.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): `HF_ENDPOINT` is no web address.
    pub fn from_env() -> Result<Self, Error> {
        Config::of(Env::from_process(), None)
    }

    /// A configuration of its own, which reads none of the variables of the command line. What the
    /// libraries below read stays in force: `HTTPS_PROXY` and its like, and `SSL_CERT_FILE`.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    fn of(env: Env, token: Option<Token>) -> Result<Self, Error> {
        let settings = Settings::resolve(&env)?;
        Ok(Config {
            env,
            settings,
            token,
        })
    }

    /// The root of the repository cache.
    pub fn cache_dir(&self) -> &Path {
        &self.settings.hub_cache
    }

    /// The Hub that is asked.
    pub fn endpoint(&self) -> &Endpoint {
        &self.settings.endpoint
    }
}

/// Sets up a [`Config`] without the variables of the command line. What is not set has the default of the
/// command line: the public Hub, and folders below `~/.cache/huggingface`.
#[derive(Clone, Default)]
pub struct ConfigBuilder {
    token: Option<Token>,
    vars: Vec<(&'static str, OsString)>,
}

impl fmt::Debug for ConfigBuilder {
    /// Names what is set, without the values: an address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.vars.iter().map(|(name, _)| name);
        let token = self.token.iter().map(|_| &"token");
        f.debug_set().entries(names.chain(token)).finish()
    }
}

impl ConfigBuilder {
    fn var(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.vars.push((name, value.into()));
        self
    }

    /// Sends this token. Without one, that of the token file below the home folder is used.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The folder for tokens and the cache, as `HF_HOME`: `~` and `$NAME` in it are expanded.
    #[must_use]
    pub fn home(self, folder: impl Into<PathBuf>) -> Self {
        self.var(env::HF_HOME, folder.into())
    }

    /// The root of the repository cache, as `HF_HUB_CACHE`: `~` and `$NAME` in it are expanded.
    #[must_use]
    pub fn cache_dir(self, folder: impl Into<PathBuf>) -> Self {
        self.var(env::HF_HUB_CACHE, folder.into())
    }

    /// Asks another Hub or a mirror, as `HF_ENDPOINT`.
    #[must_use]
    pub fn endpoint(self, endpoint: &Endpoint) -> Self {
        self.var(env::HF_ENDPOINT, endpoint.as_str())
    }

    /// Whether no request is sent and the cache alone answers, as `HF_HUB_OFFLINE`.
    #[must_use]
    pub fn offline(self, offline: bool) -> Self {
        self.var(env::HF_HUB_OFFLINE, if offline { "1" } else { "0" })
    }

    /// Whether files in Xet storage are fetched over HTTP all the same, as `HF_HUB_DISABLE_XET`.
    #[must_use]
    pub fn disable_xet(self, disable: bool) -> Self {
        self.var(env::HF_HUB_DISABLE_XET, if disable { "1" } else { "0" })
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): a value cannot be used.
    pub fn build(self) -> Result<Config, Error> {
        Config::of(Env::isolated(self.vars), self.token)
    }
}
