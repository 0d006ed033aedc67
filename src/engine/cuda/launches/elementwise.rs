//! Operations with a thread for each element. Knows no other operation.

use super::{Places, activation, args, args::Operand, small};
use crate::cuda::driver::Launch;
use crate::ops::{Activate, Blend, Buf, Clamp, Concat, Copy, Embed, LinearCombination, Posterior, Slice, TimestepEmbedding};

pub(in super::super) fn activate(places: &Places<'_>, op: &Activate) -> Launch {
    let count = op.dst.len();
    let (dst, x) = (places.operand(op.dst), places.operand(op.x));
    places.each("activate", count, &args::Activate { dst, x, count: count as u64, act: activation(op.act), unused: 0 })
}

pub(in super::super) fn copy(places: &Places<'_>, op: &Copy) -> Launch {
    let (count, period) = (op.dst.len(), op.x.len());
    let (dst, x) = (places.operand(op.dst), places.operand(op.x));
    places.each("copy", count, &args::Copy { dst, x, count: count as u64, period: period as u64 })
}

/// Copies `count` channels from `first` on of each row of `x` to those from `dst_first` on of each row of `dst`.
fn channels(places: &Places<'_>, (dst, dst_first): (Buf, usize), (x, x_first): (Buf, usize), count: usize) -> Launch {
    let elements = x.shape.rows() * count;
    let args = args::Channels {
        dst: places.operand(dst),
        x: places.operand(x),
        count: elements as u64,
        channels: small(count),
        dst_channels: small(dst.shape.c),
        x_channels: small(x.shape.c),
        dst_first: small(dst_first),
        x_first: small(x_first),
        unused: 0,
    };
    places.each("channels", elements, &args)
}

pub(in super::super) fn concat(places: &Places<'_>, op: &Concat) -> Vec<Launch> {
    let mut first = 0;
    let place = |part: &Buf| {
        let launch = channels(places, (op.dst, first), (*part, 0), part.shape.c);
        first += part.shape.c;
        launch
    };
    op.parts.iter().map(place).collect()
}

pub(in super::super) fn slice(places: &Places<'_>, op: &Slice) -> Launch {
    channels(places, (op.dst, 0), (op.x, op.first), op.dst.shape.c)
}

pub(in super::super) fn embed(places: &Places<'_>, op: &Embed) -> Launch {
    let args = args::Embed {
        dst: places.operand(op.dst),
        ids: places.operand(op.ids),
        table: places.table(op.table),
        positions: places.table(op.positions),
        count: op.dst.len() as u64,
        tokens: small(op.dst.shape.w),
        channels: small(op.dst.shape.c),
    };
    places.each("embed", op.dst.len(), &args)
}

pub(in super::super) fn timestep_embedding(places: &Places<'_>, op: &TimestepEmbedding) -> Launch {
    let (n, half) = (op.dst.shape.n, op.dst.shape.c / 2);
    let args = args::TimestepEmbedding {
        dst: places.operand(op.dst),
        timesteps: places.operand(op.timesteps),
        n: small(n),
        half: small(half),
        freq_shift: op.freq_shift,
        cosines_first: u32::from(op.flip_sin_to_cos),
    };
    places.each("timestep_embedding", n * half, &args)
}

pub(in super::super) fn posterior(places: &Places<'_>, op: &Posterior) -> Launch {
    let args = args::Posterior {
        dst: places.operand(op.dst),
        moments: places.operand(op.moments),
        noise: places.operand(op.noise),
        count: op.dst.len() as u64,
        channels: small(op.dst.shape.c),
        unused: 0,
    };
    places.each("posterior", op.dst.len(), &args)
}

pub(in super::super) fn linear_combination(places: &Places<'_>, op: &LinearCombination) -> Launch {
    assert!(op.terms.len() <= args::MAX_TERMS, "{} terms are more than a combination takes", op.terms.len());
    let mut terms = [Operand::default(); args::MAX_TERMS];
    terms.iter_mut().zip(&op.terms).for_each(|(to, term)| *to = places.operand(*term));
    let args = args::LinearCombination {
        dst: places.operand(op.dst),
        coefficients: places.operand(op.coefficients),
        terms,
        count: op.dst.len() as u64,
        used: small(op.terms.len()),
        unused: 0,
    };
    places.each("linear_combination", op.dst.len(), &args)
}

pub(in super::super) fn clamp(places: &Places<'_>, op: &Clamp) -> Launch {
    let count = op.dst.len();
    let [dst, x, limits] = [op.dst, op.x, op.limits].map(|b| places.operand(b));
    places.each("clamp", count, &args::Clamp { dst, x, limits, count: count as u64 })
}

pub(in super::super) fn blend(places: &Places<'_>, op: &Blend) -> Launch {
    let [dst, mask, a, b] = [op.dst, op.mask, op.a, op.b].map(|b| places.operand(b));
    let (count, pixels) = (op.dst.len() as u64, op.mask.len() as u64);
    let args = args::Blend { dst, mask, a, b, count, pixels, channels: small(op.dst.shape.c), unused: 0 };
    places.each("blend", op.dst.len(), &args)
}
