//! Every buffer of a run, laid out before it. Knows operations and extents; knows no device's memory.
//!
//! A [`Planner`] hands out buffers that live through the whole run, and records programs whose own buffers
//! live only between their first and last use; all programs share the memory of the latter. [`Plan::len`] is
//! therefore known before a byte is taken, and a job that is too large is refused with numbers.

use crate::ops::{Backend, Buf, Op, Shape};

/// Elements between the starts of two buffers are multiples of this: one cache line.
const ALIGN: usize = 16;

/// Operations in order, recorded once, executed any number of times.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it computes, for messages and timings.
    pub name: &'static str,
    /// The operations.
    pub ops: Vec<Op>,
}

/// Where every buffer lies.
#[derive(Clone, Debug)]
pub struct Plan {
    offsets: Vec<usize>,
    kept: usize,
    len: usize,
    scratch: usize,
}

impl Plan {
    /// First element of a buffer, or of the part that `buf` is.
    pub fn offset(&self, buf: Buf) -> usize {
        self.offsets[buf.id as usize] + buf.start
    }

    /// Elements of the buffers that live through the run, which come first: a buffer's offset tells what it is.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Elements of all buffers together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no buffer.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Elements of working memory, besides the buffers.
    pub fn scratch(&self) -> usize {
        self.scratch
    }

    /// Bytes of buffers and working memory, at four an element.
    pub fn bytes(&self) -> u64 {
        4 * (self.len + self.scratch) as u64
    }
}

/// A buffer while a plan is made.
#[derive(Clone, Copy, Debug)]
struct Entry {
    len: usize,
    life: Life,
}

/// How long a buffer's memory is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// The whole run.
    Run,
    /// From the first operation of the program that names it to the last, once the program is recorded.
    Program(Option<(usize, usize)>),
}

/// Collects the buffers and programs of a run.
#[derive(Debug)]
pub struct Planner {
    entries: Vec<Entry>,
    /// Offsets of finished programs' buffers, from the start of the shared memory.
    offsets: Vec<usize>,
    shared: usize,
    scratch: usize,
}

impl Default for Planner {
    fn default() -> Planner {
        Planner::new()
    }
}

impl Planner {
    /// No buffers yet.
    pub fn new() -> Planner {
        Planner { entries: Vec::new(), offsets: Vec::new(), shared: 0, scratch: 0 }
    }

    /// A buffer that lives through the run: what the host writes or reads, and what one program leaves for another.
    pub fn keep(&mut self, shape: Shape) -> Buf {
        self.entry(shape, Life::Run)
    }

    fn entry(&mut self, shape: Shape, life: Life) -> Buf {
        let id = u32::try_from(self.entries.len()).expect("a run has far fewer than 2^32 buffers");
        self.entries.push(Entry { len: shape.len(), life });
        self.offsets.push(0);
        Buf { id, start: 0, shape }
    }

    /// Records one program: `forward` calls the methods of [`Graph`], which append operations.
    pub fn program(&mut self, name: &'static str, backend: &dyn Backend, forward: impl FnOnce(&mut Graph<'_>)) -> Program {
        let first = self.entries.len();
        let mut graph = Graph { planner: self, backend, ops: Vec::new() };
        forward(&mut graph);
        let ops = graph.ops;
        for (at, op) in ops.iter().enumerate() {
            self.scratch = self.scratch.max(backend.scratch_len(op));
            for buf in op.sources().into_iter().chain([op.dst()]) {
                if let Life::Program(life) = &mut self.entries[buf.id as usize].life {
                    assert!(buf.id as usize >= first, "{name} uses a buffer of an earlier program: keep it");
                    *life = Some(life.map_or((at, at), |(begin, _)| (begin, at)));
                }
            }
        }
        let used = place(&self.entries[first..], &mut self.offsets[first..]);
        self.shared = self.shared.max(used);
        Program { name, ops }
    }

    /// The plan: kept buffers one after the other, then the memory that the programs share.
    pub fn finish(self) -> Plan {
        let mut offsets = self.offsets;
        let mut kept = 0;
        for (entry, offset) in self.entries.iter().zip(&mut offsets) {
            if entry.life == Life::Run {
                *offset = kept;
                kept += entry.len.next_multiple_of(ALIGN);
            }
        }
        for (entry, offset) in self.entries.iter().zip(&mut offsets) {
            if entry.life != Life::Run {
                *offset += kept;
            }
        }
        Plan { offsets, kept, len: kept + self.shared, scratch: self.scratch }
    }
}

