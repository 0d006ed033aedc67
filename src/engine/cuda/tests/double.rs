//! A driver without a card: it writes down what it is asked, keeps memory in this process, and runs kernels as [`host`]
//! does, or not at all. Refuses what a card would refuse.

use super::host;
use crate::cuda::driver::{Driver, Fault, Graph, Launch, Mark, Memory};
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
}

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
    /// The card has fallen off: nothing that is sent is done any more.
    pub(super) broken: bool,
    /// So often a mark is not passed yet.
    pub(super) slow: usize,
    memory: BTreeMap<u64, Taken>,
    capturing: Option<Vec<Launch>>,
    graphs: BTreeMap<u32, Vec<Launch>>,
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

    /// The launches of a graph.
    pub(super) fn graph(&self, graph: u32) -> &[Launch] {
        &self.graphs[&graph]
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
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut taken.words);
        &mut all[8 * taken.first + offset..][..len]
    }

    fn run(&mut self, launch: &Launch) {
        if self.kernels != Kernels::Written {
            let memory: Vec<_> = self.memory.iter().map(|(start, taken)| [*start, start + taken.bytes]).collect();
            host::launch(launch, self.kernels == Kernels::Backwards, &memory);
            self.memory.values().for_each(Taken::check_guards);
        }
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
            broken: false,
            slow: 0,
            memory: BTreeMap::new(),
            capturing: None,
            graphs: BTreeMap::new(),
            marks: Vec::new(),
            made: 0,
        })))
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
        let mut state = self.state();
        if state.broken {
            return Err(Fault::Other("an illegal address was met".to_owned()));
        }
        state.calls.push(Call::Launch(launch.clone()));
        match &mut state.capturing {
            Some(noted) => noted.push(launch.clone()),
            None => state.run(launch),
        }
        Ok(())
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
        let launches = state.graphs[&graph.0].clone();
        launches.iter().for_each(|launch| state.run(launch));
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
