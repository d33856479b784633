//! How connections are made: proxies, TLS, names, HTTP/2.

use std::sync::{Arc, Once};

use url::Url;

use super::error::HubError;
use super::names::SystemNames;
use super::options::HubOptions;

/// The settings that all connections share.
pub fn builder(
    options: &HubOptions,
    tls: rustls::ClientConfig,
) -> Result<reqwest::ClientBuilder, HubError> {
    let builder = reqwest::Client::builder()
        .user_agent(options.user_agent.clone())
        .referer(false)
        .connect_timeout(options.etag_timeout)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(SystemNames))
        .tls_backend_preconfigured(tls);
    let proxies = &options.proxies;
    if proxies.is_empty() {
        // Use the proxies of the operating system, where it has settings for them.
        return Ok(builder);
    }
    let proxies = proxies.clone();
    let choose = move |url: &Url| proxies.of(url).map(|proxy| proxy.url.clone());
    Ok(builder.no_proxy().proxy(reqwest::Proxy::custom(choose)))
}

/// Many small requests share one HTTP/2 connection, which saves setting up others. Large files have
/// their own connections: several are faster than one that is shared.
pub fn sharing_builder(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    /// Flow-control window in bytes: several small files, each in one round trip.
    const WINDOW: u32 = 2 << 20;
    builder
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(4 * WINDOW)
}

/// Installs the crypto provider of rustls, once.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when a provider is there already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
