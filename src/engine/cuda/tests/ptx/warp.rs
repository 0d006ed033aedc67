//! A warp of 32 threads that runs a kernel until its next barrier or its end. Knows no other warp.
//!
//! Threads that took other branches run by themselves, those furthest behind first, until they stand at the same step again.

use super::{
    arithmetic::Lanes,
    memory::{Global, Moment, Shared, Touch},
    program::{Address, Guarded, Kernel, Place, Register, Space, Step},
    together,
    traffic::Traffic,
};
use std::array::from_fn;

/// Threads of a warp.
pub(super) const LANES: usize = 32;
/// Steps that a warp takes at most between two barriers, so that an endless loop is told.
const MOST_STEPS: u64 = 1 << 28;

/// Some of a warp's threads, a bit for each.
type Mask = u32;

/// What a block's threads share, and what the launch says.
#[derive(Debug)]
pub(super) struct Block<'a, 'b> {
    pub(super) kernel: &'a Kernel,
    pub(super) args: &'a [u8],
    pub(super) global: &'a mut Global<'b>,
    pub(super) shared: Shared,
    /// Across and down.
    pub(super) place: (u32, u32),
    /// Blocks before it.
    pub(super) number: u32,
    pub(super) barriers: u32,
    pub(super) traffic: Traffic,
}

/// Why a warp stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    AtBarrier,
    Ended,
}

/// A copy to shared memory that a thread has begun.
#[derive(Debug)]
struct Copying {
    to: u64,
    bytes: [u8; 16],
    group: u64,
}

/// Threads that stand at the same step.
#[derive(Clone, Copy, Debug)]
struct Group {
    at: usize,
    threads: Mask,
    /// They wait there for all others of the warp.
    waits: bool,
}

#[derive(Debug)]
pub(super) struct Warp {
    number: u32,
    registers: Vec<Lanes>,
    local: Vec<Vec<u8>>,
    groups: Vec<Group>,
    copies: [Vec<Copying>; LANES],
    copy_groups: [u64; LANES],
    gathered: u32,
    /// Some threads took another branch than others, and nothing has gathered them since.
    parted: bool,
}

fn lanes(mask: Mask) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 == 1)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

impl Warp {
    pub(super) fn new(kernel: &Kernel, number: u32, place: (u32, u32)) -> Warp {
        let mut registers = vec![[u64::MAX; LANES]; kernel.registers];
        for (register, value) in &kernel.numbers {
            registers[*register] = [*value; LANES];
        }
        for (register, which) in &kernel.places {
            registers[*register] = from_fn(|lane| match which {
                Place::Thread => u64::from(number) * LANES as u64 + lane as u64,
                Place::BlockAcross => u64::from(place.0),
                Place::BlockDown => u64::from(place.1),
            });
        }
        Warp {
            number,
            registers,
            local: vec![vec![0xFF; kernel.local]; LANES],
            groups: vec![Group { at: 0, threads: Mask::MAX, waits: false }],
            copies: from_fn(|_| Vec::new()),
            copy_groups: [0; LANES],
            gathered: 0,
            parted: false,
        }
    }

    /// Goes on, in the block.
    pub(super) fn run(&mut self, block: &mut Block<'_, '_>) -> Result<Stopped, String> {
        for _ in 0..MOST_STEPS {
            let next = self.groups.iter().enumerate().filter(|(_, group)| !group.waits).min_by_key(|(_, group)| group.at);
            let Some((index, group)) = next.map(|(index, group)| (index, *group)) else {
                return if self.groups.is_empty() {
                    Ok(Stopped::Ended)
                } else {
                    Err("some threads of a warp never come to what it does together".to_owned())
                };
            };
            block.traffic.steps += 1;
            let guarded = &block.kernel.steps.get(group.at).ok_or("the kernel has no end")?;
            match self.step(block, guarded, index).map_err(|why| format!("line {}: {why}", guarded.line))? {
                None => {}
                Some(stopped) => return Ok(stopped),
            }
        }
        Err("a warp takes no end".to_owned())
    }

