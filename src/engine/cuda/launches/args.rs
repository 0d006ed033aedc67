//! What kernels are told, field by field as the sources have it. Knows no operation; a launch whose size differs from what
//! the sources say fails its test.

use super::super::element::Element;
use bytemuck::{Pod, Zeroable};

/// Most terms of a linear combination, as `elementwise.cu` has it.
pub(in super::super) const MAX_TERMS: usize = 16;

/// A buffer; nothing where `at` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(in super::super) struct Operand {
    pub(in super::super) at: u64,
    is_f32: u32,
    unused: u32,
}

impl Operand {
    pub(super) fn new(at: u64, element: Element) -> Operand {
        Operand { at, is_f32: u32::from(element == Element::F32), unused: 0 }
    }

    /// Whether it begins where chunks of 16 bytes can be read.
    pub(super) fn holds_chunks(self) -> bool {
        self.at.is_multiple_of(16)
    }
}

/// Structures of plain numbers, laid out as C does.
macro_rules! args {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
        #[repr(C)]
        pub(in super::super) struct $name { $(pub(in super::super) $field: $ty),* }
    )*};
}

args! {
    /// `product.cuh`
    Product {
        dst: Operand, x: Operand, shift: Operand, residual: Operand,
        weight: u64, bias: u64,
        pictures: u32, from_h: u32, from_w: u32, depth: u32,
        to_h: u32, to_w: u32, cols: u32, kernel: u32,
        stride: u32, pad: u32,
        height: u32, width: u32,
        down: f32, across: f32,
        act: u32,
        parts: u32, part: u32, each: u32,
        sums: u64,
    }
    /// `attention.cu`
    PackKv { dst: Operand, k: Operand, v: Operand, count: u64, tokens: u32, heads: u32, size: u32, each: u32 }
    /// `attention.cuh`
    Attention {
        dst: Operand, q: Operand, kv: Operand,
        values: u64,
        queries: u32, tokens: u32, heads: u32, size: u32,
        scale: f32, causal: u32,
    }
    /// `norm.cu`
    GroupNorm {
        dst: Operand, x: Operand,
        weight: u64, bias: u64, moments: u64, factors: u64,
        count: u64,
        n: u32, pixels: u32, channels: u32, groups: u32,
        parts: u32, part: u32,
        eps: f32, silu: u32,
        each: u32, unused: u32,
    }
    /// `norm.cu`
    LayerNorm { dst: Operand, x: Operand, weight: u64, bias: u64, rows: u32, channels: u32, eps: f32, unused: u32 }
    /// `elementwise.cu`
    Activate { dst: Operand, x: Operand, count: u64, act: u32, each: u32 }
    /// `elementwise.cu`
    Copy { dst: Operand, x: Operand, count: u64, period: u32, each: u32 }
    /// `elementwise.cu`
    Channels {
        dst: Operand, x: Operand,
        count: u64,
        channels: u32, dst_channels: u32, x_channels: u32,
        dst_first: u32, x_first: u32, each: u32,
    }
    /// `elementwise.cu`
    Embed { dst: Operand, ids: Operand, table: Operand, positions: Operand, count: u64, tokens: u32, channels: u32 }
    /// `elementwise.cu`
    TimestepEmbedding { dst: Operand, timesteps: Operand, n: u32, half: u32, freq_shift: f32, cosines_first: u32 }
    /// `elementwise.cu`
    Posterior { dst: Operand, moments: Operand, noise: Operand, count: u64, channels: u32, unused: u32 }
    /// `elementwise.cu`
    LinearCombination {
        dst: Operand, coefficients: Operand, terms: [Operand; MAX_TERMS],
        count: u64,
        used: u32, each: u32,
    }
    /// `elementwise.cu`
    Clamp { dst: Operand, x: Operand, limits: Operand, count: u64, each: u32, unused: u32 }
    /// `elementwise.cu`
    Blend { dst: Operand, mask: Operand, a: Operand, b: Operand, count: u64, pixels: u32, channels: u32, each: u32, unused: u32 }
    /// `latents.cu`
    Guide { dst: Operand, without: Operand, with: Operand, params: Operand, picture: u64 }
    /// `latents.cu`
    Threshold { dst: Operand, x: Operand, params: Operand, picture: u64 }
}
