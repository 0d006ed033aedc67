//! The operations: operands, extents and meaning of each. Knows nothing of how they are computed.
//!
//! Extents are written `[n, h, w, c]`. Operands other than `dst` are only read. `dst` overlaps no other operand,
//! except where an operation says that it may be one of them.

use super::{Buf, Weight};

/// One operation of a program.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum Op {
    Linear(Linear),
    Conv2d(Conv2d),
    GroupNorm(GroupNorm),
    LayerNorm(LayerNorm),
    PackKv(PackKv),
    Attention(Attention),
    Activate(Activate),
    Embed(Embed),
    TimestepEmbedding(TimestepEmbedding),
    Concat(Concat),
    Slice(Slice),
    Copy(Copy),
    Posterior(Posterior),
    Guide(Guide),
    LinearCombination(LinearCombination),
    Clamp(Clamp),
    Threshold(Threshold),
    Blend(Blend),
}

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x
    None,
    /// x * sigmoid(x)
    Silu,
    /// x * (1 + erf(x / sqrt 2)) / 2
    Gelu,
    /// x * sigmoid(1.702 x), as CLIP-L has it
    QuickGelu,
    /// value * gelu(gate), where the layer makes both (Shazeer 2020); halves the channels. [`Linear`] only.
    Geglu,
}

/// `dst = act(x W^T + bias) + residual`; `x [.., in]`, `dst [.., out]`, the same rows.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the formula names the fields")]
pub struct Linear {
    pub dst: Buf,
    pub x: Buf,
    pub weight: Weight,
    pub bias: Option<Weight>,
    pub act: Activation,
    pub residual: Option<Buf>,
}

/// `dst = conv(resize(x)) + bias + shift + residual`, zeros around the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// `[n, oh, ow, out]`; its extent says how much padding lies below and to the right.
    pub dst: Buf,
    /// `[n, h, w, in]`
    pub x: Buf,
    /// `[out, in, kernel, kernel]`
    pub weight: Weight,
    /// `[out]`
    pub bias: Option<Weight>,
    /// 1 or 3.
    pub kernel: usize,
    /// Distance of two outputs in the input.
    pub stride: usize,
    /// Zeros above and to the left.
    pub pad: usize,
    /// Rows and columns to which `x` is enlarged first, each pixel from its nearest.
    pub resize: Option<(usize, usize)>,
    /// `[n, 1, 1, out]`, the same for every pixel: a time embedding.
    pub shift: Option<Buf>,
    /// `[n, oh, ow, out]`
    pub residual: Option<Buf>,
}

/// Normalises each picture's groups of neighbouring channels to mean 0 and deviation 1, then scales and shifts
/// each channel (Wu and He 2018); SiLU after it where `silu`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the sentence above names the fields")]
pub struct GroupNorm {
    pub dst: Buf,
    pub x: Buf,
    pub weight: Weight,
    pub bias: Weight,
    pub groups: usize,
    pub eps: f32,
    pub silu: bool,
}

/// Normalises each row over its channels, then scales and shifts each channel (Ba et al. 2016).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the sentence above names the fields")]
pub struct LayerNorm {
    pub dst: Buf,
    pub x: Buf,
    pub weight: Weight,
    pub bias: Weight,
    pub eps: f32,
}

/// Lays keys and values out for [`Attention`], as the device likes them. Those of a prompt are packed once a run.
#[derive(Clone, Debug, PartialEq)]
pub struct PackKv {
    /// A vector of [`super::Backend::packed_kv_len`] elements.
    pub dst: Buf,
    /// `[n, 1, tokens, heads * size]`
    pub k: Buf,
    /// `[n, 1, tokens, heads * size]`
    pub v: Buf,
    /// Heads.
    pub heads: usize,
}

/// `dst = softmax(q k^T * size^-1/2) v` for each head.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// `[n, 1, queries, heads * size]`
    pub dst: Buf,
    /// `[n, 1, queries, heads * size]`
    pub q: Buf,
    /// Written by [`PackKv`] for the same `n`, `heads` and `size`.
    pub kv: Buf,
    /// Keys of each sequence.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Query i sees keys 0 to i only.
    pub causal: bool,
}

/// `dst = act(x)`; `dst` may be `x`. Not for [`Activation::Geglu`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the formula names the fields")]
pub struct Activate {
    pub dst: Buf,
    pub x: Buf,
    pub act: Activation,
}

/// `dst[n, 1, i] = table[ids[n, i]] + positions[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed {
    /// `[n, 1, tokens, c]`
    pub dst: Buf,
    /// `n * tokens` whole numbers below the table's rows (an f32 holds them exactly up to 2^24).
    pub ids: Buf,
    /// `[words, c]`
    pub table: Weight,
    /// `[at least tokens, c]`
    pub positions: Weight,
}

/// Sines and cosines of each timestep, frequencies from 1 down to 1/10000 (Ho et al. 2020).
#[derive(Clone, Debug, PartialEq)]
pub struct TimestepEmbedding {
    /// `[n, 1, 1, c]`, c even.
    pub dst: Buf,
    /// `n` timesteps.
    pub timesteps: Buf,
    /// Cosines first.
    pub flip_sin_to_cos: bool,
    /// Frequency i is `10000^(-i / (c/2 - freq_shift))`.
    pub freq_shift: f32,
}

