//! The wire: answers, HTTP versions, mirrors, proxies.

mod answers;
mod http2;
mod mirror;
mod proxy;
