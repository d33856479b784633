//! The wire: answers, HTTP versions, mirrors, proxies, certificates.

mod answers;
mod http2;
mod mirror;
mod proxy;
mod tls;
