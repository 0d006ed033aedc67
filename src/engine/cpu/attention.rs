//! Scaled dot-product attention. Knows the microkernel; knows no network.
//!
//! Keys and values are laid out as panels of the microkernel. A tile of work is one head's queries of a block: their
//! scores, softmax and weighted sum of values stay in the thread's working memory, which is never larger than a block's
//! queries times the keys.

use super::{
    arena::Arena,
    math,
    microkernel::{PANEL, ROWS, Rows},
    pack::{padded, width},
    simd::vectorized,
    tiles::Grid,
};
use crate::ops::{Attention, PackKv, Shape};
use std::{ops::Range, sync::atomic::AtomicBool};

/// Queries of a block.
const QUERIES: usize = 2 * ROWS;

/// Elements of one head's keys: panels of [`PANEL`] tokens, `[size, token]` each.
fn key_len(tokens: usize, size: usize) -> usize {
    tokens.next_multiple_of(PANEL) * size
}

/// Elements of one head's values: panels of columns, `[token, column]` each.
fn value_len(tokens: usize, size: usize) -> usize {
    tokens * padded(size)
}

pub(super) fn packed_kv_len(kv: Shape, heads: usize) -> usize {
    let size = kv.c / heads;
    kv.n * heads * (key_len(kv.w, size) + value_len(kv.w, size))
}

pub(super) fn attention_scratch(op: &Attention) -> usize {
    QUERIES * op.tokens.next_multiple_of(PANEL)
}

pub(super) fn pack_kv(arena: &mut Arena, stop: &AtomicBool, op: &PackKv) {
    let Shape { n, w: tokens, c, .. } = op.k.shape;
    let size = c / op.heads;
    let (dst, [k, v], _) = arena.views(op.dst, [op.k, op.v]);
    let head_len = key_len(tokens, size) + value_len(tokens, size);
    let grid = Grid { pictures: 1, rows: n * op.heads, cols: head_len, block_rows: 1, block_cols: head_len, down: true };
    grid.each(stop, dst, &mut [], |mut rect, _| {
        let row = rect.rows.start;
        let (n, head) = (row / op.heads, row % op.heads);
        let of = |from: &'_ [f32], token: usize| -> Range<usize> {
            let start = (n * tokens + token) * c + head * size;
            debug_assert!(start + size <= from.len());
            start..start + size
        };
        let (keys, values) = rect.row(row).split_at_mut(key_len(tokens, size));
        keys.fill(0.0);
        for token in 0..tokens {
            let panel = &mut keys[token / PANEL * PANEL * size..];
            for (i, x) in k[of(k, token)].iter().enumerate() {
                panel[i * PANEL + token % PANEL] = *x;
            }
            let mut rest = &mut *values;
            for col in (0..size).step_by(PANEL) {
                let width = width(size - col);
                let (panel, after) = rest.split_at_mut(tokens * width);
                let to = &mut panel[token * width..][..width];
                let used = width.min(size - col);
                to[..used].copy_from_slice(&v[of(v, token)][col..col + used]);
                to[used..].fill(0.0);
                rest = after;
            }
        }
    });
}

pub(super) fn attention(arena: &mut Arena, zeros: &[f32], stop: &AtomicBool, op: &Attention) {
    let Shape { n, w: queries, c, .. } = op.q.shape;
    let size = c / op.heads;
    let (dst, [q, kv], scratch) = arena.views(op.dst, [op.q, op.kv]);
    let head_len = kv.len() / (n * op.heads);
    let grid = Grid { pictures: n, rows: queries, cols: c, block_rows: QUERIES, block_cols: size, down: true };
    grid.each(stop, dst, scratch, |mut rect, scratch| {
        let picture = rect.rows.start / queries;
        let head = picture * op.heads + rect.cols.start / size;
        let (keys, values) = kv[head * head_len..][..head_len].split_at(key_len(op.tokens, size));
        let stride = op.tokens.next_multiple_of(PANEL);
        let scores = &mut scratch[..QUERIES * stride];
        let mut sums = [[0.0; ROWS * PANEL]; QUERIES / ROWS];

        // 1. Scores: queries times keys.
        for (i, panel) in keys.chunks_exact(PANEL * size).enumerate() {
            for (first, sums) in rect.rows.clone().step_by(ROWS).zip(&mut sums) {
                let mut tile = Rows::new(1, ROWS.min(rect.rows.end - first), size, zeros);
                for r in 0..tile.count() {
                    tile.set(0, r, &q[(first + r) * c + rect.cols.start..][..size]);
                }
                sums.fill(0.0);
                tile.multiply(0, 1, panel, PANEL, sums);
                for (r, sums) in sums.chunks_exact(PANEL).enumerate().take(tile.count()) {
                    scores[(first - rect.rows.start + r) * stride + i * PANEL..][..PANEL].copy_from_slice(sums);
                }
            }
        }

        // 2. Softmax of each row over the keys that its query sees.
        for (i, row) in rect.rows.clone().enumerate() {
            let seen = if op.causal { (row % queries + 1).min(op.tokens) } else { op.tokens };
            let scores = &mut scores[i * stride..][..op.tokens];
            softmax(&mut scores[..seen], 1.0 / (size as f32).sqrt());
            scores[seen..].fill(0.0);
        }

        // 3. Scores times values.
        let mut rest = values;
        for col in (0..size).step_by(PANEL) {
            let width = width(size - col);
            let (panel, after) = rest.split_at(op.tokens * width);
            rest = after;
            for (t, first) in rect.rows.clone().step_by(ROWS).enumerate() {
                let mut tile = Rows::new(1, ROWS.min(rect.rows.end - first), op.tokens, &scores[..op.tokens]);
                for r in 0..tile.count() {
                    tile.set(0, r, &scores[(t * ROWS + r) * stride..][..op.tokens]);
                }
                sums[t].fill(0.0);
                tile.multiply(0, 1, panel, width, &mut sums[t]);
                let used = width.min(size - col);
                for (r, sums) in sums[t].chunks_exact(PANEL).enumerate().take(tile.count()) {
                    rect.row(first + r)[col..col + used].copy_from_slice(&sums[..used]);
                }
            }
        }
    });
}

/// Partial results of a row, so that it can be reduced with vector instructions in an order of our own.
const LANES: usize = 16;

vectorized! {
    /// `values = softmax(values * scale)`, for a positive scale.
    fn softmax(values: &mut [f32], scale: f32) {
        let mut most = [f32::NEG_INFINITY; LANES];
        for chunk in values.chunks(LANES) {
            for (most, x) in most.iter_mut().zip(chunk) {
                *most = if *x > *most { *x } else { *most };
            }
        }
        let most = most.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let mut sums = [0.0f32; LANES];
        for chunk in values.chunks_mut(LANES) {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *x = math::exp((*x - most) * scale);
                *sum += *x;
            }
        }
        let inverse = 1.0 / sums.iter().sum::<f32>();
        values.iter_mut().for_each(|x| *x *= inverse);
    }
}