    /// The threads of a group that take a step.
    fn taking(&self, guarded: &Guarded, threads: Mask) -> Mask {
        let Some(guard) = guarded.guard else { return threads };
        let register = &self.registers[guard.register];
        lanes(threads).filter(|lane| (register[*lane] & 1 == 1) != guard.negated).fold(0, |mask, lane| mask | 1 << lane)
    }

    fn step(&mut self, block: &mut Block<'_, '_>, guarded: &Guarded, index: usize) -> Result<Option<Stopped>, String> {
        let group = self.groups[index];
        let taking = self.taking(guarded, group.threads);
        match &guarded.step {
            Step::Branch(to) => {
                let others = group.threads & !taking;
                self.parted |= taking != 0 && others != 0;
                self.groups.swap_remove(index);
                self.stand(*to, taking);
                self.stand(group.at + 1, others);
                return Ok(None);
            }
            Step::Return => {
                self.groups.swap_remove(index);
                self.stand(group.at + 1, group.threads & !taking);
                return Ok(self.groups.is_empty().then_some(Stopped::Ended));
            }
            step if needs_all(step) => {
                if group.threads != Mask::MAX {
                    self.groups[index].waits = true;
                    return Ok(None);
                }
                if taking != Mask::MAX {
                    return Err("some threads do not take part in what their warp does".to_owned());
                }
                // `.aligned`: a card's threads need not stand together again by themselves.
                if self.parted && matches!(step, Step::Multiply { .. } | Step::LoadMatrices { .. }) {
                    return Err("threads that took different branches were not gathered".to_owned());
                }
                self.together(block, step)?;
            }
            step @ (Step::Compute { .. } | Step::Split { .. } | Step::Insert { .. } | Step::Join { .. }) => {
                self.compute(step, taking);
            }
            step => self.go_to_memory(block, step, taking)?,
        }
        self.groups.swap_remove(index);
        self.stand(group.at + 1, group.threads);
        if matches!(guarded.step, Step::Barrier) {
            self.gathered = 0;
            self.parted = false;
            return Ok(Some(Stopped::AtBarrier));
        }
        Ok(None)
    }

    /// Threads stand at a step, with those that are there already.
    fn stand(&mut self, at: usize, threads: Mask) {
        if threads == 0 {
            return;
        }
        match self.groups.iter_mut().find(|group| group.at == at) {
            Some(group) => {
                group.threads |= threads;
                group.waits = false;
            }
            None => self.groups.push(Group { at, threads, waits: false }),
        }
    }

    fn moment(&self, block: &Block<'_, '_>, lane: usize) -> Moment {
        Moment { thread: self.number * LANES as u32 + lane as u32, barriers: block.barriers, gathered: self.gathered }
    }

    /// Where a lane's address is.
    fn address(&self, at: Address, lane: usize) -> u64 {
        self.registers[at.register][lane].wrapping_add_signed(at.offset)
    }

    /// Threads go to memory together.
    fn count(&self, block: &mut Block<'_, '_>, space: Space, at: Address, len: usize, threads: Mask) {
        match space {
            Space::Global => block.traffic.global(lanes(threads).map(|lane| self.address(at, lane)), len),
            Space::Shared => block.traffic.shared(lanes(threads).map(|lane| (lane, self.address(at, lane))), len),
            Space::Local | Space::Param => {}
        }
    }

    fn put(&mut self, to: Register, values: &Lanes, threads: Mask) {
        if threads == Mask::MAX {
            self.registers[to] = *values;
        } else {
            lanes(threads).for_each(|lane| self.registers[to][lane] = values[lane]);
        }
    }

