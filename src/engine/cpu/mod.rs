//! The CPU as a device: its memory, its threads and its packed weights. Each operation's arithmetic is in
//! a file of its own. Knows no network.
//!
//! A program runs inside the thread pool as one task, whose operations split themselves into tiles there. The
//! calling thread meanwhile asks `poll` every few milliseconds and raises a flag that every tile looks at
//! before it begins; a tile is a few milliseconds of work.

mod arena;
mod elementwise;

use crate::{
    EngineError, memory,
    ops::{self, Backend, Buf, Op, Poll, RawWeight, Shape, Stopped, Weight, WeightKind},
    plan::Plan,
};
use arena::Arena;
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
        CpuBackend { pool: Arc::new(pool), arena: Arena::default(), stop: Arc::default() }
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

    fn weight(&mut self, _raw: RawWeight<'_>, _kind: WeightKind) -> Weight {
        unimplemented!()
    }

    fn weight_bytes(&self) -> usize {
        0
    }

    fn packed_kv_len(&self, _kv: Shape, _heads: usize) -> usize {
        0
    }

    fn scratch_len(&self, _op: &Op) -> usize {
        0
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

    fn linear(&mut self, _op: &ops::Linear) {
        unimplemented!()
    }

    fn conv2d(&mut self, _op: &ops::Conv2d) {
        unimplemented!()
    }

    fn group_norm(&mut self, _op: &ops::GroupNorm) {
        unimplemented!()
    }

    fn layer_norm(&mut self, _op: &ops::LayerNorm) {
        unimplemented!()
    }

    fn pack_kv(&mut self, _op: &ops::PackKv) {
        unimplemented!()
    }

    fn attention(&mut self, _op: &ops::Attention) {
        unimplemented!()
    }

    fn activate(&mut self, _op: &ops::Activate) {
        unimplemented!()
    }

    fn embed(&mut self, _op: &ops::Embed) {
        unimplemented!()
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