/// Gives each buffer of one program the lowest place that no buffer alive at the same time holds, the largest
/// buffers first. Returns the elements used.
fn place(entries: &[Entry], offsets: &mut [usize]) -> usize {
    let mut order: Vec<(usize, usize, (usize, usize))> = entries
        .iter()
        .enumerate()
        .filter_map(|(i, e)| match e.life {
            Life::Program(Some(life)) => Some((i, e.len.next_multiple_of(ALIGN), life)),
            _ => None,
        })
        .collect();
    order.sort_by_key(|&(i, len, _)| (std::cmp::Reverse(len), i));
    let mut placed: Vec<(usize, usize, (usize, usize))> = Vec::with_capacity(order.len());
    let mut used = 0;
    for (i, len, life) in order {
        let mut at = 0;
        // `placed` is sorted by offset, so the first gap that is large enough is the lowest.
        for &(offset, other, (begin, end)) in &placed {
            let together = begin <= life.1 && life.0 <= end;
            if together && offset < at + len && at < offset + other {
                at = offset + other;
            }
        }
        offsets[i] = at;
        used = used.max(at + len);
        let position = placed.partition_point(|p| p.0 <= at);
        placed.insert(position, (at, len, life));
    }
    used
}

/// A program being recorded. Its methods (see [`crate::nn::graph`]) append an operation and hand out the buffer
/// that it will write.
#[allow(missing_debug_implementations, reason = "holds a device")]
pub struct Graph<'a> {
    planner: &'a mut Planner,
    backend: &'a dyn Backend,
    ops: Vec<Op>,
}

impl Graph<'_> {
    /// A buffer that lives from its first to its last use in this program.
    pub fn buffer(&mut self, shape: Shape) -> Buf {
        self.planner.entry(shape, Life::Program(None))
    }

    /// Appends an operation.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// The device that the program is for.
    pub fn backend(&self) -> &dyn Backend {
        self.backend
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuBackend;
    use crate::ops::{Activate, Activation};

    fn silu(graph: &mut Graph<'_>, x: Buf) -> Buf {
        let dst = graph.buffer(x.shape);
        graph.push(Op::Activate(Activate { dst, x, act: Activation::Silu }));
        dst
    }

    #[test]
    fn a_chain_needs_two_buffers_however_long_it_is() {
        let backend = CpuBackend::new(1);
        let mut planner = Planner::new();
        let (first, last) = (planner.keep(Shape::vector(1024)), planner.keep(Shape::vector(1024)));
        let program = planner.program("chain", &backend, |g| {
            let mut x = first;
            for _ in 0..20 {
                x = silu(g, x);
            }
            g.push(Op::Activate(Activate { dst: last, x, act: Activation::None }));
        });
        let plan = planner.finish();
        assert_eq!(plan.len(), 4 * 1024);
        for pair in program.ops.windows(2) {
            assert_ne!(plan.offset(pair[0].dst()), plan.offset(pair[1].dst()));
        }
    }

    #[test]
    fn buffers_alive_together_never_overlap() {
        let backend = CpuBackend::new(1);
        let mut planner = Planner::new();
        let x = planner.keep(Shape::vector(48));
        let program = planner.program("skips", &backend, |g| {
            let skips: Vec<Buf> = (0..8).map(|_| silu(g, x)).collect();
            for skip in skips.into_iter().rev() {
                silu(g, skip);
            }
        });
        let plan = planner.finish();
        let skips = &program.ops[..8];
        for (i, a) in skips.iter().enumerate() {
            for b in &skips[..i] {
                assert!(plan.offset(a.dst()).abs_diff(plan.offset(b.dst())) >= 48);
            }
        }
    }

    #[test]
    fn programs_share_their_memory() {
        let backend = CpuBackend::new(1);
        let mut planner = Planner::new();
        let x = planner.keep(Shape::vector(16));
        for _ in 0..2 {
            planner.program("one", &backend, |g| {
                silu(g, x);
            });
        }
        assert_eq!(planner.finish().len(), 32);
    }
}
