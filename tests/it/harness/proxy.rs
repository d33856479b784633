//! Proxies on the loopback interface: one for HTTP (`CONNECT`, and whole addresses in the request line) and one for SOCKS 5.
//! Each connection has a thread; they end with the connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A running proxy. It serves until the process ends.
pub struct Proxy {
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// An HTTP proxy; with `login` it answers 407 to requests without this value of `Proxy-Authorization`.
    pub fn http(login: Option<&'static str>) -> Self {
        Self::start(move |client, log| http(client, log, login))
    }

    /// A SOCKS 5 proxy (RFC 1928) without passwords.
    pub fn socks() -> Self {
        Self::start(socks)
    }

    fn start(
        serve: impl Fn(TcpStream, &Mutex<Vec<String>>) -> Option<()> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let port = listener.local_addr().expect("address").port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = log.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (serve, log) = (serve.clone(), shared.clone());
                // The test itself ends connections.
                std::thread::spawn(move || serve(client, &log));
            }
        });
        Self { port, log }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it was asked for: request lines without version, or `SOCKS host:port`.
    pub fn asked(&self) -> Vec<String> {
        self.log.lock().expect("log").clone()
    }
}

/// Reads up to the empty line.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).ok()
}

fn http(mut client: TcpStream, log: &Mutex<Vec<String>>, login: Option<&str>) -> Option<()> {
    let head = head(&mut client)?;
    let line = head.lines().next()?;
    let (method, rest) = line.split_once(' ')?;
    let target = rest.split(' ').next()?;
    log.lock().expect("log").push(format!("{method} {target}"));
    let shown = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .starts_with("proxy-authorization:")
            .then(|| line[20..].trim())
    });
    if login.is_some() && shown != login {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(answer.as_bytes()).ok();
    }
    if method == "CONNECT" {
        let server = TcpStream::connect(target).ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        return pipe(client, server);
    }
    let (host, path) = target.strip_prefix("http://")?.split_once('/')?;
    let mut server = TcpStream::connect(host).ok()?;
    let headers = head.split_once("\r\n")?.1;
    // One request a connection, so that each is seen.
    let request = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\n{headers}");
    server.write_all(request.as_bytes()).ok()?;
    pipe(client, server)
}

fn socks(mut client: TcpStream, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        client.read_exact(&mut bytes).ok()?;
        Some(bytes)
    };
    let methods = read(2)?[1];
    read(methods.into())?;
    (&client).write_all(&[5, 0]).ok()?;
    let read = |count: usize| {
        let mut bytes = vec![0; count];
        (&client).read_exact(&mut bytes).ok()?;
        Some(bytes)
    };
    let host = match read(4)?[3] {
        1 => {
            let octets: Vec<String> = read(4)?.iter().map(u8::to_string).collect();
            octets.join(".")
        }
        3 => {
            let length = read(1)?[0];
            String::from_utf8(read(length.into())?).ok()?
        }
        _ => return None,
    };
    let port = read(2)?;
    let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
    log.lock().expect("log").push(format!("SOCKS {target}"));
    let server = TcpStream::connect(target).ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    pipe(client, server)
}

/// Passes bytes both ways until either side ends.
fn pipe(client: TcpStream, server: TcpStream) -> Option<()> {
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        // Either side may go away at any time.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    Some(())
}
