//! Operations with a thread for each element, or for each chunk of elements. Knows no other operation.

use super::{CHUNK, Places, activation, args, args::Operand, elements_of_a_thread, small};
use crate::cuda::driver::{Launch, THREADS};
use crate::ops::{Activate, Blend, Buf, Clamp, Concat, Copy, Embed, LinearCombination, Posterior, Slice, TimestepEmbedding};

pub(in super::super) fn activate(places: &Places<'_>, op: &Activate) -> Launch {
    let count = op.dst.len();
    let (dst, x) = (places.operand(op.dst), places.operand(op.x));
    let each = elements_of_a_thread(&[count], &[dst, x]);
    let args = args::Activate { dst, x, count: count as u64, act: activation(op.act), each: small(each) };
    places.each("activate", count / each, &args)
}

pub(in super::super) fn copy(places: &Places<'_>, op: &Copy) -> Launch {
    let (count, period) = (op.dst.len(), op.x.len());
    let (dst, x) = (places.operand(op.dst), places.operand(op.x));
    let each = elements_of_a_thread(&[count, period], &[dst, x]);
    let args = args::Copy { dst, x, count: count as u64, period: small(period / each), each: small(each) };
    places.each("copy", count / each, &args)
}

/// Copies `count` channels from `first` on of each row of `x` to those from `dst_first` on of each row of `dst`.
fn channels(places: &Places<'_>, (dst, dst_first): (Buf, usize), (x, x_first): (Buf, usize), count: usize) -> Launch {
    let elements = x.shape.rows() * count;
    let (to, from) = (places.operand(dst), places.operand(x));
    let each = elements_of_a_thread(&[count, dst.shape.c, x.shape.c, dst_first, x_first], &[to, from]);
    let args = args::Channels {
        dst: to,
        x: from,
        count: elements as u64,
        channels: small(count),
        dst_channels: small(dst.shape.c),
        x_channels: small(x.shape.c),
        dst_first: small(dst_first),
        x_first: small(x_first),
        each: small(each),
    };
    places.each("channels", elements / each, &args)
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
    let dst = places.operand(op.dst);
    let each = elements_of_a_thread(&[op.dst.len()], &[&terms[..], &[dst]].concat());
    let args = args::LinearCombination {
        dst,
        coefficients: places.operand(op.coefficients),
        terms,
        count: op.dst.len() as u64,
        used: small(op.terms.len()),
        each: small(each),
    };
    places.each("linear_combination", op.dst.len() / each, &args)
}

pub(in super::super) fn clamp(places: &Places<'_>, op: &Clamp) -> Launch {
    let count = op.dst.len();
    let [dst, x, limits] = [op.dst, op.x, op.limits].map(|b| places.operand(b));
    let each = elements_of_a_thread(&[count], &[dst, x]);
    places.each("clamp", count / each, &args::Clamp { dst, x, limits, count: count as u64, each: small(each), unused: 0 })
}

pub(in super::super) fn blend(places: &Places<'_>, op: &Blend) -> Launch {
    let [dst, mask, a, b] = [op.dst, op.mask, op.a, op.b].map(|b| places.operand(b));
    let (count, pixels) = (op.dst.len(), small(op.mask.len()));
    // The kernel counts elements in 32 bits, to find their pixels.
    assert!(count < u32::MAX as usize - CHUNK * THREADS as usize, "{count} elements are more than a mask is for");
    let each = elements_of_a_thread(&[count], &[dst, a, b]);
    let args = args::Blend {
        dst,
        mask,
        a,
        b,
        count: count as u64,
        pixels,
        channels: small(op.dst.shape.c),
        each: small(each),
        unused: 0,
    };
    places.each("blend", count / each, &args)
}
