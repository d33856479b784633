//! Named faults: what can go wrong between a client and the Hub, switched on by a test.
//!
//! A fault strikes at one of three moments: before the request is looked at, when a JSON answer is ready, or when a
//! successful body is about to be sent. Faults of the third kind strike answers with status 2xx to methods other than HEAD,
//! so that a rule on a file name passes over the HEAD request and the redirect and meets the bytes themselves.
//!
//! A fault that no request meets tests nothing, so it fails the test when the Hub is dropped or the faults are cleared,
//! unless the rule is [`Rule::optional`].

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::log::Origin;
use super::server::Asked;

/// What goes wrong. Sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection is reset (TCP RST) once this much of the body was sent.
    ResetMidBody { after_bytes: u64 },
    /// The connection is closed normally before the promised length.
    CloseEarly { after_bytes: u64 },
    /// Nothing more is sent after this much, the connection stays open.
    Stall { after_bytes: u64 },
    /// The body is sent at this rate.
    Trickle { bytes_per_second: u64 },
    /// The request is read and never answered.
    NeverAnswer,
    /// The answer is correct and waits until this many bytes of content were sent for addresses that contain `part`.
    Waits { part: &'static str, bytes: u64 },
    /// This status with these extra headers and a JSON error body.
    Status {
        code: u16,
        headers: Vec<(String, String)>,
    },
    /// This status, and an error page that never ends.
    StalledError { code: u16 },
    /// The CDN refuses the signed link with 403, and from then on that link for ever; a new link works.
    ExpiredLink,
    /// A range request gets 200 and the whole file.
    IgnoreRange,
    /// A range request gets at most this much, from the start of what it asks for (RFC 9110, 15.3.7 allows it).
    ShortRange { most: u64 },
    /// The CDN refuses requests without a range with 400, as storage networks do with very large files.
    WantsRange,
    /// The answer to a HEAD request says this length, in bytes.
    HeadLength(u64),
    /// `Content-Length` is wrong by this much; the body is whole (cut at the header when that is smaller).
    WrongContentLength { off_by: i64 },
    /// The right number of bytes, one of them (in the middle of what is sent) flipped.
    WrongBytes,
    /// The file was replaced after the listing: the answer for the file has another commit, ETag and size, and other bytes.
    ChangedAfterListing,
    /// The body is gzip-encoded although the request asks for `identity`.
    Gzip,
    /// Page `page` (from 1) of a tree listing fails with this status.
    TreePageFails { page: usize, status: u16 },
    /// These headers replace those of a successful answer; an empty value removes one.
    Headers(Vec<(&'static str, &'static [u8])>),
    /// 200 with this content type and body, whatever was asked.
    Body(&'static str, &'static str),
    /// JSON that ends in the middle.
    MalformedJson,
    /// JSON whose leaves have other types: numbers as text, text as numbers, null as objects.
    WrongTypes,
    /// Every file of a listing is listed a second time: the same, or with another hash.
    RepeatedRows { differing: bool },
    /// Redirects to the address of the request itself.
    RedirectLoop,
    /// Redirects to this address, whatever was asked.
    ForeignRedirect(String),
    /// Redirects to the same host over plain http. (A downgrade only when the Hub is served over https.)
    HttpDowngrade,
}

impl Fault {
    /// An error status without further headers.
    pub fn status(code: u16) -> Self {
        Self::status_with(code, &[])
    }

    /// An error status with headers, such as `("Retry-After", "1")`.
    pub fn status_with(code: u16, headers: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Self::Status {
            code,
            headers: headers.iter().map(own).collect(),
        }
    }

    /// 429 whose headers say that the window of the `api` quota ends in `seconds`.
    pub fn rate_limited(seconds: u64) -> Self {
        let limit = format!("\"api\";r=0;t={seconds}");
        let policy = "\"fixed window\";\"api\";q=500;w=300";
        Self::status_with(429, &[("RateLimit", &limit), ("RateLimit-Policy", policy)])
    }

    /// Strikes only requests whose decoded `path?query` contains `part` (links of the CDN carry the file name).
    pub fn on(self, part: &str) -> Rule {
        Rule::from(self).on(part)
    }

    /// Strikes at most `count` times.
    pub fn times(self, count: usize) -> Rule {
        Rule::from(self).times(count)
    }

    /// See [`Rule::optional`].
    pub fn optional(self) -> Rule {
        Rule::from(self).optional()
    }
}

/// A fault and when it strikes. Without limits: every request, always.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    part: String,
    left: usize,
    pass: usize,
    origin: Option<Origin>,
    method: Option<String>,
    optional: bool,
    together: usize,
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            part: String::new(),
            left: usize::MAX,
            pass: 0,
            origin: None,
            method: None,
            optional: false,
            together: 1,
        }
    }
}

impl Rule {
    /// Strikes only requests whose decoded `path?query` contains `part`.
    #[must_use]
    pub fn on(mut self, part: &str) -> Self {
        self.part = part.to_owned();
        self
    }

