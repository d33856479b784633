//! One file from Xet storage, through the library that the Python client uses as well.
//!
//! The library puts a file together from chunks that it fetches from several places at once, and
//! hands it over as a stream from any offset on. So a Xet download fills the same partial as one over
//! HTTP, bytes in order from the start: it goes on where another attempt stopped, whichever way that
//! one went, and HTTP can go on where Xet gave up. The hash of the whole is checked here; that the
//! library checks the chunks too is not relied on.
//!
//! Nothing is set up before the first file needs it: one session, and one group of streams per
//! access token, shared by all workers. The library runs on our own runtime, so it ends with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use xet::XetError;
use xet::xet_session::{
    HeaderMap, HeaderValue, XetConfig, XetDownloadStreamGroup, XetFileInfo, XetSession,
    XetSessionBuilder, header,
};

use super::DownloadError;
use super::fetch::{Source, open};
use super::partial::Partial;
use super::writer::Writer;
use crate::hub::Hub;
use crate::hub::http::Notice;
use crate::progress::Progress;
use crate::repo::{CommitHash, Repo, is_lower_hex};
use crate::settings::Settings;
use crate::token::Token;

/// Chunks that may wait between the library and the disk. They can be tens of megabytes each.
const QUEUE: usize = 2;

/// The library refuses a token that expires within 30 s. Another one is asked for a little earlier.
const EXPIRY_MARGIN: u64 = 45;

/// Attempts of the library at one request, and the first wait between two. Its own defaults add up
/// to minutes; here a stream that broke is taken up again, or HTTP takes over.
const ATTEMPTS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Longest silence of the storage server. Longer than over HTTP: it may have to gather a file.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// How to use Xet storage.
#[derive(Debug, Clone)]
pub struct XetOptions {
    /// Folder of the library.
    pub cache: PathBuf,
    /// Use more memory and connections.
    pub high_performance: bool,
}

impl XetOptions {
    /// Options for these settings.
    pub fn from_settings(settings: &Settings) -> Self {
        XetOptions {
            cache: settings.xet_cache.clone(),
            high_performance: settings.xet_high_performance,
        }
    }
}

/// Xet storage for one repository at one commit.
pub struct Xet {
    options: XetOptions,
    hub: Hub,
    token: Option<Token>,
    repo: Repo,
    commit: CommitHash,
    door: Mutex<Door>,
    is_given_up: AtomicBool,
}

/// What is set up on first use.
#[derive(Default)]
struct Door {
    session: Option<XetSession>,
    group: Option<Group>,
}

/// Streams that share an access token.
#[derive(Clone)]
struct Group {
    streams: XetDownloadStreamGroup,
    expires_at: u64,
}

impl Group {
    fn is_expired(&self) -> bool {
        self.expires_at <= now() + EXPIRY_MARGIN
    }
}

/// Why one attempt ended before the content was complete.
enum Trouble {
    /// The disk, or something else that HTTP does not mend either.
    Fatal(DownloadError),
    /// The storage.
    Storage(XetError),
    /// The stream ended without an error, yet too early.
    Short,
}

