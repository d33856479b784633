//! Ports of the loopback interface that belong to one test from their first use to their last, also while nothing
//! listens.
//!
//! A port that is closed is given to the next program that asks for one: with many tests at once, "connection refused" is
//! then luck. Here a second socket, bound and never listening, holds the port. And a listener ends by `shutdown(2)`, not
//! only by `close(2)`: a child that another thread is just starting has a copy of every descriptor until its `exec`, and
//! would continue to accept connections that no thread serves.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::LazyLock;

use socket2::{Domain, SockRef, Socket, Type};

/// A port that is held until this is dropped. Connections to it are refused while nothing listens.
#[derive(Debug)]
pub struct Port {
    _holder: Socket,
    address: SocketAddr,
}

impl Port {
    /// A free port.
    pub fn free() -> Self {
        Self::numbered(0)
    }

    /// This port; 0 lets the system choose. Panics when it is taken.
    pub fn numbered(number: u16) -> Self {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
        let holder = bound(wanted);
        let address = holder.local_addr().expect("address").as_socket();
        Self {
            _holder: holder,
            address: address.expect("an IP address"),
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on it. Panics while another listener is open.
    pub fn listen(&self) -> TcpListener {
        let socket = bound(self.address);
        let listening = socket.listen(1024);
        listening.unwrap_or_else(|e| panic!("listen at {}: {e}", self.address));
        socket.into()
    }
}

/// Sockets that share a port in this way may all be bound, and one of them may listen (socket(7), `SO_REUSEADDR`). The
/// system never chooses such a port for another program.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    let bound = socket.bind(&address.into());
    bound.unwrap_or_else(|e| panic!("bind {address}: {e}"));
    socket
}

/// Ends a listener for all who have a copy of its descriptor: from now on connections are refused.
pub fn close(listener: &impl AsFd) {
    // Fails only for what does not listen.
    let _ = SockRef::from(listener).shutdown(Shutdown::Both);
}

/// An address of the loopback interface where nothing listens while this process runs.
pub fn closed() -> SocketAddr {
    static CLOSED: LazyLock<Port> = LazyLock::new(Port::free);
    CLOSED.address()
}
