//! Linear layers and convolutions as one product. Knows no other operation.

use super::{CHUNK, Places, activation, args, args::Operand, elements_of_a_thread, small};
use crate::cuda::{
    driver::{Launch, Matmul, MatmulAt},
    element::Element,
};
use crate::ops::{Activation, Buf, Conv2d, Linear, Shape, Weight};

/// Rows and columns of a block, as `product.cu` has them.
const TILE: usize = 64;
/// Rows and columns of a block, as `product_mma.cu` has them; half the columns with gates. All add up in the same order.
const TILES: [usize; 2] = [64, 128];
/// Operands of a row by which taps and parts of sums are counted there.
const SLICE: usize = 8 * CHUNK;
/// Slices of a part, at least: fewer take no longer than to begin and to end a block.
const LEAST_SLICES: usize = 4;
/// Multiprocessors that have to be kept busy. Cards that such networks run on have 108 (A100) to 132 (H100) and more.
const MULTIPROCESSORS: usize = 108;

/// Rows of a picture that a card's library gets at least: a tensor core's instruction has as many.
const LEAST_ROWS: usize = 16;

/// What is a product of two matrices, with a bias and a residual at most: such linear layers, and such convolutions of 1 x 1.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Layer {
    dst: Buf,
    x: Buf,
    weight: Weight,
    bias: Option<Weight>,
    residual: Option<Buf>,
}

impl Layer {
    pub(in super::super) fn of_linear(op: &Linear) -> Option<Layer> {
        let Linear { dst, x, weight, bias, residual, act } = *op;
        (act == Activation::None).then_some(Layer { dst, x, weight, bias, residual })
    }

    pub(in super::super) fn of_conv2d(op: &Conv2d) -> Option<Layer> {
        let Conv2d { dst, x, weight, bias, residual, .. } = *op;
        let each_pixel = op.kernel == 1 && op.stride == 1 && op.pad == 0 && op.resize.is_none();
        (each_pixel && op.shift.is_none()).then_some(Layer { dst, x, weight, bias, residual })
    }

    /// The product for a card's library, where elements of `dst` are kept as `kept`; nothing where rows are not of whole chunks, or
    /// too few.
    ///
    /// The layer and one picture's extent decide, and never the number of pictures: the library adds up in an order of its own.
    pub(in super::super) fn matmul(&self, element: Element, kept: Element) -> Option<Matmul> {
        let (from, to) = (self.x.shape, self.dst.shape);
        let (bias, residual) = (self.bias.is_some(), self.residual.is_some());
        let rows = to.rows() / to.n.max(1);
        let of = Matmul { element, dst: kept, pictures: to.n, rows, cols: to.c, depth: from.c, bias, residual };
        let chunks = of.cols.is_multiple_of(CHUNK) && of.depth.is_multiple_of(CHUNK);
        (element != Element::F32 && chunks && of.rows >= LEAST_ROWS).then_some(of)
    }

    /// The same with its places; nothing where the plan's memory does not have everything in the type that the library wants.
    pub(in super::super) fn matmul_at(&self, places: &Places<'_>) -> Option<(Matmul, MatmulAt)> {
        let element = |buf| places.layout.place(buf).1;
        let dst = element(self.dst);
        let of = self.matmul(places.element, dst)?;
        if element(self.x) != places.element || self.residual.is_some_and(|residual| element(residual) != dst) {
            return None;
        }
        let at = MatmulAt {
            dst: places.operand(self.dst).at,
            x: places.operand(self.x).at,
            weight: places.matrix(self.weight),
            bias: self.bias.map_or(Some(0), |bias| places.vector_of(bias, dst))?,
            residual: places.maybe(self.residual).at,
            scratch: places.scratch(),
        };
        Some((of, at))
    }
}

/// Elements of working memory.
pub(in super::super) fn linear_scratch(element: Element, op: &Linear) -> usize {
    scratch(op.dst.shape, linear_parts(element, op).0)
}

/// Elements of working memory.
pub(in super::super) fn conv2d_scratch(element: Element, op: &Conv2d) -> usize {
    scratch(op.dst.shape, conv2d_parts(element, op).0)
}

