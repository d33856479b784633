//! The meaning of an answer that is not a success: one pure function of the request's context and the
//! answer (docs/reference.md#error-answers).

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::error::HubError;

/// Longest part of a server's message that is repeated to the user, in characters.
const MESSAGE_LIMIT: usize = 300;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Subject {
    /// A route of the API: an answer in JSON, or in headers.
    #[default]
    Api,
    /// A file of a repository, whose content may lie behind a signed link.
    File,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The Hub, or its mirror.
    Hub,
    /// Another host, after a redirect from the Hub or from a proxy that answered in its place.
    Redirected,
    /// Another host that the request was meant for: the storage behind a signed link, or the
    /// identity server of a CI job.
    Other,
}

/// A request, as far as it matters for the meaning of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestContext {
    /// What was requested.
    pub what: Subject,
    /// Which server answered.
    pub whom: Whom,
    /// Whether the Hub's token was sent on any hop.
    pub with_token: bool,
}

/// What an unsuccessful answer means. `host` is named in the error where it matters.
pub fn classify(
    context: RequestContext,
    host: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
) -> HubError {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_captive = status.as_u16() == 511;
    // The Hub answers its own API. A redirect to another host comes from a network in between.
    if is_captive || (context.what, context.whom) == (Subject::Api, Whom::Redirected) {
        return HubError::Page {
            host: host.to_owned(),
        };
    }
    let message = header("x-error-message")
        .map(str::to_owned)
        .or_else(|| message_in_body(body))
        .unwrap_or_default();
    let message: String = message.chars().take(MESSAGE_LIMIT).collect();
    let plain = |message| HubError::Status {
        status,
        message,
        request_id: ["x-request-id", "x-amzn-trace-id", "x-amz-cf-id"]
            .iter()
            .find_map(|name| header(name))
            .map(|id| id.chars().take(MESSAGE_LIMIT).collect()),
    };
    if context.whom != Whom::Hub {
        return match (context.what, status.as_u16()) {
            (Subject::File, 401 | 403 | 404 | 410) => HubError::LinkExpired,
            // Other servers know neither repositories nor the Hub's tokens.
            _ => plain(message),
        };
    }
    if status == StatusCode::UNAUTHORIZED
        && let Some(error) = about_the_token(&message)
    {
        return error;
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
        // The Hub hides what the caller may not see.
        401 => HubError::RepoNotFound,
        403 => HubError::Forbidden {
            message,
            with_token: context.with_token,
        },
        _ => plain(message),
    }
}

/// What the Hub's words to a 401 say about the token; `None` when they are about something else.
fn about_the_token(message: &str) -> Option<HubError> {
    let lower = message.to_ascii_lowercase();
    if lower.contains("token") && lower.contains("expired") {
        return Some(HubError::ExpiredToken {
            message: message.to_owned(),
        });
    }
    lower
        .contains("invalid credentials in authorization header")
        .then_some(HubError::InvalidToken)
}

/// Whether an answer is a web page: its content type says so, or its first characters.
/// JSON never begins with `<`.
pub fn is_web_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    start.trim_ascii_start().first() == Some(&b'<') || is_called_web_page(headers)
}