/// `dst` holds the channels of all `parts`, one after the other.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the sentence above names the fields")]
pub struct Concat {
    pub dst: Buf,
    pub parts: Vec<Buf>,
}

/// `dst` holds channels `first .. first + dst.c` of `x`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the sentence above names the fields")]
pub struct Slice {
    pub dst: Buf,
    pub x: Buf,
    pub first: usize,
}

/// `dst = x`, repeated until `dst` is full (twice, for a guided batch).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the formula names the fields")]
pub struct Copy {
    pub dst: Buf,
    pub x: Buf,
}

/// A draw from the Gaussian that a variational encoder describes: `mean + exp(clamp(logvar, -30, 20) / 2) * noise`.
#[derive(Clone, Debug, PartialEq)]
pub struct Posterior {
    /// `[n, h, w, c]`
    pub dst: Buf,
    /// `[n, h, w, 2 c]`: means, then logarithms of the variances.
    pub moments: Buf,
    /// `[n, h, w, c]`
    pub noise: Buf,
}

/// Classifier-free guidance (Ho and Salimans 2022): `g = without + scale * (with - without)`, then for each
/// picture `dst = rescale * g * std(with) / std(g) + (1 - rescale) * g` (Lin et al. 2023, with n - 1 in the
/// deviations).
#[derive(Clone, Debug, PartialEq)]
pub struct Guide {
    /// `[n, h, w, c]`; may be `with` or `without`.
    pub dst: Buf,
    /// Predicted without the prompt.
    pub without: Buf,
    /// Predicted with the prompt.
    pub with: Buf,
    /// Two numbers: scale, rescale.
    pub params: Buf,
}

/// `dst = sum of coefficients[i] * terms[i]`, added up from the first term; `dst` may be one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearCombination {
    /// As long as each term.
    pub dst: Buf,
    /// As many numbers as terms, or more.
    pub coefficients: Buf,
    /// At least one.
    pub terms: Vec<Buf>,
}

/// `dst = min(max(x, limits[0]), limits[1])`; `dst` may be `x`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the formula names the fields")]
pub struct Clamp {
    pub dst: Buf,
    pub x: Buf,
    pub limits: Buf,
}

/// Dynamic thresholding (Saharia et al. 2022): for each picture, s is the quantile `params[0]` of |x|, kept
/// within 1 and `params[1]`; `dst = clamp(x, -s, s) / s`. `dst` may be `x`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the formula names the fields")]
pub struct Threshold {
    pub dst: Buf,
    pub x: Buf,
    pub params: Buf,
}

/// `dst = mask * a + (1 - mask) * b`; `dst` may be `a` or `b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// `[n, h, w, c]`
    pub dst: Buf,
    /// `[n or 1, h, w, 1]`, from 0 to 1.
    pub mask: Buf,
    /// Where the mask is 1.
    pub a: Buf,
    /// Where the mask is 0.
    pub b: Buf,
}

impl Op {
    /// The buffer that is written.
    pub fn dst(&self) -> Buf {
        match self {
            Op::Linear(o) => o.dst,
            Op::Conv2d(o) => o.dst,
            Op::GroupNorm(o) => o.dst,
            Op::LayerNorm(o) => o.dst,
            Op::PackKv(o) => o.dst,
            Op::Attention(o) => o.dst,
            Op::Activate(o) => o.dst,
            Op::Embed(o) => o.dst,
            Op::TimestepEmbedding(o) => o.dst,
            Op::Concat(o) => o.dst,
            Op::Slice(o) => o.dst,
            Op::Copy(o) => o.dst,
            Op::Posterior(o) => o.dst,
            Op::Guide(o) => o.dst,
            Op::LinearCombination(o) => o.dst,
            Op::Clamp(o) => o.dst,
            Op::Threshold(o) => o.dst,
            Op::Blend(o) => o.dst,
        }
    }

    /// The buffers that are read.
    pub fn sources(&self) -> Vec<Buf> {
        match self {
            Op::Linear(o) => [Some(o.x), o.residual].into_iter().flatten().collect(),
            Op::Conv2d(o) => [Some(o.x), o.shift, o.residual].into_iter().flatten().collect(),
            Op::GroupNorm(o) => vec![o.x],
            Op::LayerNorm(o) => vec![o.x],
            Op::PackKv(o) => vec![o.k, o.v],
            Op::Attention(o) => vec![o.q, o.kv],
            Op::Activate(o) => vec![o.x],
            Op::Embed(o) => vec![o.ids],
            Op::TimestepEmbedding(o) => vec![o.timesteps],
            Op::Concat(o) => o.parts.clone(),
            Op::Slice(o) => vec![o.x],
            Op::Copy(o) => vec![o.x],
            Op::Posterior(o) => vec![o.moments, o.noise],
            Op::Guide(o) => vec![o.without, o.with, o.params],
            Op::LinearCombination(o) => o.terms.iter().copied().chain([o.coefficients]).collect(),
            Op::Clamp(o) => vec![o.x, o.limits],
            Op::Threshold(o) => vec![o.x, o.params],
            Op::Blend(o) => vec![o.mask, o.a, o.b],
        }
    }
}
