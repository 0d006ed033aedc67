//! What a device can do: about twenty fused operations, channels-last, each of which writes into a buffer
//! of the plan. Knows no device, no network and no file.
//!
//! No operation returns a tensor, takes memory, or hands a number back to the host. What changes from step to
//! step (timestep, guidance, a sampler's coefficients) lies in buffers that the host writes, so that the
//! same list of operations can be captured once and replayed.

mod kinds;

pub use kinds::*;

use crate::{EngineError, plan::Plan};
use std::ops::ControlFlow;

/// Extent of a buffer: pictures, rows, columns, channels, in the order in which elements lie in memory.
/// A sequence has `h` = 1; a plain vector has `n` = `h` = `w` = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pictures.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns, or tokens of a sequence.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// `n` pictures of `h` x `w` x `c`.
    pub const fn new(n: usize, h: usize, w: usize, c: usize) -> Shape {
        Shape { n, h, w, c }
    }

    /// `n` sequences of `tokens` x `c`.
    pub const fn sequence(n: usize, tokens: usize, c: usize) -> Shape {
        Shape { n, h: 1, w: tokens, c }
    }

    /// A plain vector.
    pub const fn vector(c: usize) -> Shape {
        Shape { n: 1, h: 1, w: 1, c }
    }

    /// Elements.
    pub const fn len(self) -> usize {
        self.n * self.h * self.w * self.c
    }

    /// Whether it has no elements.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Elements of one picture.
    pub const fn picture(self) -> usize {
        self.h * self.w * self.c
    }

    /// Rows of the matrix `[n * h * w, c]`.
    pub const fn rows(self) -> usize {
        self.n * self.h * self.w
    }

    /// The same extent with other channels.
    pub const fn channels(self, c: usize) -> Shape {
        Shape { c, ..self }
    }
}

/// A buffer of the plan, or a part of one: a handle, not memory. Elements are f32 to the host, whatever the
/// device keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buf {
    /// Which buffer.
    pub(crate) id: u32,
    /// First element of this part.
    pub(crate) start: usize,
    /// Extent of this part.
    pub shape: Shape,
}

impl Buf {
    /// Elements.
    pub fn len(self) -> usize {
        self.shape.len()
    }

    /// Whether it has no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The same elements with another extent of the same size.
    pub fn reshaped(self, shape: Shape) -> Buf {
        assert_eq!(self.len(), shape.len(), "a reshape keeps the number of elements");
        Buf { shape, ..self }
    }

    /// Pictures `first .. first + count`, which lie together.
    pub fn pictures(self, first: usize, count: usize) -> Buf {
        assert!(first + count <= self.shape.n, "pictures {first}..{} of {}", first + count, self.shape.n);
        Buf { start: self.start + first * self.shape.picture(), shape: Shape { n: count, ..self.shape }, ..self }
    }
}

/// A weight that a backend has packed for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(pub(crate) u32);

/// A weight as the file has it: dimensions in the file's order, bytes little-endian and maybe unaligned.
#[derive(Clone, Copy, Debug)]
pub struct RawWeight<'a> {
    /// Checkpoint key, for messages.
    pub name: &'a str,
    /// How elements are kept.
    pub dtype: Dtype,
    /// `[out, in]` for a linear layer, `[out, in, height, width]` for a convolution, `[c]` for a vector.
    pub dims: &'a [usize],
    /// The elements.
    pub bytes: &'a [u8],
}

/// How the elements of a weight file are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of an IEEE single.
    Bf16,
}

impl Dtype {
    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
        }
    }
}

/// What a weight is for, which decides how a backend packs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightKind {
    /// `weight` of [`Linear`] and [`Conv2d`].
    Matrix,
    /// `weight` of a [`Linear`] with [`Activation::Geglu`]: values in the first half of the rows, gates in the second.
    Geglu,
    /// Biases, norms, and tables that [`Embed`] looks up.
    Plain,
}

/// The run was broken off by its `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl From<Stopped> for EngineError {
    fn from(_: Stopped) -> EngineError {
        EngineError::Cancelled
    }
}

/// Asked every 50 ms or less while a program runs.
pub type Poll<'a> = dyn FnMut() -> ControlFlow<()> + 'a;