/// Whether the headers alone call an answer a web page.
pub fn is_called_web_page(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or_default().trim_start().to_ascii_lowercase();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml")
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
    use proptest::prelude::*;

    use super::*;

    const API: RequestContext = RequestContext {
        what: Subject::Api,
        whom: Whom::Hub,
        with_token: true,
    };
    const FILE: RequestContext = RequestContext {
        what: Subject::File,
        ..API
    };
    const NO_TOKEN: RequestContext = RequestContext {
        with_token: false,
        ..API
    };
    const LINK: RequestContext = RequestContext {
        whom: Whom::Redirected,
        ..FILE
    };
    const KNOWN_LINK: RequestContext = RequestContext {
        whom: Whom::Other,
        ..FILE
    };
    const SENT_AWAY: RequestContext = RequestContext {
        whom: Whom::Redirected,
        ..API
    };
    const IDENTITY: RequestContext = RequestContext {
        whom: Whom::Other,
        ..NO_TOKEN
    };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn classified(
        context: RequestContext,
        status: u16,
        pairs: &[(&'static str, &'static str)],
        body: &str,
    ) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let error = classify(context, "https://h.test", status, &headers(pairs), body);
        format!("{error:?}")
    }

    #[test]
    fn what_the_hub_says() {
        const CODE: &str = "x-error-code";
        const MESSAGE: &str = "x-error-message";
        const REFUSED: &str = "{\"error\": \"Invalid credentials in Authorization header\"}";
        for (context, status, pairs, body, expected) in [
            (API, 404, &[(CODE, "RepoNotFound")][..], "", "RepoNotFound"),
            (
                API,
                404,
                &[(CODE, "RevisionNotFound")],
                "",
                "RevisionNotFound",
            ),
            (
                FILE,
                404,
                &[(CODE, "EntryNotFound"), ("x-repo-commit", "c")],
                "",
                "EntryNotFound { commit: Some(\"c\") }",
            ),
            (
                API,
                403,
                &[(CODE, "GatedRepo"), (MESSAGE, "ask")],
                "",
                "Gated { message: \"ask\" }",
            ),
            (
                API,
                403,
                &[(MESSAGE, "Access to this resource is disabled.")],
                "",
                "Disabled",
            ),
            (
                API,
                401,
                &[(MESSAGE, "Invalid credentials in Authorization header")],
                "",
                "InvalidToken",
            ),
            (API, 401, &[], REFUSED, "InvalidToken"),
            (NO_TOKEN, 401, &[], REFUSED, "InvalidToken"),
            (
                API,
                401,
                &[],
                "{\"error\": \"Access token \\\"ci\\\" has expired\"}",
                "ExpiredToken { message: \"Access token \\\"ci\\\" has expired\" }",
            ),
            (
                FILE,
                401,
                &[(CODE, "RepoNotFound"), (MESSAGE, "The token expired")],
                "",
                "ExpiredToken { message: \"The token expired\" }",
            ),
            (API, 401, &[], "", "RepoNotFound"),
            (
                API,
                401,
                &[],
                "{\"error\": \"Invalid username or password.\"}",
                "RepoNotFound",
            ),
            (
                API,
                401,
                &[],
                "{\"error\": \"The trial has expired\"}",
                "RepoNotFound",
            ),
            (
                API,
                403,
                &[],
                "{\"error\": \"no write\"}",
                "Forbidden { message: \"no write\", with_token: true }",
            ),
            (
                NO_TOKEN,
                403,
                &[],
                "{\"message\": \"blocked\"}",
                "Forbidden { message: \"blocked\", with_token: false }",
            ),
            (
                API,
                500,
                &[("x-request-id", "r1")],
                "<html>",
                "Status { status: 500, message: \"\", request_id: Some(\"r1\") }",
            ),
            (
                FILE,
                416,
                &[],
                "",
                "Status { status: 416, message: \"\", request_id: None }",
            ),
        ] {
            assert_eq!(
                classified(context, status, pairs, body),
                expected,
                "{context:?}"
            );
        }
    }

    #[test]
    fn what_others_say() {
        const PAGE: &str = "Page { host: \"https://h.test\" }";
        for (context, status, expected) in [
            (LINK, 401, "LinkExpired"),
            (LINK, 403, "LinkExpired"),
            (LINK, 404, "LinkExpired"),
            (KNOWN_LINK, 403, "LinkExpired"),
            (KNOWN_LINK, 410, "LinkExpired"),
            (LINK, 400, "Status { status: 400"),
            (LINK, 503, "Status { status: 503"),
            // Only a file's link expires, and only the Hub knows repositories.
            (IDENTITY, 404, "Status { status: 404"),
            (IDENTITY, 401, "Status { status: 401"),
            (IDENTITY, 403, "Status { status: 403"),
            (SENT_AWAY, 404, PAGE),
            (SENT_AWAY, 403, PAGE),
            (SENT_AWAY, 500, PAGE),
            (API, 511, PAGE),
            (FILE, 511, PAGE),
        ] {
            let seen = classified(context, status, &[("x-error-code", "RepoNotFound")], "");
            let seen = match context.whom {
                Whom::Hub => classified(context, status, &[], ""),
                _ => seen,
            };
            assert!(seen.starts_with(expected), "{context:?} {status}: {seen}");
        }
    }

    #[test]
    fn pages_for_people() {
        for (kind, body, expected) in [
            ("text/html; charset=utf-8", "", true),
            ("Text/HTML", "Please log in", true),
            ("application/xhtml+xml", "", true),
            ("application/json", " \n<!doctype html>", true),
            ("", "\u{feff}<html>", true),
            ("application/json", "{\"a\": \"<b>\"}", false),
            ("text/plain", "log in", false),
            ("", "", false),
        ] {
            let pairs = headers(&[("content-type", kind)]);
            assert_eq!(
                is_web_page(&pairs, body.as_bytes()),
                expected,
                "{kind} {body}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever a server sends, it is classified, and no more than a few hundred characters of
        /// it go into the error.
        #[test]
        fn any_answer_is_classified(
            status in 400_u16..600,
            code in proptest::option::of(prop_oneof![
                Just("RepoNotFound".to_owned()), Just("GatedRepo".to_owned()),
                Just("EntryNotFound".to_owned()), "[ -~]{0,40}",
            ]),
            message in proptest::option::of(proptest::collection::vec(32_u8..=255, 0..2000)),
            body in prop_oneof![".{0,200}", "\\{\"error\": ?\"[a-z \\\\\"]{0,1000}\"\\}"],
            context in prop_oneof![Just(API), Just(FILE), Just(NO_TOKEN), Just(LINK), Just(SENT_AWAY), Just(IDENTITY)],
        ) {
            let mut map = HeaderMap::new();
            if let Some(code) = code {
                map.insert("x-error-code", code.parse().unwrap());
            }
            if let Some(value) = message.and_then(|bytes| {
                reqwest::header::HeaderValue::from_bytes(&bytes).ok()
            }) {
                map.insert("x-error-message", value);
            }
            let status = StatusCode::from_u16(status).unwrap();
            let error = classify(context, "h", status, &map, &body);
            prop_assert!(error.to_string().chars().count() < 1000);
            if matches!(error, HubError::LinkExpired) {
                prop_assert!(context.what == Subject::File && context.whom != Whom::Hub);
            }
            let _ = is_web_page(&map, body.as_bytes());
        }
    }
}
