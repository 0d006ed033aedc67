//! Splits the result of an operation into rectangles that threads fill one by one. Knows no arithmetic.
//!
//! Unsafe only for handing each thread its own rectangle of one buffer.
#![allow(unsafe_code)]

use rayon::prelude::*;
use std::{
    marker::PhantomData,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// A matrix of `pictures * rows` rows, cut into blocks that never cross a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) pictures: usize,
    /// Rows of one picture.
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Rows of a block.
    pub(super) block_rows: usize,
    /// Columns of a block.
    pub(super) block_cols: usize,
    /// Whether neighbouring tiles share their columns (and with them, weights) rather than their rows.
    pub(super) down: bool,
}

/// One rectangle: its rows of the whole matrix, its columns, and write access to exactly those.
pub(super) struct Rect<'a> {
    base: *mut f32,
    stride: usize,
    pub(super) rows: Range<usize>,
    pub(super) cols: Range<usize>,
    matrix: PhantomData<&'a mut [f32]>,
}

impl Rect<'_> {
    /// The rectangle's part of a row of the whole matrix.
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(self.rows.contains(&row));
        // SAFETY: `each` made the rectangle within the matrix, and no other rectangle has this row and these columns.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(row * self.stride + self.cols.start), self.cols.len()) }
    }
}

/// The matrix, as every thread sees it.
#[derive(Clone, Copy)]
struct Base(*mut f32);
// SAFETY: threads reach the matrix only through rectangles, which are apart.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

impl Grid {
    fn blocks(&self) -> (usize, usize) {
        (self.rows.div_ceil(self.block_rows), self.cols.div_ceil(self.block_cols))
    }

    /// Rows and columns of tile `i`; different tiles share no element.
    fn tile(&self, i: usize) -> (Range<usize>, Range<usize>) {
        let (down, across) = self.blocks();
        let all_down = self.pictures * down;
        let (block, column) = if self.down { (i % all_down, i / all_down) } else { (i / across, i % across) };
        let (picture, row) = (block / down, block % down * self.block_rows);
        let rows = picture * self.rows + row..picture * self.rows + (row + self.block_rows).min(self.rows);
        (rows, column * self.block_cols..((column + 1) * self.block_cols).min(self.cols))
    }

    /// Calls `fill` with every rectangle of `matrix` and the working memory of its thread, `scratch` split evenly.
    /// Leaves the rest out once `stop` is raised.
    pub(super) fn each(
        &self,
        stop: &AtomicBool,
        matrix: &mut [f32],
        scratch: &mut [f32],
        fill: impl Fn(Rect<'_>, &mut [f32]) + Sync,
    ) {
        assert_eq!(matrix.len(), self.pictures * self.rows * self.cols);
        let (down, across) = self.blocks();
        let base = Base(matrix.as_mut_ptr());
        let scratch = Scratch::new(scratch);
        (0..self.pictures * down * across).into_par_iter().with_max_len(1).for_each(|i| {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // The whole wrapper is captured, not the pointer inside it.
            let base = &base;
            let (rows, cols) = self.tile(i);
            scratch.with(|mine| fill(Rect { base: base.0, stride: self.cols, rows, cols, matrix: PhantomData }, mine));
        });
    }
}

/// Working memory, a part for each thread.
struct Scratch<'a>(Vec<Mutex<&'a mut [f32]>>);

impl<'a> Scratch<'a> {
    fn new(scratch: &'a mut [f32]) -> Scratch<'a> {
        let each = (scratch.len() / rayon::current_num_threads()).max(1);
        Scratch(scratch.chunks_mut(each).map(Mutex::new).collect())
    }

    fn with(&self, use_it: impl FnOnce(&mut [f32])) {
        let mine = rayon::current_thread_index().and_then(|i| self.0.get(i));
        match mine {
            // Tiles do not nest, so nobody else holds this thread's part.
            Some(part) => use_it(&mut part.lock().expect("a tile that panics ends the operation")),
            None => use_it(&mut []),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_belongs_to_one_tile() {
        for down in [false, true] {
            let grid = Grid { pictures: 3, rows: 10, cols: 7, block_rows: 4, block_cols: 3, down };
            let mut matrix = vec![0.0; 210];
            grid.each(&AtomicBool::new(false), &mut matrix, &mut [], |mut rect, _| {
                for row in rect.rows.clone() {
                    rect.row(row).iter_mut().for_each(|x| *x += 1.0);
                }
            });
            assert!(matrix.iter().all(|&x| x == 1.0));
        }
    }

    #[test]
    fn a_raised_flag_leaves_the_rest_out() {
        let grid = Grid { pictures: 1, rows: 4, cols: 1, block_rows: 1, block_cols: 1, down: false };
        let mut matrix = vec![0.0; 4];
        grid.each(&AtomicBool::new(true), &mut matrix, &mut [], |mut rect, _| rect.row(rect.rows.start)[0] = 1.0);
        assert!(matrix.iter().all(|&x| x == 0.0));
    }
}
