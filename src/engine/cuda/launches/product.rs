//! Linear layers and convolutions as one product. Knows no other operation.

use super::{CHUNK, Places, activation, args, args::Operand, small};
use crate::cuda::{driver::Launch, element::Element};
use crate::ops::{Activation, Conv2d, Linear, Shape};

/// Rows and columns of a block, as `product.cu` has them.
const TILE: usize = 64;
/// Rows of a block, and columns with gates, as `product_mma.cu` has them.
const LINES: usize = 128;

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

/// A kernel, and the rows and columns of its blocks. On tensor cores go half types whose rows of operands are whole chunks. The
/// layer alone decides, and never the number of rows: the kernels add up in different orders.
fn kernel(element: Element, depth: usize, gates: bool) -> (&'static str, usize, usize) {
    match (element != Element::F32 && depth.is_multiple_of(CHUNK), gates) {
        (false, false) => ("product", TILE, TILE),
        (false, true) => ("product_geglu", TILE, TILE),
        (true, false) => ("product_mma", LINES, LINES),
        (true, true) => ("product_geglu_mma", LINES, LINES / 2),
    }
}

fn launch(places: &Places<'_>, gates: bool, args: &args::Product) -> Launch {
    let (kernel, down, across) = kernel(places.element, args.depth as usize, gates);
    // Buffers begin at multiples of a chunk, and so do their pictures where a row is whole chunks.
    assert!(down == TILE || (args.x.holds_chunks() && args.weight.is_multiple_of(16)), "operands lie between two chunks");
    let rows = args.pictures as usize * args.to_h as usize * args.to_w as usize;
    // The kernel counts rows in 32 bits, and those of the last block go beyond the last.
    assert!(rows + down < u32::MAX as usize, "{rows} rows are more than a product takes");
    places.blocks(kernel, (rows.div_ceil(down), (args.cols as usize).div_ceil(across)), args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_depth_choose_the_kernel() {
        for (depth, on_tensor_cores) in [(3, false), (4, false), (8, true), (320, true), (324, false), (2560, true)] {
            for element in [Element::F16, Element::Bf16] {
                assert_eq!(kernel(element, depth, false).0, if on_tensor_cores { "product_mma" } else { "product" });
                assert_eq!(kernel(element, depth, true).0, if on_tensor_cores { "product_geglu_mma" } else { "product_geglu" });
            }
            assert_eq!(kernel(Element::F32, depth, false), ("product", 64, 64));
        }
    }
}
