//! What a warp's threads do together on tensor cores, by the layouts of the PTX ISA: "Matrix Fragments for mma.m16n8k16" and
//! "ldmatrix". Knows no step and no order.
//!
//! Sums are made in another way than by the shim, and than by one card or the other: in f64, and cut off once.

use super::{arithmetic::Lanes, program::Half};
use half::{bf16, f16};

/// Element `i` of the two in a register.
fn half_of(half: Half, pair: u64, i: usize) -> f64 {
    let bits = (pair >> (16 * i)) as u16;
    match half {
        Half::F16 => f16::from_bits(bits).to_f64(),
        Half::Bf16 => bf16::from_bits(bits).to_f64(),
    }
}

/// Towards 0.
fn cut(sum: f64) -> f32 {
    let nearest = sum as f32;
    if !nearest.is_finite() || f64::from(nearest).abs() <= sum.abs() {
        return nearest;
    }
    if nearest > 0.0 { nearest.next_down() } else { nearest.next_up() }
}

/// `a` of 16 x 16 by `b` of 16 x 8, added to `sums`. Register `i` of a lane holds two neighbours of a row of `a`, or of a column of `b`.
pub(super) fn multiply(half: Half, a: &[Lanes; 4], b: &[Lanes; 2], sums: &[Lanes; 4]) -> [Lanes; 4] {
    let (mut rows, mut columns) = ([[0.0; 16]; 16], [[0.0; 16]; 8]);
    for lane in 0..32 {
        let (group, within) = (lane / 4, lane % 4);
        for (register, a) in a.iter().enumerate() {
            for i in 0..2 {
                rows[group + register % 2 * 8][within * 2 + i + register / 2 * 8] = half_of(half, a[lane], i);
            }
        }
        for (register, b) in b.iter().enumerate() {
            for i in 0..2 {
                columns[group][within * 2 + i + register * 8] = half_of(half, b[lane], i);
            }
        }
    }
    let mut to = *sums;
    for lane in 0..32 {
        for (i, to) in to.iter_mut().enumerate() {
            let (row, column) = (&rows[lane / 4 + i / 2 * 8], &columns[lane % 4 * 2 + i % 2]);
            let sum = f64::from(f32::from_bits(to[lane] as u32));
            let sum = row.iter().zip(column).fold(sum, |sum, (a, b)| sum + a * b);
            to[lane] = u64::from(cut(sum).to_bits());
        }
    }
    to
}

/// The row that a lane's register has its two elements from, and the first of their columns; the other way round where the
/// matrices are turned.
fn place(register: usize, lane: usize) -> (usize, usize) {
    (register * 8 + lane / 4, lane % 4 * 2)
}

/// Four matrices of 8 x 8, whose rows of 16 bytes lanes have named: of the first the first eight lanes.
pub(super) fn matrices(rows: &[[u8; 16]; 32], turned: bool) -> [Lanes; 4] {
    let element = |row: usize, column: usize| u64::from(rows[row][2 * column]) | u64::from(rows[row][2 * column + 1]) << 8;
    let mut to = [[0; 32]; 4];
    for (register, to) in to.iter_mut().enumerate() {
        for (lane, to) in to.iter_mut().enumerate() {
            let (row, column) = place(register, lane);
            let [low, high] =
                [0, 1].map(|i| if turned { element(register * 8 + column + i, row % 8) } else { element(row, column + i) });
            *to = high << 16 | low;
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::array::from_fn;

    /// A row's and a column's own numbers come back where the ISA's figures have them.
    #[test]
    fn fragments_lie_as_in_the_isa() {
        let one = u64::from(f16::from_f32(1.0).to_bits());
        // 1 at row 9, column 3 of `a`: lane 9 % 8 * 4 + 3 / 2, the second register, the upper half.
        let mut a = [[0; 32]; 4];
        a[1][5] = one << 16;
        // 1 at row 3, column 6 of `b`: lane 6 * 4 + 3 / 2, the first register, the upper half.
        let mut b = [[0; 32]; 2];
        b[0][25] = one << 16;
        let found = multiply(Half::F16, &a, &b, &[[0; 32]; 4]);
        // Row 9, column 6 of the sums: lane 1 * 4 + 6 / 2, the third register.
        for (register, lanes) in found.iter().enumerate() {
            for (lane, bits) in lanes.iter().enumerate() {
                let expected = if (register, lane) == (2, 7) { 1.0f32 } else { 0.0 };
                assert_eq!(f32::from_bits(*bits as u32), expected, "{register} {lane}");
            }
        }
    }

    #[test]
    fn matrices_lie_as_in_the_isa() {
        let rows: [[u8; 16]; 32] = from_fn(|row| from_fn(|i| if i % 2 == 0 { row as u8 } else { i as u8 / 2 }));
        // Matrix 2, row 3, columns 4 and 5: lane 3 * 4 + 2.
        assert_eq!(matrices(&rows, false)[2][14], 0x0513_0413);
        // Turned: row 4 and 5, column 3.
        assert_eq!(matrices(&rows, true)[2][14], 0x0315_0314);
    }

    #[test]
    fn sums_are_cut_off() {
        assert_eq!(cut(1.0 + 1e-8), 1.0);
        assert_eq!(cut(1.0 - 1e-12), 1.0f32.next_down());
        assert_eq!(cut(-1.0 + 1e-12), (-1.0f32).next_up());
    }
}
