//! Linear layers and convolutions: one matrix product with different ways to find the operands of a row, and
//! everything that follows it (bias, time embedding, activation, residual) done while the sums are at hand. Knows
//! the microkernel and packed weights; knows no network.

use super::{
    arena::Arena,
    math,
    microkernel::{PANEL, ROWS, Rows, Sums},
    pack::{Matrix, Packed},
    simd::vectorized,
    tiles::{Grid, Rect},
};
use crate::ops::{Activation, Conv2d, Linear, Weight};
use std::sync::atomic::AtomicBool;

/// Row tiles of a block: what one thread multiplies with a panel while it lies in its cache.
const BLOCK_TILES: usize = 8;
/// Operands of a row, over taps, that are multiplied before going on to the next rows, so that this part of the
/// panel stays in the second-level cache.
const BLOCK_DEPTH: usize = 2048;
/// Products in one tile of work, at least, where the matrix is large enough: about a millisecond.
const TILE_WORK: usize = 50_000_000;

/// A matrix product and what follows it.
struct Product<'a> {
    weight: &'a Matrix,
    bias: Option<&'a [f32]>,
    /// Added to every row of a picture, `[pictures, cols]`.
    shift: Option<&'a [f32]>,
    act: Activation,
    residual: Option<&'a [f32]>,
    zeros: &'a [f32],
}

pub(super) fn linear(arena: &mut Arena, weights: &[Packed], zeros: &[f32], stop: &AtomicBool, op: &Linear) {
    let (dst, [x, residual], scratch) = arena.views(op.dst, [op.x, op.residual.unwrap_or(op.x)]);
    let depth = op.x.shape.c;
    let product = Product {
        weight: matrix(weights, op.weight),
        bias: op.bias.map(|b| plain(weights, b)),
        shift: None,
        act: op.act,
        residual: op.residual.map(|_| residual),
        zeros,
    };
    let (rows, cols) = (op.x.shape.rows(), op.dst.shape.c);
    product.run(stop, (dst, scratch), (1, rows, cols), |first, tile| {
        for (r, operands) in x[first * depth..].chunks_exact(depth).take(tile.count()).enumerate() {
            tile.set(0, r, operands);
        }
    });
}

pub(super) fn conv2d(arena: &mut Arena, weights: &[Packed], zeros: &[f32], stop: &AtomicBool, op: &Conv2d) {
    let (dst, [x, shift, residual], scratch) = arena.views(op.dst, [op.x, op.shift.unwrap_or(op.x), op.residual.unwrap_or(op.x)]);
    let product = Product {
        weight: matrix(weights, op.weight),
        bias: op.bias.map(|b| plain(weights, b)),
        shift: op.shift.map(|_| shift),
        act: Activation::None,
        residual: op.residual.map(|_| residual),
        zeros,
    };
    let (from, to) = (op.x.shape, op.dst.shape);
    let (height, width) = op.resize.unwrap_or((from.h, from.w));
    let (down, across) = (nearest(from.h, height), nearest(from.w, width));
    product.run(stop, (dst, scratch), (to.n, to.h * to.w, to.c), |first, tile| {
        for r in 0..tile.count() {
            let pixel = first + r;
            let (n, oy, ox) = (pixel / (to.h * to.w), pixel / to.w % to.h, pixel % to.w);
            for tap in 0..op.kernel * op.kernel {
                // Rows and columns above and to the left of the picture wrap around to huge numbers.
                let y = (oy * op.stride + tap / op.kernel).wrapping_sub(op.pad);
                let x_ = (ox * op.stride + tap % op.kernel).wrapping_sub(op.pad);
                if y < height && x_ < width {
                    let at = (n * from.h + down(y)) * from.w + across(x_);
                    tile.set(tap, r, &x[at * from.c..][..from.c]);
                }
            }
        }
    });
}

/// Taps that are multiplied before going on to the next rows.
fn block_taps(w: &Matrix) -> usize {
    (BLOCK_DEPTH / w.depth).clamp(1, w.taps)
}

/// Elements of working memory that each thread needs to multiply with a weight.
pub(super) fn product_scratch(w: &Matrix) -> usize {
    w.scratch(block_taps(w))
}

/// The row of a picture of `from` rows that is nearest to row i of the same picture enlarged to `to` rows. In f32
/// where it is not a whole multiple, because the reference rounds so.
fn nearest(from: usize, to: usize) -> impl Fn(usize) -> usize {
    let (same, scale) = (from == to, from as f32 / to as f32);
    move |i| if same { i } else { ((i as f32 * scale) as usize).min(from - 1) }
}