/// A device. One plan is reserved at a time; its buffers keep their values from program to program.
///
/// The methods named like operations execute one of them at once and are what a device has to implement;
/// everybody else uses [`Backend::run`]. Results depend on the operands only: not on the number of
/// threads, and for each picture not on the others of its batch.
pub trait Backend: Send {
    /// Where this computes, in words: "CPU, 2 cores".
    fn device(&self) -> String;

    /// Packs a weight once. Its dimensions were checked by the caller. Fails where the device has no room for it.
    fn weight(&mut self, raw: RawWeight<'_>, kind: WeightKind) -> Result<Weight, EngineError>;

    /// Bytes held by packed weights.
    fn weight_bytes(&self) -> usize;

    /// Elements of the buffer that [`PackKv`] writes for keys and values of `kv` with so many heads.
    fn packed_kv_len(&self, kv: Shape, heads: usize) -> usize;

    /// Elements of working memory that an operation needs besides its operands.
    fn scratch_len(&self, op: &Op) -> usize;

    /// Takes the memory of a plan, the only time that a run does; gives the previous plan's back first.
    fn reserve(&mut self, plan: &Plan) -> Result<(), EngineError>;

    /// Gives the plan's memory back.
    fn release(&mut self);

    /// Fills a buffer from the host. `values` has its length.
    fn write(&mut self, buf: Buf, values: &[f32]);

    /// Copies a buffer to the host.
    fn read(&self, buf: Buf, values: &mut [f32]);

    /// Executes operations in order.
    fn run(&mut self, ops: &[Op], poll: &mut Poll<'_>) -> Result<(), Stopped>;

    /// See [`Linear`].
    fn linear(&mut self, op: &Linear);
    /// See [`Conv2d`].
    fn conv2d(&mut self, op: &Conv2d);
    /// See [`GroupNorm`].
    fn group_norm(&mut self, op: &GroupNorm);
    /// See [`LayerNorm`].
    fn layer_norm(&mut self, op: &LayerNorm);
    /// See [`PackKv`].
    fn pack_kv(&mut self, op: &PackKv);
    /// See [`Attention`].
    fn attention(&mut self, op: &Attention);
    /// See [`Activate`].
    fn activate(&mut self, op: &Activate);
    /// See [`Embed`].
    fn embed(&mut self, op: &Embed);
    /// See [`TimestepEmbedding`].
    fn timestep_embedding(&mut self, op: &TimestepEmbedding);
    /// See [`Concat`].
    fn concat(&mut self, op: &Concat);
    /// See [`Slice`].
    fn slice(&mut self, op: &Slice);
    /// See [`struct@Copy`].
    fn copy(&mut self, op: &Copy);
    /// See [`Posterior`].
    fn posterior(&mut self, op: &Posterior);
    /// See [`Guide`].
    fn guide(&mut self, op: &Guide);
    /// See [`LinearCombination`].
    fn linear_combination(&mut self, op: &LinearCombination);
    /// See [`Clamp`].
    fn clamp(&mut self, op: &Clamp);
    /// See [`Threshold`].
    fn threshold(&mut self, op: &Threshold);
    /// See [`Blend`].
    fn blend(&mut self, op: &Blend);

    /// Executes one operation at once.
    fn execute(&mut self, op: &Op) {
        match op {
            Op::Linear(op) => self.linear(op),
            Op::Conv2d(op) => self.conv2d(op),
            Op::GroupNorm(op) => self.group_norm(op),
            Op::LayerNorm(op) => self.layer_norm(op),
            Op::PackKv(op) => self.pack_kv(op),
            Op::Attention(op) => self.attention(op),
            Op::Activate(op) => self.activate(op),
            Op::Embed(op) => self.embed(op),
            Op::TimestepEmbedding(op) => self.timestep_embedding(op),
            Op::Concat(op) => self.concat(op),
            Op::Slice(op) => self.slice(op),
            Op::Copy(op) => self.copy(op),
            Op::Posterior(op) => self.posterior(op),
            Op::Guide(op) => self.guide(op),
            Op::LinearCombination(op) => self.linear_combination(op),
            Op::Clamp(op) => self.clamp(op),
            Op::Threshold(op) => self.threshold(op),
            Op::Blend(op) => self.blend(op),
        }
    }
}
