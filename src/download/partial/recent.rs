//! Bytes that were written lately and will be hashed soon.
//!
//! The hash follows what is written. Where it keeps up, the bytes are still in memory, and reading them
//! again would copy every byte once more.

use std::collections::BTreeMap;

use bytes::Bytes;

/// How far behind the position bytes are kept, in bytes: that much memory it takes at most, for each file.
const AHEAD: u64 = 2 << 20;

/// Pieces of a file from a position on.
#[derive(Debug, Default)]
pub struct Recent {
    /// By offset. None begins before `position`.
    pieces: BTreeMap<u64, Bytes>,
    /// What is hashed next; `None` when nothing is hashed.
    position: Option<u64>,
}

impl Recent {
    /// Keeps bytes that were written at an offset, when they are needed soon.
    pub fn add(&mut self, offset: u64, bytes: Bytes) {
        let end = offset + bytes.len() as u64;
        if let Some(position) = self.position
            && offset >= position
            && end <= position + AHEAD
        {
            self.pieces.insert(offset, bytes);
        }
    }

    /// The bytes at a position, if they are here; those before it are not needed any more.
    pub fn take(&mut self, position: u64) -> Option<Bytes> {
        self.position = Some(position);
        while let Some((&offset, _)) = self.pieces.first_key_value() {
            match offset {
                _ if offset > position => return None,
                _ if offset == position => return self.pieces.remove(&offset),
                _ => drop(self.pieces.pop_first()),
            }
        }
        None
    }

    /// Where the first piece begins.
    pub fn first(&self) -> Option<u64> {
        self.pieces.keys().next().copied()
    }

    /// Nothing is hashed any more.
    pub fn stop(&mut self) {
        *self = Recent::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_soon_is_kept() {
        let piece = |length: u64| Bytes::from(vec![7; length as usize]);
        let mut recent = Recent::default();
        recent.add(0, piece(10));
        assert_eq!(recent.take(0), None, "nothing was hashed then");
        recent.add(0, piece(10));
        recent.add(10, piece(5));
        recent.add(20, piece(5));
        recent.add(AHEAD - 5, piece(5));
        recent.add(AHEAD - 4, piece(5));
        assert_eq!(recent.take(0).map(|it| it.len()), Some(10));
        assert_eq!(recent.take(10).map(|it| it.len()), Some(5));
        assert_eq!((recent.take(15), recent.first()), (None, Some(20)));
        recent.add(14, piece(1));
        assert_eq!(recent.first(), Some(20), "it is behind");
        assert_eq!(
            recent.take(22),
            None,
            "the piece at 20 was read from the file"
        );
        assert_eq!(recent.take(AHEAD - 5).map(|it| it.len()), Some(5));
        assert_eq!(recent.first(), None);
        recent.add(AHEAD, piece(1));
        recent.stop();
        assert_eq!((recent.first(), recent.position), (None, None));
    }
}
