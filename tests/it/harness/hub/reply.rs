//! An answer before it is put on the wire, and the rules of HTTP ranges.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Value, json};

use super::content::Content;

/// A whole answer: status, headers, body.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Values that are no text, of a fault.
    pub raw_headers: Vec<(&'static str, &'static [u8])>,
    pub body: Payload,
}

/// What the body is made of.
#[derive(Clone, Debug)]
pub enum Payload {
    /// JSON, an error text, or nothing.
    Text(Bytes),
    /// Part of a file, as byte offsets.
    File(Content, Range<u64>),
}

impl Payload {
    /// Size in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File(_, range) => range.end - range.start,
        }
    }
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            raw_headers: Vec::new(),
            body: Payload::Text(Bytes::new()),
        }
    }

    /// 200 with JSON.
    pub fn json(value: &Value) -> Self {
        Self::empty(200).with_json(value)
    }

    /// An error as the Hub words it: code and message in headers, the message again in a JSON body.
    pub fn error(status: u16, code: Option<&str>, message: &str) -> Self {
        let mut reply = Self::empty(status);
        if let Some(code) = code {
            reply = reply.header("X-Error-Code", code);
        }
        reply
            .header("X-Error-Message", message)
            .with_json(&json!({"error": message}))
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        let mut reply = Self::empty(status).header("Location", location);
        reply.body = Payload::Text(format!("Redirecting to {location}").into());
        reply.header("Content-Type", "text/plain; charset=utf-8")
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn with_json(mut self, value: &Value) -> Self {
        self.body = Payload::Text(value.to_string().into());
        self.header("Content-Type", "application/json; charset=utf-8")
    }

    /// File content, whole or the asked range of it.
    pub fn content(content: &Content, range: Option<&str>) -> Self {
        let size = content.len();
        let base = |status, range| Self {
            status,
            headers: vec![
                ("Accept-Ranges", "bytes".to_owned()),
                ("Content-Type", "application/octet-stream".to_owned()),
            ],
            raw_headers: Vec::new(),
            body: Payload::File(content.clone(), range),
        };
        match range.and_then(|range| parse_range(range, size)) {
            None => base(200, 0..size),
            Some(Ok(part)) => {
                let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                base(206, part).header("Content-Range", told)
            }
            Some(Err(())) => Self::error(416, None, "Range not satisfiable")
                .header("Content-Range", format!("bytes */{size}")),
        }
    }

    /// Status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The part a `Range` header asks for (RFC 9110 section 14.2, one range only): `None` when the header has no meaning here
/// and the whole is sent, an error when the range lies outside.
fn parse_range(header: &str, size: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let part = match (first.trim(), last.trim()) {
        ("", last) => {
            let tail: u64 = last.parse().ok()?;
            size.saturating_sub(tail)..size
        }
        (first, "") => first.parse().ok()?..size,
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(if part.start < part.end {
        Ok(part)
    } else {
        Err(())
    })
}
