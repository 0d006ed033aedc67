//! Linear layers and convolutions as one product. Knows no other operation.

use super::{CHUNK, Places, activation, args, args::Operand, small};
use crate::cuda::{driver::Launch, element::Element};
use crate::ops::{Activation, Conv2d, Linear, Shape};

/// Rows and columns of a block, as `product.cu` has them.
const TILE: usize = 64;
/// Rows and columns of a block, as `product_mma.cu` has them; half the columns with gates. All add up in the same order.
const TILES: [usize; 2] = [64, 128];
/// Multiprocessors that have to be kept busy. Cards that such networks run on have 108 (A100) to 132 (H100) and more.
const MULTIPROCESSORS: usize = 108;

pub(in super::super) fn linear(places: &Places<'_>, op: &Linear) -> Launch {
    // Rows of all pictures are the pixels of one line.
    let line = |shape: Shape| Shape::new(1, 1, shape.rows(), shape.c);
    let args = args::Product {
        bias: places.maybe_vector(op.bias),
        residual: places.maybe(op.residual),
        act: activation(op.act),
        ..plain(line(op.x.shape), line(op.dst.shape), 1)
    };
    let args = args::Product { dst: places.operand(op.dst), x: places.operand(op.x), weight: places.matrix(op.weight), ..args };
    launch(places, op.act == Activation::Geglu, &args)
}

pub(in super::super) fn conv2d(places: &Places<'_>, op: &Conv2d) -> Launch {
    let (from, to) = (op.x.shape, op.dst.shape);
    let (height, width) = op.resize.unwrap_or((from.h, from.w));
    let args = args::Product {
        bias: places.maybe_vector(op.bias),
        shift: places.maybe(op.shift),
        residual: places.maybe(op.residual),
        stride: small(op.stride),
        pad: small(op.pad),
        height: small(height),
        width: small(width),
        // In f32, because the reference rounds so.
        down: from.h as f32 / height as f32,
        across: from.w as f32 / width as f32,
        ..plain(from, to, op.kernel)
    };
    let args = args::Product { dst: places.operand(op.dst), x: places.operand(op.x), weight: places.matrix(op.weight), ..args };
    launch(places, false, &args)
}

/// A product of these extents and nothing else.
fn plain(from: Shape, to: Shape, kernel: usize) -> args::Product {
    args::Product {
        dst: Operand::default(),
        x: Operand::default(),
        shift: Operand::default(),
        residual: Operand::default(),
        weight: 0,
        bias: 0,
        pictures: small(to.n),
        from_h: small(from.h),
        from_w: small(from.w),
        depth: small(from.c),
        to_h: small(to.h),
        to_w: small(to.w),
        cols: small(to.c),
        kernel: small(kernel),
        stride: 1,
        pad: 0,
        height: small(from.h),
        width: small(from.w),
        down: 1.0,
        across: 1.0,
        act: activation(Activation::None),
        unused: 0,
    }
}

/// Whether a layer's products are for tensor cores: those of half types whose rows of operands are whole chunks. The layer alone
/// decides, and never the number of rows: these kernels and the plain ones add up in different orders.
fn on_tensor_cores(element: Element, depth: usize) -> bool {
    element != Element::F32 && depth.is_multiple_of(CHUNK)
}

/// Blocks across and down for so many rows and columns, of a tile with so many lines.
fn blocks(rows: usize, cols: usize, gates: bool, lines: usize) -> (usize, usize) {
    let across = if gates { lines / 2 } else { lines };
    (rows.div_ceil(lines), cols.div_ceil(across))
}

/// The lines of the tile that is through first. Rows may choose here, because tiles of all sizes give the same bits.
///
/// What counts is the multiprocessor with the most tiles. A small one has a quarter of a large one's work and takes 3/8 of its
/// time: 8 warps load a slice's operands in 192 turns of shared memory, where the large one multiplies for 512 turns.
fn tile(rows: usize, cols: usize, gates: bool) -> usize {
    let [small, large] = TILES.map(|lines| {
        let (down, across) = blocks(rows, cols, gates, lines);
        (down * across).div_ceil(MULTIPROCESSORS)
    });
    TILES[usize::from(8 * large <= 3 * small)]
}

