//! The words in which a forward pass is written: each appends one operation to the program and names the buffer that it
//! will write. Knows extents; computes nothing.

use super::layers::{Conv2d, Linear, Norm};
use crate::{
    ops::{self, Activation, Buf, Op, Shape},
    plan::Graph,
};

impl Graph<'_> {
    /// `act(x W^T + b)`, `[.., in]` to `[.., out]`.
    pub fn linear(&mut self, x: Buf, layer: &Linear, act: Activation) -> Buf {
        self.linear_with(x, layer, act, None)
    }

    /// `x W^T + b + residual`
    pub fn linear_add(&mut self, x: Buf, layer: &Linear, residual: Buf) -> Buf {
        self.linear_with(x, layer, Activation::None, Some(residual))
    }

    fn linear_with(&mut self, x: Buf, layer: &Linear, act: Activation, residual: Option<Buf>) -> Buf {
        let dst = self.buffer(x.shape.channels(layer.out));
        self.push(Op::Linear(ops::Linear { dst, x, weight: layer.weight, bias: layer.bias, act, residual }));
        dst
    }

    /// A convolution that keeps the picture's size.
    pub fn conv2d(&mut self, x: Buf, layer: &Conv2d) -> Buf {
        self.conv2d_with(x, layer, None, None)
    }

    /// The same, plus a vector for each picture, plus another picture.
    pub fn conv2d_with(&mut self, x: Buf, layer: &Conv2d, shift: Option<Buf>, residual: Option<Buf>) -> Buf {
        let dst = self.buffer(x.shape.channels(layer.out));
        self.push(Op::Conv2d(ops::Conv2d { shift, residual, ..plain(dst, x, layer) }));
        dst
    }

    /// A convolution of every second pixel: `[n, h, w, in]` to half the size, with `pad` zeros above and to the left
    /// (and as many below and to the right, or one where there are none above).
    pub fn downsample(&mut self, x: Buf, layer: &Conv2d, pad: usize) -> Buf {
        let Shape { n, h, w, .. } = x.shape;
        let half = |len: usize| (len + (2 * pad).max(1) - layer.kernel) / 2 + 1;
        let dst = self.buffer(Shape::new(n, half(h), half(w), layer.out));
        self.push(Op::Conv2d(ops::Conv2d { stride: 2, pad, ..plain(dst, x, layer) }));
        dst
    }

    /// A convolution of the picture enlarged to `h` x `w` by its nearest pixels.
    pub fn upsample(&mut self, x: Buf, layer: &Conv2d, h: usize, w: usize) -> Buf {
        let dst = self.buffer(Shape::new(x.shape.n, h, w, layer.out));
        self.push(Op::Conv2d(ops::Conv2d { resize: Some((h, w)), ..plain(dst, x, layer) }));
        dst
    }

    /// GroupNorm.
    pub fn group_norm(&mut self, x: Buf, layer: &Norm) -> Buf {
        self.group_norm_with(x, layer, false)
    }

    /// GroupNorm, then SiLU.
    pub fn group_norm_silu(&mut self, x: Buf, layer: &Norm) -> Buf {
        self.group_norm_with(x, layer, true)
    }

    fn group_norm_with(&mut self, x: Buf, layer: &Norm, silu: bool) -> Buf {
        let dst = self.buffer(x.shape);
        let Norm { weight, bias, eps, groups } = *layer;
        self.push(Op::GroupNorm(ops::GroupNorm { dst, x, weight, bias, groups, eps, silu }));
        dst
    }

    /// LayerNorm.
    pub fn layer_norm(&mut self, x: Buf, layer: &Norm) -> Buf {
        let dst = self.buffer(x.shape);
        self.push(Op::LayerNorm(ops::LayerNorm { dst, x, weight: layer.weight, bias: layer.bias, eps: layer.eps }));
        dst
    }

    /// Keys and values, `[n, 1, tokens, c]` each, as the device likes them.
    pub fn pack_kv(&mut self, k: Buf, v: Buf, heads: usize) -> Buf {
        let dst = self.buffer(Shape::vector(self.backend().packed_kv_len(k.shape, heads)));
        self.push(Op::PackKv(ops::PackKv { dst, k, v, heads }));
        dst
    }

    /// Attention of `[n, 1, queries, c]` to packed keys and values of so many tokens.
    pub fn attention(&mut self, q: Buf, kv: Buf, tokens: usize, heads: usize, causal: bool) -> Buf {
        let dst = self.buffer(q.shape);
        self.push(Op::Attention(ops::Attention { dst, q, kv, tokens, heads, causal }));
        dst
    }

    /// One function for all elements.
    pub fn activate(&mut self, x: Buf, act: Activation) -> Buf {
        let dst = self.buffer(x.shape);
        self.push(Op::Activate(ops::Activate { dst, x, act }));
        dst
    }

    /// The channels of both, `a` first.
    pub fn concat(&mut self, a: Buf, b: Buf) -> Buf {
        let dst = self.buffer(a.shape.channels(a.shape.c + b.shape.c));
        self.push(Op::Concat(ops::Concat { dst, parts: vec![a, b] }));
        dst
    }

    /// Writes `x` to a buffer that another program, or the host, reads.
    pub fn store(&mut self, dst: Buf, x: Buf) {
        self.push(Op::Copy(ops::Copy { dst, x }));
    }
}

/// A convolution with stride 1 and nothing added.
fn plain(dst: Buf, x: Buf, layer: &Conv2d) -> ops::Conv2d {
    ops::Conv2d {
        dst,
        x,
        weight: layer.weight,
        bias: layer.bias,
        kernel: layer.kernel,
        stride: 1,
        pad: layer.kernel / 2,
        resize: None,
        shift: None,
        residual: None,
    }
}
