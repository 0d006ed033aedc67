//! An NVIDIA GPU as a device: its memory, its packed weights, and programs that become graphs. What each operation is on it
//! stands in `launches/`, the kernels in `kernels/`; `../CUDA.md` tells what has been proven, and how. Knows no network.
//!
//! A program is captured when it is first run and replayed from then on, by one call. The host goes on meanwhile: it is at
//! most two programs ahead, asks `poll` while it waits for that, and waits for the card itself only where it reads.

#[cfg(feature = "cuda")]
mod blas;
#[cfg(feature = "cuda")]
pub mod card;
pub mod driver;
pub mod element;
#[cfg(feature = "cuda")]
pub(crate) mod images;
mod launches;
mod pool;
#[cfg(test)]
mod tests;
mod weights;

use crate::{
    EngineError, memory,
    ops::{self, Backend, Buf, Op, Poll, RawWeight, Shape, Stopped, Weight, WeightKind},
    plan::Plan,
};
use driver::{Driver, Fault, Graph, Launch, Mark};
use element::Element;
use launches::{Places, attention, elementwise, latents, norm, product, product::Layer};
use pool::Layout;
use protocol::Problem;
use std::{collections::VecDeque, thread, time::Duration};
use weights::{Packed, Packing};

/// Programs that are sent before the first of them is done: with two, the card never waits for the host.
const AHEAD: usize = 2;
/// Time between two questions whether a program is done.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// What happens when the card fails in the middle of a run: nothing is known of its memory then, and only the end of the
/// process gives it back. Hears why, in words.
pub type Lost = fn(&str) -> !;

/// A GPU.
#[allow(missing_debug_implementations, reason = "holds a device")]
pub struct CudaBackend {
    driver: Box<dyn Driver>,
    element: Element,
    weights: Vec<Packed>,
    run: Option<Run>,
    /// The ends of the programs that were sent and not seen done.
    sent: VecDeque<Mark>,
    lost: Lost,
    /// Linear layers are the card's library's, where it can do them.
    library: bool,
    /// Products have tiles of another size than was chosen, which changes no bit.
    #[cfg(test)]
    other_tiles: bool,
}

/// The memory of a plan, and the graphs that name its addresses.
struct Run {
    layout: Layout,
    base: u64,
    graphs: Vec<(Vec<Op>, Graph)>,
}

impl CudaBackend {
    /// A GPU that keeps matrices and what lies between two operations as `element`.
    pub fn new(driver: Box<dyn Driver>, element: Element) -> CudaBackend {
        CudaBackend {
            // Its sums of f32 would be those of tensor cores, or no faster.
            library: element != Element::F32 && driver.library().is_ok(),
            driver,
            element,
            weights: Vec::new(),
            run: None,
            sent: VecDeque::new(),
            lost: stumble,
            #[cfg(test)]
            other_tiles: false,
        }
    }

    /// What happens when the card fails in the middle of a run, in place of a panic.
    #[must_use]
    pub fn when_lost(mut self, lost: Lost) -> CudaBackend {
        self.lost = lost;
        self
    }

    /// The card's library for linear layers in words, or why there is none and what to do. Nothing for f32, which has no use for it.
    pub fn library(&self) -> Option<Result<String, String>> {
        (self.element != Element::F32).then(|| self.driver.library())
    }

    /// Memory of the card. What does not fit is refused with numbers.
    fn take(&mut self, bytes: u64, remedy: &str) -> Result<u64, EngineError> {
        if let Some(address) = self.try_take(bytes)? {
            return Ok(address);
        }
        let driver::Memory { free, total } = self.driver.memory().map_err(failed)?;
        let [needed, free, total] = [bytes, free, total].map(memory::words);
        let what = format!("This needs {needed} of the GPU's memory, and {free} of its {total} are free.");
        Err(EngineError::GpuFull(Problem::new(what).remedy(remedy)))
    }

    /// Nothing where the card is full.
    fn try_take(&mut self, bytes: u64) -> Result<Option<u64>, EngineError> {
        if self.driver.memory().map_err(failed)?.free < bytes {
            return Ok(None);
        }
        match self.driver.allocate(bytes) {
            Ok(address) => Ok(Some(address)),
            Err(Fault::Full) => Ok(None),
            Err(fault) => Err(failed(fault)),
        }
    }

