//! Requests whose answer is JSON: within the retries of the request, and within bounds.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::body::Body;
use super::classify::is_web_page;
use super::encoding::{Decoder, Encoding};
use super::error::HubError;
use super::failure::Failure;
use super::http::{Hub, Request};
use super::rows::{BadRows, Rows};
use crate::types::host;

/// Attempts at a JSON answer that are dropped when they are slow; the next one is kept.
const STRICT_ATTEMPTS: u32 = 2;

/// Most bytes of a page of a listing. One of a million files without pages is half as long.
const LISTING: usize = 512 << 20;

impl Hub {
    /// Sends a request and parses its JSON answer, of at most [`Request::at_most`] bytes.
    ///
    /// # Errors
    /// As [`Hub::send`]; [`HubError::BadAnswer`] when the body is not the expected JSON;
    /// [`HubError::Page`] when it is a web page.
    pub async fn send_for_json<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<(T, HeaderMap), HubError> {
        let mut retries = 0;
        loop {
            match self.json_once(request, retries).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.retry(request, &mut retries, failure).await?,
            }
        }
    }

    /// Sends a request and parses its answer, an array of JSON objects of any length, as it comes.
    ///
    /// # Errors
    /// As [`Hub::send_for_json`].
    pub async fn send_for_rows<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<(Vec<T>, HeaderMap), HubError> {
        let mut retries = 0;
        loop {
            match self.rows_once(request, retries).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.retry(request, &mut retries, failure).await?,
            }
        }
    }

    async fn json_once<T: DeserializeOwned>(
        &self,
        request: &Request,
        retries: u32,
    ) -> Result<(T, HeaderMap), Failure> {
        let (mut body, headers) = self.json_body(request, retries).await?;
        let whole = match request.is_brief {
            false => body.whole(request.most_bytes).await?,
            true => {
                let reading = body.whole(request.most_bytes);
                match tokio::time::timeout(self.brief_limit(), reading).await {
                    Ok(whole) => whole?,
                    Err(_) => return Err(Failure::fatal(Failure::silent(&request.url).error)),
                }
            }
        };
        serde_json::from_slice(&whole)
            .map(|value| (value, headers.clone()))
            .map_err(|error| match error.is_data() {
                false if is_web_page(&headers, &whole) => page(&body.body),
                _ => no_json(bad_json(&whole, &error)),
            })
    }

    async fn rows_once<T: DeserializeOwned>(
        &self,
        request: &Request,
        retries: u32,
    ) -> Result<(Vec<T>, HeaderMap), Failure> {
        let (mut body, headers) = self.json_body(request, retries).await?;
        let (mut rows, mut received) = (Rows::new(), 0);
        while let Some(chunk) = body.chunk().await? {
            let is_start = received == 0;
            received += chunk.len();
            if received > LISTING {
                return Err(no_json("it sent more JSON than any listing has".to_owned()));
            }
            rows.push(&chunk).map_err(|error| match error {
                BadRows::NotJson if is_start && is_web_page(&headers, &chunk) => page(&body.body),
                error => no_json(error.to_string()),
            })?;
        }
        match rows.finish() {
            Ok(rows) => Ok((rows, headers)),
            Err(error) => Err(no_json(error.to_string())),
        }
    }

    /// Sends the request once and returns the body, still unread.
    async fn json_body(
        &self,
        request: &Request,
        retries: u32,
    ) -> Result<(Plain, HeaderMap), Failure> {
        // A request without this header accepts every encoding (RFC 9110, 12.5.3).
        let request = request.clone().header("accept-encoding", "identity");
        let answer = self.send_once(&request).await?;
        let headers = answer.response.headers().clone();
        let decoder = Encoding::of(&headers).map(Encoding::decoder);
        let body = self.body(answer.response);
        let body = match retries {
            0..STRICT_ATTEMPTS => body,
            _ => body.with_lenient_timer(),
        };
        Ok((Plain { body, decoder }, headers))
    }
}

/// A body, decompressed where the server compressed it although it was asked not to.
struct Plain {
    body: Body,
    decoder: Option<Decoder>,
}

impl Plain {
    /// All of it, of at most so many bytes.
    async fn whole(&mut self, most_bytes: usize) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if whole.len() + chunk.len() > most_bytes {
                let reason = "it sent more than such an answer ever has";
                return Err(no_json(reason.to_owned()));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.body.chunk().await?;
        let Some(decoder) = &mut self.decoder else {
            return Ok(chunk);
        };
        let plain = match &chunk {
            Some(chunk) => decoder.decode(chunk),
            None => {
                let rest = decoder.finish();
                self.decoder = None;
                rest
            }
        };
        let plain = plain
            .map_err(|_| no_json("it is not in the encoding that it says it is in".to_owned()))?;
        // An empty piece at the end is the end.
        Ok(Some(Bytes::from(plain)).filter(|plain| chunk.is_some() || !plain.is_empty()))
    }
}

fn no_json(reason: String) -> Failure {
    Failure::fatal(HubError::BadAnswer(reason))
}

fn page(body: &Body) -> Failure {
    Failure::fatal(HubError::Page {
        host: host(body.url()),
    })
}

/// What is wrong with an answer that should be JSON. The parser's own words repeat values, which
/// may be secrets.
fn bad_json(body: &[u8], error: &serde_json::Error) -> String {
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