    /// What the whole warp does.
    fn together(&mut self, block: &mut Block<'_, '_>, step: &Step) -> Result<(), String> {
        match step {
            Step::Gather => {
                self.gathered += 1;
                self.parted = false;
            }
            Step::ShuffleXor { to, from, bits, among: [last, members] } => {
                // Of the registers of 32 bits, the lower half counts.
                let all = |register: usize, value: u32| self.registers[register].iter().all(|found| *found as u32 == value);
                if !all(*last, LANES as u32 - 1) || !all(*members, Mask::MAX) {
                    return Err("a shuffle among some threads only".to_owned());
                }
                let (from, bits) = (&self.registers[*from], &self.registers[*bits]);
                self.registers[*to] = from_fn(|lane| from[lane ^ (bits[lane] as usize % LANES)]);
            }
            Step::Multiply { half, to, a, b, sums } => {
                block.traffic.products += 1;
                let [a, sums] = [a, sums].map(|registers| registers.map(|register| self.registers[register]));
                let found = together::multiply(*half, &a, &b.map(|register| self.registers[register]), &sums);
                to.iter().zip(found).for_each(|(to, found)| self.registers[*to] = found);
            }
            Step::LoadMatrices { to, at, turned } => {
                self.count(block, Space::Shared, *at, 16, Mask::MAX);
                let mut rows = [[0u8; 16]; LANES];
                for (lane, row) in rows.iter_mut().enumerate() {
                    // Whoever names a row is not whoever gets it: it is read by several of the warp.
                    let at = self.address(*at, lane);
                    for reader in [lane, lane ^ 1] {
                        let now = self.moment(block, reader);
                        row.copy_from_slice(block.shared.read(at, 16, now)?);
                    }
                }
                let found = together::matrices(&rows, *turned);
                to.iter().zip(found).for_each(|(to, found)| self.registers[*to] = found);
            }
            _ => {}
        }
        Ok(())
    }

    /// What each thread makes of its own registers.
    fn compute(&mut self, step: &Step, threads: Mask) {
        match step {
            Step::Compute { run, to, from: [x, y, z] } => {
                let values = run(&self.registers[*x], &self.registers[*y], &self.registers[*z]);
                self.put(*to, &values, threads);
            }
            Step::Split { to: [low, high], from, bits } => {
                let from = self.registers[*from];
                self.put(*low, &from.map(|value| value & ((1 << bits) - 1)), threads);
                self.put(*high, &from.map(|value| value >> bits), threads);
            }
            Step::Join { to, from: [low, high], bits } => {
                let (low, high) = (&self.registers[*low], &self.registers[*high]);
                let values = from_fn(|lane| high[lane] << bits | low[lane]);
                self.put(*to, &values, threads);
            }
            Step::Insert { to, from: [part, whole], at, bits } => {
                let (part, whole) = (&self.registers[*part], &self.registers[*whole]);
                let mask = ((1u64 << bits) - 1) << at;
                let values = from_fn(|lane| whole[lane] & !mask | part[lane] << at & mask);
                self.put(*to, &values, threads);
            }
            // All others have a function of their own.
            _ => {}
        }
    }

