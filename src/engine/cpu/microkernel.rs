//! The innermost loop of every matrix product: up to 14 rows times one packed panel of up to 32 columns, held in
//! registers from the first product to the last. Knows no layer.
//!
//! A convolution is the same sum with a row of operands for each tap of its kernel, so it needs no copy of its
//! input. The sum of one result runs over taps, then channels, one after the other, whatever the number of
//! rows: that is why results do not depend on tiles, threads or batch.
#![allow(unsafe_code)]

use super::simd::{Level, level};
use std::marker::PhantomData;

/// Columns of a full panel; the last panel of a matrix may have half of them.
pub(super) const PANEL: usize = 32;
/// Most rows at a time: 14 rows of 2 vectors leave 4 of AVX-512's 32 registers for operands.
pub(super) const ROWS: usize = 14;
/// Most taps: a 3 x 3 kernel.
pub(super) const TAPS: usize = 9;
/// A tile of sums.
pub(super) type Sums = [f32; ROWS * PANEL];

/// The operands of some rows: for each tap and row, `depth` numbers somewhere in memory.
pub(super) struct Rows<'a> {
    pointers: [*const f32; ROWS * TAPS],
    taps: usize,
    count: usize,
    depth: usize,
    operands: PhantomData<&'a [f32]>,
}

