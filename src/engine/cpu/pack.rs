//! Weights as the microkernel reads them: panels, laid out once when a model is loaded. Half types stay what they are,
//! in half the memory, and become f32 block by block in front of the kernel, which is exact. Knows no file and no layer.

use super::{microkernel::PANEL, simd::vectorized};
use crate::ops::{Dtype, RawWeight, WeightKind};
use half::{bf16, f16};
use rayon::prelude::*;
use std::ops::Range;

/// A packed weight.
pub(super) enum Packed {
    /// A matrix in panels.
    Matrix(Matrix),
    /// Elements in the file's order.
    Plain(Vec<f32>),
}

/// `[halves, panel, tap, in, column]`: all that one panel of results needs lies together.
pub(super) struct Matrix {
    data: Elements,
    pub(super) taps: usize,
    pub(super) depth: usize,
    /// Columns of the result: those of one half for GEGLU.
    pub(super) cols: usize,
    halves: usize,
}

/// Elements of a matrix, as its file has them.
enum Elements {
    F32(Vec<f32>),
    /// The bits of IEEE halves.
    F16(Vec<u16>),
    /// The upper halves of f32.
    Bf16(Vec<u16>),
}

impl Elements {
    fn bytes(&self) -> usize {
        match self {
            Elements::F32(x) => 4 * x.len(),
            Elements::F16(x) | Elements::Bf16(x) => 2 * x.len(),
        }
    }
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
        match self {
            Packed::Matrix(m) => m.data.bytes(),
            Packed::Plain(v) => 4 * v.len(),
        }
    }
}

impl Matrix {
    fn new(raw: RawWeight<'_>, halves: usize) -> Matrix {
        let (rows, depth) = (raw.dims[0], raw.dims[1]);
        let (taps, cols) = (raw.dims[2..].iter().product(), rows / halves);
        let extent = (taps, depth, cols, halves);
        let data = match raw.dtype {
            Dtype::F32 => Elements::F32(arranged(raw.bytes, extent, f32::from_le_bytes)),
            Dtype::F16 => Elements::F16(arranged(raw.bytes, extent, u16::from_le_bytes)),
            Dtype::Bf16 => Elements::Bf16(arranged(raw.bytes, extent, u16::from_le_bytes)),
        };
        Matrix { data, taps, depth, cols, halves }
    }

    /// Taps `taps` of the panel whose first column is `col` (a multiple of [`PANEL`]), and its width. What is not kept as f32
    /// is put into `scratch`, which then has [`Matrix::scratch`] elements or more for so many taps.
    pub(super) fn panel<'a>(&'a self, half: usize, col: usize, taps: Range<usize>, scratch: &'a mut [f32]) -> (&'a [f32], usize) {
        let width = width(self.cols - col);
        let start = (half * padded(self.cols) + col) * self.taps * self.depth;
        let range = start + taps.start * self.depth * width..start + taps.end * self.depth * width;
        let len = range.len();
        let part = match &self.data {
            Elements::F32(x) => &x[range],
            Elements::F16(x) => {
                widen_f16(&mut scratch[..len], &x[range]);
                &scratch[..len]
            }
            Elements::Bf16(x) => {
                widen_bf16(&mut scratch[..len], &x[range]);
                &scratch[..len]
            }
        };
        (part, width)
    }

    /// Elements of working memory that a panel of so many taps needs.
    pub(super) fn scratch(&self, taps: usize) -> usize {
        if matches!(self.data, Elements::F32(_)) { 0 } else { taps * self.depth * PANEL }
    }

    /// 2 where the matrix makes values and gates, else 1.
    pub(super) fn halves(&self) -> usize {
        self.halves
    }
}

