//! Sets up the Xet library: its configuration, its token, and messages for its errors.
//!
//! The crate `hf-xet` is its public face. What it is made of is used where the face hides something
//! that is needed here: a hook that renews the token through our own Hub client, and the count of
//! bytes on the wire.

use std::sync::Arc;
use std::time::Duration;

use xet::XetError;
use xet::xet_session::XetConfig;
use xet_client::cas_client::auth::{AuthConfig, AuthError, TokenRefresher};
use xet_data::DataError;
use xet_data::processing::FileDownloadSession;
use xet_data::processing::configurations::{SessionContext, TranslatorConfig};
use xet_runtime::core::XetContext;
use xet_runtime::utils::ByteSize;

use super::XetOptions;
use crate::hub::xet::XetAccess;
use crate::hub::{Hub, HubError};
use crate::types::{CommitHash, Repo};

/// Attempts of the library at one request, and the first wait between two. Its own defaults add up
/// to minutes; here a stream that broke is taken up again, or HTTP takes over.
const ATTEMPTS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Bytes that may wait for their turn to be written: for all files, more for each file on its way,
/// and at most. The library's own measure is a share of the machine's memory, gigabytes on a large
/// one. A piece has up to 64 MiB, so one file still has five on their way.
const BUFFER: u64 = 256 << 20;
const BUFFER_PER_FILE: u64 = 64 << 20;
const BUFFER_LIMIT: u64 = 1 << 30;

/// Longest silence of one connection to the storage server. Longer than over HTTP: it may have to
/// gather a file.
pub fn silence(hub: &Hub) -> Duration {
    2 * hub.stall_timeout()
}

/// The library's name for its client over TCP.
const CLIENT: &str = "tcp|";

/// The client and the repository that access is requested for.
#[derive(Clone)]
pub struct XetCaller {
    /// The Hub, which gives access.
    pub hub: Hub,
    /// The repository.
    pub repo: Repo,
    /// The commit all files come from.
    pub commit: CommitHash,
}

impl XetCaller {
    async fn ask(&self) -> Result<XetAccess, HubError> {
        self.hub.xet_access(&self.repo, &self.commit).await
    }
}

/// The library calls it shortly before a token runs out.
#[async_trait::async_trait]
impl TokenRefresher for XetCaller {
    async fn refresh(&self) -> Result<(String, u64), AuthError> {
        let access = self.ask().await;
        let access = access.map_err(AuthError::token_refresh_failure)?;
        Ok((access.token.expose().to_owned(), access.expires_at))
    }
}

/// Asks for access and starts the library with it, on the runtime we are on. The error is a reason
/// in words.
///
/// # Errors
/// The Hub gives no access, or the library does not start.
pub async fn start(
    caller: &XetCaller,
    options: &XetOptions,
) -> Result<Arc<FileDownloadSession>, String> {
    let access = caller.ask().await.map_err(|error| error.to_string())?;
    let server = access.server.as_str().trim_end_matches('/').to_owned();
    caller
        .hub
        .trace(|| format!("Xet storage at {}", access.server.authority()));
    let runtime = tokio::runtime::Handle::current();
    let (connect, silence) = (caller.hub.connect_timeout(), silence(&caller.hub));
    let config = config(options.high_performance, connect, silence);
    let client = caller.hub.storage_client(config.client.read_timeout);
    let client = client.map_err(|error| error.to_string())?;
    let context = XetContext::from_external(runtime, config);
    // The library's own client reads the environment by its own rules. It looks here first, under
    // the name of a client without further headers; a refusal would only mean that it makes its own.
    let _ = context
        .common
        .get_or_create_reqwest_client(CLIENT.to_owned(), || Ok(client));
    let session = SessionContext {
        endpoint: server,
        auth: AuthConfig::maybe_new(
            Some(access.token.expose().to_owned()),
            Some(access.expires_at),
            Some(Arc::new(caller.clone())),
        ),
        custom_headers: None,
        repo_paths: vec![String::new()],
        session_id: None,
        cache_root: Some(options.cache.clone()),
    };
    let started = async {
        let config = TranslatorConfig::new(&context, session)?;
        FileDownloadSession::new(Arc::new(config), None).await
    };
    let failed = |error: DataError| describe(&error.into()).to_owned();
    started.await.map_err(failed)
}

