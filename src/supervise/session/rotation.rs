//! Which segments a transcript has: when the next one begins, and which one goes then. A long transcript keeps its
//! beginning for good and its newest bytes in two segments, the one that is written and the one before. Knows no file.

/// How large segments are. A segment may be larger by one batch.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes of the first segment, which stays.
    pub head: u64,
    /// Bytes of each that follows. Of the newest bytes at least so many are kept, and at most twice as many.
    pub segment: u64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        // What a program that never ends writes must not fill the disk. The beginning is what viewers get of it too.
        Sizes { head: crate::scrollback::HEAD as u64, segment: 32 << 20 }
    }
}

/// What has to be done before further bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// A segment begins, with the byte of this number.
    pub(super) begin: u64,
    /// The segment that began with this one goes.
    pub(super) remove: Option<u64>,
}

/// Where a transcript stands. Segments go by the number of their first byte.
#[derive(Debug)]
pub(super) struct Rotation {
    sizes: Sizes,
    previous: u64,
    current: u64,
    end: u64,
}

impl Rotation {
    /// A transcript without a byte.
    pub(super) fn new(sizes: Sizes) -> Rotation {
        Rotation { sizes, previous: 0, current: 0, end: 0 }
    }

    /// So many bytes went into the current segment.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.end += bytes as u64;
    }

    /// What has to be done before the next bytes; none: they go where the last ones went.
    pub(super) fn turn(&mut self) -> Option<Turn> {
        let most = if self.current == 0 { self.sizes.head } else { self.sizes.segment };
        if self.end - self.current < most.max(1) {
            return None;
        }
        let remove = (self.previous > 0).then_some(self.previous);
        (self.previous, self.current) = (self.current, self.end);
        Some(Turn { begin: self.current, remove })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_first_stays_and_the_one_before_the_previous_goes() {
        let mut rotation = Rotation::new(Sizes { head: 10, segment: 100 });
        let mut write = |bytes| {
            let turn = rotation.turn();
            rotation.wrote(bytes);
            turn
        };
        assert_eq!(write(9), None);
        assert_eq!(write(5), None);
        assert_eq!(write(99), Some(Turn { begin: 14, remove: None }));
        assert_eq!(write(1), None);
        assert_eq!(write(300), Some(Turn { begin: 114, remove: None }), "a batch is never cut");
        assert_eq!(write(1), Some(Turn { begin: 414, remove: Some(14) }));
    }

    proptest! {
        #[test]
        fn beginning_and_newest_bytes_are_kept_and_little_else(
            batches in prop::collection::vec(1usize..40, 0..200), head in 0u64..100, segment in 0u64..100,
        ) {
            let mut rotation = Rotation::new(Sizes { head, segment });
            // Segments by their first byte, with their lengths.
            let mut kept = BTreeMap::from([(0u64, 0u64)]);
            let (mut current, mut end) = (0, 0);
            for bytes in batches {
                if let Some(Turn { begin, remove }) = rotation.turn() {
                    prop_assert_eq!(begin, end);
                    prop_assert!(kept.insert(begin, 0).is_none());
                    prop_assert!(remove.is_none_or(|start| kept.remove(&start).is_some()));
                    current = begin;
                }
                rotation.wrote(bytes);
                *kept.get_mut(&current).unwrap() += bytes as u64;
                end += bytes as u64;
                prop_assert!(kept[&0] >= head.min(end));
                // What follows the first segment has no gap in it.
                let newest: u64 = kept.range(1..).map(|(_, length)| length).sum();
                let first = kept.range(1..).next().map_or(end, |(start, _)| *start);
                prop_assert_eq!(first + newest, end);
                prop_assert!(newest >= segment.min(end - kept[&0]));
                prop_assert!(kept[&0] + newest <= head + 2 * segment + 3 * 40);
            }
        }
    }
}
