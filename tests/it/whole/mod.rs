//! The whole program and its sources: rooms, documents, signals, limits, other programs in the same cache.

mod docs;
mod door;
mod embed;
mod foreign_bytes;
mod imports;
mod interop;
pub mod layers;
mod limits;
mod neighbours;
mod nothing_left;
mod pages;
mod signals;
mod unasked;
