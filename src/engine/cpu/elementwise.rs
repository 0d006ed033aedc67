//! Operations on latents, which are small: plain loops on one thread, in blocks where the result may be an
//! operand. Knows no other operation.

use super::{arena::Arena, math};
use crate::ops::{
    Activate, Blend, Buf, Clamp, Concat, Copy, Embed, Guide, LinearCombination, Posterior, Slice, Threshold, TimestepEmbedding,
};

/// Elements worked on at a time, on the stack, so that `dst` may be an operand.
const BLOCK: usize = 1024;

/// Fills `dst` block by block: `fill(arena, first element, block)` reads operands, then the block is stored.
fn by_blocks(arena: &mut Arena, dst: Buf, fill: impl Fn(&Arena, usize, &mut [f32])) {
    let mut block = [0.0f32; BLOCK];
    for first in (0..dst.len()).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(dst.len() - first)];
        fill(arena, first, block);
        arena.get_mut(dst)[first..first + block.len()].copy_from_slice(block);
    }
}

pub(super) fn linear_combination(arena: &mut Arena, op: &LinearCombination) {
    by_blocks(arena, op.dst, |arena, first, block| {
        block.fill(0.0);
        for (coefficient, term) in arena.get(op.coefficients).iter().zip(&op.terms) {
            for (sum, x) in block.iter_mut().zip(&arena.get(*term)[first..]) {
                *sum += coefficient * x;
            }
        }
    });
}

pub(super) fn activate(arena: &mut Arena, op: &Activate) {
    by_blocks(arena, op.dst, |arena, first, block| {
        block.copy_from_slice(&arena.get(op.x)[first..first + block.len()]);
        math::activate(block, op.act);
    });
}

pub(super) fn embed(arena: &mut Arena, table: &[f32], positions: &[f32], op: &Embed) {
    let (tokens, c) = (op.dst.shape.w, op.dst.shape.c);
    let (dst, [ids], _) = arena.views(op.dst, [op.ids]);
    for (i, (to, id)) in dst.chunks_exact_mut(c).zip(ids).enumerate() {
        let word = &table[*id as usize * c..][..c];
        let position = &positions[i % tokens * c..][..c];
        for ((to, a), b) in to.iter_mut().zip(word).zip(position) {
            *to = a + b;
        }
    }
}

pub(super) fn clamp(arena: &mut Arena, op: &Clamp) {
    by_blocks(arena, op.dst, |arena, first, block| {
        let limits = arena.get(op.limits);
        for (to, x) in block.iter_mut().zip(&arena.get(op.x)[first..]) {
            *to = x.max(limits[0]).min(limits[1]);
        }
    });
}

pub(super) fn blend(arena: &mut Arena, op: &Blend) {
    let (pixels, channels) = (op.mask.len(), op.dst.shape.c);
    by_blocks(arena, op.dst, |arena, first, block| {
        let (mask, a, b) = (arena.get(op.mask), &arena.get(op.a)[first..], &arena.get(op.b)[first..]);
        for (i, to) in block.iter_mut().enumerate() {
            let m = mask[(first + i) / channels % pixels];
            *to = m * a[i] + (1.0 - m) * b[i];
        }
    });
}

pub(super) fn guide(arena: &mut Arena, op: &Guide) {
    let (scale, rescale) = (arena.get(op.params)[0], arena.get(op.params)[1]);
    for n in 0..op.dst.shape.n {
        let [dst, without, with] = [op.dst, op.without, op.with].map(|b| b.pictures(n, 1));
        let guided = |a: &f32, b: &f32| a + scale * (b - a);
        let pairs = || arena.get(without).iter().zip(arena.get(with));
        let factor = if rescale == 0.0 {
            1.0
        } else {
            let wanted = deviation(arena.get(with).iter().copied());
            let has = deviation(pairs().map(|(a, b)| guided(a, b)));
            (f64::from(rescale) * wanted / has + 1.0 - f64::from(rescale)) as f32
        };
        by_blocks(arena, dst, |arena, first, block| {
            let (a, b) = (&arena.get(without)[first..], &arena.get(with)[first..]);
            for (i, to) in block.iter_mut().enumerate() {
                *to = factor * guided(&a[i], &b[i]);
            }
        });
    }
}

