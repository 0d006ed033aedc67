//! The CPU as a device: its memory, its threads and its packed weights. Each operation's arithmetic is in
//! a file of its own. Knows no network.
//!
//! A program runs inside the thread pool as one task, whose operations split themselves into tiles there. The
//! calling thread meanwhile asks `poll` every few milliseconds and raises a flag that every tile looks at
//! before it begins; a tile is a few milliseconds of work.

mod arena;
mod attention;
mod elementwise;
mod math;
mod matmul;
mod microkernel;
mod norm;
mod pack;
mod simd;
#[cfg(test)]
mod tests;
mod tiles;

use crate::{
    EngineError, memory,
    ops::{self, Backend, Buf, Op, Poll, RawWeight, Shape, Stopped, Weight, WeightKind},
    plan::Plan,
};
use arena::Arena;
use pack::Packed;
use protocol::Problem;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    ops::ControlFlow,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Time between two questions to `poll`.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// The CPU.
#[allow(missing_debug_implementations, reason = "holds gigabytes")]
pub struct CpuBackend {
    pool: Arc<ThreadPool>,
    arena: Arena,
    weights: Vec<Packed>,
    /// Operands of the pixels around a picture; as long as the deepest layer.
    zeros: Vec<f32>,
    stop: Arc<AtomicBool>,
}

impl CpuBackend {
    /// A CPU of so many threads, at least 1. The number changes times, never results.
    pub fn new(threads: usize) -> CpuBackend {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("compute-{i}"))
            .build()
            .expect("the system starts a handful of threads");
        CpuBackend { pool: Arc::new(pool), arena: Arena::default(), weights: Vec::new(), zeros: Vec::new(), stop: Arc::default() }
    }
}

/// Raised when a program is over, even by a panic: the thread that polls must not wait for ever.
#[derive(Default)]
struct Latch {
    over: Mutex<bool>,
    bell: Condvar,
}

impl Latch {
    /// Waits until the latch is raised, [`POLL_EVERY`] at most; whether it was.
    fn wait(&self) -> bool {
        let over = self.over.lock().expect("nobody panics while holding the latch");
        *self.bell.wait_timeout_while(over, POLL_EVERY, |over| !*over).expect("nobody panics while holding the latch").0
    }
}

/// Raises the latch when dropped.
struct Raise<'a>(&'a Latch);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        *self.0.over.lock().expect("nobody panics while holding the latch") = true;
        self.0.bell.notify_all();
    }
}

impl Backend for CpuBackend {
    fn device(&self) -> String {
        let threads = self.pool.current_num_threads();
        format!("CPU, {threads} {}", if threads == 1 { "core" } else { "cores" })
    }

    fn weight(&mut self, raw: RawWeight<'_>, kind: WeightKind) -> Result<Weight, EngineError> {
        let packed = self.pool.install(|| Packed::new(raw, kind));
        if let Packed::Matrix(m) = &packed {
            self.zeros.resize(self.zeros.len().max(m.depth), 0.0);
        }
        let handle = u32::try_from(self.weights.len()).expect("a model has far fewer than 2^32 weights");
        self.weights.push(packed);
        Ok(Weight(handle))
    }

    fn weight_bytes(&self) -> usize {
        self.weights.iter().map(Packed::bytes).sum()
    }

    fn packed_kv_len(&self, kv: Shape, heads: usize) -> usize {
        attention::packed_kv_len(kv, heads)
    }

    fn scratch_len(&self, op: &Op) -> usize {
        let threads = self.pool.current_num_threads();
        let product = |weight| threads * matmul::product_scratch(matmul::matrix(&self.weights, weight));
        match op {
            Op::GroupNorm(op) => norm::group_norm_scratch(op.x.shape),
            Op::Attention(op) => threads * attention::attention_scratch(op),
            Op::Linear(op) => product(op.weight),
            Op::Conv2d(op) => product(op.weight),
            _ => 0,
        }
    }

    fn reserve(&mut self, plan: &Plan) -> Result<(), EngineError> {
        self.release();
        let too_much = |free: Option<u64>| {
            let needed = memory::words(plan.bytes());
            let what = match free {
                Some(free) => format!("This needs {needed} of memory, and {} are free.", memory::words(free)),
                None => format!("This needs {needed} of memory, which the system refuses."),
            };
            EngineError::OutOfMemory(Problem::new(what).remedy("Choose a smaller size or fewer pictures at once."))
        };
        let free = memory::available();
        if free.is_some_and(|free| free < plan.bytes()) {
            return Err(too_much(free));
        }
        self.arena = Arena::new(plan).map_err(|_| too_much(None))?;
        Ok(())
    }

