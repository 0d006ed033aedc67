//! Attention and the layout of its keys and values. Knows no other operation.

use super::{CHUNK, Places, args, elements_of_a_thread, small};
use crate::cuda::{driver::Launch, element::Element};
use crate::ops::{Attention, PackKv, Shape};

/// Queries of a block, as `attention.cu` has them.
const SPAN: usize = 32;

/// Largest size of a head → the kernel that takes it.
const KERNELS: [(usize, &str); 5] =
    [(32, "attention_32"), (64, "attention_64"), (96, "attention_96"), (160, "attention_160"), (512, "attention_512")];

/// Queries of a block, as `attention_mma.cu` has them.
const QUERIES: usize = 128;

/// The same on tensor cores, and the columns of a head's results that a block has.
const MMA_KERNELS: [(usize, &str, usize); 7] = [
    (48, "attention_mma_48", 48),
    (64, "attention_mma_64", 64),
    (80, "attention_mma_80", 80),
    (96, "attention_mma_96", 96),
    (128, "attention_mma_128", 128),
    (160, "attention_mma_160", 160),
    (512, "attention_mma_512", 128),
];

/// A kernel for heads of a size: the queries that a block of it has, and the columns of their results.
struct Kernel {
    name: &'static str,
    queries: usize,
    cols: usize,
}

/// On tensor cores go half types whose heads are whole chunks. The layer alone decides, and never the number of queries: the
/// kernels add up in different orders.
fn kernel(element: Element, size: usize) -> Kernel {
    let tensor_cores = element != Element::F32 && size.is_multiple_of(CHUNK);
    let on_tensor_cores = MMA_KERNELS.iter().filter(|_| tensor_cores).map(|(most, name, cols)| (*most, *name, QUERIES, *cols));
    let mut all = on_tensor_cores.chain(KERNELS.iter().map(|(most, name)| (*most, *name, SPAN, size)));
    let found = all.find(|(most, ..)| size <= *most);
    let (_, name, queries, cols) = found.unwrap_or_else(|| panic!("heads of {size} elements are larger than any kernel takes"));
    Kernel { name, queries, cols }
}

pub(in super::super) fn packed_kv_len(kv: Shape) -> usize {
    2 * kv.len()
}

pub(in super::super) fn pack_kv(places: &Places<'_>, op: &PackKv) -> Launch {
    let Shape { w: tokens, c, .. } = op.k.shape;
    let [dst, k, v] = [op.dst, op.k, op.v].map(|b| places.operand(b));
    let each = elements_of_a_thread(&[c / op.heads], &[dst, k, v]);
    let args = args::PackKv {
        dst,
        k,
        v,
        count: op.k.len() as u64,
        tokens: small(tokens),
        heads: small(op.heads),
        size: small(c / op.heads),
        each: small(each),
    };
    places.each("pack_kv", op.k.len() / each, &args)
}

pub(in super::super) fn attention(places: &Places<'_>, op: &Attention) -> Launch {
    let Shape { n, w: queries, c, .. } = op.q.shape;
    let size = c / op.heads;
    let kernel = kernel(places.element, size);
    let args = args::Attention {
        dst: places.operand(op.dst),
        q: places.operand(op.q),
        kv: places.operand(op.kv),
        values: (n * op.tokens * c) as u64,
        queries: small(queries),
        tokens: small(op.tokens),
        heads: small(op.heads),
        size: small(size),
        scale: 1.0 / (size as f32).sqrt(),
        causal: u32::from(op.causal),
    };
    // Buffers begin at multiples of a chunk, and so do their heads where a head is whole chunks.
    let plain = kernel.queries == SPAN;
    assert!(plain || [args.q, args.kv, args.dst].iter().all(|x| x.holds_chunks()), "operands lie between two chunks");
    let across = queries.div_ceil(kernel.queries) * size.div_ceil(kernel.cols);
    places.blocks(kernel.name, (across, n * op.heads), &args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_find_the_smallest_kernel() {
        let found = |element, size| kernel(element, size).name;
        assert_eq!(found(Element::F32, 40), "attention_64");
        let sizes = [8, 40, 64, 80, 96, 128, 160, 168, 512, 20, 36, 172];
        let kernels =
            ["mma_48", "mma_48", "mma_64", "mma_80", "mma_96", "mma_128", "mma_160", "mma_512", "mma_512", "32", "64", "512"];
        for (size, kernel) in sizes.into_iter().zip(kernels) {
            assert_eq!(found(Element::F16, size), format!("attention_{kernel}"));
            assert_eq!(found(Element::F16, size), found(Element::Bf16, size));
        }
    }
}