/// The file's rows in panels. `extent` is taps, depth, columns and halves.
fn arranged<T: Copy + Default + Send, const N: usize>(
    bytes: &[u8],
    (taps, depth, cols, halves): (usize, usize, usize, usize),
    element: impl Fn([u8; N]) -> T + Sync,
) -> Vec<T> {
    let row = depth * taps;
    let mut data = vec![T::default(); halves * padded(cols) * row];
    // Panels in order of their place, each with the first of the file's rows that it holds.
    let mut panels: Vec<(usize, &mut [T])> = Vec::new();
    let mut rest = &mut data[..];
    for half in 0..halves {
        for first in (0..cols).step_by(PANEL) {
            let (panel, after) = rest.split_at_mut(row * width(cols - first));
            panels.push((half * cols + first, panel));
            rest = after;
        }
    }
    let elements = bytes.as_chunks::<N>().0;
    panels.into_par_iter().for_each(|(first, panel)| {
        let width = panel.len() / row;
        let last = (first / cols + 1) * cols;
        for column in 0..width.min(last - first) {
            // The file has taps innermost, the panel has them outermost.
            for (i, bytes) in elements[(first + column) * row..][..row].iter().enumerate() {
                panel[((i % taps) * depth + i / taps) * width + column] = element(*bytes);
            }
        }
    });
    data
}

vectorized! {
    /// IEEE halves as f32. Every half is an f32, so nothing is rounded.
    fn widen_f16(to: &mut [f32], from: &[u16]) {
        // What the exponents' biases differ by, in an f32's exponent.
        const BIAS: u32 = (127 - 15) << 23;
        const SMALLEST: u32 = BIAS + (1 << 23);
        for (to, half) in to.iter_mut().zip(from) {
            let half = u32::from(*half);
            let magnitude = (half & 0x7FFF) << 13;
            let normal = magnitude + BIAS;
            let subnormal = (f32::from_bits(magnitude + SMALLEST) - f32::from_bits(SMALLEST)).to_bits();
            let finite = if magnitude < 1 << 23 { subnormal } else { normal };
            let bits = if magnitude >= 31 << 23 { normal + BIAS } else { finite };
            *to = f32::from_bits(bits | (half & 0x8000) << 16);
        }
    }
}

vectorized! {
    /// bf16 as f32: the lower half is zero.
    fn widen_bf16(to: &mut [f32], from: &[u16]) {
        to.iter_mut().zip(from).for_each(|(to, x)| *to = f32::from_bits(u32::from(*x) << 16));
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
            let (panel, width) = m.panel(0, row / PANEL * PANEL, 0..taps, &mut []);
            for k in 0..depth {
                for tap in 0..taps {
                    assert_eq!(panel[(tap * depth + k) * width + row % PANEL], ((row * depth + k) * taps + tap) as f32);
                }
            }
        }
        assert_eq!(m.panel(0, 32, 0..taps, &mut []).1, 16);
    }

    #[test]
    fn gates_have_panels_of_their_own() {
        let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let raw = RawWeight { name: "w", dtype: Dtype::F32, dims: &[40, 1], bytes: bytemuck::cast_slice(&values) };
        let Packed::Matrix(m) = Packed::new(raw, WeightKind::Geglu) else { panic!("a matrix") };
        assert_eq!((m.cols, m.halves()), (20, 2));
        assert_eq!(m.panel(0, 0, 0..1, &mut []).0[19..21], [19.0, 0.0]);
        assert_eq!(m.panel(1, 0, 0..1, &mut []).0[..2], [20.0, 21.0]);
    }

    #[test]
    fn half_types_become_f32() {
        let h: Vec<u8> = [f16::from_f32(1.5), f16::from_f32(-2.0)].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(floats(Dtype::F16, &h), [1.5, -2.0]);
        let b: Vec<u8> = [bf16::from_f32(1.5)].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(floats(Dtype::Bf16, &b), [1.5]);
    }

    #[test]
    fn every_half_is_widened_exactly() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let mut wide = vec![0.0; all.len()];
        widen_f16(&mut wide, &all);
        for (bits, wide) in all.iter().zip(&wide) {
            let exact = f16::from_bits(*bits).to_f32();
            assert!(wide.to_bits() == exact.to_bits() || (wide.is_nan() && exact.is_nan()), "{bits:x}");
        }
        widen_bf16(&mut wide, &all);
        for (bits, wide) in all.iter().zip(&wide) {
            let exact = bf16::from_bits(*bits).to_f32();
            assert!(wide.to_bits() == exact.to_bits() || (wide.is_nan() && exact.is_nan()), "{bits:x}");
        }
    }
}