    fn release(&mut self) {
        self.arena = Arena::default();
    }

    fn write(&mut self, buf: Buf, values: &[f32]) {
        self.arena.get_mut(buf).copy_from_slice(values);
    }

    fn read(&self, buf: Buf, values: &mut [f32]) {
        values.copy_from_slice(self.arena.get(buf));
    }

    fn run(&mut self, ops: &[Op], poll: &mut Poll<'_>) -> Result<(), Stopped> {
        if poll().is_break() {
            return Err(Stopped);
        }
        let (pool, stop) = (self.pool.clone(), self.stop.clone());
        stop.store(false, Ordering::Relaxed);
        let latch = Latch::default();
        pool.in_place_scope(|scope| {
            scope.spawn(|_| {
                let _raise = Raise(&latch);
                for op in ops {
                    if self.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    self.execute(op);
                }
            });
            while !latch.wait() {
                if poll() == ControlFlow::Break(()) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        if stop.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) }
    }

    fn linear(&mut self, op: &ops::Linear) {
        matmul::linear(&mut self.arena, &self.weights, &self.zeros, &self.stop, op);
    }

    fn conv2d(&mut self, op: &ops::Conv2d) {
        matmul::conv2d(&mut self.arena, &self.weights, &self.zeros, &self.stop, op);
    }

    fn group_norm(&mut self, op: &ops::GroupNorm) {
        let (scale, offset) = (matmul::plain(&self.weights, op.weight), matmul::plain(&self.weights, op.bias));
        norm::group_norm(&mut self.arena, scale, offset, &self.stop, op);
    }

    fn layer_norm(&mut self, op: &ops::LayerNorm) {
        let (scale, offset) = (matmul::plain(&self.weights, op.weight), matmul::plain(&self.weights, op.bias));
        norm::layer_norm(&mut self.arena, scale, offset, &self.stop, op);
    }

    fn pack_kv(&mut self, op: &ops::PackKv) {
        attention::pack_kv(&mut self.arena, &self.stop, op);
    }

    fn attention(&mut self, op: &ops::Attention) {
        // Rows of the last block that are not there read these instead.
        let size = op.q.shape.c / op.heads;
        self.zeros.resize(self.zeros.len().max(size), 0.0);
        attention::attention(&mut self.arena, &self.zeros, &self.stop, op);
    }

    fn activate(&mut self, op: &ops::Activate) {
        elementwise::activate(&mut self.arena, op);
    }

    fn embed(&mut self, op: &ops::Embed) {
        let (table, positions) = (matmul::plain(&self.weights, op.table), matmul::plain(&self.weights, op.positions));
        elementwise::embed(&mut self.arena, table, positions, op);
    }

    fn timestep_embedding(&mut self, op: &ops::TimestepEmbedding) {
        elementwise::timestep_embedding(&mut self.arena, op);
    }

    fn concat(&mut self, op: &ops::Concat) {
        elementwise::concat(&mut self.arena, op);
    }

    fn slice(&mut self, op: &ops::Slice) {
        elementwise::slice(&mut self.arena, op);
    }

    fn copy(&mut self, op: &ops::Copy) {
        elementwise::copy(&mut self.arena, op);
    }

    fn posterior(&mut self, op: &ops::Posterior) {
        elementwise::posterior(&mut self.arena, op);
    }

    fn guide(&mut self, op: &ops::Guide) {
        elementwise::guide(&mut self.arena, op);
    }

    fn linear_combination(&mut self, op: &ops::LinearCombination) {
        elementwise::linear_combination(&mut self.arena, op);
    }

    fn clamp(&mut self, op: &ops::Clamp) {
        elementwise::clamp(&mut self.arena, op);
    }

    fn threshold(&mut self, op: &ops::Threshold) {
        elementwise::threshold(&mut self.arena, op);
    }

    fn blend(&mut self, op: &ops::Blend) {
        elementwise::blend(&mut self.arena, op);
    }
}
