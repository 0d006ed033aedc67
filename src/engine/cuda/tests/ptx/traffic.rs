//! Counts how often a card goes to its memories for what a warp asks at a time, and how often it would have to at least. Knows no
//! instruction.
//!
//! Source: NVIDIA, "CUDA C++ Best Practices Guide", on coalesced access and on banks of shared memory.

use super::warp::LANES;

/// Bytes that come from the card's memory at a time.
const SECTOR: u64 = 32;
/// Words of 4 bytes that shared memory gives at a time, one of each bank.
const WORDS: usize = 32;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Traffic {
    /// Of the card's memory.
    pub(in super::super) sectors: Turns,
    /// Of shared memory.
    pub(in super::super) words: Turns,
    /// Instructions that warps took, and products of tensor cores among them.
    pub(in super::super) steps: u64,
    pub(in super::super) products: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Turns {
    pub(in super::super) taken: u64,
    pub(in super::super) needed: u64,
}

impl Turns {
    /// How many times as many as needed.
    pub(in super::super) fn ratio(self) -> f64 {
        if self.needed == 0 { 1.0 } else { self.taken as f64 / self.needed as f64 }
    }
}

impl Traffic {
    pub(in super::super) fn add(&mut self, other: Traffic) {
        for (to, from) in [(&mut self.sectors, other.sectors), (&mut self.words, other.words)] {
            to.taken += from.taken;
            to.needed += from.needed;
        }
        self.steps += other.steps;
        self.products += other.products;
    }

    /// Threads of a warp read or write `len` bytes each of the card's memory, at these addresses.
    pub(super) fn global(&mut self, at: impl Iterator<Item = u64>, len: usize) {
        let mut starts = [0; LANES];
        let asked = starts.iter_mut().zip(at).map(|(to, at)| *to = at).count();
        let starts = &mut starts[..asked];
        starts.sort_unstable();
        self.sectors.needed += (distinct(starts.iter().copied()) * len as u64).div_ceil(SECTOR);
        self.sectors.taken += distinct(starts.iter().map(|at| at / SECTOR));
    }

    /// The same of shared memory: the lanes in their order, and their addresses. It serves as many of them at a time as have 128 bytes.
    pub(super) fn shared(&mut self, at: impl Iterator<Item = (usize, u64)>, len: usize) {
        let lanes = WORDS * 4 / len.max(4);
        let (mut group, mut words, mut count) = (0, [0; WORDS], 0);
        for (lane, at) in at {
            if lane / lanes != group {
                self.turns(&mut words[..count]);
                (group, count) = (lane / lanes, 0);
            }
            for word in 0..len.div_ceil(4) {
                words[count] = at / 4 + word as u64;
                count += 1;
            }
        }
        self.turns(&mut words[..count]);
    }

    /// These words of shared memory are asked for at once.
    fn turns(&mut self, words: &mut [u64]) {
        if words.is_empty() {
            return;
        }
        words.sort_unstable();
        let mut banks = [0; WORDS];
        for (i, word) in words.iter().enumerate() {
            banks[*word as usize % WORDS] += u64::from(i == 0 || words[i - 1] != *word);
        }
        self.words.taken += banks.iter().max().copied().unwrap_or(0);
        self.words.needed += 1;
    }
}

/// How many different ones there are, of which like ones follow each other.
fn distinct(mut values: impl Iterator<Item = u64>) -> u64 {
    let Some(mut last) = values.next() else { return 0 };
    1 + values.fold(0, |count, value| count + u64::from(std::mem::replace(&mut last, value) != value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_as_a_card_takes_them() {
        let global = |at: &dyn Fn(u64) -> u64, len| {
            let mut traffic = Traffic::default();
            traffic.global((0..32).map(at), len);
            (traffic.sectors.taken, traffic.sectors.needed)
        };
        assert_eq!(global(&|lane| lane * 4, 4), (4, 4));
        assert_eq!(global(&|lane| lane * 16, 16), (16, 16));
        assert_eq!(global(&|lane| lane * 4 + 16, 4), (5, 4));
        assert_eq!(global(&|lane| lane * 64, 4), (32, 4));
        assert_eq!(global(&|_| 64, 4), (1, 1));
        let shared = |at: &dyn Fn(u64) -> u64, len| {
            let mut traffic = Traffic::default();
            traffic.shared((0..32).map(|lane| (lane as usize, at(lane))), len);
            (traffic.words.taken, traffic.words.needed)
        };
        assert_eq!(shared(&|lane| lane * 4, 4), (1, 1));
        assert_eq!(shared(&|lane| lane * 2, 2), (1, 1));
        assert_eq!(shared(&|lane| lane * 8, 4), (2, 1));
        assert_eq!(shared(&|lane| lane * 128, 4), (32, 1));
        assert_eq!(shared(&|_| 0, 4), (1, 1));
        assert_eq!(shared(&|lane| lane * 16, 16), (4, 4));
        assert_eq!(shared(&|lane| lane * 64, 16), (16, 4));
    }
}
