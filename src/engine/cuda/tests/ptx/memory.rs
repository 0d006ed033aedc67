//! The memory that kernels read and write, with a note of who touched what: whatever two threads touch without an order between
//! them is told, and what nobody has written of shared memory. Knows no instruction.

use crate::cuda::driver::{LANES, THREADS};

/// Notes are kept of so many bytes: the least that a thread reads or writes.
const GRAIN: usize = 2;
/// Shared memory begins at this address, so that 0 is none of it.
pub(super) const SHARED: u64 = 1024;
/// The module's own constants begin here, where no program has memory.
pub(super) const CONSTANTS: u64 = 1 << 62;

/// A piece of the card's memory.
#[derive(Debug)]
pub(in super::super) struct Piece<'a> {
    pub(in super::super) at: u64,
    pub(in super::super) bytes: &'a mut [u8],
}

/// Who has touched a grain of the card's memory last, and after how many barriers of their block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    who: Who,
    barriers: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Who {
    #[default]
    Nobody,
    /// A thread, by its number in the launch.
    One(u32),
    /// Threads of a block.
    Several(u32),
    /// Of several blocks.
    Anybody,
}

impl Mark {
    /// Whether what they did is surely done when `thread` does something.
    fn is_before(self, thread: u32, barriers: u32) -> bool {
        match self.who {
            Who::Nobody => true,
            Who::One(other) if other == thread => true,
            Who::One(other) => other / THREADS == thread / THREADS && self.barriers < barriers,
            Who::Several(block) => block == thread / THREADS && self.barriers < barriers,
            Who::Anybody => false,
        }
    }

    /// Those and one more.
    fn and(self, thread: u32, barriers: u32) -> Mark {
        let who = match self.who {
            _ if self.is_before(thread, barriers) => Who::One(thread),
            Who::One(other) if other / THREADS == thread / THREADS => Who::Several(thread / THREADS),
            Who::Several(block) if block == thread / THREADS => Who::Several(block),
            _ => Who::Anybody,
        };
        Mark { who, barriers }
    }
}

/// The card's memory during a launch.
#[derive(Debug)]
pub(super) struct Global<'a> {
    /// From low to high.
    pieces: Vec<Piece<'a>>,
    /// Who has written each grain of a piece, and who has read it. Nothing of a piece that nobody touches.
    marks: Vec<(Vec<Mark>, Vec<Mark>)>,
    constants: &'a [u8],
}

fn span(offset: usize, len: usize) -> std::ops::Range<usize> {
    offset / GRAIN..(offset + len).div_ceil(GRAIN)
}

