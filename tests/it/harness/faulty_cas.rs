//! A server in front of a Xet storage server that changes its answers: the faults that the library's own server cannot
//! simulate. The links in its plans lead back to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request to the storage.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What it asks for.
    pub kind: Kind,
    /// How many of this kind were sent before it.
    pub index: usize,
    /// Path and query.
    pub target: String,
    /// The header `range`.
    pub range: Option<String>,
    /// The header `authorization`.
    pub authorization: Option<String>,
    /// All headers, in lower case.
    pub head: String,
}

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plan,
    Range,
    Other,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is sent, changed or not.
    Send,
    /// This status and no body in its place.
    Status(u16),
    /// It breaks off after so many bytes of its body.
    CutAt(usize),
}

/// A running server. It serves until the process ends.
pub struct FaultyCas {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FaultyCas {
    /// A server in front of the one at `endpoint` (`http://host:port`). `fault` may change the body of each answer.
    pub fn before(
        endpoint: &str,
        fault: impl Fn(&Asked, &mut Vec<u8>) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = format!("http://{}", listener.local_addr().expect("address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (known, fault) = (Arc::clone(&asked), Arc::new(fault));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (known, fault, target) =
                    (Arc::clone(&known), Arc::clone(&fault), target.clone());
                // The client may go away at any time.
                std::thread::spawn(move || serve(client, &target, &known, &*fault));
            }
        });
        Self { address, asked }
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> &str {
        &self.address
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("requests").clone()
    }

    /// Requests of a kind so far.
    pub fn count(&self, kind: Kind) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.kind == kind)
            .count()
    }
}

fn serve(
    client: TcpStream,
    target: &str,
    known: &Mutex<Vec<Asked>>,
    fault: &dyn Fn(&Asked, &mut Vec<u8>) -> Fate,
) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    while let Some(head) = read_head(&mut reader) {
        let asked = {
            let mut known = known.lock().expect("requests");
            let asked = request(&head, &known);
            known.push(asked.clone());
            asked
        };
        let (status, mut body) = forward(&head, target)?;
        let (status, length) = match fault(&asked, &mut body) {
            Fate::Send => (status, body.len()),
            Fate::CutAt(length) => (status, length.min(body.len())),
            Fate::Status(status) => {
                body.clear();
                (status, 0)
            }
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).ok()?;
        client.write_all(&body[..length]).ok()?;
        if length < body.len() {
            return None;
        }
    }
    Some(())
}

fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn request(head: &str, before: &[Asked]) -> Asked {
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let kind = match target.as_str() {
        path if path.contains("/reconstructions/") => Kind::Plan,
        path if path.contains("/fetch_term") => Kind::Range,
        _ => Kind::Other,
    };
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    Asked {
        kind,
        index: before.iter().filter(|asked| asked.kind == kind).count(),
        target,
        range: header("range"),
        authorization: header("authorization"),
        head: head.to_lowercase(),
    }
}

/// Status and body of the storage's answer.
fn forward(head: &str, target: &str) -> Option<(u16, Vec<u8>)> {
    let mut server = TcpStream::connect(target).ok()?;
    let head = head.trim_end_matches("\r\n");
    write!(server, "{head}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    assert!(!head.contains("transfer-encoding"), "{head}");
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_off(end)))
}
