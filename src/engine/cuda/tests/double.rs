//! A driver without a card: it writes down what it is asked, keeps memory in this process, and runs kernels as [`host`]
//! does, or not at all. Refuses what a card would refuse.

use super::{
    host,
    ptx::{self, Target, Traffic},
};
use crate::cuda::{
    driver::{Driver, Fault, Graph, Launch, Mark, Matmul, MatmulAt, Memory},
    element::Element,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Allocate(u64),
    Refused(u64),
    Free(u64),
    Upload(u64, usize),
    Download(u64, usize),
    Launch(Launch),
    Matmul(Matmul, MatmulAt),
    BeginCapture,
    EndCapture(u32),
    Replay(u32),
    Forget(u32),
    Settle,
}

/// What launches do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernels {
    /// Nothing.
    Written,
    /// What the kernels do, first thread to last.
    Forwards,
    /// What the kernels do, last thread to first.
    Backwards,
    /// What NVIDIA's compiler makes of the kernels.
    Compiled(Target),
}

/// What is sent on a stream.
#[derive(Clone, Debug)]
enum Work {
    Launch(Launch),
    Matmul(Matmul, MatmulAt),
}

/// Bytes that the double's library wants to work with.
const WORKSPACE: u64 = 640;
/// Elements of memory before and after each allocation that nobody may write.
const GUARD: usize = 32;
const UNTOUCHED: u64 = 0xDEAD_BEEF_DEAD_BEEF;
/// Allocations begin at a multiple of this.
const ALIGN: usize = 256;

/// An allocation: bytes, and the words that hold them, from word `first` on.
#[derive(Debug)]
struct Taken {
    bytes: u64,
    first: usize,
    words: Vec<u64>,
}

impl Taken {
    /// Anything but zeros, as on a card.
    fn new(bytes: u64) -> Taken {
        let words = vec![UNTOUCHED; (bytes as usize).div_ceil(8) + 2 * GUARD + ALIGN / 8];
        let start = words.as_ptr().addr();
        let first = ((start + 8 * GUARD).next_multiple_of(ALIGN) - start) / 8;
        Taken { bytes, first, words }
    }

    fn address(&mut self) -> u64 {
        self.words[self.first..].as_mut_ptr().expose_provenance() as u64
    }

    fn all(&mut self) -> &mut [u8] {
        let words: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        &mut words[8 * self.first..][..self.bytes as usize]
    }

    fn check_guards(&self) {
        let after = self.first + (self.bytes as usize).div_ceil(8);
        let mut guards = self.words[..self.first].iter().chain(&self.words[after..]);
        assert!(guards.all(|w| *w == UNTOUCHED), "a kernel wrote outside of its memory");
    }
}

#[derive(Debug)]
pub(super) struct State {
    kernels: Kernels,
    pub(super) calls: Vec<Call>,
    /// Bytes of the card.
    pub(super) total: u64,
    /// So many allocations fail, although there is room.
    pub(super) refusals: usize,
    /// There is a library for products of matrices.
    pub(super) library: bool,
    /// The card has fallen off: nothing that is sent is done any more.
    pub(super) broken: bool,
    /// So often a mark is not passed yet.
    pub(super) slow: usize,
    /// Of each kernel, where it runs as NVIDIA's compiler made it.
    pub(super) traffic: BTreeMap<&'static str, Traffic>,
    memory: BTreeMap<u64, Taken>,
    capturing: Option<Vec<Work>>,
    graphs: BTreeMap<u32, Vec<Work>>,
    pub(super) marks: Vec<u32>,
    made: u32,
}

impl State {
    pub(super) fn used(&self) -> u64 {
        self.memory.values().map(|taken| taken.bytes).sum()
    }

    pub(super) fn graphs(&self) -> usize {
        self.graphs.len()
    }