impl<'a> Global<'a> {
    pub(super) fn new(pieces: Vec<Piece<'a>>, constants: &'a [u8]) -> Global<'a> {
        let marks = vec![(Vec::new(), Vec::new()); pieces.len()];
        Global { pieces, marks, constants }
    }

    /// The piece and the place in it.
    fn find(&self, at: u64, len: usize) -> Result<(usize, usize), String> {
        if !at.is_multiple_of(len as u64) {
            return Err(format!("{len} bytes at {at:#x} lie askew"));
        }
        let after = self.pieces.partition_point(|piece| piece.at <= at);
        let found = after.checked_sub(1).map(|piece| (piece, (at - self.pieces[piece].at) as usize));
        found
            .filter(|(piece, offset)| offset + len <= self.pieces[*piece].bytes.len())
            .ok_or_else(|| format!("{len} bytes at {at:#x} are no memory of the card"))
    }

    /// The marks of a piece.
    fn marks(&mut self, piece: usize) -> &mut (Vec<Mark>, Vec<Mark>) {
        let (written, read) = &mut self.marks[piece];
        let grains = self.pieces[piece].bytes.len().div_ceil(GRAIN);
        written.resize(grains, Mark::default());
        read.resize(grains, Mark::default());
        &mut self.marks[piece]
    }

    /// What a thread of block `block` reads.
    pub(super) fn read(&mut self, at: u64, len: usize, block: u32, now: Moment) -> Result<&[u8], String> {
        if let Some(offset) = at.checked_sub(CONSTANTS) {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = offset.checked_add(len).and_then(|end| self.constants.get(offset..end));
            return bytes.ok_or_else(|| "beyond the module's constants".to_owned());
        }
        let (piece, offset) = self.find(at, len)?;
        let (thread, barriers) = (block * THREADS + now.thread, now.barriers);
        let (written, read) = self.marks(piece);
        for (written, read) in written[span(offset, len)].iter().zip(&mut read[span(offset, len)]) {
            if !written.is_before(thread, barriers) {
                return Err(format!("thread {thread} reads at {at:#x} what {:?} writes", written.who));
            }
            *read = read.and(thread, barriers);
        }
        Ok(&self.pieces[piece].bytes[offset..offset + len])
    }

    /// What a thread of block `block` writes.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8], block: u32, now: Moment) -> Result<(), String> {
        let (piece, offset) = self.find(at, bytes.len())?;
        let (thread, barriers) = (block * THREADS + now.thread, now.barriers);
        let (written, read) = self.marks(piece);
        for (written, read) in written[span(offset, bytes.len())].iter_mut().zip(&read[span(offset, bytes.len())]) {
            if let Some(other) = [*written, *read].into_iter().find(|other| !other.is_before(thread, barriers)) {
                return Err(format!("thread {thread} writes at {at:#x} what {:?} reads or writes", other.who));
            }
            *written = Mark { who: Who::One(thread), barriers };
        }
        self.pieces[piece].bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// When a thread of a block does something: what is before and after a barrier is in order, for all threads or for a warp's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) thread: u32,
    /// Barriers of the block before it.
    pub(super) barriers: u32,
    /// Barriers of the thread's warp since then.
    pub(super) gathered: u32,
}

impl Moment {
    fn warp(self) -> u32 {
        self.thread / LANES
    }

    /// Whether what was done then is surely done now.
    fn is_before(self, now: Moment) -> bool {
        self.thread == now.thread || self.barriers != now.barriers || (self.warp() == now.warp() && self.gathered != now.gathered)
    }
}

/// How something is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    Read,
    Write,
    /// Read and written at once, by the card's own doing.
    Atomic,
}

/// What is known of a grain of shared memory.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    written: Option<Moment>,
    /// The last to write did so by an atomic operation.
    atomic: bool,
    /// Others did so too since the last barrier.
    crowd: bool,
    /// Those that have read since then: the last of them, and the last of another warp or thread than that one's.
    read: [Option<Moment>; 2],
    /// A copy is on its way here.
    awaited: bool,
}

impl Note {
    /// Why this may not be.
    fn refuse(&self, touch: Touch, now: Moment) -> Option<String> {
        if self.awaited {
            return Some("a copy that was not waited for is on its way there".to_owned());
        }
        let apart = |then: &Option<Moment>| then.filter(|then| !then.is_before(now));
        if let Some(then) = apart(&self.written)
            && !(self.atomic && touch == Touch::Atomic)
        {
            return Some(format!("thread {} wrote there, and no barrier is between", then.thread));
        }
        if self.crowd && touch != Touch::Atomic && self.written.is_some_and(|then| then.barriers == now.barriers) {
            return Some("several threads add there, and no barrier is between".to_owned());
        }
        if self.written.is_none() && touch != Touch::Write {
            return Some("nobody has written there".to_owned());
        }
        let reader = if touch == Touch::Read { None } else { self.read.iter().find_map(apart) };
        reader.map(|reader| format!("thread {} reads there, and no barrier is between", reader.thread))
    }

    fn touch(&mut self, touch: Touch, now: Moment) {
        if touch == Touch::Read {
            // Readers of two warps stay known while they are readers of this moment, and two of one warp.
            let [last, other] = self.read;
            if last.is_none_or(|last| last.is_before(now)) {
                self.read = [Some(now), other.filter(|other| !other.is_before(now))];
            } else if last.is_some_and(|last| last.warp() != now.warp()) || other.is_none_or(|other| other.is_before(now)) {
                self.read = [Some(now), last];
            }
        } else {
            let atomic = touch == Touch::Atomic;
            let together =
                |then: Moment| if self.crowd { then.barriers == now.barriers } else { self.atomic && !then.is_before(now) };
            let crowd = atomic && self.written.is_some_and(together);
            *self = Note { written: Some(now), atomic, crowd, ..Note::default() };
        }
    }
}