pub(in super::super) fn linear(places: &Places<'_>, op: &Linear) -> Vec<Launch> {
    // Rows of all pictures are the pixels of one line.
    let line = |shape: Shape| Shape::new(1, 1, shape.rows(), shape.c);
    let args = args::Product {
        bias: places.maybe_vector(op.bias),
        residual: places.maybe(op.residual),
        act: activation(op.act),
        ..plain(line(op.x.shape), line(op.dst.shape), 1)
    };
    let args = args::Product { dst: places.operand(op.dst), x: places.operand(op.x), weight: places.matrix(op.weight), ..args };
    launches(places, op.act == Activation::Geglu, linear_parts(places.element, op), args)
}

pub(in super::super) fn conv2d(places: &Places<'_>, op: &Conv2d) -> Vec<Launch> {
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
    launches(places, false, conv2d_parts(places.element, op), args)
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
        parts: 1,
        part: 0,
        each: 1,
        sums: 0,
    }
}

fn linear_parts(element: Element, op: &Linear) -> (usize, usize) {
    layer_parts(element, op.x.shape.c, op.dst.shape, 1, op.act == Activation::Geglu)
}

fn conv2d_parts(element: Element, op: &Conv2d) -> (usize, usize) {
    layer_parts(element, op.x.shape.c, op.dst.shape, op.kernel, false)
}

/// Parts of a layer's sums, and slices of a part. Layers with gates have so many columns that they are never in parts, and the
/// plain kernels know none.
fn layer_parts(element: Element, depth: usize, to: Shape, kernel: usize, gates: bool) -> (usize, usize) {
    let slices = kernel * kernel * depth.div_ceil(SLICE);
    if gates || !on_tensor_cores(element, depth) { (1, slices) } else { parts(to.h * to.w, to.c, slices) }
}

/// Into how many parts sums of so many slices are cut, each for a block of its own, and slices of a part (the last may have fewer).
///
/// As many as keep the multiprocessors busy where a picture is alone, in one wave of small tiles. Guided pictures come twice,
/// which makes two waves on 108 of them and less on 132; both are there at once, because a multiprocessor has room for three
/// small tiles. More parts would add traffic (8 bytes a result and part) and no speed. One picture's extent decides and never
/// the number of pictures, because another number of parts is another order.
fn parts(pixels: usize, cols: usize, slices: usize) -> (usize, usize) {
    let (down, across) = blocks(pixels, cols, false, TILES[0]);
    let parts = (MULTIPROCESSORS / (down * across)).min(slices / LEAST_SLICES).max(1);
    let part = slices.div_ceil(parts);
    (slices.div_ceil(part), part)
}

