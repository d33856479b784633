//! A relay in front of a server that can end its answers: by silence, or as if the server had died.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::hub::{Port, close};

/// Relays to the server at `address` (`http://host:port`) and lets this many bytes of its answers pass; then it keeps
/// its connections open and sends nothing more, on these or on new ones.
pub fn falling_silent(address: &str, after_bytes: u64) -> Relay {
    Relay::letting_pass(address, after_bytes)
}

/// A relay to a server. When it is dropped, or cut, the server is dead as far as its clients can tell: open connections
/// end, and new ones are refused for as long as the process lives.
pub struct Relay {
    port: &'static Port,
    listener: TcpListener,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    /// Bytes of answers that may still pass.
    left: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to the server at `address` (`http://host:port`).
    pub fn before(address: &str) -> Self {
        Self::letting_pass(address, u64::MAX)
    }

    fn letting_pass(address: &str, bytes: u64) -> Self {
        let target = address.trim_start_matches("http://").to_owned();
        // Held for ever: a client that still asks the dead server must not reach that of another test.
        let port: &'static Port = Box::leak(Box::new(Port::free()));
        let listener = port.listen();
        let (left, streams) = (Arc::new(AtomicU64::new(bytes)), Arc::default());
        let leaving = Arc::clone(&left);
        let accepting = listener.try_clone().expect("listener");
        let known: Arc<Mutex<Vec<TcpStream>>> = Arc::clone(&streams);
        std::thread::spawn(move || {
            // Ends when the listener is closed.
            while let Ok((client, _)) = accepting.accept() {
                let (Ok(server), left) = (TcpStream::connect(&target), left.clone()) else {
                    continue;
                };
                let both = |stream: &TcpStream| stream.try_clone().expect("socket");
                known
                    .lock()
                    .expect("streams")
                    .extend([both(&client), both(&server)]);
                let (asking, answering) = (both(&client), both(&server));
                std::thread::spawn(move || pass(asking, server, &AtomicU64::new(u64::MAX)));
                std::thread::spawn(move || pass(answering, client, &left));
            }
        });
        Self {
            port,
            listener,
            streams,
            left: leaving,
        }
    }

    /// Bytes of answers that passed, where any number may pass.
    pub fn passed(&self) -> u64 {
        u64::MAX - self.left.load(SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.streams.lock().expect("streams").len() / 2
    }

    /// `http://host:port` of the relay.
    pub fn address(&self) -> String {
        format!("http://{}", self.port.address())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        close(&self.listener);
        for stream in self.streams.lock().expect("streams").drain(..) {
            // Fails for those that have ended.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Copies until one side ends, which ends the other too; or until `left` is used up, and then waits for ever.
fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let taken = left.fetch_update(SeqCst, SeqCst, |left| {
            Some(left.saturating_sub(length as u64))
        });
        let allowed = (length as u64).min(taken.unwrap_or_default()) as usize;
        if to.write_all(&buffer[..allowed]).is_err() {
            break;
        }
        if allowed < length {
            loop {
                std::thread::park();
            }
        }
    }
    // The other thread, and the list of streams, have copies of the socket: dropping this one alone ends nothing.
    let _ = to.shutdown(Shutdown::Write);
}