    /// The names of what was launched, directly or by a graph, in order.
    pub(super) fn kernels(&self) -> Vec<&'static str> {
        self.calls.iter().filter_map(|c| if let Call::Launch(l) = c { Some(l.kernel) } else { None }).collect()
    }

    /// The kernels of a graph.
    pub(super) fn graph(&self, graph: u32) -> Vec<&'static str> {
        self.graphs[&graph].iter().filter_map(|work| if let Work::Launch(l) = work { Some(l.kernel) } else { None }).collect()
    }

    fn next(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// The bytes from `address` on, of the allocation that it lies in.
    fn bytes(&mut self, address: u64, len: usize) -> &mut [u8] {
        let (start, taken) = self.memory.range_mut(..=address).next_back().expect("an address of the card");
        let offset = usize::try_from(address - start).unwrap();
        assert!(offset + len <= taken.bytes as usize, "bytes {offset}..{} of {}", offset + len, taken.bytes);
        &mut taken.all()[offset..][..len]
    }

    /// The numbers from `address` on.
    fn numbers(&mut self, address: u64, count: usize, element: Element) -> Vec<f32> {
        let mut values = vec![0.0; count];
        element.widen(self.bytes(address, count * element.size()), &mut values);
        values
    }

    fn multiply(&mut self, of: &Matmul, at: &MatmulAt) {
        for address in [at.dst, at.x, at.weight, at.bias, at.residual] {
            assert!(address.is_multiple_of(16), "an operand of the library lies askew");
        }
        assert!(at.scratch.is_multiple_of(256), "the library's working memory lies askew");
        let results = of.pictures * of.rows * of.cols;
        let x = self.numbers(at.x, of.pictures * of.rows * of.depth, of.element);
        let weight = self.numbers(at.weight, of.cols * of.depth, of.element);
        let bias = if of.bias { self.numbers(at.bias, of.cols, of.dst) } else { vec![0.0; of.cols] };
        let residual = if of.residual { self.numbers(at.residual, results, of.dst) } else { vec![0.0; results] };
        // Nobody may have anything there.
        self.bytes(at.scratch, WORKSPACE as usize).fill(0xFF);
        let value = |i: usize| {
            let (row, col) = (i / of.cols, i % of.cols);
            let (x, weight) = (&x[row * of.depth..][..of.depth], &weight[col * of.depth..][..of.depth]);
            x.iter().zip(weight).map(|(x, w)| x * w).sum::<f32>() + bias[col] + residual[i]
        };
        let values: Vec<f32> = (0..results).map(value).collect();
        let bytes = of.dst.narrowed(&values);
        self.bytes(at.dst, bytes.len()).copy_from_slice(&bytes);
    }

    fn run(&mut self, work: &Work) {
        match work {
            Work::Launch(launch) => self.run_kernel(launch),
            Work::Matmul(of, at) if self.kernels != Kernels::Written => self.multiply(of, at),
            Work::Matmul(..) => {}
        }
    }

    /// Sends work, or notes it.
    fn send(&mut self, work: Work) -> Result<(), Fault> {
        if self.broken {
            return Err(Fault::Other("an illegal address was met".to_owned()));
        }
        self.calls.push(match work.clone() {
            Work::Launch(launch) => Call::Launch(launch),
            Work::Matmul(of, at) => Call::Matmul(of, at),
        });
        match &mut self.capturing {
            Some(noted) => noted.push(work),
            None => self.run(&work),
        }
        Ok(())
    }

    fn run_kernel(&mut self, launch: &Launch) {
        match self.kernels {
            Kernels::Written => return,
            Kernels::Compiled(target) => {
                let pieces = self.memory.iter_mut().map(|(at, taken)| ptx::Piece { at: *at, bytes: taken.all() });
                let traffic = ptx::launch(target, launch, pieces.collect());
                self.traffic.entry(launch.kernel).or_default().add(traffic);
            }
            Kernels::Forwards | Kernels::Backwards => {
                let memory: Vec<_> = self.memory.iter().map(|(start, taken)| [*start, start + taken.bytes]).collect();
                host::launch(launch, self.kernels == Kernels::Backwards, &memory);
            }
        }
        self.memory.values().for_each(Taken::check_guards);
    }
}

/// The driver; clones are the same one, so that a test can look into what a backend holds.
#[derive(Clone, Debug)]
pub(super) struct Double(Arc<Mutex<State>>);

impl Double {
    pub(super) fn new(kernels: Kernels) -> Double {
        Double(Arc::new(Mutex::new(State {
            kernels,
            calls: Vec::new(),
            total: 1 << 30,
            refusals: 0,
            library: false,
            broken: false,
            slow: 0,
            traffic: BTreeMap::new(),
            memory: BTreeMap::new(),
            capturing: None,
            graphs: BTreeMap::new(),
            marks: Vec::new(),
            made: 0,
        })))
    }

