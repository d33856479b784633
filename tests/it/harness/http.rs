//! A minimal HTTP client: one request on one connection, no redirects, no retries. It shows what is on the wire, down to
//! how the connection ended.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer as it arrived.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 0 when no whole head arrived.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes that arrived, whatever `Content-Length` promised.
    pub body: Vec<u8>,
    /// How the connection ended: `None` when it was closed in order; `WouldBlock` when nothing came for too long.
    pub end: Option<ErrorKind>,
}

impl Answer {
    /// The value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What `Content-Length` promised.
    #[track_caller]
    pub fn promised(&self) -> usize {
        let value = self.header("content-length").expect("content-length");
        value.parse().expect("a number")
    }
}

/// `GET` of an `http://` address.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    request("GET", url, headers, "", Duration::from_secs(10))
}

/// `HEAD` of an `http://` address.
pub fn head(url: &str, headers: &[(&str, &str)]) -> Answer {
    request("HEAD", url, headers, "", Duration::from_secs(10))
}

/// Any request; gives up when nothing arrives for `timeout`. Panics when it cannot connect.
pub fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    timeout: Duration,
) -> Answer {
    receive(send(method, url, headers, body), timeout)
}

/// Sends a request and reads nothing yet. Panics when it cannot connect.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let rest = url.strip_prefix("http://").expect("an http address");
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let mut stream = TcpStream::connect(host).expect("connect");
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        text.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    stream
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .expect("send");
    stream
}

/// Waits until this many bytes of an answer's body can be read. Panics when the connection ends before.
pub fn arrived(stream: &TcpStream, body: usize) {
    let mut buffer = vec![0; body + (1 << 14)];
    super::eventually("the body", || {
        let length = stream.peek(&mut buffer).expect("a connection");
        assert_ne!(length, 0, "the connection has ended");
        let head = buffer[..length].windows(4).position(|b| b == b"\r\n\r\n");
        head.is_some_and(|head| length - head - 4 >= body)
    });
}

/// The rest of an answer; gives up when nothing arrives for `timeout`.
pub fn receive(mut stream: TcpStream, timeout: Duration) -> Answer {
    stream.set_read_timeout(Some(timeout)).expect("timeout");
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).err().map(|e| e.kind());
    parse(&bytes, end)
}

fn parse(bytes: &[u8], end: Option<ErrorKind>) -> Answer {
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = match split {
        Some(at) => (&bytes[..at], &bytes[at + 4..]),
        None => (&bytes[..0], bytes),
    };
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.and_then(|code| code.parse().ok()).unwrap_or(0),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_vec(),
        end,
    }
}