impl Xet {
    /// Prepares; nothing is set up and nobody is asked yet.
    pub fn new(
        options: XetOptions,
        hub: Hub,
        token: Option<Token>,
        repo: Repo,
        commit: CommitHash,
    ) -> Self {
        Xet {
            options,
            hub,
            token,
            repo,
            commit,
            door: Mutex::default(),
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Fills the partial with the content named `hash` until it is whole and verified: `true`.
    /// `false`: HTTP has to do it; good bytes stay in the partial for it to go on from.
    ///
    /// # Errors
    /// [`DownloadError`] for what HTTP would not mend: the disk.
    pub async fn fetch(
        &self,
        source: &Source<'_>,
        hash: &str,
        partial: &Path,
        progress: &dyn Progress,
    ) -> Result<bool, DownloadError> {
        let is_name = hash.len() == 64 && is_lower_hex(hash);
        let Some(size) = source.size.filter(|&size| size > 0 && is_name) else {
            return Ok(false);
        };
        if self.is_given_up.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let content = XetFileInfo::new(hash.to_owned(), size);
        let opened = open(partial, source.checksum, Some(size)).await?;
        let Some(mut partial) = self.complete(source, &content, opened, progress).await? else {
            return Ok(false);
        };
        if partial.verify() {
            return Ok(true);
        }
        progress.rewind(partial.len());
        partial.restart()?;
        self.hub.tell(Notice::Warning(format!(
            "Xet storage sent wrong bytes for {}; fetching it over HTTP instead.",
            source.path
        )));
        Ok(false)
    }

    /// Attempts until all bytes are there, or, with `None`, until there is no use in another one.
    async fn complete(
        &self,
        source: &Source<'_>,
        content: &XetFileInfo,
        mut partial: Partial,
        progress: &dyn Progress,
    ) -> Result<Option<Partial>, DownloadError> {
        let mut was_renewed = false;
        while partial.missing() != Some(0) {
            let group = match self.group().await {
                Ok(group) => group,
                Err(reason) => {
                    self.give_up(&reason);
                    return Ok(None);
                }
            };
            let before = partial.len();
            let (after, result) = attempt(&group, content, partial, progress).await;
            partial = after.ok_or_else(|| DownloadError::Task("the writer is gone".to_owned()))?;
            let reason = match result {
                Ok(()) => break,
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Short) => "it sent too few bytes",
                Err(Trouble::Storage(error)) => {
                    self.hub
                        .trace(|| format!("Xet storage, {}: {}", source.path, detail(&error)));
                    describe(&error)
                }
            };
            let is_worth_another = partial.len() > before || (group.is_expired() && !was_renewed);
            if !is_worth_another {
                self.give_up(reason);
                return Ok(None);
            }
            was_renewed = partial.len() == before;
        }
        Ok(Some(partial))
    }

    /// The streams to fetch with, set up on first use and again when their token has run out. The
    /// error is a reason in words.
    async fn group(&self) -> Result<Group, String> {
        let mut door = self.door.lock().await;
        if self.is_given_up.load(Ordering::Relaxed) {
            return Err(String::new());
        }
        if let Some(group) = door.group.as_ref().filter(|group| !group.is_expired()) {
            return Ok(group.clone());
        }
        let access = self
            .hub
            .xet_access(&self.repo, &self.commit, self.token.as_ref())
            .await
            .map_err(|error| error.to_string())?;
        let session = match &door.session {
            Some(session) => session.clone(),
            None => self.start().map_err(|error| describe(&error).to_owned())?,
        };
        door.session = Some(session.clone());
        let set_up = async {
            session
                .new_download_stream_group()?
                .with_endpoint(access.server.as_str().trim_end_matches('/'))
                .with_token_info(access.token.expose(), access.expires_at)
                .with_custom_headers(self.headers())
                .build()
                .await
        };
        let group = Group {
            streams: set_up.await.map_err(|error| describe(&error).to_owned())?,
            expires_at: access.expires_at,
        };
        door.group = Some(group.clone());
        Ok(group)
    }

    /// Starts the library, on the runtime we are on.
    fn start(&self) -> Result<XetSession, XetError> {
        XetSessionBuilder::new_with_config(self.config())
            .with_cache_dir(&self.options.cache)
            .with_tokio_handle(tokio::runtime::Handle::current())
            .build()
    }

    fn config(&self) -> XetConfig {
        let mut config = XetConfig::default();
        if self.options.high_performance {
            config = config.with_high_performance();
        }
        config.client.retry_max_attempts = ATTEMPTS;
        config.client.retry_base_delay = FIRST_WAIT;
        config.client.connect_timeout = self.hub.connect_timeout();
        config.client.read_timeout = LONGEST_SILENCE.max(self.hub.download_timeout());
        // The user's own tuning of the library stands above ours.
        let mut config = config.with_env_overrides();
        // It would report each transfer to the server; this program reports nothing.
        config.telemetry.enabled = false;
        config
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(agent) = HeaderValue::from_str(self.hub.user_agent()) {
            headers.insert(header::USER_AGENT, agent);
        }
        headers
    }

    /// Leaves Xet storage alone from now on and says so, once.
    fn give_up(&self, reason: &str) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            self.hub.tell(Notice::Warning(format!(
                "Xet storage cannot be used ({reason}); downloading over HTTP instead."
            )));
        }
    }
}

/// One stream from the current offset on. The partial is lent to the writer and comes back, except
/// when that panicked.
async fn attempt(
    group: &Group,
    content: &XetFileInfo,
    partial: Partial,
    progress: &dyn Progress,
) -> (Option<Partial>, Result<(), Trouble>) {
    let size = content.file_size().unwrap_or_default();
    let rest = partial.len()..size;
    let opened = group.streams.download_stream(content.clone(), Some(rest));
    let mut stream = match opened.await {
        Ok(stream) => stream,
        Err(error) => return (Some(partial), Err(Trouble::Storage(error))),
    };
    let writer = Writer::start(partial, QUEUE);
    let received = loop {
        match stream.next().await {
            Ok(Some(chunk)) => {
                let length = chunk.len() as u64;
                if !writer.write(chunk).await {
                    break Ok(());
                }
                progress.advance(length);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(Trouble::Storage(error)),
        }
    };
    let (partial, written) = writer.finish().await;
    let is_short = |partial: &Partial| partial.missing() != Some(0);
    let result = match written {
        Err(error) => Err(Trouble::Fatal(error)),
        Ok(()) if received.is_ok() && partial.as_ref().is_some_and(is_short) => Err(Trouble::Short),
        Ok(()) => received,
    };
    (partial, result)
}

/// What went wrong, for a person. The library's own words may hold addresses with signatures.
fn describe(error: &XetError) -> &'static str {
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
fn detail(error: &XetError) -> String {
    let text = error.to_string();
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |duration| duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

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