/// Standard deviation with n - 1.
fn deviation(values: impl Iterator<Item = f32>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0f64, 0.0f64, 0.0f64);
    for x in values {
        let x = f64::from(x);
        count += 1.0;
        sum += x;
        squares += x * x;
    }
    ((squares - sum * sum / count) / (count - 1.0)).max(0.0).sqrt()
}

pub(super) fn threshold(arena: &mut Arena, op: &Threshold) {
    let (ratio, most) = (arena.get(op.params)[0], arena.get(op.params)[1]);
    for n in 0..op.dst.shape.n {
        let (dst, x) = (op.dst.pictures(n, 1), op.x.pictures(n, 1));
        let s = quantile(arena.get(x).iter().map(|x| x.abs()).collect(), ratio).min(most).max(1.0);
        by_blocks(arena, dst, |arena, first, block| {
            for (to, x) in block.iter_mut().zip(&arena.get(x)[first..]) {
                *to = x.clamp(-s, s) / s;
            }
        });
    }
}

/// The quantile `ratio` of `values`, between two of them by a straight line.
fn quantile(mut values: Vec<f32>, ratio: f32) -> f32 {
    values.sort_by(f32::total_cmp);
    let rank = f64::from(ratio) * (values.len() - 1) as f64;
    let (low, part) = (rank.floor() as usize, rank.fract());
    let high = (low + 1).min(values.len() - 1);
    (f64::from(values[low]) + part * f64::from(values[high] - values[low])) as f32
}

pub(super) fn posterior(arena: &mut Arena, op: &Posterior) {
    let channels = op.dst.shape.c;
    let (dst, [moments, noise], _) = arena.views(op.dst, [op.moments, op.noise]);
    let rows = moments.chunks_exact(2 * channels).zip(noise.chunks_exact(channels));
    for (to, (moments, noise)) in dst.chunks_exact_mut(channels).zip(rows) {
        let (mean, logvar) = moments.split_at(channels);
        for c in 0..channels {
            to[c] = mean[c] + (0.5 * logvar[c].clamp(-30.0, 20.0)).exp() * noise[c];
        }
    }
}

pub(super) fn timestep_embedding(arena: &mut Arena, op: &TimestepEmbedding) {
    let half = op.dst.shape.c / 2;
    let (dst, [timesteps], _) = arena.views(op.dst, [op.timesteps]);
    for (to, t) in dst.chunks_exact_mut(2 * half).zip(timesteps) {
        for i in 0..half {
            // The reference computes the frequency in f32; so does this, step by step.
            let exponent = -(10000f32.ln()) * i as f32 / (half as f32 - op.freq_shift);
            let (sin, cos) = (t * exponent.exp()).sin_cos();
            (to[i], to[half + i]) = if op.flip_sin_to_cos { (cos, sin) } else { (sin, cos) };
        }
    }
}

pub(super) fn concat(arena: &mut Arena, op: &Concat) {
    let mut first = 0;
    for part in &op.parts {
        let (dst, [x], _) = arena.views(op.dst, [*part]);
        let c = part.shape.c;
        for (to, from) in dst.chunks_exact_mut(op.dst.shape.c).zip(x.chunks_exact(c)) {
            to[first..first + c].copy_from_slice(from);
        }
        first += c;
    }
}

pub(super) fn slice(arena: &mut Arena, op: &Slice) {
    let (dst, [x], _) = arena.views(op.dst, [op.x]);
    let c = op.dst.shape.c;
    for (to, from) in dst.chunks_exact_mut(c).zip(x.chunks_exact(op.x.shape.c)) {
        to.copy_from_slice(&from[op.first..op.first + c]);
    }
}

pub(super) fn copy(arena: &mut Arena, op: &Copy) {
    let (dst, [x], _) = arena.views(op.dst, [op.x]);
    for to in dst.chunks_mut(x.len()) {
        to.copy_from_slice(&x[..to.len()]);
    }
}
