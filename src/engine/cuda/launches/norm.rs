//! GroupNorm, which takes three kernels, and LayerNorm. Knows no other operation.

use super::{Places, args, elements_of_a_thread, small};
use crate::cuda::driver::{LANES, Launch, THREADS};
use crate::ops::{GroupNorm, LayerNorm, Shape};

/// Pixels of a part, at least.
const PART: usize = 32;
/// Parts of a picture, at most.
const PARTS: usize = 1024;
/// Numbers in the kernels' `Moments`.
const MOMENTS: usize = 3;

/// Pixels of a part, and parts of a picture. Both depend on the picture alone, so that the order of its sums does too.
fn parts(shape: Shape) -> (usize, usize) {
    let pixels = shape.h * shape.w;
    let part = pixels.div_ceil(PARTS).max(PART);
    (part, pixels.div_ceil(part))
}

/// Moments of each channel of each part, then a factor and an offset for each channel of each picture.
pub(in super::super) fn group_norm_scratch(shape: Shape) -> usize {
    shape.n * shape.c * (MOMENTS * parts(shape).1 + 2)
}

pub(in super::super) fn group_norm(places: &Places<'_>, op: &GroupNorm) -> [Launch; 3] {
    let shape = op.x.shape;
    let (part, parts) = parts(shape);
    let moments = places.scratch();
    let count = shape.n * parts * shape.c;
    let (dst, x) = (places.operand(op.dst), places.operand(op.x));
    let each = elements_of_a_thread(&[shape.c], &[dst, x]);
    let args = args::GroupNorm {
        dst,
        x,
        weight: places.vector(op.weight),
        bias: places.vector(op.bias),
        moments,
        factors: moments + (4 * MOMENTS * count) as u64,
        count: shape.len() as u64,
        n: small(shape.n),
        pixels: small(shape.h * shape.w),
        channels: small(shape.c),
        groups: small(op.groups),
        parts: small(parts),
        part: small(part),
        eps: op.eps,
        silu: u32::from(op.silu),
        each: small(each),
        unused: 0,
    };
    [
        places.each("group_norm_moments", count, &args),
        places.blocks("group_norm_factors", (shape.n * op.groups, 1), &args),
        places.each("group_norm", shape.len() / each, &args),
    ]
}

pub(in super::super) fn layer_norm(places: &Places<'_>, op: &LayerNorm) -> Launch {
    let args = args::LayerNorm {
        dst: places.operand(op.dst),
        x: places.operand(op.x),
        weight: places.vector(op.weight),
        bias: places.vector(op.bias),
        rows: small(op.x.shape.rows()),
        channels: small(op.x.shape.c),
        eps: op.eps,
        unused: 0,
    };
    places.blocks("layer_norm", (op.x.shape.rows().div_ceil((THREADS / LANES) as usize), 1), &args)
}
