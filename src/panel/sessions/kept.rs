//! Which bytes of a transcript are kept, and where: pure, from the first numbers and the lengths of its segments. Whatever a kill
//! or a power cut left of them, a byte keeps its number. Knows no file.

use std::ops::Range;

/// The numbers of the bytes of each segment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept(Vec<Range<u64>>);

/// What comes next for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// Numbers of bytes that follow each other in one segment; beyond the last one, none.
    pub(super) bytes: Range<u64>,
    /// The segment, by its place.
    pub(super) segment: usize,
    /// Number of the segment's first byte.
    pub(super) start: u64,
}

impl Kept {
    /// Of segments in order, as (first number, length).
    pub(super) fn of(segments: &[(u64, u64)]) -> Kept {
        let stop = |i: usize| segments.get(i + 1).map_or(u64::MAX, |(next, _)| *next);
        // What a segment has beyond the next one's beginning is the next one's.
        let range = |(i, (start, length)): (usize, &(u64, u64))| *start..start.saturating_add(*length).min(stop(i));
        Kept(segments.iter().enumerate().map(range).collect())
    }

    /// Number of the byte that would come next. Where a segment begins, everything before was written, kept or not.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    /// Up to `most` bytes from number `from`, or from the first after it that is kept.
    pub(super) fn next(&self, from: u64, most: u64) -> Next {
        let found = self.0.iter().enumerate().find(|(_, range)| range.end > from && !range.is_empty());
        found.map_or(Next { bytes: self.end()..self.end(), segment: 0, start: 0 }, |(segment, range)| {
            let from = from.max(range.start);
            Next { bytes: from..range.end.min(from.saturating_add(most)), segment, start: range.start }
        })
    }

    /// How many bytes from number `from` on are not kept.
    pub(super) fn dropped(&self, from: u64) -> u64 {
        let kept: u64 = self.0.iter().map(|range| range.end.saturating_sub(range.start.max(from))).sum();
        self.end().saturating_sub(from) - kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_counted_and_skipped() {
        let kept = Kept::of(&[(0, 10), (30, 5), (35, 2), (40, 0)]);
        assert_eq!(kept.end(), 40);
        assert_eq!(kept.next(4, 100), Next { bytes: 4..10, segment: 0, start: 0 });
        assert_eq!(kept.next(4, 3).bytes, 4..7);
        assert_eq!(kept.next(10, 100), Next { bytes: 30..35, segment: 1, start: 30 });
        assert_eq!(kept.next(35, 100).bytes, 35..37);
        assert_eq!(kept.next(37, 100).bytes, 40..40, "lost at the end: it is told where the end is");
        assert_eq!(kept.next(99, 100).bytes, 40..40);
        assert_eq!([0, 10, 12, 30, 37, 40, 99].map(|from| kept.dropped(from)), [23, 23, 21, 3, 3, 0, 0]);
        assert_eq!(Kept::of(&[]).next(7, 7).bytes, 0..0);
    }

    proptest! {
        #[test]
        fn whoever_reads_on_gets_each_kept_byte_once_under_its_number(
            segments in prop::collection::btree_map(0u64..200, 0u64..60, 0..6), from in 0u64..300, most in 1u64..40,
        ) {
            let segments: Vec<(u64, u64)> = segments.into_iter().collect();
            let kept = Kept::of(&segments);
            // Which segment has a byte: the last that begins at or before it, if it is long enough.
            let owner = |byte: u64| {
                let (i, (start, length)) = segments.iter().enumerate().rfind(|(_, (start, _))| *start <= byte)?;
                (byte - start < *length).then_some(i)
            };
            let (mut at, mut dropped) = (from, 0);
            loop {
                let Next { bytes, segment, start } = kept.next(at, most);
                dropped += bytes.start.saturating_sub(at);
                prop_assert!((at..bytes.start).all(|byte| owner(byte).is_none()));
                if bytes.is_empty() {
                    break;
                }
                prop_assert!(bytes.end - bytes.start <= most);
                prop_assert!(bytes.clone().all(|byte| owner(byte) == Some(segment)));
                prop_assert_eq!(start, segments[segment].0);
                at = bytes.end;
            }
            prop_assert_eq!(dropped, kept.dropped(from));
            prop_assert!((kept.end()..400).all(|byte| owner(byte).is_none()));
        }
    }
}