    /// Strikes at most `count` times.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.left = count;
        self
    }

    /// Lets the first `count` requests that it could strike pass.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.pass = count;
        self
    }

    /// Strikes at one origin only.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Strikes one method only.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// No failure if no request meets it: for a request that must not be made, or that a race decides.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Strikes only before an answer, and holds the answers back until this many requests were struck: all of them are on
    /// their way at the same time.
    #[must_use]
    pub fn together(mut self, count: usize) -> Self {
        self.together = count;
        self
    }

    fn covers(&self, asked: &Asked) -> bool {
        self.left > 0
            && self.origin.is_none_or(|origin| origin == asked.origin)
            && self.method.as_ref().is_none_or(|m| *m == asked.method)
            && asked.subject.contains(&self.part)
    }
}

/// A fault that was switched on: counts its strikes.
#[derive(Clone, Debug)]
pub struct Strikes(Arc<AtomicUsize>);

impl Strikes {
    /// How often the fault struck so far.
    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// The rules in force, first come first served.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<(Rule, Strikes)>>);

impl Faults {
    /// Puts a rule in force.
    pub fn add(&self, rule: Rule) -> Strikes {
        let strikes = Strikes(Arc::default());
        let mut rules = self.0.lock().expect("faults");
        rules.push((rule, strikes.clone()));
        strikes
    }

    /// Whether no fault is in force.
    pub fn is_empty(&self) -> bool {
        self.0.lock().expect("faults").is_empty()
    }

    /// Ends all faults; returns those that no request met although they are not optional, a line each.
    pub fn clear(&self) -> Vec<String> {
        let rules = std::mem::take(&mut *self.0.lock().expect("faults"));
        let unmet = rules
            .iter()
            .filter(|(rule, strikes)| !rule.optional && strikes.count() == 0);
        unmet.map(|(rule, _)| format!("{rule:?}")).collect()
    }

    /// As [`Faults::strike`] with the faults of [`before`], once [`Rule::together`] allows.
    pub async fn strike_before(&self, asked: &Asked) -> Option<Fault> {
        let (rule, strikes) = self.take(asked, before)?;
        while strikes.count() < rule.together {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        Some(rule.fault)
    }

    /// The fault that strikes this request, if one of the kind that `fits` covers it. Counts it.
    pub fn strike(&self, asked: &Asked, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        self.take(asked, fits).map(|(rule, _)| rule.fault)
    }

    fn take(&self, asked: &Asked, fits: impl Fn(&Fault) -> bool) -> Option<(Rule, Strikes)> {
        let mut rules = self.0.lock().expect("faults");
        for (rule, strikes) in rules.iter_mut() {
            if !fits(&rule.fault) || !rule.covers(asked) {
                continue;
            }
            if rule.pass > 0 {
                rule.pass -= 1;
                continue;
            }
            rule.left = rule.left.saturating_sub(1);
            strikes.0.fetch_add(1, SeqCst);
            return Some((rule.clone(), strikes.clone()));
        }
        None
    }
}

/// Strikes before the request is looked at.
pub fn before(fault: &Fault) -> bool {
    use Fault::*;
    matches!(
        fault,
        NeverAnswer
            | Waits { .. }
            | Status { .. }
            | StalledError { .. }
            | Body(..)
            | RedirectLoop
            | ForeignRedirect(_)
            | HttpDowngrade
    )
}

/// Strikes the head of an answer.
pub fn on_head(fault: &Fault) -> bool {
    matches!(fault, Fault::Headers(_))
}

/// Strikes a JSON answer.
pub fn on_json(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::MalformedJson | Fault::WrongTypes | Fault::RepeatedRows { .. }
    )
}

/// Strikes a body on its way.
pub fn on_body(fault: &Fault) -> bool {
    use Fault::*;
    matches!(
        fault,
        ResetMidBody { .. }
            | CloseEarly { .. }
            | Stall { .. }
            | Trickle { .. }
            | WrongContentLength { .. }
            | WrongBytes
            | Gzip
    )
}

/// The same shape with leaves of other types.
pub fn wrong_types(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(bool) => json!(bool.to_string()),
        Value::Number(number) => json!(number.to_string()),
        Value::String(text) => json!(text.len()),
        Value::Array(items) => items.iter().map(wrong_types).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(k, v)| (k.clone(), wrong_types(v)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

/// A listing and all its files once more.
pub fn repeated(listing: &Value, differing: bool) -> Value {
    let rows = listing.as_array().into_iter().flatten();
    let again = rows.clone().cloned().map(|mut row| {
        if differing && row["type"] == "file" {
            row["oid"] = json!("f".repeat(40));
        }
        row
    });
    rows.cloned().chain(again).collect()
}

/// `data` as a gzip member of stored blocks (RFC 1951 section 3.2.4, RFC 1952).
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = data.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32(data).to_le_bytes());
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out
}

/// CRC-32 as gzip computes it (RFC 1952 section 8).
fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}
