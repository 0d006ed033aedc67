//! GroupNorm and LayerNorm. Knows no other operation.
//!
//! Sums are taken in f64 over blocks of rows whose size depends on the extent alone, and added up in order.

use super::{arena::Arena, math, simd::vectorized, tiles::Grid};
use crate::ops::{Activation, GroupNorm, LayerNorm, Shape};
use std::sync::atomic::AtomicBool;

/// Elements of a block of rows, about.
const BLOCK: usize = 1 << 16;

/// Rows of a block.
fn block_rows(shape: Shape) -> usize {
    (BLOCK / shape.c).clamp(1, shape.h * shape.w)
}

/// Blocks of a picture.
fn blocks(shape: Shape) -> usize {
    (shape.h * shape.w).div_ceil(block_rows(shape))
}

/// For each block the sum and the sum of squares of each channel, then a factor and an offset for each channel
/// of each picture; f64, so two elements each.
pub(super) fn group_norm_scratch(shape: Shape) -> usize {
    4 * shape.n * shape.c * (blocks(shape) + 1)
}

pub(super) fn group_norm(arena: &mut Arena, scale: &[f32], offset: &[f32], stop: &AtomicBool, op: &GroupNorm) {
    let shape = op.x.shape;
    let (pixels, channels, blocks) = (shape.h * shape.w, shape.c, blocks(shape));
    let (dst, [x], scratch) = arena.views(op.dst, [op.x]);
    let (sums, factors) = scratch[..group_norm_scratch(shape)].split_at_mut(4 * shape.n * channels * blocks);

    // 1. Sums of each block, one row of the matrix of sums a block.
    let grid =
        Grid { pictures: 1, rows: shape.n * blocks, cols: 4 * channels, block_rows: 1, block_cols: 4 * channels, down: true };
    grid.each(stop, sums, &mut [], |mut rect, _| {
        let row = rect.rows.start;
        let (picture, block) = (row / blocks, row % blocks);
        let first = block * block_rows(shape);
        let last = (first + block_rows(shape)).min(pixels);
        let values = &x[(picture * pixels + first) * channels..(picture * pixels + last) * channels];
        let (sum, squares) = bytemuck::cast_slice_mut::<f32, f64>(rect.row(row)).split_at_mut(channels);
        accumulate(values, sum, squares);
    });

    // 2. Factor and offset of each channel.
    let sums: &[f64] = bytemuck::cast_slice(sums);
    let factors: &mut [f64] = bytemuck::cast_slice_mut(factors);
    let group = channels / op.groups;
    for n in 0..shape.n {
        for g in 0..op.groups {
            let (mut sum, mut squares) = (0.0, 0.0);
            for block in 0..blocks {
                let of_block = &sums[(n * blocks + block) * 2 * channels..][..2 * channels];
                for c in g * group..(g + 1) * group {
                    sum += of_block[c];
                    squares += of_block[channels + c];
                }
            }
            let count = (pixels * group) as f64;
            let mean = sum / count;
            let inverse = 1.0 / ((squares / count - mean * mean).max(0.0) + f64::from(op.eps)).sqrt();
            for c in g * group..(g + 1) * group {
                let factor = inverse * f64::from(scale[c]);
                factors[n * 2 * channels + c] = factor;
                factors[n * 2 * channels + channels + c] = f64::from(offset[c]) - mean * factor;
            }
        }
    }
    let factors: &mut [f32] = bytemuck::cast_slice_mut(factors);
    narrow(factors);

    // 3. Apply.
    let act = if op.silu { Activation::Silu } else { Activation::None };
    let grid =
        Grid { pictures: shape.n, rows: pixels, cols: channels, block_rows: block_rows(shape), block_cols: channels, down: true };
    grid.each(stop, dst, &mut [], |mut rect, _| {
        let picture = rect.rows.start / pixels;
        let (factor, offset) = factors[picture * 2 * channels..][..2 * channels].split_at(channels);
        for row in rect.rows.clone() {
            scale_and_shift(rect.row(row), &x[row * channels..][..channels], factor, offset, act);
        }
    });
}

/// Turns f64 into f32 in place: the first half of the memory holds the results.
fn narrow(memory: &mut [f32]) {
    for i in 0..memory.len() / 2 {
        memory[i] = bytemuck::cast::<[f32; 2], f64>([memory[2 * i], memory[2 * i + 1]]) as f32;
    }
}

vectorized! {
    /// Sum and sum of squares of each column of `values`.
    fn accumulate(values: &[f32], sum: &mut [f64], squares: &mut [f64]) {
        sum.fill(0.0);
        squares.fill(0.0);
        for row in values.chunks_exact(sum.len()) {
            for ((sum, squares), x) in sum.iter_mut().zip(squares.iter_mut()).zip(row) {
                let x = f64::from(*x);
                *sum += x;
                *squares += x * x;
            }
        }
    }
}

vectorized! {
    /// `dst = act(x * factor + offset)`, column by column.
    fn scale_and_shift(dst: &mut [f32], x: &[f32], factor: &[f32], offset: &[f32], act: Activation) {
        let columns = dst.iter_mut().zip(x).zip(factor.iter().zip(offset));
        if act == Activation::Silu {
            for ((to, x), (a, b)) in columns {
                let y = x * a + b;
                *to = y * math::sigmoid(y);
            }
        } else {
            for ((to, x), (a, b)) in columns {
                *to = x * a + b;
            }
        }
    }
}

pub(super) fn layer_norm(arena: &mut Arena, scale: &[f32], offset: &[f32], stop: &AtomicBool, op: &LayerNorm) {
    let channels = op.x.shape.c;
    let (dst, [x], _) = arena.views(op.dst, [op.x]);
    let rows = op.x.shape.rows();
    let grid =
        Grid { pictures: 1, rows, cols: channels, block_rows: (BLOCK / channels).max(1), block_cols: channels, down: true };
    grid.each(stop, dst, &mut [], |mut rect, _| {
        for row in rect.rows.clone() {
            normalize(rect.row(row), &x[row * channels..][..channels], scale, offset, op.eps);
        }
    });
}

/// Partial sums of a row, so that it can be added up with vector instructions in an order of our own.
const LANES: usize = 16;

vectorized! {
    /// One row of a LayerNorm.
    fn normalize(dst: &mut [f32], x: &[f32], scale: &[f32], offset: &[f32], eps: f32) {
        let count = x.len() as f32;
        let mean = sum(x, |x| x) / count;
        let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
        let inverse = 1.0 / (variance + eps).sqrt();
        for ((to, x), (a, b)) in dst.iter_mut().zip(x).zip(scale.iter().zip(offset)) {
            *to = (x - mean) * inverse * a + b;
        }
    }
}

#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f(*x);
    }
    lanes.iter().sum()
}