pub(super) fn matrix(weights: &[Packed], weight: Weight) -> &Matrix {
    match &weights[weight.0 as usize] {
        Packed::Matrix(m) => m,
        Packed::Plain(_) => panic!("a plain weight where a matrix belongs"),
    }
}

pub(super) fn plain(weights: &[Packed], weight: Weight) -> &[f32] {
    match &weights[weight.0 as usize] {
        Packed::Plain(v) => v,
        Packed::Matrix(_) => panic!("a matrix where a plain weight belongs"),
    }
}

impl Product<'_> {
    /// `extent` is pictures, rows of each, columns. `operands(row, tile)` sets the operands of a tile's rows.
    fn run<'x>(
        &self,
        stop: &AtomicBool,
        (dst, scratch): (&mut [f32], &mut [f32]),
        extent: (usize, usize, usize),
        operands: impl Fn(usize, &mut Rows<'x>) + Sync,
    ) where
        Self: 'x,
    {
        let (pictures, rows, cols) = extent;
        let w = self.weight;
        let blocks = rows.div_ceil(ROWS * BLOCK_TILES);
        let block_rows = rows.div_ceil(blocks).next_multiple_of(ROWS);
        let panel_work = block_rows.min(rows) * PANEL * w.taps * w.depth * w.halves();
        let block_cols = PANEL * (TILE_WORK / panel_work).clamp(1, cols.div_ceil(PANEL));
        // Whichever of weights and operands is larger should be read from memory once only.
        let down = cols * w.taps > pictures * rows;
        let grid = Grid { pictures, rows, cols, block_rows, block_cols, down };
        grid.each(stop, dst, scratch, |rect, scratch| self.block(rect, rows, &operands, scratch));
    }

    /// One rectangle of the result.
    fn block<'x>(&self, mut rect: Rect<'_>, picture_rows: usize, operands: &impl Fn(usize, &mut Rows<'x>), scratch: &mut [f32])
    where
        Self: 'x,
    {
        let w = self.weight;
        let block_taps = block_taps(w);
        for col in rect.cols.clone().step_by(PANEL) {
            let mut sums = [[[0.0f32; ROWS * PANEL]; BLOCK_TILES]; 2];
            for (half, sums) in sums.iter_mut().enumerate().take(w.halves()) {
                for tap in (0..w.taps).step_by(block_taps) {
                    let taps = block_taps.min(w.taps - tap);
                    let (part, width) = w.panel(half, col, tap..tap + taps, scratch);
                    for (first, sums) in rect.rows.clone().step_by(ROWS).zip(sums.iter_mut()) {
                        let mut tile = Rows::new(w.taps, ROWS.min(rect.rows.end - first), w.depth, self.zeros);
                        operands(first, &mut tile);
                        tile.multiply(tap, taps, part, width, sums);
                    }
                }
            }
            let [values, gates] = &mut sums;
            for ((first, values), gates) in rect.rows.clone().step_by(ROWS).zip(values).zip(gates) {
                self.finish(&mut rect, picture_rows, (first, col), values, gates);
            }
        }
    }

    /// Bias, shift, activation and residual of one tile, and its way to the result.
    fn finish(&self, rect: &mut Rect<'_>, picture_rows: usize, at: (usize, usize), values: &mut Sums, gates: &mut Sums) {
        let (first, col) = at;
        let (cols, width) = (self.weight.cols, PANEL.min(rect.cols.end - col));
        for row in first..(first + ROWS).min(rect.rows.end) {
            let from = (row - first) * PANEL;
            let values = &mut values[from..from + width];
            if let Some(bias) = self.bias {
                add(values, &bias[col..col + width]);
            }
            if let Some(shift) = self.shift {
                add(values, &shift[row / picture_rows * cols + col..][..width]);
            }
            if self.act == Activation::Geglu {
                let gates = &mut gates[from..from + width];
                if let Some(bias) = self.bias {
                    add(gates, &bias[cols + col..][..width]);
                }
                gate(values, gates);
            } else {
                math::activate(values, self.act);
            }
            if let Some(residual) = self.residual {
                add(values, &residual[row * cols + col..][..width]);
            }
            let offset = col - rect.cols.start;
            rect.row(row)[offset..offset + width].copy_from_slice(values);
        }
    }
}

vectorized! {
    /// `to += from`
    fn add(to: &mut [f32], from: &[f32]) {
        to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
    }
}

vectorized! {
    /// `values *= gelu(gates)`
    fn gate(values: &mut [f32], gates: &[f32]) {
        values.iter_mut().zip(gates).for_each(|(a, b)| *a *= math::gelu(*b));
    }
}
