//! What a request can end with. See [`super::classify`] for how an answer becomes an error.

use reqwest::StatusCode;

use super::redirect::RedirectError;
use crate::types::ErrorKind;

/// A request failed. No variant carries a token, a query string or a signed link.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No request may leave the machine.
    #[error("offline mode is on")]
    Offline,
    /// No answer: no route, refused, reset, timed out, bad certificate.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        host: String,
        /// Why.
        reason: Reason,
    },
    /// A connection that delivers nothing, or almost nothing.
    #[error("the server {host} {}", pace(*bytes, *seconds))]
    Stalled {
        /// Scheme, host and port.
        host: String,
        /// What came.
        bytes: u64,
        /// In this time.
        seconds: u64,
    },
    /// A web page came in place of the Hub's answer, mostly from a network that requires a login.
    #[error("a web page came from {host} in place of the Hub's answer")]
    Page {
        /// Scheme, host and port of the server that sent the page.
        host: String,
    },
    /// This process, or this machine, has no free file descriptor. The network is not the cause.
    #[error("too many files and connections are open on this machine")]
    NoDescriptors,
    /// The Hub knows no such repository, or hides it from this token.
    #[error("no such repository, or no access to it")]
    RepoNotFound,
    /// The repository has no such branch, tag or commit.
    #[error("no such revision")]
    RevisionNotFound,
    /// The revision has no such file. `commit` is set when the Hub said which commit it looked in.
    #[error("no such file")]
    EntryNotFound {
        /// The commit that was asked.
        commit: Option<String>,
    },
    /// Access has to be asked for first.
    #[error("access to this repository has to be granted first")]
    Gated {
        /// The Hub's own words.
        message: String,
    },
    /// The repository was taken down.
    #[error("access to this repository is disabled")]
    Disabled,
    /// The token is not, or no longer, valid.
    #[error("the token is not valid")]
    InvalidToken,
    /// The token was valid and has expired.
    #[error("the token has expired (the Hub says: {message})")]
    ExpiredToken {
        /// The Hub's own words, which name the token.
        message: String,
    },
    /// The token has no permission for this, or there was no token.
    #[error("{}", match with_token {
        true => "the token has no permission for this",
        false => "access is refused",
    })]
    Forbidden {
        /// The Hub's own words.
        message: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// A signed download link has expired.
    #[error("the download link has expired")]
    LinkExpired,
    /// The server ignored a range and sends whole files only. Handled inside the download.
    #[error("the server does not send parts of files")]
    RangeIgnored,
    /// Any other status.
    #[error("the server answered {status}{}", detail(message, request_id.as_deref()))]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The Hub's own words; may be empty.
        message: String,
        /// The id that the Hub's support asks for.
        request_id: Option<String>,
    },
    /// The answer is not what the protocol says.
    #[error("the server sent an answer that makes no sense: {0}")]
    BadAnswer(String),
    /// The body is compressed by a method that this program has no decoder for, although the request
    /// asked for the plain bytes.
    #[error("{host} sent its answer compressed as {encoding:?}, which the request did not allow")]
    Encoding {
        /// Scheme, host and port of the server.
        host: String,
        /// The name of the encoding, as the server gave it, in lower case.
        encoding: String,
    },
    /// A redirect that must not be followed.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The HTTP client could not be set up (certificates, proxy).
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
}

/// Why a server cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The request was sent, or a connection asked for, and nothing came in time.
    #[error("no answer in time")]
    NoAnswer,
    /// The connection was closed too early.
    #[error("the connection ended before the whole answer had come")]
    Broken,
    /// The proxy refuses the request without a user name and password, or with these.
    #[error("the proxy wants a user name and password, or others")]
    ProxyLogin,
    /// The server's certificate is refused; the text is the TLS library's.
    #[error("{1}")]
    Certificate(CertificateFlaw, String),
    /// The innermost cause, in the system's words.
    #[error("{0}")]
    Other(String),
}

/// What is wrong with a certificate, as far as the user can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFlaw {
    /// It is not valid at this machine's time: the clock may be wrong.
    Time,
    /// It cannot be verified with the certificate authorities of this machine.
    Authority,
}

fn pace(bytes: u64, seconds: u64) -> String {
    match bytes {
        0 => format!("sent nothing for {seconds} s"),
        1 => format!("sent one byte in {seconds} s"),
        _ => format!("sent no more than {bytes} bytes in {seconds} s"),
    }
}

fn detail(message: &str, request_id: Option<&str>) -> String {
    let mut text = String::new();
    if !message.is_empty() {
        text.push_str(": ");
        text.push_str(message);
    }
    if let Some(id) = request_id {
        text.push_str(&format!(" (request id {id})"));
    }
    text
}

impl HubError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            HubError::Offline => ErrorKind::Offline,
            HubError::Unreachable { .. } | HubError::Stalled { .. } | HubError::Page { .. } => {
                ErrorKind::Unreachable
            }
            HubError::RepoNotFound => ErrorKind::RepoNotFound,
            HubError::RevisionNotFound => ErrorKind::RevisionNotFound,
            HubError::EntryNotFound { .. } => ErrorKind::FileNotFound,
            HubError::Gated { .. } => ErrorKind::Gated,
            HubError::Disabled | HubError::Forbidden { .. } => ErrorKind::Forbidden,
            HubError::InvalidToken | HubError::ExpiredToken { .. } => ErrorKind::Unauthorized,
            HubError::Status { .. }
            | HubError::LinkExpired
            | HubError::RangeIgnored
            | HubError::BadAnswer(_)
            | HubError::Encoding { .. }
            | HubError::Redirect(_) => ErrorKind::Server,
            HubError::Setup(_) => ErrorKind::Config,
            HubError::NoDescriptors => ErrorKind::Other,
        }
    }

    /// Whether the Hub could not be asked at all, or could not answer: a cached copy may then serve
    /// (docs/reference.md#when-the-hub-does-not-answer). Answers about the revision or the file
    /// itself are final.
    pub fn allows_cached_copy(&self) -> bool {
        !matches!(
            self,
            HubError::RevisionNotFound
                | HubError::EntryNotFound { .. }
                | HubError::Setup(_)
                | HubError::BadAnswer(_)
                | HubError::Encoding { .. }
                | HubError::Redirect(_)
        )
    }
}
