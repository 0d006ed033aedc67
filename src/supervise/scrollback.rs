//! What a terminal showed: its first bytes and its latest, each under its absolute number. What lay between is counted,
//! not kept. Knows no terminal; never decodes.

use std::collections::VecDeque;

/// Bytes that are kept of the beginning: how it was started, and usually why it fails.
pub const HEAD: usize = 1 << 20;
/// Bytes that are kept of the end.
pub const TAIL: usize = 1 << 20;

/// The bytes.
#[derive(Debug)]
pub struct Scrollback {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes ever.
    end: u64,
    most: (usize, usize),
}

/// Bytes from some number on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Number of its first byte.
    pub from: u64,
    /// The bytes; none where nothing is newer.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Number of the byte after its last.
    pub fn end(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }
}

impl Default for Scrollback {
    fn default() -> Scrollback {
        Scrollback::with_limits(HEAD, TAIL)
    }
}

impl Scrollback {
    /// Keeps so many bytes of the beginning and of the end.
    pub fn with_limits(head: usize, tail: usize) -> Scrollback {
        Scrollback { head: Vec::new(), tail: VecDeque::new(), end: 0, most: (head, tail) }
    }

    /// Takes further bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.most.0 - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.most.1)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.most.1);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// Number of the byte that comes next.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Up to `most` bytes from number `from`, or from the first after it that is still there. A piece ends where a gap
    /// begins.
    pub fn read(&self, from: u64, most: usize) -> Piece {
        let head = self.head.len() as u64;
        let tail = self.end - self.tail.len() as u64;
        if from < head {
            let at = from as usize;
            return Piece { from, bytes: self.head[at..self.head.len().min(at + most)].to_vec() };
        }
        let from = from.clamp(tail, self.end);
        let at = (from - tail) as usize;
        let stop = self.tail.len().min(at.saturating_add(most));
        let (older, newer) = self.tail.as_slices();
        let cut = |part: &[u8], at: usize, stop: usize| part[at.min(part.len())..stop.min(part.len())].to_vec();
        let mut bytes = cut(older, at, stop);
        bytes.extend(cut(newer, at.saturating_sub(older.len()), stop.saturating_sub(older.len())));
        Piece { from, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beginning_and_end_stay_and_the_middle_is_skipped() {
        let mut kept = Scrollback::with_limits(4, 4);
        kept.push(b"abcdefghijkl");
        assert_eq!(kept.end(), 12);
        assert_eq!(kept.read(0, 100), Piece { from: 0, bytes: b"abcd".to_vec() });
        assert_eq!(kept.read(4, 100), Piece { from: 8, bytes: b"ijkl".to_vec() });
        assert_eq!(kept.read(9, 2), Piece { from: 9, bytes: b"jk".to_vec() });
        assert_eq!(kept.read(12, 100), Piece { from: 12, bytes: Vec::new() });
        assert_eq!(kept.read(99, 100).from, 12);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_what_was_written_there(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            from in 0u64..500, most in 1usize..60, head in 0usize..50, tail in 1usize..50,
        ) {
            let mut kept = Scrollback::with_limits(head, tail);
            chunks.iter().for_each(|c| kept.push(c));
            let all = chunks.concat();
            let piece = kept.read(from, most);
            let at = piece.from as usize;
            prop_assert_eq!(&all[at..at + piece.bytes.len()], &piece.bytes[..]);
            prop_assert!(piece.bytes.len() <= most);
            // Nothing that is kept is skipped, and a reader who goes on gets to the end.
            let skipped = piece.from.saturating_sub(from.min(all.len() as u64));
            let lost = all.len().saturating_sub(head + tail) as u64;
            prop_assert!(skipped <= lost);
            prop_assert!(!piece.bytes.is_empty() || piece.from == all.len() as u64);
        }
    }
}
