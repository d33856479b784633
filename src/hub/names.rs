//! Looks up host names. The HTTP crate's own resolver panics where no thread can be started.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::sys::threads;

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // The HTTP crate sets the port.
            let look_up = move || -> io::Result<Vec<SocketAddr>> {
                Ok((host.as_str(), 0).to_socket_addrs()?.collect())
            };
            let addresses: Addrs = Box::new(threads::run(look_up).await??.into_iter());
            Ok(addresses)
        })
    }
}