impl<'a> Rows<'a> {
    /// `count` rows that are `zeros` until set. `zeros` has at least `depth` elements.
    pub(super) fn new(taps: usize, count: usize, depth: usize, zeros: &'a [f32]) -> Rows<'a> {
        assert!((1..=TAPS).contains(&taps) && (1..=ROWS).contains(&count) && zeros.len() >= depth);
        Rows { pointers: [zeros.as_ptr(); ROWS * TAPS], taps, count, depth, operands: PhantomData }
    }

    /// Sets the operands of one tap of one row; `operands` has at least `depth` elements.
    #[inline(always)]
    pub(super) fn set(&mut self, tap: usize, row: usize, operands: &'a [f32]) {
        assert!(operands.len() >= self.depth);
        self.pointers[tap * ROWS + row] = operands.as_ptr();
    }

    /// Number of rows.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// `sums[row * PANEL + column] += operands * panel`, over taps `first .. first + taps`. `panel` holds
    /// `[taps, depth, width]`, where `width` is [`PANEL`] or half of it.
    pub(super) fn multiply(&self, first: usize, taps: usize, panel: &[f32], width: usize, sums: &mut Sums) {
        assert!(width == PANEL || width == PANEL / 2);
        assert!(first + taps <= self.taps && panel.len() >= taps * self.depth * width);
        let tile = Tile { rows: &self.pointers[first * ROWS], taps, depth: self.depth, panel: panel.as_ptr(), width };
        // SAFETY: every pointer of `pointers` came from a slice of at least `depth` elements that lives as long as `self`;
        // the panel's length was checked; `level` found the features that each kernel is compiled for.
        unsafe {
            match level() {
                #[cfg(target_arch = "x86_64")]
                Level::V4 => v4::tile(&tile, self.count, sums),
                #[cfg(target_arch = "x86_64")]
                Level::V3 => v3::tile(&tile, self.count, sums),
                Level::Base => base::tile(&tile, self.count, sums),
            }
        }
    }
}

/// What a kernel reads: pointers to rows (tap after tap, [`ROWS`] apart) and a panel.
struct Tile {
    rows: *const *const f32,
    taps: usize,
    depth: usize,
    panel: *const f32,
    width: usize,
}

/// A kernel of `$lanes` lanes, up to `$rows` rows and `$vectors` vectors a row.
macro_rules! kernel {
    ($module:ident, $(#[$feature:meta])?, $vector:ty, $lanes:literal, $rows:literal: [$($count:literal)*],
     $load:path, $store:path, $splat:path, $fma:path) => {
        mod $module {
            use super::*;

            /// Rows `row .. row + R`, columns `column .. column + V * lanes`.
            ///
            /// # Safety
            /// The machine has the features; the tile's pointers reach as far as it says.
            $(#[$feature])?
            unsafe fn part<const R: usize, const V: usize>(t: &Tile, row: usize, column: usize, sums: &mut Sums) {
                // SAFETY: all reads stay below `depth` of a row and `taps * depth * width` of the panel; `sums` holds
                // ROWS x PANEL elements, and row + R and column + V * lanes stay within them.
                unsafe {
                    let out = sums.as_mut_ptr().add(row * PANEL + column);
                    let mut acc: [[$vector; V]; R] = [[$splat(0.0); V]; R];
                    for r in 0..R {
                        for v in 0..V {
                            acc[r][v] = $load(out.add(r * PANEL + v * $lanes));
                        }
                    }
                    let mut b = t.panel.add(column);
                    for tap in 0..t.taps {
                        let mut a = [std::ptr::null::<f32>(); R];
                        for r in 0..R {
                            a[r] = *t.rows.add(tap * ROWS + row + r);
                        }
                        for k in 0..t.depth {
                            let mut operand = [$splat(0.0); V];
                            for v in 0..V {
                                operand[v] = $load(b.add(v * $lanes));
                            }
                            for r in 0..R {
                                let x = $splat(*a[r].add(k));
                                for v in 0..V {
                                    acc[r][v] = $fma(x, operand[v], acc[r][v]);
                                }
                            }
                            b = b.add(t.width);
                        }
                    }
                    for r in 0..R {
                        for v in 0..V {
                            $store(out.add(r * PANEL + v * $lanes), acc[r][v]);
                        }
                    }
                }
            }

            /// All rows and columns of a tile.
            ///
            /// # Safety
            /// As `part`.
            $(#[$feature])?
            pub(super) unsafe fn tile(t: &Tile, count: usize, sums: &mut Sums) {
                const WIDE: usize = 2 * $lanes;
                let mut column = 0;
                while column < t.width {
                    let wide = t.width - column >= WIDE;
                    let mut row = 0;
                    while row < count {
                        let rows = (count - row).min($rows);
                        // SAFETY: row + rows <= count <= ROWS, and the column with its width lies within the panel.
                        unsafe {
                            match (rows, wide) {
                                $(($count, true) => part::<$count, 2>(t, row, column, sums),
                                  ($count, false) => part::<$count, 1>(t, row, column, sums),)*
                                _ => unreachable!("1 to {} rows", $rows),
                            }
                        }
                        row += rows;
                    }
                    column += if wide { WIDE } else { $lanes };
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
kernel!(
    v4,
    #[target_feature(enable = "avx512f")],
    __m512, 16, 14: [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps
);

#[cfg(target_arch = "x86_64")]
kernel!(
    v3,
    #[target_feature(enable = "avx2,fma")],
    __m256, 8, 6: [1 2 3 4 5 6],
    _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps
);

kernel!(base, , [f32; 4], 4, 4: [1 2 3 4], plain::load, plain::store, plain::splat, plain::fma);

/// Four lanes without any instruction set.
mod plain {
    /// # Safety
    /// Four elements can be read at `p`.
    #[inline(always)]
    pub(super) unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: as this function says.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }

    /// # Safety
    /// Four elements can be written at `p`.
    #[inline(always)]
    pub(super) unsafe fn store(p: *mut f32, x: [f32; 4]) {
        // SAFETY: as this function says.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(x) }
    }

    #[inline(always)]
    pub(super) fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    pub(super) fn fma(x: [f32; 4], y: [f32; 4], z: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| x[i] * y[i] + z[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32).map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(40_503) >> 8) as f32 / 8e6 - 1.0).collect()
    }

    /// One tile by every kernel of this machine against f64, all row counts and both widths.
    #[test]
    fn every_kernel_is_the_plain_sum() {
        let (taps, depth) = (3, 37);
        let zeros = vec![0.0; depth];
        for width in [16, 32] {
            let panel = noise(taps * depth * width, 1);
            let operands = noise(taps * ROWS * depth, 2);
            for count in 1..=ROWS {
                let mut rows = Rows::new(taps, count, depth, &zeros);
                for (i, x) in operands.chunks_exact(depth).enumerate().filter(|(i, _)| i % ROWS < count && i % 5 != 0) {
                    rows.set(i / ROWS, i % ROWS, x);
                }
                let tile = Tile { rows: &rows.pointers[0], taps, depth, panel: panel.as_ptr(), width };
                let mut results = vec![[0.5; ROWS * PANEL]; 2];
                rows.multiply(0, taps, &panel, width, &mut results[0]);
                // SAFETY: the baseline needs no features; the tile is the one above.
                unsafe { base::tile(&tile, count, &mut results[1]) };
                #[cfg(target_arch = "x86_64")]
                if level() == Level::V4 {
                    results.push([0.5; ROWS * PANEL]);
                    // SAFETY: a machine with AVX-512 has AVX2 and FMA, which `level` checked.
                    unsafe { v3::tile(&tile, count, &mut results[2]) };
                }
                for r in 0..count {
                    for c in 0..width {
                        let exact: f64 = 0.5
                            + (0..taps)
                                .filter(|tap| !(tap * ROWS + r).is_multiple_of(5))
                                .flat_map(|tap| (0..depth).map(move |k| (tap, k)))
                                .map(|(tap, k)| {
                                    let x = operands[(tap * ROWS + r) * depth + k];
                                    f64::from(x) * f64::from(panel[(tap * depth + k) * width + c])
                                })
                                .sum::<f64>();
                        for sums in &results {
                            assert!((f64::from(sums[r * PANEL + c]) - exact).abs() < 2e-5, "{count} rows, {r} {c}");
                        }
                    }
                }
            }
        }
    }
}
