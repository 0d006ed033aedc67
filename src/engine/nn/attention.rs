//! Attention between tokens, with its four projections. Knows no network.

use super::layers::Linear;
use crate::{
    EngineError,
    ops::{Activation, Buf, Op, PackKv, Shape},
    plan::{Graph, Planner},
    weights::Loader,
};

/// Multi-head attention.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Attention {
    pub to_q: Linear,
    pub to_k: Linear,
    pub to_v: Linear,
    /// `to_out.0` in the checkpoint.
    pub to_out: Linear,
    /// Heads.
    pub heads: usize,
}

/// The checkpoint keys of the four projections.
pub type Names = [&'static str; 4];

/// As today's diffusers writes them.
pub const NAMES: Names = ["to_q", "to_k", "to_v", "to_out.0"];

impl Attention {
    /// The attention called `name`: queries of `channels`, keys and values from `context` channels.
    pub fn load(
        l: &mut Loader<'_>,
        name: &str,
        names: Names,
        channels: usize,
        context: usize,
        heads: usize,
    ) -> Result<Attention, EngineError> {
        if heads == 0 || !channels.is_multiple_of(heads) {
            return Err(crate::weights::bad(format!("{channels} channels of \"{name}\" do not make {heads} heads.")));
        }
        let [q, k, v, out] = names.map(|n| format!("{name}.{n}"));
        Ok(Attention {
            to_q: Linear::load(l, &q, channels, channels)?,
            to_k: Linear::load(l, &k, context, channels)?,
            to_v: Linear::load(l, &v, context, channels)?,
            to_out: Linear::load(l, &out, channels, channels)?,
            heads,
        })
    }

    /// Every token of `x [n, 1, tokens, c]` attends to all (or, `causal`, to those before it and itself); plus `residual`.
    pub fn to_itself(&self, g: &mut Graph<'_>, x: Buf, residual: Buf, causal: bool) -> Buf {
        let q = g.linear(x, &self.to_q, Activation::None);
        let k = g.linear(x, &self.to_k, Activation::None);
        let v = g.linear(x, &self.to_v, Activation::None);
        let kv = g.pack_kv(k, v, self.heads);
        let h = g.attention(q, kv, x.shape.w, self.heads, causal);
        g.linear_add(h, &self.to_out, residual)
    }

    /// Every token of `x [n, 1, queries, c]` attends to `tokens` packed by [`Attention::pack`]; plus `residual`.
    pub fn to_packed(&self, g: &mut Graph<'_>, x: Buf, kv: Buf, tokens: usize, residual: Buf) -> Buf {
        let q = g.linear(x, &self.to_q, Activation::None);
        let h = g.attention(q, kv, tokens, self.heads, false);
        g.linear_add(h, &self.to_out, residual)
    }

    /// A buffer that keeps packed keys and values of `[n, 1, tokens, ..]` through the run.
    pub fn keep(&self, planner: &mut Planner, backend: &dyn crate::ops::Backend, n: usize, tokens: usize) -> Buf {
        planner.keep(Shape::vector(backend.packed_kv_len(Shape::sequence(n, tokens, self.to_k.out), self.heads)))
    }

    /// Packs keys and values of `context [n, 1, tokens, context]` into a kept buffer.
    pub fn pack(&self, g: &mut Graph<'_>, context: Buf, dst: Buf) {
        let k = g.linear(context, &self.to_k, Activation::None);
        let v = g.linear(context, &self.to_v, Activation::None);
        g.push(Op::PackKv(PackKv { dst, k, v, heads: self.heads }));
    }
}
