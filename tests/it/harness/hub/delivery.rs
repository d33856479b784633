//! Whether the bytes written to a connection have reached the program at its other end.
//!
//! A reset throws away what the receiver's socket still holds, and a connection that is closed at once
//! what the sender has not written yet. A fault that promises "this many bytes, then a reset" therefore has
//! to wait until they were read, however busy the machine is.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// What is known of the bytes of one connection.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Our address and the peer's.
    ends: Option<(SocketAddr, SocketAddr)>,
    /// Everything handed to the HTTP library was handed to the kernel.
    is_written: AtomicBool,
}

impl Delivery {
    /// Watches the connection between these.
    pub fn between(ends: Option<(SocketAddr, SocketAddr)>) -> Self {
        Self {
            ends,
            is_written: AtomicBool::new(false),
        }
    }

    /// Bytes were handed to the HTTP library.
    pub fn given(&self) {
        self.is_written.store(false, SeqCst);
    }

    /// It has handed all of them to the kernel.
    pub fn written(&self) {
        self.is_written.store(true, SeqCst);
    }

    /// Whether the other end has read everything; `None` where the system cannot say.
    pub fn is_complete(&self) -> Option<bool> {
        let (ours, theirs) = self.ends?;
        let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
        // A row that is gone is a connection that is over.
        let unsent = row_of(&table, ours, theirs).map_or(0, |(sending, _)| sending);
        let unread = row_of(&table, theirs, ours).map_or(0, |(_, receiving)| receiving);
        Some(self.is_written.load(SeqCst) && unsent == 0 && unread == 0)
    }
}

/// Bytes in the two queues of a connection, in the format of proc(5): addresses and lengths in hexadecimal.
fn row_of(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<(u64, u64)> {
    let (local, remote) = (in_table(local)?, in_table(remote)?);
    let mut rows = table.lines().map(str::split_ascii_whitespace);
    let row = rows.find(|row| {
        let mut row = row.clone().skip(1);
        row.next() == Some(&local) && row.next() == Some(&remote)
    });
    let (sending, receiving) = row?.nth(4)?.split_once(':')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(sending)?, number(receiving)?))
}

/// An address as the table has it: the four bytes as one number of this machine.
fn in_table(address: SocketAddr) -> Option<String> {
    match address.ip() {
        IpAddr::V4(ip) => {
            let number = u32::from_ne_bytes(ip.octets());
            Some(format!("{number:08X}:{:04X}", address.port()))
        }
        IpAddr::V6(_) => None,
    }
}

#[test]
fn rows_of_the_table_are_read() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
   0: 0100007F:8F0C 0100007F:1F90 01 00000010:0000ABCD 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:1F90 0100007F:8F0C 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n";
    let (a, b) = (
        ([127, 0, 0, 1], 0x8f0c).into(),
        ([127, 0, 0, 1], 8080).into(),
    );
    if cfg!(target_endian = "little") {
        assert_eq!(row_of(table, a, b), Some((16, 0xabcd)));
        assert_eq!(row_of(table, b, a), Some((0, 0)));
    }
    assert_eq!(row_of(table, a, a), None);
}
