//! What a request can end with. Status, headers and body become a [`HubError`]; pure.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::redirect::RedirectError;

/// A request failed. No variant carries a token, a query string or a signed link.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No request may leave the machine.
    #[error("offline mode is on")]
    Offline,
    /// No answer: no route, refused, reset, timed out, bad certificate. `reason` is the innermost
    /// cause in the system's words.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// A connection that brings nothing, or next to nothing.
    #[error("{host} {}", pace(*bytes, *seconds))]
    Stalled {
        /// Scheme, host and port.
        host: String,
        /// What came.
        bytes: u64,
        /// In this time.
        seconds: u64,
    },
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
    /// The token may not do this.
    #[error("the token has no permission for this")]
    Forbidden {
        /// The Hub's own words.
        message: String,
    },
    /// A signed download link ran out.
    #[error("the download link has expired")]
    LinkExpired,
    /// The server sends whole files only. An answer to a part of one; nobody sees it.
    #[error("the server does not send parts of files")]
    RangeIgnored,
    /// Any other status.
    #[error("the server answered {status}{}", detail(message, request_id.as_deref()))]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The Hub's own words; may be empty.
        message: String,
        /// What support asks for.
        request_id: Option<String>,
    },
    /// The answer is not what the protocol says.
    #[error("the server sent an answer that makes no sense: {0}")]
    BadAnswer(String),
    /// A redirect that must not be followed.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The HTTP client could not be set up (certificates, proxy).
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
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
    /// Whether the Hub could not be asked at all, or could not answer: a cached copy may then serve
    /// (REFERENCE 5). Answers about the revision or the file itself are final.
    pub fn allows_cached_copy(&self) -> bool {
        !matches!(
            self,
            HubError::RevisionNotFound
                | HubError::EntryNotFound { .. }
                | HubError::Setup(_)
                | HubError::BadAnswer(_)
                | HubError::Redirect(_)
        )
    }
}

/// Longest part of a server's message that is repeated to the user, in characters.
const MESSAGE_LIMIT: usize = 300;

/// What an unsuccessful answer means (REFERENCE 4, "Errors").
pub fn classify(
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    signed_link: bool,
) -> HubError {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let message = header("x-error-message")
        .map(str::to_owned)
        .or_else(|| message_in_body(body))
        .unwrap_or_default();
    let message: String = message.chars().take(MESSAGE_LIMIT).collect();
    if signed_link && matches!(status.as_u16(), 401 | 403 | 404 | 410) {
        return HubError::LinkExpired;
    }
    match header("x-error-code") {
        Some("RepoNotFound") => return HubError::RepoNotFound,
        Some("RevisionNotFound") => return HubError::RevisionNotFound,
        Some("EntryNotFound") => {
            return HubError::EntryNotFound {
                commit: header("x-repo-commit").map(str::to_owned),
            };
        }
        Some("GatedRepo") => return HubError::Gated { message },
        _ => {}
    }
    if message == "Access to this resource is disabled." {
        return HubError::Disabled;
    }
    match status.as_u16() {
        401 if message.contains("Invalid credentials in Authorization header") => {
            HubError::InvalidToken
        }
        // Without those words the Hub hides what the asker may not see.
        401 => HubError::RepoNotFound,
        403 => HubError::Forbidden { message },
        _ => HubError::Status {
            status,
            message,
            request_id: ["x-request-id", "x-amzn-trace-id", "x-amz-cf-id"]
                .iter()
                .find_map(|name| header(name))
                .map(str::to_owned),
        },
    }
}

/// What is wrong with an answer that should be JSON. The parser's own words repeat values, which may be secrets.
pub(super) fn bad_json(body: &[u8], error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    if body.trim_ascii().is_empty() {
        return "it is empty".to_owned();
    }
    match error.classify() {
        Category::Data => format!(
            "its JSON has an unexpected form (line {}, column {})",
            error.line(),
            error.column()
        ),
        Category::Eof => "its JSON ends too early".to_owned(),
        Category::Syntax | Category::Io => "it is not JSON".to_owned(),
    }
}

fn message_in_body(body: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let text = json
        .get("error")
        .or_else(|| json.get("message"))?
        .as_str()?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> String {
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let error = classify(StatusCode::from_u16(status).unwrap(), &headers, body, false);
        format!("{error:?}")
    }

    #[test]
    fn table() {
        for (status, headers, body, expected) in [
            (
                404,
                &[("x-error-code", "RepoNotFound")][..],
                "",
                "RepoNotFound",
            ),
            (
                404,
                &[("x-error-code", "RevisionNotFound")],
                "",
                "RevisionNotFound",
            ),
            (
                404,
                &[("x-error-code", "EntryNotFound"), ("x-repo-commit", "c")],
                "",
                "EntryNotFound { commit: Some(\"c\") }",
            ),
            (
                403,
                &[("x-error-code", "GatedRepo"), ("x-error-message", "ask")],
                "",
                "Gated { message: \"ask\" }",
            ),
            (
                403,
                &[("x-error-message", "Access to this resource is disabled.")],
                "",
                "Disabled",
            ),
            (
                401,
                &[(
                    "x-error-message",
                    "Invalid credentials in Authorization header",
                )],
                "",
                "InvalidToken",
            ),
            (
                401,
                &[],
                "{\"error\": \"Invalid credentials in Authorization header\"}",
                "InvalidToken",
            ),
            (401, &[], "", "RepoNotFound"),
            (
                401,
                &[],
                "{\"error\": \"Invalid username or password.\"}",
                "RepoNotFound",
            ),
            (
                403,
                &[],
                "{\"error\": \"no write\"}",
                "Forbidden { message: \"no write\" }",
            ),
            (
                500,
                &[("x-request-id", "r1")],
                "<html>",
                "Status { status: 500, message: \"\", request_id: Some(\"r1\") }",
            ),
        ] {
            assert_eq!(classified(status, headers, body), expected);
        }
    }

    #[test]
    fn a_refused_signed_link_has_expired() {
        let error = classify(StatusCode::FORBIDDEN, &HeaderMap::new(), "", true);
        assert!(matches!(error, HubError::LinkExpired));
    }
}
