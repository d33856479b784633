//! How far a download is: bars on a terminal, lines elsewhere.

pub(super) mod bars;
mod frame;
pub(super) mod lines;
pub(super) mod screen;