    fn places(&self) -> Places<'_> {
        let Run { layout, base, .. } = self.run.as_ref().expect("operations run on a reserved plan");
        Places { element: self.element, layout, base: *base, weights: &self.weights }
    }

    /// Has the card's library do a layer, where it can.
    fn by_library(&mut self, layer: Option<Layer>) -> bool {
        let Some((of, at)) = layer.filter(|_| self.library).and_then(|layer| layer.matmul_at(&self.places())) else {
            return false;
        };
        let can = self.driver.matmul_scratch(&of).is_some();
        if can {
            sure(self.lost, self.driver.matmul(&of, &at));
        }
        can
    }

    /// Elements of working memory that the library wants for a layer, wherever the plan will have its result.
    fn library_scratch(&self, layer: Option<Layer>) -> usize {
        let Some(layer) = layer.filter(|_| self.library) else { return 0 };
        let products = [self.element, Element::F32].into_iter().filter_map(|kept| layer.matmul(self.element, kept));
        let bytes = products.filter_map(|of| self.driver.matmul_scratch(&of)).max().unwrap_or(0);
        usize::try_from(bytes).expect("working memory fits the host's numbers").div_ceil(size_of::<f32>())
    }

    /// Sends the launches of an operation.
    fn send<L: IntoIterator<Item = Launch>>(&mut self, launches: impl FnOnce(&Places<'_>) -> L) {
        let launches = launches(&self.places());
        for launch in launches {
            #[cfg(test)]
            let launch = if self.other_tiles { product::with_other_tile(launch) } else { launch };
            if launch.blocks.0 > 0 && launch.blocks.1 > 0 {
                sure(self.lost, self.driver.launch(&launch));
            }
        }
    }

    /// The graph of a program, captured where it is new.
    fn graph(&mut self, ops: &[Op]) -> Graph {
        let run = self.run.as_ref().expect("operations run on a reserved plan");
        if let Some((_, graph)) = run.graphs.iter().find(|(of, _)| of == ops) {
            return *graph;
        }
        sure(self.lost, self.driver.begin_capture());
        ops.iter().for_each(|op| self.execute(op));
        let graph = sure(self.lost, self.driver.end_capture());
        if let Some(run) = &mut self.run {
            run.graphs.push((ops.to_vec(), graph));
        }
        graph
    }

    /// Waits until fewer than [`AHEAD`] programs are on their way.
    fn keep_pace(&mut self, poll: &mut Poll<'_>) -> Result<(), Stopped> {
        while self.sent.len() >= AHEAD {
            if sure(self.lost, self.driver.passed(self.sent[0])) {
                self.sent.pop_front();
                continue;
            }
            if poll().is_break() {
                return Err(Stopped);
            }
            thread::sleep(ASK_EVERY);
        }
        Ok(())
    }
}

/// A fault where there is a way to tell of it.
fn failed(fault: Fault) -> EngineError {
    EngineError::Other(
        Problem::new(format!("The GPU failed: {fault}.")).remedy("Try again; if it stays so, restart the machine."),
    )
}

/// What a call gave in the middle of a run, where nothing can go on after a fault.
fn sure<T>(lost: Lost, outcome: Result<T, Fault>) -> T {
    outcome.unwrap_or_else(|fault| lost(&format!("the GPU failed: {fault}")))
}

/// What a backend does that was told nothing else: only the thread that waits for it ends.
fn stumble(why: &str) -> ! {
    panic!("{why}")
}

impl Drop for CudaBackend {
    fn drop(&mut self) {
        self.release();
        for weight in self.weights.drain(..) {
            self.driver.free(weight.address);
        }
    }
}

impl Backend for CudaBackend {
    fn device(&self) -> String {
        let library = self.library().and_then(Result::ok).map(|name| format!(", {name}"));
        format!("{}, {}{}", self.driver.name(), self.element.suffix(), library.unwrap_or_default())
    }

    fn weight(&mut self, raw: RawWeight<'_>, kind: WeightKind) -> Result<Weight, EngineError> {
        let packing = Packing::new(raw, kind, self.element, self.library);
        let bytes = packing.bytes();
        let address = self.take(bytes as u64, "Choose a smaller model, or end what else uses the GPU.")?;
        let half = packing.copy_at().map(|at| address + at as u64);
        let packed = Packed { address, bytes, element: packing.element, matrix: packing.matrix, half };
        self.weights.push(packed);
        packing.send(|bytes| self.driver.upload(address, bytes)).map_err(failed)?;
        Ok(Weight(u32::try_from(self.weights.len() - 1).expect("a model has far fewer than 2^32 weights")))
    }

    fn weight_bytes(&self) -> usize {
        self.weights.iter().map(|w| w.bytes).sum()
    }

    fn packed_kv_len(&self, kv: Shape, _heads: usize) -> usize {
        attention::packed_kv_len(kv)
    }

    fn scratch_len(&self, op: &Op) -> usize {
        match op {
            Op::Linear(op) => product::linear_scratch(self.element, op).max(self.library_scratch(Layer::of_linear(op))),
            Op::Conv2d(op) => product::conv2d_scratch(self.element, op).max(self.library_scratch(Layer::of_conv2d(op))),
            Op::GroupNorm(op) => norm::group_norm_scratch(op.x.shape),
            _ => 0,
        }
    }