    /// What each thread reads, writes and copies.
    fn go_to_memory(&mut self, block: &mut Block<'_, '_>, step: &Step, threads: Mask) -> Result<(), String> {
        match step {
            Step::Load { space, bytes, to, at } => {
                self.count(block, *space, *at, bytes * to.len(), threads);
                for lane in lanes(threads) {
                    let (at, len) = (self.address(*at, lane), bytes * to.len());
                    let now = self.moment(block, lane);
                    let found = match space {
                        Space::Global => block.global.read(at, len, block.number, now)?,
                        Space::Shared => block.shared.read(at, len, now)?,
                        Space::Local => own(&mut self.local[lane], at, len)?,
                        Space::Param => {
                            let end = (at as usize).checked_add(len);
                            end.and_then(|end| block.args.get(at as usize..end)).ok_or("beyond the kernel's argument")?
                        }
                    };
                    for (to, found) in to.iter().zip(found.chunks_exact(*bytes)) {
                        self.registers[*to][lane] = word(found);
                    }
                }
            }
            Step::Store { space, bytes, from, at } => {
                self.count(block, *space, *at, bytes * from.len(), threads);
                for lane in lanes(threads) {
                    let mut written = [0u8; 16];
                    let (at, len) = (self.address(*at, lane), bytes * from.len());
                    for (from, to) in from.iter().zip(written.chunks_exact_mut(*bytes)) {
                        to.copy_from_slice(&self.registers[*from][lane].to_le_bytes()[..*bytes]);
                    }
                    let (written, now) = (&written[..len], self.moment(block, lane));
                    match space {
                        Space::Global => block.global.write(at, written, block.number, now)?,
                        Space::Shared => block.shared.write(at, written, Touch::Write, now)?,
                        Space::Local => own(&mut self.local[lane], at, len)?.copy_from_slice(written),
                        Space::Param => return Err("a kernel writes to its argument".to_owned()),
                    }
                }
            }
            Step::Add { to, at, value } => {
                for lane in lanes(threads) {
                    let (at, now) = (self.address(*at, lane), self.moment(block, lane));
                    self.registers[*to][lane] = u64::from(block.shared.add(at, self.registers[*value][lane] as u32, now)?);
                }
            }
            step => {
                if let Step::Copy { to, from, bytes } = step {
                    let come = lanes(threads).filter(|lane| self.registers[*bytes][*lane] > 0);
                    self.count(block, Space::Global, *from, 16, come.fold(0, |mask, lane| mask | 1 << lane));
                    self.count(block, Space::Shared, *to, 16, threads);
                }
                lanes(threads).try_for_each(|lane| self.copy(block, step, lane))?;
            }
        }
        Ok(())
    }

    /// What a thread does about its copies to shared memory. What it copies is read at once and there when it was waited for, and
    /// nobody may touch the place meanwhile.
    fn copy(&mut self, block: &mut Block<'_, '_>, step: &Step, lane: usize) -> Result<(), String> {
        let now = self.moment(block, lane);
        match step {
            Step::Copy { to, from, bytes } => {
                let (to, from) = (self.address(*to, lane), self.address(*from, lane));
                let mut copied = [0; 16];
                let count = self.registers[*bytes][lane] as usize;
                if count > copied.len() {
                    return Err(format!("a copy of {count} bytes"));
                }
                if count > 0 {
                    let found = block.global.read(from, 16, block.number, now)?;
                    copied[..count].copy_from_slice(&found[..count]);
                }
                block.shared.expect(to, 16, now)?;
                self.copies[lane].push(Copying { to, bytes: copied, group: self.copy_groups[lane] });
            }
            Step::EndCopies => self.copy_groups[lane] += 1,
            Step::WaitForCopies { left } => {
                let groups = self.copy_groups[lane];
                let done = self.copies[lane].partition_point(|copy| copy.group + left < groups);
                for copy in self.copies[lane].drain(..done) {
                    block.shared.arrive(copy.to, &copy.bytes, now)?;
                }
            }
            other => return Err(format!("{other:?} is no thread's own")),
        }
        Ok(())
    }

    /// Whether copies are on their way that nobody has waited for.
    pub(super) fn leaves_copies(&self) -> bool {
        self.copies.iter().any(|copies| !copies.is_empty())
    }
}

fn needs_all(step: &Step) -> bool {
    matches!(step, Step::Barrier | Step::Gather | Step::ShuffleXor { .. } | Step::Multiply { .. } | Step::LoadMatrices { .. })
}

/// A thread's own memory.
fn own(local: &mut [u8], at: u64, len: usize) -> Result<&mut [u8], String> {
    let range = (at as usize).checked_add(len).map(|end| at as usize..end).filter(|_| at.is_multiple_of(len as u64));
    range.and_then(|range| local.get_mut(range)).ok_or_else(|| "askew in a thread's own memory, or beyond it".to_owned())
}