/// The kernel on tensor cores with a tile of so many lines.
fn kernel(gates: bool, lines: usize) -> &'static str {
    match (gates, lines == TILES[0]) {
        (false, true) => "product_mma_64",
        (false, false) => "product_mma_128",
        (true, true) => "product_geglu_mma_64",
        (true, false) => "product_geglu_mma_128",
    }
}

fn launch(places: &Places<'_>, gates: bool, args: &args::Product) -> Launch {
    let (rows, cols) = (args.pictures as usize * args.to_h as usize * args.to_w as usize, args.cols as usize);
    // The kernels count rows in 32 bits, and those of the last block go beyond the last.
    assert!(rows + TILES[1] < u32::MAX as usize, "{rows} rows are more than a product takes");
    if !on_tensor_cores(places.element, args.depth as usize) {
        let kernel = if gates { "product_geglu" } else { "product" };
        return places.blocks(kernel, (rows.div_ceil(TILE), cols.div_ceil(TILE)), args);
    }
    // Buffers begin at multiples of a chunk, and so do their pictures where a row is whole chunks.
    assert!(args.x.holds_chunks() && args.weight.is_multiple_of(16), "operands lie between two chunks");
    let lines = tile(rows, cols, gates);
    places.blocks(kernel(gates, lines), blocks(rows, cols, gates, lines), args)
}

/// A product on tensor cores with the tile of the other size; all else as it is.
#[cfg(test)]
pub(in super::super) fn with_other_tile(launch: Launch) -> Launch {
    let gates = launch.kernel.starts_with("product_geglu");
    let Some(at) = TILES.iter().position(|lines| kernel(gates, *lines) == launch.kernel) else { return launch };
    let args: &args::Product = bytemuck::from_bytes(bytemuck::cast_slice(&launch.args));
    let rows = args.pictures as usize * args.to_h as usize * args.to_w as usize;
    let lines = TILES[1 - at];
    Launch::new(kernel(gates, lines), launch.element, blocks(rows, args.cols as usize, gates, lines), args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_depth_choose_tensor_cores() {
        for (depth, chosen) in [(3, false), (4, false), (8, true), (320, true), (324, false), (2560, true)] {
            for element in [Element::F16, Element::Bf16] {
                assert_eq!(on_tensor_cores(element, depth), chosen);
            }
            assert!(!on_tensor_cores(Element::F32, depth));
        }
    }

    #[test]
    fn small_pictures_and_few_columns_have_small_tiles() {
        // 8 x 8 and 16 x 16 pixels twice, 32 x 32 twice, 64 x 64 twice, and a picture of 512 x 512 with its three channels.
        for (rows, cols, lines) in [
            (128, 1280, 64),
            (512, 1280, 64),
            (2048, 640, 128),
            (8192, 320, 128),
            (512 * 512, 128, 128),
            (512 * 512, 3, 64),
            (2, 1280, 64),
        ] {
            assert_eq!(tile(rows, cols, false), lines, "{rows} x {cols}");
        }
        for (rows, cols, lines) in [(128, 5120, 128), (64, 5120, 64), (8192, 1280, 128), (77, 64, 64)] {
            assert_eq!(tile(rows, cols, true), lines, "{rows} x {cols}");
        }
    }

    #[test]
    fn tiles_cover_all_rows_and_columns() {
        assert_eq!(blocks(129, 128, false, 128), (2, 1));
        assert_eq!(blocks(64, 65, false, 64), (1, 2));
        assert_eq!(blocks(1, 65, true, 128), (1, 2));
        assert_eq!(blocks(65, 32, true, 64), (2, 1));
    }
}