/// Elements of working memory for the parts of the sums.
fn scratch(to: Shape, parts: usize) -> usize {
    if parts > 1 { parts * to.len() } else { 0 }
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

/// The lines of the tile that is through first, with so many parts of each sum. Rows may choose here, because tiles of all sizes give the same bits.
///
/// What counts is the multiprocessor with the most tiles. A small one has a quarter of a large one's work and takes 3/8 of its
/// time: 8 warps load a slice's operands in 192 turns of shared memory, where the large one multiplies for 512 turns.
fn tile(rows: usize, cols: usize, gates: bool, parts: usize) -> usize {
    let [small, large] = TILES.map(|lines| {
        let (down, across) = blocks(rows, cols, gates, lines);
        (down * across * parts).div_ceil(MULTIPROCESSORS)
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

fn rows(args: &args::Product) -> usize {
    args.pictures as usize * args.to_h as usize * args.to_w as usize
}

/// A product on tensor cores with a tile of so many lines. Blocks down count columns, then parts.
fn product(element: Element, gates: bool, lines: usize, args: &args::Product) -> Launch {
    let (down, across) = blocks(rows(args), args.cols as usize, gates, lines);
    Launch::new(kernel(gates, lines), element, (down, across * args.parts as usize), args)
}

/// The product, and what adds its parts up where there are several.
fn launches(places: &Places<'_>, gates: bool, (parts, part): (usize, usize), args: args::Product) -> Vec<Launch> {
    let (rows, cols) = (rows(&args), args.cols as usize);
    // The kernels count rows in 32 bits, and those of the last block go beyond the last.
    assert!(rows + TILES[1] < u32::MAX as usize, "{rows} rows are more than a product takes");
    if !on_tensor_cores(places.element, args.depth as usize) {
        let kernel = if gates { "product_geglu" } else { "product" };
        return vec![places.blocks(kernel, (rows.div_ceil(TILE), cols.div_ceil(TILE)), &args)];
    }
    // Buffers begin at multiples of a chunk, and so do their pictures where a row is whole chunks.
    let weights = [args.weight, args.bias];
    assert!(args.x.holds_chunks() && weights.iter().all(|at| at.is_multiple_of(16)), "operands lie between two chunks");
    let sums = if parts > 1 { places.scratch() } else { 0 };
    let each = elements_of_a_thread(&[cols], &[args.dst, args.shift, args.residual]);
    let args = args::Product { parts: small(parts), part: small(part), each: small(each), sums, ..args };
    let product = product(places.element, gates, tile(rows, cols, gates, parts), &args);
    if parts == 1 {
        return vec![product];
    }
    vec![product, places.each("product_sum", rows * cols / each, &args)]
}

/// A product on tensor cores with the tile of the other size; all else as it is.
#[cfg(test)]
pub(in super::super) fn with_other_tile(launch: Launch) -> Launch {
    let gates = launch.kernel.starts_with("product_geglu");
    let Some(at) = TILES.iter().position(|lines| kernel(gates, *lines) == launch.kernel) else { return launch };
    let args: &args::Product = bytemuck::from_bytes(bytemuck::cast_slice(&launch.args));
    product(launch.element, gates, TILES[1 - at], args)
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
            assert_eq!(tile(rows, cols, false, 1), lines, "{rows} x {cols}");
        }
        for (rows, cols, lines) in [(128, 5120, 128), (64, 5120, 64), (8192, 1280, 128), (77, 64, 64)] {
            assert_eq!(tile(rows, cols, true, 1), lines, "{rows} x {cols}");
        }
    }

    #[test]
    fn deep_sums_of_small_pictures_are_in_parts() {
        // 8 x 8, 8 x 12, 16 x 16 and 32 x 32 pixels with a kernel of 3 x 3, timesteps, and few columns.
        let cases = [
            ((64, 1280, 180), (5, 36)),
            ((96, 1280, 180), (2, 90)),
            ((256, 1280, 180), (1, 180)),
            ((1024, 640, 90), (1, 90)),
            ((1, 1280, 20), (5, 4)),
            ((1, 320, 5), (1, 5)),
            ((1, 4, 9), (2, 5)),
        ];
        for ((pixels, cols, slices), found) in cases {
            assert_eq!(parts(pixels, cols, slices), found, "{pixels} x {cols}, {slices} slices");
        }
        for slices in 1..400 {
            let (parts, part) = parts(1, 64, slices);
            assert!((parts - 1) * part < slices && slices <= parts * part, "{slices} slices");
        }
    }

    #[test]
    fn the_batch_changes_no_parts_and_has_memory_of_its_own() {
        let of = |n, element, kernel, gates| layer_parts(element, 1280, Shape::new(n, 8, 8, 1280), kernel, gates);
        for n in [1, 2, 9] {
            assert_eq!(of(n, Element::F16, 3, false), (5, 36));
            assert_eq!(of(n, Element::Bf16, 1, false), (5, 4));
        }
        assert_eq!(of(1, Element::F16, 1, true).0, 1);
        assert_eq!(of(1, Element::F32, 3, false).0, 1);
        assert_eq!(scratch(Shape::new(9, 8, 8, 1280), 5), 5 * 9 * 64 * 1280);
        assert_eq!(scratch(Shape::new(9, 8, 8, 1280), 1), 0);
    }

    #[test]
    fn tiles_cover_all_rows_and_columns() {
        assert_eq!(blocks(129, 128, false, 128), (2, 1));
        assert_eq!(blocks(64, 65, false, 64), (1, 2));
        assert_eq!(blocks(1, 65, true, 128), (1, 2));
        assert_eq!(blocks(65, 32, true, 64), (2, 1));
    }
}
