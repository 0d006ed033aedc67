//! Weights as the microkernel reads them: f32 panels, converted and laid out once when a model is loaded. Knows
//! no file and no layer.

use super::microkernel::PANEL;
use crate::ops::{Dtype, RawWeight, WeightKind};
use half::{bf16, f16};
use rayon::prelude::*;

/// A packed weight.
pub(super) enum Packed {
    /// A matrix in panels.
    Matrix(Matrix),
    /// Elements in the file's order.
    Plain(Vec<f32>),
}

/// `[halves, panel, tap, in, column]`: all that one panel of results needs lies together.
pub(super) struct Matrix {
    data: Vec<f32>,
    pub(super) taps: usize,
    pub(super) depth: usize,
    /// Columns of the result: those of one half for GEGLU.
    pub(super) cols: usize,
    halves: usize,
}

impl Packed {
    pub(super) fn new(raw: RawWeight<'_>, kind: WeightKind) -> Packed {
        match kind {
            WeightKind::Plain => Packed::Plain(floats(raw.dtype, raw.bytes)),
            WeightKind::Matrix => Packed::Matrix(Matrix::new(raw, 1)),
            WeightKind::Geglu => Packed::Matrix(Matrix::new(raw, 2)),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        4 * match self {
            Packed::Matrix(m) => m.data.len(),
            Packed::Plain(v) => v.len(),
        }
    }
}

impl Matrix {
    fn new(raw: RawWeight<'_>, halves: usize) -> Matrix {
        let (rows, depth) = (raw.dims[0], raw.dims[1]);
        let taps: usize = raw.dims[2..].iter().product();
        let row_bytes = depth * taps * raw.dtype.size();
        let cols = rows / halves;
        let mut data = vec![0.0; halves * padded(cols) * taps * depth];
        let full = taps * depth * PANEL;
        // Panels in order of their place, each with the first of the file's rows that it holds.
        let mut panels: Vec<(usize, &mut [f32])> = Vec::new();
        let mut rest = &mut data[..];
        for half in 0..halves {
            for first in (0..cols).step_by(PANEL) {
                let (panel, after) = rest.split_at_mut(full / PANEL * width(cols - first));
                panels.push((half * cols + first, panel));
                rest = after;
            }
        }
        panels.into_par_iter().for_each(|(first, panel)| {
            let width = panel.len() / (taps * depth);
            let last = (first / cols + 1) * cols;
            for column in 0..width.min(last - first) {
                let row = floats(raw.dtype, &raw.bytes[(first + column) * row_bytes..][..row_bytes]);
                // The file has taps innermost, the panel has them outermost.
                for (i, x) in row.into_iter().enumerate() {
                    panel[((i % taps) * depth + i / taps) * width + column] = x;
                }
            }
        });
        Matrix { data, taps, depth, cols, halves }
    }

    /// The panel whose first column is `col` (a multiple of [`PANEL`]), and its width.
    pub(super) fn panel(&self, half: usize, col: usize) -> (&[f32], usize) {
        let width = width(self.cols - col);
        let start = (half * padded(self.cols) + col) * self.taps * self.depth;
        (&self.data[start..start + self.taps * self.depth * width], width)
    }

    /// 2 where the matrix makes values and gates, else 1.
    pub(super) fn halves(&self) -> usize {
        self.halves
    }
}

/// Width of a panel that has `left` columns to hold, or more.
pub(super) fn width(left: usize) -> usize {
    if left > PANEL / 2 { PANEL } else { PANEL / 2 }
}

/// Columns of all panels of a matrix of `cols` columns.
pub(super) fn padded(cols: usize) -> usize {
    cols.next_multiple_of(PANEL / 2)
}

/// Little-endian bytes as f32.
pub(super) fn floats(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Dtype::Bf16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_lies_where_the_kernel_looks() {
        let (rows, depth, taps) = (40, 3, 9);
        let values: Vec<f32> = (0..rows * depth * taps).map(|i| i as f32).collect();
        let raw = RawWeight { name: "w", dtype: Dtype::F32, dims: &[rows, depth, 3, 3], bytes: bytemuck::cast_slice(&values) };
        let Packed::Matrix(m) = Packed::new(raw, WeightKind::Matrix) else { panic!("a matrix") };
        for row in 0..rows {
            let (panel, width) = m.panel(0, row / PANEL * PANEL);
            for k in 0..depth {
                for tap in 0..taps {
                    assert_eq!(panel[(tap * depth + k) * width + row % PANEL], ((row * depth + k) * taps + tap) as f32);
                }
            }
        }
        assert_eq!(m.panel(0, 32).1, 16);
    }

    #[test]
    fn gates_have_panels_of_their_own() {
        let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let raw = RawWeight { name: "w", dtype: Dtype::F32, dims: &[40, 1], bytes: bytemuck::cast_slice(&values) };
        let Packed::Matrix(m) = Packed::new(raw, WeightKind::Geglu) else { panic!("a matrix") };
        assert_eq!((m.cols, m.halves()), (20, 2));
        assert_eq!(m.panel(0, 0).0[19..21], [19.0, 0.0]);
        assert_eq!(m.panel(1, 0).0[..2], [20.0, 21.0]);
    }

    #[test]
    fn half_types_become_f32() {
        let h: Vec<u8> = [f16::from_f32(1.5), f16::from_f32(-2.0)].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(floats(Dtype::F16, &h), [1.5, -2.0]);
        let b: Vec<u8> = [bf16::from_f32(1.5)].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(floats(Dtype::Bf16, &b), [1.5]);
    }
}
