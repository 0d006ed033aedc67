//! Linear layers and convolutions as one product. Knows no other operation.

use super::{Places, activation, args, args::Operand, small};
use crate::cuda::driver::Launch;
use crate::ops::{Activation, Conv2d, Linear, Shape};

/// Rows and columns of a block, as `product.cu` has them.
const TILE: usize = 64;

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
    launch(places, if op.act == Activation::Geglu { "product_geglu" } else { "product" }, &args)
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
    launch(places, "product", &args)
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

fn launch(places: &Places<'_>, kernel: &'static str, args: &args::Product) -> Launch {
    let rows = args.pictures as usize * args.to_h as usize * args.to_w as usize;
    // The kernel counts rows in 32 bits, and those of the last block go beyond the last.
    assert!(rows + TILE < u32::MAX as usize, "{rows} rows are more than a product takes");
    places.blocks(kernel, (rows.div_ceil(TILE), (args.cols as usize).div_ceil(TILE)), args)
}