fn config(high_performance: bool, connect: Duration, silence: Duration) -> XetConfig {
    let mut config = XetConfig::default();
    if high_performance {
        config = config.with_high_performance();
    } else {
        let buffers = &mut config.reconstruction;
        (
            buffers.download_buffer_size,
            buffers.download_buffer_perfile_size,
            buffers.download_buffer_limit,
        ) = (
            ByteSize::new(BUFFER),
            ByteSize::new(BUFFER_PER_FILE),
            ByteSize::new(BUFFER_LIMIT),
        );
    }
    config.client.retry_max_attempts = ATTEMPTS;
    config.client.retry_base_delay = FIRST_WAIT;
    config.client.connect_timeout = connect;
    config.client.read_timeout = silence;
    // The user's variables for the library override our configuration.
    let mut config = config.with_env_overrides();
    // It would report each transfer to the server; this program reports nothing.
    config.telemetry.enabled = false;
    config
}

/// What went wrong, for a person. The library's own words may hold addresses with signatures.
pub fn describe(error: &XetError) -> &'static str {
    match error {
        XetError::Network(_) => "its server cannot be reached or refuses",
        XetError::Timeout(_) => "its server does not answer in time",
        XetError::RateLimited(_) => "its server asks to slow down",
        XetError::ServerError(_) => "its server is in trouble",
        XetError::Authentication(_) => "its server does not accept the token",
        XetError::NotFound(_) => "it does not have the file",
        XetError::DataIntegrity(_) => "it sent damaged data",
        XetError::Io(_) => "its folder HF_XET_CACHE cannot be written",
        _ => "its library failed",
    }
}

/// The library's words for `HF_DEBUG`, without the queries of addresses.
pub fn detail(error: &XetError) -> String {
    let text = error.to_string();
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_told() {
        let seconds = Duration::from_secs;
        let normal = config(false, seconds(3), seconds(10));
        let fast = config(true, seconds(3), seconds(100));
        assert_eq!(normal.client.connect_timeout, seconds(3));
        assert_eq!(normal.client.read_timeout, seconds(10));
        assert_eq!(fast.client.read_timeout, seconds(100));
        assert!(!normal.telemetry.enabled && !fast.telemetry.enabled);
        let buffer = |config: &XetConfig| config.reconstruction.download_buffer_limit.as_u64();
        assert_eq!(buffer(&normal), BUFFER_LIMIT);
        let streams = |config: &XetConfig| config.client.ac_initial_download_concurrency;
        assert!(streams(&fast) > streams(&normal));
    }

    #[test]
    fn each_kind_of_trouble_has_words_of_its_own() {
        let said = String::new;
        let kinds = [
            XetError::Network(said()),
            XetError::Timeout(said()),
            XetError::RateLimited(said()),
            XetError::ServerError(said()),
            XetError::Authentication(said()),
            XetError::NotFound(said()),
            XetError::DataIntegrity(said()),
            XetError::Io(said()),
            XetError::AlreadyCompleted,
        ];
        let words: std::collections::BTreeSet<&str> = kinds.iter().map(describe).collect();
        assert_eq!(words.len(), kinds.len(), "{words:?}");
        assert_eq!(describe(&kinds[3]), "its server is in trouble");
    }

    #[test]
    fn signatures_stay_out_of_the_trace() {
        let error = XetError::Network(
            "error sending request for url (https://cdn.test/x?sig=secret&e=1) now".to_owned(),
        );
        assert_eq!(
            detail(&error),
            "Network error: error sending request for url (https://cdn.test/x now"
        );
        assert!(!describe(&error).contains("cdn.test"));
    }
}