/// The shared memory of a block.
#[derive(Debug)]
pub(super) struct Shared {
    bytes: Vec<u8>,
    notes: Vec<Note>,
}

impl Shared {
    pub(super) fn new(bytes: usize) -> Shared {
        Shared { bytes: vec![0xFF; bytes], notes: vec![Note::default(); bytes.div_ceil(GRAIN)] }
    }

    fn find(&self, at: u64, len: usize) -> Result<usize, String> {
        if !at.is_multiple_of(len as u64) {
            return Err(format!("{len} bytes of shared memory at {at:#x} lie askew"));
        }
        let offset = at.checked_sub(SHARED).map(|offset| offset as usize);
        offset
            .filter(|offset| offset + len <= self.bytes.len())
            .ok_or_else(|| format!("{len} bytes at {at:#x} are no shared memory"))
    }

    fn note(&mut self, offset: usize, len: usize, touch: Touch, now: Moment) -> Result<(), String> {
        for note in &mut self.notes[span(offset, len)] {
            if let Some(why) = note.refuse(touch, now) {
                return Err(format!("{touch:?} of shared memory at {offset} by thread {}: {why}", now.thread));
            }
            note.touch(touch, now);
        }
        Ok(())
    }

    pub(super) fn read(&mut self, at: u64, len: usize, now: Moment) -> Result<&[u8], String> {
        let offset = self.find(at, len)?;
        self.note(offset, len, Touch::Read, now)?;
        Ok(&self.bytes[offset..offset + len])
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8], touch: Touch, now: Moment) -> Result<(), String> {
        let offset = self.find(at, bytes.len())?;
        self.note(offset, bytes.len(), touch, now)?;
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    /// Adds to a number, and says what it was.
    pub(super) fn add(&mut self, at: u64, value: u32, now: Moment) -> Result<u32, String> {
        let offset = self.find(at, 4)?;
        let bytes = self.bytes[offset..offset + 4].try_into().map_err(|_| "four bytes are four".to_owned())?;
        let before = u32::from_le_bytes(bytes);
        self.write(at, &before.wrapping_add(value).to_le_bytes(), Touch::Atomic, now)?;
        Ok(before)
    }

    /// A copy begins, after which nobody may touch the place until it has come.
    pub(super) fn expect(&mut self, at: u64, len: usize, now: Moment) -> Result<(), String> {
        let offset = self.find(at, len)?;
        self.note(offset, len, Touch::Write, now)?;
        self.notes[span(offset, len)].iter_mut().for_each(|note| note.awaited = true);
        Ok(())
    }

    /// It has.
    pub(super) fn arrive(&mut self, at: u64, bytes: &[u8], now: Moment) -> Result<(), String> {
        let offset = self.find(at, bytes.len())?;
        self.notes[span(offset, bytes.len())].iter_mut().for_each(|note| note.awaited = false);
        self.write(at, bytes, Touch::Write, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(thread: u32, barriers: u32, gathered: u32) -> Moment {
        Moment { thread, barriers, gathered }
    }

    type Touching<'a> = &'a dyn Fn(&mut Shared) -> Result<(), String>;

    fn written_by_thread_0() -> Shared {
        let mut shared = Shared::new(64);
        shared.write(SHARED + 4, &[1; 4], Touch::Write, at(0, 0, 0)).unwrap();
        shared
    }

    #[test]
    fn threads_meet_at_barriers_only() {
        for (now, in_order) in
            [(at(0, 0, 0), true), (at(1, 0, 0), false), (at(1, 0, 1), true), (at(40, 0, 1), false), (at(40, 1, 0), true)]
        {
            let touches: [Touching<'_>; 3] = [
                &|shared| shared.read(SHARED + 4, 4, now).map(|_| ()),
                &|shared| shared.write(SHARED + 6, &[2; 2], Touch::Write, now),
                &|shared| shared.expect(SHARED, 16, now),
            ];
            for touch in touches {
                let done = touch(&mut written_by_thread_0());
                assert_eq!(done.is_ok(), in_order, "{now:?}: {done:?}");
            }
        }
    }

    #[test]
    fn readers_are_not_written_over() {
        let mut shared = written_by_thread_0();
        for thread in [3, 33, 3, 70, 33] {
            shared.read(SHARED + 4, 4, at(thread, 1, 0)).unwrap();
        }
        assert!(shared.write(SHARED + 4, &[2; 4], Touch::Write, at(3, 1, 0)).is_err(), "others read it");
        assert!(shared.write(SHARED + 4, &[2; 4], Touch::Write, at(70, 1, 1)).is_err(), "of another warp");
        shared.write(SHARED + 4, &[2; 4], Touch::Write, at(3, 2, 0)).unwrap();
    }

    #[test]
    fn a_copy_is_waited_for() {
        let mut shared = Shared::new(64);
        assert!(shared.read(SHARED, 4, at(0, 0, 0)).unwrap_err().contains("nobody has written"));
        shared.expect(SHARED, 16, at(0, 0, 0)).unwrap();
        assert!(shared.read(SHARED, 4, at(0, 1, 0)).unwrap_err().contains("on its way"));
        shared.arrive(SHARED, &[7; 16], at(0, 1, 0)).unwrap();
        assert!(shared.read(SHARED, 4, at(9, 1, 0)).is_err());
        assert_eq!(shared.read(SHARED, 4, at(9, 2, 0)), Ok(&[7; 4][..]));
    }

    #[test]
    fn atomic_sums_need_no_order_among_themselves() {
        let mut shared = Shared::new(64);
        shared.write(SHARED, &[0; 4], Touch::Write, at(0, 0, 0)).unwrap();
        for thread in 0..64 {
            assert_eq!(shared.add(SHARED, 2, at(thread, 1, 0)), Ok(2 * thread));
        }
        for thread in [9, 63] {
            assert!(shared.read(SHARED, 4, at(thread, 1, 1)).is_err(), "others add there");
        }
        assert_eq!(shared.read(SHARED, 4, at(9, 2, 0)), Ok(&128u32.to_le_bytes()[..]));
        assert!(Shared::new(8).add(SHARED, 1, at(0, 0, 0)).unwrap_err().contains("nobody has written"));
    }

    #[test]
    fn memory_ends_where_it_ends_and_belongs_to_one_thread() {
        let mut bytes = [0u8; 64];
        let (low, high) = bytes.split_at_mut(32);
        let pieces = vec![Piece { at: 256, bytes: low }, Piece { at: 512, bytes: high }];
        let mut global = Global::new(pieces, &[9; 8]);
        assert_eq!(global.read(CONSTANTS + 4, 4, 0, at(0, 0, 0)), Ok(&[9; 4][..]));
        for wrong in [0, 252, 288, 286, 514, 544, CONSTANTS + 8] {
            assert!(global.read(wrong, 4, 0, at(0, 0, 0)).is_err(), "{wrong}");
        }
        global.write(256 + 28, &[1; 4], 0, at(7, 0, 0)).unwrap();
        assert_eq!(global.read(256 + 28, 4, 0, at(7, 0, 0)), Ok(&[1; 4][..]));
        assert!(global.read(256 + 30, 2, 0, at(8, 0, 0)).is_err(), "no barrier is between");
        assert!(global.read(256 + 30, 2, 1, at(8, 1, 0)).is_err(), "of another block");
        global.read(256 + 30, 2, 0, at(8, 1, 0)).unwrap();
        global.read(512, 8, 0, at(1, 0, 0)).unwrap();
        global.write(512, &[0; 2], 0, at(1, 0, 0)).unwrap();
        for thread in [1, 2] {
            global.read(520, 8, 0, at(thread, 0, 0)).unwrap();
        }
        assert!(global.write(520, &[0; 2], 0, at(1, 0, 0)).is_err(), "another thread reads it");
        global.read(528, 8, 1, at(1, 0, 0)).unwrap();
        global.read(528, 8, 0, at(1, 0, 0)).unwrap();
        assert!(global.write(528, &[0; 2], 0, at(1, 1, 0)).is_err(), "another block reads it");
        global.write(520, &[0; 2], 0, at(1, 1, 0)).unwrap();
    }
}
