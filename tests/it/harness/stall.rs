//! A server that falls silent: what it says is another server's, until it has said enough. It then keeps its connections
//! open and sends nothing more, on these or on new ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Stands before the server at `address` (`http://host:port`) and lets this many bytes of its answers pass. Answers its own
/// address. Its threads end with the process.
pub fn falling_silent(address: &str, after_bytes: u64) -> String {
    let target = address.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let own = listener.local_addr().expect("address");
    let left = Arc::new(AtomicU64::new(after_bytes));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (Ok(server), left) = (TcpStream::connect(&target), left.clone()) else {
                continue;
            };
            let (asking, answering) = (client.try_clone(), server.try_clone());
            let (asking, answering) = (asking.expect("socket"), answering.expect("socket"));
            std::thread::spawn(move || pass(asking, server, &AtomicU64::new(u64::MAX)));
            std::thread::spawn(move || pass(answering, client, &left));
        }
    });
    format!("http://{own}")
}

/// Copies until one side ends, or `left` is used up; then waits for ever.
fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let taken = left.fetch_update(SeqCst, SeqCst, |left| {
            Some(left.saturating_sub(length as u64))
        });
        let allowed = (length as u64).min(taken.unwrap_or_default()) as usize;
        if to.write_all(&buffer[..allowed]).is_err() {
            return;
        }
        if allowed < length {
            loop {
                std::thread::park();
            }
        }
    }
}
