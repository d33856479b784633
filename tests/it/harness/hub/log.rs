//! What the Hub was asked: one record per request, visible from the moment it arrives.

use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// Which of the two servers was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The Hub itself: knows users, may see tokens.
    Hub,
    /// The content delivery network: another origin, must never see a token.
    Cdn,
}

/// One request as it arrived and how far its answer went.
#[derive(Clone, Debug)]
pub struct Request {
    pub origin: Origin,
    /// It came over TLS.
    pub encrypted: bool,
    pub method: String,
    /// As sent: percent-encoded.
    pub path: String,
    /// Without the question mark, empty when absent.
    pub query: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// What followed `Bearer ` in the `authorization` header, or the whole header when it did not start so.
    pub authorization: Option<String>,
    pub user_agent: Option<String>,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// It came over HTTP/2, whose connections are shared.
    pub shared: bool,
    /// 0 while unanswered.
    pub status: u16,
    /// Bytes of the body handed to the connection so far.
    pub body_bytes_sent: u64,
    /// The body is file content, not JSON or an error.
    pub content: bool,
}

impl Request {
    /// The value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A one-line form for failure messages: never shows the token.
    pub fn line(&self) -> String {
        let range = self.range.as_deref().unwrap_or("-");
        let auth = if self.authorization.is_some() {
            "token"
        } else {
            "no token"
        };
        format!(
            "{:?} {} {} ?{} [{range}] {auth} -> {} ({} bytes)",
            self.origin, self.method, self.path, self.query, self.status, self.body_bytes_sent
        )
    }
}

/// A record under construction, shared with the body that is being sent.
#[derive(Debug)]
pub struct Record {
    asked: Request,
    status: AtomicU16,
    sent: AtomicU64,
    content: std::sync::atomic::AtomicBool,
}

impl Record {
    /// Notes the answer's status and whether its body is file content.
    pub fn answered(&self, status: u16, content: bool) {
        self.content.store(content, SeqCst);
        self.status.store(status, SeqCst);
    }

    /// Counts body bytes.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, SeqCst);
    }

    fn snapshot(&self) -> Request {
        Request {
            status: self.status.load(SeqCst),
            body_bytes_sent: self.sent.load(SeqCst),
            content: self.content.load(SeqCst),
            ..self.asked.clone()
        }
    }
}

/// All records, in order of arrival.
#[derive(Debug, Default)]
pub struct Log {
    records: Mutex<Vec<Arc<Record>>>,
    connections: AtomicUsize,
}

impl Log {
    /// Starts the record of a request.
    pub fn begin(&self, asked: Request) -> Arc<Record> {
        let record = Arc::new(Record {
            asked,
            status: AtomicU16::new(0),
            sent: AtomicU64::new(0),
            content: false.into(),
        });
        self.records.lock().expect("log").push(record.clone());
        record
    }

    /// Copies of all records so far.
    pub fn requests(&self) -> Vec<Request> {
        let records = self.records.lock().expect("log");
        records.iter().map(|record| record.snapshot()).collect()
    }

    /// Bytes of file content sent so far in answer to requests that fit.
    pub fn content_bytes(&self, fits: impl Fn(&Request) -> bool) -> u64 {
        let records = self.records.lock().expect("log");
        let content = records
            .iter()
            .filter(|record| record.content.load(SeqCst) && fits(&record.asked));
        content.map(|record| record.sent.load(SeqCst)).sum()
    }

    /// Forgets all records and the number of connections.
    pub fn clear(&self) {
        self.records.lock().expect("log").clear();
        self.connections.store(0, SeqCst);
    }

    /// Counts an accepted connection.
    pub fn connected(&self) {
        self.connections.fetch_add(1, SeqCst);
    }

    /// Connections accepted so far on both origins.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}