    /// One whose card has a library for products of matrices.
    pub(super) fn with_library(kernels: Kernels) -> Double {
        let double = Double::new(kernels);
        double.state().library = true;
        double
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Driver for Double {
    fn name(&self) -> String {
        "Double".to_owned()
    }

    fn memory(&self) -> Result<Memory, Fault> {
        let state = self.state();
        Ok(Memory { free: state.total.saturating_sub(state.used()), total: state.total })
    }

    fn allocate(&mut self, bytes: u64) -> Result<u64, Fault> {
        let mut state = self.state();
        if state.refusals > 0 || state.used() + bytes > state.total {
            state.refusals = state.refusals.saturating_sub(1);
            state.calls.push(Call::Refused(bytes));
            return Err(Fault::Full);
        }
        let mut taken = Taken::new(bytes);
        let address = taken.address();
        state.memory.insert(address, taken);
        state.calls.push(Call::Allocate(bytes));
        Ok(address)
    }

    fn free(&mut self, address: u64) {
        let mut state = self.state();
        let taken = state.memory.remove(&address).expect("what is freed was allocated");
        state.calls.push(Call::Free(taken.bytes));
    }

    fn clear(&mut self, address: u64, bytes: u64) -> Result<(), Fault> {
        self.state().bytes(address, bytes as usize).fill(0);
        Ok(())
    }

    fn upload(&mut self, to: u64, bytes: &[u8]) -> Result<(), Fault> {
        let mut state = self.state();
        assert!(state.capturing.is_none(), "a copy in the middle of a capture");
        state.bytes(to, bytes.len()).copy_from_slice(bytes);
        state.calls.push(Call::Upload(to, bytes.len()));
        Ok(())
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let mut state = self.state();
        bytes.copy_from_slice(state.bytes(from, bytes.len()));
        state.calls.push(Call::Download(from, bytes.len()));
        Ok(())
    }

    fn launch(&mut self, launch: &Launch) -> Result<(), Fault> {
        self.state().send(Work::Launch(launch.clone()))
    }

    fn library(&self) -> Result<String, String> {
        if self.state().library { Ok("Double's library".to_owned()) } else { Err("the double has none".to_owned()) }
    }

    fn matmul_scratch(&self, _: &Matmul) -> Option<u64> {
        self.state().library.then_some(WORKSPACE)
    }

    fn matmul(&mut self, of: &Matmul, at: &MatmulAt) -> Result<(), Fault> {
        self.state().send(Work::Matmul(*of, *at))
    }

    fn begin_capture(&mut self) -> Result<(), Fault> {
        let mut state = self.state();
        assert!(state.capturing.is_none(), "a capture within a capture");
        state.capturing = Some(Vec::new());
        state.calls.push(Call::BeginCapture);
        Ok(())
    }

    fn end_capture(&mut self) -> Result<Graph, Fault> {
        let mut state = self.state();
        let noted = state.capturing.take().expect("a capture ends that has begun");
        let graph = state.next();
        state.graphs.insert(graph, noted);
        state.calls.push(Call::EndCapture(graph));
        Ok(Graph(graph))
    }

    fn replay(&mut self, graph: Graph) -> Result<(), Fault> {
        let mut state = self.state();
        state.calls.push(Call::Replay(graph.0));
        let noted = state.graphs[&graph.0].clone();
        noted.iter().for_each(|work| state.run(work));
        Ok(())
    }

    fn forget(&mut self, graph: Graph) {
        let mut state = self.state();
        state.graphs.remove(&graph.0).expect("what is forgotten was captured");
        state.calls.push(Call::Forget(graph.0));
    }

    fn mark(&mut self) -> Result<Mark, Fault> {
        let mut state = self.state();
        let mark = state.next();
        state.marks.push(mark);
        Ok(Mark(mark))
    }

    fn passed(&mut self, mark: Mark) -> Result<bool, Fault> {
        let mut state = self.state();
        if state.slow > 0 {
            state.slow -= 1;
            return Ok(false);
        }
        let at = state.marks.iter().position(|m| *m == mark.0).expect("a mark that was set and not passed");
        state.marks.remove(at);
        Ok(true)
    }

    fn settle(&mut self) {
        let mut state = self.state();
        state.slow = 0;
        state.calls.push(Call::Settle);
    }
}