    fn reserve(&mut self, plan: &Plan) -> Result<(), EngineError> {
        self.release();
        let layout = Layout::new(plan, self.element);
        let bytes = layout.bytes() as u64;
        let base = self.take(bytes, "Choose a smaller size or fewer pictures at once.")?;
        self.run = Some(Run { layout, base, graphs: Vec::new() });
        self.driver.clear(base, bytes).map_err(failed)
    }

    fn release(&mut self) {
        let Some(run) = self.run.take() else { return };
        self.driver.settle();
        // All marks are passed now, unless the card is lost.
        while let Some(mark) = self.sent.pop_front() {
            let _ = self.driver.passed(mark);
        }
        for (_, graph) in run.graphs {
            self.driver.forget(graph);
        }
        self.driver.free(run.base);
    }

    fn write(&mut self, buf: Buf, values: &[f32]) {
        assert_eq!(buf.len(), values.len(), "a buffer is written whole");
        let run = self.run.as_ref().expect("a plan is reserved before it is written");
        let (byte, element) = run.layout.place(buf);
        sure(self.lost, self.driver.upload(run.base + byte as u64, &element.narrowed(values)));
    }

    fn read(&self, buf: Buf, values: &mut [f32]) {
        assert_eq!(buf.len(), values.len(), "a buffer is read whole");
        let run = self.run.as_ref().expect("a plan is reserved before it is read");
        let (byte, element) = run.layout.place(buf);
        let mut bytes = vec![0; values.len() * element.size()];
        sure(self.lost, self.driver.download(run.base + byte as u64, &mut bytes));
        element.widen(&bytes, values);
    }

    fn run(&mut self, ops: &[Op], poll: &mut Poll<'_>) -> Result<(), Stopped> {
        if poll().is_break() {
            return Err(Stopped);
        }
        match ops {
            // The small ones between two programs.
            [op] => self.execute(op),
            _ => {
                self.keep_pace(poll)?;
                let graph = self.graph(ops);
                sure(self.lost, self.driver.replay(graph));
                let mark = sure(self.lost, self.driver.mark());
                self.sent.push_back(mark);
            }
        }
        Ok(())
    }

    fn linear(&mut self, op: &ops::Linear) {
        if !self.by_library(Layer::of_linear(op)) {
            self.send(|p| product::linear(p, op));
        }
    }

    fn conv2d(&mut self, op: &ops::Conv2d) {
        if !self.by_library(Layer::of_conv2d(op)) {
            self.send(|p| product::conv2d(p, op));
        }
    }

    fn group_norm(&mut self, op: &ops::GroupNorm) {
        self.send(|p| norm::group_norm(p, op));
    }

    fn layer_norm(&mut self, op: &ops::LayerNorm) {
        self.send(|p| [norm::layer_norm(p, op)]);
    }

    fn pack_kv(&mut self, op: &ops::PackKv) {
        self.send(|p| [attention::pack_kv(p, op)]);
    }

    fn attention(&mut self, op: &ops::Attention) {
        self.send(|p| [attention::attention(p, op)]);
    }

    fn activate(&mut self, op: &ops::Activate) {
        self.send(|p| [elementwise::activate(p, op)]);
    }

    fn embed(&mut self, op: &ops::Embed) {
        self.send(|p| [elementwise::embed(p, op)]);
    }

    fn timestep_embedding(&mut self, op: &ops::TimestepEmbedding) {
        self.send(|p| [elementwise::timestep_embedding(p, op)]);
    }

    fn concat(&mut self, op: &ops::Concat) {
        self.send(|p| elementwise::concat(p, op));
    }

    fn slice(&mut self, op: &ops::Slice) {
        self.send(|p| [elementwise::slice(p, op)]);
    }

    fn copy(&mut self, op: &ops::Copy) {
        self.send(|p| [elementwise::copy(p, op)]);
    }

    fn posterior(&mut self, op: &ops::Posterior) {
        self.send(|p| [elementwise::posterior(p, op)]);
    }

    fn guide(&mut self, op: &ops::Guide) {
        self.send(|p| [latents::guide(p, op)]);
    }

    fn linear_combination(&mut self, op: &ops::LinearCombination) {
        self.send(|p| [elementwise::linear_combination(p, op)]);
    }

    fn clamp(&mut self, op: &ops::Clamp) {
        self.send(|p| [elementwise::clamp(p, op)]);
    }

    fn threshold(&mut self, op: &ops::Threshold) {
        self.send(|p| [latents::threshold(p, op)]);
    }

    fn blend(&mut self, op: &ops::Blend) {
        self.send(|p| [elementwise::blend(p, op)]);
    }
}
