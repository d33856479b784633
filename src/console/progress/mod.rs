//! How far a download is: bars on a terminal, lines elsewhere.

pub(super) mod bars;
pub(super) mod lines;
