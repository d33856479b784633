//! What a client is made of.

use std::time::Duration;

use super::error::HubError;
use crate::config::proxy::Proxies;
use crate::config::settings::{CaBundle, Settings};
use crate::types::Endpoint;

/// What a client is made of.
#[derive(Clone)]
pub struct HubOptions {
    /// The Hub to talk to.
    pub endpoint: Endpoint,
    /// Refuse every request.
    pub offline: bool,
    /// Longest wait for a connection, and for the answer to a HEAD request.
    pub etag_timeout: Duration,
    /// Longest silence while an answer is read.
    pub download_timeout: Duration,
    /// Value of the `user-agent` header.
    pub user_agent: String,
    /// More certificate authorities. Read when the first encrypted connection is made.
    pub ca_bundle: Option<CaBundle>,
    /// Whether the user named certificate authorities to use instead of the system's.
    pub is_system_ca_replaced: bool,
    /// Through whom requests go.
    pub proxies: Proxies,
    /// Trace requests.
    pub debug: bool,
}

impl HubOptions {
    /// Options for these settings.
    ///
    /// # Errors
    /// [`HubError::Setup`] when a variable names a proxy that is none.
    pub fn from_settings(settings: &Settings) -> Result<Self, HubError> {
        Ok(HubOptions {
            endpoint: settings.endpoint.clone(),
            offline: settings.offline,
            etag_timeout: settings.etag_timeout,
            download_timeout: settings.download_timeout,
            user_agent: user_agent(settings.user_agent_origin.as_deref()),
            ca_bundle: settings.ca_bundle.clone(),
            is_system_ca_replaced: settings.is_system_ca_replaced,
            proxies: settings
                .proxies
                .clone()
                .map_err(|error| HubError::Setup(error.to_string()))?,
            debug: settings.debug,
        })
    }
}

fn user_agent(origin: Option<&str>) -> String {
    let mut text = format!(
        "hf-cli/{}; {}/{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    if let Some(origin) = origin {
        text.push_str("; origin/");
        text.extend(origin.chars().filter(|c| c.is_ascii_graphic() || *c == ' '));
    }
    text
}
